//! The cases that have a door at the collector, by what they abuse.

pub(crate) mod bytes;
pub(crate) mod ceilings;
pub(crate) mod consent;
pub(crate) mod encoding;
pub(crate) mod identity;
pub(crate) mod standing;
pub(crate) mod values;
