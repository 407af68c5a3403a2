//! Why a release was not made, shown or withdrawn. No text here holds a number that was counted.

use imprimatur_lake::CatalogueError;
use imprimatur_release::{LimitsError, ReleaseError};
use imprimatur_runtime::UtcDate;

use crate::dimension::Dimension;
use crate::error::QueryError;

/// A release that cannot be made or told.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// See there: the metric, the dimension or a value is unknown, or the engine failed.
    #[error("no release was made")]
    Query(#[from] QueryError),
    /// See there: the budget, a withdrawn release, the disk.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The month is none. Usage error: exit with 2.
    #[error("`{text}` is no month; write it as YYYY-MM, for example 2026-10")]
    NotAMonth {
        /// What was asked.
        text: String,
    },
    /// Rows of it may still come. Usage error: exit with 2.
    #[error("{month} is not over: it can be released from the day after {last}")]
    NotOver {
        /// The month.
        month: String,
        /// Its last day.
        last: UtcDate,
    },
    /// More than one dimension. Usage error: exit with 2.
    #[error("a release has the groups of one dimension at most")]
    SeveralDimensions,
    /// The contract does not list the dimension's values. Usage error: exit with 2.
    #[error(
        "a release cannot be grouped by `{dimension}`, whose groups only rows tell; it can by {allowed}"
    )]
    Open {
        /// What was asked.
        dimension: Dimension,
        /// What the metric has with a closed list of values.
        allowed: String,
    },
    /// A filter on a dimension that is not grouped by. Usage error: exit with 2.
    #[error("a release is narrowed to groups of its own dimension alone; group by `{dimension}`")]
    Filter {
        /// What was asked.
        dimension: Dimension,
    },
    /// No row can be in a group that was named. Usage error: exit with 2.
    #[error("a group that was named cannot have rows of this metric")]
    NoGroup,
    /// No row of the metric adds anything. Report it; exit with 69.
    #[error("`{metric}` has no largest value, so noise cannot be sized for it")]
    Unbounded {
        /// Its name.
        metric: String,
    },
    /// The engine counted something that the question does not have. Report it; exit with 69.
    #[error("the counts do not fit the question; nothing was spent")]
    Sums,
    /// The policies' limits protect less than a release must. Exit with 64.
    #[error("the policies' limits cannot be used for releases")]
    Limits(#[from] LimitsError),
    /// There is no usable catalogue, so nobody knows whether somebody was excluded since. Exit with 69.
    #[error("nothing is told without the catalogue, which says who is excluded")]
    Catalogue(#[source] CatalogueError),
}
