//! Tasks of the publisher: erasures and rectifications that bind already and are not finished yet.
//!
//! An erasure goes in steps that a crash may separate anywhere. In one transaction: the event, the
//! end of the subject, its emptied journal entries, and the task. Then the publisher rewrites the
//! lake. In one more transaction: all that the book holds of the subject goes, completion enters
//! the log, and the key is condemned. The key is overwritten after that commit, or at the next start.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::event::Public;
use imprimatur_consent::{Category, Pseudonym, SubjectId};
use imprimatur_runtime::UtcDate;
use redb::ReadableTable as _;

use crate::book::unreadable;
use crate::error::BookError;
use crate::evidence::place;
use crate::register::Outcome;
use crate::tables::{TASK, TASKS};
use crate::txn::Txn;

/// New values of a section, by column name.
pub type Values = BTreeMap<String, u32>;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Take everything of the subject out of the lake and of the book.
    Erase,
    /// Put these sections into every day record of the subject from a date on that has them.
    Rectify {
        /// From when.
        since: UtcDate,
        /// The sections.
        sections: BTreeMap<Category, Values>,
    },
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Task {
    job: Job,
    request: u64,
}

/// A task that can be worked on now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Number of the task.
    pub task: u64,
    /// What is to be done.
    pub job: Job,
    /// The rows of these pseudonyms are meant.
    pub pseudonyms: BTreeSet<Pseudonym>,
    slot: u64,
    request: u64,
}

impl Txn {
    /// Gives the publisher a task for the request of this number. An erasure takes what is on its
    /// way out of the journal at once, unless a legal hold keeps it.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn add_task(
        &self,
        subject: SubjectId,
        job: Job,
        request: u64,
        today: UtcDate,
    ) -> Result<(), BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(()) };
        let held = self.held(slot)?.is_some_and(|held| held.standing.held(today).is_some());
        if job == Job::Erase && !held {
            self.empty_journal(slot)?;
        }
        let number = self.next_number(TASK)?;
        let task = serde_json::to_vec(&Task { job, request });
        let task = task.map_err(|_no_json| unreadable(TASKS))?;
        let sealed = self.seal(slot, &place("task", number), &task)?;
        let value = [&slot.to_be_bytes()[..], &sealed].concat();
        self.raw.open_table(TASKS)?.insert(number, value.as_slice())?;
        Ok(())
    }

    /// The tasks that can be worked on today. A legal hold lets an erasure wait, and a record on its
    /// way to the lake a rectification; an erasure took its own out of the journal.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn work(&self, today: UtcDate) -> Result<Vec<Work>, BookError> {
        let mut tasks = Vec::new();
        for entry in self.raw.open_table(TASKS)?.iter()? {
            let (number, value) = entry?;
            let (slot, sealed) =
                value.value().split_first_chunk().ok_or_else(|| unreadable(TASKS))?;
            tasks.push((number.value(), u64::from_be_bytes(*slot), sealed.to_vec()));
        }
        let on_the_way = self.journal_slots()?;
        let mut work = Vec::new();
        for (number, slot, sealed) in tasks {
            let value = self.unseal(TASKS, slot, &place("task", number), &sealed)?;
            let Some(value) = value else { continue };
            let Task { job, request } =
                serde_json::from_slice(&value).map_err(|_other_form| unreadable(TASKS))?;
            let held = self.held(slot)?;
            let waits = match job {
                Job::Erase => held.is_some_and(|held| held.standing.held(today).is_some()),
                Job::Rectify { .. } => on_the_way.contains(&slot),
            };
            if !waits {
                let pseudonyms = self.pseudonyms(slot)?;
                work.push(Work { task: number, job, pseudonyms, slot, request });
            }
        }
        Ok(work)
    }

    /// Ends a task whose files are rewritten. An erasure removes all that the book holds of the
    /// subject, enters the log, and condemns the key.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn finish(&self, work: &Work, rows: u64, files: u64, on: UtcDate) -> Result<(), BookError> {
        self.raw.open_table(TASKS)?.remove(work.task)?;
        self.close(work.request, Outcome::Done, on)?;
        if work.job != Job::Erase {
            return Ok(());
        }
        let slot = work.slot;
        self.close_erased(|of| Ok((of == slot).then_some(on)))?;
        self.hand_on_enrolment(slot)?;
        let mark = match self.known(slot) {
            Some(known) => self.bury(SubjectId::of(&known.public_key), on)?,
            None => None,
        };
        self.forget(slot)?;
        self.log_public(&Public::ErasureCompleted { slot, rows, files, mark, on })?;
        self.log_public(&Public::KeyDestroyed { slot, on })?;
        Ok(())
    }

    /// A principal stays enrolled while it has another subject.
    fn hand_on_enrolment(&self, slot: u64) -> Result<(), BookError> {
        let Some(held) = self.held(slot)?.filter(|held| held.enrolled) else { return Ok(()) };
        let heir = self.book.index().others_of(held.standing.principal, slot).into_iter().next();
        let Some(heir) = heir else { return Ok(()) };
        if let Some(mut other) = self.held(heir)? {
            other.enrolled = true;
            self.hold(heir, &other)?;
        }
        Ok(())
    }
}
