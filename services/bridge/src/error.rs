//! What ends the bridge, and what only interrupts it.

use imprimatur_runtime::entropy::NoEntropy;

/// The bridge cannot go on. Everything else is waited out.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// No random client id, without which two bridges could throw each other out. Report and exit.
    #[error("cannot name this bridge")]
    Unnamed(#[source] NoEntropy),
    /// The broker cannot be worked with, seen at the first connection. Change its settings.
    #[error("the broker cannot be worked with")]
    Unfit(#[source] Unfit),
}

/// What a broker cannot do that the bridge needs. `Display` names what to change, in general words and
/// as Mosquitto calls it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its largest packet is smaller than the largest answer.
    #[error(
        "packets may be {got} bytes and answers need {needed}: raise the broker's largest packet \
         (Mosquitto: `max_packet_size 32768`)"
    )]
    Packet {
        /// What it takes, bytes.
        got: u32,
        /// What is needed, bytes.
        needed: u32,
    },
    /// It takes or brings nothing at least once.
    #[error("no quality of service 1: raise the broker's maximum (Mosquitto: `max_qos 1`)")]
    Quality,
    /// It has no shared subscriptions.
    #[error(
        "no shared subscriptions: switch `$share/` on or take an MQTT 5 broker that has them \
         (Mosquitto from 1.6)"
    )]
    Shared,
    /// It has no subscriptions with wildcards.
    #[error("no subscriptions with wildcards: switch `+` on (Mosquitto has it always)")]
    Wildcard,
    /// It took messages and dropped them without a word.
    #[error(
        "it dropped {dropped} of {of} messages for one client without a word: let more wait for one \
         client (Mosquitto: raise `max_queued_messages` and `max_queued_bytes`, or set them to 0)"
    )]
    Drops {
        /// How many did not come back.
        dropped: u16,
        /// Of how many.
        of: u16,
    },
    /// It brings one message at a time.
    #[error(
        "it brings one message at a time without an acknowledgement: allow at least two, better twice \
         the window (Mosquitto: raise `max_inflight_messages`, or set it to 0)"
    )]
    InFlight,
    /// The bridge's account may not write to and read from a topic of its own.
    #[error(
        "the account may not write and read `imprimatur/v1/probe/+`: allow both (Mosquitto: `topic \
         readwrite imprimatur/v1/probe/+` in `acl_file`, below `user bridge`)"
    )]
    Probe,
}

/// What works badly with a broker. `Display` names what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Poor {
    /// It brings fewer messages at once than twice the window, so the window becomes smaller.
    #[error(
        "the broker brings {got} messages at once where {wanted} are wanted, so fewer batches are under \
         way: allow more without an acknowledgement (Mosquitto: `max_inflight_messages {wanted}`)"
    )]
    InFlight {
        /// How many it brings.
        got: u16,
        /// How many are wanted.
        wanted: u16,
    },
    /// It takes fewer answers at once than the window, so they go out more slowly.
    #[error(
        "the broker takes {got} answers at once where {wanted} are wanted: raise its receive maximum \
         (Mosquitto: `max_inflight_messages {wanted}`)"
    )]
    Answers {
        /// How many it takes.
        got: u16,
        /// How many are wanted.
        wanted: u16,
    },
    /// It retains messages, which nothing here needs.
    #[error(
        "the broker retains messages for whoever asks it to: switch that off (Mosquitto: \
         `retain_available false`)"
    )]
    Retains,
    /// It keeps sessions although none was asked for.
    #[error(
        "the broker keeps the bridge's session past its connection, so messages may come late: let it \
         keep none that asks for none"
    )]
    Keeps,
}

/// A side that was lost. The session ends, both sides are connected again after a wait.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The broker cannot be reached, or the connection broke.
    #[error("the broker cannot be reached")]
    Broker(#[source] Box<rumqttc::v5::ConnectionError>),
    /// The broker's side ended without a reason.
    #[error("the broker is gone")]
    BrokerGone,
    /// The broker did not become ready in time.
    #[error("the broker is silent")]
    BrokerSilent,
    /// The broker does not take what is published.
    #[error("the broker takes nothing")]
    BrokerStalls,
    /// The broker cannot be worked with as it is set up.
    #[error("the broker cannot be worked with")]
    Unfit(#[source] Unfit),
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
            Self::Broker(_)
            | Self::BrokerGone
            | Self::BrokerSilent
            | Self::BrokerStalls
            | Self::Unfit(_)
            | Self::Account
            | Self::Subscription
            | Self::Window => Side::Broker,
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
            Self::BrokerGone | Self::BrokerSilent | Self::BrokerStalls => {
                "look at the broker and the way to it; the bridge tries again"
            }
            Self::Unfit(_) => "change the broker's settings; the bridge tries again",
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
            Self::Unfit(unfit) => unfit.to_string(),
            other => other.to_string(),
        }
    }
}
