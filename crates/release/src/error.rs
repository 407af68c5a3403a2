//! Why there is no release. No text here holds a number that was counted, a label or a row.

use std::path::PathBuf;

use imprimatur_consent::Digest;
use imprimatur_runtime::entropy::NoEntropy;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::limits::MicroEpsilon;
use crate::release::Reason;

/// A question or sums that cannot be released. Nothing was spent; repair whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// It costs less than a release may.
    #[error("`epsilon` is {got}, expected {} and more", MicroEpsilon::LEAST)]
    Epsilon {
        /// What was asked for.
        got: MicroEpsilon,
    },
    /// No epoch, too many, or not in their order.
    #[error("`epochs` are to be 1 to {most}, ascending")]
    Epochs {
        /// How many there may be.
        most: usize,
    },
    /// The period ends before it begins.
    #[error("`last` is {last}, before `first`, {first}")]
    Dates {
        /// The first date.
        first: UtcDate,
        /// The last date.
        last: UtcDate,
    },
    /// No group, the same twice, or labels that are not one for each dimension.
    #[error("`groups` are to be different, at least one, with one label for each of `by`")]
    Groups,
    /// Too fine a grouping, or a histogram without bins.
    #[error("the release would have {cells} numbers, expected 1 to {most}; group by less")]
    Cells {
        /// Groups times bins.
        cells: usize,
        /// How many there may be.
        most: usize,
    },
    /// Sums of a group or an epoch that the question does not have.
    #[error("there are sums of group {group}, epoch {epoch}, which is not asked for")]
    Place {
        /// Index of the group.
        group: usize,
        /// The epoch.
        epoch: u32,
    },
    /// Sums that bounded principals cannot have.
    #[error("the sums of group {group}, epoch {epoch}, are more than its principals may have")]
    Unbounded {
        /// Index of the group.
        group: usize,
        /// The epoch.
        epoch: u32,
    },
}

/// The noise could not be drawn. The budget is spent; nothing was told. Report it.
#[derive(Debug, thiserror::Error)]
pub enum NoiseError {
    /// The library found that the scale is too small for the budget.
    #[error("the noise would cost {told} of epsilon, {allowed} is allowed")]
    TooLittle {
        /// By the library's map.
        told: f64,
        /// What was spent for it.
        allowed: f64,
    },
    /// The library failed.
    #[error("cannot draw noise")]
    Library(#[from] opendp::error::Error),
    /// The operating system gave no randomness.
    #[error("cannot draw noise")]
    Entropy(#[from] NoEntropy),
}

/// There is no budget left for a release. Nothing was spent; ask again when it is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the privacy budget is spent: {spent} of {limit} in {days} days, and the release costs {wanted}; \
     enough is free again on {}",
    free_again.date()
)]
pub struct BudgetSpent {
    /// Length of the period that is full: 30 or 365 days.
    pub days: u32,
    /// What was spent in it.
    pub spent: MicroEpsilon,
    /// What may be spent in it.
    pub limit: MicroEpsilon,
    /// What the release costs.
    pub wanted: MicroEpsilon,
    /// From when on it fits into every period, if nothing else is released until then.
    pub free_again: UnixSeconds,
}

/// Why there is no release, no list or no withdrawal.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// See there.
    #[error("the question cannot be released")]
    Question(#[from] QuestionError),
    /// See there.
    #[error(transparent)]
    Spent(#[from] BudgetSpent),
    /// No release may cost so much. Ask for less.
    #[error("the release costs {wanted} of epsilon, a release may cost {most}")]
    TooMuch {
        /// What the release costs.
        wanted: MicroEpsilon,
        /// The policy's limit.
        most: MicroEpsilon,
    },
    /// It was withdrawn. Ask again over a later edition, with a budget of its own.
    #[error("release {id} was withdrawn on {withdrawn} ({reason})")]
    Withdrawn {
        /// Which.
        id: Digest,
        /// When.
        withdrawn: UtcDate,
        /// Why.
        reason: Reason,
    },
    /// There is no such release.
    #[error("there is no release {id}")]
    Unknown {
        /// What was named.
        id: Digest,
    },
    /// A release can replace only a withdrawn one of the same question.
    #[error("release {id} cannot be replaced: it was not withdrawn, or asks something else")]
    NotReplaceable {
        /// What was named.
        id: Digest,
    },
    /// A line of the budget is not what was written. Nothing is released; restore the file.
    #[error("{}, line {line}, is not what was written; restore the file from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
    },
    /// The budget does not know of a release, so its end is missing. Nothing is released.
    #[error("{} does not know of release {id}: it lost lines; restore it from a backup", path.display())]
    CutShort {
        /// The file.
        path: PathBuf,
        /// A release that was paid for.
        id: Digest,
    },
    /// A release or tombstone that is not what was written. Restore it; it is not made anew.
    #[error("{} is not what was written; restore it from a backup", path.display())]
    NotARelease {
        /// The file.
        path: PathBuf,
    },
    /// See there.
    #[error("the noise of a release failed; its budget is spent")]
    Noise(#[from] NoiseError),
    /// The disk failed. What was spent may be spent; with `NotDurable` inside, end the process.
    #[error("cannot use {}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
