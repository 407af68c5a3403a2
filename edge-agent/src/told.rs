//! Errors as one line, with their causes.

use std::error::Error;

/// An error and its causes, `outer: inner`.
pub fn chain(error: &dyn Error) -> String {
    let next = error.source().map(chain);
    next.map_or_else(|| error.to_string(), |next| format!("{error}: {next}"))
}
