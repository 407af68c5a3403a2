//! The embedded MQTT broker: a doorway between agents and the bridge, trusted with nothing.
//!
//! Keeps true:
//! - An agent has no account. Its client id, which must be 32 lower-case hex digits, is its name, and
//!   it reaches seven topics only: it writes `imprimatur/v1/{id}/batch`, `/consent` and `/request`,
//!   and reads `/verdict`, `/receipt`, `/answer` and `/busy` of the same id.
//! - Only the bridge's account takes part in the shared subscriptions
//!   `$share/{group}/imprimatur/v1/+/batch`, `/consent` and `/request`, and only it writes what answers
//!   them, and reads and writes its own `imprimatur/v1/probe/{random}`.
//! - Nothing is kept: memory only, sessions end with their connection, a connection with a will is
//!   refused, and a retained message is acknowledged and thrown away.
//! - Nothing is told: the library logs client ids and topics, so it runs on a thread of its own whose
//!   log subscriber is the empty one, whatever level the process asked for.
//!
//! What the library (mqtt5 0.49) does not let it do: refuse a retained message by its reason code (it
//! is dropped), keep the publisher's client id and account name out of the user properties added to
//! each message, bound connections before their CONNECT (10 s), tell a publisher that nobody listens.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mqtt5::broker::config::{StorageBackend, StorageConfig};
use mqtt5::broker::{BrokerConfig, MqttBroker};
use mqtt5::error::MqttError;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::access::{Gate, NothingRetained};

#[path = "broker/access.rs"]
mod access;

/// Largest packet by default, bytes: the largest frame sixteen times over, the largest answer (a page
/// of 8 KiB, signed) three times.
pub const PACKET_BYTES_MAX: usize = 32 * 1024;
/// Connected clients by default. At about 10 kB each, 4,096 are 40 MB.
pub const CLIENTS_MAX: usize = 4096;

/// What may wait for one client; beyond it the oldest is dropped, and its sender sends again.
const QUEUED_MESSAGES_MAX: usize = 1024;
const QUEUED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages on their way from one client without an acknowledgement.
const IN_FLIGHT_MAX: u16 = 64;
/// Messages on their way to one client without an acknowledgement; the client may ask for fewer. The
/// bridge asks for twice its window, which is 64 by default.
const OUTBOUND_MAX: u16 = 256;
/// Messages between the router and one client's task; when full, the router waits, then queues.
const CHANNEL_MESSAGES_MAX: usize = 256;
/// Agents and the bridge each need four.
const SUBSCRIPTIONS_MAX: usize = 4;
/// How long the library may take to close its connections before its thread goes without it.
const STOP_GRACE: Duration = Duration::from_secs(6);

/// Where the broker listens and who the bridge is.
#[derive(Clone)]
pub struct BrokerSettings {
    /// Address to listen on; port 0 takes any free one. Default: 127.0.0.1:1883.
    pub listen: SocketAddr,
    /// The bridge's account name, not empty.
    pub bridge_user: String,
    /// The bridge's password, at least 16 bytes: guesses are not slowed down.
    pub bridge_password: String,
    /// Largest MQTT packet, bytes, 4 KiB ..= 1 MiB; who sends a larger one is disconnected.
    /// Default: [`PACKET_BYTES_MAX`].
    pub max_packet_bytes: usize,
    /// Clients connected at once, at least 2. Default: [`CLIENTS_MAX`].
    pub max_clients: usize,
}

/// A broker that could not be started or did not stop as it should.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A setting is out of its range. Report and exit with 64.
    #[error("`{key}` must be {expected}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The address is taken, or may not be listened on. Report and exit.
    #[error("the broker cannot listen on `{address}`")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: MqttError,
    },
    /// The system gave no thread or no event loop. Report and exit.
    #[error("the broker's thread cannot start")]
    Thread(#[source] std::io::Error),
    /// The broker ended with an error. Report; start another one.
    #[error("the broker failed")]
    Failed(#[source] MqttError),
    /// The broker's thread ended without a word. Report; start another one.
    #[error("the broker's thread is gone")]
    Gone,
}

/// A running broker. Dropping it stops it without waiting.
pub struct EmbeddedBroker {
    address: SocketAddr,
    stop: CancellationToken,
    over: CancellationToken,
    ended: oneshot::Receiver<Result<(), BrokerError>>,
}

impl BrokerSettings {
    /// Loopback and the default bounds, with the bridge's account.
    pub fn new(bridge_user: impl Into<String>, bridge_password: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)),
            bridge_user: bridge_user.into(),
            bridge_password: bridge_password.into(),
            max_packet_bytes: PACKET_BYTES_MAX,
            max_clients: CLIENTS_MAX,
        }
    }

    fn check(&self) -> Result<(), BrokerError> {
        let refuse = |key, expected| Err(BrokerError::OutOfRange { key, expected });
        if self.bridge_user.is_empty() {
            return refuse("bridge_user", "a name");
        }
        if self.bridge_password.len() < 16 {
            return refuse("bridge_password", "at least 16 bytes");
        }
        if !(4 * 1024..=1024 * 1024).contains(&self.max_packet_bytes) {
            return refuse("max_packet_bytes", "4096 ..= 1048576");
        }
        if self.max_clients < 2 {
            return refuse("max_clients", "at least 2");
        }
        Ok(())
    }

    fn config(&self) -> BrokerConfig {
        let storage = StorageConfig::new()
            .with_backend(StorageBackend::Memory)
            .with_max_queued_messages_per_client(QUEUED_MESSAGES_MAX)
            .with_max_queued_bytes_per_client(QUEUED_BYTES_MAX);
        let mut config = BrokerConfig::default()
            .with_bind_address(self.listen)
            .with_storage(storage)
            .with_session_expiry(Duration::ZERO)
            .with_max_clients(self.max_clients)
            .with_max_packet_size(self.max_packet_bytes)
            .with_maximum_qos(1)
            .with_retain_available(false)
            // Zero is unlimited to the library; the event handler lets none through anyway.
            .with_max_retained_messages(1)
            .with_max_retained_message_size(1)
            .with_max_subscriptions_per_client(SUBSCRIPTIONS_MAX)
            .with_client_channel_capacity(CHANNEL_MESSAGES_MAX)
            .with_max_outbound_inflight(OUTBOUND_MAX)
            .with_server_receive_maximum(IN_FLIGHT_MAX)
            .with_sys_topics_enabled(false)
            .with_event_handler(Arc::new(NothingRetained));
        config.topic_alias_maximum = 0;
        config.subscription_identifier_available = false;
        // A client that is silent for 1.5 times this is gone.
        config.server_keep_alive = Some(Duration::from_mins(1));
        config
    }
}

impl fmt::Debug for BrokerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerSettings")
            .field("listen", &self.listen)
            .field("max_packet_bytes", &self.max_packet_bytes)
            .field("max_clients", &self.max_clients)
            .finish_non_exhaustive()
    }
}

impl EmbeddedBroker {
    /// Starts a broker and returns once it accepts connections.
    ///
    /// # Errors
    /// [`BrokerError::OutOfRange`], [`BrokerError::Listen`], [`BrokerError::Thread`],
    /// [`BrokerError::Gone`].
    pub async fn start(settings: BrokerSettings) -> Result<Self, BrokerError> {
        settings.check()?;
        let stop = CancellationToken::new();
        let (told, listening) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let asked = stop.clone();
        let over = CancellationToken::new();
        let done = over.clone();
        thread::Builder::new()
            .name("broker".to_owned())
            .spawn(move || {
                let result = on_own_thread(&settings, told, &asked);
                done.cancel();
                if end.send(result).is_err() {
                    tracing::debug!("the broker ended after its owner");
                }
            })
            .map_err(BrokerError::Thread)?;
        match listening.await {
            Ok(address) => {
                tracing::info!(%address, "broker accepts connections");
                Ok(Self { address, stop, over, ended })
            }
            Err(_never_listened) => match ended.await {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) | Err(_) => Err(BrokerError::Gone),
            },
        }
    }

    /// The address that it really listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the broker has ended by itself; [`EmbeddedBroker::stop`] tells why.
    pub async fn gone(&self) {
        self.over.cancelled().await;
    }

    /// Closes all connections and returns when the port is free again, within about six seconds.
    ///
    /// # Errors
    /// [`BrokerError::Failed`] when it had ended with an error before, [`BrokerError::Gone`] when its
    /// thread had.
    pub async fn stop(mut self) -> Result<(), BrokerError> {
        self.stop.cancel();
        (&mut self.ended).await.map_err(|_sender_gone| BrokerError::Gone)?
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedBroker").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Runs the whole broker on the calling thread, which logs nothing meanwhile: every task that the
/// library spawns stays on it.
fn on_own_thread(
    settings: &BrokerSettings,
    told: oneshot::Sender<SocketAddr>,
    stop: &CancellationToken,
) -> Result<(), BrokerError> {
    let silent = tracing::subscriber::NoSubscriber::new();
    tracing::subscriber::with_default(silent, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(BrokerError::Thread)?;
        runtime.block_on(serve(settings, told, stop))
    })
}

async fn serve(
    settings: &BrokerSettings,
    told: oneshot::Sender<SocketAddr>,
    stop: &CancellationToken,
) -> Result<(), BrokerError> {
    let listen = |source| BrokerError::Listen { address: settings.listen, source };
    let gate = Gate {
        user: settings.bridge_user.clone(),
        password: settings.bridge_password.clone().into_bytes(),
    };
    let mut broker = MqttBroker::with_config(settings.config())
        .await
        .map_err(listen)?
        .with_auth_provider(Arc::new(gate));
    let address = broker.local_addr().ok_or(BrokerError::Gone)?;
    let shutdown = broker.shutdown_handle();
    let mut ready = broker.ready_receiver();

    let run = broker.run();
    tokio::pin!(run);
    // A signal before the broker is ready would be lost, so none is sent before.
    tokio::select! {
        result = &mut run => return result.map_err(BrokerError::Failed),
        _ = ready.wait_for(|ready| *ready) => {}
    }
    if told.send(address).is_err() {
        return Ok(());
    }
    tokio::select! {
        result = &mut run => return result.map_err(BrokerError::Failed),
        () = stop.cancelled() => shutdown.shutdown(),
    }
    match tokio::time::timeout(STOP_GRACE, run).await {
        Ok(result) => result.map_err(BrokerError::Failed),
        // The thread's event loop is dropped next, and all connections with it.
        Err(_elapsed) => Ok(()),
    }
}
