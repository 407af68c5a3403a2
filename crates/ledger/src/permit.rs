//! The permit: the proof without which no code can store a section (INV-1).
//!
//! A [`Permit`] is made by [`OpenBatch::permit`] alone, after the standing inside the open
//! transaction said yes. It is borrowed from that transaction, is not `Clone`, has no public
//! field, and is consumed by [`OpenBatch::append`]. So it cannot be forged, used twice, or outlive
//! the transaction, and with it a withdrawal:
//!
//! ```compile_fail,E0451
//! fn forge<'a>(
//!     date: imprimatur_runtime::UtcDate,
//!     of: &'a imprimatur_ledger::Txn,
//! ) -> imprimatur_ledger::Permit<'a> {
//!     imprimatur_ledger::Permit { category: imprimatur_consent::Category::Laser, date, of }
//! }
//! ```
//! ```compile_fail,E0382
//! fn twice(
//!     batch: &imprimatur_ledger::OpenBatch<'_>,
//!     section: imprimatur_proto::record::Section,
//!     permit: imprimatur_ledger::Permit<'_>,
//! ) {
//!     batch.append(0, section.clone(), permit).unwrap();
//!     batch.append(0, section, permit).unwrap();
//! }
//! ```
//! ```compile_fail,E0505
//! use imprimatur_consent::{Category, Digest, SubjectId};
//! use imprimatur_runtime::{UnixSeconds, UtcDate};
//!
//! fn keep(txn: imprimatur_ledger::Txn, who: SubjectId, frame: Digest, now: UnixSeconds) {
//!     let batch = txn.open_batch(who, 1, frame, now).unwrap().unwrap();
//!     let permit = batch.permit(Category::Laser, now.date()).unwrap();
//!     txn.commit().unwrap();
//!     drop(permit);
//! }
//! ```
//! The last one compiles as soon as the permit is dropped before the commit:
//!
//! ```no_run
//! use imprimatur_consent::{Category, Digest, SubjectId};
//! use imprimatur_runtime::{UnixSeconds, UtcDate};
//!
//! fn keep(txn: imprimatur_ledger::Txn, who: SubjectId, frame: Digest, now: UnixSeconds) {
//!     let batch = txn.open_batch(who, 1, frame, now).unwrap().unwrap();
//!     let permit = batch.permit(Category::Laser, now.date()).unwrap();
//!     drop(permit);
//!     drop(batch);
//!     txn.commit().unwrap();
//! }
//! ```

use std::cell::RefCell;

use imprimatur_consent::{Category, Denial, Digest, Standing, SubjectId};
use imprimatur_proto::record::{Record, RecordKind, Section};
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::book::{BookError, Txn};
use crate::evidence::{CommitEvidence, RecordEvidence};
use crate::publish::JournalRecord;
use crate::tables::{EPOCHS, EVIDENCE, JOURNAL};

/// A batch that is being admitted inside a transaction.
#[derive(Debug)]
pub struct OpenBatch<'txn> {
    txn: &'txn Txn,
    standing: Standing,
    sequence: u64,
    frame: Digest,
    now: UnixSeconds,
    records: RefCell<Vec<Record>>,
}

/// The right to append one section of one category to records of one date, in one transaction.
#[derive(Debug)]
pub struct Permit<'txn> {
    category: Category,
    date: UtcDate,
    of: &'txn Txn,
}

/// A permit that does not fit what it is used for: a defect of the caller. Nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the permit is for another category, date or transaction, or there is no such record")]
pub struct AppendError;

impl Txn {
    /// Begins to admit a batch; `None` when the subject is unknown.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn open_batch(
        &self,
        subject: SubjectId,
        sequence: u64,
        frame: Digest,
        now: UnixSeconds,
    ) -> Result<Option<OpenBatch<'_>>, BookError> {
        let standing = self.standing(subject)?;
        Ok(standing.map(|standing| OpenBatch {
            txn: self,
            standing,
            sequence,
            frame,
            now,
            records: RefCell::default(),
        }))
    }
}

impl<'txn> OpenBatch<'txn> {
    /// The standing that decides.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Asks for the right to append a section of this category to a record of this date.
    ///
    /// # Errors
    /// [`Denial`]: refuse the whole batch.
    pub fn permit(&self, category: Category, date: UtcDate) -> Result<Permit<'txn>, Denial> {
        self.standing.decide(category, date, self.now.date())?;
        Ok(Permit { category, date, of: self.txn })
    }

    /// Begins a record without sections; gives its place.
    pub fn begin_record(&self, kind: RecordKind, date: UtcDate) -> usize {
        let mut records = self.records.borrow_mut();
        records.push(Record { kind, date: date.0, sections: Vec::new() });
        records.len() - 1
    }

    /// Appends a section to a record, and consumes the permit.
    ///
    /// # Errors
    /// [`AppendError`] when the permit is for something else.
    #[expect(clippy::needless_pass_by_value, reason = "using the permit uses it up")]
    pub fn append(
        &self,
        record: usize,
        section: Section,
        permit: Permit<'txn>,
    ) -> Result<(), AppendError> {
        let Permit { category, date, of } = permit;
        let mut records = self.records.borrow_mut();
        let record = records.get_mut(record).ok_or(AppendError)?;
        let fits =
            category == section.category && date.0 == record.date && std::ptr::eq(of, self.txn);
        if !fits {
            return Err(AppendError);
        }
        record.sections.push(section);
        Ok(())
    }

    /// Writes journal and evidence of what was appended; gives the position.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn finish(self) -> Result<u64, BookError> {
        let subject = self.standing.subject();
        let position = self.txn.next_position()?;
        let (mut journal, mut evidence) = (Vec::new(), Vec::new());
        for record in self.records.into_inner() {
            let date = UtcDate(record.date);
            let pepper = self.txn.pepper(date.month())?;
            let proof = RecordEvidence {
                kind: record.kind,
                date,
                epoch: date.month(),
                subject: pepper.subject(subject),
                principal: pepper.principal(self.standing.principal),
                categories: record.sections.iter().map(|section| section.category).collect(),
            };
            self.txn.raw.open_table(EPOCHS)?.insert((subject.0, proof.epoch), ())?;
            journal.push(JournalRecord::of(&record, &proof));
            evidence.push(proof);
        }
        let (sequence, frame, recorded) = (self.sequence, self.frame, self.now);
        let proof =
            CommitEvidence { position, subject, sequence, frame, recorded, records: evidence };
        self.txn.put(EVIDENCE, position, &proof)?;
        self.txn.put(JOURNAL, position, &journal)?;
        Ok(position)
    }
}
