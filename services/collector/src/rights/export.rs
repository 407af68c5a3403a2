//! Export: all data of a subject in a format that can be read in again, as JSON lines.
//!
//! The first line is the header: `{"format":"imprimatur-export","version":1,..}`. Then the consent
//! record by ISO/IEC TS 27560 as JSON-LD, when there was a grant, one line for each event about the
//! subject, in the order of positions, one for each record, in the order of commit and ordinal, and
//! `{"kind":"end","events":N,"records":M}`: without it the export is cut.
//! `docs/export.md` describes every key. [`read`] is the inverse of [`lines`].

use std::collections::BTreeMap;

use imprimatur_consent::event::What;
use imprimatur_consent::{Digest, PrincipalId, SubjectId, dpv};
use imprimatur_lake::Row;
use imprimatur_ledger::rights::Happened;
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UnixSeconds;

use crate::rights::explain::date;
use crate::rights::reading::Gathered;

/// The name of the format, in the first line.
pub const FORMAT: &str = "imprimatur-export";

/// The version of the format that is written; all up to it are read.
pub const VERSION: u32 = 1;

/// A whole export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Whose.
    pub header: Header,
    /// The consent record by ISO/IEC TS 27560, as JSON-LD; `None` when nothing was ever granted.
    pub consent_record: Option<serde_json::Value>,
    /// What happened to it, in order.
    pub events: Vec<ExportedEvent>,
    /// What was recorded of it, in order.
    pub records: Vec<ExportedRecord>,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The subject.
    pub subject: SubjectId,
    /// The principal that consents for it.
    pub principal: PrincipalId,
    /// UTC date of the export.
    pub exported: String,
    /// SHA-256 of the contract that names and bounds the values.
    pub contract: Digest,
}

/// A line of kind `event`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExportedEvent {
    /// Place in the collector's order.
    pub position: u64,
    /// Place in the collector's log, from 1.
    pub log_index: u64,
    /// What blinds the log's entry.
    pub nonce: Digest,
    /// When it was recorded, seconds since 1970-01-01 UTC.
    pub recorded: UnixSeconds,
    /// What happened; a consent event with its signature, a rights request with its proof.
    pub what: What,
}

/// A line of kind `record`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExportedRecord {
    /// `print` or `day`.
    pub table: RecordKind,
    /// UTC date of the record.
    pub date: String,
    /// Number of the commit.
    pub commit: u64,
    /// Place within its batch.
    pub ordinal: u32,
    /// The value of each column that is known, as its index in the contract.
    pub values: BTreeMap<String, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct End {
    events: usize,
    records: usize,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    ConsentRecord { record: serde_json::Value },
    Event(ExportedEvent),
    Record(ExportedRecord),
    End(End),
}

/// A text that is no whole export of a version that is read here.
#[derive(Debug, thiserror::Error)]
pub enum NotAnExport {
    /// The first line is no header.
    #[error("the first line is not the header of an export; give the whole file")]
    Header,
    /// A later version.
    #[error("the export is of version {0}, this program reads up to {VERSION}; use a newer one")]
    Version(u32),
    /// A line that is none of an export.
    #[error("line {line} is not of an export")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The last line is missing or counts something else.
    #[error("the export is cut: {events} events and {records} records came; export it again")]
    Cut {
        /// Events that came.
        events: usize,
        /// Records that came.
        records: usize,
    },
}

/// The lines of an export.
///
/// # Errors
/// Never with what the book holds: the parts are plain values.
pub fn lines(gathered: &Gathered, rows: &[Row]) -> Result<Vec<String>, serde_json::Error> {
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        subject: gathered.subject,
        principal: gathered.standing.principal,
        exported: date(gathered.now.date()),
        contract: Digest(contract().hash()),
    };
    let mut lines = vec![serde_json::to_string(&header)?];
    if let Some(record) = consent_record(gathered) {
        lines.push(serde_json::to_string(&Line::ConsentRecord { record })?);
    }
    for happened in &gathered.history {
        lines.push(serde_json::to_string(&Line::Event(event(happened)))?);
    }
    for row in rows {
        lines.push(serde_json::to_string(&Line::Record(record(row)))?);
    }
    let end = End { events: gathered.history.len(), records: rows.len() };
    lines.push(serde_json::to_string(&Line::End(end))?);
    Ok(lines)
}

/// Reads a whole export.
///
/// # Errors
/// [`NotAnExport`].
pub fn read(text: &str) -> Result<Export, NotAnExport> {
    let mut lines = (1..).zip(text.lines());
    let (_, first) = lines.next().ok_or(NotAnExport::Header)?;
    let header: Header = serde_json::from_str(first).map_err(|_no_header| NotAnExport::Header)?;
    if header.format != FORMAT {
        return Err(NotAnExport::Header);
    }
    if header.version > VERSION {
        return Err(NotAnExport::Version(header.version));
    }
    let (mut consent_record, mut end) = (None, None);
    let (mut events, mut records) = (Vec::new(), Vec::new());
    for (number, line) in lines {
        let read = serde_json::from_str(line);
        match read.map_err(|source| NotAnExport::Line { line: number, source })? {
            Line::ConsentRecord { record } => consent_record = Some(record),
            Line::Event(event) => events.push(event),
            Line::Record(record) => records.push(record),
            Line::End(counted) => end = Some(counted),
        }
    }
    let came = End { events: events.len(), records: records.len() };
    if end != Some(came) {
        return Err(NotAnExport::Cut { events: came.events, records: came.records });
    }
    Ok(Export { header, consent_record, events, records })
}

fn consent_record(gathered: &Gathered) -> Option<serde_json::Value> {
    let happened = gathered.history.iter();
    let history: Vec<_> =
        happened.map(|one| (one.recorded.date(), one.event.what.clone())).collect();
    dpv::record(gathered.subject, &history, &gathered.terms, gathered.now.date()).ok()
}

fn event(happened: &Happened) -> ExportedEvent {
    ExportedEvent {
        position: happened.position,
        log_index: happened.leaf + 1,
        nonce: happened.event.nonce,
        recorded: happened.recorded,
        what: happened.event.what.clone(),
    }
}

fn record(row: &Row) -> ExportedRecord {
    let values = row.sections.iter().flat_map(|section| &section.values);
    let named = |&(field, index): &_| (contract().rule(field).column.clone(), index);
    ExportedRecord {
        table: row.kind,
        date: date(row.date),
        commit: row.commit,
        ordinal: row.ordinal,
        values: values.map(named).collect(),
    }
}
