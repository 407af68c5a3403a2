//! What a fault is done to: start, offer, kill, drain, whatever the system.

use std::path::Path;

use crate::book::{Book, Goal};
use crate::error::RunError;

/// One system under the oracle, over one store.
pub(crate) trait Peer {
    /// The store is here from the next start on.
    fn move_to(&mut self, store: &Path);

    /// Starts it on its store; ready when it returns.
    async fn start(&mut self) -> Result<(), RunError>;

    /// Makes the durable consumer, which then goes away; once, before anything is offered.
    async fn prepare(&mut self) -> Result<(), RunError>;

    /// Offers messages up to the goal. Whatever was under way at the end stays so: its
    /// acknowledgement may come and is not read, so that nothing is owed for it.
    async fn offer(&mut self, book: &mut Book, goal: Goal) -> Result<(), RunError>;

    /// Offers `count` messages while the consumer is away, with no fault at all.
    async fn offer_to_nobody(&mut self, book: &mut Book, count: usize) -> Result<(), RunError>;

    /// Stops it where it stands, between two instructions.
    fn freeze(&self) -> Result<(), RunError>;

    /// SIGKILL.
    async fn kill(&mut self) -> Result<(), RunError>;

    /// The consumer comes back and takes what there is.
    async fn drain(&mut self, book: &mut Book) -> Result<(), RunError>;

    /// The last drain of a run.
    async fn finish(&mut self, book: &mut Book) -> Result<(), RunError>;
}
