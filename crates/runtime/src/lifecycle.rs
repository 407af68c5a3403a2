//! How processes end: one token that says stop, and a bounded wait for what is under way.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All tasks ended.
    Drained,
    /// The time ran out with this many tasks left.
    GraceExpired {
        /// Tasks that did not end.
        left: usize,
    },
}

/// A token that is cancelled by SIGTERM or SIGINT.
///
/// # Errors
/// When the process cannot listen to signals.
pub fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = told.cancelled() => return,
        };
        tracing::info!(signal = name, "stopping");
        told.cancel();
    });
    Ok(stop)
}

/// Signals `stop`, then waits at most `grace` for the tracked tasks.
pub async fn stop_within(
    stop: &CancellationToken,
    tasks: &TaskTracker,
    grace: Duration,
) -> Stopped {
    stop.cancel();
    tasks.close();
    match tokio::time::timeout(grace, tasks.wait()).await {
        Ok(()) => Stopped::Drained,
        Err(_elapsed) => Stopped::GraceExpired { left: tasks.len() },
    }
}
