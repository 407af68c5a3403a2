//! The writer: one transaction and one fsync for all that waits, answers after it.
//!
//! Batches, consent events and rights requests of the same subject have an order here. If the book
//! fails, nothing of the group is answered and the process ends: agents ask again, and a restart
//! finds the state before the group.

use std::collections::BTreeMap;
use std::sync::Arc;

use imprimatur_ledger::{Book, BookError, Txn};
use imprimatur_runtime::{Clock, UnixSeconds};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::admit::admit;
use crate::answer::Signer;
use crate::gate::Inspected;
use crate::lanes::Queue;
use crate::offered::Offered;
use crate::record_consent::{Desk, Verified, record};
use crate::rights::answer::status_name;
use crate::rights::challenge::Challenges;
use crate::rights::claim::{Claim, Exercised, decide};
use crate::rights::reading::Readings;
use crate::tally::Tally;

/// One thing to write, and whom to answer.
#[derive(Debug)]
pub enum Job {
    /// An authenticated frame.
    Batch(Box<Inspected>, oneshot::Sender<Vec<u8>>),
    /// A consent event whose signature holds.
    Consent(Box<Verified>, oneshot::Sender<Vec<u8>>),
    /// A signed rights request with a fresh challenge.
    Rights(Box<Claim>, oneshot::Sender<Exercised>),
}

/// An answer that waits for the fsync; tells whether somebody heard it.
type Answer = Box<dyn FnOnce() -> bool>;

/// What the writer works with.
#[derive(Debug)]
pub struct Writer {
    /// The store.
    pub book: Book,
    /// The collector's key.
    pub signer: Arc<Signer>,
    /// Policies to which consent is taken.
    pub offered: Arc<Offered>,
    /// Challenges, used up here.
    pub challenges: Arc<Challenges>,
    /// Pages that were read.
    pub readings: Arc<Readings>,
    /// Counters.
    pub tally: Arc<Tally>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Writer {
    /// Works until all doors are gone. Give it a thread of its own, for the book blocks.
    ///
    /// # Errors
    /// [`BookError`]: end the process.
    pub fn run(self, queue: Queue) -> Result<(), BookError> {
        futures::executor::block_on(self.work(queue))
    }

    /// The same as a task: each group blocks whoever polls it.
    ///
    /// # Errors
    /// [`BookError`]: end the process.
    pub async fn work(self, mut queue: Queue) -> Result<(), BookError> {
        while let Some(group) = queue.group().await {
            let began = Instant::now();
            self.step(group)?;
            queue.took(began);
        }
        Ok(())
    }

    /// Writes one group in one transaction, then answers.
    ///
    /// # Errors
    /// [`BookError`]: nothing of the group was answered; end the process.
    pub fn step(&self, group: Vec<Job>) -> Result<(), BookError> {
        let txn = self.book.begin()?;
        let now = self.clock.now();
        let mut answers = Vec::with_capacity(group.len());
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for job in group {
            let (counter, answer) = self.write(&txn, job, now)?;
            *counts.entry(counter).or_default() += 1;
            answers.push(answer);
        }
        let today = now.date();
        counts.iter().try_for_each(|(name, count)| txn.count(name, *count, today))?;
        self.tally.settle(&txn, today)?;
        txn.commit()?;
        for answer in answers {
            if !answer() {
                tracing::debug!("an answer found nobody; its sender will ask again");
            }
        }
        Ok(())
    }

    /// Writes one job; gives the name to count and the answer.
    fn write(&self, txn: &Txn, job: Job, now: UnixSeconds) -> Result<(String, Answer), BookError> {
        Ok(match job {
            Job::Batch(inspected, reply) => {
                let admitted = admit(txn, &self.signer, now, &inspected)?;
                (admitted.counter, Box::new(move || reply.send(admitted.verdict).is_ok()))
            }
            Job::Consent(verified, reply) => {
                let log_key = self.book.log_public_key();
                let desk = Desk { signer: &self.signer, offered: &self.offered, log_key };
                let recorded = record(txn, &desk, now, &verified)?;
                (recorded.counter, Box::new(move || reply.send(recorded.receipt).is_ok()))
            }
            Job::Rights(claim, reply) => {
                let memory = (self.challenges.as_ref(), self.readings.as_ref());
                let exercised = decide(&self.book, txn, memory, &claim, now)?;
                let counter = format!("rights.{}", status_name(exercised.outcome.status));
                (counter, Box::new(move || reply.send(exercised).is_ok()))
            }
        })
    }
}
