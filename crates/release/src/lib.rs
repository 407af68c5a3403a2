//! What may leave the operator's team: numbers with noise, a budget that is kept, releases that stay.
//!
//! Inside the team groups of `k` principals are told as they are, rounded. Outside, nobody knows what
//! else is known, so a release is differentially private: for one principal, with all its printers,
//! whatever is told is at most `exp(epsilon)` times as probable with it as without it. Three rules:
//! the noise is drawn once, after its budget was spent and confirmed by the disk; the same question
//! over the same edition is the same bytes; what is withdrawn is told no more. Nothing here sees a
//! row, a pseudonym or a file of the lake: whoever counts gives exact, bounded sums of groups.
//!
//! ```
//! use std::collections::{BTreeMap, BTreeSet};
//!
//! use imprimatur_consent::{Category, Digest};
//! use imprimatur_release::{
//!     Limits, Marks, Measure, MicroEpsilon, Number, Population, Question, ReleaseError, Releases, Sums,
//!     Table,
//! };
//! use imprimatur_runtime::UnixSeconds;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let limits =
//!     Limits::new(50, MicroEpsilon::RELEASE, MicroEpsilon::MONTH, MicroEpsilon::YEAR)?;
//! let releases = Releases::open(folder, limits)?;
//!
//! let question = Question {
//!     metric: "success_rate".to_owned(),
//!     title: "Success rate".to_owned(),
//!     unit: "share of prints".to_owned(),
//!     estimand: "Share of prints that were done.".to_owned(),
//!     measure: Measure::Rate,
//!     first: "2026-10-01".parse()?,
//!     last: "2026-10-31".parse()?,
//!     epochs: vec![202_610],
//!     filters: BTreeMap::from([("machine_maker".to_owned(), BTreeSet::from(["own".to_owned()]))]),
//!     by: vec!["technology".to_owned()],
//!     groups: vec![vec!["FDM".to_owned()], vec!["SLA".to_owned()]],
//!     rows_per_principal_and_epoch: 300.try_into()?,
//!     epsilon: limits.release(),
//!     synthetic: true,
//! };
//! // 40,000 principals with a million prints, of which 93 % are done; nobody prints with the other.
//! let sums = Sums {
//!     principals: 40_000,
//!     rows: 1_000_000,
//!     value_millionths: 930_000 * 1_000_000,
//!     bins: Vec::new(),
//! };
//! let table = Table::from([((0, 202_610), sums)]);
//!
//! let excluded_at = Marks::from([(Category::Status, 7_001), (Category::Machine, 0)]);
//! let (edition, now) = (Digest::of(b"edition.json"), UnixSeconds(1_796_000_000));
//! let population = Population { edition, excluded_at: excluded_at.clone() };
//! let told = releases.release(&question, &population, &table, None, now)?;
//! let Number::Rate { rate, low, high, .. } = told.release.groups[0].number else { unreachable!() };
//! println!("{rate:?}, between {low} and {high}");
//! # assert!(low < high && told.release.withheld_groups < 2);
//!
//! // The same question tells the same bytes and costs nothing.
//! let again = releases.release(&question, &population, &table, None, now)?;
//! assert_eq!(again.bytes, told.bytes);
//! assert_eq!(releases.budget(now)?.month_spent, MicroEpsilon::RELEASE);
//!
//! // Somebody withdraws: whoever reads it next withdraws it.
//! let marks = Marks::from([(Category::Status, 7_002), (Category::Machine, 0)]);
//! let gone = releases.current(&marks, now)?.show(&told.release.id);
//! assert!(matches!(gone, Err(ReleaseError::Withdrawn { .. })));
//! # Ok(())
//! # }
//! ```

mod audit;
mod budget;
mod dates;
mod error;
mod limits;
mod marks;
mod noise;
mod question;
mod release;
mod settle;
mod store;

#[cfg(test)]
mod attack;

pub use audit::{Audited, audit};
pub use budget::Budget;
pub use error::{BudgetSpent, NoiseError, QuestionError, ReleaseError};
pub use limits::{K_RELEASED, Limits, LimitsError, MicroEpsilon};
pub use marks::{Made, Marks, Population};
pub use question::{Measure, Question, Sums, Table};
pub use release::{
    Bin, Counted, Listed, Noise, Number, Of, Privacy, Reason, Release, Standing, Told, Tombstone,
};
pub use store::{Current, Releases};
