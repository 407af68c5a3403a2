//! What the book holds under seals, opened with the keys beside it.

use std::collections::BTreeMap;

use imprimatur_consent::{Category, Digest, PrincipalId, Pseudonym, Standing, SubjectId};
use imprimatur_runtime::UtcDate;

use super::{Each, Reader};
use crate::book::unreadable;
use crate::error::BookError;
use crate::evidence::{Opened, place};
use crate::journal::{self, JournalRecord};
use crate::keyring::{Keyring, KeyringError};
use crate::pseudonym::Pepper;
use crate::remembered::{answer_place, split};
use crate::seal;
use crate::subject::Held;
use crate::tables::{Bytes, JOURNAL, RECEIPTS, SUBJECTS, TOLD, VERDICTS};
use crate::told::Told;

/// What is held of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What its events add up to.
    pub standing: Standing,
    /// Whether its principal was enrolled through it.
    pub enrolled: bool,
    /// Categories that were granted once and then not, with the position of the last such change.
    pub withdrawn: BTreeMap<Category, u64>,
}

/// A batch on its way to the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its records.
    pub records: Vec<JournalRecord>,
    /// The bytes that were sealed.
    pub bytes: Vec<u8>,
}

/// Prints and day reports that dates have told.
pub type Dates = BTreeMap<UtcDate, [u8; 2]>;

/// An answer that was given: SHA-256 of what was asked, and the signed answer.
pub type Answer = (Digest, Vec<u8>);

impl Reader {
    /// Subjects by slot.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn subjects<'a>(
        &self,
        keyring: &'a Keyring,
    ) -> Result<Each<'a, (u64, Opened<Subject>)>, BookError> {
        self.by_slot((SUBJECTS, "subject"), keyring, |held| {
            serde_json::from_slice(held).ok().map(subject)
        })
    }

    /// What the dates of each slot have told: prints and day reports.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn told<'a>(
        &self,
        keyring: &'a Keyring,
    ) -> Result<Each<'a, (u64, Opened<Dates>)>, BookError> {
        self.by_slot((TOLD, "told"), keyring, |told| Told::read(told).map(|told| told.0))
    }

    /// The entries of a table by slot, sealed under the table's word for their place.
    fn by_slot<'a, T: 'a>(
        &self,
        (table, word): (Bytes<u64>, &'static str),
        keyring: &'a Keyring,
        read: impl Fn(&[u8]) -> Option<T> + 'a,
    ) -> Result<Each<'a, (u64, Opened<T>)>, BookError> {
        let all = self.each(table, |slot, sealed| Ok((slot, sealed.to_vec())))?;
        Ok(Box::new(all.map(move |entry| {
            let (slot, sealed) = entry?;
            let bytes = open(keyring, slot, &place(word, slot), &sealed)?;
            Ok((slot, bytes.and_then(|bytes| read(&bytes))))
        })))
    }

    /// Batches on their way to the lake, with position and slot.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn journal<'a>(
        &self,
        keyring: &'a Keyring,
    ) -> Result<Each<'a, (u64, u64, Opened<Batch>)>, BookError> {
        let all = self.each(JOURNAL, |position, value| Ok((position, value.to_vec())))?;
        Ok(Box::new(all.map(|entry| {
            let (position, value) = entry?;
            let (slot, sealed) = journal::split(&value).ok_or_else(|| unreadable(JOURNAL))?;
            let batch = open(keyring, slot, &place("journal", position), sealed)?;
            let whole = |bytes: Vec<u8>| {
                let records = serde_json::from_slice(&bytes).ok()?;
                Some(Batch { records, bytes })
            };
            Ok((position, slot, batch.and_then(whole)))
        })))
    }

    /// The receipt given to an event of this number.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn receipt(
        &self,
        keyring: &Keyring,
        slot: u64,
        number: u64,
    ) -> Result<Option<Opened<Answer>>, BookError> {
        let Some(sealed) = self.at(RECEIPTS, (slot, number))? else { return Ok(None) };
        Ok(Some(
            open(keyring, slot, &answer_place("receipt", slot, number), &sealed)?
                .and_then(|value| split(&value)),
        ))
    }

    /// Slots and numbers of all receipts.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn receipts(&self) -> Result<Each<'static, (u64, u64)>, BookError> {
        self.each(RECEIPTS, |key, _| Ok(key))
    }

    /// The verdicts that are remembered, by slot and number.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn verdicts<'a>(
        &self,
        keyring: &'a Keyring,
    ) -> Result<Each<'a, (u64, u64, Opened<Answer>)>, BookError> {
        let all = self.each(VERDICTS, |key, sealed| Ok((key, sealed.to_vec())))?;
        Ok(Box::new(all.map(|entry| {
            let ((slot, number), sealed) = entry?;
            let place = answer_place("verdict", slot, number);
            let verdict = open(keyring, slot, &place, &sealed)?;
            Ok((slot, number, verdict.and_then(|value| split(&value))))
        })))
    }
}

/// The pseudonyms of a subject and a principal under the pepper in this slot; `None` when it is
/// destroyed.
///
/// # Errors
/// [`KeyringError`].
pub fn pseudonyms(
    keyring: &Keyring,
    pepper: u64,
    (subject, principal): (SubjectId, PrincipalId),
) -> Result<Option<(Pseudonym, Pseudonym)>, KeyringError> {
    let pepper = keyring.secret(pepper)?.map(Pepper::of);
    Ok(pepper.map(|pepper| (pepper.subject(subject), pepper.principal(principal))))
}

fn subject(held: Held) -> Subject {
    let Held { standing, enrolled, withdrawn } = held;
    Subject { standing, enrolled, withdrawn }
}

fn open(
    keyring: &Keyring,
    slot: u64,
    place: &[u8],
    sealed: &[u8],
) -> Result<Opened<Vec<u8>>, KeyringError> {
    let Some(secret) = keyring.secret(slot)? else { return Ok(Opened::Destroyed) };
    Ok(seal::open(&secret, place, sealed).map_or(Opened::Broken, Opened::Whole))
}
