//! Why there is no answer. No text here holds a pseudonym, a path of a person or a row.

use std::num::NonZeroU32;

use imprimatur_lake::{CatalogueError, ReadError};
use imprimatur_runtime::UtcDate;
use imprimatur_runtime::clock::NotADate;

use crate::dimension::Dimension;
use crate::edition::EditionError;
use crate::gate::K_INSIDE;
use crate::request::DIMENSIONS_MOST;

/// The registered metrics do not fit the contract. Stop at start and repair `metrics.toml`.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The text is no list of metrics.
    #[error("cannot parse the metrics")]
    Parse(#[source] toml::de::Error),
    /// A dimension that the table does not have.
    #[error("metrics.toml, line {line}: `{name}` is no dimension of `{table}`{hint}")]
    Dimension {
        /// Where it is, from 1.
        line: usize,
        /// What is written.
        name: String,
        /// The table.
        table: &'static str,
        /// The nearest name, if one is near.
        hint: String,
    },
    /// One of the twenty questions cannot be asked. Repair `questions.toml`.
    #[error("questions.toml, question {number}")]
    Question {
        /// Its number.
        number: u8,
        /// What is wrong.
        #[source]
        source: Box<QueryError>,
    },
    /// A key of a metric is missing, surplus or wrong.
    #[error("metrics.toml, line {line}, metric `{metric}`, key `{key}`: {problem}")]
    Invalid {
        /// Where the metric's name is, from 1.
        line: usize,
        /// The metric's name.
        metric: String,
        /// The key in `metrics.toml`.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// A threshold that protects nobody and does not say so. Report and exit with 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`k` is {k}, expected {K_INSIDE} and more, or 1 where the operator is the only principal")]
pub struct ThresholdError {
    /// What was configured.
    pub k: u32,
}

/// A question without an answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// There is no such metric. Usage error: exit with 2.
    #[error("there is no metric `{name}`{hint}; the metrics are {allowed}")]
    UnknownMetric {
        /// What was asked.
        name: String,
        /// The nearest name, if one is near.
        hint: String,
        /// All metrics.
        allowed: String,
    },
    /// There is no such dimension. Usage error: exit with 2.
    #[error("there is no dimension `{name}`{hint}; the dimensions are {allowed}")]
    UnknownDimension {
        /// What was asked.
        name: String,
        /// The nearest name, if one is near.
        hint: String,
        /// All dimensions.
        allowed: String,
    },
    /// The metric does not allow this dimension. Usage error: exit with 2.
    #[error("`{metric}` cannot be grouped or filtered by `{dimension}`; it allows {allowed}")]
    DimensionNotAllowed {
        /// The metric.
        metric: String,
        /// What was asked.
        dimension: Dimension,
        /// What it allows.
        allowed: String,
    },
    /// A filter's value is none of its dimension. Usage error: exit with 2.
    #[error("`{value}` is no value of `{dimension}`; write {allowed}")]
    UnknownValue {
        /// The dimension.
        dimension: Dimension,
        /// What was asked.
        value: String,
        /// What may be written.
        allowed: String,
    },
    /// A filter that is not `dimension=value`. Usage error: exit with 2.
    #[error("`{text}` is no filter; write it as DIMENSION=VALUE")]
    NotAFilter {
        /// What was asked.
        text: String,
    },
    /// The date since when to count is none. Usage error: exit with 2.
    #[error("`--since` takes a date")]
    Since(#[source] NotADate),
    /// The first day is not the first of a month. Usage error: exit with 2.
    #[error(
        "`{since}` is not the first day of a month, as a first day has to be: months are what each group is held to"
    )]
    SinceMidMonth {
        /// What was asked.
        since: UtcDate,
    },
    /// Several values of a dimension that is not grouped by. Usage error: exit with 2.
    #[error(
        "a filter takes one value of `{dimension}`, or group by `{dimension}` to have several beside each other"
    )]
    SeveralValues {
        /// The dimension.
        dimension: Dimension,
    },
    /// No group may be told. The answer is no: exit with 1. Fewer dimensions, wider filters or
    /// another start date may help.
    #[error(
        "no group has at least {k} principals in each month that it covers, none of them holding \
         more than {top1_percent} % of it and no two more than {top2_percent} %; {suppressed} \
         withheld"
    )]
    BelowThreshold {
        /// How many principals each group needs in each epoch.
        k: NonZeroU32,
        /// Most that one may hold of a group, in percent.
        top1_percent: u8,
        /// Most that two may hold together, in percent.
        top2_percent: u8,
        /// How many groups were withheld, at least 1, also when there were no rows at all.
        suppressed: usize,
    },
    /// The groups cannot be told beside the answers to the same question with fewer dimensions, or
    /// there are too many of them. The answer is no: exit with 1. Fewer or other dimensions help.
    #[error(
        "these groups cannot be told beside their totals; ask by fewer dimensions, at most \
         {DIMENSIONS_MOST}, or by others"
    )]
    TooFine,
    /// The registered metrics are wrong. Exit with 64.
    #[error("the registered metrics do not fit the contract")]
    Metrics(#[from] MetricsError),
    /// There is no usable catalogue. Wait for the collector to publish; exit with 69.
    #[error("cannot read what was published")]
    Catalogue(#[source] CatalogueError),
    /// It is not known of which edition the answer would be. Exit with 69.
    #[error("cannot tell since when answers count")]
    Edition(#[from] EditionError),
    /// Other processes began editions faster than this one could answer. Ask again; exit with 69.
    #[error("what is published changed while the answer was made; ask again")]
    Moved,
    /// A file is not what the catalogue says. Run the verifier; exit with 69.
    #[error("the lake's file `{path}` is not what was published")]
    File {
        /// Its path in the lake.
        path: String,
        /// What is wrong.
        #[source]
        source: ReadError,
    },
    /// The question needs more memory than the pool has. Start later, or give the pool more.
    #[error("the answer needs more than the {memory_bytes} bytes that are allowed")]
    TooLarge {
        /// Size of the pool.
        memory_bytes: usize,
    },
    /// The engine failed. Report it with the log; exit with 69.
    #[error("the query engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}
