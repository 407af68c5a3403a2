//! What is asked, what may be answered to it at most, and the exact sums that noise is added to.
//!
//! Everything of a [`Question`] is public: its groups and bins come from the contract, never from
//! rows, so that it tells nothing of anybody which groups there are.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroU64};

use dashu::integer::IBig;
use imprimatur_consent::Digest;
use imprimatur_runtime::UtcDate;

use crate::error::QuestionError;
use crate::limits::MicroEpsilon;

/// Millionths of a value's unit in a sum.
pub(crate) const MILLIONTHS: u64 = 1_000_000;

/// The most numbers of one release: groups times bins.
const CELLS_MOST: usize = 10_000;

/// The most pseudonym epochs of one release: two months of days.
const EPOCHS_MOST: usize = 62;

/// One question, whole. Its digest with that of an edition is a release's name, so whatever changes
/// here makes another release, with its own budget.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Name of the registered metric.
    pub metric: String,
    /// Its name for people.
    pub title: String,
    /// Unit of the numbers, or what is counted.
    pub unit: String,
    /// What the numbers estimate.
    pub estimand: String,
    /// How it is computed.
    pub measure: Measure,
    /// First UTC date that is looked at.
    #[serde(with = "crate::dates")]
    pub first: UtcDate,
    /// Last UTC date that is looked at.
    #[serde(with = "crate::dates")]
    pub last: UtcDate,
    /// The pseudonym epochs that these dates touch: months as `202611`, days as `20261122`. One
    /// principal can be in each of them. 1 to 62, ascending.
    pub epochs: Vec<u32>,
    /// What the population was narrowed to: labels by the name of their dimension.
    pub filters: BTreeMap<String, BTreeSet<String>>,
    /// Names of the dimensions of the groups, in the order of their labels.
    pub by: Vec<String>,
    /// Every group that the contract knows, by its labels; without a dimension one group without a
    /// label. A row is in at most one of them.
    pub groups: Vec<Vec<String>>,
    /// Each principal contributes at most this many rows in an epoch, over all groups together.
    pub rows_per_principal_and_epoch: NonZeroU32,
    /// What the release costs; [`MicroEpsilon::LEAST`] to the limit of the policy.
    #[serde(rename = "epsilon_micro")]
    pub epsilon: MicroEpsilon,
    /// Whether the rows come from a synthetic fleet.
    pub synthetic: bool,
}

/// How the numbers are computed from the sums.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Measure {
    /// How many rows.
    Rows,
    /// How many printers in the epoch that has most; a row's value is at most one printer.
    Printers,
    /// Rows by bin or class.
    Histogram {
        /// All bins of the contract, by their meaning.
        bins: Vec<String>,
    },
    /// Mean of the rows' values.
    Mean {
        /// The largest value that a row can have, in millionths of the unit: the top bin's.
        largest_millionths: NonZeroU64,
    },
    /// Share of rows whose value is one; the others' is zero.
    Rate,
}

/// What one group has in one epoch, exactly, with every principal bounded already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Distinct enrolled principals.
    pub principals: u64,
    /// Rows; of a histogram those of all its bins.
    pub rows: u64,
    /// Sum of the rows' values in millionths of the unit; of printers and rates in whole units, so
    /// a multiple of 1,000,000. Zero where nothing is summed.
    pub value_millionths: u128,
    /// Rows of each bin of a histogram, in the order of the question's; empty otherwise.
    pub bins: Vec<u64>,
}

/// Sums by the index of their group in the question and their epoch; what is absent is zero.
pub type Table = BTreeMap<(usize, u32), Sums>;

/// The numbers that noise is added to, group by group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exact {
    /// Principals in the epoch that has fewest.
    pub(crate) principals: Vec<IBig>,
    /// Rows; of a histogram bin by bin.
    pub(crate) rows: Vec<IBig>,
    /// Sums of values, in [`Measure::step`]s.
    pub(crate) values: Vec<IBig>,
}

impl Measure {
    /// Bins of one group; 1 where there are none.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Histogram { bins } => bins.len(),
            Self::Rows | Self::Printers | Self::Mean { .. } | Self::Rate => 1,
        }
    }

    /// Millionths in which values are counted.
    fn step(&self) -> u64 {
        match self {
            Self::Printers | Self::Rate => MILLIONTHS,
            Self::Mean { .. } | Self::Rows | Self::Histogram { .. } => 1,
        }
    }

    /// The largest value of one row, in steps.
    pub(crate) fn largest(&self) -> u64 {
        match self {
            Self::Mean { largest_millionths } => largest_millionths.get(),
            Self::Printers | Self::Rate => 1,
            Self::Rows | Self::Histogram { .. } => 0,
        }
    }
}

impl Question {
    /// Name of its release over an edition: SHA-256 of both.
    ///
    /// The edition is the state of the lake that is asked: the SHA-256 of what fixes its rows.
    pub fn id(&self, edition: &Digest) -> Digest {
        let mut bytes = b"imprimatur release v1\0".to_vec();
        bytes.extend(edition.0);
        // Strings, numbers, lists and maps with text keys: writing them does not fail.
        bytes.extend(serde_json::to_vec(self).unwrap_or_default());
        Digest::of(&bytes)
    }

    /// Whether it can be released at all.
    ///
    /// # Errors
    /// [`QuestionError`], which names what is wrong.
    pub fn check(&self) -> Result<(), QuestionError> {
        if self.epsilon < MicroEpsilon::LEAST {
            return Err(QuestionError::Epsilon { got: self.epsilon });
        }
        let ascending = self.epochs.is_sorted_by(|before, after| before < after);
        if !ascending || self.epochs.is_empty() || self.epochs.len() > EPOCHS_MOST {
            return Err(QuestionError::Epochs { most: EPOCHS_MOST });
        }
        if self.last < self.first {
            return Err(QuestionError::Dates { first: self.first, last: self.last });
        }
        let different: BTreeSet<&Vec<String>> = self.groups.iter().collect();
        let fits = self.groups.iter().all(|labels| labels.len() == self.by.len());
        if self.groups.is_empty() || different.len() != self.groups.len() || !fits {
            return Err(QuestionError::Groups);
        }
        let cells = self.groups.len().saturating_mul(self.measure.width());
        if cells == 0 || cells > CELLS_MOST {
            return Err(QuestionError::Cells { cells, most: CELLS_MOST });
        }
        Ok(())
    }

    /// The numbers of the groups, zero where there is no sum.
    ///
    /// # Errors
    /// [`QuestionError::Place`] for sums of no group, [`QuestionError::Unbounded`] for sums that no
    /// bounded principals can have: whoever counted did not bound.
    pub(crate) fn exact(&self, table: &Table) -> Result<Exact, QuestionError> {
        for (&(group, epoch), sums) in table {
            let known = group < self.groups.len() && self.epochs.contains(&epoch);
            if !known {
                return Err(QuestionError::Place { group, epoch });
            }
            if !self.is_bounded(sums) {
                return Err(QuestionError::Unbounded { group, epoch });
            }
        }
        let mut exact = Exact { principals: Vec::new(), rows: Vec::new(), values: Vec::new() };
        let none = Sums::default();
        for group in 0..self.groups.len() {
            let epochs =
                || self.epochs.iter().map(|epoch| table.get(&(group, *epoch)).unwrap_or(&none));
            let fewest = epochs().map(|sums| sums.principals).min().unwrap_or(0);
            exact.principals.push(fewest.into());
            if let Measure::Histogram { bins } = &self.measure {
                for bin in 0..bins.len() {
                    let rows = epochs().filter_map(|sums| sums.bins.get(bin));
                    exact.rows.push(rows.copied().map(IBig::from).sum());
                }
            } else {
                exact.rows.push(epochs().map(|sums| IBig::from(sums.rows)).sum());
            }
            let values =
                epochs().map(|sums| sums.value_millionths / u128::from(self.measure.step()));
            exact.values.push(match self.measure {
                Measure::Printers => values.max().unwrap_or(0).into(),
                _ => values.map(IBig::from).sum(),
            });
        }
        Ok(exact)
    }

    /// Whether bounded principals can have such sums.
    fn is_bounded(&self, sums: &Sums) -> bool {
        let bound = u128::from(self.rows_per_principal_and_epoch.get());
        let rows = u128::from(sums.rows);
        let step = u128::from(self.measure.step());
        let most = rows.saturating_mul(u128::from(self.measure.largest())).saturating_mul(step);
        let bins_fit = match &self.measure {
            Measure::Histogram { bins } => {
                let in_bins: u128 = sums.bins.iter().copied().map(u128::from).sum();
                sums.bins.len() == bins.len() && in_bins == rows
            }
            Measure::Rows | Measure::Printers | Measure::Mean { .. } | Measure::Rate => {
                sums.bins.is_empty()
            }
        };
        bins_fit
            && sums.principals <= sums.rows
            && rows <= u128::from(sums.principals) * bound
            && sums.value_millionths <= most
            && sums.value_millionths.is_multiple_of(step)
    }
}

#[cfg(test)]
pub(crate) mod tests;
