//! The broker's side of a session: one connection, polled in a task of its own.
//!
//! The connection starts clean, keeps no session and is never resumed: a new session makes a new event
//! loop, because the library drops pending publishes silently when a broker forgot the session. Its log
//! lines name topics, so it is polled without a log subscriber.

use std::time::Duration;

use imprimatur_runtime::entropy;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, ConnectReturnCode, Filter, Packet, PubAckReason, Publish,
};
use rumqttc::v5::{AsyncClient, ConnectionError, EventLoop, MqttOptions};
use tokio::sync::mpsc;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::config::{BridgeSettings, CONNECT_WITHIN, PACKET_BYTES_MAX};
use crate::counters::Counters;
use crate::error::{BridgeError, Lost, Poor};
use crate::link::{Broker, Fit, Full, Heard, Message};
use crate::topic;

mod limits;
mod probe;

/// How often a silent broker is asked whether it is there; one that does not answer until it is asked
/// again is lost, so after 20 s at most. A broker that sets a longer time of its own delays the first
/// question by it.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// One connection to the broker, not yet polled.
pub(crate) struct Connection {
    client: AsyncClient,
    events: EventLoop,
    window: u16,
    probe_topic: String,
    filters: [String; 3],
    /// Subscriptions that the broker said are gone.
    gone: usize,
}

/// Publishes and acknowledges on a connection; never waits.
pub(crate) struct Handle {
    client: AsyncClient,
    filters: [String; 3],
}

/// A fresh client id, not of the form of an agent's.
///
/// # Errors
/// [`BridgeError::Unnamed`].
pub(crate) fn client_id() -> Result<String, BridgeError> {
    let random = entropy::bytes::<8>().map_err(BridgeError::Unnamed)?;
    Ok(format!("bridge-{}", hex::encode(random)))
}

impl Connection {
    /// A connection that will look at the broker and subscribe as soon as it is polled.
    ///
    /// Bound of its channel: an answer and an acknowledgement for each of the two windows of messages
    /// that the broker may bring, or for each message of the probe, and a few for subscriptions and the
    /// goodbye. The broker sends no more before it has read the acknowledgements, so the channel is
    /// never full; if it is, the broker broke its promise and the session ends.
    ///
    /// # Errors
    /// [`BridgeError::Unnamed`].
    pub(crate) fn new(settings: &BridgeSettings, client_id: &str) -> Result<Self, BridgeError> {
        let (host, port) = settings.broker.parts();
        let (user, password) = settings.credentials.parts();
        let in_flight = settings.window.saturating_mul(2);
        let mut options = MqttOptions::new(client_id, host, port);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(0);
        properties.receive_maximum = Some(in_flight);
        properties.max_packet_size = Some(PACKET_BYTES_MAX);
        options
            .set_clean_start(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_connection_timeout(CONNECT_WITHIN.as_secs())
            .set_credentials(user, password)
            .set_manual_acks(true)
            .set_outgoing_inflight_upper_limit(in_flight)
            .set_connect_properties(properties);
        let capacity = 2 * usize::from(in_flight.max(probe::MESSAGES_MAX)) + 8;
        let (client, events) = AsyncClient::new(options, capacity);
        let random = entropy::bytes::<16>().map_err(BridgeError::Unnamed)?;
        Ok(Self {
            client,
            events,
            window: settings.window,
            probe_topic: topic::probe(&hex::encode(random)),
            filters: topic::filters(&settings.share),
            gone: 0,
        })
    }

    /// What publishes and acknowledges on it.
    pub(crate) fn handle(&self) -> Handle {
        Handle { client: self.client.clone(), filters: self.filters.clone() }
    }

    /// The task that polls. Ends with the loss of the connection; cancelled by dropping.
    ///
    /// `heard` holds two windows of messages and blocks when full, which a broker that honours the
    /// receive maximum cannot bring about: of what is no message there is at most one for each publish.
    pub(crate) fn poll(
        mut self,
        heard: mpsc::Sender<Heard>,
        counters: Counters,
    ) -> impl Future<Output = Lost> + Send + 'static {
        async move {
            let fit = match self.prepare().await {
                Ok(fit) => fit,
                Err(lost) => return lost,
            };
            let mut said = Some(Heard::Ready(fit));
            loop {
                if let Some(said) = said.take()
                    && heard.send(said).await.is_err()
                {
                    // The session is gone and aborts this task next; what is returned is unheard.
                    return Lost::BrokerGone;
                }
                said = match probe::incoming(&mut self.events).await {
                    Ok(packet) => match self.sort(packet, &counters) {
                        Ok(said) => said,
                        Err(lost) => return lost,
                    },
                    Err(lost) => return lost,
                };
            }
        }
        .with_subscriber(NoSubscriber::new())
    }

    /// Connects, reads the broker's limits, probes its queue and subscribes, in this order: the probe
    /// shares the broker's queue with nothing else.
    async fn prepare(&mut self) -> Result<Fit, Lost> {
        let Self { client, events, window, probe_topic, filters, gone: _ } = self;
        let mut poor = loop {
            if let Packet::ConnAck(ack) = probe::incoming(events).await? {
                let asked = events.options.keep_alive().min(KEEP_ALIVE);
                events.options.set_keep_alive(asked);
                break limits::read(ack.properties.as_ref(), *window).map_err(Lost::Unfit)?;
            }
        };
        let in_flight = probe::run(client, events, probe_topic, *window).await?;
        if let Some(got) = in_flight {
            poor.push(Poor::InFlight { got, wanted: window.saturating_mul(2) });
        }
        let filters = filters.clone().map(|filter| Filter::new(filter, QoS::AtLeastOnce));
        client.try_subscribe_many(filters).map_err(|_full| Lost::Window)?;
        loop {
            if let Packet::SubAck(ack) = probe::incoming(events).await? {
                limits::granted(&ack.return_codes)?;
                return Ok(Fit { in_flight, poor });
            }
        }
    }

    /// What a packet says to the session.
    fn sort(&mut self, packet: Packet, counters: &Counters) -> Result<Option<Heard>, Lost> {
        Ok(match packet {
            Packet::Publish(message) if message.qos == QoS::AtLeastOnce => {
                let Publish { topic, pkid: id, payload, .. } = message;
                Some(Heard::Message(Message { id, topic, payload }))
            }
            Packet::Publish(message) => {
                counters.cells().dropped_quality.up();
                // Exactly once holds a place with the broker, too; nothing for at most once.
                self.client.try_ack(&message).map_err(|_full| Lost::Window)?;
                None
            }
            Packet::PubAck(ack) => {
                let taken = matches!(
                    ack.reason,
                    PubAckReason::Success | PubAckReason::NoMatchingSubscribers
                );
                if !taken {
                    counters.cells().answers_refused.up();
                }
                Some(Heard::Taken)
            }
            Packet::UnsubAck(_) => {
                self.gone += 1;
                (self.gone == self.filters.len()).then_some(Heard::Unsubscribed)
            }
            _ => None,
        })
    }
}

impl Broker for Handle {
    fn publish(&mut self, topic: String, payload: Vec<u8>) -> Result<(), Full> {
        self.client.try_publish(topic, QoS::AtLeastOnce, false, payload).map_err(|_full| Full)
    }

    fn acknowledge(&mut self, id: u16) -> Result<(), Full> {
        // The library wants the message back but reads its number and quality only.
        let mut message = Publish::new("", QoS::AtLeastOnce, "", None);
        message.pkid = id;
        self.client.try_ack(&message).map_err(|_full| Full)
    }

    fn unsubscribe(&mut self) -> Result<(), Full> {
        for filter in &self.filters {
            self.client.try_unsubscribe(filter).map_err(|_full| Full)?;
        }
        Ok(())
    }

    fn disconnect(&mut self) -> Result<(), Full> {
        self.client.try_disconnect().map_err(|_full| Full)
    }
}

fn lost(error: ConnectionError) -> Lost {
    match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) => Lost::Account,
        error => Lost::Broker(Box::new(error)),
    }
}
