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
    SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::sync::mpsc;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::config::{BridgeSettings, CONNECT_WITHIN, PACKET_BYTES_MAX};
use crate::counters::Counters;
use crate::error::{BridgeError, Lost};
use crate::topic;

/// How often a silent broker is asked whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What the polling task says.
#[derive(Debug)]
pub(crate) enum Heard {
    /// All subscriptions are in force.
    Subscribed,
    /// A message came.
    Message(Box<Publish>),
}

/// One connection to the broker, not yet polled.
pub(crate) struct Connection {
    /// Publishes and acknowledges; never awaited, see [`Connection::new`].
    pub(crate) client: AsyncClient,
    events: EventLoop,
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
    /// A connection that will subscribe as soon as it is polled.
    ///
    /// Bound of its channel: an answer and an acknowledgement for each message of the window, the
    /// subscription and the goodbye. The broker sends no more than the window before it has read the
    /// acknowledgements, so the channel is never full; if it is, the broker broke its promise and the
    /// session ends.
    pub(crate) fn new(settings: &BridgeSettings, client_id: &str) -> Result<Self, Lost> {
        let (host, port) = settings.broker.parts();
        let (user, password) = settings.credentials.parts();
        let mut options = MqttOptions::new(client_id, host, port);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(0);
        properties.receive_maximum = Some(settings.window);
        properties.max_packet_size = Some(PACKET_BYTES_MAX);
        options
            .set_clean_start(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_connection_timeout(CONNECT_WITHIN.as_secs())
            .set_credentials(user, password)
            .set_manual_acks(true)
            .set_outgoing_inflight_upper_limit(settings.window)
            .set_connect_properties(properties);
        let (client, events) = AsyncClient::new(options, 2 * usize::from(settings.window) + 2);
        let filters =
            topic::filters(&settings.share).map(|filter| Filter::new(filter, QoS::AtLeastOnce));
        client.try_subscribe_many(filters).map_err(|_full| Lost::Window)?;
        Ok(Self { client, events })
    }

    /// The task that polls. Ends with the loss of the connection; cancelled by dropping.
    ///
    /// `heard` holds a window of messages and blocks when full, which a broker that honours the
    /// receive maximum cannot bring about with `QoS` 1.
    pub(crate) fn poll(
        self,
        heard: mpsc::Sender<Heard>,
        counters: Counters,
    ) -> impl Future<Output = Lost> + Send + 'static {
        let Self { client, mut events } = self;
        drop(client);
        async move {
            loop {
                let said = match events.poll().await {
                    Ok(Event::Incoming(Packet::SubAck(ack))) => {
                        let granted = |code: &_| {
                            matches!(code, SubscribeReasonCode::Success(QoS::AtLeastOnce))
                        };
                        if !ack.return_codes.iter().all(granted) {
                            return Lost::Subscription;
                        }
                        Heard::Subscribed
                    }
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        if message.qos != QoS::AtLeastOnce {
                            counters.cells().dropped_quality.up();
                            continue;
                        }
                        Heard::Message(Box::new(message))
                    }
                    Ok(Event::Incoming(Packet::PubAck(ack))) => {
                        let taken = matches!(
                            ack.reason,
                            PubAckReason::Success | PubAckReason::NoMatchingSubscribers
                        );
                        if !taken {
                            counters.cells().answers_refused.up();
                        }
                        continue;
                    }
                    Ok(_) => continue,
                    Err(error) => return lost(error),
                };
                if heard.send(said).await.is_err() {
                    // The session is gone and aborts this task next; whatever is returned is unheard.
                    return Lost::Window;
                }
            }
        }
        .with_subscriber(NoSubscriber::new())
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
