//! The faults, the same for every peer, and what the oracle says after each.

use std::collections::BTreeSet;
use std::path::Path;

use imprimatur_testkit::obligations::Findings;
use serde::Serialize;

use crate::book::{Book, Goal, Random};
use crate::broker::temporary;
use crate::disk::{self, Disk};
use crate::error::RunError;
use crate::peer::Peer;

/// Acknowledgements between two faults: fewer than the 1,000 messages that Mosquitto queues for a
/// client by default, so that only the fault can lose any.
const BETWEEN: (usize, usize) = (50, 900);

/// What is done to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing, but for a consumer that is away.
    Away,
    /// SIGKILL at a random acknowledgement, restart on the same store; again and again.
    Kill,
    /// The power goes at a random acknowledgement.
    PowerCut,
    /// The same, after `sync`: the control of the method.
    SyncedPowerCut,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Times that the fault was done.
    pub times: usize,
    /// Messages that the peer acknowledged, up to the last fault.
    pub acknowledged: usize,
    /// Messages that it acknowledged and never delivered.
    pub lost: usize,
    /// Delivered more than once.
    pub doubled: usize,
    /// Delivered with other content, or never issued.
    pub wrong: usize,
}

impl Outcome {
    fn add(&mut self, findings: &Findings) {
        let wrong: BTreeSet<_> = findings.altered.union(&findings.foreign).collect();
        self.lost += findings.lost.len();
        self.doubled += findings.doubled.len();
        self.wrong += wrong.len();
    }
}

/// SIGKILL, `times` times on one store.
pub(crate) async fn kills(
    peer: &mut impl Peer,
    times: usize,
    random: &mut Random,
) -> Result<Outcome, RunError> {
    let mut book = Book::default();
    peer.start().await?;
    peer.prepare().await?;
    for _ in 0..times {
        peer.offer(&mut book, Goal::Acknowledged(random.within(BETWEEN.0, BETWEEN.1))).await?;
        peer.kill().await?;
        peer.start().await?;
        peer.drain(&mut book).await?;
        book.offer_again();
    }
    end(peer, &mut book, times).await
}

/// What is left is offered until it is answered, so that whatever was stored without a word comes
/// twice, and everything is read.
async fn end(peer: &mut impl Peer, book: &mut Book, times: usize) -> Result<Outcome, RunError> {
    let acknowledged = book.obligations.acknowledged();
    peer.offer(book, Goal::Settled).await?;
    peer.finish(book).await?;
    peer.kill().await?;
    let mut outcome = Outcome { times, acknowledged, ..Outcome::default() };
    outcome.add(&book.judge());
    Ok(outcome)
}

/// No fault: `messages` while the consumer is away.
pub(crate) async fn away(peer: &mut impl Peer, messages: usize) -> Result<Outcome, RunError> {
    let mut book = Book::default();
    peer.start().await?;
    peer.prepare().await?;
    peer.offer_to_nobody(&mut book, messages).await?;
    peer.drain(&mut book).await?;
    end(peer, &mut book, 1).await
}

/// One power cut: on a disk of its own in `folder`, which is empty.
pub(crate) async fn power_cut(
    peer: &mut impl Peer,
    folder: &Path,
    fault: Fault,
    random: &mut Random,
) -> Result<Outcome, RunError> {
    disk::may_mount()?;
    let mut book = Book::default();
    let before = Disk::new(folder, "before")?;
    peer.move_to(&before.store());
    peer.start().await?;
    peer.prepare().await?;
    // The consumer is on the disk in any case: only messages are at stake.
    before.sync()?;
    peer.offer(&mut book, Goal::Acknowledged(random.within(BETWEEN.0, BETWEEN.1))).await?;
    if fault == Fault::SyncedPowerCut {
        before.sync()?;
    }
    peer.freeze()?;
    let cut = before.as_the_power_goes(folder, "after")?;
    peer.kill().await?;
    before.unmount().await?;
    let after = cut.mount()?;
    peer.move_to(&after.store());
    peer.start().await?;
    peer.drain(&mut book).await?;
    book.offer_again();
    let outcome = end(peer, &mut book, 1).await?;
    after.unmount().await?;
    Ok(outcome)
}

/// Several outcomes as one.
pub(crate) fn sum(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    outcomes.into_iter().fold(Outcome::default(), |mut all, one| {
        all.times += one.times;
        all.acknowledged += one.acknowledged;
        all.lost += one.lost;
        all.doubled += one.doubled;
        all.wrong += one.wrong;
        all
    })
}

/// A folder for one run of a fault.
pub(crate) fn folder() -> Result<tempfile::TempDir, RunError> {
    temporary()
}
