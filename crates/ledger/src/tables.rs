//! The tables of the book. Values are JSON unless said otherwise, so that any tool can read them.

use redb::TableDefinition;

/// A table with raw byte values.
pub(crate) type Bytes<K> = TableDefinition<'static, K, &'static [u8]>;

/// Subject, to its standing.
pub(crate) const STANDING: Bytes<[u8; 16]> = Bytes::new("standing");
/// Position, to a recorded consent event ([`crate::ConsentEvidence`]). Append-only.
pub(crate) const CONSENT: Bytes<u64> = Bytes::new("consent");
/// Position, to a commit's evidence ([`crate::CommitEvidence`]). Append-only.
pub(crate) const EVIDENCE: Bytes<u64> = Bytes::new("evidence");
/// Position, to the committed records that the lake does not hold yet.
pub(crate) const JOURNAL: Bytes<u64> = Bytes::new("journal");
/// Subject and consent event number, to the event's SHA-256 (32 bytes) and the receipt given.
pub(crate) const RECEIPTS: Bytes<([u8; 16], u64)> = Bytes::new("receipts");
/// Subject and batch number, to the frame's SHA-256 (32 bytes) and the verdict given.
pub(crate) const VERDICTS: Bytes<([u8; 16], u64)> = Bytes::new("verdicts");
/// Subject, to how many verdicts are remembered and the highest number that was forgotten.
pub(crate) const WINDOWS: TableDefinition<'static, [u8; 16], (u64, u64)> =
    TableDefinition::new("windows");
/// Name of an enrolment token, to its verifier (32 bytes) and, once it is spent, the principal.
pub(crate) const TOKENS: Bytes<[u8; 16]> = Bytes::new("tokens");
/// Enrolled principals.
pub(crate) const ENROLLED: TableDefinition<'static, [u8; 16], ()> =
    TableDefinition::new("enrolled");
/// Pseudonym epoch, to its pepper (32 bytes).
pub(crate) const PEPPERS: Bytes<u32> = Bytes::new("peppers");
/// Subject and pseudonym epoch of which the book committed something.
pub(crate) const EPOCHS: TableDefinition<'static, ([u8; 16], u32), ()> =
    TableDefinition::new("epochs");
/// Subject, to the categories that were withdrawn and the position of their last withdrawal.
pub(crate) const WITHDRAWN: Bytes<[u8; 16]> = Bytes::new("withdrawn");
/// Path of a lake file, to its entry in the catalogue.
pub(crate) const FILES: Bytes<&'static str> = Bytes::new("files");
/// Counters: answers by outcome and reason.
pub(crate) const COUNTS: TableDefinition<'static, &'static str, u64> =
    TableDefinition::new("counts");
/// Single numbers: the last position, the last position published, the label of the book.
pub(crate) const NUMBERS: TableDefinition<'static, &'static str, u64> =
    TableDefinition::new("numbers");

/// Key in [`NUMBERS`]: the newest position of the log that consent events and commits share.
pub(crate) const POSITION: &str = "position";
/// Key in [`NUMBERS`]: 1 when all that the book holds is synthetic, 0 when none of it is.
pub(crate) const SYNTHETIC: &str = "synthetic";
/// Key in [`NUMBERS`]: the newest position whose records are in the lake.
pub(crate) const PUBLISHED: &str = "published";
