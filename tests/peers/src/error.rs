//! Why a run could not be made; a peer that loses messages is a finding, never an error.

use std::path::PathBuf;

use imprimatur_testkit::peers::PeerError;
use imprimatur_testkit::wait::WaitError;

/// A run that says nothing about any peer. Report it and exit with 1.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A program is not there. Run the command.
    #[error("`{what}` is missing; get it: {command}")]
    Missing {
        /// Which program.
        what: String,
        /// The command to type.
        command: &'static str,
    },
    /// Mounting is for root. Run the command.
    #[error("power cuts mount a disk image, which needs root; run: {command}")]
    NotRoot {
        /// The command to type.
        command: &'static str,
    },
    /// A peer of the test kit did not work.
    #[error("a peer cannot be used")]
    Peer(#[from] PeerError),
    /// A file or folder cannot be used.
    #[error("cannot use `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A command or process failed.
    #[error("`{what}` failed: {log}")]
    Failed {
        /// Which command.
        what: String,
        /// What it said.
        log: String,
    },
    /// Something did not come about in time.
    #[error("{waited}; what was logged:\n{log}")]
    Late {
        /// What was waited for.
        waited: Box<WaitError>,
        /// The last that was logged.
        log: String,
    },
    /// A connection could not be made, or was lost without a fault.
    #[error("a connection to `{peer}` failed: {reason}")]
    Connection {
        /// To whom.
        peer: String,
        /// Why.
        reason: String,
    },
    /// Imprimatur refused what it must store.
    #[error("a good frame was refused: {reason}")]
    Refused {
        /// The reason that it gave.
        reason: String,
    },
    /// The simulated power cut took what had been synced: its figures would mean nothing.
    #[error("the control failed: `{peer}` lost {lost} messages that were synced before the cut")]
    Control {
        /// Which peer.
        peer: String,
        /// How many.
        lost: usize,
    },
}

impl RunError {
    /// A file error.
    pub(crate) fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    /// A wait that ended, with what was logged.
    pub(crate) fn late(waited: WaitError, log: &str) -> Self {
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(20);
        let log = lines.get(from..).unwrap_or_default().join("\n");
        Self::Late { waited: Box::new(waited), log }
    }

    /// A failure with what was said.
    pub(crate) fn failed(what: &str, log: impl Into<String>) -> Self {
        Self::Failed { what: what.to_owned(), log: log.into() }
    }
}
