//! Consent as pure values: ids, keys, policies, flags, and the decision whether a section may be
//! kept. No I/O, no clock, no store.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod enrolment;
pub mod flag;
pub mod ids;
pub mod invariants;
pub mod keys;
pub mod policy;
pub mod standing;

pub use flag::Flag;
pub use ids::{Digest, PrincipalId, Pseudonym, SubjectId};
pub use imprimatur_proto::Category;
pub use invariants::Invariant;
pub use keys::{Domain, SigningSeed, VerifyingKey};
pub use policy::{Policy, PolicyError};
pub use standing::{Denial, Standing};
