//! Means and rates with their 95 % intervals, from sums over principals.
//!
//! Rows of one principal resemble each other, so principals, not rows, are the independent units: a
//! mean's interval is that of a ratio of cluster totals, and a rate's is Wilson's with the number of
//! rows divided by the design effect.

use crate::gate::Stat;
use crate::tally::MICROS;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_964;

/// Sums over principals: `n` rows and `s` their values' sum, in the metric's unit.
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

impl Sums {
    /// Of a group over all its epochs.
    pub(crate) fn of(epochs: &[Stat]) -> Self {
        let sum = |of: fn(&Stat) -> u128| float(epochs.iter().map(of).sum());
        let micros = float(u128::from(MICROS.unsigned_abs()));
        Self {
            n: sum(|stat| stat.rows.total),
            s: sum(|stat| stat.value.total) / micros,
            ss: sum(|stat| stat.squares.ss) / (micros * micros),
            sn: sum(|stat| stat.squares.sn) / micros,
            nn: sum(|stat| stat.squares.nn),
            clusters: sum(|stat| u128::from(stat.principals)),
        }
    }
}

/// A whole number as a float, the same one each time.
fn float(number: u128) -> f64 {
    let part = |shift: u32| u32::try_from(number >> shift & u128::from(u32::MAX)).unwrap_or(0);
    let next = |sum: f64, shift| sum.mul_add(4_294_967_296.0, f64::from(part(shift)));
    [96, 64, 32, 0].into_iter().fold(0.0, next)
}

/// A number with its 95 % interval; `None` where too few principals say how much it varies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    pub(crate) interval: Option<(f64, f64)>,
}

/// The mean of all rows.
pub(crate) fn mean(sums: &Sums) -> Estimate {
    let value = sums.s / sums.n;
    let interval = variance(sums).map(|variance| {
        let half = Z * variance.sqrt();
        (value - half, value + half)
    });
    Estimate { value, interval }
}

/// The share of rows whose value is 1.
pub(crate) fn rate(sums: &Sums) -> Estimate {
    let share = sums.s / sums.n;
    let plain = share * (1.0 - share) / sums.n;
    let effect = match variance(sums) {
        Some(variance) if plain > 0.0 => (variance / plain).max(1.0),
        _ => 1.0,
    };
    let n = sums.n / effect;
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let interval = ((middle - half).max(0.0), (middle + half).min(1.0));
    Estimate { value: share, interval: Some(interval) }
}

/// Variance of the ratio of cluster totals.
fn variance(sums: &Sums) -> Option<f64> {
    if sums.clusters < 2.0 {
        return None;
    }
    let mean = sums.s / sums.n;
    let squares = sums.ss - 2.0 * mean * sums.sn + mean * mean * sums.nn;
    Some(squares.max(0.0) / (sums.n * sums.n) * sums.clusters / (sums.clusters - 1.0))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Sums of principals with `(n, s)` each.
    pub(crate) fn sums(all: &[(f64, f64)]) -> Sums {
        let sum = |f: fn(f64, f64) -> f64| all.iter().map(|&(n, s)| f(n, s)).sum();
        Sums {
            n: sum(|n, _| n),
            s: sum(|_, s| s),
            ss: sum(|_, s| s * s),
            sn: sum(|n, s| s * n),
            nn: sum(|n, _| n * n),
            clusters: f64::from(u32::try_from(all.len()).unwrap()),
        }
    }

    #[test]
    fn whole_numbers_are_taken_over() {
        for (number, expected) in
            [(0, 0.0), (7, 7.0), (1 << 40, 2_f64.powi(40)), (1 << 100, 2_f64.powi(100))]
        {
            close(float(number) / expected.max(1.0), if number == 0 { 0.0 } else { 1.0 });
        }
    }

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 0.0005, "{found} instead of {expected}");
    }

    #[test]
    fn wilson_is_as_in_the_books() {
        let one_row_each: Vec<(f64, f64)> =
            (0..100).map(|at| (1.0, if at < 10 { 1.0 } else { 0.0 })).collect();
        let rate = rate(&sums(&one_row_each));
        close(rate.value, 0.1);
        let (low, high) = rate.interval.unwrap();
        close(low, 0.055);
        close(high, 0.175);
    }

    #[test]
    fn rows_of_few_principals_count_for_less() {
        let alike = sums(&[(10.0, 10.0), (10.0, 0.0), (10.0, 0.0), (10.0, 10.0)]);
        let mixed = sums(&[(10.0, 5.0), (10.0, 5.0), (10.0, 5.0), (10.0, 5.0)]);
        let width = |estimate: Estimate| estimate.interval.map(|(low, high)| high - low).unwrap();
        assert!(width(rate(&alike)) > 2.0 * width(rate(&mixed)));
        assert!(width(mean(&alike)) > width(mean(&mixed)));
        assert_eq!(mean(&sums(&[(3.0, 1.0)])).interval, None);
    }
}
