//! A printer of this host: what it is called among several, and how it stands in the running agent.

use std::fmt;
use std::str::FromStr;

use tokio::sync::watch;

use crate::control::Intake;
use crate::core::Agent;
use crate::sources::SourceStatus;

/// Longest name, characters.
const NAME_MAX: usize = 64;

/// What a printer is called on this host, and its folder: 1 to 64 small letters, digits and hyphens,
/// not first a hyphen. It stays on the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A text that is no name of a printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", Name::EXPECTED)]
pub struct NotAName;

impl Name {
    /// What may be written.
    pub const EXPECTED: &str = "one word of 1 to 64 small letters, digits and hyphens";
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let known = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-';
        let fits = (1..=NAME_MAX).contains(&text.len())
            && text.bytes().all(known)
            && !text.starts_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A printer whose agent works.
#[derive(Clone, Debug)]
pub struct Up {
    /// Its agent.
    pub agent: Agent,
    /// How its sources do.
    pub sources: Vec<watch::Receiver<SourceStatus>>,
    /// Where what slicers say of it comes in.
    pub intake: Intake,
}

/// How a printer stands.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Its agent works.
    Up(Up),
    /// Its store cannot be used: why, and how to repair it, for its owner's eyes only.
    Down(String),
}

/// A printer as the socket sees it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Its name among several.
    pub name: Option<Name>,
    /// How it stands now.
    pub standing: watch::Receiver<Standing>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_that_can_be_a_folder() {
        for good in ["a", "hall-1", "7", &"x".repeat(64)] {
            assert_eq!(good.parse::<Name>().map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", "Hall", "hall 1", "hall_1", "..", "a/b", "-a", "é", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Name>(), Err(NotAName), "{bad}");
        }
    }
}
