//! Messages that could come again for ever, or hold their place for ever: none does.

use std::time::Duration;

use imprimatur_testkit::peers::Mosquitto;
use imprimatur_testkit::ports;

use crate::support::{
    Agent, Bridge, Collector, Mood, POISON, broker, options, settings, settings_for, subject,
};

/// A frame at which the collector breaks off everything ends the session; the next one starts clean, so
/// the frame does not come again unless its agent sends it, and everything else gets through.
async fn ends_one_session_only(bridge: Bridge, broker: std::net::SocketAddr) {
    let (eve, agent) = (Agent::start(broker).await, Agent::start(broker).await);
    for round in 1..=5 {
        eve.send("batch", POISON).await;
        bridge.until(|counts| counts.outages == round && counts.sessions == round + 1).await;
        agent.insist(&format!("after {round}")).await;
        // The frame went to the collector once for each time that it was sent.
        let counts = bridge.counts();
        let good = counts.batches_answered;
        let lost = counts.left_unanswered;
        assert!(lost >= round && counts.batches_forwarded == good + lost, "{counts:?}");
        assert_eq!(counts.sessions, round + 1);
    }
    bridge.stop().await;
}

#[tokio::test]
async fn a_frame_that_breaks_the_collector_each_time_does_not_take_the_bridge_down() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let bridge = Bridge::ready(settings(broker.address(), collector.address)).await;
    ends_one_session_only(bridge, broker.address()).await;
}

#[tokio::test]
async fn mosquitto_does_not_bring_it_again_either() {
    let folder = tempfile::tempdir().unwrap();
    let mosquitto = Mosquitto::start(folder.path()).await.unwrap();
    let collector = Collector::start(0, Mood::Answer).await;
    let address = ports::loopback(mosquitto.port());
    let account = mosquitto.bridge_credentials().clone();
    let settings = settings_for(address, &account.user, &account.password, collector.address);
    let bridge = Bridge::ready(settings.with_share("a-secret-name").unwrap()).await;
    ends_one_session_only(bridge, address).await;
}

#[tokio::test]
async fn an_answer_to_an_agent_that_is_gone_frees_its_place() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Wait).await);
    let settings = settings(broker.address(), collector.address).with_window(1).unwrap();
    let bridge = Bridge::ready(settings).await;
    for number in 1..=3 {
        collector.mood.send(Mood::Wait).unwrap();
        let gone = Agent::with(options(&subject(), broker.address()));
        gone.send("batch", "nobody reads the answer").await;
        bridge.until(|counts| counts.batches_forwarded == number).await;
        drop(gone);
        collector.mood.send(Mood::Answer).unwrap();
        bridge.until(|counts| counts.batches_answered == number).await;
    }
    Agent::start(broker.address()).await.insist("read").await;
    assert_eq!((bridge.counts().outages, bridge.counts().answers_refused), (0, 0));
    bridge.stop().await;
}

/// Two bridges share the work; one leaves under load, a third comes, another leaves.
async fn hands_over(start: impl AsyncFn() -> Bridge, broker: std::net::SocketAddr) {
    let (first, second) = (start().await, start().await);
    let agents = async |count: usize| {
        let mut agents = Vec::new();
        for _ in 0..count {
            agents.push(Agent::start(broker).await);
        }
        agents
    };
    let mut work = tokio::task::JoinSet::new();
    for agent in agents(4).await {
        work.spawn(async move {
            for number in 0..40 {
                agent.insist(&number.to_string()).await;
            }
        });
    }
    first.until(|counts| counts.batches_answered >= 10).await;
    let told = first.counters();
    first.stop().await;
    assert_eq!(told.counts().left_unanswered, 0);
    let third = start().await;
    third.until(|counts| counts.batches_answered >= 10).await;
    let told = second.counters();
    second.stop().await;
    assert_eq!(told.counts().left_unanswered, 0);
    while let Some(done) =
        tokio::time::timeout(Duration::from_mins(1), work.join_next()).await.unwrap()
    {
        done.unwrap();
    }
    third.stop().await;
}

#[tokio::test]
async fn bridges_of_one_share_hand_over_under_load() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let start = async || Bridge::ready(settings(broker.address(), collector.address)).await;
    hands_over(start, broker.address()).await;
}

#[tokio::test]
async fn bridges_at_mosquitto_hand_over_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let mosquitto = Mosquitto::start(folder.path()).await.unwrap();
    let collector = Collector::start(0, Mood::Answer).await;
    let address = ports::loopback(mosquitto.port());
    let account = mosquitto.bridge_credentials().clone();
    let start = async || {
        let settings = settings_for(address, &account.user, &account.password, collector.address);
        Bridge::ready(settings.with_share("a-secret-name").unwrap()).await
    };
    hands_over(start, address).await;
}
