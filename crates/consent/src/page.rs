//! Pages for one reader: what an owner reads of what is held, closed to everybody on the way.
//!
//! The reader draws an X25519 key for one request and signs its public half with the request. A page
//! is the writer's own one-time public key (32 bytes), then XChaCha20-Poly1305 of the text under
//! SHA-256 of `imprimatur.page.v1`, a zero byte, the shared secret and both public keys, with a nonce
//! of zeros: each key closes one page. Broker and bridge, or who took over a connection, see lengths.

use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

/// Bytes by which a page is longer than its text.
pub const OVERHEAD: usize = 32 + 16;

/// The key of one reader for one request. Never printed.
#[derive(Clone)]
pub struct ReaderKey(StaticSecret);

impl std::fmt::Debug for ReaderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReaderKey(..)")
    }
}

impl ReaderKey {
    /// The key of 32 fresh random bytes.
    pub fn from_entropy(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// The public half, which goes with the request.
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// The text of a page; `None` when it is not for this reader or was changed.
    pub fn open(&self, page: &[u8]) -> Option<Vec<u8>> {
        let (writer, closed) = page.split_first_chunk::<32>()?;
        let key = key(&self.0, writer, &self.public(), writer)?;
        XChaCha20Poly1305::new(&key.into()).decrypt(&XNonce::default(), closed).ok()
    }
}

/// Closes a text for the reader of this public key, with 32 fresh random bytes; `None` when the key
/// is none.
pub fn close(reader: &[u8; 32], entropy: [u8; 32], text: &[u8]) -> Option<Vec<u8>> {
    let writer = StaticSecret::from(entropy);
    let public = PublicKey::from(&writer).to_bytes();
    let key = key(&writer, reader, reader, &public)?;
    let closed = XChaCha20Poly1305::new(&key.into()).encrypt(&XNonce::default(), text).ok()?;
    Some([&public[..], &closed].concat())
}

/// The key of a page. A public key of low order gives a secret that everybody knows: none.
fn key(
    own: &StaticSecret,
    other: &[u8; 32],
    reader: &[u8; 32],
    writer: &[u8; 32],
) -> Option<[u8; 32]> {
    let shared = own.diffie_hellman(&PublicKey::from(*other));
    if !shared.was_contributory() {
        return None;
    }
    let hash = Sha256::new().chain_update(b"imprimatur.page.v1\0").chain_update(shared.as_bytes());
    Some(hash.chain_update(reader).chain_update(writer).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_opens_for_its_reader_alone_and_unchanged() {
        let (reader, other) = (ReaderKey::from_entropy([1; 32]), ReaderKey::from_entropy([2; 32]));
        let page = close(&reader.public(), [3; 32], b"what is held").unwrap();
        assert_eq!(page.len(), "what is held".len() + OVERHEAD);
        assert_eq!(reader.open(&page).unwrap(), b"what is held");
        assert_eq!(other.open(&page), None);
        for at in 0..page.len() {
            let mut changed = page.clone();
            changed[at] ^= 1;
            assert_eq!(reader.open(&changed), None, "byte {at}");
        }
        assert_eq!(reader.open(&page[..31]), None);
        assert!(!page.windows(4).any(|part| part == b"what"));
    }

    #[test]
    fn a_key_of_low_order_closes_nothing() {
        assert_eq!(close(&[0; 32], [3; 32], b"text"), None);
        assert!(!format!("{:?}", ReaderKey::from_entropy([7; 32])).contains('7'));
    }
}
