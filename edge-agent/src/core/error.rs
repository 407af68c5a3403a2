//! What can go wrong in a decision.

use imprimatur_consent::Category;
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
    /// The policy does not ask for this category. Nothing was granted.
    #[error("the policy does not ask for `{0}`, so it cannot be granted; see `consent show`")]
    NotOffered(Category),
    /// The administrator of this host denied this category. Nothing was granted.
    #[error("`{0}` is denied by the settings of this host (`deny`), so it cannot be granted")]
    Denied(Category),
    /// The clock is doubtful, and a yes names its date. Nothing was granted or renewed.
    #[error(
        "this device's clock cannot be believed, and a yes names its date: set the clock, or wait \
         until it is synchronised (`timedatectl` tells whether it is), then say it again"
    )]
    ClockDoubtful,
    /// The category is not granted, or its grant has ended. Nothing was renewed.
    #[error("`{0}` is not granted or has ended: `consent grant` it instead")]
    NotRenewable(Category),
    /// The shared principal cannot be had. Nothing was granted.
    #[error("cannot use the shared principal's file (`principal_file`)")]
    Principal(#[source] std::io::Error),
    /// No key here was ever known to a collector. Nothing was asked.
    #[error(
        "nothing was ever sent from here, so nobody holds anything; if the device was replaced, \
         type its recovery code first: `imprimatur-agent recover CODE`"
    )]
    NothingHeld,
    /// As many requests wait as may. Nothing was asked.
    #[error("{0} requests wait for their answers; see `imprimatur-agent requests`")]
    TooManyRequests(usize),
    /// No collector is set to ask. Nothing was asked.
    #[error("no collector is set: add `[collector]` to the settings")]
    NoCollector,
}

impl AgentError {
    /// Whether the answer is no, rather than that something failed.
    pub fn refuses(&self) -> bool {
        match self {
            Self::NotOffered(_)
            | Self::Denied(_)
            | Self::ClockDoubtful
            | Self::NotRenewable(_)
            | Self::NothingHeld
            | Self::TooManyRequests(_)
            | Self::NoCollector => true,
            Self::Store(_)
            | Self::Entropy(_)
            | Self::Report(_)
            | Self::Batch(_)
            | Self::Frame(_)
            | Self::Principal(_) => false,
        }
    }
}
