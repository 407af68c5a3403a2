//! Messages that arrive, messages that are dropped, and how much is under way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use mqtt5::broker::config::{StorageBackend, StorageConfig};
use mqtt5::broker::{BrokerConfig, MqttBroker};
use rumqttc::v5::mqttbytes::QoS;

use imprimatur_bridge::config::{ANSWER_BYTES_MAX, PAYLOAD_BYTES_MAX, REQUESTS_MAX};
use imprimatur_bridge::session::{HINT_MAX, HINT_MIN};

use crate::support::{
    Agent, Bridge, Collector, FULL_FOR, LARGE, Mood, broker, options, settings, subject, until,
};

#[tokio::test]
async fn a_batch_gets_its_verdict_a_consent_event_its_receipt_and_a_request_its_answer() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let bridge = Bridge::ready(settings(broker.address(), collector.address)).await;
    let (one, other) = (Agent::start(broker.address()).await, Agent::start(broker.address()).await);

    one.send("consent", "yes").await;
    one.send("batch", "layers").await;
    one.send("request", "what").await;
    other.send("batch", "resin").await;

    let seen = one.until(|seen| seen.messages.len() == 3).await;
    assert!(seen.messages.contains(&(one.topic("answer"), "answer of what".into())));
    assert!(seen.messages.contains(&(one.topic("receipt"), "receipt of yes".into())));
    assert!(seen.messages.contains(&(one.topic("verdict"), "verdict of layers".into())));
    let seen = other.until(|seen| !seen.messages.is_empty()).await;
    assert_eq!(seen.messages, [(other.topic("verdict"), "verdict of resin".into())]);
    assert_eq!(seen.retained, 0);

    let counts = bridge.until(|counts| counts.batches_answered == 2).await;
    assert_eq!((counts.batches_forwarded, counts.consents_forwarded), (2, 1));
    assert_eq!((counts.consents_answered, counts.requests_answered), (1, 1));
    assert_eq!((counts.requests_forwarded, counts.dropped(), counts.outages), (1, 0, 0));
    bridge.stop().await;
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn the_largest_answer_and_the_largest_receipt_pass_both_ways() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let bridge = Bridge::ready(settings(broker.address(), collector.address)).await;
    let agent = Agent::start(broker.address()).await;
    agent.send("request", LARGE).await;
    agent.send("consent", vec![b'y'; PAYLOAD_BYTES_MAX]).await;
    let seen = agent.until(|seen| seen.messages.len() == 2).await;
    let longest = seen.messages.iter().map(|(_, text)| text.len()).max();
    // A signed answer with a page of 8 KiB is below 9 KiB; a receipt with its proofs below 4 KiB.
    assert!(longest > Some(9 << 10) && longest <= Some(ANSWER_BYTES_MAX), "{longest:?}");
    assert_eq!(bridge.counts().outages, 0);
    bridge.stop().await;
}

#[tokio::test]
async fn requests_have_a_window_of_their_own_and_never_hold_up_a_batch() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Wait).await);
    let bridge = Bridge::ready(settings(broker.address(), collector.address)).await;
    let agent = Agent::start(broker.address()).await;
    for number in 0..REQUESTS_MAX + 3 {
        agent.send("request", number.to_string()).await;
    }
    let counts = bridge.until(|counts| counts.busy_window == 3).await;
    agent.until(|seen| seen.busy.len() == 3).await;
    assert_eq!(agent.hints(), [HINT_MIN; 3]);
    assert_eq!(counts.requests_forwarded, u64::try_from(REQUESTS_MAX).unwrap());
    agent.send("consent", "no").await;
    agent.send("batch", "layers").await;
    bridge.until(|counts| counts.consents_answered + counts.batches_forwarded == 2).await;

    collector.mood.send(Mood::Answer).unwrap();
    agent.until(|seen| seen.messages.len() == REQUESTS_MAX + 2).await;
    // The window is free again.
    agent.send("request", "once more").await;
    bridge.until(|counts| counts.requests_answered == counts.requests_forwarded).await;
    let wanted = (agent.topic("answer"), "answer of once more".to_owned());
    agent.until(|seen| seen.messages.contains(&wanted)).await;
    bridge.stop().await;
}

/// A broker that lets everybody do everything, as a broker of somebody else's might.
async fn lax_broker() -> SocketAddr {
    let config = BrokerConfig::default()
        .with_bind_address(SocketAddr::from(([127, 0, 0, 1], 0)))
        .with_storage(StorageConfig::new().with_backend(StorageBackend::Memory));
    let mut broker = MqttBroker::with_config(config).await.unwrap();
    let (address, mut ready) = (broker.local_addr().unwrap(), broker.ready_receiver());
    tokio::spawn(async move { broker.run().await });
    ready.wait_for(|ready| *ready).await.unwrap();
    address
}

#[tokio::test]
async fn poison_is_counted_and_dropped_and_does_not_stop_the_rest() {
    let (broker, collector) = (lax_broker().await, Collector::start(0, Mood::Answer).await);
    let settings = settings(broker, collector.address).with_window(2).unwrap();
    let bridge = Bridge::ready(settings).await;
    let agent = Agent::start(broker).await;

    // More of each than the window: what is not acknowledged would block the bridge.
    for _ in 0..5 {
        agent.publish("imprimatur/v1/nobody/batch", QoS::AtLeastOnce, "x").await;
        agent.publish("imprimatur/v1/NOBODY/consent", QoS::AtLeastOnce, "x").await;
        agent.send("batch", vec![b'x'; 5000]).await;
        agent.publish(&agent.topic("batch"), QoS::AtMostOnce, "x").await;
    }
    agent.send("batch", "good").await;

    agent.until(|seen| seen.messages.len() == 1).await;
    let counts = bridge.counts();
    assert_eq!((counts.dropped_topic, counts.dropped_oversize, counts.dropped_quality), (10, 5, 5));
    assert_eq!((counts.batches_forwarded, counts.batches_answered, counts.outages), (1, 1, 0));
    bridge.stop().await;
}

#[tokio::test]
async fn what_is_refused_for_good_does_not_come_again() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Refuse).await);
    let settings = settings(broker.address(), collector.address).with_window(12).unwrap();
    let bridge = Bridge::ready(settings).await;
    let agent = Agent::start(broker.address()).await;
    for _ in 0..3 {
        agent.send("consent", "garbage").await;
        agent.send("request", "garbage").await;
    }
    bridge.until(|counts| counts.dropped_refused == 6).await;
    agent.send("batch", "good").await;
    agent.until(|seen| seen.messages.len() == 1).await;
    assert_eq!(bridge.counts().outages, 0);
}

#[tokio::test]
async fn no_more_than_the_window_is_under_way() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Wait).await);
    let settings = settings(broker.address(), collector.address).with_window(4).unwrap();
    let bridge = Bridge::ready(settings).await;
    let agent = Agent::start(broker.address()).await;
    for number in 0..20 {
        agent.send("batch", number.to_string()).await;
    }
    // Four are under way, the others were sent away at once, and nothing waits in the broker.
    let counts = bridge.until(|counts| counts.busy_window == 16).await;
    assert_eq!((counts.batches_forwarded, counts.batches_answered), (4, 0));
    agent.until(|seen| seen.busy.len() == 16).await;
    for hint in agent.hints() {
        assert!((HINT_MIN..=HINT_MAX).contains(&hint), "{hint:?}");
    }
    // A consent event finds its own place.
    agent.send("consent", "no").await;
    agent.until(|seen| seen.messages == [(agent.topic("receipt"), "receipt of no".into())]).await;

    collector.mood.send(Mood::Answer).unwrap();
    agent.until(|seen| seen.messages.len() == 5).await;
    agent.insist("again").await;
    assert_eq!((bridge.counts().busy_window, bridge.counts().dropped()), (16, 0));
}

#[tokio::test]
async fn a_full_collector_sends_agents_away_and_ends_nothing() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Full).await);
    let bridge = Bridge::ready(settings(broker.address(), collector.address)).await;
    let agent = Agent::start(broker.address()).await;
    for leaf in ["batch", "consent", "request"] {
        agent.send(leaf, "early").await;
    }
    agent.until(|seen| seen.busy.len() == 3).await;
    assert_eq!(agent.hints(), [FULL_FOR; 3]);
    let counts = bridge.until(|counts| counts.busy_collector == 3).await;
    assert_eq!((counts.batches_answered, counts.dropped(), counts.outages), (0, 0, 0));
    collector.mood.send(Mood::Answer).unwrap();
    for leaf in ["batch", "consent", "request"] {
        agent.send(leaf, "in time").await;
    }
    agent.until(|seen| seen.messages.len() == 3).await;
    assert_eq!(bridge.counts().outages, 0);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that this process logs at any level, the `log` crate's lines included.
fn everything_logged() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .init();
        lines
    })
}

impl Lines {
    fn have(&self, text: &str) -> bool {
        let bytes = self.0.lock().unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

#[tokio::test]
async fn no_log_line_names_a_subject_or_tells_a_payload() {
    let lines = everything_logged();
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let bridge = Bridge::ready(settings(broker.address(), collector.address)).await;
    let agent = Agent::start(broker.address()).await;
    agent.send("batch", "a most private payload").await;
    agent.send("consent", "a most private payload").await;
    agent.send("request", "a most private payload").await;
    agent.until(|seen| seen.messages.len() == 3).await;
    // Refused by the broker, which its library would tell at length.
    agent.publish(&format!("imprimatur/v1/{}/batch", subject()), QoS::AtLeastOnce, "x").await;
    agent.until(|seen| seen.taken.len() == 4).await;
    let id = agent.id.clone();
    drop(agent);
    bridge.stop().await;
    broker.stop().await.unwrap();
    assert!(lines.have("imprimatur_bridge"), "the bridge's own lines are caught");
    assert!(!lines.have(&id), "a subject is in the log");
    assert!(!lines.have("a most private payload"), "a payload is in the log");
}

/// The other half of the proof above: both libraries do name subjects when nothing keeps them quiet.
#[tokio::test]
async fn the_libraries_would_name_subjects() {
    let lines = everything_logged();
    let broker = lax_broker().await;
    let agent = Agent::start(broker).await;
    until(|| lines.have(&agent.id), |named| *named).await;

    let loud = options(&subject(), broker);
    let topic = format!("of the client library {}", subject());
    let (client, mut events) = rumqttc::v5::AsyncClient::new(loud, 4);
    client.publish(topic.as_str(), QoS::AtLeastOnce, false, "x").await.unwrap();
    tokio::spawn(async move { while events.poll().await.is_ok() {} });
    until(|| lines.have(&topic), |named| *named).await;
}
