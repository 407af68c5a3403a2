//! The preview: the very bytes that would leave next, and what they mean.

use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::Batch;
use imprimatur_proto::{canonical, contract};
use imprimatur_runtime::UtcDate;

use super::record::Pending;
use super::seal::{Contents, header, opened};
use super::spool::unwrap;
use super::state::number;
use super::{AgentError, Core};
use crate::store::Space;

/// What the bytes of a preview are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewKind {
    /// The frame that the uplink sends next, byte for byte.
    Next,
    /// What is pending of the oldest date, as the batch that its end would make; not signed yet.
    NotSealed,
    /// What was measured last, whole, without header and signature: no category is granted.
    NotSent,
    /// Nothing was measured that may leave.
    Nothing,
}

impl PreviewKind {
    /// The kind as a heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Next => "NEXT TO BE SENT",
            Self::NotSealed => "NOT SEALED YET: the day is not over",
            Self::NotSent => "NOT SENT: no category is granted",
            Self::Nothing => "NOTHING TO SEND",
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// `print`, `day`, or `header`.
    pub record: String,
    /// UTC date of the record.
    pub date: String,
    /// The category that covers it; empty in the header.
    pub category: String,
    /// The field.
    pub field: String,
    /// What is on the wire.
    pub value: String,
    /// What it stands for, with the bounds of its bin.
    pub meaning: String,
}

/// What would leave next.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Preview {
    /// What the bytes are.
    pub kind: PreviewKind,
    /// The bytes, written as hex.
    #[serde(with = "super::hexed")]
    pub bytes: Vec<u8>,
    /// The same, decoded.
    pub rows: Vec<Row>,
}

impl Core {
    pub(super) fn preview(&mut self) -> Result<Preview, AgentError> {
        if self.state.flags.silent() {
            return self.preview_unsent();
        }
        for entry in self.store.entries(Space::Spool, b"")? {
            let (key, value) = entry?;
            // A damaged one never leaves.
            let Some(held) = unwrap(number("spool key", &key)?, &value) else { continue };
            let bytes = held.frame.to_vec();
            let rows = rows(&opened(&bytes)?);
            return Ok(Preview { kind: PreviewKind::Next, bytes, rows });
        }
        let mut pending = self.pending()?;
        pending.extend(self.day_so_far(&pending));
        let group = pending.chunk_by(|a, b| a.date == b.date).next().unwrap_or_default();
        let Some((identity, _)) = self.state.identity.as_ref().zip(group.first()) else {
            return Ok(Preview { kind: PreviewKind::Nothing, bytes: Vec::new(), rows: Vec::new() });
        };
        let mut contents = self.contents(identity, &group.iter().collect::<Vec<_>>());
        contents.dropped = self.draft().to_tell();
        let header = header(identity, identity.next_batch, &contents);
        let batch = contents.batch(Some(header))?;
        let (bytes, rows) = (canonical::encode(&batch), rows(&batch));
        Ok(Preview { kind: PreviewKind::NotSealed, bytes, rows })
    }

    /// What would be kept of the day that is not over, unless its report is pending already.
    fn day_so_far(&self, pending: &[Pending]) -> Option<Pending> {
        let (report, started) = self.so_far.as_ref()?;
        let covered = |category| self.covers(category, *started);
        let report = contract().strip(RecordKind::Day, report, covered).ok().flatten()?;
        let (kind, date) = (RecordKind::Day, started.date());
        let there = pending.iter().any(|pending| pending.kind == kind && pending.date == date);
        let (key, started) = (Vec::new(), *started);
        (!there).then_some(Pending { key, kind, date, started, report })
    }

    /// The same fields as after a grant, from memory: nothing of them is stored.
    fn preview_unsent(&self) -> Result<Preview, AgentError> {
        let of = |kind| self.seen.get(&kind).cloned();
        let so_far = self.so_far.as_ref().map(|(day, _)| day.clone());
        let prints = of(RecordKind::Print).into_iter().collect();
        let days = so_far.or_else(|| of(RecordKind::Day)).into_iter().collect();
        let batch = Contents { prints, days, ..Contents::default() }.batch(None)?;
        let (bytes, rows) = (canonical::encode(&batch), rows(&batch));
        let kind = if bytes.is_empty() { PreviewKind::Nothing } else { PreviewKind::NotSent };
        Ok(Preview { kind, bytes, rows })
    }
}

fn rows(batch: &Batch) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(header) = &batch.header {
        let mut told = |field: &str, value: String, meaning: &str| {
            let (record, field) = ("header".to_owned(), field.to_owned());
            let (date, category) = (String::new(), String::new());
            rows.push(Row { record, date, category, field, value, meaning: meaning.to_owned() });
        };
        told("subject", hex::encode(&header.subject), "random, drawn at your first yes");
        told("sequence", header.sequence.to_string(), "number of the batch");
        told("policy_hash", hex::encode(&header.policy_hash), "the policy you agreed to");
        told("contract_hash", hex::encode(&header.contract_hash), "the list of allowed fields");
        if !header.identity_tag.is_empty() {
            told(
                "identity_tag",
                hex::encode(&header.identity_tag),
                "computable by your device only",
            );
        }
        if header.dropped > 0 {
            told("dropped", header.dropped.to_string(), "batches that the full spool dropped");
        }
    }
    let prints = batch.prints.iter().map(|print| (RecordKind::Print, canonical::encode(print)));
    let days = batch.days.iter().map(|day| (RecordKind::Day, canonical::encode(day)));
    for (kind, report) in prints.chain(days) {
        record_rows(kind, &report, &mut rows);
    }
    rows
}

fn record_rows(kind: RecordKind, report: &[u8], rows: &mut Vec<Row>) {
    // A report without sections is nothing to tell.
    let Ok(record) = contract().record(kind, report) else { return };
    for section in &record.sections {
        for &(field, index) in &section.values {
            rows.push(Row {
                record: kind.table().to_owned(),
                date: UtcDate(record.date).to_string(),
                category: section.category.name().to_owned(),
                field: contract().rule(field).name.clone(),
                value: index.to_string(),
                meaning: contract().meaning(field, index),
            });
        }
    }
}
