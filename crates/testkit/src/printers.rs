//! Printers that are played by a script, where no real program can run here: documented schemas over
//! real wires.
//!
//! Keeps true: a played printer listens on a loopback port or a pseudo-terminal of its own, counts
//! connections and requests, and holds planted names in every free field. It proves that a reader
//! speaks the documented interface, not that a real printer does.

mod bambu;
mod dashboard;
mod duet;
mod formlabs;
mod http;
mod marlin;
mod openssl;
mod prusalink;
mod ultimaker;

pub use bambu::PlayedBambu;
pub use dashboard::{DashboardRun, DashboardState, PlayedDashboard};
pub use duet::{DuetMood, PlayedDuet};
pub use formlabs::{FormlabsState, PlayedFormlabs};
pub use http::{Behaviour, HttpPrinter, Reply, Request};
pub use marlin::{Board, Dialect, Order, PlayedMarlin, Told};
pub use prusalink::{PlayedPrusaLink, PrusaLinkJob, PrusaLinkState};
pub use ultimaker::{PlayedUltimaker, UltimakerJob, UltimakerState};

/// Stands in every free field of a played printer.
pub const PLANTED: [&str; 3] = ["Jane Doe", "AcmeCorp_secret-bracket_v3", "SN-SECRET-0042"];
