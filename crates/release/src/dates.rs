//! UTC dates as text in what people read: `2026-11-22`.

use std::borrow::Cow;

use imprimatur_runtime::UtcDate;
use serde::{Deserialize as _, Deserializer, Serializer};

/// Writes the date.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) fn serialize<S: Serializer>(date: &UtcDate, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(date)
}

/// Reads the date.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UtcDate, D::Error> {
    let text = Cow::<'de, str>::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}
