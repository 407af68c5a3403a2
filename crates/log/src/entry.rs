//! What a leaf's data is: a blinded commitment to a private event, or a public event in clear.
//!
//! Private: `0x00 || SHA-256("imprimatur.entry.v1\0" || nonce || payload)`, 33 bytes. The nonce is
//! 32 random bytes, kept apart; once it is destroyed, nobody can tell what the entry was, not even
//! by trying all events there could have been. Public: `0x01 || JSON`.

use imprimatur_consent::Digest;
use sha2::{Digest as _, Sha256};

/// The longest entry, in bytes: bundles write lengths in 16 bits (C2SP tlog-tiles).
pub const MAX_ENTRY_BYTES: usize = 65_535;

const BLINDED: u8 = 0x00;
const PUBLIC: u8 = 0x01;
const DOMAIN: &[u8] = b"imprimatur.entry.v1\0";

/// An entry that cannot be in a log. Do not append it; found in a log, report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Longer than [`MAX_ENTRY_BYTES`].
    #[error("an entry of {length} bytes, at most 65535")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Neither 33 bytes that begin with 0 nor a text that begins with 1.
    #[error("an entry of unknown form")]
    UnknownForm,
}

/// An entry, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The commitment to a private event.
    Blinded(Digest),
    /// A public event: JSON, not yet parsed.
    Public(&'a [u8]),
}

/// The entry of a private event.
pub fn blinded(nonce: &[u8; 32], payload: &[u8]) -> Vec<u8> {
    let hash = Sha256::new().chain_update(DOMAIN).chain_update(nonce).chain_update(payload);
    let mut entry = vec![BLINDED];
    entry.extend_from_slice(&hash.finalize());
    entry
}

/// The entry of a public event.
///
/// # Errors
/// [`EntryError::TooLong`]; [`EntryError::UnknownForm`] for an empty event.
pub fn public(json: &[u8]) -> Result<Vec<u8>, EntryError> {
    let entry = [&[PUBLIC], json].concat();
    Entry::read(&entry)?;
    Ok(entry)
}

impl<'a> Entry<'a> {
    /// Reads an entry.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn read(entry: &'a [u8]) -> Result<Self, EntryError> {
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(EntryError::TooLong { length: entry.len() });
        }
        match entry {
            [BLINDED, commitment @ ..] => Digest::try_from(commitment)
                .map(Self::Blinded)
                .map_err(|_wrong_length| EntryError::UnknownForm),
            [PUBLIC, json @ ..] if !json.is_empty() => Ok(Self::Public(json)),
            _ => Err(EntryError::UnknownForm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_what_they_were_written() {
        let entry = blinded(&[7; 32], b"event");
        assert_eq!(entry.len(), 33);
        assert!(matches!(Entry::read(&entry), Ok(Entry::Blinded(_))));
        assert_eq!(Entry::read(&public(b"{}").unwrap()), Ok(Entry::Public(b"{}")));
    }

    #[test]
    fn a_commitment_is_to_its_nonce_and_event_only() {
        let hash = Digest::of(&[DOMAIN, &[7; 32], b"event"].concat());
        assert_eq!(Entry::read(&blinded(&[7; 32], b"event")), Ok(Entry::Blinded(hash)));
        assert_ne!(blinded(&[7; 32], b"event"), blinded(&[8; 32], b"event"));
        assert_ne!(blinded(&[7; 32], b"event"), blinded(&[7; 32], b"Event"));
    }

    #[test]
    fn other_bytes_are_no_entry() {
        for entry in [&[][..], &[0; 32], &[0; 34], &[1], &[2, 3], &[0xff; 64]] {
            assert_eq!(Entry::read(entry), Err(EntryError::UnknownForm), "{entry:?}");
        }
        assert!(public(&vec![b' '; 65_534]).is_ok());
        assert_eq!(public(&vec![b' '; 65_535]), Err(EntryError::TooLong { length: 65_536 }));
        assert_eq!(public(b""), Err(EntryError::UnknownForm));
    }
}
