//! The shipped broker configuration against a real client: who may read and write what.

use std::path::Path;
use std::time::Duration;

use imprimatur_testkit::peers::Mosquitto;
use imprimatur_testkit::tap::Tap;
use imprimatur_testkit::{ports, process, search, wait};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const ANSWER: Duration = Duration::from_secs(10);
const ALICE: &str = "a11cea11cea11cea11cea11cea11ce00";
const BOB: &str = "b0bb0bb0bb0bb0bb0bb0bb0bb0bb0b00";

fn topic(agent: &str, kind: &str) -> String {
    format!("imprimatur/v1/{agent}/{kind}")
}

/// A client whose received packets come through a queue; dropping it ends its connection.
struct Client {
    sender: AsyncClient,
    packets: mpsc::Receiver<Packet>,
    task: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// `None` when the broker refuses the connection.
    async fn connect(id: &str, port: u16, account: Option<(&str, &str)>) -> Option<Self> {
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30));
        if let Some((user, password)) = account {
            options.set_credentials(user, password);
        }
        let (sender, mut events) = AsyncClient::new(options, 16);
        // More packets than any test exchanges; a full queue would hold the connection up.
        let (into, mut packets) = mpsc::channel(256);
        let task = tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(packet) = event
                    && into.send(packet).await.is_err()
                {
                    return;
                }
            }
        });
        let first = tokio::time::timeout(ANSWER, packets.recv()).await.unwrap();
        let client = Self { sender, packets, task };
        matches!(first, Some(Packet::ConnAck(_))).then_some(client)
    }

    async fn agent(id: &str, port: u16) -> Self {
        Self::connect(id, port, None).await.unwrap()
    }

    async fn bridge(id: &str, broker: &Mosquitto) -> Self {
        let account = broker.bridge_credentials();
        let account = Some((account.user.as_str(), account.password.as_str()));
        Self::connect(id, broker.port(), account).await.unwrap()
    }

    async fn subscribe(&mut self, filter: &str) {
        self.sender.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        self.next(|packet| matches!(packet, Packet::SubAck(_)).then_some(())).await;
    }

    /// Publishes and gives the broker's reason, such as `Success` or `NotAuthorized`.
    async fn publish(&mut self, topic: &str, text: &str) -> String {
        let (bytes, least) = (text.to_owned(), QoS::AtLeastOnce);
        self.sender.publish(topic, least, false, bytes).await.unwrap();
        self.next(|packet| match packet {
            Packet::PubAck(ack) => Some(format!("{:?}", ack.reason)),
            _ => None,
        })
        .await
    }

    async fn received(&mut self) -> (String, String) {
        self.next(|packet| match packet {
            Packet::Publish(message) => Some((
                String::from_utf8(message.topic.to_vec()).unwrap(),
                String::from_utf8(message.payload.to_vec()).unwrap(),
            )),
            _ => None,
        })
        .await
    }

    async fn next<T>(&mut self, mut wanted: impl FnMut(Packet) -> Option<T>) -> T {
        tokio::time::timeout(ANSWER, async {
            loop {
                let packet = self.packets.recv().await.expect("the connection ended");
                if let Some(found) = wanted(packet) {
                    return found;
                }
            }
        })
        .await
        .expect("no answer in time")
    }

    /// Waits until the broker ends the connection.
    async fn ended(&mut self) {
        let end = async { while self.packets.recv().await.is_some() {} };
        tokio::time::timeout(ANSWER, end).await.expect("still connected");
    }
}

async fn broker() -> (tempfile::TempDir, Mosquitto) {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path()).await.unwrap();
    (folder, broker)
}

fn left(folder: &Path) -> Vec<u32> {
    process::running_with(&folder.display().to_string()).unwrap()
}

#[tokio::test]
async fn an_agent_and_the_bridge_reach_each_other() {
    let (folder, mut broker) = broker().await;
    let mut bridge = Client::bridge("bridge-1", &broker).await;
    bridge.subscribe("$share/s3cret/imprimatur/v1/+/batch").await;
    bridge.subscribe("$share/s3cret/imprimatur/v1/+/consent").await;
    let mut agent = Client::agent(ALICE, broker.port()).await;
    agent.subscribe(&topic(ALICE, "verdict")).await;
    agent.subscribe(&topic(ALICE, "receipt")).await;
    agent.subscribe(&topic(ALICE, "busy")).await;
    for (up, down) in [("batch", "verdict"), ("consent", "receipt"), ("batch", "busy")] {
        assert_eq!(agent.publish(&topic(ALICE, up), up).await, "Success");
        assert_eq!(bridge.received().await, (topic(ALICE, up), up.to_owned()));
        assert_eq!(bridge.publish(&topic(ALICE, down), down).await, "Success");
        assert_eq!(agent.received().await, (topic(ALICE, down), down.to_owned()));
    }
    broker.stop().await.unwrap();
    assert_eq!(left(folder.path()), [0; 0]);
}

#[tokio::test]
async fn an_agent_cannot_write_to_another_agents_topics_or_speak_as_the_bridge() {
    let (_folder, broker) = broker().await;
    let mut bridge = Client::bridge("bridge-1", &broker).await;
    bridge.subscribe("imprimatur/v1/+/batch").await;
    let mut bob = Client::agent(BOB, broker.port()).await;
    bob.subscribe(&topic(BOB, "verdict")).await;
    let mut alice = Client::agent(ALICE, broker.port()).await;
    for (agent, kind) in [
        (BOB, "batch"),
        (BOB, "consent"),
        (BOB, "verdict"),
        (ALICE, "verdict"),
        (ALICE, "receipt"),
        (ALICE, "busy"),
        (BOB, "busy"),
        ("probe", "0123456789abcdef0123456789abcdef"),
        (ALICE, "other"),
    ] {
        let reason = alice.publish(&topic(agent, kind), "forged").await;
        assert_eq!(reason, "NotAuthorized", "{agent}/{kind}");
    }
    // What is allowed comes after what was forged, and comes alone.
    assert_eq!(bob.publish(&topic(BOB, "batch"), "own").await, "Success");
    assert_eq!(bridge.received().await, (topic(BOB, "batch"), String::from("own")));
    assert_eq!(bridge.publish(&topic(BOB, "verdict"), "true").await, "Success");
    assert_eq!(bob.received().await, (topic(BOB, "verdict"), String::from("true")));
}

#[tokio::test]
async fn an_agent_cannot_read_what_others_send_or_get() {
    let (_folder, broker) = broker().await;
    let mut eve = Client::agent("e7e", broker.port()).await;
    for filter in
        ["#", "imprimatur/v1/+/batch", &topic(ALICE, "verdict"), &topic(ALICE, "busy"), "$SYS/#"]
    {
        eve.subscribe(filter).await;
    }
    eve.subscribe(&topic("e7e", "verdict")).await;
    let mut bridge = Client::bridge("bridge-1", &broker).await;
    bridge.subscribe("imprimatur/v1/+/batch").await;
    let mut alice = Client::agent(ALICE, broker.port()).await;
    alice.publish(&topic(ALICE, "batch"), "private").await;
    bridge.received().await;
    bridge.publish(&topic(ALICE, "verdict"), "private").await;
    bridge.publish(&topic(ALICE, "busy"), "private").await;
    // Messages to one client stay in order: had the others been delivered, they would come first.
    bridge.publish(&topic("e7e", "verdict"), "public").await;
    assert_eq!(eve.received().await, (topic("e7e", "verdict"), String::from("public")));
}

#[tokio::test]
async fn a_client_id_that_is_a_pattern_reaches_nothing() {
    let (_folder, broker) = broker().await;
    for id in ["+", "#", "a/batch"] {
        let Some(mut wild) = Client::connect(id, broker.port(), None).await else { continue };
        assert_eq!(wild.publish(&topic(ALICE, "batch"), "forged").await, "NotAuthorized", "{id}");
    }
}

#[tokio::test]
async fn the_bridges_account_needs_its_password() {
    let (_folder, broker) = broker().await;
    for account in [("bridge", "wrong"), ("bridge", ""), ("stranger", "x")] {
        let refused = Client::connect("x1", broker.port(), Some(account)).await.is_none();
        assert!(refused, "{account:?}");
    }
}

#[tokio::test]
async fn a_known_share_name_lets_a_stranger_swallow_batches_so_it_must_be_secret() {
    let (_folder, broker) = broker().await;
    let mut bridge = Client::bridge("bridge-1", &broker).await;
    bridge.subscribe("$share/known/imprimatur/v1/+/batch").await;
    let mut eve = Client::agent("e7e", broker.port()).await;
    eve.subscribe("$share/known/imprimatur/v1/+/batch").await;
    let mut alice = Client::agent(ALICE, broker.port()).await;
    for text in ["1", "2", "3", "4"] {
        assert_eq!(alice.publish(&topic(ALICE, "batch"), text).await, "Success");
    }
    let (first, second) = (bridge.received().await.1, bridge.received().await.1);
    // Each second message went to the stranger, to whom it was then not delivered.
    assert!([("1", "3"), ("2", "4")].contains(&(&first, &second)), "{first} {second}");
}

#[tokio::test]
async fn a_packet_over_the_limit_ends_the_connection_and_one_below_does_not() {
    let (_folder, broker) = broker().await;
    let mut alice = Client::agent(ALICE, broker.port()).await;
    let near = "x".repeat(32_768 - 128);
    assert_eq!(alice.publish(&topic(ALICE, "batch"), &near).await, "NoMatchingSubscribers");
    let over = "x".repeat(32_768);
    let least = QoS::AtLeastOnce;
    alice.sender.publish(topic(ALICE, "batch"), least, false, over).await.unwrap();
    alice.ended().await;
}

#[tokio::test]
async fn the_broker_comes_back_on_its_port_and_logs_no_topic_payload_or_client_id() {
    let (_folder, mut broker) = broker().await;
    let port = broker.port();
    let mut alice = Client::agent(ALICE, port).await;
    alice.publish(&topic(ALICE, "batch"), "planted-payload").await;
    alice.publish(&topic(BOB, "batch"), "planted-payload").await;
    broker.restart().await.unwrap();
    assert_eq!(broker.port(), port);
    Client::agent(ALICE, port).await;
    let log = broker.log_text();
    for secret in [ALICE, BOB, "planted-payload", "imprimatur/v1"] {
        assert_eq!(search::occurrences(log.as_bytes(), secret.as_bytes()), [], "{log}");
    }
}

#[tokio::test]
async fn a_tap_before_the_broker_sees_what_was_planted() {
    let (_folder, broker) = broker().await;
    let tap = Tap::start(ports::loopback(broker.port())).await.unwrap();
    let mut alice = Client::agent(ALICE, tap.port()).await;
    alice.publish(&topic(ALICE, "batch"), "planted-payload").await;
    wait::until(ANSWER, "the payload in the record", async || {
        let found = search::occurrences(&tap.transcript(), b"planted-payload");
        if found.len() == 1 { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await
    .unwrap();
}
