//! Tombs: while an old grant could still be sent again, a blinded mark keeps an erased key from
//! coming back.
//!
//! An erased subject is unknown, and so its first grant would be taken once more by anybody who kept
//! it. A mark is HMAC-SHA256 under a secret of the day of the erasure, truncated to 16 bytes: it
//! tells nothing to who does not bring the key itself. Once no grant of that day is young enough to
//! be taken, marks and secret are destroyed.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use imprimatur_consent::event::{Mark, Public};
use imprimatur_consent::policy::OLDEST_RECORD_DAYS;
use imprimatur_consent::{Pseudonym, SubjectId};
use imprimatur_runtime::UtcDate;
use redb::ReadableTable as _;
use sha2::Sha256;

use crate::error::BookError;
use crate::keyring::Secret;
use crate::tables::{TOMB_KEYS, TOMBS};
use crate::txn::Txn;

impl Txn {
    /// Marks the key of an erased subject; the log keeps the mark for a restore.
    pub(crate) fn bury(&self, subject: SubjectId, on: UtcDate) -> Result<Option<Mark>, BookError> {
        let mut keys = self.raw.open_table(TOMB_KEYS)?;
        let known = keys.get(on.0)?.map(|slot| slot.value());
        let slot = if let Some(slot) = known {
            slot
        } else {
            let slot = self.book.keyring.draw()?;
            keys.insert(on.0, slot)?;
            slot
        };
        let Some(secret) = self.book.keyring.secret(slot)? else { return Ok(None) };
        let tag = mark(&secret, subject);
        self.raw.open_table(TOMBS)?.insert((on.0, tag), ())?;
        Ok(Some(Mark { slot, tag: Pseudonym(tag) }))
    }

    /// Takes a mark over from the log.
    pub(crate) fn rebury(&self, mark: Mark, on: UtcDate) -> Result<(), BookError> {
        self.raw.open_table(TOMB_KEYS)?.insert(on.0, mark.slot)?;
        self.raw.open_table(TOMBS)?.insert((on.0, mark.tag.0), ())?;
        Ok(())
    }

    /// Whether a key was erased so lately that its grants may be sent again.
    pub(crate) fn buried(&self, subject: SubjectId) -> Result<bool, BookError> {
        let tombs = self.raw.open_table(TOMBS)?;
        for entry in self.raw.open_table(TOMB_KEYS)?.iter()? {
            let (day, slot) = entry?;
            let Some(secret) = self.book.keyring.secret(slot.value())? else { continue };
            if tombs.get((day.value(), mark(&secret, subject)))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Destroys marks and secrets that nothing needs any more.
    pub(crate) fn level_tombs(&self, today: UtcDate) -> Result<(), BookError> {
        let keys = self.raw.open_table(TOMB_KEYS)?;
        let mut over = Vec::new();
        for entry in keys.iter()? {
            let (day, slot) = entry?;
            // A grant may be dated a day after its recording.
            if day.value().saturating_add(OLDEST_RECORD_DAYS + 1) < today.0 {
                over.push(slot.value());
            }
        }
        drop(keys);
        for &slot in &over {
            self.condemn(slot)?;
            self.log_public(&Public::KeyDestroyed { slot, on: today })?;
        }
        if !over.is_empty() {
            self.living_tombs()?;
        }
        Ok(())
    }

    /// Removes the marks of days whose secret is gone; gives the slots of the other secrets.
    pub(crate) fn living_tombs(&self) -> Result<BTreeSet<u64>, BookError> {
        let mut keys = self.raw.open_table(TOMB_KEYS)?;
        let (mut slots, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for entry in keys.iter()? {
            let (day, slot) = entry?;
            if self.lives(slot.value())? {
                slots.insert(slot.value());
            } else {
                gone.insert(day.value());
            }
        }
        keys.retain(|day, _| !gone.contains(&day))?;
        self.raw.open_table(TOMBS)?.retain(|(day, _), ()| !gone.contains(&day))?;
        Ok(slots)
    }
}

fn mark(secret: &Secret, subject: SubjectId) -> [u8; 16] {
    let mut mark = [0; 16];
    // HMAC takes keys of any length, so this cannot fail.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret.0) {
        mac.update(&subject.0);
        for (to, from) in mark.iter_mut().zip(mac.finalize().into_bytes()) {
            *to = from;
        }
    }
    mark
}
