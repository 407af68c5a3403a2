//! Rights: what an owner asks of what is held, proven by a key.
//!
//! A message passes the modules in this order: [`request`] (form and signature: pure),
//! [`challenge`] (fresh, for this requester), [`claim`] (in the writer's transaction: whose key it is,
//! and the challenge used up), [`exercise`] (the verb), [`reading`] with [`explain`] and [`export`]
//! (what is told), [`answer`] (signed, given after the fsync). Who proves nothing learns nothing: an
//! unknown subject, a wrong proof and a repeat get the same answer.

pub mod answer;
pub mod challenge;
pub mod claim;
pub mod exercise;
pub mod explain;
pub mod export;
pub mod reading;
pub mod request;
