//! `PrusaLink`, Ultimaker and Formlabs: recorded bytes to readings, played printers, a real `PrusaLink`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod formlabs;
mod planted;
mod prusalink;
mod real_prusalink;
mod rig;
mod settings;
mod trouble;
mod ultimaker;
