//! Rounding in threshold mode: one principal more or less seldom changes an answer. Pure.
//!
//! Nothing is drawn by lot: the same rows give the same number, however often they are asked for,
//! so there is no noise that repeated questions could average out. A count has steps of five
//! principals' mean share of it; a mean or share has steps of at most half its interval. Rounding
//! hides nobody from who controls all the others: the threshold and the operator's tokens do.

use std::num::NonZeroU32;

use crate::estimate::Estimate;

/// How many principals' mean share of a count makes a step. Eurostat rounds such tables to 5 or 10.
pub const STEP_PRINCIPALS: u64 = 5;

/// A mean is told to a hundredth of itself at best, however narrow its interval.
const FINEST: f64 = 0.01;

/// A number and its interval, rounded to one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rounded {
    pub(crate) value: f64,
    /// Rounded outwards; `None` where there is no interval.
    pub(crate) interval: Option<(f64, f64)>,
}

/// A count that this many principals add to, to the nearest step; half a step goes up.
///
/// The step is the smallest of 5, 10, 20, 50, 100, 200, .. that is not below the mean share of
/// [`STEP_PRINCIPALS`] principals.
pub(crate) fn count(exact: u64, principals: u64) -> u64 {
    let step = step(exact, principals);
    exact.saturating_add(step / 2) / step * step
}

/// The fewest and the most rows that a told count stands for, in a group of at least `k` principals.
///
/// Of how many principals it is, and so its step, is not told. It is taken to be the widest that fits: it divides what is
/// told, and `k` principals with that many rows have it.
pub(crate) fn could_be(told: u64, k: NonZeroU32) -> (u64, u64) {
    let most = |step: u64| told.saturating_add(step.div_ceil(2)).saturating_sub(1);
    let fits =
        |one: &u64| told.is_multiple_of(*one) && *one <= step(most(*one), u64::from(k.get()));
    let step = steps().take_while(|one| *one <= told).filter(fits).last().unwrap_or(1);
    (told.saturating_sub(step / 2), most(step))
}

/// The step of a count that this many principals add to.
fn step(exact: u64, principals: u64) -> u64 {
    let share = exact.saturating_mul(STEP_PRINCIPALS).div_ceil(principals.max(1));
    steps().find(|step| *step >= share).unwrap_or(u64::MAX)
}

fn steps() -> impl Iterator<Item = u64> {
    (0..18_u32).flat_map(|power| {
        let ten = 10_u64.pow(power);
        [ten.saturating_mul(5), ten.saturating_mul(10), ten.saturating_mul(20)]
    })
}

/// A mean or share to the largest of .., 1, 2, 5, 10, .. that is not above half its interval.
pub(crate) fn estimate(exact: &Estimate) -> Rounded {
    let half = exact.interval.map_or(0.0, |(low, high)| (high - low) / 2.0);
    let step = Step::at_most(half.max(exact.value.abs() * FINEST));
    let interval = exact.interval;
    Rounded {
        value: step.of(exact.value, f64::round),
        interval: interval.map(|(low, high)| (step.of(low, f64::floor), step.of(high, f64::ceil))),
    }
}

/// 1, 2 or 5 times or through a power of ten.
#[derive(Clone, Copy, Debug)]
struct Step {
    digit: f64,
    /// The power of ten; one of the two is 1, so that a rounded number is the nearest float to
    /// its decimal digits.
    times: f64,
    through: f64,
}

impl Step {
    fn at_most(most: f64) -> Self {
        let mut step = Self { digit: 1.0, times: 1.0, through: 1.0 };
        // A float has no more powers of ten than this; zero ends here, too.
        for _ in 0..300 {
            if step.times * 10.0 <= most {
                step.times *= 10.0;
            }
            if step.times / step.through > most {
                step.through *= 10.0;
            }
        }
        let digits = [5.0, 2.0, 1.0];
        let fits = |digit: &f64| digit * step.times / step.through <= most;
        step.digit = digits.into_iter().find(fits).unwrap_or(1.0);
        step
    }

    fn of(self, number: f64, whole: fn(f64) -> f64) -> f64 {
        let steps = whole(number * self.through / self.times / self.digit);
        // Not minus zero.
        steps * self.digit * self.times / self.through + 0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::estimate as exact;
    use crate::estimate::tests::sums;

    #[track_caller]
    fn rounds(value: f64, low: f64, high: f64, expected: (f64, f64, f64)) {
        let found = estimate(&Estimate { value, interval: Some((low, high)) });
        let (low, high) = found.interval.unwrap();
        assert_eq!((found.value, low, high), expected);
    }

    #[test]
    fn counts_have_steps_of_five_principals() {
        for (rows, principals, expected) in [
            (20, 20, 20),
            (22, 22, 20),
            (23, 23, 25),
            (45, 25, 50),
            (105, 40, 100),
            (450, 45, 450),
            (6_001, 21, 6_000),
            (1_000_003, 1_000, 1_000_000),
        ] {
            assert_eq!(count(rows, principals), expected, "{rows} of {principals}");
        }
    }

    #[test]
    fn estimates_have_the_precision_of_their_interval() {
        rounds(0.0822, 0.0601, 0.1112, (0.08, 0.06, 0.12));
        rounds(0.5, 0.1, 0.9, (0.6, 0.0, 1.0));
        rounds(1234.5, 1100.0, 1369.0, (1200.0, 1100.0, 1400.0));
        rounds(-1.26, -1.4, -1.2, (-1.25, -1.4, -1.2));
        rounds(0.0, 0.0, 0.05, (0.0, 0.0, 0.06));
        // Without any spread, to a hundredth.
        rounds(2_f64.sqrt(), 2_f64.sqrt(), 2_f64.sqrt(), (1.41, 1.41, 1.42));
        assert!(estimate(&Estimate { value: 0.0, interval: None }).value.abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_rounded_count_is_near(rows in 20_u64..1_000_000, principals in 20_u64..5_000) {
            let principals = principals.min(rows);
            let told = count(rows, principals);
            let share = rows.div_ceil(principals) * STEP_PRINCIPALS;
            prop_assert!(told > 0 && told.abs_diff(rows) <= share * 5 / 4 + 3, "{told}");
        }

        #[test]
        fn a_told_count_stands_for_the_exact_one(
            principals in 20_u64..5_000, each in 1_u64..300, more in 0_u64..5_000,
        ) {
            let rows = principals * each + more;
            let (fewest, most) = could_be(count(rows, principals), NonZeroU32::new(20).unwrap());
            prop_assert!((fewest..=most).contains(&rows), "{rows} in {fewest} to {most}");
            prop_assert!(most - fewest <= rows.max(40), "{fewest} to {most}");
        }

        #[test]
        fn an_interval_never_shrinks(value in -1e6..1e6_f64, down in 0.0..1e5_f64, up in 0.0..1e5_f64) {
            let (low, high) = (value - down, value + up);
            let told = estimate(&Estimate { value, interval: Some((low, high)) });
            let (told_low, told_high) = told.interval.unwrap();
            let slack = 1e-9 * value.abs().max(1.0);
            prop_assert!(told_low <= low + slack && told_high >= high - slack);
            prop_assert!(told_low <= told.value + slack && told.value <= told_high + slack);
            prop_assert!((told.value - value).abs() <= ((high - low) / 4.0).max(value.abs() * FINEST));
        }
    }

    /// One principal leaves a group; how often does each number change? Without rounding, always.
    #[test]
    fn one_principal_seldom_changes_an_answer() {
        let group = prop::collection::vec((1_u32..=10, 0.0..1.0_f64), 25..200);
        let mut runner = TestRunner::deterministic();
        let mut changed = [0_u32; 4];
        let all = 2_000;
        for _ in 0..all {
            let group = group.new_tree(&mut runner).unwrap().current();
            let tell = |group: &[(u32, f64)]| {
                let rows = group.iter().map(|(n, _)| u64::from(*n)).sum();
                let principals = u64::try_from(group.len()).unwrap();
                let hours = |&(n, share): &(u32, f64)| (f64::from(n), f64::from(n) * 4.0 * share);
                let faults =
                    |&(n, share): &(u32, f64)| (f64::from(n), (f64::from(n) * share * 0.3).round());
                let mean = exact::mean(&sums(&group.iter().map(hours).collect::<Vec<_>>()));
                let rate = exact::rate(&sums(&group.iter().map(faults).collect::<Vec<_>>()));
                let counts = [principals, count(principals, principals), count(rows, principals)];
                (counts, estimate(&mean).value, estimate(&rate).value)
            };
            let (with, without) = (tell(&group), tell(&group[1..]));
            assert_ne!(with.0[0], without.0[0]);
            changed[0] += u32::from(with.0[1] != without.0[1]);
            changed[1] += u32::from(with.0[2] != without.0[2]);
            changed[2] += u32::from((with.1 - without.1).abs() > 1e-12);
            changed[3] += u32::from((with.2 - without.2).abs() > 1e-12);
        }
        assert!(changed.iter().all(|changed| *changed * 4 < all), "{changed:?} of {all}");
    }
}
