//! The book: everything that has effect, in one transactional store with one fsync.
//!
//! Consent events, standings, answers given, the journal of committed sections, their evidence and
//! the catalogue are written in the same redb transaction, so that no crash can separate an effect
//! from its evidence. A section enters only with a [`Permit`], which only an open transaction can
//! give. This crate decides nothing about bytes and speaks to no network.

pub mod book;
pub mod enrolment;
pub mod evidence;
pub mod permit;
pub mod pseudonym;
pub mod publish;
pub mod segments;
mod tables;
#[cfg(test)]
mod tests;

pub use book::{Book, BookError, LabelError, Repeat, Txn};
pub use enrolment::{Token, TokenUse};
pub use evidence::{CommitEvidence, ConsentEvidence, RecordEvidence};
pub use permit::{AppendError, OpenBatch, Permit};
pub use publish::{JournalRecord, Withdrawn};
