//! Pseudonyms: what the lake holds instead of subjects and principals.
//!
//! HMAC-SHA256 under the pepper of the epoch over a kind byte (`s` or `p`) and the id, truncated
//! to 16 bytes. A pepper is drawn when its epoch is first needed and never leaves the book.

use hmac::{Hmac, KeyInit as _, Mac as _};
use imprimatur_consent::{PrincipalId, Pseudonym, SubjectId};
use imprimatur_runtime::entropy;
use sha2::Sha256;

use crate::book::{BookError, Txn};
use crate::tables::PEPPERS;

/// The pepper of one epoch.
#[derive(Clone)]
pub(crate) struct Pepper([u8; 32]);

impl Pepper {
    pub(crate) fn subject(&self, id: SubjectId) -> Pseudonym {
        self.tag(b's', &id.0)
    }

    pub(crate) fn principal(&self, id: PrincipalId) -> Pseudonym {
        self.tag(b'p', &id.0)
    }

    fn tag(&self, kind: u8, id: &[u8; 16]) -> Pseudonym {
        let mut tag = [0; 16];
        // HMAC takes keys of any length, so this cannot fail; a zero tag would be refused anyway.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(&[kind]);
            mac.update(id);
            for (to, from) in tag.iter_mut().zip(mac.finalize().into_bytes()) {
                *to = from;
            }
        }
        Pseudonym(tag)
    }
}

impl Txn {
    /// The pepper of an epoch; drawn now if it is the first use.
    pub(crate) fn pepper(&self, epoch: u32) -> Result<Pepper, BookError> {
        let mut table = self.raw.open_table(PEPPERS)?;
        let known = redb::ReadableTable::get(&table, epoch)?
            .and_then(|found| <[u8; 32]>::try_from(found.value()).ok());
        if let Some(pepper) = known {
            return Ok(Pepper(pepper));
        }
        let pepper = entropy::bytes::<32>()?;
        table.insert(epoch, pepper.as_slice())?;
        Ok(Pepper(pepper))
    }
}
