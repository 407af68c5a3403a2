//! Canaries: texts that somebody planted, or knows to be secret, and that must be nowhere.
//!
//! A report names a canary by its number, never by its text: the report must not hold it.

use super::forms::{Form, written};

/// Bytes of a canary, at least: a shorter one is found by chance.
pub const CANARY_BYTES_MIN: usize = 6;
/// Bytes of a canary, at most.
pub const CANARY_BYTES_MAX: usize = 256;
/// Canaries, at most.
pub const CANARIES_MAX: usize = 1000;

/// Texts to search for.
#[derive(Clone, Default)]
pub struct Canaries(Vec<String>);

/// A canary that cannot be searched for. Say so and stop: nothing was searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanaryError {
    /// It would be found by chance. Give a longer one.
    #[error(
        "canary {0} has fewer than {CANARY_BYTES_MIN} bytes and would be found by chance; \
             give a longer one"
    )]
    Short(usize),
    /// It is longer than what is searched for. Give a part of it.
    #[error("canary {0} has more than {CANARY_BYTES_MAX} bytes; give a part of it")]
    Long(usize),
    /// There are more than are searched for at once. Search for the others in another run.
    #[error("there are more than {CANARIES_MAX} canaries; search for the others in another run")]
    Many,
}

impl Canaries {
    /// Adds one; white space around it is no part of it.
    ///
    /// # Errors
    /// [`CanaryError`] with its number, counted from 1.
    pub fn add(&mut self, text: &str) -> Result<(), CanaryError> {
        let (text, number) = (text.trim(), self.0.len() + 1);
        if text.len() < CANARY_BYTES_MIN {
            return Err(CanaryError::Short(number));
        }
        if text.len() > CANARY_BYTES_MAX {
            return Err(CanaryError::Long(number));
        }
        if number > CANARIES_MAX {
            return Err(CanaryError::Many);
        }
        self.0.push(text.to_owned());
        Ok(())
    }

    /// Adds each line of a text that is not empty.
    ///
    /// # Errors
    /// [`CanaryError`] of the first that cannot be searched for.
    pub fn add_lines(&mut self, text: &str) -> Result<(), CanaryError> {
        text.lines().filter(|line| !line.trim().is_empty()).try_for_each(|line| self.add(line))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What to search for, by the number of the canary from 1.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (usize, Form, Vec<u8>)> + '_ {
        (1..).zip(&self.0).flat_map(|(number, text)| {
            patterns_of(text).into_iter().map(move |(form, bytes)| (number, form, bytes))
        })
    }
}

/// Nothing is shown of what must be nowhere.
impl std::fmt::Debug for Canaries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Canaries({})", self.0.len())
    }
}

/// A text as it is, reversed and in UTF-16, each of which is found in any case; and in hex and base64 as
/// given, in small and in capital letters.
fn patterns_of(text: &str) -> Vec<(Form, Vec<u8>)> {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let reversed: Vec<u8> = text.bytes().rev().collect();
    let mut all = vec![(Form::Plain, text.as_bytes().to_vec()), (Form::Utf16, utf16(text))];
    if reversed != text.as_bytes() {
        all.push((Form::Reversed, reversed));
    }
    let mut cases = vec![text.to_owned(), text.to_ascii_lowercase(), text.to_ascii_uppercase()];
    cases.dedup();
    for text in cases {
        all.extend(written(text.as_bytes()));
        all.extend(written(&utf16(&text)));
    }
    all
}
