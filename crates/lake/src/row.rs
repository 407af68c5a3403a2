//! One row of the lake: a record under the pseudonyms of its epoch.

use imprimatur_consent::Pseudonym;
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_runtime::UtcDate;

/// One committed record, as the publisher hands it over and the verifier gets it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its kind, which is its table.
    pub kind: RecordKind,
    /// UTC date of the record.
    pub date: UtcDate,
    /// Epoch of the pseudonyms: a month, `year * 100 + month`, or a day, `month * 100 + day`.
    pub epoch: u32,
    /// Number of the commit in the book.
    pub commit: u64,
    /// Place within its batch.
    pub ordinal: u32,
    /// Pseudonym of the subject in this epoch.
    pub subject: Pseudonym,
    /// Pseudonym of the principal in this epoch.
    pub principal: Pseudonym,
    /// What it tells, section by section, by field number.
    pub sections: Vec<Section>,
}
