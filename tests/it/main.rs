//! The whole system: real programs, real peers and real wires, from a printer to an answer.
//!
//! Keeps true: what is started is the very program that is shipped, as a process of its own;
//! nothing listens beyond the loopback; nothing waits for a duration, only for a condition.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod absent;
mod agent;
mod commands;
mod consent;
mod erasure;
mod faults;
mod gate;
mod kill;
mod laser;
mod program;
mod proof;
mod releases;
mod rig;
mod road;
mod silence;
mod stop;
mod wire;
