//! Answers about groups: registered metrics over the lake's Parquet files, never about a printer.
//!
//! A question names a metric of `metrics.toml`; nothing else can be asked. A group is told only if
//! in every epoch that it covers at least k enrolled principals are in it, none of them weighs more
//! than 30 % of it and no two more than 50 % (INV-11). Epochs are never summed into one count of
//! principals, because pseudonyms change with them. What is withheld takes others with it, until no
//! margin gives it back, and what is told is rounded.
//!
//! The service reads the catalogue and the files that it names. It never reads ledger or pepper,
//! and what leaves it holds no pseudonym.

mod answer;
mod asked;
mod columns;
mod days;
mod difference;
mod dimension;
mod edition;
mod engine;
mod error;
mod estimate;
mod files;
mod fold;
mod gate;
mod margins;
mod metric;
mod nearest;
mod page;
mod people;
mod plan;
mod quantile;
mod released;
mod render;
mod request;
mod round;
mod scan;
mod settle;
mod state;
mod suppress;
mod table;
mod tally;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Bin, Cell, Difference, Quantile, Value};
pub use asked::{Asked, questions};
pub use dimension::Dimension;
pub use edition::{EDITION_LENGTH, EditionError};
pub use engine::{Engine, EngineSettings};
pub use error::{MetricsError, QueryError, ThresholdError};
pub use gate::{K_INSIDE, TOP1_PERCENT, TOP2_PERCENT, Threshold};
pub use metric::{Counted, Measure, Metric, metrics};
pub use page::metrics_page;
pub use released::{MakeError, ROWS_DEFAULT, ReleaseRequest, Released, readable};
pub use request::{DIMENSIONS_MOST, Request};
pub use round::STEP_PRINCIPALS;
