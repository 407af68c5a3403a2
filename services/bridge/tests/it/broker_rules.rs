//! Who may do what at the embedded broker; each refusal beside something that is allowed.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{LastWill, PubAckReason, SubscribeReasonCode};

use crate::broker::{BrokerError, BrokerSettings, EmbeddedBroker, PACKET_BYTES_MAX};
use crate::support::{Agent, PASSWORD, USER, broker, options, subject};

const GRANTED: SubscribeReasonCode = SubscribeReasonCode::Success(QoS::AtLeastOnce);
const DENIED: SubscribeReasonCode = SubscribeReasonCode::NotAuthorized;

/// Somebody with the bridge's account, subscribed to all that agents send.
async fn bridge(broker: &EmbeddedBroker) -> Agent {
    let mut options = options("bridge-of-the-tests", broker.address());
    options.set_credentials(USER, PASSWORD);
    let bridge = Agent::with(options);
    subscribes(&bridge, "$share/bridge/imprimatur/v1/+/batch", GRANTED).await;
    subscribes(&bridge, "$share/bridge/imprimatur/v1/+/consent", GRANTED).await;
    subscribes(&bridge, "$share/bridge/imprimatur/v1/+/request", GRANTED).await;
    bridge
}

async fn subscribes(client: &Agent, filter: &str, expected: SubscribeReasonCode) {
    let before = client.seen().subscribed.len();
    client.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
    let seen = client.until(|seen| seen.subscribed.len() > before).await;
    assert_eq!(seen.subscribed.last(), Some(&expected), "{filter}");
}

async fn publishes(client: &Agent, topic: &str, expected: PubAckReason) {
    let before = client.seen().taken.len();
    client.publish(topic, QoS::AtLeastOnce, "x").await;
    let seen = client.until(|seen| seen.taken.len() > before).await;
    assert_eq!(seen.taken.last(), Some(&expected), "{topic}");
}

#[tokio::test]
async fn an_agent_reaches_its_own_seven_topics_only() {
    let broker = broker(0).await;
    let bridge = bridge(&broker).await;
    let (agent, other) =
        (Agent::start(broker.address()).await, Agent::start(broker.address()).await);

    for filter in [
        other.topic("verdict"),
        other.topic("receipt"),
        other.topic("answer"),
        other.topic("busy"),
        agent.topic("batch"),
        agent.topic("request"),
        agent.topic("+"),
        "imprimatur/v1/+/verdict".to_owned(),
        "imprimatur/v1/+/batch".to_owned(),
        "imprimatur/v1/+/answer".to_owned(),
        "imprimatur/v1/+/busy".to_owned(),
        format!("imprimatur/v1/probe/{}", subject()),
        format!("imprimatur/v1/probe/{}", agent.id),
        "#".to_owned(),
        "$SYS/#".to_owned(),
        "$share/bridge/imprimatur/v1/+/batch".to_owned(),
        format!("$share/mine/{}", agent.topic("verdict")),
    ] {
        subscribes(&agent, &filter, DENIED).await;
    }
    for topic in [
        other.topic("batch"),
        other.topic("consent"),
        other.topic("request"),
        other.topic("verdict"),
        agent.topic("verdict"),
        agent.topic("receipt"),
        agent.topic("answer"),
        agent.topic("busy"),
        other.topic("busy"),
        format!("imprimatur/v1/probe/{}", agent.id),
        agent.topic("else"),
        "else".to_owned(),
    ] {
        publishes(&agent, &topic, PubAckReason::NotAuthorized).await;
    }
    publishes(&agent, &agent.topic("batch"), PubAckReason::Success).await;
    publishes(&agent, &agent.topic("consent"), PubAckReason::Success).await;
    publishes(&agent, &agent.topic("request"), PubAckReason::Success).await;
    let seen = bridge.until(|seen| seen.messages.len() >= 3).await;
    let topics: Vec<_> = seen.messages.into_iter().map(|(topic, _)| topic).collect();
    assert_eq!(topics, ["batch", "consent", "request"].map(|leaf| agent.topic(leaf)));

    // The bridge reaches both agents, and each agent gets its own.
    publishes(&bridge, &agent.topic("verdict"), PubAckReason::Success).await;
    publishes(&bridge, &other.topic("receipt"), PubAckReason::Success).await;
    publishes(&bridge, &other.topic("answer"), PubAckReason::Success).await;
    publishes(&bridge, &other.topic("busy"), PubAckReason::Success).await;
    publishes(&bridge, &other.topic("batch"), PubAckReason::NotAuthorized).await;
    publishes(&bridge, &other.topic("request"), PubAckReason::NotAuthorized).await;
    subscribes(&bridge, "imprimatur/v1/+/batch", DENIED).await;
    subscribes(&bridge, "$share/bridge/imprimatur/v1/+/answer", DENIED).await;
    subscribes(&bridge, "$share/bridge/#", DENIED).await;
    let mine = agent.until(|seen| !seen.messages.is_empty()).await;
    assert_eq!(mine.messages, [(agent.topic("verdict"), "x".to_owned())]);
    let others = other.until(|seen| seen.messages.len() >= 3).await;
    let expected = ["receipt", "answer", "busy"].map(|leaf| (other.topic(leaf), "x".to_owned()));
    assert_eq!(others.messages, expected);
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn the_bridge_writes_to_itself_on_probe_topics_only() {
    let broker = broker(0).await;
    let bridge = bridge(&broker).await;
    let own = format!("imprimatur/v1/probe/{}", subject());
    subscribes(&bridge, &own, GRANTED).await;
    publishes(&bridge, &own, PubAckReason::Success).await;
    let seen = bridge.until(|seen| !seen.messages.is_empty()).await;
    assert_eq!(seen.messages, [(own.clone(), "x".to_owned())]);
    for foreign in ["imprimatur/v1/probe/x".to_owned(), format!("{own}/more")] {
        publishes(&bridge, &foreign, PubAckReason::NotAuthorized).await;
        subscribes(&bridge, &foreign, DENIED).await;
    }
    subscribes(&bridge, "imprimatur/v1/probe/+", DENIED).await;
}

#[tokio::test]
async fn only_subjects_and_the_bridge_may_connect() {
    let broker = broker(0).await;
    let at = broker.address();
    let refused = async |client: Agent| {
        let seen = client.until(|seen| seen.error.is_some()).await;
        assert!(!seen.connected, "{}", client.id);
    };
    for id in
        ["printer", "bridge-x", &subject().to_uppercase(), "0123456789abcdef0123456789abcde", ""]
    {
        refused(Agent::with(options(id, at))).await;
    }
    for (user, password) in [(USER, "a password of somebody"), ("admin", PASSWORD), (USER, "")] {
        let mut options = options("bridge-x", at);
        options.set_credentials(user, password);
        refused(Agent::with(options)).await;
    }
    let mut as_agent = options(&subject(), at);
    as_agent.set_credentials(USER, PASSWORD);
    refused(Agent::with(as_agent)).await;

    let mut with_will = options(&subject(), at);
    let topic = format!("imprimatur/v1/{}/batch", with_will.client_id());
    with_will.set_last_will(LastWill::new(topic, "x", QoS::AtLeastOnce, false, None));
    refused(Agent::with(with_will)).await;

    Agent::start(at).await;
    bridge(&broker).await;
}

#[tokio::test]
async fn nothing_is_retained_and_nothing_large_is_taken() {
    let broker = broker(0).await;
    let bridge = bridge(&broker).await;
    let agent = Agent::start(broker.address()).await;
    let verdict = agent.topic("verdict");
    bridge.client.publish(&verdict, QoS::AtLeastOnce, true, "r").await.unwrap();
    bridge.until(|seen| seen.taken.len() == 1).await;
    publishes(&bridge, &verdict, PubAckReason::Success).await;
    // The retained one was sent first and did not come; a new subscriber does not get it either.
    let seen = agent.until(|seen| !seen.messages.is_empty()).await;
    assert_eq!(seen.messages, [(verdict.clone(), "x".to_owned())]);
    let again = options(&agent.id, broker.address());
    drop(agent);
    let again = Agent::with(again);
    subscribes(&again, &verdict, GRANTED).await;
    publishes(&bridge, &verdict, PubAckReason::Success).await;
    let seen = again.until(|seen| !seen.messages.is_empty()).await;
    assert_eq!((seen.messages.len(), seen.retained), (1, 0));

    again.send("batch", vec![0; PACKET_BYTES_MAX - 200]).await;
    bridge.until(|seen| seen.messages.len() == 1).await;
    again.send("batch", vec![0; PACKET_BYTES_MAX]).await;
    again.until(|seen| seen.error.is_some()).await;
}

#[tokio::test]
async fn a_stopped_broker_frees_its_port_and_unusable_settings_are_named() {
    let first = broker(0).await;
    let address = first.address();
    let mut settings = BrokerSettings::new(USER, PASSWORD);
    settings.listen = address;
    let taken = EmbeddedBroker::start(settings.clone()).await.unwrap_err();
    assert!(matches!(taken, BrokerError::Listen { .. }), "{taken:?}");
    first.stop().await.unwrap();
    EmbeddedBroker::start(settings.clone()).await.unwrap().stop().await.unwrap();

    settings.bridge_password = "short".to_owned();
    let weak = EmbeddedBroker::start(settings.clone()).await.unwrap_err();
    assert_eq!(weak.to_string(), "`bridge_password` must be at least 16 bytes");
    assert!(!format!("{settings:?}").contains("short"));
}
