//! What the oracle judges: plain records of what was said, answered and kept.

use std::collections::{BTreeMap, BTreeSet};

/// The id of an installation.
pub type Subject = [u8; 16];

/// A SHA-256.
pub type Hash = [u8; 32];

/// A category's number.
pub type Category = u32;

/// One record: what it tells, hashed, and which categories it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Days since 1970-01-01.
    pub date: u32,
    /// The categories of its sections.
    pub categories: BTreeSet<Category>,
    /// SHA-256 of what it tells.
    pub content: Hash,
}

/// A batch as it went over the wire, once for each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Who says it.
    pub subject: Subject,
    /// Its number.
    pub sequence: u64,
    /// SHA-256 of its frame.
    pub frame: Hash,
    /// Its records, in order.
    pub records: Vec<Record>,
}

/// An answer to a batch as it went over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// To whom.
    pub subject: Subject,
    /// The batch's number.
    pub sequence: u64,
    /// SHA-256 of its frame.
    pub frame: Hash,
    /// `None` when it is stored, else why not.
    pub refused: Option<String>,
}

/// A consent event that the collector replied to as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replied {
    /// Whose.
    pub subject: Subject,
    /// Its place in the log, from 0.
    pub leaf: u64,
}

/// What an event does to grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives categories.
    Granted,
    /// Takes them back.
    Withdrawn,
}

/// A consent event as the collector keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Place in the order that events and commits share.
    pub position: u64,
    /// Place in the log, from 0.
    pub leaf: u64,
    /// Whose.
    pub subject: Subject,
    /// What it does.
    pub change: Change,
    /// To which categories.
    pub categories: BTreeSet<Category>,
    /// The day on which it was recorded.
    pub date: u32,
}

/// A batch as the collector keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Place in the order that events and commits share.
    pub position: u64,
    /// Whose.
    pub subject: Subject,
    /// Its number.
    pub sequence: u64,
    /// SHA-256 of its frame.
    pub frame: Hash,
    /// Date and categories of its records, in order.
    pub records: Vec<(u32, BTreeSet<Category>)>,
}

/// A row of the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Position of its commit.
    pub commit: u64,
    /// Its place within the batch, from 0.
    pub ordinal: usize,
    /// What it tells.
    pub record: Record,
    /// The categories that no answer may use.
    pub excluded: BTreeSet<Category>,
}

/// A bound that was watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Of what, with the unit.
    pub what: String,
    /// The largest value seen.
    pub seen: u64,
    /// The largest allowed.
    pub most: u64,
}

/// What a run must at least have seen to prove anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Batches that were answered `stored`.
    pub acknowledged: u64,
    /// Processes that were taken away while batches waited for an answer.
    pub crashes: u64,
    /// Batches that went over the wire more than once.
    pub repeats: u64,
    /// Withdrawals while batches waited for an answer.
    pub withdrawals: u64,
}

/// A whole run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Frames that went out, in any order.
    pub issued: Vec<Issued>,
    /// Verdicts that came back.
    pub answered: Vec<Answered>,
    /// Receipts that came back.
    pub replied: Vec<Replied>,
    /// Consent events on disk.
    pub events: Vec<Event>,
    /// Commits on disk.
    pub commits: Vec<Commit>,
    /// Rows on disk.
    pub rows: Vec<Row>,
    /// Entries of the log on disk.
    pub log_size: u64,
    /// What the verifier found, if anything.
    pub verifier: Option<String>,
    /// The collector's counters of batches: `stored`, `repeated`, `refused.*`, `busy.batch`.
    pub counts: BTreeMap<String, u64>,
    /// Whether every frame reached the collector as often as it went out, and no count was lost.
    pub quiet: bool,
    /// What was watched.
    pub bounds: Vec<Bound>,
    /// Batches that waited when all had time to drain.
    pub waiting: u64,
    /// Records that were kept, sealed and never withdrawn, by subject: all must be stored.
    pub kept: BTreeMap<Subject, u64>,
    /// Whether something fresh was stored after the faults.
    pub fresh: bool,
    /// Crashes while batches waited, told by who did it.
    pub crashes: u64,
    /// Withdrawals while batches waited, told by who did it.
    pub withdrawals: u64,
}
