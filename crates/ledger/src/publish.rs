//! What the publisher needs of the book: the journal, evidence segments, who counts and who is out.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::{Category, PrincipalId, Pseudonym, Standing, SubjectId};
use imprimatur_proto::record::{Record, RecordKind, Section};
use imprimatur_proto::{FieldId, contract};
use imprimatur_runtime::UtcDate;
use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::book::{Book, BookError, Txn, decode};
use crate::evidence::{CommitEvidence, ConsentEvidence, RecordEvidence};
use crate::tables::{
    CONSENT, ENROLLED, EPOCHS, EVIDENCE, FILES, JOURNAL, NUMBERS, POSITION, PUBLISHED, STANDING,
    WITHDRAWN,
};

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

/// A category that a subject withdrew, by pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Withdrawn {
    /// The subject's pseudonym in one epoch.
    pub subject: Pseudonym,
    /// The category.
    pub category: Category,
    /// Commits up to this position are out; the largest number while it is not granted again.
    pub up_to: u64,
}

impl Book {
    /// Committed records that the lake does not hold yet, by position; at most `most` batches.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn journal(&self, most: usize) -> Result<Vec<(u64, Vec<JournalRecord>)>, BookError> {
        let table = self.db().begin_read()?.open_table(JOURNAL)?;
        let mut batches = Vec::new();
        for entry in table.iter()?.take(most) {
            let (position, records) = entry?;
            batches.push((position.value(), decode(JOURNAL, records.value())?));
        }
        Ok(batches)
    }

    /// Recorded consent events after a position, in order.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn consent_after(&self, position: u64) -> Result<Vec<ConsentEvidence>, BookError> {
        let table = self.db().begin_read()?.open_table(CONSENT)?;
        let later = table.range(position.saturating_add(1)..)?;
        later.map(|entry| decode(CONSENT, entry?.1.value())).collect()
    }

    /// Evidence of commits after a position, in order.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn commits_after(&self, position: u64) -> Result<Vec<CommitEvidence>, BookError> {
        let table = self.db().begin_read()?.open_table(EVIDENCE)?;
        let later = table.range(position.saturating_add(1)..)?;
        later.map(|entry| decode(EVIDENCE, entry?.1.value())).collect()
    }

    /// The newest position, and the newest whose records are in the lake.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn positions(&self) -> Result<(u64, u64), BookError> {
        let table = self.db().begin_read()?.open_table(NUMBERS)?;
        let number = |key| -> Result<u64, BookError> {
            Ok(table.get(key)?.map_or(0, |number| number.value()))
        };
        Ok((number(POSITION)?, number(PUBLISHED)?))
    }

    /// The lake's files by path, each as the JSON that the publisher gave.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn files<F: serde::de::DeserializeOwned>(&self) -> Result<Vec<F>, BookError> {
        let table = self.db().begin_read()?.open_table(FILES)?;
        table.iter()?.map(|entry| decode(FILES, entry?.1.value())).collect()
    }
}

impl Txn {
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
            self.raw.open_table(NUMBERS)?.insert(PUBLISHED, last)?;
        }
        Ok(())
    }

    /// Pseudonyms of enrolled principals, and of what was withdrawn, for all epochs with data.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn population(&self) -> Result<(BTreeSet<Pseudonym>, BTreeSet<Withdrawn>), BookError> {
        let (mut enrolled, mut withdrawn) = (BTreeSet::new(), BTreeSet::new());
        let enrolled_ids = self.raw.open_table(ENROLLED)?;
        let epochs = self.raw.open_table(EPOCHS)?;
        for entry in epochs.iter()? {
            let (subject, epoch) = entry?.0.value();
            let Some(standing) = self.get::<_, Standing>(STANDING, subject)? else { continue };
            let pepper = self.pepper(epoch)?;
            let PrincipalId(principal) = standing.principal;
            if enrolled_ids.get(principal)?.is_some() {
                enrolled.insert(pepper.principal(standing.principal));
            }
            let out: BTreeMap<Category, u64> = self.get(WITHDRAWN, subject)?.unwrap_or_default();
            let subject = pepper.subject(SubjectId(subject));
            withdrawn.extend(out.into_iter().map(|(category, position)| {
                let again = standing.granted.contains_key(&category);
                Withdrawn { subject, category, up_to: if again { position } else { u64::MAX } }
            }));
        }
        Ok((enrolled, withdrawn))
    }
}
