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
//!     let batch = txn.open_batch(who, 1, frame, now).unwrap();
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
//!     let batch = txn.open_batch(who, 1, frame, now).unwrap();
//!     let permit = batch.permit(Category::Laser, now.date()).unwrap();
//!     drop(permit);
//!     drop(batch);
//!     txn.commit().unwrap();
//! }
//! ```

use std::cell::RefCell;

use imprimatur_consent::policy::EpochLength;
use imprimatur_consent::{Category, Denial, Digest, SubjectId};
use imprimatur_proto::record::{Record, RecordKind, Section};
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::error::BookError;
use crate::evidence::{CommitEvidence, CommitProof, RecordEvidence};
use crate::index::Known;
use crate::journal::JournalRecord;
use crate::tables::{COMMITS, EPOCHS};
use crate::told::Told;
use crate::txn::Txn;

/// A batch that is being admitted inside a transaction.
#[derive(Debug)]
pub struct OpenBatch<'txn> {
    txn: &'txn Txn,
    subject: SubjectId,
    known: Known,
    sequence: u64,
    frame: Digest,
    now: UnixSeconds,
    records: RefCell<Vec<Record>>,
    told: RefCell<Option<Told>>,
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

/// Why a record cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum NoRecord {
    /// Its date has told ten prints, or a day report, before.
    #[error("the date has told all it may")]
    BeyondDay,
    /// The book failed.
    #[error("the book failed")]
    Book(#[from] BookError),
}

impl Txn {
    /// Begins to admit a batch; `None` when the subject is unknown or may say nothing more.
    pub fn open_batch(
        &self,
        subject: SubjectId,
        sequence: u64,
        frame: Digest,
        now: UnixSeconds,
    ) -> Option<OpenBatch<'_>> {
        let known = self.known(self.slot(subject)?).filter(|known| !known.ended)?;
        let (records, told) = (RefCell::default(), RefCell::default());
        Some(OpenBatch { txn: self, subject, known, sequence, frame, now, records, told })
    }
}

impl<'txn> OpenBatch<'txn> {
    /// The policy that the subject agreed to last.
    pub fn policy(&self) -> Digest {
        self.known.policy
    }

    /// The pseudonym epoch of a date under the subject's policy.
    pub fn epoch(&self, date: UtcDate) -> u32 {
        let terms = self.txn.terms();
        let policy = terms.policy(self.known.policy);
        policy.map_or(EpochLength::Month, |policy| policy.epoch).epoch(date)
    }

    /// Asks for the right to append a section of this category to a record of this date.
    ///
    /// # Errors
    /// [`Denial`]: refuse the whole batch.
    pub fn permit(&self, category: Category, date: UtcDate) -> Result<Permit<'txn>, Denial> {
        let who = (self.subject, self.known.slot);
        self.txn.decide(who, category, date, self.now.date())?;
        Ok(Permit { category, date, of: self.txn })
    }

    /// Begins a record without sections; gives its place.
    ///
    /// # Errors
    /// [`NoRecord::BeyondDay`] when the date has told all it may: refuse the whole batch.
    pub fn begin_record(&self, kind: RecordKind, date: UtcDate) -> Result<usize, NoRecord> {
        let mut told = self.told.borrow_mut();
        let counts = match told.take() {
            Some(counts) => Some(counts),
            None => self.txn.told(self.known.slot)?,
        };
        *told = counts;
        if told.as_mut().is_some_and(|told| !told.take(kind, date)) {
            return Err(NoRecord::BeyondDay);
        }
        let mut records = self.records.borrow_mut();
        records.push(Record { kind, date: date.0, sections: Vec::new() });
        Ok(records.len() - 1)
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
        let Known { slot, principal, public_key, .. } = self.known;
        let subject = imprimatur_consent::SubjectId::of(&public_key);
        let position = self.txn.next_position()?;
        let (mut journal, mut records) = (Vec::new(), Vec::new());
        for record in self.records.take() {
            let date = UtcDate(record.date);
            let epoch = self.epoch(date);
            let pepper = self.txn.pepper(epoch)?;
            let proof = RecordEvidence {
                kind: record.kind,
                date,
                epoch,
                subject: pepper.subject(subject),
                principal: pepper.principal(principal),
                categories: record.sections.iter().map(|section| section.category).collect(),
            };
            self.txn.raw.open_table(EPOCHS)?.insert((slot, epoch), ())?;
            journal.push(JournalRecord::of(&record, &proof));
            records.push(proof);
        }
        let proof = CommitProof { sequence: self.sequence, frame: self.frame, records };
        let keyring = &self.txn.book.keyring;
        // To the day: nothing that is stored tells when a printer speaks.
        let on = self.now.date().start();
        let evidence = CommitEvidence::seal(keyring, (position, slot), on, &proof)?;
        self.txn.put(COMMITS, position, &evidence)?;
        self.txn.journal(position, slot, &journal)?;
        if let Some(told) = self.told.take() {
            self.txn.keep_told(slot, &told)?;
        }
        Ok(position)
    }
}
