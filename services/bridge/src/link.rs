//! The two sides of a session as traits: what the session's logic needs of a broker and a collector.
//!
//! The real ones speak MQTT and gRPC. Anything else that implements them, in memory for example, runs
//! the same logic with [`run_over`](crate::session::run_over). Nothing here reads a clock or a thread.

use std::time::Duration;

use bytes::Bytes;
use imprimatur_proto::ingest::v1::{SubmitRequest, SubmitResponse};
use tokio::sync::mpsc;

use crate::error::{Lost, Poor};

/// A message of an agent, as the broker brought it.
#[derive(Clone, Debug)]
pub struct Message {
    /// What [`Broker::acknowledge`] names it by; unique among the messages that are not acknowledged.
    pub id: u16,
    /// Its topic.
    pub topic: Bytes,
    /// Its payload.
    pub payload: Bytes,
}

/// What the broker's side says. It comes through a bounded channel; when that closes, the broker is
/// lost.
#[derive(Debug)]
pub enum Heard {
    /// All subscriptions are in force; comes once and before any message.
    Ready(Fit),
    /// A message came.
    Message(Message),
    /// The broker acknowledged one of the publishes, or refused it; either way it is out of the way.
    Taken,
    /// The subscriptions are gone: what comes now was on its way already.
    Unsubscribed,
}

/// What was found out about a broker that can be worked with.
#[derive(Clone, Debug, Default)]
pub struct Fit {
    /// How many messages it brings without an acknowledgement, when that is less than was asked for.
    pub in_flight: Option<u16>,
    /// What works badly.
    pub poor: Vec<Poor>,
}

/// More was handed to a bounded channel than it holds, or nobody is there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The broker's side: what is handed over leaves in the order of the calls, none of which waits.
pub trait Broker: Send {
    /// Publishes at least once, not retained; [`Heard::Taken`] follows.
    ///
    /// # Errors
    /// [`Full`]; the session ends.
    fn publish(&mut self, topic: String, payload: Vec<u8>) -> Result<(), Full>;

    /// Acknowledges a message, which frees its place with the broker.
    ///
    /// # Errors
    /// [`Full`]; the session ends.
    fn acknowledge(&mut self, id: u16) -> Result<(), Full>;

    /// Asks for no more messages; [`Heard::Unsubscribed`] follows.
    ///
    /// # Errors
    /// [`Full`]; the session ends.
    fn unsubscribe(&mut self) -> Result<(), Full>;

    /// Says goodbye.
    ///
    /// # Errors
    /// [`Full`]; the connection is dropped without it.
    fn disconnect(&mut self) -> Result<(), Full>;
}

/// What became of a consent event or a rights request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// The answer, signed by the collector.
    Answer(Vec<u8>),
    /// The collector has no time and decided nothing; it wants to be asked again after this.
    Busy(Duration),
    /// Refused for good and without an answer: sending it again would change nothing.
    Refused,
}

/// The collector's side.
pub trait Collector: Clone + Send + 'static {
    /// Carries frames up and verdicts down until the stream ends; then says why it did. It takes no
    /// more from `frames` than the collector reads, and waits when `answers` is full.
    fn submit(
        self,
        frames: mpsc::Receiver<SubmitRequest>,
        answers: mpsc::Sender<SubmitResponse>,
    ) -> impl Future<Output = Lost> + Send + 'static;

    /// Records one consent event.
    fn record(self, event: Vec<u8>) -> impl Future<Output = Result<Called, Lost>> + Send + 'static;

    /// Exercises one right.
    fn exercise(
        self,
        message: Vec<u8>,
    ) -> impl Future<Output = Result<Called, Lost>> + Send + 'static;
}
