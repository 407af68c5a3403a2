//! Sides that go away and come back.

use std::time::{Duration, Instant};

use imprimatur_bridge::Counts;
use imprimatur_bridge::config::DRAIN_WITHIN;

use imprimatur_testkit::peers::Mosquitto;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PubAckReason;

use crate::support::{
    Agent, Bridge, Collector, LARGE, Mood, PASSWORD, PATIENCE, USER, broker, options, settings,
    settings_for,
};

/// Waits lie between 50 ms and 100 ms with the tests' settings: so many attempts fit at most.
#[track_caller]
fn not_busy(began: Instant, attempts: u64) {
    let fit = began.elapsed().as_millis() / 50 + 2;
    assert!(u128::from(attempts) <= fit, "{attempts} attempts where {fit} fit");
}

#[tokio::test]
async fn a_collector_that_dies_is_waited_for() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let bridge = Bridge::ready(settings(broker.address(), collector.address)).await;
    let agent = Agent::start(broker.address()).await;
    agent.insist("before").await;

    let (port, began) = (collector.address.port(), started());
    let before = bridge.counts();
    collector.kill().await;
    let out = |counts: &Counts| counts.collector_attempts >= before.collector_attempts + 5;
    let counts = bridge.until(out).await;
    not_busy(began, counts.collector_attempts - before.collector_attempts);
    assert_eq!((counts.outages, counts.sessions), (1, 1));
    // While the collector is away the bridge does not even call the broker.
    assert_eq!(counts.broker_attempts, before.broker_attempts);

    let _collector = Collector::start(port, Mood::Answer).await;
    agent.insist("after").await;
    assert_eq!((bridge.counts().outages, bridge.counts().sessions), (1, 2));
    bridge.stop().await;
}

#[tokio::test]
async fn a_collector_without_time_is_one_outage_and_answers_nothing() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Busy).await);
    let began = started();
    let bridge = Bridge::start(settings(broker.address(), collector.address));
    let agent = Agent::start(broker.address()).await;
    agent.send("batch", "too early").await;
    let counts = bridge.until(|counts| counts.collector_attempts >= 5).await;
    not_busy(began, counts.collector_attempts);
    assert_eq!((counts.outages, counts.batches_answered, counts.dropped()), (1, 0, 0));

    collector.mood.send(Mood::Answer).unwrap();
    agent.insist("in time").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_broker_that_restarts_is_waited_for() {
    let (first, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let address = first.address();
    let bridge = Bridge::ready(settings(address, collector.address)).await;
    Agent::start(address).await.insist("before").await;

    let (began, before) = (started(), bridge.counts());
    first.stop().await.unwrap();
    let out = |counts: &Counts| counts.broker_attempts >= before.broker_attempts + 5;
    let counts = bridge.until(out).await;
    not_busy(began, counts.broker_attempts - before.broker_attempts);
    assert_eq!(counts.outages, 1);

    let second = broker(address.port()).await;
    Agent::start(address).await.insist("after").await;
    assert_eq!(bridge.counts().outages, 1);
    bridge.stop().await;
    second.stop().await.unwrap();
}

#[tokio::test]
async fn mosquitto_carries_too_and_may_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut mosquitto = Mosquitto::start(folder.path()).await.unwrap();
    let collector = Collector::start(0, Mood::Answer).await;
    let address = imprimatur_testkit::ports::loopback(mosquitto.port());
    let account = mosquitto.bridge_credentials().clone();
    let settings = settings_for(address, &account.user, &account.password, collector.address)
        .with_share("a-secret-name")
        .unwrap();
    let bridge = Bridge::ready(settings).await;

    let agent = Agent::start(address).await;
    agent.send("consent", "yes").await;
    agent.send("request", LARGE).await;
    agent.insist("before").await;
    agent.until(|seen| seen.messages.len() >= 3).await;
    mosquitto.restart().await.unwrap();
    Agent::start(address).await.insist("after").await;
    let counts = bridge.counts();
    assert_eq!((counts.outages, counts.dropped(), counts.answers_refused), (1, 0, 0));
    bridge.stop().await;
}

#[tokio::test]
async fn mosquitto_keeps_requests_and_their_answers_to_one_agent_and_the_bridge() {
    let folder = tempfile::tempdir().unwrap();
    let mosquitto = Mosquitto::start(folder.path()).await.unwrap();
    let address = imprimatur_testkit::ports::loopback(mosquitto.port());
    let account = mosquitto.bridge_credentials().clone();
    let mut as_bridge = options("bridge-of-the-tests", address);
    as_bridge.set_credentials(&account.user, &account.password);
    let bridge = Agent::with(as_bridge);
    bridge.client.subscribe("$share/s/imprimatur/v1/+/request", QoS::AtLeastOnce).await.unwrap();
    bridge.until(|seen| seen.subscribed.len() == 1).await;
    let (alice, eve) = (Agent::start(address).await, Agent::start(address).await);
    eve.client.subscribe(alice.topic("answer"), QoS::AtLeastOnce).await.unwrap();
    eve.client.subscribe("imprimatur/v1/+/request", QoS::AtLeastOnce).await.unwrap();
    eve.until(|seen| seen.subscribed.len() == 6).await;

    for forged in [alice.topic("request"), alice.topic("answer"), eve.topic("answer")] {
        eve.publish(&forged, QoS::AtLeastOnce, "forged").await;
    }
    let seen = eve.until(|seen| seen.taken.len() == 3).await;
    assert_eq!(seen.taken, [PubAckReason::NotAuthorized; 3]);
    alice.send("request", "private").await;
    let seen = bridge.until(|seen| !seen.messages.is_empty()).await;
    assert_eq!(seen.messages, [(alice.topic("request"), "private".to_owned())]);
    for agent in [&alice, &eve] {
        bridge.publish(&agent.topic("answer"), QoS::AtLeastOnce, "told").await;
        let seen = agent.until(|seen| !seen.messages.is_empty()).await;
        assert_eq!(seen.messages, [(agent.topic("answer"), "told".to_owned())]);
    }
}

#[tokio::test]
async fn a_wrong_password_is_one_outage() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let wrong = PASSWORD.to_uppercase();
    let settings = settings_for(broker.address(), USER, &wrong, collector.address);
    let began = started();
    let bridge = Bridge::start(settings);
    let counts = bridge.until(|counts| counts.broker_attempts >= 5).await;
    not_busy(began, counts.broker_attempts);
    assert_eq!((counts.outages, counts.sessions), (1, 0));
    bridge.stop().await;
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Wait).await);
    let bridge = Bridge::ready(settings(broker.address(), collector.address)).await;
    let agent = Agent::start(broker.address()).await;
    agent.send("batch", "late").await;
    bridge.until(|counts| counts.batches_forwarded == 1).await;
    bridge.stop.cancel();
    collector.mood.send(Mood::Answer).unwrap();
    agent.until(|seen| seen.messages.len() == 1).await;
    let counts = bridge.until(|counts| counts.batches_answered == 1).await;
    assert_eq!(counts.left_unanswered, 0);
    bridge.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Wait).await);
    let bridge = Bridge::ready(settings(broker.address(), collector.address)).await;
    let agent = Agent::start(broker.address()).await;
    agent.send("batch", "never answered").await;
    bridge.until(|counts| counts.batches_forwarded == 1).await;
    let began = started();
    bridge.stop.cancel();
    let (counters, task) = (bridge.counters(), bridge.task);
    tokio::time::timeout(PATIENCE, task).await.expect("stops").unwrap().unwrap();
    assert!(began.elapsed() < DRAIN_WITHIN + Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(counters.counts().left_unanswered, 1);
}

#[tokio::test]
async fn a_stop_during_an_outage_is_at_once() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let (first, collector_address) = (broker.address(), collector.address);
    collector.kill().await;
    let retry = Duration::from_hours(1);
    let settings = settings(first, collector_address).with_retry(retry, retry).unwrap();
    let bridge = Bridge::start(settings);
    bridge.until(|counts| counts.outages == 1).await;
    bridge.stop().await;
}

fn started() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test may look at a stopwatch")]
    Instant::now()
}
