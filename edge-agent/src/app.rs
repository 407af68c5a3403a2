//! The running agent: its tasks and the channels between them, nothing else.
//!
//! sources -> measure -> core -> uplink, and the owner's socket beside. On SIGTERM each task ends
//! what it holds: a print in progress is forgotten, what is pending stays in the store.

use std::sync::Arc;
use std::time::Duration;

use imprimatur_runtime::SystemClock;
use imprimatur_runtime::lifecycle::{Stopped, stop_within};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::control::{self, ControlError};
use crate::core::{Agent, AgentError};
use crate::measure::{self, MeasureSettings};
use crate::sources::{NowFn, Source};
use crate::told::chain;
use crate::uplink;

/// Readings that may wait to be measured: a source that is faster waits, it loses nothing.
const READINGS_MAX: usize = 256;

/// How long tasks may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// An agent that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The store cannot be opened; another agent may run.
    #[error("cannot start the agent")]
    Agent(#[from] AgentError),
    /// The socket cannot be made.
    #[error("cannot start the agent's socket")]
    Control(#[from] ControlError),
}

/// How often the farm's list is looked at.
const HEED_EVERY: Duration = Duration::from_hours(1);

/// Looks at the farm's list now and then, and when the date becomes known, until `stop` is cancelled.
async fn heed(agent: Agent, stop: CancellationToken) {
    let mut tick = tokio::time::interval(HEED_EVERY);
    let mut changes = agent.changes();
    let mut known = changes.borrow().clock;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
            Ok(changed) = changes.wait_for(|changes| changes.clock != known) => {
                known = changed.clock;
            }
        }
        if let Err(error) = agent.heed_mandate() {
            tracing::error!(error = %chain(&error), "the farm's list cannot be heeded");
        }
    }
}

/// Runs the agent until `stop` is cancelled.
///
/// # Errors
/// [`AppError`] when it cannot start.
pub async fn run(config: Config, stop: CancellationToken) -> Result<Stopped, AppError> {
    let agent = Agent::open(config.agent.clone(), SystemClock::shared())?;
    let tasks = TaskTracker::new();
    let (out, readings) = mpsc::channel(READINGS_MAX);
    let now: NowFn = {
        let clock = agent.clock();
        Arc::new(move || clock.now())
    };
    let mut statuses = Vec::new();
    for settings in config.sources {
        let source = Source::new(settings, Arc::clone(&now));
        statuses.push(source.status());
        tasks.spawn(Box::pin(source.run(out.clone(), stop.clone())));
    }
    drop(out);
    let socket = config.agent.data_dir.join(control::SOCKET);
    let listener = control::listen(&socket)?;
    tasks.spawn(control::serve(agent.clone(), statuses, listener, stop.clone()));
    tasks.spawn(heed(agent.clone(), stop.clone()));
    let settings = MeasureSettings {
        machine: config.machine,
        seal_after: config.seal_after,
        active: config.active,
    };
    tasks.spawn(measure::run(agent.clone(), settings, readings, stop.clone()));
    if let Some(settings) = config.uplink {
        tasks.spawn(Box::pin(uplink::run(agent, settings, stop.clone())));
    } else {
        tracing::info!("no collector is set: reading and previewing only");
    }
    tracing::info!("running");
    stop.cancelled().await;
    let stopped = stop_within(&stop, &tasks, GRACE).await;
    if let Err(error) = std::fs::remove_file(&socket) {
        tracing::debug!(%error, "the socket was gone");
    }
    Ok(stopped)
}
