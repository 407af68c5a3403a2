//! What leaves the service: groups, their numbers and what was withheld. It holds no pseudonym.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use imprimatur_runtime::UnixSeconds;

use crate::dimension::Dimension;

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Answer {
    /// Name of the metric.
    pub metric: String,
    /// Its name for people.
    pub title: String,
    /// Unit of the values, or what is counted.
    pub unit: String,
    /// What the numbers estimate.
    pub estimand: String,
    /// Principals that each group needs in each epoch.
    pub k: NonZeroU32,
    /// The dimensions of the groups, in the order of columns.
    pub by: Vec<Dimension>,
    /// The groups that may be told, in the order of their dimensions; never empty.
    pub cells: Vec<Cell>,
    /// Second group less first, where a mean or a share of two groups of one dimension is told.
    pub difference: Option<Difference>,
    /// Groups that exist and are not told: they are too small, or would give back one that is.
    pub suppressed_cells: usize,
    /// Whether the rows come from a synthetic fleet.
    pub synthetic: bool,
    /// When the state that was asked was published.
    pub published: UnixSeconds,
    /// What protects the people behind it, in sentences.
    pub privacy: String,
}

/// How two groups that are told differ. It is made of what is told of them and of nothing else.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// The group that is taken away.
    pub from: String,
    /// The group that it is taken from.
    pub to: String,
    /// Value of `to` less that of `from`, in the answer's unit.
    pub difference: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

/// One group.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Cell {
    /// Its place in each dimension.
    pub dimensions: BTreeMap<Dimension, String>,
    /// Enrolled principals: the most within one epoch, rounded.
    pub principals: u64,
    /// Rows that the value is made of, rounded; of a histogram the sum of the bins that are told.
    pub rows: u64,
    /// The number.
    pub value: Value,
}

/// The number of a group.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Value {
    /// How many.
    Count {
        /// The count, rounded.
        count: u64,
    },
    /// A mean in the answer's unit.
    Mean {
        /// The mean.
        mean: f64,
        /// Lower end of the 95 % interval.
        low: Option<f64>,
        /// Upper end of the 95 % interval.
        high: Option<f64>,
        /// Mean times rows, both as they are told.
        total: f64,
    },
    /// A share, 0 to 1.
    Rate {
        /// The share.
        rate: f64,
        /// Lower end of the 95 % interval.
        low: f64,
        /// Upper end of the 95 % interval.
        high: f64,
    },
    /// Rows by bin or class, all of the contract in their order.
    Histogram {
        /// The bins.
        bins: Vec<Bin>,
        /// Bins that are not told: few principals, perhaps none, are in them, or they would give
        /// back one of which that is so.
        withheld: usize,
        /// Where the quarters of the told rows lie; empty where the bins are classes, which have no order.
        quantiles: Vec<Quantile>,
    },
}

/// The bins in which a quantile of the told rows lies, whatever their exact numbers are.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Quantile {
    /// The share of the told rows that lies in it or before it, 0 to 1.
    pub share: f64,
    /// Index of the first bin that could hold it.
    pub first_bin: u32,
    /// Index of the last bin that could hold it.
    pub last_bin: u32,
    /// Lower edge of the first bin, in the field's unit; `None` for an open end.
    pub low: Option<f64>,
    /// Upper edge of the last bin, in the field's unit; `None` for an open end.
    pub high: Option<f64>,
}

/// One bin or class of a histogram.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Bin {
    /// Index in the contract, from 1.
    pub index: u32,
    /// What it means.
    pub meaning: String,
    /// Lower bound in the field's unit; `None` for classes and open ends.
    pub low: Option<f64>,
    /// Upper bound in the field's unit; `None` for classes and open ends.
    pub high: Option<f64>,
    /// Rows, rounded; `None` when the bin is withheld.
    pub rows: Option<u64>,
}
