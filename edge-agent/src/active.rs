//! Who uses the printer: of several agents on one printer, only the one whose owner does records.
//!
//! The file holds the name of that agent and nothing else. A file that is absent, unreadable or holds
//! anything else names nobody: nothing is recorded.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

/// Longest file that is looked at, bytes.
const BYTES_MAX: u64 = 256;

/// The name of this agent, and where the name of the active one stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// This agent.
    pub name: String,
    /// The file.
    pub file: PathBuf,
}

impl Active {
    /// Whether the file names this agent now.
    pub fn is_this(&self) -> bool {
        let mut text = String::new();
        let read =
            File::open(&self.file).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
        read.is_ok() && text.trim() == self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_agent_is_active() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("active");
        let active = Active { name: "anna".to_owned(), file: file.clone() };
        assert!(!active.is_this(), "no file names nobody");
        for (text, expected) in [
            ("anna\n", true),
            ("anna", true),
            ("ben\n", false),
            ("", false),
            ("anna ben", false),
            ("anna\nben", false),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(active.is_this(), expected, "{text:?}");
        }
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(!active.is_this());
    }
}
