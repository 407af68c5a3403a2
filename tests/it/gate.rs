//! Everything that must be refused, over the whole road: broker, bridge, collector and back, signed.

use std::collections::BTreeMap;

use imprimatur_consent::{Category, Digest, Domain, SigningSeed};
use imprimatur_proto::consent::v1::{Decision, Receipt, ReceiptStatus, SignedReceipt};
use imprimatur_proto::ingest::v1::{Outcome, SignedVerdict, Verdict};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{MaterialFamily, PrintMaterial, PrintReport};
use imprimatur_proto::{canonical, frame};
use imprimatur_testkit::mqtt;
use imprimatur_testkit::tap::Direction;
use imprimatur_testkit::wait;

use crate::agent::{Host, print};
use crate::rig::{BOOK_HELD, Rig, SOON};
use crate::wire::{Client, Device, reason, topic};

const GRANTED: [Category; 2] = [Category::PrintTime, Category::Temperature];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_input_is_refused_with_its_own_reason_over_the_wire() {
    let rig = Rig::start("info").await;
    let mut device = Device::connect(&rig, 7).await;
    let unknown = device.sealed(&device.batch(1, vec![print(1)]));
    let verdict = device.submit(unknown).await;
    assert_eq!(reason(&verdict), "unauthenticated", "no subject is known yet");
    let receipt = device.tell(device.event(1, Decision::Granted, &GRANTED)).await;
    assert_eq!(receipt.status(), ReceiptStatus::Recorded);

    let mut expected = BTreeMap::from([("refused.unauthenticated".to_owned(), 1)]);
    for (number, (frame, why)) in bad_inputs(&device).into_iter().enumerate() {
        let verdict = device.submit(frame).await;
        assert_eq!(verdict.outcome(), Outcome::Refused, "case {number}: {why}");
        assert_eq!(reason(&verdict), why, "case {number}");
        *expected.entry(format!("refused.{why}")).or_default() += 1;
    }
    assert!(rig.rows(RecordKind::Print).is_empty(), "a refused batch left a row");

    // Everything is still alive: the same connection stores a good batch, once.
    let good = device.sealed(&device.batch(40, vec![print(2)]));
    let first = device.submit(good.clone()).await;
    assert_eq!((first.outcome(), first.sequence), (Outcome::Stored, 40));
    assert_eq!(device.submit(good).await, first, "a repeat gets the first verdict");
    let reused = device.sealed(&device.batch(40, vec![print(3)]));
    assert_eq!(reason(&device.submit(reused).await), "sequence_reused");
    *expected.entry("refused.sequence_reused".to_owned()).or_default() += 1;
    assert_eq!(rig.prints(1).await.len(), 1);

    wait::until(SOON, "the counts by reason", async || {
        let mut counts = rig.counts().await;
        counts.retain(|name, _| name.starts_with("refused."));
        if counts == expected { Ok(()) } else { Err(format!("{counts:?}, not {expected:?}")) }
    })
    .await
    .unwrap();
    rig.ask(&["compliance", "verify"]).await.exits(BOOK_HELD);
}

/// Frames that are wrong in one way each, and how they must be refused.
fn bad_inputs(device: &Device) -> Vec<(Vec<u8>, &'static str)> {
    let good = canonical::encode(&device.batch(1, vec![print(1)]));
    let with = |more: &[u8]| device.sealed_bytes([&good[..], more].concat());
    // The sequence number's tag and value, behind the header's length in the second byte.
    let at = good.windows(2).position(|pair| pair == [0x10, 1]).unwrap();
    let (mut long_varint, mut duplicate) = (good.clone(), good.clone());
    long_varint.splice(at + 1..at + 2, [0x81, 0x00]);
    long_varint[1] += 1;
    duplicate.splice(at..at, [0x10, 1]);
    duplicate[1] += 2;
    let prints = |sequence, prints| device.sealed(&device.batch(sequence, prints));
    let material = |family| PrintReport {
        material: Some(PrintMaterial { family, ..Default::default() }),
        ..print(1)
    };
    let dated = |date| PrintReport { start_date: date, ..print(1) };
    let today = print(1).start_date;
    let bytes = canonical::encode(&device.batch(9, vec![print(1)]));
    let foreign = SigningSeed::from_seed(&[8; 32]).sign(Domain::Batch, &bytes);
    vec![
        (vec![0xff; 40], "malformed"),
        (device.sealed_bytes(good[..good.len() - 1].to_vec()), "malformed"),
        (with(&[0xf8, 0x01, 1]), "unknown_field"),
        (device.sealed_bytes(duplicate), "duplicate_field"),
        (device.sealed_bytes(long_varint), "non_canonical"),
        (vec![0; frame::BYTES_MAX + 1], "oversized"),
        (prints(2, vec![print(99)]), "out_of_range"),
        (prints(3, vec![material(16)]), "unknown_enum"),
        (prints(4, vec![print(1); 11]), "too_many_records"),
        (prints(5, vec![material(MaterialFamily::Pla.into())]), "no_grant"),
        (prints(6, vec![dated(today - 1)]), "before_grant"),
        (prints(7, vec![dated(today + 3)]), "date_out_of_range"),
        (frame::seal(bytes, foreign).unwrap(), "unauthenticated"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_answers_free_nothing() {
    let mut rig = Rig::start("info").await;
    let mut host = Host::of(&rig, "agent", "");
    host.open().grant(&GRANTED, None).unwrap();
    host.run().await;
    host.shows("/confirmed", &true.into()).await;
    host.end().await;
    assert_eq!(rig.stop_bridge().await, Some(0));
    host.spool(2);
    // Somebody listens, so that the agent waits for answers.
    let account = rig.broker.bridge_credentials().clone();
    let mut bridge = Client::connect("false-bridge", rig.broker.port(), Some(&account)).await;
    bridge.subscribe("imprimatur/v1/+/batch").await;
    host.run().await;
    let frame = wait::until(SOON, "a batch on the wire", async || {
        let sent = mqtt::published(&rig.agents, Direction::ToServer);
        sent.into_iter().find(|one| one.topic.ends_with("/batch")).ok_or("none")
    })
    .await
    .unwrap();
    let subject = frame.topic.split('/').nth(2).unwrap();

    // Whoever has the bridge's account can say anything, but not in the collector's name.
    let forged = forgeries(subject, &frame.payload);
    let count = u64::try_from(forged.len()).unwrap();
    for (kind, bytes) in forged {
        bridge.publish(&topic(subject, kind), bytes).await;
    }
    host.until(&["consent", "show"], "/ignored_answers", SOON, |seen| *seen == count).await;
    host.shows("/batches_waiting", &2.into()).await;

    // The collector's own word frees them.
    drop(bridge);
    rig.start_bridge().await;
    host.shows("/batches_waiting", &0.into()).await;
    assert_eq!(rig.prints(2).await.len(), 2);
    assert_eq!(host.end().await, Some(0));
}

/// Answers that a bridge could make up: `stored` and `recorded` under another key, under none, and noise.
fn forgeries(subject: &str, frame: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let forger = SigningSeed::from_seed(&[3; 32]);
    let id = hex::decode(subject).unwrap();
    let verdict = canonical::encode(&Verdict {
        subject: id.clone(),
        sequence: 1,
        frame_hash: Digest::of(frame).0.to_vec(),
        outcome: Outcome::Stored.into(),
        ..Default::default()
    });
    let receipt = canonical::encode(&Receipt {
        subject: id,
        sequence: 1,
        status: ReceiptStatus::Recorded.into(),
        ..Default::default()
    });
    let signed = |signature: Vec<u8>| {
        canonical::encode(&SignedVerdict { verdict: verdict.clone(), signature })
    };
    let signature = forger.sign(Domain::Receipt, &receipt);
    vec![
        ("verdict", signed(forger.sign(Domain::Verdict, &verdict))),
        ("verdict", signed(vec![0; 64])),
        ("verdict", signed(Vec::new())),
        ("verdict", b"stored".to_vec()),
        ("receipt", canonical::encode(&SignedReceipt { receipt, signature })),
        ("receipt", vec![0xff; 64]),
    ]
}
