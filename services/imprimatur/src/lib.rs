//! The server of Imprimatur: collector, bridge and broker as roles of one binary, and the commands
//! of engineers and compliance officers.

pub mod broker;
pub mod cli;
pub mod commands;
pub mod demo;
pub mod error;
pub mod roles;
pub mod say;
pub mod up;

pub use error::CommandError;
