//! What the uplink speaks over: a wire of one subject, opened by a dial; MQTT is one of them.
//!
//! A wire promises nothing: what it takes may be lost, doubled or late. It is used by one task, and
//! all waiting is tokio's, so that a simulation can stand in with a paused clock and one thread.

use std::error::Error;
use std::future::Future;

use bytes::Bytes;
use imprimatur_consent::SubjectId;

/// A connection that cannot be used. Drop it; everything is in the spool.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The network, the broker's refusal, or broken protocol.
    #[error("the connection failed")]
    Connection(#[source] Box<dyn Error + Send + Sync>),
    /// The broker does not let this agent hear its answers.
    #[error("the broker refused the subscription: check its access rules")]
    Subscription,
    /// The connection ended.
    #[error("the connection ended")]
    Ended,
}

/// What an agent publishes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Consent events.
    Consent,
    /// Batches.
    Batch,
    /// Rights requests.
    Request,
}

/// What an agent hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A `SignedReceipt`.
    Receipt(Bytes),
    /// A `SignedVerdict`.
    Verdict(Bytes),
    /// An answer to a rights request.
    Rights(Bytes),
    /// A `Busy`: something that was published was not taken; come again later.
    Busy(Bytes),
    /// The broker says that nobody hears what was published.
    Nobody,
}

/// Opens wires.
pub trait Dial {
    /// What it opens.
    type Wire: Wire;

    /// Connects as a subject, whose answers the wire hears from then on.
    ///
    /// # Errors
    /// [`WireError`]: try again later.
    fn open(&self, subject: SubjectId) -> impl Future<Output = Result<Self::Wire, WireError>>;
}

/// One connection of one subject. Dropping it drops what is queued in it.
pub trait Wire {
    /// Queues a message; false when it was not taken.
    fn publish(&mut self, topic: Topic, bytes: &[u8]) -> bool;

    /// The next answer. Safe to cancel.
    ///
    /// # Errors
    /// [`WireError`]: the connection is over.
    fn next(&mut self) -> impl Future<Output = Result<Answer, WireError>>;

    /// Says good-bye; what is queued may be sent before.
    fn close(self) -> impl Future<Output = ()>;
}
