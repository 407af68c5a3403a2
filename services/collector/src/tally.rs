//! The tally: how many answers of each kind were given; all that stays of a refusal (INV-6).
//!
//! Counts are kept in memory and added to the book with the next commit or publication, so that
//! garbage costs no fsync. A crash can lose the counts of the last publication interval, never
//! the counts of what was stored.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use imprimatur_ledger::{BookError, Txn};
use imprimatur_runtime::UtcDate;

/// Counts that are not in the book yet.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    /// Counts one answer.
    pub fn count(&self, name: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(name.to_owned()).or_default() += 1;
    }

    /// Moves the counts into the book's transaction, as counts of this day: an answer of the second before
    /// midnight may count to the day after.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn settle(&self, txn: &Txn, on: UtcDate) -> Result<(), BookError> {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        counts.iter().try_for_each(|(name, count)| txn.count(name, *count, on))
    }

    /// What is not in the book yet.
    pub fn pending(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is nothing to settle.
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
