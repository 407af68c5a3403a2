//! Signatures: Ed25519 with a domain for each kind of message, so that none can stand for another.

use std::fmt;

use ed25519_dalek::Signer as _;

use crate::ids::SubjectId;

/// What a signature is about. The signed bytes are the domain's name, a zero byte, the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A batch, by the subject.
    Batch,
    /// A consent event, by the subject.
    Consent,
    /// A receipt, by the collector.
    Receipt,
    /// A verdict, by the collector.
    Verdict,
    /// A rights request, by the subject or its recovery key.
    Rights,
    /// The answer to one, by the collector.
    RightsAnswer,
    /// A farm's list of printers, by its owner.
    Mandate,
}

impl Domain {
    fn message(self, bytes: &[u8]) -> Vec<u8> {
        let name: &[u8] = match self {
            Self::Batch => b"imprimatur.batch.v1\0",
            Self::Consent => b"imprimatur.consent.v1\0",
            Self::Receipt => b"imprimatur.receipt.v1\0",
            Self::Verdict => b"imprimatur.verdict.v1\0",
            Self::Rights => b"imprimatur.rights.v1\0",
            Self::RightsAnswer => b"imprimatur.rights-answer.v1\0",
            Self::Mandate => b"imprimatur.mandate.v1\0",
        };
        [name, bytes].concat()
    }
}

/// A private key, as its 32-byte seed. Never printed; wiped from memory when dropped.
#[derive(Clone)]
pub struct SigningSeed(ed25519_dalek::SigningKey);

impl SigningSeed {
    /// The key of a seed of fresh random bytes, or of one that was stored.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, to be stored where only its owner reads.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The subject that this key makes.
    pub fn subject(&self) -> SubjectId {
        SubjectId::of(&self.public())
    }

    /// Signs a message.
    pub fn sign(&self, domain: Domain, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(&domain.message(bytes)).to_bytes().to_vec()
    }
}

impl fmt::Debug for SigningSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSeed(..)")
    }
}

/// Bytes that are no Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 public key: expected 64 hex digits of a point on the curve")]
pub struct NotAKey;

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Reads a public key; weak ones are refused.
    ///
    /// # Errors
    /// [`NotAKey`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAKey> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_wrong_length| NotAKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_no_point| NotAKey)?;
        if key.is_weak() { Err(NotAKey) } else { Ok(Self(key)) }
    }

    /// The key's 32 bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Whether the signature is this key's, on exactly these bytes, in this domain. Strict: no
    /// second signature for the same message passes.
    pub fn verifies(&self, domain: Domain, bytes: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        self.0.verify_strict(&domain.message(bytes), &signature).is_ok()
    }
}

impl std::str::FromStr for VerifyingKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_not_hex| NotAKey)?;
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_bytes_and_domain_only() {
        let key = SigningSeed::from_seed(&[7; 32]);
        let public = VerifyingKey::from_bytes(&key.public()).unwrap();
        let signature = key.sign(Domain::Batch, b"batch");
        assert!(public.verifies(Domain::Batch, b"batch", &signature));
        assert!(!public.verifies(Domain::Verdict, b"batch", &signature));
        assert!(!public.verifies(Domain::Batch, b"botch", &signature));
        assert!(!public.verifies(Domain::Batch, b"batch", &signature[..63]));
        let other = SigningSeed::from_seed(&[8; 32]);
        assert!(!public.verifies(Domain::Batch, b"batch", &other.sign(Domain::Batch, b"batch")));
        assert!(format!("{key:?}").len() < 20);
    }

    #[test]
    fn weak_keys_are_no_keys() {
        assert_eq!(VerifyingKey::from_bytes(&[0; 32]), Err(NotAKey));
        assert_eq!(VerifyingKey::from_bytes(&[1; 31]), Err(NotAKey));
    }
}
