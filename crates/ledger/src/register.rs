//! The register of requests: what was asked, when it is due, and what became of it.
//!
//! An entry names a subject by slot alone, so that it outlives an erasure and tells nobody whose it
//! was.

use imprimatur_consent::event::Acting;
use imprimatur_runtime::UtcDate;
use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::book::{Book, decode};
use crate::error::BookError;
use crate::tables::{REGISTER, REQUESTS};
use crate::txn::Txn;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asker {
    /// The owner, with the subject's key.
    Owner,
    /// The owner, with the recovery code.
    Recovery,
    /// The operator.
    Operator,
    /// Time: evidence that is kept no longer.
    Clock,
}

impl Asker {
    pub(crate) fn of(by: &Acting) -> Self {
        match by {
            Acting::Owner { .. } => Self::Owner,
            Acting::Recovery { .. } => Self::Recovery,
            Acting::Operator {} => Self::Operator,
            Acting::Clock {} => Self::Clock,
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is being worked on.
    Open,
    /// A legal hold stands in its way; it is done when that ends.
    Held,
    /// Done.
    Done,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// What was asked, for example `erase`.
    pub verb: String,
    /// Who asked.
    pub asker: Asker,
    /// Slot of the subject.
    pub slot: u64,
    /// When it came.
    pub received: UtcDate,
    /// When it must be finished.
    pub due: UtcDate,
    /// What became of it.
    pub outcome: Outcome,
    /// When it was done.
    pub closed: Option<UtcDate>,
}

impl Entry {
    /// Whether it should have been finished before `today`.
    pub fn overdue(&self, today: UtcDate) -> bool {
        self.outcome == Outcome::Open && self.due < today
    }
}

impl Txn {
    /// Enters a request; gives its number. One that is done at once is closed today.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn enter(
        &self,
        verb: &str,
        asker: Asker,
        subject: imprimatur_consent::SubjectId,
        (received, due): (UtcDate, UtcDate),
        outcome: Outcome,
    ) -> Result<u64, BookError> {
        let number = self.next_number(REQUESTS)?;
        let slot = self.slot(subject).unwrap_or(0);
        let closed = (outcome == Outcome::Done).then_some(received);
        let verb = verb.to_owned();
        let entry = Entry { number, verb, asker, slot, received, due, outcome, closed };
        self.put(REGISTER, number, &entry)?;
        Ok(number)
    }

    /// Says what became of a request; false when there is no such open one.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn close(&self, number: u64, outcome: Outcome, on: UtcDate) -> Result<bool, BookError> {
        let Some(mut entry) = self.get::<_, Entry>(REGISTER, number)? else { return Ok(false) };
        if entry.outcome == Outcome::Done {
            return Ok(false);
        }
        entry.outcome = outcome;
        entry.closed = (outcome == Outcome::Done).then_some(on);
        self.put(REGISTER, number, &entry)?;
        Ok(true)
    }

    /// Closes the requests of slots that were erased, by the day of that. A complaint is still to be
    /// answered.
    pub(crate) fn close_erased(
        &self,
        erased: impl Fn(u64) -> Result<Option<UtcDate>, BookError>,
    ) -> Result<(), BookError> {
        let mut over = Vec::new();
        for entry in self.raw.open_table(REGISTER)?.iter()? {
            let request: Entry = decode(REGISTER, entry?.1.value())?;
            if request.outcome != Outcome::Done && request.verb != "complain" {
                over.extend(erased(request.slot)?.map(|on| (request.number, on)));
            }
        }
        for (number, on) in over {
            self.close(number, Outcome::Done, on)?;
        }
        Ok(())
    }
}

impl Book {
    /// All requests, by number.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn register(&self) -> Result<Vec<Entry>, BookError> {
        self.register_from(0)
    }

    /// The requests from this number on.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn register_from(&self, number: u64) -> Result<Vec<Entry>, BookError> {
        let table = self.0.db.begin_read()?.open_table(REGISTER)?;
        table.range(number..)?.map(|entry| decode(REGISTER, entry?.1.value())).collect()
    }
}
