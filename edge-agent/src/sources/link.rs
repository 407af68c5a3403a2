//! Between a reader and its source: what a reader has to do, and what it has of the outside.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use imprimatur_proto::telemetry::v1::ReadingSource;
use tokio::sync::{mpsc, watch};

use super::error::SourceError;
use super::status::{SourceState, SourceStatus};
use crate::reading::{Reading, Said, UnixSeconds};
use crate::told::chain;

/// First wait after a failure.
pub(crate) const WAIT_MIN: Duration = Duration::from_secs(1);

/// Longest wait. A printer that is switched on is seen within a minute.
pub(crate) const WAIT_MAX: Duration = Duration::from_mins(1);

/// Gives the time.
pub type NowFn = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;

/// A reader of one peer.
///
/// Keeps true: it asks and never acts, takes what its allow-list names, and bounds what it takes.
pub(crate) trait Read: Send {
    /// Where the peer is, without credentials.
    fn address(&self) -> String;

    /// Reads until something fails. Called again after a wait that grows with each failure in a row:
    /// what is known of a print stays.
    fn read(&mut self, link: &mut Link) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// A [`Read`] of whatever kind.
pub(crate) trait Serve: Send {
    /// As [`Read::address`].
    fn address(&self) -> String;

    /// As [`Read::read`].
    fn serve<'a>(&'a mut self, link: &'a mut Link) -> BoxFuture<'a, Result<(), SourceError>>;
}

impl<R: Read> Serve for R {
    fn address(&self) -> String {
        Read::address(self)
    }

    fn serve<'a>(&'a mut self, link: &'a mut Link) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(self.read(link))
    }
}

/// What a reader has of the outside: a queue for readings, the time, and its status.
pub(crate) struct Link {
    out: mpsc::Sender<Reading>,
    now: NowFn,
    status: watch::Sender<SourceStatus>,
    online: bool,
}

impl Link {
    /// A link of a peer that was not reached yet.
    pub(super) fn new(
        out: mpsc::Sender<Reading>,
        now: NowFn,
        status: watch::Sender<SourceStatus>,
    ) -> Self {
        Self { out, now, status, online: false }
    }

    /// Whether the peer answered since it was last gone.
    pub(super) fn is_online(&self) -> bool {
        self.online
    }

    /// The time now.
    pub(crate) fn now(&self) -> UnixSeconds {
        (self.now)()
    }

    /// Hands readings on, in order.
    pub(crate) async fn tell(&self, said: Vec<Said>) -> Result<(), SourceError> {
        let at = self.now();
        for said in said {
            let sent = self.out.send(Reading { at, said }).await;
            sent.map_err(|_closed| SourceError::QueueClosed)?;
        }
        Ok(())
    }

    /// Notes that the peer answers; tells it once.
    pub(crate) async fn connected(&mut self, source: ReadingSource) -> Result<(), SourceError> {
        self.set(SourceState::Connected);
        if self.online {
            return Ok(());
        }
        self.online = true;
        self.tell(vec![Said::Online(source)]).await
    }

    /// Notes that a source without a printer can be read.
    pub(crate) fn readable(&mut self) {
        self.set(SourceState::Connected);
    }

    /// Notes what the owner should change; says it once in the log.
    pub(crate) fn advise(&self, advice: Option<&'static str>) {
        let told = self.status.send_if_modified(|status| {
            let changed = status.advice != advice;
            status.advice = advice;
            changed
        });
        if told && let Some(advice) = advice {
            tracing::warn!("a printer is read, but {advice}");
        }
    }

    /// Notes that the peer is gone; tells it once.
    pub(super) async fn offline(&mut self) -> Result<(), SourceError> {
        if std::mem::take(&mut self.online) {
            self.tell(vec![Said::Offline]).await?;
        }
        Ok(())
    }

    /// Notes that the peer cannot be read, why, and when it is tried again.
    pub(crate) fn retrying(&self, error: &SourceError, wait: Duration) {
        let told = error.told();
        let reason = chain(error);
        // One line for any number of failures alike in a row.
        let known = matches!(
            &self.status.borrow().state,
            SourceState::Retrying { error, .. } if *error == told
        );
        if known {
            tracing::debug!(%reason, wait_ms = wait.as_millis(), "source does not answer");
        } else {
            tracing::warn!("a printer cannot be read: {reason}; trying again until it can");
        }
        self.set(SourceState::Retrying { error: told, next_seconds: wait.as_secs() });
    }

    /// Notes how it does.
    pub(super) fn set(&self, state: SourceState) {
        self.status.send_if_modified(|status| {
            let changed = status.state != state;
            status.state = state;
            changed
        });
    }
}
