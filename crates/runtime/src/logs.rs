//! Logs: one line an event on standard error, never a payload, an identifier or a secret.
//!
//! Libraries know no such rule (at `trace` a WebSocket or MQTT library writes every message), so of
//! them only warnings and errors are let through, whatever level is asked for; of those that quote a
//! peer even in errors, nothing.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

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
    let filter = filter(&wanted);
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

/// What is wanted, by level and target; `info` where that cannot be read.
fn filter(wanted: &str) -> Targets {
    wanted.parse().unwrap_or_else(|_unreadable| Targets::new().with_default(Level::INFO))
}

/// Libraries that write what a peer said into their errors.
const QUOTING: &str = "opcua";

/// Whether an event may be written at all.
fn may_be_told(event: &Metadata<'_>) -> bool {
    is_told(*event.level(), event.target())
}

fn is_told(level: Level, target: &str) -> bool {
    target.starts_with("imprimatur") || (level <= Level::WARN && !target.starts_with(QUOTING))
}

/// An environment variable of the project's prefix, or of the system; `None` when unset or not
/// Unicode.
pub fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_by_target_and_nonsense_is_info() {
        let agent = "imprimatur_agent::uplink";
        for (wanted, target, level, told) in [
            ("trace", agent, Level::TRACE, true),
            ("info", agent, Level::DEBUG, false),
            ("imprimatur_agent=info", agent, Level::INFO, true),
            ("imprimatur_agent=info", agent, Level::DEBUG, false),
            ("imprimatur_agent=info", "sled", Level::ERROR, false),
            ("warn,imprimatur_agent=debug", agent, Level::DEBUG, true),
            ("warn,imprimatur_agent=debug", "sled", Level::WARN, true),
            ("imprimatur_agent=loud", agent, Level::INFO, true),
            ("imprimatur_agent=loud", agent, Level::DEBUG, false),
        ] {
            assert_eq!(
                filter(wanted).would_enable(target, &level),
                told,
                "{wanted} {target} {level}"
            );
        }
    }

    #[test]
    fn libraries_tell_errors_and_those_that_quote_a_peer_nothing() {
        for (target, level, told) in [
            ("imprimatur_agent::sources::opcua", Level::TRACE, true),
            ("rumqttc", Level::WARN, true),
            ("rumqttc", Level::INFO, false),
            ("opcua_client::transport::core", Level::ERROR, false),
            ("opcua_core::comms", Level::WARN, false),
        ] {
            assert_eq!(is_told(level, target), told, "{target} {level}");
        }
    }
}
