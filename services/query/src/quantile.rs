//! Quarters of a histogram, made of the rounded bins that are told and of nothing else. Pure.
//!
//! A told count stands for a range of exact ones. A quantile is in the first bin up to which at least its share of the told
//! rows lies; the bins that are told here are all that this may be, whatever the exact counts are within
//! their ranges. Rows of bins that are withheld are on neither side.

use crate::answer::{Bin, Quantile};

/// The shares, in percent: the quarters, and the upper tenth.
const PERCENT: [u32; 4] = [25, 50, 75, 90];

/// A told bin, and the fewest and most rows that its told number stands for.
struct Told<'a> {
    bin: &'a Bin,
    fewest: u64,
    most: u64,
}

/// The quantiles of bins in their order; none where no bin is told. `could_be` gives the fewest and the
/// most rows that a told number stands for.
pub(crate) fn of(bins: &[Bin], could_be: impl Fn(u64) -> (u64, u64)) -> Vec<Quantile> {
    let told = bins.iter().filter_map(|bin| {
        let (fewest, most) = could_be(bin.rows?);
        Some(Told { bin, fewest, most })
    });
    let told: Vec<Told<'_>> = told.collect();
    let quantile = |percent: u32| {
        // At its lowest as many rows as may be are before it and as few as may be after it.
        let first = reached(&told, percent, |one| one.most, |one| one.fewest)?;
        let last = reached(&told, percent, |one| one.fewest, |one| one.most)?;
        Some(Quantile {
            share: f64::from(percent) / 100.0,
            first_bin: first.index,
            last_bin: last.index,
            low: first.low,
            high: last.high,
        })
    };
    PERCENT.into_iter().filter_map(quantile).collect()
}

/// The first bin up to which there are at least `percent` of all rows, where bins up to it have `up_to`
/// rows and bins after it `after`.
fn reached<'a>(
    told: &[Told<'a>],
    percent: u32,
    up_to: impl Fn(&Told<'_>) -> u64,
    after: impl Fn(&Told<'_>) -> u64,
) -> Option<&'a Bin> {
    let mut below = 0_u128;
    let mut above: u128 = told.iter().map(|one| u128::from(after(one))).sum();
    let found = told.iter().find(|one| {
        below += u128::from(up_to(one));
        above -= u128::from(after(one));
        below * u128::from(100 - percent) >= above * u128::from(percent)
    });
    found.map(|one| one.bin)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::round;

    const K: NonZeroU32 = NonZeroU32::new(20).unwrap();

    /// Rows and principals of a bin; `None` of one that is withheld.
    type Exact = Option<(u64, u64)>;

    fn histogram() -> impl Strategy<Value = Vec<Exact>> {
        let bin = (20_u64..400, 1_u64..40, 0_u64..20);
        let bin = bin.prop_map(|(principals, each, more)| (principals * each + more, principals));
        prop::collection::vec(prop::option::weighted(0.8, bin), 1..12)
    }

    fn bins(exact: &[Exact]) -> Vec<Bin> {
        let edge = |index: u32| f64::from(index) * 10.0;
        let bin = |(index, exact): (u32, &Exact)| Bin {
            index,
            meaning: format!("{} to {}", edge(index), edge(index + 1)),
            low: Some(edge(index)),
            high: Some(edge(index + 1)),
            rows: exact.map(|(rows, principals)| round::count(rows, principals)),
        };
        (1..).zip(exact).map(bin).collect()
    }

    /// The index of the bin in which a quantile of the exact told rows is, one row after the other.
    fn exactly(exact: &[Exact], share: f64) -> u32 {
        let rows = |(index, exact): (u32, &Exact)| {
            let rows = exact.map_or(0, |(rows, _)| usize::try_from(rows).unwrap());
            std::iter::repeat_n(index, rows)
        };
        let all: Vec<u32> = (1..).zip(exact).flat_map(rows).collect();
        let percent: usize = format!("{:.0}", share * 100.0).parse().unwrap();
        let wanted = all.len() * percent;
        all[wanted.div_ceil(100).max(1) - 1]
    }

    /// Quantiles that miss the exact one.
    fn misses(exact: &[Exact], could_be: impl Fn(u64) -> (u64, u64)) -> usize {
        let missed = |one: &Quantile| {
            let index = exactly(exact, one.share);
            let (low, high) = (f64::from(index) * 10.0, f64::from(index + 1) * 10.0);
            let holds = one.first_bin <= index && index <= one.last_bin;
            !holds || one.low.unwrap() > low || one.high.unwrap() < high
        };
        of(&bins(exact), could_be).iter().filter(|one| missed(one)).count()
    }

    proptest! {
        #[test]
        fn the_exact_quantile_of_the_told_rows_is_always_within(exact in histogram()) {
            prop_assert_eq!(misses(&exact, |told| round::could_be(told, K)), 0);
            let told = exact.iter().flatten().count();
            let found = of(&bins(&exact), |told| round::could_be(told, K));
            prop_assert_eq!(found.len(), if told == 0 { 0 } else { PERCENT.len() });
        }
    }

    /// The control: who takes rounded rows for exact ones names bins in which a quantile is not.
    #[test]
    fn without_the_rounding_some_quantiles_are_missed() {
        let mut runner = TestRunner::deterministic();
        let (mut missed, mut missed_with) = (0, 0);
        for _ in 0..2_000 {
            let exact = histogram().new_tree(&mut runner).unwrap().current();
            missed += misses(&exact, |told| (told, told));
            missed_with += misses(&exact, |told| round::could_be(told, K));
        }
        assert!(missed > 20 && missed_with == 0, "{missed} {missed_with}");
    }

    #[test]
    fn a_quantile_names_its_bins_and_what_could_hold_it() {
        // Four bins of 100 rows: the median is in the second, or by rounding in the third.
        let even = [Some((100, 100)); 4];
        let found = of(&bins(&even), |told| (told, told));
        let named: Vec<(u32, u32)> =
            found.iter().map(|one| (one.first_bin, one.last_bin)).collect();
        assert_eq!(named, [(1, 1), (2, 2), (3, 3), (4, 4)]);
        let found = of(&bins(&even), |told| round::could_be(told, K));
        let named: Vec<(u32, u32)> =
            found.iter().map(|one| (one.first_bin, one.last_bin)).collect();
        assert_eq!(named, [(1, 2), (2, 3), (3, 4), (4, 4)]);
        assert_eq!((found[1].low, found[1].high), (Some(20.0), Some(40.0)));
        // A withheld bin between them holds none.
        let gap = [Some((100, 100)), None, Some((900, 100))];
        let found = of(&bins(&gap), |told| (told, told));
        assert!(found.iter().all(|one| (one.first_bin, one.last_bin) == (3, 3)), "{found:?}");
        assert_eq!(of(&bins(&[None, None]), |told| (told, told)), []);
    }
}
