//! What can go wrong in a decision.

use imprimatur_proto::canonical::Fault;
use imprimatur_proto::frame::TooLarge;
use imprimatur_runtime::entropy::NoEntropy;

use crate::store::StoreError;

/// A decision that was not made.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The store failed. Try again; nothing is lost.
    #[error("the agent's store failed")]
    Store(#[from] StoreError),
    /// No randomness for a key. Nothing was granted; report it.
    #[error("no key can be drawn")]
    Entropy(#[from] NoEntropy),
    /// A report is not canonical, or its date is not that of its start. It is dropped; a bug.
    #[error("a report that the contract does not allow was dropped")]
    Report(#[source] Fault),
    /// The agent's own batch does not pass the contract. Nothing was signed; a bug.
    #[error("a batch that the contract does not allow was not signed")]
    Batch(#[source] Fault),
    /// A batch fits no frame. Nothing was signed; a bug.
    #[error("a batch fits no frame")]
    Frame(#[from] TooLarge),
}
