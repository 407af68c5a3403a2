//! One write transaction: nothing in it is true before its commit, and the index follows it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use imprimatur_consent::{Category, Denial, Standing, SubjectId, Terms};
use imprimatur_runtime::UtcDate;
use redb::ReadableTable as _;

use crate::book::{Inner, decode, unreadable};
use crate::error::BookError;
use crate::index::Known;
use crate::seal;
use crate::subject::Held;
use crate::tables::{
    Bytes, CONDEMNED, EPOCHS, NUMBERS, POSITION, RECEIPTS, SUBJECTS, TASKS, TOLD, VERDICTS, WINDOWS,
};

/// One write transaction.
pub struct Txn {
    pub(crate) raw: redb::WriteTransaction,
    pub(crate) book: Arc<Inner>,
    /// Subjects that it changed, by slot; `None` when it removed one.
    changed: RefCell<BTreeMap<u64, Option<Standing>>>,
    /// Slots of which it changed something, and whose subject enrolled its principal.
    enrolled: RefCell<BTreeSet<u64>>,
    /// Subjects that it made or changed.
    slots: RefCell<BTreeMap<SubjectId, u64>>,
    condemned: RefCell<BTreeSet<u64>>,
}

impl std::fmt::Debug for Txn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Txn(..)")
    }
}

impl Txn {
    pub(crate) fn of(raw: redb::WriteTransaction, book: Arc<Inner>) -> Self {
        let (changed, enrolled, slots, condemned) = Default::default();
        Self { raw, book, changed, enrolled, slots, condemned }
    }

    /// Makes everything durable: drawn keys first, then the book with one fsync; then the index
    /// follows and condemned keys are overwritten.
    ///
    /// # Errors
    /// [`BookError`]: end the process. What failed before the book's fsync did not happen; keys
    /// that could not be overwritten are at the next start.
    pub fn commit(self) -> Result<(), BookError> {
        let book = Arc::clone(&self.book);
        let committed = self.commit_once();
        if committed.is_err() {
            book.failed.store(true, Ordering::SeqCst);
        }
        committed
    }

    fn commit_once(self) -> Result<(), BookError> {
        self.book.keyring.sync()?;
        let following = self.book.following();
        self.raw.commit()?;
        let terms = self.book.terms();
        let mut index = self.book.index.write().unwrap_or_else(PoisonError::into_inner);
        for (slot, standing) in self.changed.into_inner() {
            match standing {
                Some(standing) => index.put(slot, &standing, &terms),
                None => index.remove(slot),
            }
        }
        self.enrolled.into_inner().into_iter().for_each(|slot| index.enrol(slot));
        drop(index);
        drop(following);
        let condemned: Vec<u64> = self.condemned.into_inner().into_iter().collect();
        if !condemned.is_empty() {
            self.book.keyring.destroy(&condemned)?;
        }
        Ok(())
    }

    /// What decisions need of all archived policies.
    pub fn terms(&self) -> Arc<Terms> {
        self.book.terms()
    }

    /// The slot of a subject, with what this transaction changed.
    pub(crate) fn slot(&self, subject: SubjectId) -> Option<u64> {
        let known = self.slots.borrow().get(&subject).copied();
        let slot = known.or_else(|| self.book.index().slot(subject))?;
        let removed = matches!(self.changed.borrow().get(&slot), Some(None));
        (!removed).then_some(slot)
    }

    /// What is known of a subject, with what this transaction changed.
    pub(crate) fn known(&self, slot: u64) -> Option<Known> {
        match self.changed.borrow().get(&slot) {
            Some(None) => None,
            Some(Some(standing)) => Some(Known {
                slot,
                public_key: standing.public_key.0,
                principal: standing.principal,
                policy: standing.policy,
                ended: standing.ended.is_some(),
            }),
            None => self.book.index().at(slot),
        }
    }

    /// Whether a section may be kept, with what this transaction changed.
    pub(crate) fn decide(
        &self,
        (subject, slot): (SubjectId, u64),
        category: Category,
        date: UtcDate,
        today: UtcDate,
    ) -> Result<(), Denial> {
        match self.changed.borrow().get(&slot) {
            Some(None) => Err(Denial::NoGrant),
            Some(Some(standing)) => standing.decide(&self.terms(), category, date, today),
            None => {
                let decided = self.book.index().decide(subject, category, date, today);
                decided.unwrap_or(Err(Denial::NoGrant))
            }
        }
    }

    /// The standing of a subject, with what this transaction changed.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn standing(&self, subject: SubjectId) -> Result<Option<Standing>, BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(None) };
        Ok(self.held(slot)?.map(|held| held.standing))
    }

    /// All that the book holds of the subject in a slot; `None` when its key is gone.
    pub(crate) fn held(&self, slot: u64) -> Result<Option<Held>, BookError> {
        let table = self.raw.open_table(SUBJECTS)?;
        let Some(sealed) = table.get(slot)? else { return Ok(None) };
        Held::open(&self.book.keyring, slot, sealed.value())
    }

    pub(crate) fn hold(&self, slot: u64, held: &Held) -> Result<(), BookError> {
        let sealed = held.seal(&self.book.keyring, slot)?;
        self.raw.open_table(SUBJECTS)?.insert(slot, sealed.as_slice())?;
        self.slots.borrow_mut().insert(held.standing.subject(), slot);
        if held.enrolled {
            self.enrolled.borrow_mut().insert(slot);
        }
        self.changed.borrow_mut().insert(slot, Some(held.standing.clone()));
        Ok(())
    }

    /// Removes the subject in a slot, with all that is sealed under its key or kept by its slot, and
    /// condemns the key. Events and commits stay: they are evidence.
    pub(crate) fn forget(&self, slot: u64) -> Result<(), BookError> {
        for table in [SUBJECTS, TOLD] {
            self.raw.open_table(table)?.remove(slot)?;
        }
        for table in [RECEIPTS, VERDICTS] {
            let all = (slot, 0)..=(slot, u64::MAX);
            self.raw.open_table(table)?.retain_in(all, |_, _| false)?;
        }
        self.raw.open_table(WINDOWS)?.remove(slot)?;
        self.raw.open_table(EPOCHS)?.retain_in((slot, 0)..=(slot, u32::MAX), |_, ()| false)?;
        self.raw.open_table(TASKS)?.retain(|_, value| !value.starts_with(&slot.to_be_bytes()))?;
        self.enrolled.borrow_mut().remove(&slot);
        self.changed.borrow_mut().insert(slot, None);
        self.condemn(slot)
    }

    /// Lets a key be destroyed once this transaction is durable.
    pub(crate) fn condemn(&self, slot: u64) -> Result<(), BookError> {
        self.raw.open_table(CONDEMNED)?.insert(slot, ())?;
        self.condemned.borrow_mut().insert(slot);
        Ok(())
    }

    /// Whether a slot has a key, and keeps it when this transaction is durable.
    pub(crate) fn lives(&self, slot: u64) -> Result<bool, BookError> {
        let condemned = self.condemned.borrow().contains(&slot);
        Ok(!condemned && self.book.keyring.secret(slot)?.is_some())
    }

    /// The next position of the one order that events and commits share.
    pub(crate) fn next_position(&self) -> Result<u64, BookError> {
        self.next_number(POSITION)
    }

    pub(crate) fn number(&self, key: &str) -> Result<u64, BookError> {
        let table = self.raw.open_table(NUMBERS)?;
        Ok(table.get(key)?.map_or(0, |number| number.value()))
    }

    pub(crate) fn set_number(&self, key: &str, number: u64) -> Result<(), BookError> {
        self.raw.open_table(NUMBERS)?.insert(key, number)?;
        Ok(())
    }

    pub(crate) fn next_number(&self, key: &str) -> Result<u64, BookError> {
        let next = self.number(key)? + 1;
        self.set_number(key, next)?;
        Ok(next)
    }

    pub(crate) fn get<K: redb::Key + 'static, V: serde::de::DeserializeOwned>(
        &self,
        table: Bytes<K>,
        key: K::SelfType<'_>,
    ) -> Result<Option<V>, BookError> {
        let opened = self.raw.open_table(table)?;
        let found = opened.get(key)?;
        found.map(|found| decode(table, found.value())).transpose()
    }

    pub(crate) fn put<K: redb::Key + 'static, V: serde::Serialize>(
        &self,
        table: Bytes<K>,
        key: K::SelfType<'_>,
        value: &V,
    ) -> Result<(), BookError> {
        let bytes = serde_json::to_vec(value).map_err(|_no_json| unreadable(table))?;
        self.raw.open_table(table)?.insert(key, bytes.as_slice())?;
        Ok(())
    }

    /// Seals bytes under a slot's key for their place.
    pub(crate) fn seal(&self, slot: u64, place: &[u8], value: &[u8]) -> Result<Vec<u8>, BookError> {
        let secret = self.book.keyring.secret(slot)?;
        let secret = secret.ok_or_else(|| unreadable(SUBJECTS))?;
        Ok(seal::seal(&secret, place, value)?)
    }

    /// Opens sealed bytes of a table; `None` when the key is gone.
    ///
    /// # Errors
    /// [`BookError::Unreadable`] when they are not of this place: what cannot be read is not taken
    /// for what was never there.
    pub(crate) fn unseal<K: redb::Key + 'static>(
        &self,
        table: Bytes<K>,
        slot: u64,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, BookError> {
        let Some(secret) = self.book.keyring.secret(slot)? else { return Ok(None) };
        seal::open(&secret, place, sealed).map(Some).ok_or_else(|| unreadable(table))
    }
}
