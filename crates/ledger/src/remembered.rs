//! Answers that were given: the same event gets the same receipt, the same batch the same verdict
//! (INV-5).

use imprimatur_consent::{Digest, SubjectId};
use redb::ReadableTable as _;

use crate::book::unreadable;
use crate::error::BookError;
use crate::tables::{Bytes, RECEIPTS, VERDICTS, WINDOWS};
use crate::txn::Txn;

/// Verdicts remembered for each subject (INV-5).
pub const VERDICTS_REMEMBERED: u64 = 1024;

/// What the book knows of a batch number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Not seen.
    New,
    /// Seen with the same bytes: the verdict that was given.
    Same(Vec<u8>),
    /// Seen with other bytes.
    Reused,
    /// Older than what is remembered.
    TooOld,
}

impl Txn {
    /// The receipt given to a consent event of this number.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn receipt(
        &self,
        subject: SubjectId,
        sequence: u64,
    ) -> Result<Option<(Digest, Vec<u8>)>, BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(None) };
        self.answer(RECEIPTS, "receipt", slot, sequence)
    }

    /// Remembers the receipt given to a consent event.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn keep_receipt(
        &self,
        subject: SubjectId,
        sequence: u64,
        event: Digest,
        receipt: &[u8],
    ) -> Result<(), BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(()) };
        self.keep_answer(RECEIPTS, "receipt", (slot, sequence), event, receipt)?;
        Ok(())
    }

    /// What is known of a batch number of an authenticated subject.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn repeat(
        &self,
        subject: SubjectId,
        sequence: u64,
        frame: Digest,
    ) -> Result<Repeat, BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(Repeat::New) };
        if let Some((hash, verdict)) = self.answer(VERDICTS, "verdict", slot, sequence)? {
            return Ok(if hash == frame { Repeat::Same(verdict) } else { Repeat::Reused });
        }
        let windows = self.raw.open_table(WINDOWS)?;
        let forgotten = windows.get(slot)?.map_or(0, |window| window.value().1);
        Ok(if sequence <= forgotten { Repeat::TooOld } else { Repeat::New })
    }

    /// Remembers the verdict given to a batch, and forgets the oldest beyond
    /// [`VERDICTS_REMEMBERED`].
    ///
    /// # Errors
    /// [`BookError`].
    pub fn keep_verdict(
        &self,
        subject: SubjectId,
        sequence: u64,
        frame: Digest,
        verdict: &[u8],
    ) -> Result<(), BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(()) };
        let fresh = self.keep_answer(VERDICTS, "verdict", (slot, sequence), frame, verdict)?;
        let mut table = self.raw.open_table(VERDICTS)?;
        let mut windows = self.raw.open_table(WINDOWS)?;
        let (held, mut forgotten) = windows.get(slot)?.map_or((0, 0), |window| window.value());
        let mut held = held + u64::from(fresh);
        if held > VERDICTS_REMEMBERED {
            let oldest = {
                let mut of_slot = table.range((slot, 0)..=(slot, u64::MAX))?;
                of_slot.next().transpose()?.map(|(key, _)| key.value())
            };
            if let Some(oldest) = oldest {
                table.remove(oldest)?;
                (held, forgotten) = (held - 1, oldest.1);
            }
        }
        windows.insert(slot, (held, forgotten))?;
        Ok(())
    }

    fn answer(
        &self,
        table: Bytes<(u64, u64)>,
        kind: &str,
        slot: u64,
        number: u64,
    ) -> Result<Option<(Digest, Vec<u8>)>, BookError> {
        let opened = self.raw.open_table(table)?;
        let Some(found) = opened.get((slot, number))? else { return Ok(None) };
        let place = answer_place(kind, slot, number);
        let Some(value) = self.unseal(table, slot, &place, found.value())? else { return Ok(None) };
        split(&value).map(Some).ok_or_else(|| unreadable(table))
    }

    /// Tells whether the number is new.
    fn keep_answer(
        &self,
        table: Bytes<(u64, u64)>,
        kind: &str,
        (slot, number): (u64, u64),
        asked: Digest,
        answer: &[u8],
    ) -> Result<bool, BookError> {
        let value = [asked.0.as_slice(), answer].concat();
        let sealed = self.seal(slot, &answer_place(kind, slot, number), &value)?;
        let mut opened = self.raw.open_table(table)?;
        let before = opened.insert((slot, number), sealed.as_slice())?;
        Ok(before.is_none())
    }
}

pub(crate) fn answer_place(kind: &str, slot: u64, number: u64) -> Vec<u8> {
    [kind.as_bytes(), &[0], &slot.to_be_bytes(), &number.to_be_bytes()].concat()
}

/// A digest and what follows it.
pub(crate) fn split(value: &[u8]) -> Option<(Digest, Vec<u8>)> {
    let (digest, rest) = value.split_at_checked(32)?;
    Some((Digest::try_from(digest).ok()?, rest.to_vec()))
}
