//! The tables of the book. What tells something about a subject is sealed under its slot's key.

use redb::TableDefinition;

/// A table with raw byte values.
pub(crate) type Bytes<K> = TableDefinition<'static, K, &'static [u8]>;

/// Slot, to the sealed [`crate::subject::Held`] of a subject.
pub(crate) const SUBJECTS: Bytes<u64> = Bytes::new("subjects");
/// Position, to a recorded event ([`crate::ConsentEvidence`]). Append-only.
pub(crate) const EVENTS: Bytes<u64> = Bytes::new("events");
/// Position, to a commit's evidence ([`crate::CommitEvidence`]). Append-only.
pub(crate) const COMMITS: Bytes<u64> = Bytes::new("commits");
/// Position, to slot and sealed records that the lake does not hold yet.
pub(crate) const JOURNAL: Bytes<u64> = Bytes::new("journal");
/// Slot and event number, to the sealed SHA-256 of the event and the receipt given.
pub(crate) const RECEIPTS: Bytes<(u64, u64)> = Bytes::new("receipts");
/// Slot and batch number, to the sealed SHA-256 of the frame and the verdict given.
pub(crate) const VERDICTS: Bytes<(u64, u64)> = Bytes::new("verdicts");
/// Slot, to how many verdicts are remembered and the highest number that was forgotten.
pub(crate) const WINDOWS: TableDefinition<'static, u64, (u64, u64)> =
    TableDefinition::new("windows");
/// Slot, to the sealed counts of what its dates have told ([`crate::told`]).
pub(crate) const TOLD: Bytes<u64> = Bytes::new("told");
/// Slot and pseudonym epoch of which the book committed something.
pub(crate) const EPOCHS: TableDefinition<'static, (u64, u32), ()> = TableDefinition::new("epochs");
/// Name of an enrolment token, to its verifier (32 bytes) and, once it is spent, the slot (8).
pub(crate) const TOKENS: Bytes<[u8; 16]> = Bytes::new("tokens");
/// Pseudonym epoch, to the slot of its pepper.
pub(crate) const PEPPERS: TableDefinition<'static, u32, u64> = TableDefinition::new("peppers");
/// Day of erasures, to the slot of the secret of its marks.
pub(crate) const TOMB_KEYS: TableDefinition<'static, u32, u64> = TableDefinition::new("tomb_keys");
/// Day of an erasure and the mark of the key that was erased.
pub(crate) const TOMBS: TableDefinition<'static, (u32, [u8; 16]), ()> =
    TableDefinition::new("tombs");
/// Slots that are to be destroyed: done after the commit that names them, and at the next start.
pub(crate) const CONDEMNED: TableDefinition<'static, u64, ()> = TableDefinition::new("condemned");
/// Number of a task of the publisher, to its slot (8 bytes) and the sealed task.
pub(crate) const TASKS: Bytes<u64> = Bytes::new("tasks");
/// Number of a request of an owner, to its entry ([`crate::register::Entry`]).
pub(crate) const REGISTER: Bytes<u64> = Bytes::new("register");
/// Path of a lake file, to its entry in the catalogue.
pub(crate) const FILES: Bytes<&'static str> = Bytes::new("files");
/// File name of an evidence segment, to its entry in the manifest.
pub(crate) const SEGMENTS: Bytes<&'static str> = Bytes::new("segments");
/// SHA-256 of a policy, to its text.
pub(crate) const POLICIES: Bytes<[u8; 32]> = Bytes::new("policies");
/// Id of a backup, to its entry in the inventory.
pub(crate) const BACKUPS: Bytes<&'static str> = Bytes::new("backups");
/// Number of an entry of the log, from 0, to its bytes. Append-only.
pub(crate) const ENTRIES: Bytes<u64> = Bytes::new("log_entries");
/// Level and index of a complete subtree of the log, to its hash. Append-only.
pub(crate) const NODES: TableDefinition<'static, (u8, u64), [u8; 32]> =
    TableDefinition::new("log_nodes");
/// Counters: answers by outcome and reason.
pub(crate) const COUNTS: TableDefinition<'static, &'static str, u64> =
    TableDefinition::new("counts");
/// UTC day and name of a counter, to what it counted on that day ([`crate::counts`]).
pub(crate) const COUNTS_BY_DAY: TableDefinition<'static, (u32, &'static str), u64> =
    TableDefinition::new("counts_by_day");
/// Single numbers, by the keys below.
pub(crate) const NUMBERS: TableDefinition<'static, &'static str, u64> =
    TableDefinition::new("numbers");

/// Key in [`NUMBERS`]: the newest position of the order that events and commits share.
pub(crate) const POSITION: &str = "position";
/// Key in [`NUMBERS`]: what the book holds for its life ([`crate::book::Label`]).
pub(crate) const SYNTHETIC: &str = "synthetic";
/// Key in [`NUMBERS`]: the newest position whose records are in the lake.
pub(crate) const PUBLISHED: &str = "published";
/// Key in [`NUMBERS`]: the number of entries of the log.
pub(crate) const LOG_SIZE: &str = "log_size";
/// Key in [`NUMBERS`]: the newest number of the register of requests.
pub(crate) const REQUESTS: &str = "requests";
/// Key in [`NUMBERS`]: the newest number of a task.
pub(crate) const TASK: &str = "task";
/// Key in [`NUMBERS`]: 1 from the replay of a restore to its end.
pub(crate) const RESTORING: &str = "restoring";
/// Keys in [`NUMBERS`], with the name of a table: the first day whose rows are kept.
pub(crate) const KEPT_SINCE: &str = "kept_since.";
/// Keys in [`NUMBERS`], with the name of a category: its mark ([`crate::marks`]).
pub(crate) const EXCLUDED_AT: &str = "excluded_at.";
