//! Brokers that cannot do what the bridge needs, beside the one that is shipped.

use std::path::PathBuf;
use std::time::Duration;

use imprimatur_bridge::{BridgeError, BridgeSettings, Unfit};
use imprimatur_testkit::peers::Mosquitto;
use imprimatur_testkit::ports;
use tokio_util::sync::CancellationToken;

use crate::support::{Agent, Bridge, Collector, Mood, PATIENCE, broker, settings, settings_for};

/// Mosquitto as shipped, whose files a test may change.
struct Changed {
    folder: tempfile::TempDir,
    broker: Mosquitto,
    collector: Collector,
}

impl Changed {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Mosquitto::start(folder.path()).await.unwrap();
        Self { folder, broker, collector: Collector::start(0, Mood::Answer).await }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("mosquitto").join(name)
    }

    /// Replaces lines of one of the broker's files, each by the text before its value, and restarts.
    async fn change(&mut self, file: &str, lines: &[(&str, &str)]) {
        let path = self.file(file);
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (start, new) in lines {
            let line = text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
            text = text.replace(&line, new);
        }
        std::fs::write(path, text).unwrap();
        self.broker.restart().await.unwrap();
    }

    fn settings(&self) -> BridgeSettings {
        let account = self.broker.bridge_credentials();
        let address = ports::loopback(self.broker.port());
        settings_for(address, &account.user, &account.password, self.collector.address)
            .with_share("a-secret-name")
            .unwrap()
    }

    async fn refused(&self) -> Unfit {
        let run = imprimatur_bridge::run(self.settings(), CancellationToken::new());
        match tokio::time::timeout(PATIENCE, run).await.expect("ends") {
            Err(BridgeError::Unfit(unfit)) => unfit,
            other => panic!("{other:?}"),
        }
    }

    async fn carries(&self) -> Bridge {
        let bridge = Bridge::ready(self.settings()).await;
        let agent = Agent::start(ports::loopback(self.broker.port())).await;
        agent.insist("carried").await;
        bridge
    }
}

#[tokio::test]
async fn the_shipped_mosquitto_and_the_embedded_broker_are_fit_and_the_start_is_short() {
    let changed = Changed::start().await;
    let began = tokio::time::Instant::now();
    let bridge = Bridge::ready(changed.settings()).await;
    let start = began.elapsed();
    assert!(start < Duration::from_secs(1), "{start:?}");
    bridge.stop().await;
    changed.carries().await.stop().await;

    let embedded = broker(0).await;
    let began = tokio::time::Instant::now();
    let bridge = Bridge::ready(settings(embedded.address(), changed.collector.address)).await;
    let start = began.elapsed();
    assert!(start < Duration::from_secs(1), "{start:?}");
    assert_eq!(bridge.counts().outages, 0);
    bridge.stop().await;
}

#[tokio::test]
async fn a_broker_whose_queue_drops_is_refused() {
    let mut changed = Changed::start().await;
    changed.change("mosquitto.conf", &[("max_queued_messages", "max_queued_messages 10")]).await;
    // 256 were sent, 128 come without an acknowledgement, ten wait.
    assert_eq!(changed.refused().await, Unfit::Drops { dropped: 118, of: 256 });
    let queue = ("max_queued_messages", "max_queued_messages 4096");
    changed.change("mosquitto.conf", &[queue, ("max_queued_bytes", "max_queued_bytes 100")]).await;
    let unfit = changed.refused().await;
    assert!(matches!(unfit, Unfit::Drops { .. }), "{unfit}");
    assert!(unfit.to_string().contains("`max_queued_messages`"), "{unfit}");
    // Just enough, and no bound at all.
    let enough = [queue, ("max_queued_bytes", "max_queued_bytes 0")];
    changed.change("mosquitto.conf", &enough).await;
    changed.change("mosquitto.conf", &[("max_queued_messages", "max_queued_messages 128")]).await;
    changed.carries().await.stop().await;
}

#[tokio::test]
async fn small_packets_and_no_quality_are_refused() {
    let mut changed = Changed::start().await;
    changed.change("mosquitto.conf", &[("max_packet_size", "max_packet_size 8192")]).await;
    let unfit = changed.refused().await;
    assert!(matches!(unfit, Unfit::Packet { got: 8192, .. }), "{unfit}");
    let packet = ("max_packet_size", "max_packet_size 32768");
    changed.change("mosquitto.conf", &[packet, ("max_qos", "max_qos 0")]).await;
    assert_eq!(changed.refused().await, Unfit::Quality);
}

#[tokio::test]
async fn an_account_that_may_not_probe_is_refused_in_either_direction() {
    let mut changed = Changed::start().await;
    let line = "topic readwrite imprimatur/v1/probe/+";
    let write_only = "topic write imprimatur/v1/probe/+";
    changed.change("mosquitto.acl", &[(line, write_only)]).await;
    assert_eq!(changed.refused().await, Unfit::Probe);
    changed.change("mosquitto.acl", &[(write_only, "")]).await;
    assert_eq!(changed.refused().await, Unfit::Probe);
}

#[tokio::test]
async fn few_messages_at_once_make_the_bridge_slower_and_no_worse() {
    let mut changed = Changed::start().await;
    let few = ("max_inflight_messages", "max_inflight_messages 2");
    changed.change("mosquitto.conf", &[few, ("retain_available", "retain_available true")]).await;
    changed.carries().await.stop().await;
}

/// A refusal at the start is for the operator who stands there; later it is an outage as any other.
#[tokio::test]
async fn a_broker_that_becomes_unfit_is_waited_for() {
    let mut changed = Changed::start().await;
    let bridge = changed.carries().await;
    changed.change("mosquitto.conf", &[("max_queued_messages", "max_queued_messages 10")]).await;
    let before = bridge.counts().broker_attempts;
    bridge.until(|counts| counts.broker_attempts >= before + 3).await;
    assert_eq!(bridge.counts().sessions, 1);
    changed.change("mosquitto.conf", &[("max_queued_messages", "max_queued_messages 4096")]).await;
    Agent::start(ports::loopback(changed.broker.port())).await.insist("after").await;
    bridge.stop().await;
}
