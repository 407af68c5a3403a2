//! Rights: what an owner asks of what is held, proven by a key.
//!
//! A message passes the modules in this order: [`request`] (form and signature: pure),
//! [`challenge`] (fresh and unused), [`answer`] (the signed answer). Who proves nothing learns
//! nothing: an unknown subject, a wrong proof and a repeat get the same answer.

pub mod answer;
pub mod challenge;
pub mod request;
