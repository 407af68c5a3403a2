//! What ends the bridge, and what only interrupts it.

use imprimatur_runtime::entropy::NoEntropy;

/// The bridge cannot go on. Everything else is waited out.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// No random client id, without which two bridges could throw each other out. Report and exit.
    #[error("cannot name this bridge")]
    Unnamed(#[source] NoEntropy),
}

/// A side that was lost. The session ends, both sides are connected again after a wait.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// The broker cannot be reached, or the connection broke.
    #[error("the broker cannot be reached")]
    Broker(#[source] Box<rumqttc::v5::ConnectionError>),
    /// The broker does not know the bridge's account.
    #[error("the broker refuses the bridge's account")]
    Account,
    /// The broker does not let the bridge subscribe.
    #[error("the broker refuses the bridge's subscriptions")]
    Subscription,
    /// More was handed to the connection than its bounded channel holds: a broker that ignores the
    /// receive maximum.
    #[error("the broker ignores the receive maximum")]
    Window,
    /// The collector cannot be connected to.
    #[error("the collector cannot be reached")]
    Unreachable(#[source] tonic::transport::Error),
    /// The collector refused a call or broke it off.
    #[error("the collector does not answer")]
    Collector(#[source] Box<tonic::Status>),
    /// The collector ended the stream of verdicts.
    #[error("the collector ended the stream")]
    StreamEnded,
    /// A message waited too long for its answer.
    #[error("the collector is silent")]
    Silent,
    /// A task of the session panicked.
    #[error("a task of the bridge failed")]
    Task(#[source] tokio::task::JoinError),
}

/// The party that an outage is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The MQTT broker.
    Broker,
    /// The collector.
    Collector,
    /// The bridge itself.
    Bridge,
}

impl Lost {
    /// Who was lost.
    pub(crate) fn side(&self) -> Side {
        match self {
            Self::Broker(_) | Self::Account | Self::Subscription | Self::Window => Side::Broker,
            Self::Unreachable(_) | Self::Collector(_) | Self::StreamEnded | Self::Silent => {
                Side::Collector
            }
            Self::Task(_) => Side::Bridge,
        }
    }

    /// What the operator can do.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Broker(_) => "start the broker or correct its address; the bridge tries again",
            Self::Account => "give the bridge the broker's account and password, then restart it",
            Self::Subscription => {
                "let the account read the shared subscriptions of batches, consent events and requests"
            }
            Self::Window => "use a broker that honours MQTT 5 receive maximum",
            Self::Unreachable(_) => {
                "start the collector or correct its address; agents keep their data and send again"
            }
            Self::Collector(_) | Self::StreamEnded | Self::Silent => {
                "look at the collector's log; agents keep their data and send again"
            }
            Self::Task(_) => "report this fault; the bridge starts again",
        }
    }

    /// The cause in a word that carries no peer's text.
    pub(crate) fn cause(&self) -> String {
        use rumqttc::v5::ConnectionError;
        match self {
            Self::Broker(error) => match error.as_ref() {
                ConnectionError::Io(error) => error.kind().to_string(),
                ConnectionError::Timeout(_) => "timed out".to_owned(),
                ConnectionError::ConnectionRefused(code) => format!("refused: {code:?}"),
                _ => "connection broken".to_owned(),
            },
            Self::Collector(status) => format!("{:?}", status.code()),
            other => other.to_string(),
        }
    }
}
