//! Counters: answers by outcome and reason, since the book was made and for each of the last days.
//!
//! Both are written in one transaction, so that they never differ. Of days, the newest 400 on which
//! anything was counted are kept, so a clock that jumped costs one old day and no more.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_runtime::UtcDate;
use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::book::Book;
use crate::error::BookError;
use crate::tables::{COUNTS, COUNTS_BY_DAY};
use crate::txn::Txn;

/// Days of which counts are kept.
pub const COUNT_DAYS: usize = 400;

impl Book {
    /// All counters: answers by outcome and reason.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn counts(&self) -> Result<BTreeMap<String, u64>, BookError> {
        let table = self.0.db.begin_read()?.open_table(COUNTS)?;
        let mut counts = BTreeMap::new();
        for entry in table.iter()? {
            let (name, count) = entry?;
            counts.insert(name.value().to_owned(), count.value());
        }
        Ok(counts)
    }

    /// The counters of each of the last [`COUNT_DAYS`] days on which anything was counted.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn counts_by_day(&self) -> Result<BTreeMap<(UtcDate, String), u64>, BookError> {
        let table = self.0.db.begin_read()?.open_table(COUNTS_BY_DAY)?;
        let mut counts = BTreeMap::new();
        for entry in table.iter()? {
            let (key, count) = entry?;
            let (day, name) = key.value();
            counts.insert((UtcDate(day), name.to_owned()), count.value());
        }
        Ok(counts)
    }
}

impl Txn {
    /// Adds to a counter and to that of the day.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn count(&self, name: &str, more: u64, on: UtcDate) -> Result<(), BookError> {
        let mut table = self.raw.open_table(COUNTS)?;
        let before = table.get(name)?.map_or(0, |count| count.value());
        table.insert(name, before.saturating_add(more))?;
        let mut days = self.raw.open_table(COUNTS_BY_DAY)?;
        let day = (on.0, "")..(on.0.saturating_add(1), "");
        let new = days.range(day)?.next().is_none();
        if new {
            let mut kept = BTreeSet::new();
            for entry in days.iter()? {
                kept.insert(entry?.0.value().0);
            }
            let most = COUNT_DAYS.saturating_sub(1);
            for day in kept.iter().take(kept.len().saturating_sub(most)) {
                days.retain_in((*day, "")..(day.saturating_add(1), ""), |_, _| false)?;
            }
        }
        let before = days.get((on.0, name))?.map_or(0, |count| count.value());
        days.insert((on.0, name), before.saturating_add(more))?;
        Ok(())
    }
}
