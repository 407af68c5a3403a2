//! Rules: the strictest limits of all policies that anybody's rows were told under.

use std::collections::BTreeSet;

use imprimatur_consent::Policy;
use imprimatur_consent::policy::{EpochLength, QueryDefaults};

/// What answers and releases are held to, whatever a reader is set to. Of several policies the stricter
/// value of each key counts, because one answer is made of everybody's rows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Principals in a group, at least.
    pub k: u32,
    /// Principals in a group of a release, at least.
    pub k_released: u32,
    /// Largest share of the greatest contributor, percent.
    pub top1_percent: u8,
    /// Largest share of the two greatest together, percent.
    pub top2_percent: u8,
    /// Thousandths of epsilon for one release.
    pub epsilon_release_milli: u32,
    /// Thousandths of epsilon for one principal in 30 days.
    pub epsilon_month_milli: u32,
    /// Thousandths of epsilon for one principal in a year.
    pub epsilon_year_milli: u32,
    /// The pseudonym epochs that rows may have; a month where no policy says anything.
    pub epochs: BTreeSet<EpochLength>,
}

impl Rules {
    /// The widest that any policy may say.
    ///
    /// Source: the ceilings of a policy's `query`.
    pub fn ceilings() -> Self {
        Self {
            k: 10,
            k_released: 10,
            top1_percent: 30,
            top2_percent: 50,
            epsilon_release_milli: 100,
            epsilon_month_milli: 1_000,
            epsilon_year_milli: 12_000,
            epochs: BTreeSet::from([EpochLength::Month]),
        }
    }

    /// Those of some policies together.
    pub fn of<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut rules = Self::ceilings();
        let mut epochs = BTreeSet::new();
        for policy in policies {
            epochs.insert(policy.epoch);
            rules.narrow(&policy.query);
        }
        if !epochs.is_empty() {
            rules.epochs = epochs;
        }
        rules
    }

    fn narrow(&mut self, query: &QueryDefaults) {
        self.k = self.k.max(query.k);
        self.k_released = self.k_released.max(query.k_released);
        self.top1_percent = self.top1_percent.min(query.top1_percent);
        self.top2_percent = self.top2_percent.min(query.top2_percent);
        self.epsilon_release_milli = self.epsilon_release_milli.min(query.epsilon_release_milli);
        self.epsilon_month_milli = self.epsilon_month_milli.min(query.epsilon_month_milli);
        self.epsilon_year_milli = self.epsilon_year_milli.min(query.epsilon_year_milli);
    }

    /// As a policy would say them.
    pub fn limits(&self) -> QueryDefaults {
        QueryDefaults {
            k: self.k,
            k_released: self.k_released,
            top1_percent: self.top1_percent,
            top2_percent: self.top2_percent,
            epsilon_release_milli: self.epsilon_release_milli,
            epsilon_month_milli: self.epsilon_month_milli,
            epsilon_year_milli: self.epsilon_year_milli,
        }
    }
}

#[cfg(test)]
mod tests {
    use imprimatur_consent::policy::STRICTEST;

    use super::*;

    #[test]
    fn of_several_policies_the_stricter_value_of_each_key_holds() {
        let one = Policy::read(STRICTEST).unwrap();
        let mut other = one.clone();
        (other.query.k, other.query.k_released) = (40, 70);
        (other.query.top1_percent, other.query.epsilon_year_milli) = (10, 2_000);
        other.epoch = EpochLength::Day;
        for both in [[&one, &other], [&other, &one]] {
            let rules = Rules::of(both);
            assert_eq!((rules.k, rules.k_released), (40, 70));
            assert_eq!((rules.top1_percent, rules.top2_percent), (10, one.query.top2_percent));
            assert_eq!((rules.epsilon_year_milli, rules.epsilon_month_milli), (2_000, 1_000));
            let epochs = BTreeSet::from([one.epoch, EpochLength::Day]);
            assert_eq!(rules.epochs, epochs);
        }
        assert_eq!(Rules::of([&one]).limits(), one.query);
        assert_eq!(Rules::of([]), Rules::ceilings());
    }
}
