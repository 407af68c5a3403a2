//! The real programs that Imprimatur talks to, each started by one call and gone when dropped.
//!
//! Keeps true: every peer runs on a loopback port of its own, in a folder of its own, with nothing
//! shared between tests; a peer that is not installed is a named error, never a skipped test.
//! Never installs anything: `cargo xtask peers` does.

mod api;
mod curaengine;
mod moonraker;
mod mosquitto;
mod octoprint;
mod opcua;
mod prusalink;
mod prusaslicer;
mod schemathesis;
mod slic3r;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

pub use curaengine::CuraEngine;
pub use moonraker::{Laser, Moonraker};
pub use mosquitto::{Credentials, Mosquitto};
pub use octoprint::OctoPrint;
pub use opcua::{Asked, OpcUaMachine, Security};
pub use prusalink::PrusaLink;
pub use prusaslicer::{Profile, PrusaSlicer};
pub use schemathesis::Schemathesis;
pub use slic3r::Slic3r;

use crate::process::Guarded;
use crate::wait::WaitError;

/// The command that installs every peer.
pub const INSTALL: &str = "cargo xtask peers";

/// What each virtual environment holds; `cargo xtask peers` installs exactly this and writes the
/// same text beside it, so that a changed pin is seen on both sides.
const OCTOPRINT_PINS: &str = include_str!("../peers/octoprint.requirements.txt");
const MOONRAKER_PINS: &str = include_str!("../peers/moonraker.requirements.txt");
const PRUSALINK_PINS: &str = include_str!("../peers/prusalink.requirements.txt");
const ASYNCUA_PINS: &str = include_str!("../peers/asyncua.requirements.txt");
const SCHEMATHESIS_PINS: &str = include_str!("../peers/schemathesis.requirements.txt");
const KLIPPY_PINS: &str = concat!(
    include_str!("../peers/klippy.requirements.txt"),
    include_str!("../peers/klippy-alone.requirements.txt")
);

/// Why a peer is of no use to a test. Fail the test with it; never skip.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The program is not there, or not in the pinned version. Run the command.
    #[error("`{what}` is missing; install it: {command}")]
    Missing {
        /// Which program.
        what: String,
        /// The command to type.
        command: &'static str,
    },
    /// A file or folder of the peer cannot be used.
    #[error("cannot use `{}`", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program could not be run or ended.
    #[error("cannot run `{what}`")]
    Run {
        /// Which program.
        what: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program ran and failed, or ended when it should not have.
    #[error("`{what}` failed; its output:\n{log}")]
    Failed {
        /// Which program.
        what: String,
        /// What it wrote.
        log: String,
    },
    /// The peer did not come to the state that was waited for.
    #[error("{waited}; output of the peer:\n{log}")]
    NotReady {
        /// What was waited for and what was seen last.
        waited: Box<WaitError>,
        /// What the peer wrote, the last lines.
        log: String,
    },
    /// No HTTP answer.
    #[error("`{what}` gave no answer")]
    Http {
        /// Which request.
        what: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is not a success.
    #[error("`{what}` was answered {status}: {body}")]
    Refused {
        /// Which request.
        what: String,
        /// The HTTP status, or 0 where the peer speaks something else.
        status: u16,
        /// The body.
        body: String,
    },
}

/// Where `cargo xtask peers` puts the virtual environments: `$IMPRIMATUR_PEERS`, else
/// `$XDG_CACHE_HOME/imprimatur/peers`, else `~/.cache/imprimatur/peers`.
#[expect(clippy::disallowed_methods, reason = "the one look at the environment in this crate")]
pub fn cache() -> PathBuf {
    let folder = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(own) = folder("IMPRIMATUR_PEERS") {
        return PathBuf::from(own);
    }
    let cache = folder("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(folder("HOME").unwrap_or_else(|| String::from("/root"))).join(".cache"),
        PathBuf::from,
    );
    cache.join("imprimatur/peers")
}

/// The path of `program` in the environment `name`, when that holds exactly `pins`.
fn environment(name: &str, program: &str, pins: &str) -> Result<PathBuf, PeerError> {
    environment_in(&cache(), name, program, pins)
}

fn environment_in(
    cache: &Path,
    name: &str,
    program: &str,
    pins: &str,
) -> Result<PathBuf, PeerError> {
    let folder = cache.join(name);
    let path = folder.join("bin").join(program);
    let installed = fs::read_to_string(folder.join("installed.txt")).unwrap_or_default();
    if installed == pins && path.exists() {
        return Ok(path);
    }
    let what = pins.lines().last().unwrap_or(name).to_owned();
    Err(PeerError::Missing { what, command: INSTALL })
}

/// The first of `paths` that exists.
pub(crate) fn installed(what: &str, paths: &[&str]) -> Result<PathBuf, PeerError> {
    paths
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .ok_or_else(|| PeerError::Missing { what: what.to_owned(), command: INSTALL })
}

pub(crate) fn spawn(name: &str, command: Command, folder: &Path) -> Result<Guarded, PeerError> {
    Guarded::spawn(name, command, folder).map_err(|source| run_error(name, source))
}

/// Runs a slicer to its end, at most two minutes; its output when it did well and `made` is there.
async fn slice(name: &str, command: Command, made: &Path) -> Result<String, PeerError> {
    /// A 6 mm cube takes 0.5 s; an SLA archive some seconds.
    const LIMIT: Duration = Duration::from_mins(2);
    let folder = made.parent().unwrap_or_else(|| Path::new("."));
    let mut process = spawn(name, command, folder)?;
    let status = process.wait(LIMIT).await.map_err(|source| run_error(name, source))?;
    let log = process.log_text();
    if status.success() && made.exists() {
        return Ok(log);
    }
    Err(PeerError::Failed { what: name.to_owned(), log })
}

fn run_error(what: &str, source: io::Error) -> PeerError {
    PeerError::run(what, source)
}

impl PeerError {
    /// That `what` could not be run.
    pub(crate) fn run(what: &str, source: io::Error) -> Self {
        Self::Run { what: what.to_owned(), source }
    }
}

pub(crate) fn make_folder(path: &Path) -> Result<(), PeerError> {
    fs::create_dir_all(path).map_err(|source| file_error(path, source))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), PeerError> {
    fs::write(path, text).map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, source: io::Error) -> PeerError {
    PeerError::File { path: path.to_owned(), source }
}

/// The free loopback port, as a peer's error.
pub(crate) fn free_port() -> Result<u16, PeerError> {
    crate::ports::free().map_err(|source| run_error("a free port", source))
}

pub(crate) fn not_ready(waited: WaitError, log: &str) -> PeerError {
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(40);
    let log = lines.get(from..).unwrap_or_default().join("\n");
    PeerError::NotReady { waited: Box::new(waited), log }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_peer_names_the_command_that_installs_it() {
        let cache = tempfile::tempdir().unwrap();
        let error =
            environment_in(cache.path(), "octoprint", "octoprint", OCTOPRINT_PINS).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`OctoPrint==1.11.8` is missing; install it: cargo xtask peers"
        );
        let error = installed("mosquitto", &["/nonexistent/mosquitto"]).unwrap_err();
        assert!(error.to_string().ends_with("install it: cargo xtask peers"), "{error}");
    }

    #[test]
    fn an_environment_with_other_pins_is_missing() {
        let cache = tempfile::tempdir().unwrap();
        let bin = cache.path().join("octoprint/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("octoprint"), "").unwrap();
        let look = || environment_in(cache.path(), "octoprint", "octoprint", OCTOPRINT_PINS);
        let marker = cache.path().join("octoprint/installed.txt");
        fs::write(&marker, "OctoPrint==1.0.0\n").unwrap();
        assert!(matches!(look(), Err(PeerError::Missing { .. })));
        fs::write(&marker, OCTOPRINT_PINS).unwrap();
        assert_eq!(look().unwrap(), bin.join("octoprint"));
    }
}
