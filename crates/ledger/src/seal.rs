//! Sealing: what the book holds about a subject, readable only while its key exists.
//!
//! XChaCha20-Poly1305 under a secret of the [`crate::keyring`]: 24 random bytes of nonce, then the
//! ciphertext with its tag. The place of a value (table and key) is authenticated with it, so that
//! no sealed value can stand in for another.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use imprimatur_runtime::entropy::{self, NoEntropy};

use crate::keyring::Secret;

const NONCE: usize = 24;

/// Seals a value for its place.
///
/// # Errors
/// [`NoEntropy`].
pub(crate) fn seal(secret: &Secret, place: &[u8], value: &[u8]) -> Result<Vec<u8>, NoEntropy> {
    let nonce = entropy::bytes::<NONCE>()?;
    let cipher = XChaCha20Poly1305::new((&secret.0).into());
    let payload = Payload { msg: value, aad: place };
    // The cipher fails only beyond 256 GiB; an empty value opens nowhere.
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Opens a value; `None` when key, place or bytes are not those that were sealed.
pub(crate) fn open(secret: &Secret, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let cipher = XChaCha20Poly1305::new((&secret.0).into());
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: place }).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_opens_with_its_key_at_its_place_unchanged_only(
            value in proptest::collection::vec(any::<u8>(), 0..200),
            place in proptest::collection::vec(any::<u8>(), 0..20),
            at in any::<prop::sample::Index>(),
        ) {
            let secret = Secret([7; 32]);
            let sealed = seal(&secret, &place, &value).unwrap();
            prop_assert_eq!(open(&secret, &place, &sealed), Some(value.clone()));
            prop_assert_eq!(open(&Secret([8; 32]), &place, &sealed), None);
            prop_assert_eq!(open(&secret, &[&place[..], b"x"].concat(), &sealed), None);
            let mut changed = sealed.clone();
            changed[at.index(sealed.len())] ^= 1;
            prop_assert_eq!(open(&secret, &place, &changed), None);
            prop_assert_ne!(seal(&secret, &place, &value).unwrap(), sealed);
        }
    }
}
