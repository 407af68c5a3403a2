//! Marks: by category the position of the newest event by which somebody's rows of it stopped being used.
//!
//! Whoever made numbers of those rows compares the mark of then with that of now. A mark is one number for
//! all and names nobody, so it outlives who moved it: no erasure takes it back. It never goes back. A book
//! that is older than marks, or was restored, begins with its newest position, as if everybody had left then.

use std::collections::BTreeMap;

use imprimatur_consent::standing::Ended;
use imprimatur_consent::{Category, Standing};
use imprimatur_runtime::UtcDate;
use redb::ReadableTable as _;

use crate::error::BookError;
use crate::subject::Held;
use crate::tables::{EXCLUDED_AT, NUMBERS, POSITION};
use crate::txn::Txn;

impl Txn {
    /// The marks of all categories, and the newest position that they know of; nobody else writes while this
    /// transaction is open.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn excluded_at(&self) -> Result<(BTreeMap<Category, u64>, u64), BookError> {
        let mut marks = BTreeMap::new();
        for category in Category::ALL {
            marks.insert(category, self.number(&key(category))?);
        }
        Ok((marks, self.number(POSITION)?))
    }

    /// Begins the marks that a book does not have yet.
    pub(crate) fn begin_marks(&self) -> Result<(), BookError> {
        let position = self.number(POSITION)?;
        for category in Category::ALL {
            let key = key(category);
            let known = self.raw.open_table(NUMBERS)?.get(key.as_str())?.is_some();
            if !known {
                self.set_number(&key, position)?;
            }
        }
        Ok(())
    }

    /// Moves all marks to the newest position: who left is not known any more.
    pub(crate) fn mark_all(&self) -> Result<(), BookError> {
        let position = self.number(POSITION)?;
        Category::ALL.into_iter().try_for_each(|category| self.mark(category, position))
    }

    /// Moves the marks of the categories that an event ended.
    pub(crate) fn mark_ended(
        &self,
        before: &Held,
        after: &Standing,
        on: UtcDate,
        position: u64,
    ) -> Result<(), BookError> {
        let is_first_end = |standing: &Standing| matches!(standing.ended, Some((Ended::Erased, _)));
        let leaves = !is_first_end(&before.standing) && is_first_end(after);
        if leaves && before.enrolled && self.has_others(&before.standing) {
            // With it may end what vouches for the principal, and so for rows of its other subjects.
            return Category::ALL.into_iter().try_for_each(|one| self.mark(one, position));
        }
        let ended = before.standing.ended_by(after, on);
        ended.into_iter().try_for_each(|category| self.mark(category, position))
    }

    fn has_others(&self, standing: &Standing) -> bool {
        let own = self.slot(standing.subject()).unwrap_or(u64::MAX);
        !self.book.index().others_of(standing.principal, own).is_empty()
    }

    fn mark(&self, category: Category, position: u64) -> Result<(), BookError> {
        let key = key(category);
        let before = self.number(&key)?;
        self.set_number(&key, before.max(position))
    }
}

fn key(category: Category) -> String {
    format!("{EXCLUDED_AT}{category}")
}
