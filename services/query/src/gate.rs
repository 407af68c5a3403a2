//! The gate: which groups may be told (INV-11). Pure; nothing else decides it.

use std::num::NonZeroU32;

/// What one group has in one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stat {
    /// Month of the pseudonyms.
    pub(crate) epoch: u32,
    /// Distinct principals.
    pub(crate) principals: u64,
    /// Rows.
    pub(crate) rows: u64,
    /// Most rows of one principal.
    pub(crate) largest: u64,
    /// Sums over principals, for the interval.
    pub(crate) sums: Sums,
}

/// Sums over principals: `n` rows and `s` their values' sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) n: f64,
    pub(crate) s: f64,
    pub(crate) ss: f64,
    pub(crate) sn: f64,
    pub(crate) nn: f64,
    /// How many principals, each counted once an epoch.
    pub(crate) clusters: f64,
}

/// Whether a group may be told: in each epoch at least k principals, none with over half its rows.
///
/// With k = 1 the operator protects nobody from the others, and a group may have one principal.
pub(crate) fn may_tell(k: NonZeroU32, epochs: &[Stat]) -> bool {
    let enough = |stat: &Stat| stat.principals >= u64::from(k.get());
    let balanced = |stat: &Stat| k.get() == 1 || stat.largest.saturating_mul(2) <= stat.rows;
    !epochs.is_empty() && epochs.iter().all(|stat| enough(stat) && balanced(stat))
}

/// Principals of a group: the most within one epoch. Never a sum, because one principal has another
/// pseudonym in each.
pub(crate) fn principals(epochs: &[Stat]) -> u64 {
    epochs.iter().map(|stat| stat.principals).max().unwrap_or(0)
}

/// Rows of a group in all epochs.
pub(crate) fn rows(epochs: &[Stat]) -> u64 {
    epochs.iter().map(|stat| stat.rows).sum()
}

/// Sums of a group over all epochs.
pub(crate) fn sums(epochs: &[Stat]) -> Sums {
    epochs.iter().map(|stat| stat.sums).fold(Sums::default(), |a, b| Sums {
        n: a.n + b.n,
        s: a.s + b.s,
        ss: a.ss + b.ss,
        sn: a.sn + b.sn,
        nn: a.nn + b.nn,
        clusters: a.clusters + b.clusters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(epoch: u32, principals: u64, rows: u64, largest: u64) -> Stat {
        Stat { epoch, principals, rows, largest, sums: Sums::default() }
    }

    #[track_caller]
    fn tells(k: u32, epochs: &[Stat], expected: bool) {
        assert_eq!(may_tell(NonZeroU32::new(k).unwrap(), epochs), expected, "{epochs:?}");
    }

    #[test]
    fn each_epoch_needs_k_principals() {
        tells(20, &[stat(202_610, 20, 40, 2)], true);
        tells(20, &[stat(202_610, 19, 40, 3)], false);
        tells(20, &[stat(202_610, 30, 40, 3), stat(202_611, 19, 40, 3)], false);
        tells(20, &[], false);
        assert_eq!(principals(&[stat(202_610, 20, 40, 2), stat(202_611, 25, 40, 2)]), 25);
    }

    #[test]
    fn nobody_may_hold_more_than_half() {
        tells(3, &[stat(202_610, 3, 10, 5)], true);
        tells(3, &[stat(202_610, 3, 10, 6)], false);
        tells(1, &[stat(202_610, 1, 10, 10)], true);
    }
}
