//! How processes end: one token that says stop, a bounded wait for what is under way, and no dump of memory.

use std::time::Duration;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
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

/// Lets no crash write this process's memory anywhere: it holds keys, and names that are not to be kept.
///
/// Neither a file nor a program such as `systemd-coredump` gets it, and no other process of the same account may look
/// into it (`prctl(2)`, `PR_SET_DUMPABLE`).
///
/// # Errors
/// When the kernel refuses. Report it and go on: the limit of the session still holds.
pub fn leave_no_dump() -> std::io::Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Ok(setrlimit(Resource::Core, none).and(set_dumpable_behavior(DumpableBehavior::NotDumpable))?)
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
