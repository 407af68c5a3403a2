//! Evidence: what the verifier reads to prove, without the book, that each row had its permit.
//!
//! Consent events and commits share one order of positions, so that replaying them by position
//! gives the standing that was in force at each commit. Evidence names subjects; the lake never
//! does. The evidence of a commit names the pseudonyms under which its rows lie in the lake.

use imprimatur_consent::{Category, Digest, Pseudonym, SubjectId};
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::{UnixSeconds, UtcDate};

/// One recorded consent event.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentEvidence {
    /// Place in the common order.
    pub position: u64,
    /// The subject.
    pub subject: SubjectId,
    /// When the collector recorded it.
    pub recorded: UnixSeconds,
    /// The `SignedConsentEvent` as it arrived, in hex.
    pub signed_event: String,
}

/// One committed batch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitEvidence {
    /// Place in the common order; the lake's column `commit`.
    pub position: u64,
    /// The subject.
    pub subject: SubjectId,
    /// The batch's number.
    pub sequence: u64,
    /// SHA-256 of the frame.
    pub frame: Digest,
    /// When the collector committed it.
    pub recorded: UnixSeconds,
    /// Its records; a record's place in this list is the lake's column `ordinal`.
    pub records: Vec<RecordEvidence>,
}

/// One record of a committed batch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordEvidence {
    /// Its kind: the lake's table.
    pub kind: RecordKind,
    /// Its UTC date.
    pub date: UtcDate,
    /// The pseudonym epoch of the date.
    pub epoch: u32,
    /// The subject's pseudonym in that epoch.
    pub subject: Pseudonym,
    /// The principal's pseudonym in that epoch.
    pub principal: Pseudonym,
    /// The categories of its sections, in the record's order.
    pub categories: Vec<Category>,
}
