//! What a sliced file says of itself: comment lines with an allowed key, at its head and tail.
//!
//! Moves, thumbnails, notes, names and profiles are never kept: a line whose key is not listed ends
//! where it was read. At most [`PART_BYTES_MAX`] bytes from each end of a file are read.

mod keys;
pub mod settings;
pub mod watch;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use self::keys::Facts;
use crate::reading::Sliced;

/// How much is read from each end of a file.
pub const PART_BYTES_MAX: usize = 64 * 1024;

/// Longest line that can hold a fact; longer ones are notes, thumbnails or custom G-code.
const LINE_BYTES_MAX: usize = 256;

/// Takes the facts out of the head and the tail of a file; any bytes do.
pub fn facts(head: &[u8], tail: &[u8]) -> Sliced {
    let mut facts = Facts::default();
    for part in [head, tail] {
        for line in part.split(|byte| *byte == b'\n') {
            if line.len() > LINE_BYTES_MAX {
                continue;
            }
            let Ok(line) = std::str::from_utf8(line) else { continue };
            if let Some(comment) = line.trim().strip_prefix(';') {
                facts.take(comment.trim());
            }
        }
    }
    facts.into_sliced()
}

/// Reads head and tail of a file and takes the facts out of them.
///
/// # Errors
///
/// The file cannot be opened or read.
pub fn read(path: &Path) -> io::Result<Sliced> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let part_max = u64::try_from(PART_BYTES_MAX).unwrap_or(u64::MAX);
    let mut head = Vec::new();
    file.by_ref().take(part_max).read_to_end(&mut head)?;
    let mut tail = Vec::new();
    if length > part_max {
        // The tail begins behind the head; its first line may be half a line and is left out.
        file.seek(SeekFrom::Start(length.saturating_sub(part_max).max(part_max)))?;
        file.by_ref().take(part_max).read_to_end(&mut tail)?;
        let first_line = tail.iter().position(|byte| *byte == b'\n').unwrap_or(tail.len());
        tail.drain(..first_line);
    }
    Ok(facts(&head, &tail))
}
