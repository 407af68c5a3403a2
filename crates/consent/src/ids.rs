//! Every kind of id, each its own type; written and read as lower-case hex.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A text or bytes that are no id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hex digits for a {kind}")]
pub struct NotAnId {
    /// The kind of id.
    pub kind: &'static str,
    /// How many hex digits it has.
    pub expected: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $length:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            fn mismatch() -> NotAnId {
                NotAnId { kind: $kind, expected: 2 * $length }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $length];
                let read = hex::decode_to_slice(text, &mut bytes);
                read.map(|()| Self(bytes)).map_err(|_not_hex| Self::mismatch())
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = NotAnId;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                bytes.try_into().map(Self).map_err(|_wrong_length| Self::mismatch())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// One installation of the agent on one printer under one principal: the first 16 bytes of
    /// SHA-256 of its Ed25519 public key. Drawn at the first grant, never derived from hardware.
    SubjectId,
    16,
    "subject"
);
id!(
    /// The person or organisation that consents: random, shared by its owner's agents.
    PrincipalId,
    16,
    "principal"
);
id!(
    /// What the lake holds instead of a subject or principal: HMAC-SHA256 under the pepper of the
    /// epoch, truncated to 16 bytes.
    Pseudonym,
    16,
    "pseudonym"
);
id!(
    /// A SHA-256.
    Digest,
    32,
    "SHA-256"
);

impl Digest {
    /// SHA-256 of the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl SubjectId {
    /// The subject of a public key.
    pub fn of(public_key: &[u8; 32]) -> Self {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(Sha256::digest(public_key)) {
            *to = from;
        }
        Self(id)
    }
}
