//! One MQTT connection, 3.1.1 or 5, whose acknowledgements are paired with what they acknowledge.
//!
//! Keeps true: only a PUBACK that came over the wire with reason "success" acknowledges; the library's
//! own resending is never used, because a connection that was lost is never polled again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS as QoS5;
use rumqttc::v5::mqttbytes::v5::{Packet as Packet5, PubAckReason, SubscribeReasonCode};
use rumqttc::{MqttOptions, Outgoing, Packet, QoS, SubscribeReasonCode as Code4};

use crate::error::RunError;

/// Messages without an acknowledgement on one connection.
pub(crate) const WINDOW: usize = 50;
/// Ids of packets: more than the window, so that none is needed twice when answers overtake.
const PACKET_IDS: u16 = 200;
/// Requests between caller and connection: the window, a subscription and a goodbye fit.
const REQUESTS: usize = 128;
/// A broker on the loopback that says nothing for this long is not coming back.
const SILENCE: Duration = Duration::from_secs(20);
/// Larger than everything here.
const PACKET_BYTES_MAX: u32 = 64 * 1024;

/// Which MQTT a broker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// 3.1.1.
    V4,
    /// 5.
    V5,
}

/// Whether the broker is to remember a client that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// It is: clean start 0, and a day of expiry where that can be said.
    Durable,
    /// It is not.
    Clean,
}

/// Who connects where.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) session: Session,
    pub(crate) account: Option<(String, String)>,
}

/// What came over a connection.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The broker took the message that was published under this tag.
    Acknowledged(u64),
    /// A message.
    Message {
        topic: String,
        payload: Vec<u8>,
    },
    /// A subscription is in force.
    Subscribed,
    Other,
}

enum Half {
    V4(rumqttc::AsyncClient, Box<rumqttc::EventLoop>),
    V5(rumqttc::v5::AsyncClient, Box<rumqttc::v5::EventLoop>),
}

/// A connection.
pub(crate) struct Link {
    half: Half,
    name: String,
    /// Tags of what was handed over and is not on the wire yet, in order.
    queued: VecDeque<u64>,
    /// Tags on the wire by packet id.
    on_the_wire: BTreeMap<u16, u64>,
}

/// What an event of either protocol means here.
enum Event {
    Sent(u16),
    PubAck(u16, bool),
    Heard(Heard),
    Refused(String),
}

impl Link {
    /// Connects; returns once the broker has accepted.
    ///
    /// # Errors
    /// [`RunError::Connection`].
    pub(crate) async fn connect(client: &Client) -> Result<Self, RunError> {
        let Client { id, port, .. } = client;
        let half = match client.protocol {
            Protocol::V4 => {
                let mut options = MqttOptions::new(id, "127.0.0.1", *port);
                options
                    .set_clean_session(client.session == Session::Clean)
                    .set_inflight(PACKET_IDS)
                    .set_keep_alive(Duration::from_mins(1));
                if let Some((user, password)) = &client.account {
                    options.set_credentials(user, password);
                }
                let (requests, events) = rumqttc::AsyncClient::new(options, REQUESTS);
                Half::V4(requests, Box::new(events))
            }
            Protocol::V5 => {
                let mut options = rumqttc::v5::MqttOptions::new(id, "127.0.0.1", *port);
                let expiry = if client.session == Session::Durable { 86_400 } else { 0 };
                options
                    .set_clean_start(client.session == Session::Clean)
                    .set_session_expiry_interval(Some(expiry))
                    .set_max_packet_size(Some(PACKET_BYTES_MAX))
                    .set_outgoing_inflight_upper_limit(PACKET_IDS)
                    .set_keep_alive(Duration::from_mins(1));
                if let Some((user, password)) = &client.account {
                    options.set_credentials(user, password);
                }
                let (requests, events) = rumqttc::v5::AsyncClient::new(options, REQUESTS);
                Half::V5(requests, Box::new(events))
            }
        };
        let (queued, on_the_wire) = (VecDeque::new(), BTreeMap::new());
        let mut link = Self { half, name: id.clone(), queued, on_the_wire };
        // The first event of a connection is its CONNACK, or an error.
        link.next().await?;
        Ok(link)
    }

    /// Messages that were published and not acknowledged.
    pub(crate) fn in_flight(&self) -> usize {
        self.queued.len() + self.on_the_wire.len()
    }

    /// Hands over a message under a tag, `QoS` 1; at most [`WINDOW`] may be in flight.
    ///
    /// # Errors
    /// [`RunError::Connection`] when there are more.
    pub(crate) fn publish(&mut self, tag: u64, topic: &str, body: &[u8]) -> Result<(), RunError> {
        match &self.half {
            Half::V4(requests, _) => requests
                .try_publish(topic, QoS::AtLeastOnce, false, body)
                .map_err(|error| error.to_string()),
            Half::V5(requests, _) => requests
                .try_publish(topic, QoS5::AtLeastOnce, false, body.to_vec())
                .map_err(|error| error.to_string()),
        }
        .map_err(|reason| self.lost(reason))?;
        self.queued.push_back(tag);
        Ok(())
    }

    /// Subscribes with `QoS` 1; returns once that is in force. What comes meanwhile goes to `take`.
    ///
    /// # Errors
    /// [`RunError::Connection`].
    pub(crate) async fn subscribe(
        &mut self,
        filter: &str,
        mut take: impl FnMut(Heard),
    ) -> Result<(), RunError> {
        match &self.half {
            Half::V4(requests, _) => {
                requests.try_subscribe(filter, QoS::AtLeastOnce).map_err(|error| error.to_string())
            }
            Half::V5(requests, _) => {
                requests.try_subscribe(filter, QoS5::AtLeastOnce).map_err(|error| error.to_string())
            }
        }
        .map_err(|reason| self.lost(reason))?;
        loop {
            match self.next().await? {
                Heard::Subscribed => return Ok(()),
                other => take(other),
            }
        }
    }

    /// Says goodbye, so that the broker sees a client that left and not one that was lost.
    ///
    /// # Errors
    /// [`RunError::Connection`] when it cannot be said.
    pub(crate) async fn leave(mut self) -> Result<(), RunError> {
        match &self.half {
            Half::V4(requests, _) => requests.try_disconnect().map_err(|error| error.to_string()),
            Half::V5(requests, _) => requests.try_disconnect().map_err(|error| error.to_string()),
        }
        .map_err(|reason| self.lost(reason))?;
        // It ends with an error, because the broker closes.
        while self.next().await.is_ok() {}
        Ok(())
    }

    /// The next thing that comes. May be cancelled.
    ///
    /// # Errors
    /// [`RunError::Connection`]: never poll it again.
    pub(crate) async fn next(&mut self) -> Result<Heard, RunError> {
        loop {
            let polled = tokio::time::timeout(SILENCE, self.half.poll()).await;
            let polled = polled.unwrap_or_else(|_elapsed| Err(String::from("silence")));
            match polled.map_err(|reason| self.lost(reason))? {
                Event::Sent(packet) => {
                    if let Some(tag) = self.queued.pop_front() {
                        self.on_the_wire.insert(packet, tag);
                    }
                }
                Event::PubAck(packet, taken) => {
                    let tag = self.on_the_wire.remove(&packet);
                    if let (Some(tag), true) = (tag, taken) {
                        return Ok(Heard::Acknowledged(tag));
                    }
                    return Ok(Heard::Other);
                }
                Event::Heard(heard) => return Ok(heard),
                Event::Refused(reason) => return Err(self.lost(reason)),
            }
        }
    }

    fn lost(&self, reason: String) -> RunError {
        RunError::Connection { peer: self.name.clone(), reason }
    }
}

impl Half {
    async fn poll(&mut self) -> Result<Event, String> {
        match self {
            Self::V4(_, events) => match events.poll().await {
                Ok(event) => Ok(meaning(event)),
                Err(error) => Err(error.to_string()),
            },
            Self::V5(_, events) => match events.poll().await {
                Ok(event) => Ok(meaning_5(event)),
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

fn meaning(event: rumqttc::Event) -> Event {
    match event {
        rumqttc::Event::Outgoing(Outgoing::Publish(packet)) => Event::Sent(packet),
        rumqttc::Event::Incoming(Packet::PubAck(ack)) => Event::PubAck(ack.pkid, true),
        rumqttc::Event::Incoming(Packet::Publish(message)) => {
            Event::Heard(Heard::Message { topic: message.topic, payload: message.payload.to_vec() })
        }
        rumqttc::Event::Incoming(Packet::SubAck(ack)) => {
            let granted = |code: &_| matches!(code, Code4::Success(QoS::AtLeastOnce));
            subscribed(ack.return_codes.iter().all(granted))
        }
        _ => Event::Heard(Heard::Other),
    }
}

fn meaning_5(event: rumqttc::v5::Event) -> Event {
    match event {
        rumqttc::v5::Event::Outgoing(Outgoing::Publish(packet)) => Event::Sent(packet),
        rumqttc::v5::Event::Incoming(Packet5::PubAck(ack)) => {
            Event::PubAck(ack.pkid, ack.reason == PubAckReason::Success)
        }
        rumqttc::v5::Event::Incoming(Packet5::Publish(message)) => Event::Heard(Heard::Message {
            topic: String::from_utf8_lossy(&message.topic).into_owned(),
            payload: message.payload.to_vec(),
        }),
        rumqttc::v5::Event::Incoming(Packet5::SubAck(ack)) => {
            let granted =
                |code: &_| matches!(code, SubscribeReasonCode::Success(QoS5::AtLeastOnce));
            subscribed(ack.return_codes.iter().all(granted))
        }
        _ => Event::Heard(Heard::Other),
    }
}

fn subscribed(granted: bool) -> Event {
    if granted {
        Event::Heard(Heard::Subscribed)
    } else {
        Event::Refused(String::from("the subscription was refused"))
    }
}
