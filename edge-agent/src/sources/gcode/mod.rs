//! What a slicer's file says of itself: comment lines with an allowed key, or an archive's settings.
//!
//! Moves, thumbnails, notes, names and profiles are never kept: a line whose key is not listed ends
//! where it was read. At most [`PART_BYTES_MAX`] bytes from each end of a file are read.

mod keys;
pub mod settings;
mod sl1;
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

/// Takes the facts out of the head and the tail of a file; any bytes do. The tail is empty when the head
/// is the whole file.
pub fn facts(head: &[u8], tail: &[u8]) -> Sliced {
    let mut facts = Facts::default();
    take(&mut facts, head);
    if !tail.is_empty() {
        facts.goes_on();
        take(&mut facts, tail);
    }
    facts.into_sliced()
}

/// Reads head and tail of a file and takes the facts out of them; `None` when there is not one, so that
/// nothing is known to have been sliced.
///
/// # Errors
///
/// The file cannot be opened or read, or is a folder, pipe or device.
pub fn read(path: &Path) -> io::Result<Option<Sliced>> {
    // Opening a pipe may wait for ever, and reading one takes away what it holds.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    read_parts(&mut file, length)
}

/// Reads the first [`PART_BYTES_MAX`] bytes of a stream and takes the facts out of them, as [`read`].
///
/// # Errors
///
/// The stream cannot be read.
pub fn read_stream(stream: impl Read) -> io::Result<Option<Sliced>> {
    Ok(known(facts(&part(stream)?, b"")))
}

fn read_parts(file: &mut (impl Read + Seek), length: u64) -> io::Result<Option<Sliced>> {
    let head = part(&mut *file)?;
    if sl1::is_archive(&head) {
        return Ok(known(sl1::facts(&head)));
    }
    let part_max = u64::try_from(PART_BYTES_MAX).unwrap_or(u64::MAX);
    if length <= part_max {
        return Ok(known(facts(&head, b"")));
    }
    // The tail begins behind the head; its first line may be half a line and is left out.
    file.seek(SeekFrom::Start(length.saturating_sub(part_max).max(part_max)))?;
    let tail = part(file)?;
    let whole = tail.iter().position(|byte| *byte == b'\n').and_then(|at| tail.get(at..));
    Ok(known(facts(&head, whole.unwrap_or(b"\n"))))
}

fn part(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(u64::try_from(PART_BYTES_MAX).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn known(facts: Sliced) -> Option<Sliced> {
    (facts != Sliced::default()).then_some(facts)
}

fn take(facts: &mut Facts, part: &[u8]) {
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

#[cfg(test)]
mod tests;
