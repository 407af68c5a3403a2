//! Sources: readers of printer programs, one task each, that turn answers into readings.
//!
//! A reader takes what its allow-list names and drops all else in the parser; it asks at a rate
//! that cannot disturb a print, waits longer after each failure, and never controls anything.
//! It never logs what a peer wrote.

pub mod bambu;
pub mod duet;
pub mod error;
pub mod find;
pub mod formlabs;
pub mod gcode;
mod http;
mod https;
pub mod mark;
pub mod marlin;
pub mod moonraker;
pub mod octoprint;
mod polled;
pub mod prusalink;
pub mod settings;
pub mod snapshot;
pub mod ultimaker;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use imprimatur_proto::telemetry::v1::ReadingSource;
use imprimatur_runtime::entropy::Backoff;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::error::SourceError;
pub use self::settings::{
    BambuSettings, DuetSettings, FormlabsSettings, GcodeSettings, MarlinSettings,
    MoonrakerSettings, OctoPrintSettings, PrusaLinkSettings, SettingsError, SourceSettings,
    UltimakerSettings,
};
use crate::reading::{Reading, Said, UnixSeconds};
use crate::told::chain;

/// First wait after a failure.
pub(crate) const WAIT_MIN: Duration = Duration::from_secs(1);

/// Longest wait. A printer that is switched on is seen within a minute.
pub(crate) const WAIT_MAX: Duration = Duration::from_mins(1);

/// Gives the time.
pub type NowFn = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;

/// Kind of a source; its name in settings and for the owner is the variant in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// `OctoPrint`.
    OctoPrint,
    /// Klipper through Moonraker.
    Moonraker,
    /// `PrusaLink`, on its own host or inside a printer.
    PrusaLink,
    /// An Ultimaker 3 or of the S line.
    Ultimaker,
    /// A Formlabs printer through `PreFormServer` or the maker's cloud.
    Formlabs,
    /// A folder of sliced files.
    Gcode,
    /// Marlin on a serial port.
    Marlin,
    /// `RepRapFirmware` on a Duet.
    Duet,
    /// A Bambu Lab printer in the local network.
    Bambu,
}

impl SourceKind {
    /// As it is written in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::OctoPrint => "octoprint",
            Self::Moonraker => "moonraker",
            Self::PrusaLink => "prusalink",
            Self::Ultimaker => "ultimaker",
            Self::Formlabs => "formlabs",
            Self::Gcode => "gcode",
            Self::Marlin => "marlin",
            Self::Duet => "duet",
            Self::Bambu => "bambu",
        }
    }
}

/// How a source does, for its owner's eyes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// What it is.
    pub kind: SourceKind,
    /// Where it is, without credentials.
    pub address: String,
    /// How it does.
    pub state: SourceState,
    /// What its owner should change although it can be read.
    pub advice: Option<&'static str>,
}

/// State of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It was not asked yet.
    Starting,
    /// It answers.
    Connected,
    /// It does not answer; the next attempt is planned.
    Retrying {
        /// Why, and what the owner can do.
        error: String,
        /// Seconds until the next attempt.
        next_seconds: u64,
    },
    /// The reader ended.
    Stopped,
}

/// A source, ready to run.
pub struct Source {
    reader: Box<dyn Serve>,
    now: NowFn,
    status: watch::Sender<SourceStatus>,
}

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

impl Source {
    /// Prepares a source; nothing is asked before [`Source::run`].
    pub fn new(settings: SourceSettings, now: NowFn) -> Self {
        let (kind, reader) = settings.reader();
        let address = reader.address();
        let (status, _) = watch::channel(SourceStatus {
            kind,
            address,
            state: SourceState::Starting,
            advice: None,
        });
        Self { reader, now, status }
    }

    /// Where its state can be followed.
    pub fn status(&self) -> watch::Receiver<SourceStatus> {
        self.status.subscribe()
    }

    /// Reads until `stop` is cancelled or nobody takes readings.
    ///
    /// A full queue makes the reader wait: a late reading is better than a lost end of a print.
    pub async fn run(mut self, out: mpsc::Sender<Reading>, stop: CancellationToken) {
        let mut link = Link { out, now: self.now, status: self.status, online: false };
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX);
        loop {
            let began = tokio::time::Instant::now();
            let failed = tokio::select! {
                () = stop.cancelled() => break,
                failed = self.reader.serve(&mut link) => failed,
            };
            let error = match failed {
                Err(SourceError::QueueClosed) => break,
                Err(error) => error,
                Ok(()) => SourceError::Closed,
            };
            // A peer that answers one question and refuses the next is not hammered.
            if link.online && began.elapsed() > WAIT_MAX {
                backoff.reset();
            }
            let wait = backoff.wait();
            link.retrying(&error, wait);
            tokio::select! {
                () = stop.cancelled() => break,
                told = link.offline() => if told.is_err() { break },
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        link.set(SourceState::Stopped);
    }
}

impl Link {
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

    async fn offline(&mut self) -> Result<(), SourceError> {
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

    fn set(&self, state: SourceState) {
        self.status.send_if_modified(|status| {
            let changed = status.state != state;
            status.state = state;
            changed
        });
    }
}
