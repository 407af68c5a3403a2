//! What every process needs and only this crate may touch: wall clock, randomness, environment,
//! signals, logs, and files that must survive a power cut.

pub mod clock;
pub mod durable;
pub mod entropy;
pub mod lifecycle;
pub mod logs;

pub use clock::{Clock, SystemClock, UnixSeconds, UtcDate};
