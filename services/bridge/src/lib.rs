//! The bridge: MQTT publishes become gRPC requests, the collector's answers become MQTT publishes.
//!
//! Keeps true:
//! - It stores nothing and trusts nothing: agent and collector are the two ends and sign; the bridge
//!   may lose, repeat or reorder, and the agent sends again.
//! - A message is acknowledged to the broker only after the collector's answer went out before it on
//!   the same connection, or when it can never be valid; then it is counted and dropped.
//! - At most a window of messages is under way. While the collector is away nothing is read.
//! - Subjects, topics and payloads are in no log line.
//!
//! Never decodes a frame, never checks consent, never publishes a retained message.

mod app;
mod collector;
pub mod config;
pub mod counters;
pub mod error;
mod mqtt;
mod outage;
mod session;
pub mod topic;

pub use app::{run, run_counted};
pub use config::{BridgeSettings, BrokerAddress, Credentials, RawSettings, SettingsError};
pub use counters::{Counters, Counts};
pub use error::BridgeError;
