//! The broker's door, when its address is given: topics, retained messages, and the road through the
//! bridge.
//!
//! A broker may refuse in several ways: the connection, the message, or by closing. All of them are
//! `not_taken`; only an acknowledged message is taken.

use std::time::Duration;

use imprimatur_consent::Digest;
use imprimatur_proto::canonical;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

use crate::answer::{Answer, frame_of, verdict_of};
use crate::attack::Attack;
use crate::error::AttackError;
use crate::subject::print;
use crate::wire;

/// How long a broker may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Tries what has a door at the broker.
pub(crate) async fn run(attack: &mut Attack, broker: &str) -> Result<(), AttackError> {
    let address = || AttackError::Broker(broker.to_owned());
    let (host, port) = broker.rsplit_once(':').ok_or_else(address)?;
    let port: u16 = port.parse().map_err(|_no_port| address())?;
    let subject = attack.honest.key.subject().to_string();
    let own = format!("imprimatur/v1/{subject}/batch");
    let connect = |id: &str| {
        let mut options = MqttOptions::new(id, host, port);
        options.set_clean_start(true).set_keep_alive(Duration::from_secs(30));
        AsyncClient::new(options, 16)
    };
    let batch = wire::batch(
        &attack.honest.header_bytes(),
        &[canonical::encode(&print(attack.today, 1))],
        &[],
    );
    let frames = [31, 32, 33].map(|field| {
        attack.honest.frame([batch.clone(), wire::bytes(field, b"solid cube")].concat())
    });
    let [bad, ..] = &frames;

    let verdict = carried(&mut connect(&subject), &subject, bad).await;
    attack.note(36, "an unknown field through broker and bridge", "unknown_field", &verdict);
    let topics = [
        format!("imprimatur/v1/{subject}/batch/{}", hex::encode("solid cube")),
        format!("imprimatur/v1/{subject}/serial-4711"),
        "printers/brave-otter/temperature".to_owned(),
    ];
    for (case, topic) in [26, 26, 33].into_iter().zip(topics) {
        let taken = taken(&mut connect(&subject), &topic, bad).await;
        attack.check(case, "a topic that tells something", "not_taken", !taken);
    }
    let kept = kept(&mut connect(&subject), &subject, &frames).await;
    attack.check(32, "a message that the broker is to keep", "not_taken", !kept);
    let taken = taken(&mut connect("brave-otter-4711"), &own, bad).await;
    attack.check(26, "another's topic under a client id that tells something", "not_taken", !taken);
    Ok(())
}

/// What came back to a frame by the road that agents use.
async fn carried(
    (client, events): &mut (AsyncClient, EventLoop),
    subject: &str,
    frame: &[u8],
) -> Answer {
    let topic = |kind: &str| format!("imprimatur/v1/{subject}/{kind}");
    if client.try_subscribe(topic("verdict"), QoS::AtLeastOnce).is_err() {
        return Answer::silent();
    }
    let answer = async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::SubAck(_))) => {
                    let frame = frame.to_vec();
                    if client.try_publish(topic("batch"), QoS::AtLeastOnce, false, frame).is_err() {
                        break;
                    }
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    return verdict_of(&message.payload);
                }
                Ok(_) => {}
                Err(_gone) => break,
            }
        }
        Answer::silent()
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
    answer.unwrap_or_else(|_elapsed| Answer::silent())
}

/// Whether a broker carries a message that it is to keep. One that acknowledges it and throws it away
/// keeps nothing: then only what was sent behind it is answered.
async fn kept(
    (client, events): &mut (AsyncClient, EventLoop),
    subject: &str,
    [retained, behind, last]: &[Vec<u8>; 3],
) -> bool {
    let topic = |kind: &str| format!("imprimatur/v1/{subject}/{kind}");
    let publish = |frame: &Vec<u8>, retain| {
        client.try_publish(topic("batch"), QoS::AtLeastOnce, retain, frame.clone()).is_ok()
    };
    if client.try_subscribe(topic("verdict"), QoS::AtLeastOnce).is_err() {
        return false;
    }
    let carried = async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::SubAck(_))) => {
                    if !(publish(retained, true) && publish(behind, false)) {
                        return false;
                    }
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    let about = frame_of(&message.payload);
                    if about == Some(Digest::of(retained)) {
                        return true;
                    }
                    let done = about == Some(Digest::of(last)) || !publish(last, false);
                    if done {
                        return false;
                    }
                }
                Ok(Event::Incoming(Packet::Disconnect(_))) | Err(_) => return false,
                Ok(_) => {}
            }
        }
    };
    // Silence would be no answer to what was sent behind: that is no refusal.
    tokio::time::timeout(ANSWER_WITHIN, carried).await.unwrap_or(true)
}

/// Whether a broker acknowledges a message.
async fn taken(
    (client, events): &mut (AsyncClient, EventLoop),
    topic: &str,
    payload: &[u8],
) -> bool {
    if client.try_publish(topic, QoS::AtLeastOnce, false, payload.to_vec()).is_err() {
        return false;
    }
    let answer = async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::PubAck(ack))) => {
                    return matches!(
                        ack.reason,
                        PubAckReason::Success | PubAckReason::NoMatchingSubscribers
                    );
                }
                Ok(Event::Incoming(Packet::Disconnect(_))) | Err(_) => return false,
                Ok(_) => {}
            }
        }
    };
    tokio::time::timeout(ANSWER_WITHIN, answer).await.unwrap_or(false)
}
