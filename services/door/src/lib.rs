//! The doors of the query service: who may ask over a network, what they are answered, and what is written of it.
//!
//! A request passes `serve` (what a connection may hold), `access` (address, headers, log), `guard` (token, role,
//! rate) and `routes` or `grpc` (question and answer), in this order. What is told of the lake comes from `imprimatur-query`
//! alone; nothing here can widen it. No log line holds a question, a token or where somebody is.

mod access;
mod format;
mod grpc;
mod guard;
mod numbers;
mod openapi;
mod overview;
mod parameters;
mod problem;
mod rates;
mod releases;
mod role;
mod routes;
mod serve;
#[cfg(test)]
mod tests;
pub mod tokens;

pub use rates::Rate;
pub use role::{NotARole, Role};
pub use serve::{DoorError, DoorSettings, Limits, Running, start};
