//! `imprimatur up`: broker, bridge, collector and query service in one process, on loopback unless told otherwise.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use imprimatur_bridge::{BridgeError, BridgeSettings, BrokerAddress, Counters, Credentials};
use imprimatur_collector::region::Region;
use imprimatur_collector::{Collector, CollectorError, CollectorSettings, Running};
use imprimatur_consent::Digest;
use imprimatur_door::DoorSettings;
use imprimatur_ledger::Label;
use imprimatur_runtime::{SystemClock, entropy, lifecycle};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::{BrokerSettings, EmbeddedBroker};
use crate::cli;
use crate::commands::policy::text;
use crate::error::CommandError;
use crate::say;

/// Where everything listens and stores.
#[derive(Clone, Debug)]
pub struct UpSettings {
    /// Folder of everything that is stored.
    pub data: PathBuf,
    /// MQTT address; port 0 takes a free one.
    pub mqtt: SocketAddr,
    /// gRPC address; port 0 takes a free one.
    pub grpc: SocketAddr,
    /// Address of the query service; nowhere unless given.
    pub http: Option<SocketAddr>,
    /// Text of the policy to which consent is taken.
    pub policy: String,
    /// Where the server stands.
    pub region: Region,
    /// What all that comes is.
    pub label: Label,
}

/// The whole server, running.
#[derive(Debug)]
pub struct Server {
    /// The broker.
    pub mqtt: SocketAddr,
    /// The collector.
    pub collector: Running,
    /// The query service.
    pub door: Option<imprimatur_door::Running>,
    /// What the bridge carried.
    pub carried: Counters,
    broker: EmbeddedBroker,
    bridge: JoinHandle<Result<(), BridgeError>>,
    stop: CancellationToken,
}

impl Server {
    /// Starts collector, query service, broker and bridge, in this order.
    ///
    /// # Errors
    /// [`CommandError`]; what was started is stopped.
    pub async fn start(
        settings: UpSettings,
        stop: CancellationToken,
    ) -> Result<Self, CommandError> {
        let door = settings.http.map(|http| DoorSettings::new(settings.data.clone(), http));
        let collector = CollectorSettings {
            listen: settings.grpc,
            metrics: None,
            data: settings.data,
            policies: vec![settings.policy],
            region: settings.region,
            publish_every: Duration::from_secs(1),
            label: settings.label,
        };
        let collector = Collector::open(collector, SystemClock::shared())?;
        let unfinished = stop.clone().drop_guard();
        let collector = collector.start(stop.clone()).await?;
        let door = match door {
            Some(door) => {
                let clock = SystemClock::shared();
                Some(Box::pin(imprimatur_door::start(door, clock, stop.clone())).await?)
            }
            None => None,
        };
        let password: [u8; 32] = entropy::bytes().map_err(CollectorError::Entropy)?;
        let share: [u8; 16] = entropy::bytes().map_err(CollectorError::Entropy)?;
        let password = hex::encode(password);
        let account = BrokerSettings::new("bridge", password.clone());
        let broker =
            EmbeddedBroker::start(BrokerSettings { listen: settings.mqtt, ..account }).await?;
        let mqtt = broker.address();
        let bridge = BridgeSettings::new(
            BrokerAddress::new(mqtt.ip().to_string(), mqtt.port())?,
            Credentials::new("bridge", password)?,
            &format!("http://{}", collector.address),
        )?
        .with_share(hex::encode(share))?;
        let carried = Counters::default();
        let carrying = imprimatur_bridge::run_counted(bridge, carried.clone(), stop.clone());
        let failed = stop.clone();
        let bridge = tokio::spawn(async move {
            let ended = carrying.await;
            failed.cancel();
            ended
        });
        unfinished.disarm();
        Ok(Self { mqtt, collector, door, carried, broker, bridge, stop })
    }

    /// The settings that an agent needs, as TOML.
    pub fn agent_settings(&self) -> String {
        format!(
            "[collector]\nbroker = \"mqtt://{}\"\nkey = \"{}\"\n",
            self.mqtt,
            Digest(self.collector.public_key)
        )
    }

    /// Waits for the stop, or for a part that ends by itself, then ends them all.
    ///
    /// # Errors
    /// What failed first.
    pub async fn ended(self) -> Result<(), CommandError> {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.broker.gone() => self.stop.cancel(),
        }
        let bridge = self.bridge.await;
        self.collector.ended().await?;
        self.broker.stop().await?;
        if let Some(door) = self.door {
            door.ended().await?;
        }
        bridge.map_err(|error| CommandError::System(std::io::Error::other(error)))??;
        Ok(())
    }
}

/// Runs the whole server until it is told to stop.
///
/// # Errors
/// [`CommandError`].
pub async fn run(args: cli::Up) -> Result<(), CommandError> {
    let stop = lifecycle::stop_on_signals().map_err(CommandError::System)?;
    let data = args.data.unwrap_or_default();
    let settings = UpSettings {
        data: data.clone(),
        mqtt: args.mqtt.unwrap_or_else(|| loopback(1883)),
        grpc: args.grpc.unwrap_or_else(|| loopback(50_051)),
        http: Some(args.http.unwrap_or_else(|| loopback(8080))),
        policy: text(args.policy.as_deref())?,
        region: args.region,
        label: Label::Real,
    };
    let server = Server::start(settings, stop).await?;
    say::line(&format!("MQTT  {}", server.mqtt));
    say::line(&format!("gRPC  {}", server.collector.address));
    if let Some(door) = &server.door {
        say::line(&format!("HTTP  http://{}", door.address));
    }
    say::line("\nAn agent needs this in its agent.toml:\n");
    say::line(&server.agent_settings());
    let data = data.display();
    say::line("Next, in another terminal:");
    say::line(&format!("  imprimatur enrol --data {data} --principals 1"));
    say::line("  imprimatur-agent --config agent.toml run");
    say::line(&format!("  imprimatur query print_count --data {data}"));
    say::line(&format!(
        "  imprimatur token create --data {data} --role engineer --name me --days 30"
    ));
    say::line(&format!("  imprimatur compliance verify --data {data}"));
    server.ended().await?;
    say::line("stopped");
    Ok(())
}

/// A loopback address.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
