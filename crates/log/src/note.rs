//! Checkpoints: size and root of the log, signed in the C2SP signed-note form.
//!
//! ```text
//! imprimatur/<first 16 hex digits of SHA-256 of the log's public key>
//! <size, decimal>
//! <root, base64>
//!
//! — <the first line> <base64 of key id (4 bytes) and Ed25519 signature (64 bytes)>
//! ```
//!
//! The signed text ends before the empty line. The key id is the beginning of SHA-256 of
//! `name || 0x0A || 0x01 || public key`. Further signatures, of witnesses, may follow. Extension
//! lines, which C2SP advises against, are refused: no monitor could judge them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use imprimatur_consent::Digest;
use sha2::{Digest as _, Sha256};

/// The longest note, in bytes: 16 signatures of the largest kind (5 kB, C2SP signed-note) fit.
pub const MAX_NOTE_BYTES: usize = 131_072;

/// Signature type of Ed25519 (C2SP signed-note).
const ED25519: u8 = 0x01;

/// The key that signs checkpoints and nothing else. Never printed; wiped when dropped.
pub struct LogKey(SigningKey);

impl LogKey {
    /// The key of a seed of fresh random bytes, or of one that was stored.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogKey(..)")
    }
}

/// The name of a log, and of its key in signature lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// The origin of the log that this key signs.
    pub fn of(public_key: &[u8; 32]) -> Self {
        let digest = Digest::of(public_key).to_string();
        Self(format!("imprimatur/{}", digest.chars().take(16).collect::<String>()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no checkpoint of this log. Trust nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The public key is no point on the curve, or a weak one. Check the configured key.
    #[error("the log's public key is not an Ed25519 key")]
    NotAKey,
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("the checkpoint is longer than 131072 bytes")]
    TooLong,
    /// Not a signed note.
    #[error("the checkpoint is not a signed note: {0}")]
    Malformed(&'static str),
    /// A note, but not about a tree.
    #[error("the signed note is not a checkpoint: {0}")]
    NotACheckpoint(&'static str),
    /// A checkpoint of another log, or this log's key is not the expected one.
    #[error("the checkpoint is of another log")]
    Foreign,
    /// No signature of the log's key.
    #[error("the checkpoint is not signed by the log")]
    NotSigned,
    /// A signature in the name of the log's key that is not the key's.
    #[error("the log's signature does not fit the checkpoint")]
    BadSignature,
}

/// Size and root of a log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree.
    pub root: Digest,
}

impl Checkpoint {
    /// Signs; the result is the note.
    pub fn sign(&self, key: &LogKey) -> String {
        let name = &self.origin;
        let body = format!("{name}\n{}\n{}\n", self.size, STANDARD.encode(self.root.0));
        let mut signature = key_id(&name.0, ED25519, &key.public()).to_vec();
        signature.extend_from_slice(&key.0.sign(body.as_bytes()).to_bytes());
        format!("{body}\n\u{2014} {name} {}\n", STANDARD.encode(signature))
    }

    /// Reads a note and checks that the log of this key signed it. Signatures of unknown keys are
    /// ignored.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &str, public_key: &[u8; 32]) -> Result<Self, NoteError> {
        let key = VerifyingKey::from_bytes(public_key).map_err(|_no_point| NoteError::NotAKey)?;
        if key.is_weak() {
            return Err(NoteError::NotAKey);
        }
        let (body, signatures) = parts(note)?;
        let origin = Origin::of(public_key);
        let id = key_id(&origin.0, ED25519, public_key);
        let mut signed = false;
        for line in signatures.lines() {
            let (name, theirs, signature) = signature_line(line)?;
            if name != origin.0 || theirs != id {
                continue;
            }
            let signature = Signature::from_slice(&signature);
            let signature = signature.map_err(|_wrong_length| NoteError::BadSignature)?;
            let verdict = key.verify_strict(body.as_bytes(), &signature);
            verdict.map_err(|_not_its_own| NoteError::BadSignature)?;
            signed = true;
        }
        let checkpoint = Self::parse(body)?;
        match (checkpoint.origin == origin, signed) {
            (false, _) => Err(NoteError::Foreign),
            (true, false) => Err(NoteError::NotSigned),
            (true, true) => Ok(checkpoint),
        }
    }

    fn parse(body: &str) -> Result<Self, NoteError> {
        let mut lines = body.lines();
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(NoteError::NotACheckpoint("expected three lines"));
        };
        if origin.is_empty() {
            return Err(NoteError::NotACheckpoint("no origin"));
        }
        let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
        let root = STANDARD.decode(root).ok().and_then(|root| Digest::try_from(&root[..]).ok());
        Ok(Self {
            origin: Origin(origin.to_owned()),
            size: number.ok_or(NoteError::NotACheckpoint("no size in the second line"))?,
            root: root.ok_or(NoteError::NotACheckpoint("no root in the third line"))?,
        })
    }
}

/// The signed text with its last newline, and the signature lines.
pub(crate) fn parts(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE_BYTES {
        return Err(NoteError::TooLong);
    }
    if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::Malformed("a control character"));
    }
    let gap = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line"))?;
    let split = note.split_at_checked(gap + 1).ok_or(NoteError::Malformed("no empty line"))?;
    let signatures = split.1.strip_prefix('\n').unwrap_or(split.1);
    if !signatures.ends_with('\n') {
        return Err(NoteError::Malformed("no newline at the end"));
    }
    Ok((split.0, signatures))
}

/// Key name, key id and signature of one line.
pub(crate) fn signature_line(line: &str) -> Result<(&str, [u8; 4], Vec<u8>), NoteError> {
    let malformed = NoteError::Malformed("a line that is no signature");
    let (name, encoded) =
        line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or(malformed)?;
    if name.is_empty() || name.contains(|sign: char| sign.is_whitespace() || sign == '+') {
        return Err(malformed);
    }
    let bytes = STANDARD.decode(encoded).map_err(|_not_base64| malformed)?;
    match bytes.split_first_chunk::<4>() {
        Some((id, signature)) if !signature.is_empty() => Ok((name, *id, signature.to_vec())),
        _ => Err(malformed),
    }
}

/// The id of a key of this type and name.
pub(crate) fn key_id(name: &str, kind: u8, public_key: &[u8; 32]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', kind]);
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.chain_update(public_key).finalize());
    [a, b, c, d]
}

#[cfg(test)]
mod tests;
