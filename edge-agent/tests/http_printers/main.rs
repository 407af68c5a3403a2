//! Peers over HTTP: recorded bytes to readings, played printers, a real `PrusaLink`; and how they are found.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod ceilings;
mod dashboard;
mod find;
mod formlabs;
mod planted;
mod prusalink;
mod real_moonraker;
mod real_octoprint;
mod real_prusalink;
mod rig;
mod settings;
mod trouble;
mod ultimaker;
