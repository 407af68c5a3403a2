//! Logs: one line an event on standard error, never a payload, an identifier or a secret.
//!
//! Libraries know no such rule (at `trace` a WebSocket or MQTT library writes every message), so of
//! them only warnings and errors are let through, whatever level is asked for.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

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
    let terminal = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_ansi(terminal).with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.with_target(false).boxed(),
        Format::Json => lines.json().boxed(),
    };
    let started = registry().with(lines).with(filter).with(filter_fn(may_be_told)).try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// Whether an event may be written at all.
fn may_be_told(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::WARN || event.target().starts_with("imprimatur")
}

/// An environment variable of the project's prefix, or of the system; `None` when unset or not
/// Unicode.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var(name).ok()
}
