//! How a session leaves: no new messages first, then what is under way, then goodbye.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{GOODBYE_WITHIN, Session};
use crate::config::DRAIN_WITHIN;
use crate::error::Lost;
use crate::link::{Broker, Collector, Full};

/// When nothing came for this long after the subscriptions ended, the broker had no more.
const QUIET: Duration = Duration::from_millis(100);

/// A stop that is under way.
pub(super) struct Leaving {
    until: Instant,
    pub(super) unsubscribed: bool,
    pub(super) last_message: Instant,
}

impl<B: Broker, C: Collector> Session<'_, B, C> {
    /// Begins to leave: no new messages first, so that the broker gives them to another bridge.
    pub(super) fn leave(&mut self) -> Result<(), Lost> {
        let now = Instant::now();
        let subscribed = self.ready.is_some();
        self.leaving = Some(Leaving {
            until: now + DRAIN_WITHIN,
            unsubscribed: !subscribed,
            last_message: now,
        });
        if subscribed {
            self.broker.unsubscribe().map_err(|Full| Lost::Window)?;
        }
        Ok(())
    }

    /// When to look next whether it may go.
    pub(super) fn wake(&self) -> Instant {
        let quiet = |leaving: &Leaving| leaving.until.min(leaving.last_message + QUIET);
        self.leaving.as_ref().map_or_else(Instant::now, |leaving| {
            // Later than now, or it would spin while something is under way.
            quiet(leaving).max(Instant::now() + QUIET / 4)
        })
    }

    /// Whether all is answered, taken and quiet, or the time is up.
    pub(super) fn may_go(&self, now: Instant) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| {
            let idle = self.under_way() == 0 && self.untaken.is_empty() && leaving.unsubscribed;
            let quiet = self.ready.is_none() || now >= leaving.last_message + QUIET;
            (idle && quiet) || now >= leaving.until
        })
    }

    /// Lets what is queued and a DISCONNECT leave and ends the stream of frames; both peers then close
    /// their side, which ends the tasks.
    pub(super) async fn goodbye(mut self, mut tasks: JoinSet<Lost>) {
        drop(self.frames);
        if self.broker.disconnect().is_err() {
            return;
        }
        let closed = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE_WITHIN, closed).await.is_err() {
            tracing::debug!("a peer did not close its side in time");
        }
    }
}
