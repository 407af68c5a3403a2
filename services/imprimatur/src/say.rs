//! What a command says: results on standard output, errors on standard error, nothing else.
#![expect(clippy::print_stderr, reason = "the one place that talks")]

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};

/// A result.
pub fn line(text: &str) {
    report(writeln!(std::io::stdout().lock(), "{text}"));
}

/// An error without a cause.
pub fn error(text: &str) {
    eprintln!("imprimatur: {text}");
}

/// An error with its causes, outermost first.
pub fn failure(error: &dyn Error) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    eprintln!("imprimatur: {text}");
}

/// A block that is redrawn in place on a terminal; elsewhere, one draw in ten is written.
#[derive(Debug, Default)]
pub struct Screen {
    last: String,
    draws: u32,
}

impl Screen {
    /// Shows the block if it changed; an important one is written wherever the output goes.
    pub fn show(&mut self, block: &str, important: bool) {
        if block == self.last {
            return;
        }
        let mut out = std::io::stdout().lock();
        if out.is_terminal() {
            let lines = self.last.lines().count();
            // Up to the first line of the last block, and clear to the end of the screen.
            let up = if lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") };
            report(write!(out, "{up}{block}"));
        } else if important || self.draws.is_multiple_of(10) {
            report(write!(out, "{block}"));
        }
        report(out.flush());
        self.draws += 1;
        block.clone_into(&mut self.last);
    }
}

/// A line on standard error that says how far a long command is; nothing unless that is a terminal.
#[derive(Debug, Default)]
pub struct Progress {
    last: String,
}

impl Progress {
    /// Shows the line if it changed.
    pub fn show(&mut self, text: &str) {
        if text != self.last && std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K{text}");
            text.clone_into(&mut self.last);
        }
    }

    /// Takes the line away.
    pub fn end(self) {
        if !self.last.is_empty() {
            eprint!("\r\x1b[K");
        }
    }
}

/// A closed output is no reason to stop working.
fn report(written: std::io::Result<()>) {
    if let Err(error) = written {
        tracing::debug!(%error, "standard output is closed");
    }
}
