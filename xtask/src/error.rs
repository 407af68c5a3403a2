//! Why a task failed.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// A task that did not succeed; printed, and the exit code is 1.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    /// A program could not be started. It is not installed.
    #[error("cannot run `{command}`")]
    Start {
        command: String,
        #[source]
        source: io::Error,
    },
    /// A program ran and failed; it has said why.
    #[error("`{command}` failed ({status})")]
    Failed { command: String, status: String },
    /// A file could not be read or written.
    #[error("cannot use `{}`", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Packages are missing and this account may not install them. Type the command.
    #[error("Debian packages are missing; install them: {command}")]
    NotRoot { command: String },
    /// Something that the task needs is not installed. Type the command.
    #[error("{what} is missing; install it: {command}")]
    Missing { what: &'static str, command: String },
    /// The agent that was built is not one to ship; the text says what to do.
    #[error("`{}` is not shipped: {why}", path.display())]
    NotShipped { path: PathBuf, why: String },
    /// A program that is measured did not do what it was started for. Its own log says why.
    #[error("{what}{}", if log.is_empty() { String::new() } else { format!("; it said:\n{log}") })]
    NotMeasured { what: String, log: String },
    /// What `tidy` found; it has been printed.
    #[error("{count} untidy places")]
    Untidy { count: usize },
    /// A file of `docs` is not TOML of the expected shape; the source names line and key.
    #[error("cannot read `{}`", path.display())]
    Toml {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A program answered with JSON that is not understood. It is of another version than this
    /// project expects.
    #[error("cannot read the answer of `{command}`")]
    Json {
        command: String,
        #[source]
        source: serde_json::Error,
    },
    /// A file of the console is not the one of the locked package. Run `cargo xtask console` and look at what changed.
    #[error("`{path}` is not what the lock file names; copy it again: cargo xtask console")]
    Vendor { path: String },
    /// What `promises` found; it has been printed.
    #[error("{count} faults in the registry of promises")]
    Promises { count: usize },
    /// A target did not hold, or is not known. The text says where its input is.
    #[error("{what}")]
    Fuzz { what: String },
    /// Steps of `ci` that failed.
    #[error("failed: {}", steps.join(", "))]
    Steps { steps: Vec<&'static str> },
}

/// The error and its sources on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
