//! Pseudonyms: what the lake holds instead of subjects and principals.
//!
//! HMAC-SHA256 under the pepper of the epoch over a kind byte (`s` or `p`) and the id, truncated
//! to 16 bytes. A pepper is drawn into the keyring when its epoch is first needed, never leaves it,
//! and is destroyed once the last rows of its epoch expired.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use imprimatur_consent::event::Public;
use imprimatur_consent::policy::epoch_last_day;
use imprimatur_consent::{PrincipalId, Pseudonym, SubjectId};
use imprimatur_runtime::UtcDate;
use redb::ReadableTable as _;
use sha2::Sha256;

use crate::book::unreadable;
use crate::error::BookError;
use crate::keyring::Secret;
use crate::tables::{EPOCHS, PEPPERS, SUBJECTS};
use crate::txn::Txn;

/// The pepper of one epoch.
#[derive(Clone)]
pub(crate) struct Pepper(Secret);

impl Pepper {
    pub(crate) fn of(secret: Secret) -> Self {
        Self(secret)
    }

    pub(crate) fn subject(&self, id: SubjectId) -> Pseudonym {
        self.tag(b's', &id.0)
    }

    pub(crate) fn principal(&self, id: PrincipalId) -> Pseudonym {
        self.tag(b'p', &id.0)
    }

    fn tag(&self, kind: u8, id: &[u8; 16]) -> Pseudonym {
        let mut tag = [0; 16];
        // HMAC takes keys of any length, so this cannot fail; a zero tag would be refused anyway.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0.0) {
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
        let known = table.get(epoch)?.map(|slot| slot.value());
        let slot = if let Some(slot) = known {
            slot
        } else {
            let slot = self.book.keyring.draw()?;
            table.insert(epoch, slot)?;
            slot
        };
        let secret = self.book.keyring.secret(slot)?;
        Ok(Pepper(secret.ok_or_else(|| unreadable(SUBJECTS))?))
    }

    /// The pseudonyms of a subject in all epochs of which the book committed something.
    pub(crate) fn pseudonyms(&self, slot: u64) -> Result<BTreeSet<Pseudonym>, BookError> {
        let Some(known) = self.known(slot) else { return Ok(BTreeSet::new()) };
        let subject = SubjectId::of(&known.public_key);
        let epochs = self.epochs(slot)?;
        epochs.into_iter().map(|epoch| Ok(self.pepper(epoch)?.subject(subject))).collect()
    }

    pub(crate) fn epochs(&self, slot: u64) -> Result<Vec<u32>, BookError> {
        let table = self.raw.open_table(EPOCHS)?;
        let of_slot = table.range((slot, 0)..=(slot, u32::MAX))?;
        of_slot.map(|entry| Ok(entry?.0.value().1)).collect()
    }

    /// Destroys the marks of erasures that nothing needs any more, and the peppers of epochs whose last rows, kept for `row_days`, expired before `today`;
    /// gives the epochs.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn expire_peppers(&self, row_days: u32, today: UtcDate) -> Result<Vec<u32>, BookError> {
        self.level_tombs(today)?;
        let peppers = self.raw.open_table(PEPPERS)?;
        let mut expired = Vec::new();
        for entry in peppers.iter()? {
            let (epoch, slot) = entry?;
            let last = epoch_last_day(epoch.value()).map_or(u32::MAX, |last| last.0);
            if last.saturating_add(row_days) < today.0 {
                expired.push((epoch.value(), slot.value()));
            }
        }
        drop(peppers);
        for &(epoch, slot) in &expired {
            self.condemn(slot)?;
            self.log_public(&Public::PepperDestroyed { epoch, slot, on: today })?;
        }
        if !expired.is_empty() {
            self.living_peppers()?;
        }
        Ok(expired.into_iter().map(|(epoch, _)| epoch).collect())
    }

    /// Removes peppers whose key is gone, with the notes of who has something in their epochs; gives
    /// the slots of the others.
    pub(crate) fn living_peppers(&self) -> Result<BTreeSet<u64>, BookError> {
        let mut peppers = self.raw.open_table(PEPPERS)?;
        let (mut slots, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for entry in peppers.iter()? {
            let (epoch, slot) = entry?;
            if self.lives(slot.value())? {
                slots.insert(slot.value());
            } else {
                gone.insert(epoch.value());
            }
        }
        peppers.retain(|epoch, _| !gone.contains(&epoch))?;
        self.raw.open_table(EPOCHS)?.retain(|(_, epoch), ()| !gone.contains(&epoch))?;
        Ok(slots)
    }
}
