//! The writer: one thread, one transaction and one fsync for all that waits, answers after it.
//!
//! It alone writes standings, verdicts and the journal, so that a withdrawal and a batch of the
//! same subject have an order. If the book fails, nothing of the group is answered and the process
//! ends: agents ask again, and a restart finds the state before the group.

use std::sync::Arc;

use imprimatur_consent::Digest;
use imprimatur_ledger::{Book, BookError};
use imprimatur_runtime::Clock;
use tokio::sync::{mpsc, oneshot};

use crate::admit::admit;
use crate::answer::Signer;
use crate::gate::Inspected;
use crate::record_consent::{Verified, record};
use crate::tally::Tally;

/// Jobs that may wait. 256 frames of 2 KiB are half a megabyte; a full queue makes the door wait,
/// and through it the bridge and the broker.
pub const QUEUE: usize = 256;

/// One thing to write, and whom to answer.
#[derive(Debug)]
pub enum Job {
    /// An authenticated frame.
    Batch(Box<Inspected>, oneshot::Sender<Vec<u8>>),
    /// A consent event whose signature holds.
    Consent(Box<Verified>, oneshot::Sender<Vec<u8>>),
}

/// What the writer works with.
#[derive(Debug)]
pub struct Writer {
    /// The store.
    pub book: Arc<Book>,
    /// The collector's key.
    pub signer: Arc<Signer>,
    /// Policies to which consent is taken.
    pub offered: Vec<Digest>,
    /// Counters.
    pub tally: Arc<Tally>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Writer {
    /// Works until all senders are gone. Runs on a thread of its own, for the book blocks.
    ///
    /// # Errors
    /// [`BookError`]: end the process.
    pub fn run(self, mut jobs: mpsc::Receiver<Job>) -> Result<(), BookError> {
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < QUEUE {
                let Ok(next) = jobs.try_recv() else { break };
                group.push(next);
            }
            self.commit(group)?;
        }
        Ok(())
    }

    fn commit(&self, group: Vec<Job>) -> Result<(), BookError> {
        let txn = self.book.begin()?;
        let now = self.clock.now();
        let mut answers = Vec::with_capacity(group.len());
        for job in group {
            let (bytes, counter, reply) = match job {
                Job::Batch(inspected, reply) => {
                    let admitted = admit(&txn, &self.signer, now, &inspected)?;
                    (admitted.verdict, admitted.counter, reply)
                }
                Job::Consent(verified, reply) => {
                    let recorded = record(&txn, &self.signer, &self.offered, now, &verified)?;
                    (recorded.receipt, recorded.counter, reply)
                }
            };
            txn.count(&counter, 1)?;
            answers.push((bytes, reply));
        }
        self.tally.settle(&txn)?;
        txn.commit()?;
        for (bytes, reply) in answers {
            if reply.send(bytes).is_err() {
                tracing::debug!("an answer found nobody; its sender will ask again");
            }
        }
        Ok(())
    }
}
