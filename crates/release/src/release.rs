//! What leaves the operator's team, as people read it. It is written once and never changed.

use std::fmt;

use imprimatur_consent::Digest;
use imprimatur_runtime::UtcDate;

use crate::limits::MicroEpsilon;
use crate::question::Question;

/// One released answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its name: [`Question::id`].
    pub id: Digest,
    /// What was asked.
    pub question: Question,
    /// The state of the lake that was asked: SHA-256 of what fixes its rows.
    pub edition: Digest,
    /// The UTC date of the release.
    #[serde(with = "crate::dates")]
    pub released: UtcDate,
    /// The withdrawn release that it replaces.
    pub replaces: Option<Digest>,
    /// The groups that are told, in the question's order; perhaps none.
    pub groups: Vec<Told>,
    /// Groups of the question that are not told: too few principals, perhaps none, are in them.
    pub withheld_groups: usize,
    /// What protects the people behind it.
    pub privacy: Privacy,
}

/// One group.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Its labels, in the order of the question's dimensions.
    pub group: Vec<String>,
    /// Enrolled principals in the epoch that has fewest.
    pub principals: Counted,
    /// The number.
    pub number: Number,
}

/// A whole number with noise, and its 95 % interval. What came out below zero is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// The number.
    pub value: u64,
    /// Lower end.
    pub low: u64,
    /// Upper end.
    pub high: u64,
}

/// The number of a group.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Number {
    /// How many rows.
    Rows {
        /// The count.
        rows: Counted,
    },
    /// How many printers in the epoch that has most.
    Printers {
        /// The count.
        printers: Counted,
    },
    /// Rows by bin.
    Histogram {
        /// All bins of the contract.
        bins: Vec<Bin>,
    },
    /// A mean in the question's unit.
    Mean {
        /// The mean, if the noisy rows are at least one.
        mean: Option<f64>,
        /// Lower end of the 95 % interval.
        low: f64,
        /// Upper end of the 95 % interval.
        high: f64,
        /// Rows that it is made of.
        rows: Counted,
    },
    /// A share, 0 to 1.
    Rate {
        /// The share, if the noisy rows are at least one.
        rate: Option<f64>,
        /// Lower end of the 95 % interval.
        low: f64,
        /// Upper end of the 95 % interval.
        high: f64,
        /// Rows that are looked at.
        rows: Counted,
    },
}

/// One bin or class.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// What it means.
    pub bin: String,
    /// Its rows.
    pub rows: Counted,
}

/// The privacy statement, so that anybody can compute it again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    /// In sentences.
    pub statement: String,
    /// Whom it protects: `principal`.
    pub unit: String,
    /// What the release may tell of one principal, in millionths of epsilon.
    pub epsilon_micro: MicroEpsilon,
    /// Always 0: the groups are chosen after the noise.
    pub delta: u32,
    /// Principals that a group needs.
    pub k: u32,
    /// Principals beyond `k` that the noisy number needs, so that a group of fewer than `k` is told
    /// with a probability below one in a million.
    pub margin: u64,
    /// The noise of each list of numbers; their epsilons add up to at most the release's.
    pub noise: Vec<Noise>,
}

/// Discrete Laplace noise: `z` with a probability in proportion to `exp(-|z| / scale)`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// What it is added to.
    pub of: Of,
    /// The most that one principal can change, all groups together, in `unit`.
    pub sensitivity: String,
    /// What a 1 is.
    pub unit: String,
    /// Its part of epsilon, a fraction.
    pub epsilon: String,
    /// Sensitivity divided by epsilon, a fraction.
    pub scale: String,
}

/// A list of numbers with noise of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Principals of each group.
    Principals,
    /// Rows of each group, or of each of its bins.
    Rows,
    /// Sums of the rows' values, of each group.
    Values,
}

/// A release as it is on the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What it says.
    pub release: Release,
    /// Its bytes; each time the same.
    pub bytes: Vec<u8>,
}

/// Why a release is told no more. A closed list, so that no text about anybody is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Somebody of its population withdrew, was restricted or erased.
    Excluded,
    /// Its metric, question or data were wrong.
    Mistaken,
    /// The operator tells it no more.
    Retired,
}

/// That a release is told no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// The release.
    pub release: Digest,
    /// Since this UTC date.
    #[serde(with = "crate::dates")]
    pub withdrawn: UtcDate,
    /// Why.
    pub reason: Reason,
}

/// A release in a list.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Listed {
    /// Its name.
    pub id: Digest,
    /// Name of the metric.
    pub metric: String,
    /// The UTC date of the release.
    #[serde(with = "crate::dates")]
    pub released: UtcDate,
    /// What it cost.
    pub epsilon_micro: MicroEpsilon,
    /// Whether it is told no more.
    pub withdrawn: Option<Tombstone>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Excluded => "somebody of its population is excluded",
            Self::Mistaken => "it was mistaken",
            Self::Retired => "retired",
        })
    }
}
