//! Witnesses: others who saw a log grow, and say so beneath its checkpoint (C2SP tlog-cosignature v1).
//!
//! A cosignature is a line of the signed note, `— NAME BASE64`, over 4 bytes of key id, 8 big-endian
//! bytes of the time in seconds since 1970, and 64 bytes of Ed25519 signature. Signed is
//!
//! ```text
//! cosignature/v1
//! time SECONDS
//! <the text of the note, up to and including its last newline>
//! ```
//!
//! A witness is named by its verifier key, `NAME+ID+KEY`: `ID` is eight hex digits, the first 4 bytes of
//! SHA-256 of `NAME || 0x0A || 0x04 || public key`; `KEY` is base64 of `0x04 || public key`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::note::{NoteError, key_id, parts, signature_line};

/// Signature type of timestamped Ed25519 cosignatures (C2SP tlog-cosignature).
const COSIGNATURE: u8 = 0x04;

/// A text that is no verifier key of a witness. Ask its operator for the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no verifier key of a witness (`NAME+ID+KEY`, an Ed25519 key for cosignatures): {0}")]
pub struct NotAWitness(&'static str);

/// Why a checkpoint proves nothing of a witness. Trust no log that rests on it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// Not a signed note.
    #[error("the checkpoint is no signed note")]
    Note(#[source] NoteError),
    /// No line of this witness.
    #[error("the witness did not cosign the checkpoint")]
    Absent,
    /// A line in the name of the witness that is not its own.
    #[error("a cosignature in the name of the witness does not fit the checkpoint")]
    Forged,
}

/// Somebody whose cosignature is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl FromStr for Witness {
    type Err = NotAWitness;

    fn from_str(text: &str) -> Result<Self, NotAWitness> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotAWitness("it has no three parts"));
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(NotAWitness("its name is empty or has a space"));
        }
        let key = STANDARD.decode(key).map_err(|_not_base64| NotAWitness("no base64"))?;
        let [COSIGNATURE, key @ ..] = key.as_slice() else {
            return Err(NotAWitness("a key of another type"));
        };
        let key =
            <[u8; 32]>::try_from(key).map_err(|_length| NotAWitness("a key of no 32 bytes"))?;
        let own = key_id(name, COSIGNATURE, &key);
        if hex::encode(own) != id {
            return Err(NotAWitness("its id is not that of its name and key"));
        }
        let point = VerifyingKey::from_bytes(&key).ok().filter(|key| !key.is_weak());
        let key = point.ok_or(NotAWitness("no Ed25519 key"))?;
        Ok(Self { name: name.to_owned(), id: own, key })
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Witness {
    /// Whether the witness cosigned this note; gives when it says that it did, in seconds since 1970.
    /// Who signed the note itself is for [`crate::Checkpoint::open`].
    ///
    /// # Errors
    /// [`CosignatureError`].
    pub fn cosigned(&self, note: &str) -> Result<u64, CosignatureError> {
        let (body, signatures) = parts(note).map_err(CosignatureError::Note)?;
        let mut newest = None;
        for line in signatures.lines() {
            let (name, id, signature) = signature_line(line).map_err(CosignatureError::Note)?;
            if name != self.name || id != self.id {
                continue;
            }
            let (time, signature) =
                signature.split_first_chunk::<8>().ok_or(CosignatureError::Forged)?;
            let time = u64::from_be_bytes(*time);
            let signature = Signature::from_slice(signature);
            let signature = signature.map_err(|_wrong_length| CosignatureError::Forged)?;
            let signed = format!("cosignature/v1\ntime {time}\n{body}");
            let verdict = self.key.verify_strict(signed.as_bytes(), &signature);
            verdict.map_err(|_not_its_own| CosignatureError::Forged)?;
            newest = newest.max(Some(time));
        }
        newest.ok_or(CosignatureError::Absent)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use imprimatur_consent::Digest;

    use super::*;
    use crate::{Checkpoint, LogKey, Origin};

    const NAME: &str = "witness.example.com/w1";
    const TIME: u64 = 1_679_315_147;

    fn note() -> String {
        let key = LogKey::from_seed(&[7; 32]);
        let origin = Origin::of(&key.public());
        Checkpoint { origin, size: 20_852_163, root: Digest([9; 32]) }.sign(&key)
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn vkey(name: &str, seed: u8) -> String {
        let public = key(seed).verifying_key().to_bytes();
        let id = hex::encode(key_id(name, COSIGNATURE, &public));
        format!("{name}+{id}+{}", STANDARD.encode([&[COSIGNATURE][..], &public].concat()))
    }

    /// The line of a cosignature, made from the words of the specification.
    fn line(seed: u8, (told, signed): (u64, u64), body: &str) -> String {
        let public = key(seed).verifying_key().to_bytes();
        let message = format!("cosignature/v1\ntime {signed}\n{body}");
        let signature = key(seed).sign(message.as_bytes()).to_bytes();
        let id = key_id(NAME, COSIGNATURE, &public);
        let bytes = [&id[..], &told.to_be_bytes(), &signature].concat();
        format!("\u{2014} {NAME} {}\n", STANDARD.encode(bytes))
    }

    fn body() -> String {
        note().split_once("\n\n").map(|(body, _)| format!("{body}\n")).unwrap()
    }

    #[test]
    fn a_cosigned_checkpoint_is_told_with_its_time() {
        let witness: Witness = vkey(NAME, 3).parse().unwrap();
        assert_eq!(witness.to_string(), NAME);
        let cosigned = note() + &line(3, (TIME, TIME), &body());
        assert_eq!(witness.cosigned(&cosigned), Ok(TIME));
        // The log's own reader passes over it.
        let log = LogKey::from_seed(&[7; 32]).public();
        assert!(Checkpoint::open(&cosigned, &log).is_ok());
        let twice = cosigned + &line(3, (TIME + 9, TIME + 9), &body());
        assert_eq!(witness.cosigned(&twice), Ok(TIME + 9));
    }

    #[test]
    fn a_forged_absent_or_foreign_cosignature_is_refused() {
        let witness: Witness = vkey(NAME, 3).parse().unwrap();
        let refuses = |line: &str, expected| {
            assert_eq!(witness.cosigned(&(note() + line)), Err(expected), "{line}");
        };
        refuses("", CosignatureError::Absent);
        // Another key has another id.
        refuses(&line(4, (TIME, TIME), &body()), CosignatureError::Absent);
        // Another time, another checkpoint, and the plain signature of a note.
        refuses(&line(3, (TIME + 1, TIME), &body()), CosignatureError::Forged);
        let other = body().replacen("20852163", "20852164", 1);
        refuses(&line(3, (TIME, TIME), &other), CosignatureError::Forged);
        let plain = key(3).sign(body().as_bytes()).to_bytes();
        let public = key(3).verifying_key().to_bytes();
        let bytes = [&key_id(NAME, COSIGNATURE, &public)[..], &TIME.to_be_bytes(), &plain].concat();
        refuses(&format!("\u{2014} {NAME} {}\n", STANDARD.encode(bytes)), CosignatureError::Forged);
        // One true line does not hide a forged one.
        let both = line(3, (TIME, TIME), &body()) + &line(3, (TIME + 1, TIME), &body());
        refuses(&both, CosignatureError::Forged);
        let short = [&key_id(NAME, COSIGNATURE, &public)[..], &[0; 7]].concat();
        refuses(&format!("\u{2014} {NAME} {}\n", STANDARD.encode(short)), CosignatureError::Forged);
        assert!(matches!(witness.cosigned("no note"), Err(CosignatureError::Note(_))));
    }

    #[test]
    fn what_is_no_key_of_a_witness_is_refused() {
        let good = vkey(NAME, 3);
        let (rest, encoded) = good.rsplit_once('+').unwrap();
        let log_key = [&[0x01][..], &key(3).verifying_key().to_bytes()].concat();
        let weak = vkey_of(NAME, &[0; 32]);
        for wrong in [
            "",
            NAME,
            &format!("{rest}+"),
            &good.replacen("w1", "w2", 1),
            &format!("{rest}+{}", STANDARD.encode(log_key)),
            &format!("{rest}+{encoded}AA"),
            &vkey("two words", 3),
            &weak,
        ] {
            assert!(wrong.parse::<Witness>().is_err(), "{wrong}");
        }
    }

    fn vkey_of(name: &str, public: &[u8; 32]) -> String {
        let id = hex::encode(key_id(name, COSIGNATURE, public));
        format!("{name}+{id}+{}", STANDARD.encode([&[COSIGNATURE][..], public].concat()))
    }
}
