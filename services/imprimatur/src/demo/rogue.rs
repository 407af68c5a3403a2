//! The rogue: a client that speaks the protocol and breaks it, so that the refusals are seen.
//!
//! It grants one category, then offers a batch with another one, a batch with a field that the
//! contract lacks, and a batch under a signature that is not its own. All three must be refused.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use imprimatur_consent::{Category, Digest, Domain, SigningSeed};
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, SignedConsentEvent,
};
use imprimatur_proto::telemetry::v1::{
    Batch, BatchHeader, PrintReport, PrintTemperature, PrintTime,
};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::{Clock as _, SystemClock, entropy};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio_util::sync::CancellationToken;

/// How long it waits before it says the same again.
const AGAIN: Duration = Duration::from_secs(3);

/// Offers its batches until they are refused, or `stop`.
pub(super) async fn run(broker: SocketAddr, policy: Digest, stop: CancellationToken) {
    let Ok(seed) = entropy::bytes() else { return };
    let key = SigningSeed::from_seed(&seed);
    tokio::select! {
        () = offer(broker, policy, &key) => {}
        () = stop.cancelled() => {}
    }
}

async fn offer(broker: SocketAddr, policy: Digest, key: &SigningSeed) {
    let subject = key.subject().to_string();
    let topic = |kind: &str| format!("imprimatur/v1/{subject}/{kind}");
    let mut options = MqttOptions::new(&subject, broker.ip().to_string(), broker.port());
    options.set_clean_start(true).set_keep_alive(Duration::from_secs(20));
    let (client, mut events) = AsyncClient::new(options, 16);
    let publish = |kind: &str, bytes: Vec<u8>| {
        client.try_publish(topic(kind), QoS::AtLeastOnce, false, bytes).is_ok()
    };
    let recorded = AtomicBool::new(false);
    let say = || {
        if recorded.load(Ordering::Relaxed) {
            batches(policy, key).into_iter().all(|batch| publish("batch", batch))
        } else {
            publish("consent", grant(policy, key))
        }
    };
    let hearing = async {
        let (mut heard, mut verdicts) = (false, BTreeSet::new());
        while verdicts.len() < 3 {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    for kind in ["receipt", "verdict"] {
                        if client.try_subscribe(topic(kind), QoS::AtLeastOnce).is_err() {
                            return;
                        }
                    }
                    heard = false;
                }
                Ok(Event::Incoming(Packet::SubAck(_))) if !heard => heard = say(),
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    if message.topic.ends_with(b"verdict") {
                        verdicts.insert(message.payload);
                    } else if !recorded.swap(true, Ordering::Relaxed) {
                        say();
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "the rogue lost the broker");
                    tokio::time::sleep(entropy::jitter(Duration::from_secs(1))).await;
                }
            }
        }
    };
    let insisting = async {
        loop {
            tokio::time::sleep(AGAIN).await;
            say();
        }
    };
    tokio::select! {
        () = hearing => {}
        () = insisting => {}
    }
    if client.try_disconnect().is_ok() {
        // The goodbye leaves with the next poll; what it answers does not matter any more.
        drop(events.poll().await);
    }
}

fn grant(policy: Digest, key: &SigningSeed) -> Vec<u8> {
    let event = canonical::encode(&ConsentEvent {
        public_key: key.public().to_vec(),
        principal: key.subject().0.to_vec(),
        sequence: 1,
        decision: Decision::Granted.into(),
        categories: vec![Category::PrintTime.number()],
        policy_hash: policy.0.to_vec(),
        date: SystemClock.today().0,
        notice_language: b"en".to_vec(),
        method: Method::Command.into(),
        affirmation: Affirmation::AgeAndAuthority.into(),
        ..ConsentEvent::default()
    });
    let signature = key.sign(Domain::Consent, &event);
    canonical::encode(&SignedConsentEvent { event, signature })
}

/// A category without a grant, an unknown field, a foreign signature.
fn batches(policy: Digest, key: &SigningSeed) -> Vec<Vec<u8>> {
    let batch = |sequence, temperature| {
        let header = BatchHeader {
            subject: key.subject().0.to_vec(),
            sequence,
            policy_hash: policy.0.to_vec(),
            contract_hash: contract().hash().to_vec(),
            identity_tag: Vec::new(),
            dropped: 0,
        };
        let print = PrintReport {
            start_date: SystemClock.today().0,
            print_time: Some(PrintTime { completed_duration: 3, stopped_duration: 0 }),
            temperature,
            ..PrintReport::default()
        };
        canonical::encode(&Batch { header: Some(header), prints: vec![print], days: Vec::new() })
    };
    let nozzle = PrintTemperature { nozzle_set_point: 6, ..PrintTemperature::default() };
    let greedy = batch(1, Some(nozzle));
    let mut surplus = batch(2, None);
    surplus.extend_from_slice(&[0xf8, 0x01, 1]);
    let foreign = SigningSeed::from_seed(&[1; 32]);
    let forged = batch(3, None);
    let offers = [(greedy, key), (surplus, key), (forged, &foreign)];
    offers
        .into_iter()
        .filter_map(|(batch, key)| {
            let signature = key.sign(Domain::Batch, &batch);
            frame::seal(batch, signature).ok()
        })
        .collect()
}
