//! Printers that are played by a script, where no real program can run here: documented schemas over
//! real wires.
//!
//! Keeps true: a played printer listens on a loopback port of its own, counts connections and
//! requests, and holds planted names in every free field. It proves that a reader speaks the
//! documented interface, not that a real printer does.

mod formlabs;
mod http;
mod prusalink;
mod ultimaker;

pub use formlabs::{FormlabsState, PlayedFormlabs};
pub use http::{Behaviour, HttpPrinter, Reply, Request};
pub use prusalink::{PlayedPrusaLink, PrusaLinkJob, PrusaLinkState};
pub use ultimaker::{PlayedUltimaker, UltimakerJob, UltimakerState};

/// Stands in every free field of a played printer.
pub const PLANTED: [&str; 3] = ["Jane Doe", "AcmeCorp_secret-bracket_v3", "SN-SECRET-0042"];
