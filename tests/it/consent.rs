//! A withdrawal binds at once: locally and offline, at the collector, and against a replay.

use std::time::Duration;

use imprimatur_consent::{Category, SigningSeed};
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, SignedConsentEvent};
use imprimatur_proto::contract;
use imprimatur_proto::ingest::v1::Outcome;
use imprimatur_proto::record::RecordKind;
use imprimatur_testkit::mqtt::{self, Published};
use imprimatur_testkit::tap::Direction;
use imprimatur_testkit::wait;

use crate::agent::Host;
use crate::rig::{BOOK_HELD, Rig, SOON};
use crate::wire::{Device, reason};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_binds_at_once() {
    let mut rig = Rig::start("debug").await;
    let mut host = Host::of(&rig, "agent", "");
    host.open().grant(&[Category::PrintTime, Category::Temperature], None).unwrap();
    host.spool(1);
    host.run().await;
    rig.prints(1).await;
    host.shows("/batches_waiting", &0.into()).await;
    let stored = sent(&rig, "batch").remove(0);

    // Two batches reach the broker and nobody behind it: acknowledged by it, kept by the agent.
    assert_eq!(rig.stop_bridge().await, Some(0));
    host.end().await;
    host.spool(2);
    host.run().await;
    let spooled = wait::until(SOON, "the batches on the wire", async || {
        let sent = sent(&rig, "batch");
        if sent.len() >= 3 { Ok(sent[1].clone()) } else { Err(sent.len()) }
    })
    .await
    .unwrap();
    host.shows("/batches_waiting", &2.into()).await;

    // Offline the withdrawal takes effect before the command returns.
    rig.agents.close();
    let before = sent(&rig, "consent").len();
    host.ask(&["consent", "withdraw"]).await;
    let shown = host.json(&["consent", "show"]).await;
    let left = ["batches_waiting", "reports_pending", "spool_bytes"].map(|key| &shown[key]);
    assert!(left.iter().all(|left| **left == 0) && shown["events_waiting"] == 1, "{shown}");
    let preview = host.ask(&["preview"]).await;
    assert!(!preview.contains("NEXT TO BE SENT"), "{preview}");

    rig.start_bridge().await;
    rig.agents.open();
    host.shows("/events_waiting", &0.into()).await;
    let events = sent(&rig, "consent");
    assert_eq!(events.len(), before + 1, "the withdrawal, once");
    assert_eq!(decision(&events[before]), Decision::Withdrawn);
    assert_eq!(sent(&rig, "batch").len(), 3, "no batch after the withdrawal");
    the_agent_is_silent(&rig, &host).await;
    replays_store_nothing(&rig, &stored, &spooled).await;
    assert_eq!(host.end().await, Some(0));
}

/// Publications of agents on topics of this kind.
fn sent(rig: &Rig, kind: &str) -> Vec<Published> {
    let mut all = mqtt::published(&rig.agents, Direction::ToServer);
    all.retain(|one| one.topic.ends_with(kind));
    all
}

fn decision(event: &Published) -> Decision {
    let signed: SignedConsentEvent = contract().decode(&event.payload).unwrap();
    let event: ConsentEvent = contract().decode(&signed.event).unwrap();
    event.decision()
}

async fn the_agent_is_silent(rig: &Rig, host: &Host) {
    let connections = rig.agents.connections();
    wait::throughout(Duration::from_secs(8), "no further connection", async || {
        let now = rig.agents.connections();
        if now == connections { Ok(()) } else { Err(format!("{now}: {}", host.log())) }
    })
    .await
    .unwrap();
}

/// Frames that were recorded on the wire, sent again by somebody else under the same subject.
async fn replays_store_nothing(rig: &Rig, stored: &Published, spooled: &Published) {
    let subject = spooled.topic.split('/').nth(2).unwrap();
    let mut thief = Device::speak_as(rig, SigningSeed::from_seed(&[9; 32]), subject).await;
    let before = rig.counts().await;
    let verdict = thief.submit(spooled.payload.clone()).await;
    assert_eq!(verdict.outcome(), Outcome::Refused);
    let why = reason(&verdict);
    assert!(["no_grant", "unauthenticated"].contains(&why.as_str()), "{why}");
    // What was stored before the withdrawal gets its first verdict again, and no second row.
    let verdict = thief.submit(stored.payload.clone()).await;
    assert!(["stored", "unauthenticated"].contains(&outcome(&verdict).as_str()), "{verdict:?}");
    let key = format!("refused.{why}");
    wait::until(SOON, "the refusal in the counts", async || {
        let now = rig.counts().await;
        if now.get(&key) > before.get(&key) { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await
    .unwrap();
    assert_eq!(rig.counts().await["stored"], 1);
    assert_eq!(rig.rows(RecordKind::Print).len(), 1, "no row after the withdrawal");
    let excluded = rig.catalogue().unwrap().excluded;
    assert!(!excluded.is_empty(), "the row of before may be used no more");
    rig.ask(&["compliance", "verify"]).await.exits(BOOK_HELD);
}

fn outcome(verdict: &imprimatur_proto::ingest::v1::Verdict) -> String {
    match verdict.outcome() {
        Outcome::Stored => "stored".to_owned(),
        _ => reason(verdict),
    }
}
