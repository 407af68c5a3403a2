//! The days: what the day's rows tell of each subject and date, for the prints of the same.

use std::hash::BuildHasherDefault;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::HashMap;

use crate::columns::Columns;
use crate::people::{LeftOut, Mixed, Number};
use crate::request::DIMENSIONS_MOST;

/// A value of each joined dimension, in their order; 0 where unknown.
pub(crate) type Day = [i32; DIMENSIONS_MOST];

/// Days by subject and date.
#[derive(Debug)]
pub(crate) struct Days {
    days: HashMap<(Number, i32), Day, BuildHasherDefault<Mixed>>,
    memory: MemoryReservation,
}

impl Days {
    pub(crate) fn new(memory: MemoryReservation) -> Self {
        Self { days: HashMap::default(), memory }
    }

    /// Takes the days of a batch. Of several rows of one day the highest index counts. Nothing of a
    /// day counts whose subject is left out.
    ///
    /// # Errors
    /// When the pool is empty or the columns are others than the plan's.
    pub(crate) fn add(&mut self, batch: &Columns<'_>, left_out: &LeftOut) -> Result<()> {
        let most = self.days.len() + batch.len();
        if most > self.days.capacity() {
            let more = most.max(2 * self.days.capacity());
            // While it grows both are there; a table has up to twice the places that it needs.
            self.memory.try_grow(more * 2 * size_of::<((Number, i32), Day)>())?;
            self.days.reserve(more - self.days.len());
            self.memory.try_resize(self.days.allocation_size())?;
        }
        for row in 0..batch.len() {
            let subject = batch.subject(row).ok_or_else(other_columns)?;
            let (Some(commit), Some(date)) = (batch.commit(row), batch.date(row)) else {
                return Err(other_columns());
            };
            if left_out.has(subject, commit) {
                continue;
            }
            let day = self.days.entry((subject, date)).or_default();
            for (value, own) in day.iter_mut().zip(0..) {
                *value = batch.own(own, row).unwrap_or(0).max(*value);
            }
        }
        Ok(())
    }

    /// What the day of a subject and date tells; zeros where there is no row.
    pub(crate) fn of(&self, subject: Number, date: i32) -> Day {
        self.days.get(&(subject, date)).copied().unwrap_or_default()
    }
}

/// The plan gave other columns than it was asked for.
pub(crate) fn other_columns() -> DataFusionError {
    DataFusionError::Internal("the plan gave other columns".to_owned())
}
