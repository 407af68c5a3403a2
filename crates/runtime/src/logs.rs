//! Logs: one line an event on standard error, never a payload, an identifier or a secret.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error. `IMPRIMATUR_LOG` sets the level, for example `info` or
/// `imprimatur_collector=debug`; without it the default is `fallback`. A second call does nothing.
pub fn start(format: Format, fallback: &str) {
    let wanted = variable("IMPRIMATUR_LOG").unwrap_or_else(|| fallback.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_unreadable| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match format {
        Format::Text => lines.with_target(false).try_init(),
        Format::Json => lines.json().try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// An environment variable of the project's prefix, or of the system; `None` when unset or not
/// Unicode.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var(name).ok()
}
