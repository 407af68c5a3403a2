//! Sources: readers of printer programs, one task each, that turn answers into readings.
//!
//! A reader takes what its allow-list names and drops all else in the parser; it asks at a rate
//! that cannot disturb a print, waits longer after each failure, and never controls anything.
//! It never logs what a peer wrote.

pub mod bambu;
pub mod duet;
pub mod error;
pub mod find;
pub mod fingerprint;
pub mod formlabs;
pub mod gcode;
mod http;
mod https;
mod kinds;
mod link;
pub mod mark;
pub mod marlin;
pub mod moonraker;
pub mod octoprint;
#[cfg(feature = "opcua")]
pub mod opcua;
mod polled;
pub mod prusalink;
pub mod settings;
pub mod snapshot;
mod status;
pub mod ultimaker;

use imprimatur_runtime::entropy::Backoff;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::error::SourceError;
pub use self::kinds::SourceSettings;
pub use self::link::NowFn;
use self::link::{Link, Serve, WAIT_MAX, WAIT_MIN};
pub use self::settings::SettingsError;
pub use self::status::{SourceKind, SourceState, SourceStatus};
use crate::reading::Reading;

/// A source, ready to run.
pub struct Source {
    reader: Box<dyn Serve>,
    now: NowFn,
    status: watch::Sender<SourceStatus>,
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
        let mut link = Link::new(out, self.now, self.status);
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
            if link.is_online() && began.elapsed() > WAIT_MAX {
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
