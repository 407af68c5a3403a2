//! The lake: Parquet files by table and UTC date, and the catalogue that names them.
//!
//! # Layout
//!
//! ```text
//! catalogue.json                                          the only list of files; swapped whole
//! overview.json                                           counts of the ledger for the console; swapped whole
//! report.json                                             the verifier's last report in brief, if asked for
//! print/date=2026-11-21/FIRST-LAST-HASH.parquet           one row a print
//! day/date=2026-11-21/FIRST-LAST-HASH.parquet             one row a printer and day
//! ```
//!
//! FIRST and LAST are the lowest and highest commit number in the file, 20 decimal digits each.
//! HASH is the first 16 hex digits of the SHA-256 of the file, so that the same rows give the same
//! name and other rows never replace bytes that an older catalogue still names.
//!
//! A file is Parquet, zstd, without key-value metadata, without page indexes, and without any byte
//! between its column chunks. Rows stand in the order of commit, ordinal, subject, principal, cells.
//! Columns, in this order:
//!
//! | column | type | meaning |
//! | --- | --- | --- |
//! | `commit` | `UInt64` | number of the commit in the book |
//! | `ordinal` | `UInt32` | place within its batch |
//! | `epoch` | `UInt32` | of the pseudonyms: a month, `year * 100 + month`, or a day, `month * 100 + day` |
//! | `subject` | `FixedSizeBinary(16)` | pseudonym |
//! | `principal` | `FixedSizeBinary(16)` | pseudonym |
//! | `date` | `Date32` | UTC date of the record, the same as the folder's |
//! | each value of the contract | nullable `UInt8` (`UInt16` over 256 states) | null: the section is absent; 0: present, value unknown; from 1: index |
//!
//! # Invariants
//!
//! - Every cell is a bounded integer of the contract; there is no text (INV-7).
//! - A file appears whole and durable, or not at all; a file that no catalogue names is not data.
//! - Reading checks length and SHA-256 before anything else; bytes give an error, never a panic.
//!
//! The lake never sees a subject, a principal or a pepper: only pseudonyms.

mod catalogue;
mod decode;
mod file;
mod layout;
mod overview;
mod read;
mod report;
mod row;
mod rules;
mod swapped;
#[cfg(test)]
mod tests;
mod write;

pub use catalogue::{Catalogue, Exclusion};
pub use file::{FileEntry, Lake, OpenError, RewriteError, SweepError};
pub use layout::schema;
pub use overview::{AnswerCount, Coverage, LogState, NoWord, Overview, Request, Word};
pub use read::ReadError;
pub use report::{Checked, Report, Verdict};
pub use row::Row;
pub use rules::Rules;
pub use swapped::CatalogueError;
pub use write::WriteError;
