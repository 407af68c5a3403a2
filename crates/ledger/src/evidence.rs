//! Evidence: what the verifier reads to prove, without the book, that each row had its permit.
//!
//! Events and commits share one order of positions, so that replaying them by position gives the
//! standing that was in force at each commit. What tells something about a subject is sealed under
//! its slot's key (XChaCha20-Poly1305, 24 bytes of nonce first, authenticated with the place: the
//! word `event` or `commit`, a zero byte and the position as eight big-endian bytes). Once the key is
//! destroyed, the entry says no more than that there was one.

use imprimatur_consent::event::LedgerEvent;
use imprimatur_consent::{Category, Digest, Pseudonym};
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::keyring::{Keyring, KeyringError};
use crate::seal;

/// One recorded event about a subject.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentEvidence {
    /// Place in the common order.
    pub position: u64,
    /// Number of its entry in the log, from 0.
    pub leaf: u64,
    /// Slot of the subject.
    pub slot: u64,
    /// When the collector recorded it.
    pub recorded: UnixSeconds,
    /// The sealed [`LedgerEvent`], in hex.
    #[serde(with = "crate::hexed")]
    pub sealed: Vec<u8>,
}

/// One committed batch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitEvidence {
    /// Place in the common order; the lake's column `commit`.
    pub position: u64,
    /// Slot of the subject.
    pub slot: u64,
    /// The start of the UTC day on which the collector committed it.
    pub recorded: UnixSeconds,
    /// The sealed [`CommitProof`], in hex.
    #[serde(with = "crate::hexed")]
    pub sealed: Vec<u8>,
}

/// What a commit was about.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitProof {
    /// The batch's number.
    pub sequence: u64,
    /// SHA-256 of the frame.
    pub frame: Digest,
    /// Its records; a record's place in this list is the lake's column `ordinal`.
    pub records: Vec<RecordEvidence>,
}

/// One record of a committed batch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordEvidence {
    /// Its kind: the lake's table.
    pub kind: RecordKind,
    /// Its UTC date.
    pub date: UtcDate,
    /// The pseudonym epoch of the date.
    pub epoch: u32,
    /// The subject's pseudonym in that epoch.
    pub subject: Pseudonym,
    /// The principal's pseudonym in that epoch.
    pub principal: Pseudonym,
    /// The categories of its sections, in the record's order.
    pub categories: Vec<Category>,
}

/// What is behind a seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened<T> {
    /// This.
    Whole(T),
    /// Nothing any more: the key was destroyed.
    Destroyed,
    /// Not what was sealed at this place: somebody changed it.
    Broken,
}

impl<T> Opened<T> {
    /// What is made of it; broken when nothing can be.
    pub(crate) fn and_then<U>(self, make: impl FnOnce(T) -> Option<U>) -> Opened<U> {
        match self {
            Self::Whole(value) => make(value).map_or(Opened::Broken, Opened::Whole),
            Self::Destroyed => Opened::Destroyed,
            Self::Broken => Opened::Broken,
        }
    }

    /// What was sealed, if it can be had.
    pub fn whole(self) -> Option<T> {
        match self {
            Self::Whole(value) => Some(value),
            Self::Destroyed | Self::Broken => None,
        }
    }
}

/// What cannot be sealed: the key is gone, or there is no randomness.
#[derive(Debug, thiserror::Error)]
#[error("nothing can be sealed under this slot")]
pub struct SealError;

impl ConsentEvidence {
    /// Seals an event for its place.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(
        keyring: &Keyring,
        (position, leaf, slot): (u64, u64, u64),
        recorded: UnixSeconds,
        event: &LedgerEvent,
    ) -> Result<Self, SealError> {
        let sealed = sealed(keyring, slot, &place("event", position), event)?;
        Ok(Self { position, leaf, slot, recorded, sealed })
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`KeyringError`] when the keyring cannot be read.
    pub fn open(&self, keyring: &Keyring) -> Result<Opened<LedgerEvent>, KeyringError> {
        opened(keyring, self.slot, &place("event", self.position), &self.sealed)
    }
}

impl CommitEvidence {
    /// Seals the proof of a commit for its place.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(
        keyring: &Keyring,
        (position, slot): (u64, u64),
        recorded: UnixSeconds,
        proof: &CommitProof,
    ) -> Result<Self, SealError> {
        let sealed = sealed(keyring, slot, &place("commit", position), proof)?;
        Ok(Self { position, slot, recorded, sealed })
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`KeyringError`] when the keyring cannot be read.
    pub fn open(&self, keyring: &Keyring) -> Result<Opened<CommitProof>, KeyringError> {
        opened(keyring, self.slot, &place("commit", self.position), &self.sealed)
    }
}

/// What a sealed value is bound to: its kind and number.
pub(crate) fn place(kind: &str, number: u64) -> Vec<u8> {
    [kind.as_bytes(), &[0], &number.to_be_bytes()].concat()
}

fn sealed<T: serde::Serialize>(
    keyring: &Keyring,
    slot: u64,
    place: &[u8],
    value: &T,
) -> Result<Vec<u8>, SealError> {
    let secret = keyring.secret(slot).map_err(|_unreadable| SealError)?.ok_or(SealError)?;
    let json = serde_json::to_vec(value).map_err(|_no_json| SealError)?;
    seal::seal(&secret, place, &json).map_err(|_no_entropy| SealError)
}

pub(crate) fn opened<T: serde::de::DeserializeOwned>(
    keyring: &Keyring,
    slot: u64,
    place: &[u8],
    sealed: &[u8],
) -> Result<Opened<T>, KeyringError> {
    let Some(secret) = keyring.secret(slot)? else { return Ok(Opened::Destroyed) };
    let value = seal::open(&secret, place, sealed);
    let value = value.and_then(|value| serde_json::from_slice(&value).ok());
    Ok(value.map_or(Opened::Broken, Opened::Whole))
}
