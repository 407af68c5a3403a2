//! Finds a planted secret in bytes, whatever simple disguise it wears.
//!
//! Keeps true: each disguise is shown to be found by a test of its own, so "nothing found" means
//! something. Does not undo compression or encryption: search the plain side of those.

use sha2::{Digest as _, Sha256};

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How a secret was written where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is, ASCII case ignored.
    Raw,
    /// Back to front, ASCII case ignored.
    Reversed,
    /// UTF-16, little-endian, ASCII case ignored.
    Utf16,
    /// Percent-encoded as in a query string, ASCII case ignored.
    Percent,
    /// Hexadecimal, either case.
    Hex,
    /// Base64, standard or URL alphabet, at any alignment.
    Base64,
    /// Its SHA-256, as bytes.
    Sha256,
    /// Its SHA-256 in hexadecimal, either case.
    Sha256Hex,
    /// Its SHA-256 in Base64, standard or URL alphabet, at any alignment.
    Sha256Base64,
}

/// One place where a secret was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// How it was written there.
    pub form: Form,
    /// Where its first byte (for Base64: the first character that is its alone) is.
    pub offset: usize,
}

/// All places in `haystack` where `needle` occurs, in any [`Form`], ordered by form.
///
/// A needle under 4 bytes would be found by chance: plant longer ones. An empty needle is never found.
pub fn occurrences(haystack: &[u8], needle: &[u8]) -> Vec<Occurrence> {
    if needle.is_empty() {
        return Vec::new();
    }
    let folded = haystack.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut look = |form, text: &[u8], pattern: &[u8]| {
        found.extend(positions(text, pattern).map(|offset| Occurrence { form, offset }));
    };
    for (form, written) in plain_forms(needle) {
        // Fully printable needles are written by percent-encoding as they are: one report is enough.
        if form == Form::Raw || written != needle {
            look(form, &folded, &written.to_ascii_lowercase());
        }
    }
    for written in base64_forms(needle) {
        look(Form::Base64, haystack, &written);
    }
    for digest in digests(needle) {
        look(Form::Sha256, haystack, &digest);
        look(Form::Sha256Hex, &folded, hex::encode(&digest).as_bytes());
        for written in base64_forms(&digest) {
            look(Form::Sha256Base64, haystack, &written);
        }
    }
    found
}

/// The forms in which case does not matter.
fn plain_forms(needle: &[u8]) -> [(Form, Vec<u8>); 5] {
    let reversed: Vec<u8> = needle.iter().rev().copied().collect();
    // Reading the same backwards would be reported twice.
    let reversed = if reversed == needle { needle.to_vec() } else { reversed };
    let utf16 = String::from_utf8_lossy(needle).encode_utf16().flat_map(u16::to_le_bytes).collect();
    [
        (Form::Raw, needle.to_vec()),
        (Form::Reversed, reversed),
        (Form::Utf16, utf16),
        (Form::Percent, percent(needle)),
        (Form::Hex, hex::encode(needle).into_bytes()),
    ]
}

fn percent(needle: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(needle.len() * 3);
    for &byte in needle {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            written.push(byte);
        } else {
            written.extend_from_slice(format!("%{byte:02x}").as_bytes());
        }
    }
    written
}

/// The digests of the needle and of its lower-case form, each once.
fn digests(needle: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Sha256::digest(needle).to_vec()];
    let folded = needle.to_ascii_lowercase();
    if folded != needle {
        all.push(Sha256::digest(folded).to_vec());
    }
    all
}

/// The characters that Base64 writes for `needle` alone, wherever it stands in the encoded bytes:
/// three alignments in two alphabets, each different text once.
fn base64_forms(needle: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for alphabet in [STANDARD, URL] {
        for before in 0..3_usize {
            let written = encode(needle, before, alphabet);
            // Two characters would be found by chance.
            if written.len() > 2 && !all.contains(&written) {
                all.push(written);
            }
        }
    }
    all
}

/// Encodes with `before` unknown bytes in front; leaves out each character that also holds bits of
/// what stands before or after.
fn encode(needle: &[u8], before: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let first = (before * 8).div_ceil(6);
    let end = (before + needle.len()) * 8 / 6;
    let bit = |at: usize| {
        let byte = (at / 8).checked_sub(before).and_then(|index| needle.get(index));
        byte.map_or(0, |byte| byte >> (7 - at % 8) & 1)
    };
    (first..end)
        .filter_map(|place| {
            let value = (0..6).fold(0_u8, |value, step| value << 1 | bit(place * 6 + step));
            alphabet.get(usize::from(value)).copied()
        })
        .collect()
}

fn positions<'a>(text: &'a [u8], pattern: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    text.windows(pattern.len().max(1))
        .enumerate()
        .filter(move |(_, window)| *window == pattern)
        .map(|(offset, _)| offset)
}

#[cfg(test)]
mod tests;
