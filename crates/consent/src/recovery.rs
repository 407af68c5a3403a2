//! The recovery code: shown once at the first grant, it keeps the owner's rights when the device's
//! key is lost.
//!
//! 160 random bits in 32 letters of Crockford's base32 (no I, L, O, U), then four letters that
//! check them: the first 20 bits of SHA-256 over `imprimatur.recovery.check.v1\0` and the 20 bytes.
//! Written in nine groups of four. The key is Ed25519 from the seed
//! HMAC-SHA256(code, `imprimatur.recovery.v1`).

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::keys::SigningSeed;

/// Crockford's alphabet.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters of a code, the check included.
const LENGTH: usize = 36;

/// A text that is no recovery code; says nothing of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACode {
    /// Too short or too long.
    #[error(
        "a recovery code has 36 letters and digits, this has {0}; type all nine groups of four"
    )]
    Length(usize),
    /// A letter or sign that no code has.
    #[error("place {0} holds a sign that no recovery code has; look at it again")]
    Letter(usize),
    /// The check letters do not fit the others.
    #[error("this is not the code as it was shown: one or more letters differ; look at it again")]
    Check,
}

/// A recovery code. Shown to its owner, once, and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode([u8; 20]);

impl RecoveryCode {
    /// The code of 20 fresh random bytes.
    pub fn from_entropy(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The key that this code makes.
    pub fn key(&self) -> SigningSeed {
        let mut seed = [0; 32];
        // HMAC takes keys of any length, so this never stays at zeros.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(b"imprimatur.recovery.v1");
            seed = mac.finalize().into_bytes().into();
        }
        SigningSeed::from_seed(&seed)
    }

    fn letters(&self) -> Vec<char> {
        let check = Sha256::new_with_prefix(b"imprimatur.recovery.check.v1\0").chain_update(self.0);
        let check = check.finalize();
        let bytes: Vec<u8> = self.0.iter().chain(check.iter().take(3)).copied().collect();
        let five_bits = (0..LENGTH).map(|place| {
            (0..5).fold(0, |value, bit| {
                let at = place * 5 + bit;
                let byte = bytes.get(at / 8).copied().unwrap_or(0);
                value << 1 | usize::from(byte >> (7 - at % 8) & 1)
            })
        });
        five_bits.filter_map(|value| LETTERS.get(value).copied().map(char::from)).collect()
    }
}

impl fmt::Display for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<String> =
            self.letters().chunks(4).map(|group| group.iter().collect()).collect();
        f.write_str(&groups.join("-"))
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

impl FromStr for RecoveryCode {
    type Err = NotACode;

    fn from_str(text: &str) -> Result<Self, NotACode> {
        let signs = text.chars().filter(|sign| !sign.is_whitespace() && *sign != '-');
        let mut values = Vec::with_capacity(LENGTH);
        for (place, sign) in (1..).zip(signs) {
            values.push(value(sign).ok_or(NotACode::Letter(place))?);
        }
        if values.len() != LENGTH {
            return Err(NotACode::Length(values.len()));
        }
        let mut bytes = [0; 20];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = (place * 8..place * 8 + 8).fold(0, |byte, at| {
                let letter = values.get(at / 5).copied().unwrap_or(0);
                byte << 1 | letter >> (4 - at % 5) & 1
            });
        }
        let code = Self(bytes);
        let right = code.letters().into_iter().filter_map(value).eq(values);
        if right { Ok(code) } else { Err(NotACode::Check) }
    }
}

/// The five bits of a letter; what is easily confused with a digit is read as that digit.
fn value(sign: char) -> Option<u8> {
    let sign = match sign.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = LETTERS.iter().position(|&letter| char::from(letter) == sign)?;
    u8::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = RecoveryCode::from_entropy([0; 20]);
        let shown = code.to_string();
        assert_eq!(shown.len(), 36 + 8);
        let typed = shown.to_lowercase().replace('0', "o").replace('1', "l").replace('-', " ");
        assert_eq!(typed.parse(), Ok(code.clone()));
        assert!(!format!("{code:?}").contains("0000"));
    }

    #[test]
    fn what_is_no_code_is_explained() {
        let shown = RecoveryCode::from_entropy([7; 20]).to_string();
        assert_eq!(shown.get(1..).unwrap().parse::<RecoveryCode>(), Err(NotACode::Length(35)));
        assert_eq!(format!("U{shown}").parse::<RecoveryCode>(), Err(NotACode::Letter(1)));
        assert_eq!("".parse::<RecoveryCode>(), Err(NotACode::Length(0)));
    }

    #[test]
    fn the_key_is_of_the_code_and_of_nothing_else() {
        let (one, other) = (RecoveryCode([1; 20]), RecoveryCode([2; 20]));
        assert_eq!(one.key().public(), one.clone().key().public());
        assert_ne!(one.key().public(), other.key().public());
    }

    proptest! {
        #[test]
        fn every_code_survives_being_written_down(bytes: [u8; 20]) {
            let code = RecoveryCode::from_entropy(bytes);
            prop_assert_eq!(code.to_string().parse(), Ok(code));
        }

        #[test]
        fn one_wrong_letter_is_found(bytes: [u8; 20], place in 0..36_usize, step in 1..32_usize) {
            let code = RecoveryCode::from_entropy(bytes);
            let mut letters = code.letters();
            let was = LETTERS.iter().position(|&letter| char::from(letter) == letters[place]);
            letters[place] = char::from(LETTERS[(was.unwrap() + step) % 32]);
            let typed: String = letters.into_iter().collect();
            // One in 2^20 wrong codes passes the check; none of them is the code.
            prop_assert_ne!(typed.parse(), Ok(code));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            prop_assert!(text.parse::<RecoveryCode>().is_err());
        }
    }
}
