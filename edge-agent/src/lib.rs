//! Room under construction.

pub mod accumulate;
pub mod catalogue;
pub mod reading;
pub mod sources;
