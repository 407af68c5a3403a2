//! Slicers: what reaches the agent, by which ways, and that nothing of it can harm a slice.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod cura;
mod hook;
mod host;
mod real;

/// Where the recorded files are.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/slicers");

/// Where the files are that people install.
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
