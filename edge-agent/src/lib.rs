//! The agent beside a printer: reads it, keeps what its owner granted, sends that and nothing else.
//!
//! Modules stand in the order in which a record passes them; `app` connects them, `control` and
//! `cli` are the owner's way in.

pub mod accumulate;
pub mod active;
pub mod app;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod control;
pub mod core;
pub mod host;
pub mod measure;
pub mod printer;
pub mod reading;
pub mod repair;
pub mod sources;
pub mod store;
pub mod told;
pub mod uplink;

pub use crate::core::{Agent, AgentError, AgentSettings};
