//! The running agent: its tasks and the channels between them, nothing else.
//!
//! For each printer sources -> measure -> core -> uplink, and the owner's socket beside, which takes
//! what slicers say, too; all printers share one thread. On SIGTERM each task ends what it holds: a
//! print in progress is forgotten, what is pending stays in the store. A printer whose store cannot
//! be used stands still alone, and is tried again; when none can be used the agent does not start.

use std::sync::Arc;
use std::time::Duration;

use imprimatur_runtime::SystemClock;
use imprimatur_runtime::lifecycle::{Stopped, stop_within};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::config::{Config, PrinterSettings, SealAfter};
use crate::control::{self, ControlError, Intake};
use crate::core::{Agent, AgentError};
use crate::host::{self, Host, HostError};
use crate::measure::{self, MeasureSettings};
use crate::printer::{Name, Seat, Standing, Up};
use crate::repair::repair;
use crate::sources::{NowFn, Source};
use crate::told::chain;
use crate::uplink::{self, UplinkSettings};

/// Readings that may wait to be measured: a source that is faster waits, it loses nothing.
const READINGS_MAX: usize = 256;

/// How long tasks may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// How often a printer whose store cannot be used is tried again.
const RETRY_EVERY: Duration = Duration::from_mins(1);

/// An agent that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The folder of several printers cannot be used; another agent may run.
    #[error("cannot start the agent")]
    Host(#[from] HostError),
    /// The store of the only printer, or of the first when none can be used, cannot be opened; another
    /// agent may run.
    #[error("cannot start the agent")]
    Agent {
        /// The printer's name among several.
        printer: Option<Name>,
        /// Why.
        #[source]
        cause: AgentError,
    },
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

/// What all printers share.
#[derive(Clone)]
struct Shared {
    uplink: Option<UplinkSettings>,
    seal_after: SealAfter,
    retry_every: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Runs the agent until `stop` is cancelled.
///
/// # Errors
/// [`AppError`] when it cannot start.
pub async fn run(config: Config, stop: CancellationToken) -> Result<Stopped, AppError> {
    let _held = Host::hold(&config)?;
    let strays = host::strays(&config).len();
    let shared = Shared {
        uplink: config.uplink,
        seal_after: config.seal_after,
        retry_every: RETRY_EVERY,
        tasks: TaskTracker::new(),
        stop: stop.clone(),
    };
    let (seats, up) = seats(&shared, config.printers)?;
    let socket = config.data_dir.join(control::SOCKET);
    let listener = control::listen(&socket)?;
    let printers = seats.len();
    shared.tasks.spawn(control::serve(seats.into(), listener, stop.clone()));
    if shared.uplink.is_none() {
        tracing::info!("no collector is set: reading and previewing only");
    }
    if strays > 0 {
        tracing::warn!(
            stores = strays,
            "there are stores of printers that the settings do not name: nothing is collected for \
             them, and what waits in them is not delivered; see `imprimatur-agent check`"
        );
    }
    tracing::info!(printers, up, "running");
    stop.cancelled().await;
    let stopped = stop_within(&stop, &shared.tasks, GRACE).await;
    if let Err(error) = std::fs::remove_file(&socket) {
        tracing::debug!(%error, "the socket was gone");
    }
    Ok(stopped)
}

/// Starts every printer that can be, and gives how many could; those that cannot are tried again.
fn seats(shared: &Shared, printers: Vec<PrinterSettings>) -> Result<(Vec<Seat>, usize), AppError> {
    let (mut seats, mut waiting, mut first) = (Vec::new(), Vec::new(), None);
    for printer in printers {
        let name = printer.name.clone();
        let opened = open(&printer);
        let (told, standing) = watch::channel(Standing::Down(String::new()));
        seats.push(Seat { name: name.clone(), standing });
        match opened {
            Ok(agent) => drop(told.send(Standing::Up(start(shared, printer, agent)))),
            Err(cause) => {
                down(&printer, &cause, &told);
                waiting.push((printer, told));
                first.get_or_insert(AppError::Agent { printer: name, cause });
            }
        }
    }
    let up = seats.len().saturating_sub(waiting.len());
    match first {
        Some(error) if up == 0 => return Err(error),
        _ => {}
    }
    for (printer, told) in waiting {
        shared.tasks.spawn(open_again(shared.clone(), printer, told));
    }
    Ok((seats, up))
}

fn open(printer: &PrinterSettings) -> Result<Agent, AgentError> {
    Agent::open(printer.agent.clone(), SystemClock::shared())
}

/// Tries a printer until its store can be used or `stop` is cancelled.
async fn open_again(shared: Shared, printer: PrinterSettings, told: watch::Sender<Standing>) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(shared.retry_every) => {}
        }
        match open(&printer) {
            Ok(agent) => {
                tracing::info!(
                    printer = printer.name.as_ref().map(tracing::field::display),
                    "runs"
                );
                drop(told.send(Standing::Up(start(&shared, printer, agent))));
                return;
            }
            Err(cause) => down(&printer, &cause, &told),
        }
    }
}

/// Notes that a printer stands still; one line in the log for any number of failures alike in a row.
fn down(printer: &PrinterSettings, cause: &AgentError, told: &watch::Sender<Standing>) {
    let why = match cause {
        AgentError::Store(cause) if cause.unusable() => repair(cause, printer.name.as_ref()),
        other => format!("{}: nothing is collected or sent; it is tried again", chain(other)),
    };
    let new = told.send_if_modified(|standing| {
        let new = !matches!(standing, Standing::Down(known) if *known == why);
        *standing = Standing::Down(why);
        new
    });
    if let (true, Some(name)) = (new, &printer.name) {
        let error = chain(cause);
        tracing::error!(printer = %name, %error, "this printer stands still, others do not");
    }
}

/// Starts the tasks of a printer.
fn start(shared: &Shared, printer: PrinterSettings, agent: Agent) -> Up {
    let Shared { uplink, seal_after, tasks, stop, .. } = shared;
    let span = match &printer.name {
        Some(name) => tracing::info_span!("printer", %name),
        None => tracing::Span::none(),
    };
    let (out, readings) = mpsc::channel(READINGS_MAX);
    let now: NowFn = {
        let clock = agent.clock();
        Arc::new(move || clock.now())
    };
    let mut sources = Vec::new();
    for settings in printer.sources {
        let source = Source::new(settings, Arc::clone(&now));
        sources.push(source.status());
        let run = Box::pin(source.run(out.clone(), stop.clone()));
        tasks.spawn(run.instrument(span.clone()));
    }
    let intake = Intake::new(out, now);
    tasks.spawn(heed(agent.clone(), stop.clone()).instrument(span.clone()));
    let PrinterSettings { machine, active, .. } = printer;
    let settings = MeasureSettings { machine, seal_after: *seal_after, active };
    let measure = measure::run(agent.clone(), settings, readings, stop.clone());
    tasks.spawn(measure.instrument(span.clone()));
    if let Some(settings) = uplink.clone() {
        let run = Box::pin(uplink::run(agent.clone(), settings, stop.clone()));
        tasks.spawn(run.instrument(span));
    }
    Up { agent, sources, intake }
}

#[cfg(test)]
mod tests;
