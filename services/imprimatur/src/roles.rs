//! The roles alone: broker, bridge, collector, query service, each in a process of its own.

use std::path::Path;

use imprimatur_bridge::{BridgeSettings, BrokerAddress, Credentials};
use imprimatur_collector::{Collector, CollectorSettings};
use imprimatur_consent::Digest;
use imprimatur_door::DoorSettings;
use imprimatur_ledger::Label;
use imprimatur_runtime::{SystemClock, lifecycle};

use crate::broker::{BrokerSettings, EmbeddedBroker};
use crate::cli;
use crate::commands::policy::text;
use crate::error::CommandError;
use crate::say;

/// Runs the embedded broker until it is told to stop.
///
/// # Errors
/// [`CommandError`].
pub async fn broker(args: cli::Broker) -> Result<(), CommandError> {
    let stop = lifecycle::stop_on_signals().map_err(CommandError::System)?;
    let password = secret(&args.password_file)?;
    let settings =
        BrokerSettings { listen: args.listen, ..BrokerSettings::new(args.user, password) };
    let broker = EmbeddedBroker::start(settings).await?;
    stop.cancelled().await;
    Ok(broker.stop().await?)
}

/// Runs the bridge until it is told to stop.
///
/// # Errors
/// [`CommandError`].
pub async fn bridge(args: cli::Bridge) -> Result<(), CommandError> {
    let stop = lifecycle::stop_on_signals().map_err(CommandError::System)?;
    let usage = || CommandError::Usage(format!("`{}` is not HOST:PORT", args.broker));
    let (host, port) = args.broker.rsplit_once(':').ok_or_else(usage)?;
    let port = port.parse().map_err(|_not_a_port| usage())?;
    let credentials = Credentials::new(args.user, secret(&args.password_file)?)?;
    let settings =
        BridgeSettings::new(BrokerAddress::new(host, port)?, credentials, &args.collector)?
            .with_share(args.share)?
            .with_window(args.window)?;
    Ok(imprimatur_bridge::run(settings, stop).await?)
}

/// Runs the collector until it is told to stop.
///
/// # Errors
/// [`CommandError`].
pub async fn collector(args: cli::Collector) -> Result<(), CommandError> {
    let stop = lifecycle::stop_on_signals().map_err(CommandError::System)?;
    let settings = CollectorSettings {
        listen: args.listen,
        metrics: args.metrics,
        data: args.data,
        policies: vec![text(args.policy.as_deref())?],
        region: args.region,
        publish_every: std::time::Duration::from_secs(1),
        label: if args.load_test { Label::Load } else { Label::Real },
    };
    let running = Collector::open(settings, SystemClock::shared())?.start(stop).await?;
    say::line(&format!("collector key  {}", Digest(running.public_key)));
    say::line(&format!("gRPC           {}", running.address));
    if let Some(metrics) = running.metrics {
        say::line(&format!("metrics        http://{metrics}/metrics"));
    }
    Ok(running.ended().await?)
}

/// Runs the query service until it is told to stop.
///
/// # Errors
/// [`CommandError`].
pub async fn query_server(args: cli::door::QueryServer) -> Result<(), CommandError> {
    let stop = lifecycle::stop_on_signals().map_err(CommandError::System)?;
    let settings = DoorSettings { grpc: args.grpc, ..DoorSettings::new(args.data, args.listen) };
    let running = imprimatur_door::start(settings, SystemClock::shared(), stop).await?;
    say::line(&format!("HTTP  http://{}", running.address));
    if let Some(grpc) = running.grpc {
        say::line(&format!("gRPC  {grpc}"));
    }
    Ok(running.ended().await?)
}

/// A secret from a file, without its line end.
fn secret(path: &Path) -> Result<String, CommandError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| CommandError::File { path: path.to_owned(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
