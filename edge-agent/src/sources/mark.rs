//! Marks: what tells one print from the next without keeping the peer's own number or name of it.
//!
//! A mark is made while the answer is parsed, so that an identifier never becomes a value of the
//! agent; it lives in memory, is compared, and is never told.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A hash of a peer's own number or text for a print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// The mark of a number or text; numbers and texts have marks of their own.
    pub fn of(id: &(impl Hash + ?Sized)) -> Self {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// As a snapshot holds it.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// It stands for an identifier, so not even the hash is shown.
impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Marking;
        impl Visitor<'_> for Marking {
            type Value = Mark;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a text")
            }

            fn visit_u64<E: Error>(self, id: u64) -> Result<Mark, E> {
                Ok(Mark::of(&id))
            }

            fn visit_i64<E: Error>(self, id: i64) -> Result<Mark, E> {
                Ok(Mark::of(&id))
            }

            fn visit_f64<E: Error>(self, id: f64) -> Result<Mark, E> {
                Ok(Mark::of(&id.to_bits()))
            }

            fn visit_str<E: Error>(self, id: &str) -> Result<Mark, E> {
                Ok(Mark::of(id))
            }
        }
        deserializer.deserialize_any(Marking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ids_have_equal_marks_and_nothing_of_an_id_is_shown() {
        let mark = |json: &str| serde_json::from_str::<Mark>(json).unwrap();
        assert_eq!(mark("7"), mark("7"));
        assert_eq!(mark("\"b2a309ce\""), mark("\"b2a309ce\""));
        assert_ne!(mark("7"), mark("8"));
        assert_ne!(mark("7"), mark("\"7\""));
        assert_eq!(format!("{:?}", mark("\"jane\"")), "Mark");
        assert!(serde_json::from_str::<Mark>("[1]").is_err());
    }
}
