//! Peers that accept and say nothing, and connections that are open on one side only.

use std::net::SocketAddr;
use std::time::Duration;

use imprimatur_bridge::config::{ALIVE_EVERY, CONNECT_WITHIN};
use imprimatur_testkit::peers::Mosquitto;
use imprimatur_testkit::{ports, wait};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::{Agent, Bridge, Collector, Mood, broker, settings, settings_for};

/// How long a loaded machine may take beyond the stated time.
const SLACK: Duration = Duration::from_secs(15);

/// A proxy that can stand still: it keeps its connections open and takes new ones, but passes nothing.
struct Stall {
    address: SocketAddr,
    still: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stall {
    async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(ports::loopback(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (still, seen) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let Ok(upstream) = TcpStream::connect(server).await else { continue };
                let (up, down) = (client.into_split(), upstream.into_split());
                connections.spawn(pass(up.0, down.1, seen.clone()));
                connections.spawn(pass(down.0, up.1, seen.clone()));
            }
        });
        Self { address, still, task }
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut still: watch::Receiver<bool>,
) {
    let mut buffer = [0; 4096];
    loop {
        if still.wait_for(|still| !*still).await.is_err() {
            return;
        }
        // A stop in the middle of a read must not pass what is read.
        let length = tokio::select! {
            biased;
            _ = still.wait_for(|still| *still) => continue,
            read = from.read(&mut buffer) => read.unwrap_or(0),
        };
        if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
            to.shutdown().await.ok();
            return;
        }
    }
}

/// Waits for the outage that a side which stands still must become within `stated`.
async fn is_lost(bridge: &Bridge, stated: Duration) {
    wait::until(stated + SLACK, "an outage", async || match bridge.counts() {
        counts if counts.outages >= 1 => Ok(()),
        counts => Err(format!("{counts:?}")),
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_broker_that_accepts_and_says_nothing_is_lost() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let stall = Stall::start(broker.address()).await;
    stall.still.send(true).unwrap();
    let bridge = Bridge::start(settings(stall.address, collector.address));
    is_lost(&bridge, CONNECT_WITHIN).await;
    assert_eq!(bridge.counts().sessions, 0);
    stall.still.send(false).unwrap();
    Agent::start(broker.address()).await.insist("after").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_broker_that_stands_still_is_lost_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let mosquitto = Mosquitto::start(folder.path()).await.unwrap();
    let collector = Collector::start(0, Mood::Answer).await;
    let stall = Stall::start(ports::loopback(mosquitto.port())).await;
    let account = mosquitto.bridge_credentials().clone();
    let settings = settings_for(stall.address, &account.user, &account.password, collector.address);
    let bridge = Bridge::ready(settings.with_share("a-secret-name").unwrap()).await;
    stall.still.send(true).unwrap();
    // Asked after 10 s, and after 10 s more it has not answered.
    is_lost(&bridge, Duration::from_secs(20)).await;
    stall.still.send(false).unwrap();
    Agent::start(ports::loopback(mosquitto.port())).await.insist("after").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_collector_that_stands_still_is_lost_and_found_again() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let stall = Stall::start(collector.address).await;
    let bridge = Bridge::ready(settings(broker.address(), stall.address)).await;
    stall.still.send(true).unwrap();
    is_lost(&bridge, 2 * ALIVE_EVERY).await;
    stall.still.send(false).unwrap();
    Agent::start(broker.address()).await.insist("after").await;
    bridge.stop().await;
}

#[tokio::test]
async fn a_collector_that_accepts_and_says_nothing_is_lost() {
    let (broker, collector) = (broker(0).await, Collector::start(0, Mood::Answer).await);
    let stall = Stall::start(collector.address).await;
    stall.still.send(true).unwrap();
    let bridge = Bridge::start(settings(broker.address(), stall.address));
    is_lost(&bridge, 2 * ALIVE_EVERY).await;
    assert_eq!(bridge.counts().batches_answered, 0);
    stall.still.send(false).unwrap();
    Agent::start(broker.address()).await.insist("after").await;
    bridge.stop().await;
}
