//! Values as these printers write them: numbers that may be texts, and materials by name.
//!
//! Keeps true: a text that is no number is unknown and is not kept, and of a material only its
//! family.

use std::fmt;

use imprimatur_proto::telemetry::v1::MaterialFamily;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::catalogue;

/// A number, or a text of one; nothing otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Number(pub(super) Option<f64>);

/// A material family, made while the text of the material is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family(pub(super) Option<MaterialFamily>);

impl Number {
    /// As a whole number that is not negative.
    pub(super) fn whole(self) -> Option<u64> {
        // Codes have 32 bits, which a double holds exactly.
        let number = self.0.filter(|number| number.fract() == 0.0 && *number >= 0.0)?;
        format!("{number:.0}").parse().ok()
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or something that is passed over")
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                Ok(Number(Some(number)))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(u32::try_from(number).ok().map(f64::from)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(i32::try_from(number).ok().map(f64::from)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
                Ok(Number(plain.then(|| text.parse().ok()).flatten()))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Number, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Number, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

impl<'de> Deserialize<'de> for Family {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl Visitor<'_> for Reading {
            type Value = Family;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a material")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Family, E> {
                Ok(Family(catalogue::material(name)))
            }
        }
        deserializer.deserialize_any(Reading)
    }
}
