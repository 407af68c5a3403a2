//! Whether the broker drops: what it does with more messages than it may bring at once, seen by writing
//! to oneself.
//!
//! A broker says nothing of how many messages wait for one client before it drops, and drops without a
//! word: Mosquitto acknowledges what it drops. So the bridge subscribes to a topic of its own and
//! publishes four windows (at most 256) of small messages, of which it acknowledges none until the
//! broker took all; two windows come at once, the rest must wait. Then it acknowledges, and publishes
//! one more message: messages of one topic keep their order, so when that one is back, what is not was
//! dropped. No clock decides it.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, Publish};
use rumqttc::v5::{AsyncClient, Event, EventLoop};

use super::limits;
use crate::error::{Lost, Unfit};

/// The most messages of one probe.
pub(super) const MESSAGES_MAX: u16 = 256;
/// Nothing came for this long after the broker took all: it brings no more at once. A broker that is
/// slower than that is thought to bring fewer, which makes the window smaller and nothing worse.
const QUIET: Duration = Duration::from_millis(100);
/// What a broker may take to bring the last message, or the first.
const LAST_WITHIN: Duration = Duration::from_secs(2);
/// The payload of the last message.
const LAST: &[u8] = b"last";

/// Probes over `topic`, which nobody else reads. Gives how many messages came without an
/// acknowledgement, when these are fewer than two windows. Leaves no subscription and nothing that is
/// unacknowledged.
pub(super) async fn run(
    client: &AsyncClient,
    events: &mut EventLoop,
    topic: &str,
    window: u16,
) -> Result<Option<u16>, Lost> {
    let sent = window.saturating_mul(4).min(MESSAGES_MAX);
    let wanted = window.saturating_mul(2).min(sent);
    client.try_subscribe(topic, QoS::AtLeastOnce).map_err(|_full| Lost::Window)?;
    loop {
        if let Packet::SubAck(ack) = incoming(events).await? {
            match limits::granted(&ack.return_codes) {
                Err(Lost::Subscription) => return Err(Lost::Unfit(Unfit::Probe)),
                other => other?,
            }
            break;
        }
    }
    for _ in 0..sent {
        publish(client, topic, b"probe")?;
    }
    let held = fill(events, topic, sent, wanted).await?;
    for message in &held {
        client.try_ack(message).map_err(|_full| Lost::Window)?;
    }
    publish(client, topic, LAST)?;
    let at_once = u16::try_from(held.len()).unwrap_or(u16::MAX);
    let emptied = empty(client, events, topic, at_once);
    let back = match tokio::time::timeout(LAST_WITHIN, emptied).await {
        Ok(back) => back?,
        // It took everything and brought nothing: its access list lets the bridge write only.
        Err(_elapsed) if at_once == 0 => return Err(Lost::Unfit(Unfit::Probe)),
        Err(_elapsed) => return Err(Lost::BrokerSilent),
    };
    if back < sent {
        return Err(Lost::Unfit(Unfit::Drops { dropped: sent - back, of: sent }));
    }
    if at_once < 2 {
        return Err(Lost::Unfit(Unfit::InFlight));
    }
    client.try_unsubscribe(topic).map_err(|_full| Lost::Window)?;
    while !matches!(incoming(events).await?, Packet::UnsubAck(_)) {}
    Ok((at_once < wanted).then_some(at_once))
}

/// Listens until the broker took all and brought as many as it brings at once.
async fn fill(
    events: &mut EventLoop,
    topic: &str,
    sent: u16,
    wanted: u16,
) -> Result<Vec<Publish>, Lost> {
    let (mut taken, mut held) = (0, Vec::new());
    while taken < sent || held.len() < usize::from(wanted) {
        let next = incoming(events);
        let packet = if taken < sent {
            next.await?
        } else {
            let patience = if held.is_empty() { LAST_WITHIN } else { QUIET };
            match tokio::time::timeout(patience, next).await {
                Ok(packet) => packet?,
                Err(_elapsed) => break,
            }
        };
        match packet {
            Packet::PubAck(ack) if ack.reason == PubAckReason::NotAuthorized => {
                return Err(Lost::Unfit(Unfit::Probe));
            }
            Packet::PubAck(_) => taken += 1,
            Packet::Publish(message) if message.topic == topic => held.push(message),
            _ => {}
        }
    }
    Ok(held)
}

/// Acknowledges what comes until the last message is back; gives how many came in all without it.
async fn empty(
    client: &AsyncClient,
    events: &mut EventLoop,
    topic: &str,
    at_once: u16,
) -> Result<u16, Lost> {
    let mut back = at_once;
    loop {
        if let Packet::Publish(message) = incoming(events).await?
            && message.topic == topic
        {
            client.try_ack(&message).map_err(|_full| Lost::Window)?;
            if message.payload == LAST {
                return Ok(back);
            }
            back += 1;
        }
    }
}

fn publish(client: &AsyncClient, topic: &str, payload: &'static [u8]) -> Result<(), Lost> {
    client.try_publish(topic, QoS::AtLeastOnce, false, payload).map_err(|_full| Lost::Window)
}

/// The next packet of the broker. Cancelling it loses none: the library keeps what it has read.
pub(super) async fn incoming(events: &mut EventLoop) -> Result<Packet, Lost> {
    loop {
        if let Event::Incoming(packet) = events.poll().await.map_err(super::lost)? {
            return Ok(packet);
        }
    }
}
