//! The bridge: MQTT publishes become gRPC requests, the collector's answers become MQTT publishes.
//!
//! Keeps true:
//! - It stores nothing and trusts nothing: agent and collector are the two ends and sign; the bridge
//!   may lose, repeat or reorder, and the agent sends again.
//! - A message is acknowledged to the broker only after the collector's answer went out before it on
//!   the same connection, or when it can never be valid; then it is counted and dropped.
//! - At most a window of batches is under way, and as many consent events and requests; what comes
//!   beyond is answered `busy`. While the collector is away nothing is read.
//! - A broker that would drop messages without a word is refused at the start.
//! - Subjects, topics and payloads are in no log line.
//!
//! Never decodes a frame, never checks consent, never publishes a retained message.

mod app;
mod collector;
pub mod config;
pub mod counters;
pub mod error;
pub mod link;
mod mqtt;
mod outage;
pub mod session;
pub mod topic;

pub use app::{run, run_counted};
pub use config::{BridgeSettings, BrokerAddress, Credentials, RawSettings, SettingsError};
pub use counters::{Counters, Counts};
pub use error::{BridgeError, Lost, Poor, Unfit};
