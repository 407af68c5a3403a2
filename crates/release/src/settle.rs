//! From exact sums to what is told: noise first, then the choice of groups, numbers and intervals.
//!
//! The exact sums are looked at once, to add noise. Everything after that is computed from noisy
//! numbers and public ones alone, so it costs nothing and `delta` is 0.

use std::num::NonZeroU32;

use dashu::integer::IBig;
use dashu::rational::RBig;

use crate::error::NoiseError;
use crate::limits::MicroEpsilon;
use crate::noise::Laplace;
use crate::question::{Exact, MILLIONTHS, Measure, Question};
use crate::release::{Bin, Counted, Noise, Number, Of, Privacy, Told};

/// Both sides together, of one number.
const OUTSIDE: f64 = 0.05;

/// Both sides together, of each of the two numbers that a mean or share is made of; and one side
/// of the principals of a group that is told.
const OUTSIDE_HALF: f64 = 0.025;

/// Twice the probability that a group of fewer than `k` is told.
const TOLD_WRONGLY_TWICE: f64 = 2e-6;

/// The noise of one release: equal parts of epsilon for each list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) principals: Laplace,
    pub(crate) rows: Option<Laplace>,
    pub(crate) values: Option<Laplace>,
}

/// Numbers with noise, group by group.
pub(crate) struct Noisy {
    principals: Vec<IBig>,
    rows: Vec<IBig>,
    values: Vec<IBig>,
}

/// What is told of all groups.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settled {
    pub(crate) groups: Vec<Told>,
    pub(crate) withheld: usize,
}

impl Plan {
    /// The noise for a question.
    ///
    /// A principal has another pseudonym in each of `E` epochs and is one person, with at most `B`
    /// rows in each, and each row is in at most one group and one bin. So without it
    /// - rows, bins together, change by at most `E * B`; values by that times the largest;
    /// - the fewest principals of an epoch change by at most 1 in each group, and in at most as many
    ///   groups as it has rows;
    /// - the most printers of an epoch change, in all groups that have their most in the same epoch,
    ///   by at most `B` together, so by `B` times the smaller of `E` and the number of groups.
    pub(crate) fn of(question: &Question) -> Self {
        let bound = u128::from(question.rows_per_principal_and_epoch.get());
        let epochs = wide(question.epochs.len());
        let groups = wide(question.groups.len());
        let rows = bound.saturating_mul(epochs);
        let largest = u128::from(question.measure.largest());
        let (of_rows, of_values) = match question.measure {
            Measure::Rows | Measure::Histogram { .. } => (Some(rows), None),
            Measure::Printers => (None, Some(bound.saturating_mul(epochs.min(groups)))),
            Measure::Mean { .. } | Measure::Rate => {
                (Some(rows), Some(rows.saturating_mul(largest)))
            }
        };
        let parts = 1 + u64::from(of_rows.is_some()) + u64::from(of_values.is_some());
        let part = share(question.epsilon, parts);
        let laplace = |sensitivity| Laplace::new(sensitivity, part.clone());
        Self {
            principals: laplace(groups.min(rows)),
            rows: of_rows.map(laplace),
            values: of_values.map(laplace),
        }
    }

    /// Adds the noise. What the measure does not tell is dropped here.
    pub(crate) fn draw(&self, exact: &Exact) -> Result<Noisy, NoiseError> {
        let add = |noise: &Option<Laplace>, exact: &[IBig]| match noise {
            Some(noise) => noise.add(exact),
            None => Ok(Vec::new()),
        };
        Ok(Noisy {
            principals: self.principals.add(&exact.principals)?,
            rows: add(&self.rows, &exact.rows)?,
            values: add(&self.values, &exact.values)?,
        })
    }

    /// Principals beyond `k` that a noisy number needs.
    pub(crate) fn margin(&self) -> IBig {
        self.principals.beyond(TOLD_WRONGLY_TWICE)
    }

    /// The privacy statement.
    pub(crate) fn privacy(&self, question: &Question, k: NonZeroU32) -> Privacy {
        let value_unit = match question.measure {
            Measure::Printers => "printers",
            Measure::Rate => "rows",
            _ => "millionths of the unit",
        };
        let of = |of, noise: &Laplace, unit: &str| Noise {
            of,
            sensitivity: noise.sensitivity().to_string(),
            unit: unit.to_owned(),
            epsilon: noise.epsilon().to_string(),
            scale: noise.scale().to_string(),
        };
        let mut noise = vec![of(Of::Principals, &self.principals, "principals")];
        noise.extend(self.rows.iter().map(|one| of(Of::Rows, one, "rows")));
        noise.extend(self.values.iter().map(|one| of(Of::Values, one, value_unit)));
        let (epsilon, bound) = (question.epsilon, question.rows_per_principal_and_epoch);
        Privacy {
            statement: format!(
                "Differential privacy for each principal, a person or an organisation with all its \
                 printers: whatever is read here is at most exp({epsilon}) times as probable with a \
                 principal's rows as without them (delta 0). Of each at most {bound} rows count in \
                 an epoch. The numbers bear random noise, drawn once; the 95 % intervals say where the \
                 numbers of the data are, and nothing of printers that are not in the data. A group is \
                 told if at least {k} principals are in it in every epoch; of smaller groups fewer than one \
                 in a million is told by chance."
            ),
            unit: "principal".to_owned(),
            epsilon_micro: epsilon,
            delta: 0,
            k: k.get(),
            margin: u64::try_from(self.margin()).unwrap_or(u64::MAX),
            noise,
        }
    }

    /// What is told of the noisy numbers.
    pub(crate) fn settle(&self, question: &Question, k: NonZeroU32, noisy: &Noisy) -> Settled {
        let width = question.measure.width();
        let mut rows = noisy.rows.chunks(width.max(1));
        let mut values = noisy.values.iter();
        let mut groups = Vec::new();
        for (labels, principals) in question.groups.iter().zip(&noisy.principals) {
            let rows = rows.next().unwrap_or_default();
            let value = values.next();
            let Some(principals) = self.enough(k, principals) else { continue };
            let Some(number) = self.number(&question.measure, rows, value) else { continue };
            groups.push(Told { group: labels.clone(), principals, number });
        }
        let withheld = question.groups.len().saturating_sub(groups.len());
        Settled { groups, withheld }
    }

    /// The principals of a group, if it may be told.
    ///
    /// The interval holds for groups that are told, of at least `k`. Above the threshold the choice
    /// at most doubles what is outside. Below it a group is told only by its noise, whose excess over
    /// the threshold says nothing of the group; so a small excess has `k` as the lower end.
    fn enough(&self, k: NonZeroU32, noisy: &IBig) -> Option<Counted> {
        let k = IBig::from(k.get());
        let threshold = &k + self.margin();
        if *noisy < threshold {
            return None;
        }
        let away = self.principals.beyond(OUTSIDE_HALF);
        let far = threshold + self.principals.excess(OUTSIDE_HALF);
        let low = if *noisy < far { k } else { noisy - &away };
        Some(Counted { value: natural(noisy), low: natural(&low), high: natural(&(noisy + away)) })
    }

    fn number(&self, measure: &Measure, rows: &[IBig], value: Option<&IBig>) -> Option<Number> {
        let rows_told = || Some(counted(rows.first()?, self.rows.as_ref()?));
        match measure {
            Measure::Rows => Some(Number::Rows { rows: rows_told()? }),
            Measure::Printers => {
                Some(Number::Printers { printers: counted(value?, self.values.as_ref()?) })
            }
            Measure::Histogram { bins } => {
                let noise = self.rows.as_ref()?;
                let bin = |(bin, rows): (&String, &IBig)| Bin {
                    bin: bin.clone(),
                    rows: counted(rows, noise),
                };
                Some(Number::Histogram { bins: bins.iter().zip(rows).map(bin).collect() })
            }
            Measure::Mean { largest_millionths } => {
                let unit = float(&IBig::from(MILLIONTHS));
                let most = float(&IBig::from(largest_millionths.get())) / unit;
                let ratio = self.ratio(rows.first()?, value?, unit, most)?;
                let Ratio { value: mean, low, high } = ratio;
                Some(Number::Mean { mean, low, high, rows: rows_told()? })
            }
            Measure::Rate => {
                let Ratio { value: rate, low, high } =
                    self.ratio(rows.first()?, value?, 1.0, 1.0)?;
                Some(Number::Rate { rate, low, high, rows: rows_told()? })
            }
        }
    }

    /// Sum over rows, from 0 to `most`. The interval holds every ratio of a sum and rows that are
    /// both within theirs, each of which misses in half of the 5 %.
    fn ratio(&self, rows: &IBig, sum: &IBig, unit: f64, most: f64) -> Option<Ratio> {
        let of_rows = self.rows.as_ref()?.beyond(OUTSIDE_HALF);
        let of_sum = self.values.as_ref()?.beyond(OUTSIDE_HALF);
        let one = IBig::ONE;
        let at_least_one = |rows: IBig| float(&rows.max(one.clone()));
        let at_least_zero = |sum: IBig| float(&sum.max(IBig::ZERO)) / unit;
        let low = at_least_zero(sum - &of_sum) / at_least_one(rows + &of_rows);
        let high = at_least_zero(sum + of_sum) / at_least_one(rows - of_rows);
        let (low, high) = (low.min(most), high.min(most));
        let value = (*rows >= one)
            .then(|| (at_least_zero(sum.clone()) / float(rows)).clamp(low, high.max(low)));
        Some(rounded(&Ratio { value, low, high }, most))
    }
}

/// A mean or share with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ratio {
    value: Option<f64>,
    low: f64,
    high: f64,
}

/// Two digits of half the interval, at most nine decimals; the interval is rounded outwards.
fn rounded(exact: &Ratio, most: f64) -> Ratio {
    let half = (exact.high - exact.low) / 2.0;
    let mut power = 1.0;
    while half * power < 10.0 && power < 1e9 {
        power *= 10.0;
    }
    let high = ((exact.high * power).ceil() / power).min(most);
    Ratio {
        value: exact.value.map(|value| ((value * power).round() / power).min(high)),
        low: (exact.low * power).floor() / power,
        high,
    }
}

/// A count as it is told.
fn counted(noisy: &IBig, noise: &Laplace) -> Counted {
    let away = noise.beyond(OUTSIDE);
    Counted {
        value: natural(noisy),
        low: natural(&(noisy - &away)),
        high: natural(&(noisy + away)),
    }
}

/// At least zero.
fn natural(number: &IBig) -> u64 {
    u64::try_from(number.clone().max(IBig::ZERO)).unwrap_or(u64::MAX)
}

fn float(number: &IBig) -> f64 {
    number.to_f64().value()
}

/// One of so many equal parts of epsilon.
fn share(epsilon: MicroEpsilon, parts: u64) -> RBig {
    RBig::from(epsilon.0) / RBig::from(parts * MILLIONTHS)
}

fn wide(length: usize) -> u128 {
    u128::try_from(length).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests;
