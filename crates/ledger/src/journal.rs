//! The journal: committed records on their way to the lake, sealed under their subject's key.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::{Category, Pseudonym};
use imprimatur_proto::record::{Record, RecordKind, Section};
use imprimatur_proto::{FieldId, contract};
use imprimatur_runtime::UtcDate;
use redb::{ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _};

use crate::book::{Book, unreadable};
use crate::error::BookError;
use crate::evidence::{Opened, RecordEvidence, opened, place};
use crate::tables::{FILES, JOURNAL, PUBLISHED};
use crate::txn::Txn;

/// A committed record on its way to the lake: values by column name, so that the journal can be
/// read without this program.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalRecord {
    /// The lake's table.
    pub kind: RecordKind,
    /// Its UTC date.
    pub date: UtcDate,
    /// Pseudonym epoch.
    pub epoch: u32,
    /// The subject's pseudonym.
    pub subject: Pseudonym,
    /// The principal's pseudonym.
    pub principal: Pseudonym,
    sections: Vec<(Category, BTreeMap<String, u32>)>,
}

impl JournalRecord {
    pub(crate) fn of(record: &Record, proof: &RecordEvidence) -> Self {
        let named = |section: &Section| {
            let name =
                |&(field, index): &(FieldId, u32)| (contract().rule(field).column.clone(), index);
            (section.category, section.values.iter().map(name).collect())
        };
        Self {
            kind: record.kind,
            date: proof.date,
            epoch: proof.epoch,
            subject: proof.subject,
            principal: proof.principal,
            sections: record.sections.iter().map(named).collect(),
        }
    }

    /// Its values as they are written: category, name of the column, index.
    pub fn values(&self) -> impl Iterator<Item = (Category, &str, u32)> {
        self.sections.iter().flat_map(|(category, values)| {
            values.iter().map(move |(name, index)| (*category, name.as_str(), *index))
        })
    }

    /// The categories of its sections, in their order.
    pub fn categories(&self) -> impl Iterator<Item = Category> {
        self.sections.iter().map(|(category, _)| *category)
    }

    /// Its sections with the contract's fields.
    pub fn sections(&self) -> Vec<Section> {
        let fields = |values: &BTreeMap<String, u32>| {
            let known = |(name, &index): (&String, &u32)| {
                contract().column(self.kind, name).map(|field| (field, index))
            };
            let mut fields: Vec<_> = values.iter().filter_map(known).collect();
            fields.sort_unstable();
            fields
        };
        let section = |(category, values): &(Category, BTreeMap<String, u32>)| Section {
            category: *category,
            values: fields(values),
        };
        self.sections.iter().map(section).collect()
    }
}

impl Book {
    /// Committed records that the lake does not hold yet, by position; at most `most` batches.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn journal(&self, most: usize) -> Result<Vec<(u64, Vec<JournalRecord>)>, BookError> {
        let table = self.0.db.begin_read()?.open_table(JOURNAL)?;
        let mut batches = Vec::new();
        for entry in table.iter()?.take(most) {
            let (position, value) = entry?;
            let position = position.value();
            let (slot, sealed) = split(value.value()).ok_or_else(|| unreadable(JOURNAL))?;
            let place = place("journal", position);
            match opened(&self.0.keyring, slot, &place, sealed)? {
                Opened::Whole(records) => batches.push((position, records)),
                // Erased meanwhile: nothing of it goes to the lake, and the position is published.
                Opened::Destroyed => batches.push((position, Vec::new())),
                Opened::Broken => return Err(unreadable(JOURNAL)),
            }
        }
        Ok(batches)
    }

    /// Number of batches that are stored and not in the lake yet.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn waiting(&self) -> Result<u64, BookError> {
        Ok(self.0.db.begin_read()?.open_table(JOURNAL)?.len()?)
    }

    /// The lake's files by path, each as the JSON that the publisher gave.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn files<F: serde::de::DeserializeOwned>(&self) -> Result<Vec<F>, BookError> {
        let table = self.0.db.begin_read()?.open_table(FILES)?;
        table.iter()?.map(|entry| crate::book::decode(FILES, entry?.1.value())).collect()
    }
}

impl Txn {
    pub(crate) fn journal(
        &self,
        position: u64,
        slot: u64,
        records: &[JournalRecord],
    ) -> Result<(), BookError> {
        let json = serde_json::to_vec(records).map_err(|_no_json| unreadable(JOURNAL))?;
        let sealed = self.seal(slot, &place("journal", position), &json)?;
        let value = [&slot.to_be_bytes()[..], &sealed].concat();
        self.raw.open_table(JOURNAL)?.insert(position, value.as_slice())?;
        Ok(())
    }

    /// The slots of which something is on its way to the lake.
    pub(crate) fn journal_slots(&self) -> Result<BTreeSet<u64>, BookError> {
        let table = self.raw.open_table(JOURNAL)?;
        let mut slots = BTreeSet::new();
        for entry in table.iter()? {
            slots.extend(split(entry?.1.value()).map(|(slot, _)| slot));
        }
        Ok(slots)
    }

    /// Empties the entries of a subject; the publisher passes over them.
    pub(crate) fn empty_journal(&self, slot: u64) -> Result<(), BookError> {
        let table = self.raw.open_table(JOURNAL)?;
        let mut held = Vec::new();
        for entry in table.iter()? {
            let (position, value) = entry?;
            if split(value.value()).is_some_and(|(of, _)| of == slot) {
                held.push(position.value());
            }
        }
        drop(table);
        held.into_iter().try_for_each(|position| self.journal(position, slot, &[]))
    }

    /// Takes batches out of the journal and their files into the catalogue, in one step.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn publish<F: serde::Serialize>(
        &self,
        positions: &[u64],
        files: &[(&str, F)],
    ) -> Result<(), BookError> {
        let mut journal = self.raw.open_table(JOURNAL)?;
        for position in positions {
            journal.remove(position)?;
        }
        drop(journal);
        for (path, entry) in files {
            self.put(FILES, path, entry)?;
        }
        if let Some(&last) = positions.iter().max() {
            self.set_number(PUBLISHED, last)?;
        }
        Ok(())
    }

    /// Takes a file out of the catalogue and, when it was written anew, its successor in.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn replace_file<F: serde::Serialize>(
        &self,
        path: &str,
        successor: Option<(&str, F)>,
    ) -> Result<(), BookError> {
        self.raw.open_table(FILES)?.remove(path)?;
        if let Some((path, entry)) = successor {
            self.put(FILES, path, &entry)?;
        }
        Ok(())
    }
}

pub(crate) fn split(value: &[u8]) -> Option<(u64, &[u8])> {
    let (slot, sealed) = value.split_first_chunk()?;
    Some((u64::from_be_bytes(*slot), sealed))
}
