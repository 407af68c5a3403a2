//! The collector: nothing is stored that no grant covers.
//!
//! A frame passes the modules in this order: [`service`] (the gRPC door), [`gate`] (size,
//! canonical form, bounds, signature: pure), [`lanes`] (what overtakes, and what is turned away while
//! the writer is busy), [`writer`] (one thread, one transaction for many frames), [`admit`] (permit for each section, then the book), [`answer`] (the signed verdict,
//! given after the fsync). [`publisher`] moves what was committed into the lake. Refused payloads
//! are dropped where they stand; a count by reason is all that stays.

pub mod admit;
pub mod answer;
pub mod app;
pub mod checks;
pub mod config;
pub mod control;
pub mod error;
pub mod gate;
pub mod lanes;
pub mod listen;
pub mod metrics;
pub mod offered;
pub mod operator;
pub mod publisher;
pub mod record_consent;
pub mod region;
pub mod restore;
pub mod rights;
pub mod service;
pub mod tally;
pub mod writer;

pub use app::{Collector, Running};
pub use config::CollectorSettings;
pub use error::CollectorError;
