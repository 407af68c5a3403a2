//! The whole path on one thread and a made-up clock: a seed is a run, and the same seed is the same run.
//!
//! Real agents with their stores, the real uplink, the real bridge session, the real collector with
//! its book, lake, log and publisher. Made up are the two networks between them ([`broker`],
//! [`bridge`]), which lose, double, delay, reorder and forge, and time. A run ([`run`]) lets a schedule
//! of faults loose on them ([`plan`]), then lets everything drain, and asks the [`oracle`].

pub mod agents;
pub mod bridge;
pub mod broker;
pub mod clock;
pub mod collector;
pub mod oracle;
pub mod plan;
pub mod trace;
pub mod world;

pub use oracle::Violation;
pub use plan::Plan;
pub use world::{Failed, Run, run};
