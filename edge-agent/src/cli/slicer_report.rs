//! `slicer-report`: what a slicer calls after each file, and what must never harm the slicing.
//!
//! Keeps true: exit code 0 whatever goes wrong, nothing on standard output, at most one line on
//! standard error, an end within [`LIMIT`], a file that is only read. Never looks at its environment,
//! in which a slicer puts all its settings and a print host's key; never tells a name or a path.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::control::{self, Reply, Request};
use crate::printer::Name;
use crate::sources::gcode;
use crate::told::chain;

/// The command's name, by which a wrong command line is known to be a slicer's.
const NAME: &str = "slicer-report";

/// Longest time that a slicer waits, when everything hangs; some milliseconds are usual.
const LIMIT: Duration = Duration::from_secs(1);

/// What a slicer types.
#[derive(Debug, Args)]
pub(super) struct SlicerReport {
    /// The sliced file, last; what a slicer or its user puts before it is not looked at. `-` reads the
    /// comments from standard input.
    #[arg(value_name = "FILE", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// The one setting that is needed: where the agent's socket is.
#[derive(Deserialize)]
struct Place {
    data_dir: PathBuf,
}

impl SlicerReport {
    /// Tells the running agent, or gives up and says why in one line.
    pub(super) fn run(self, config: PathBuf, printer: Option<Name>) {
        // A fault in here is one line as well, and no failure.
        std::panic::set_hook(Box::new(|_| {}));
        let Some(file) = self.arguments.into_iter().next_back().map(PathBuf::from) else {
            return complain("no file was named");
        };
        let (told, answer) = sync_channel(1);
        let work = move || {
            // Nobody listens any more when it took too long.
            drop(told.send(report(&file, &config, printer.as_ref())));
        };
        // A thread that hangs ends with the process.
        if let Err(error) = std::thread::Builder::new().spawn(work) {
            return complain(&error.to_string());
        }
        match answer.recv_timeout(LIMIT) {
            Ok(Ok(())) => {}
            Ok(Err(why)) => complain(&why),
            Err(RecvTimeoutError::Timeout) => complain("it took longer than a second"),
            Err(RecvTimeoutError::Disconnected) => complain("it failed; please report this fault"),
        }
    }
}

fn report(file: &Path, config: &Path, printer: Option<&Name>) -> Result<(), String> {
    let text = std::fs::read_to_string(config)
        .map_err(|error| format!("the settings cannot be read: {error}"))?;
    let Place { data_dir } =
        toml::from_str(&text).map_err(|_wrong| "the settings name no `data_dir`".to_owned())?;
    let facts = if file == Path::new("-") {
        gcode::read_stream(io::stdin().lock())
    } else {
        gcode::read(file)
    };
    let facts = facts.map_err(|error| format!("the file cannot be read: {error}"))?;
    let facts = facts.ok_or("the file says nothing that a slicer writes")?;
    match control::ask(&data_dir.join(control::SOCKET), printer, &Request::Sliced { facts }) {
        Ok(Reply::No(why) | Reply::Failed(why) | Reply::Unusable(why)) => Err(why),
        Ok(_) => Ok(()),
        Err(error) => Err(chain(&error)),
    }
}

/// Whether this command line, which was not understood, is a slicer's.
pub(super) fn is_called() -> bool {
    std::env::args_os().any(|word| word == NAME)
}

/// One line, and not what a slicer wrote.
pub(super) fn complain(why: &str) {
    let why = why.lines().next().unwrap_or_default();
    // Nobody is left to tell when standard error is closed.
    drop(writeln!(io::stderr(), "imprimatur-agent: this file was not counted: {why}"));
}
