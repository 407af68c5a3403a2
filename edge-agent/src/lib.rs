//! The agent beside a printer: reads it, keeps what its owner granted, sends that and nothing else.
//!
//! Modules stand in the order in which a record passes them.

pub mod config;
pub mod reading;
pub mod sources;
pub mod catalogue;
pub mod accumulate;
pub mod store;
pub mod core;
pub mod uplink;

pub use crate::core::{Agent, AgentError, AgentSettings};
