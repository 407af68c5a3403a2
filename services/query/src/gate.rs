//! The gate: which groups may be told (INV-11). Pure; nothing else decides it.
//!
//! The unit is the principal, and the place is one group in one epoch, because pseudonyms change
//! with the epoch. What each principal weighs is bounded before it is looked at here.

use std::num::NonZeroU32;

use imprimatur_lake::Rules;

use crate::error::ThresholdError;

/// Fewest principals in a group that is told inside the operator's team.
///
/// Source: statistical offices take 3 to 10; the notice of every policy pack says 20.
pub const K_INSIDE: u32 = 20;

/// Most that the largest principal may weigh in a group, in percent.
///
/// Source: the packs' ceiling of `query.top1_percent`.
pub const TOP1_PERCENT: u8 = 30;

/// Most that the two largest principals may weigh together, in percent.
///
/// The second largest knows its own part, so what it learns of the largest is the rest: half of
/// the group stays between them. Eurostat's example is (2, 85 %); this is stricter.
/// Source: the packs' ceiling of `query.top2_percent`.
pub const TOP2_PERCENT: u8 = 50;

/// Fewest principals of a group, as it is configured: 1, or [`K_INSIDE`] and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(NonZeroU32);

impl Threshold {
    /// The operator is the only principal and protects nobody from the others.
    pub const ALONE: Self = Self(NonZeroU32::MIN);

    /// [`K_INSIDE`].
    pub const INSIDE: Self = Self(NonZeroU32::MIN.saturating_add(K_INSIDE - 1));

    /// A threshold of `k` principals.
    ///
    /// # Errors
    /// [`ThresholdError`] for 0 and for 2 up to below [`K_INSIDE`].
    pub fn new(k: u32) -> Result<Self, ThresholdError> {
        let allowed = NonZeroU32::new(k).filter(|k| k.get() == 1 || k.get() >= K_INSIDE);
        allowed.map(Self).ok_or(ThresholdError { k })
    }

    /// The number of principals.
    pub fn get(self) -> NonZeroU32 {
        self.0
    }

    /// Whether there is anybody to be protected.
    pub fn protects(self) -> bool {
        self != Self::ALONE
    }
}

/// By what principals of a group are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Their rows.
    Rows,
    /// Their rows, and what these add to the measure.
    RowsAndValue,
}

/// How many principals a group needs, and how much of it the greatest may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guard {
    pub(crate) k: Threshold,
    /// Most that the largest principal may weigh, in percent.
    pub(crate) top1_percent: u8,
    /// Most that the two largest may weigh together, in percent.
    pub(crate) top2_percent: u8,
}

/// The rule that groups of one question are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) guard: Guard,
    pub(crate) by: By,
}

impl Guard {
    /// What this program says without any policy.
    #[cfg(test)]
    pub(crate) const INSIDE: Self = Self::at(Threshold::INSIDE);

    /// With the percentages of this program.
    pub(crate) const fn at(k: Threshold) -> Self {
        Self { k, top1_percent: TOP1_PERCENT, top2_percent: TOP2_PERCENT }
    }

    /// The stricter of a setting and the policies' limits; who is alone is protected from nobody.
    pub(crate) fn of(k: Threshold, rules: &Rules) -> Self {
        if !k.protects() {
            return Self::at(k);
        }
        Self {
            k: NonZeroU32::new(rules.k).map_or(k, |rule| k.max(Threshold(rule))),
            top1_percent: TOP1_PERCENT.min(rules.top1_percent),
            top2_percent: TOP2_PERCENT.min(rules.top2_percent),
        }
    }
}

/// What the principals of one group weigh in one epoch, in whole units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// All together.
    pub(crate) total: u128,
    /// The largest.
    pub(crate) largest: u128,
    /// The two largest together.
    pub(crate) two_largest: u128,
}

/// What one group has in one epoch. Whole numbers, so that no order of adding changes an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Month of the pseudonyms.
    pub(crate) epoch: u32,
    /// Distinct principals.
    pub(crate) principals: u64,
    /// Rows.
    pub(crate) rows: Weight,
    /// Sum of the rows' values, in [`crate::tally::MICROS`] of the metric's unit.
    pub(crate) value: Weight,
    /// Over principals, for the interval.
    pub(crate) squares: Squares,
}

/// Sums of products over principals: `n` rows and `s` their values' sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Squares {
    pub(crate) ss: u128,
    pub(crate) sn: u128,
    pub(crate) nn: u128,
}

impl Weight {
    /// Whether nobody dominates.
    fn is_balanced(self, guard: Guard) -> bool {
        let at_most = |part: u128, percent: u8| {
            part.saturating_mul(100) <= self.total.saturating_mul(u128::from(percent))
        };
        at_most(self.largest, guard.top1_percent) && at_most(self.two_largest, guard.top2_percent)
    }
}

impl Rule {
    /// Whether a group may be told: in each epoch at least k principals, of whom none weighs more
    /// than [`Guard::top1_percent`] and no two more than [`Guard::top2_percent`].
    ///
    /// With [`Threshold::ALONE`] a group may have one principal.
    pub(crate) fn may_tell(self, epochs: &[Stat]) -> bool {
        let guard = self.guard;
        let enough = |stat: &Stat| stat.principals >= u64::from(guard.k.get().get());
        let balanced = |stat: &Stat| {
            let by_value = self.by == By::Rows || stat.value.is_balanced(guard);
            !guard.k.protects() || stat.rows.is_balanced(guard) && by_value
        };
        !epochs.is_empty() && epochs.iter().all(|stat| enough(stat) && balanced(stat))
    }
}

/// Principals of a group: the most within one epoch. Never a sum, because one principal has another
/// pseudonym in each.
pub(crate) fn principals(epochs: &[Stat]) -> u64 {
    epochs.iter().map(|stat| stat.principals).max().unwrap_or(0)
}

/// Rows of a group in all epochs.
pub(crate) fn rows(epochs: &[Stat]) -> u64 {
    let rows: u128 = epochs.iter().map(|stat| stat.rows.total).sum();
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
