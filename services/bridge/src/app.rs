//! The bridge as a whole: session after session until it is told to stop.

use imprimatur_runtime::lifecycle::Stopped;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::collector::Connected;
use crate::config::BridgeSettings;
use crate::counters::Counters;
use crate::error::{BridgeError, Lost};
use crate::mqtt::{self, Connection};
use crate::outage::Outage;
use crate::session::{self, Ended, Progress};

/// Carries messages until `stop`; then answers what is under way, within
/// [`DRAIN_WITHIN`](crate::config::DRAIN_WITHIN), and says goodbye to the broker.
///
/// # Errors
/// [`BridgeError`]; a broker or collector that is away is no error, it is waited for. A broker that
/// cannot be worked with is one until the bridge was at work once; after that it is waited for, too.
pub async fn run(settings: BridgeSettings, stop: CancellationToken) -> Result<(), BridgeError> {
    run_counted(settings, Counters::default(), stop).await
}

/// Like [`run`], counting into `counters`, which the caller keeps a clone of.
///
/// # Errors
/// [`BridgeError`].
pub async fn run_counted(
    settings: BridgeSettings,
    counters: Counters,
    stop: CancellationToken,
) -> Result<(), BridgeError> {
    let client_id = mqtt::client_id()?;
    let mut outage = Outage::new(&settings);
    let mut was_ready = false;
    loop {
        let mut told = |progress| match progress {
            Progress::Ready(poor) => {
                was_ready = true;
                outage.subscribed(poor);
            }
            Progress::Proved => outage.over(),
        };
        let lost = match session(&settings, &client_id, &counters, &mut told, &stop).await? {
            Ended::Stopped(Stopped::Drained) => {
                tracing::info!("bridge stopped; nothing was under way");
                return Ok(());
            }
            Ended::Stopped(Stopped::GraceExpired { left }) => {
                tracing::info!(left, "bridge stopped; agents send again what was under way");
                return Ok(());
            }
            Ended::Lost(Lost::Unfit(unfit)) if !was_ready => return Err(BridgeError::Unfit(unfit)),
            Ended::Lost(lost) => lost,
        };
        let wait = outage.lost(&lost, &counters);
        tokio::select! {
            () = stop.cancelled() => {
                tracing::info!("bridge stopped during an outage; nothing was under way");
                return Ok(());
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Connects both sides and carries until the stop or a loss.
async fn session(
    settings: &BridgeSettings,
    client_id: &str,
    counters: &Counters,
    told: &mut (dyn FnMut(Progress) + Send),
    stop: &CancellationToken,
) -> Result<Ended, BridgeError> {
    counters.cells().collector_attempts.up();
    let connected = tokio::select! {
        () = stop.cancelled() => return Ok(Ended::Stopped(Stopped::Drained)),
        connected = Connected::connect(settings) => connected,
    };
    let collector = match connected {
        Ok(collector) => collector,
        Err(lost) => return Ok(Ended::Lost(lost)),
    };
    counters.cells().broker_attempts.up();
    let connection = Connection::new(settings, client_id)?;
    let broker = connection.handle();
    // What the broker may bring without an acknowledgement.
    let (says, heard) = mpsc::channel(2 * usize::from(settings.window));
    // Dropping the set ends its tasks and with them both connections.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection.poll(says, counters.clone()));
    let (window, broker) = (settings.window, (broker, heard));
    Ok(session::run_over(broker, collector, tasks, window, counters, told, stop).await)
}
