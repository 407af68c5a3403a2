//! One MQTT connection of one subject: opened, used and dropped, never revived.
//!
//! rumqttc drops pending publishes silently when a session is lost, and cannot tell which publish
//! an acknowledgement belongs to; so a link trusts it with nothing: clean start, no session, a new
//! event loop each time. Its own task polls, so that no poll is cancelled half-way; dropping the
//! link ends the task and with it the connection and whatever was queued.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use imprimatur_consent::SubjectId;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, Filter, Packet, PubAckReason, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::Broker;
use super::wire::{Answer, Dial, Topic, Wire, WireError};

/// Largest packet taken, bytes. The answer with a page of 8 KiB is below 9 KiB, a receipt with the
/// longest proofs below 6 KiB; rumqttc's default is 10 KiB.
const PACKET_BYTES_MAX: u32 = 16 * 1024;

/// Requests that may wait for the wire: a window of frames and the subscription.
const REQUESTS_MAX: usize = 16;

/// Publishes without an acknowledgement of the broker. Eight times the uplink's window: more never
/// travel at once. rumqttc keeps a place for each: with its default, 65,535, a connection takes 14 MB.
const UNACKNOWLEDGED_MAX: u16 = 64;

/// Packets that may wait for the uplink; when full, the connection is not read.
const PACKETS_MAX: usize = 64;

/// How long a good-bye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

impl Dial for Broker {
    type Wire = Link;

    fn open(&self, subject: SubjectId) -> impl Future<Output = Result<Link, WireError>> {
        Link::open(self, subject)
    }
}

/// An open connection.
pub struct Link {
    client: AsyncClient,
    packets: mpsc::Receiver<Result<Packet, WireError>>,
    pump: JoinHandle<()>,
    subject: SubjectId,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Link {
    /// Connects and subscribes to the subject's answers.
    async fn open(broker: &Broker, subject: SubjectId) -> Result<Self, WireError> {
        let mut options = MqttOptions::new(subject.to_string(), broker.host.clone(), broker.port);
        options.set_clean_start(true);
        options.set_keep_alive(Duration::from_secs(30));
        options.set_outgoing_inflight_upper_limit(UNACKNOWLEDGED_MAX);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(0);
        properties.max_packet_size = Some(PACKET_BYTES_MAX);
        options.set_connect_properties(properties);
        let (client, events) = AsyncClient::new(options, REQUESTS_MAX);
        let (into, packets) = mpsc::channel(PACKETS_MAX);
        // rumqttc logs topics, and with them the subject.
        let silent = Box::pin(pump(events, into)).with_subscriber(NoSubscriber::new());
        let pump = tokio::spawn(silent);
        let mut link = Self { client, packets, pump, subject };
        // A refusal to connect is an error of the connection.
        while !matches!(link.packet().await?, Packet::ConnAck(_)) {}
        let heard = ["receipt", "verdict", "answer", "busy"].map(|kind| Filter {
            path: link.topic(kind),
            qos: QoS::AtLeastOnce,
            ..Filter::default()
        });
        link.client.try_subscribe_many(heard).map_err(|_full| WireError::Ended)?;
        loop {
            let Packet::SubAck(ack) = link.packet().await? else { continue };
            let granted = |code| matches!(code, &SubscribeReasonCode::Success(_));
            let all = ack.return_codes.iter().all(granted);
            return if all { Ok(link) } else { Err(WireError::Subscription) };
        }
    }

    async fn packet(&mut self) -> Result<Packet, WireError> {
        self.packets.recv().await.unwrap_or(Err(WireError::Ended))
    }

    fn topic(&self, kind: &str) -> String {
        format!("imprimatur/v1/{}/{kind}", self.subject)
    }
}

/// Name of a topic that is heard, and what comes over it.
type Kind = (&'static str, fn(Bytes) -> Answer);

impl Wire for Link {
    fn publish(&mut self, topic: Topic, bytes: &[u8]) -> bool {
        let topic = self.topic(match topic {
            Topic::Consent => "consent",
            Topic::Batch => "batch",
            Topic::Request => "request",
        });
        let bytes = Bytes::copy_from_slice(bytes);
        self.client.try_publish(topic, QoS::AtLeastOnce, false, bytes).is_ok()
    }

    /// Packets that are no answers are passed over.
    async fn next(&mut self) -> Result<Answer, WireError> {
        loop {
            let message = match self.packet().await? {
                Packet::PubAck(ack) if ack.reason == PubAckReason::NoMatchingSubscribers => {
                    return Ok(Answer::Nobody);
                }
                Packet::Publish(message) => message,
                _ => continue,
            };
            let answers: [Kind; 4] = [
                ("receipt", Answer::Receipt),
                ("verdict", Answer::Verdict),
                ("answer", Answer::Rights),
                ("busy", Answer::Busy),
            ];
            for (kind, answer) in answers {
                if message.topic == self.topic(kind) {
                    return Ok(answer(message.payload));
                }
            }
        }
    }

    /// What is queued is sent before, within a second.
    async fn close(mut self) {
        if self.client.try_disconnect().is_ok() {
            let ended = async { while self.packets.recv().await.is_some_and(|p| p.is_ok()) {} };
            if tokio::time::timeout(CLOSE_WITHIN, ended).await.is_err() {
                tracing::debug!("the broker did not end the connection");
            }
        }
    }
}

/// Polls until the connection ends; never connects a second time.
async fn pump(mut events: EventLoop, into: mpsc::Sender<Result<Packet, WireError>>) {
    loop {
        let packet = match events.poll().await {
            Ok(Event::Incoming(packet)) => Ok(packet),
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => Err(WireError::Ended),
            Ok(Event::Outgoing(_)) => continue,
            Err(error) => Err(WireError::Connection(Box::new(error))),
        };
        let last = packet.is_err();
        if into.send(packet).await.is_err() || last {
            return;
        }
    }
}
