//! The overview: how many consent to what, what the collector answered, which requests are due. Counts and
//! dates, swapped whole beside the catalogue.
//!
//! It is all that the console is told of the ledger. It holds no subject, principal, pseudonym, token,
//! address or text of anybody's: what is not a number or a date is a [`Word`] of the code's own, a hash of
//! a policy or of the log, or the log's signed checkpoint. Counts are exact: whoever tells them on
//! withholds what is below k.

use std::path::Path;

use imprimatur_consent::{Category, Digest};
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::swapped::{self, CatalogueError};

/// Name of the file in the lake's folder.
const NAME: &str = "overview.json";

/// Letters of a word, at most.
const WORD_MAX: usize = 40;

/// A word of the code's own: at most 40 of `a` to `z` and `_`, so that neither a name nor a hash is one.
/// Empty where there is nothing to say.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Word(String);

/// A text that is no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a word has at most {WORD_MAX} of `a` to `z` and `_`")]
pub struct NoWord;

impl Word {
    /// Takes a word.
    ///
    /// # Errors
    /// [`NoWord`].
    pub fn of(text: &str) -> Result<Self, NoWord> {
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if plain && text.len() <= WORD_MAX { Ok(Self(text.to_owned())) } else { Err(NoWord) }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Word {
    type Error = NoWord;

    fn try_from(text: String) -> Result<Self, NoWord> {
        Self::of(&text)
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0
    }
}

/// How many say yes to a category under one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// To what.
    pub category: Category,
    /// SHA-256 of the policy agreed to.
    pub policy: Digest,
    /// The policy's version, from 1.
    pub version: u32,
    /// Enrolled principals of whom at least one subject has a grant that stands: neither withdrawn, lapsed
    /// nor restricted. A principal with subjects under two policies is in two of these counts.
    pub principals: u64,
}

/// Answers of one kind on one day.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerCount {
    /// The UTC date on which they were counted.
    pub date: UtcDate,
    /// What kind: `stored`, `refused`, ...
    pub outcome: Word,
    /// Why; empty where there is only one reason.
    pub reason: Word,
    /// How many.
    pub count: u64,
}

/// A request of an owner or the operator, without number and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// When it came.
    pub received: UtcDate,
    /// What was asked: `erase`, `export`, ...
    pub kind: Word,
    /// When it must be finished.
    pub due: UtcDate,
    /// When it was done; `None` while it is open.
    pub done: Option<UtcDate>,
    /// Whether a legal hold stands in its way: then it is not overdue.
    pub held: bool,
}

/// The published transparency log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogState {
    /// Number of its entries.
    pub size: u64,
    /// Its root hash.
    pub root: Digest,
    /// The signed note that says so.
    pub checkpoint: String,
}

/// What is told of the ledger, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overview {
    /// When it was published; grants and requests are judged by its date.
    pub published: UnixSeconds,
    /// Events and commits that it knows: the newest position of their one order.
    pub position: u64,
    /// Whether all of it comes from a synthetic fleet.
    pub synthetic: bool,
    /// Enrolled principals with at least one subject that has not ended.
    pub principals: u64,
    /// Consent by category and policy, in this order; without those that nobody agreed to.
    pub coverage: Vec<Coverage>,
    /// Answers by date, outcome and reason, in this order: of the last 400 days on which there were any.
    pub answers: Vec<AnswerCount>,
    /// Batches that are stored and not in the lake yet.
    pub batches_waiting: u64,
    /// Requests that are open, or were done in the last 90 days, by the day on which they came and their
    /// kind, so that their order tells nothing more; at most 1,000.
    pub requests: Vec<Request>,
    /// The log.
    pub log: LogState,
}

impl Overview {
    /// Reads the overview of a lake.
    ///
    /// # Errors
    /// [`CatalogueError::Absent`] before the first publication; otherwise what is wrong.
    pub fn load(folder: &Path) -> Result<Self, CatalogueError> {
        swapped::load(folder, NAME)
    }

    /// Publishes it in the place of the older one.
    ///
    /// # Errors
    /// [`CatalogueError::Io`]; the old one still stands.
    pub fn store(&self, folder: &Path) -> Result<(), CatalogueError> {
        swapped::store(folder, NAME, self)
    }
}
