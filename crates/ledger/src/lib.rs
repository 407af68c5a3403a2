//! The book: everything that has effect, in one transactional store with one fsync.
//!
//! Events about consent, standings, answers given, the journal of committed sections, their
//! evidence, the log and the catalogue are written in the same redb transaction, so that no crash
//! can separate an effect from its evidence (INV-9). A section enters only with a [`Permit`], which
//! only an open transaction can give (INV-1). What tells something about a subject is sealed under
//! a key of its own, so that destroying 32 bytes destroys it everywhere (INV-10). This crate decides
//! nothing about bytes and speaks to no network.

mod asked;
pub mod backup;
pub mod book;
mod counts;
pub mod enrolment;
mod error;
mod events;
pub mod evidence;
mod hexed;
pub mod index;
mod journal;
pub mod keyring;
pub mod log;
mod marks;
pub mod permit;
mod policies;
mod population;
mod pseudonym;
mod publish;
pub mod reader;
pub mod register;
mod remembered;
mod restore;
pub mod rights;
mod seal;
pub mod segments;
mod subject;
mod tables;
pub mod tasks;
#[cfg(test)]
mod tests;
mod told;
mod tomb;
mod txn;

pub use backup::{Backup, BackupError};
pub use book::{Book, Label};
pub use counts::COUNT_DAYS;
pub use enrolment::{Token, TokenUse};
pub use error::{BookError, LabelError};
pub use events::Logged;
pub use evidence::{CommitEvidence, CommitProof, ConsentEvidence, Opened, RecordEvidence};
pub use index::{Coverage, Index, Known};
pub use journal::JournalRecord;
pub use keyring::{Keyring, KeyringError};
pub use log::Proof;
pub use permit::{AppendError, NoRecord, OpenBatch, Permit};
pub use policies::PublishError;
pub use population::Withdrawn;
pub use reader::{ReadError, Reader};
pub use remembered::{Repeat, VERDICTS_REMEMBERED};
pub use restore::Replayed;
pub use tasks::{Job, Work};
pub use told::DAYS_A_DATE;
pub use txn::Txn;
