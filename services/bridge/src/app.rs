//! The bridge as a whole: session after session until it is told to stop.

use imprimatur_runtime::lifecycle::Stopped;
use tokio_util::sync::CancellationToken;

use crate::config::BridgeSettings;
use crate::counters::Counters;
use crate::error::BridgeError;
use crate::mqtt;
use crate::outage::Outage;
use crate::session::{self, Ended};

/// Carries messages until `stop`; then answers what is under way, within
/// [`DRAIN_WITHIN`](crate::config::DRAIN_WITHIN), and says goodbye to the broker.
///
/// # Errors
/// [`BridgeError`]; a broker or collector that is away is no error, it is waited for.
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
    loop {
        let lost = match session::run(&settings, &client_id, &counters, &mut outage, &stop).await {
            Ended::Stopped(Stopped::Drained) => {
                tracing::info!("bridge stopped; nothing was under way");
                return Ok(());
            }
            Ended::Stopped(Stopped::GraceExpired { left }) => {
                tracing::info!(left, "bridge stopped; agents send again what was under way");
                return Ok(());
            }
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
