//! Consent as pure values: ids, keys, policies, flags, and the decision whether a section may be
//! kept. No I/O, no clock, no store.
#![warn(clippy::wildcard_enum_match_arm)]

mod calendar;
pub mod dpv;
pub mod enrolment;
pub mod event;
pub mod flag;
pub mod ids;
pub mod invariants;
pub mod keys;
pub mod mandate;
pub mod page;
pub mod policy;
pub mod recovery;
mod regions;
pub mod standing;
pub mod state;
pub mod terms;
#[cfg(test)]
mod testing;

pub use flag::Flag;
pub use ids::{Digest, PrincipalId, Pseudonym, SubjectId};
pub use imprimatur_proto::Category;
pub use invariants::Invariant;
pub use keys::{Domain, SigningSeed, VerifyingKey};
pub use policy::{Policy, PolicyError};
pub use recovery::RecoveryCode;
pub use standing::{Denial, Standing};
pub use state::State;
pub use terms::Terms;
