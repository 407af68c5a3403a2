//! The days: what the day's rows tell of each subject and date, for the prints of the same.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;

use crate::columns::Columns;
use crate::people::{ByPseudonym, LeftOut, Number};
use crate::request::DIMENSIONS_MOST;

/// A value of each joined dimension, in their order; 0 where unknown.
pub(crate) type Day = [i32; DIMENSIONS_MOST];

/// Days by subject and date.
#[derive(Debug)]
pub(crate) struct Days {
    // Most parts of a lake are of one date, so that a subject has few days here.
    days: ByPseudonym<Vec<(i32, Day)>>,
    memory: MemoryReservation,
}

impl Days {
    pub(crate) fn new(memory: MemoryReservation) -> Self {
        Self { days: ByPseudonym::default(), memory }
    }

    /// Takes the days of a batch. Of several rows of one day the highest index counts. Nothing of a
    /// day counts whose subject is left out.
    ///
    /// # Errors
    /// When the pool is empty or the columns are others than the plan's.
    pub(crate) fn add(&mut self, batch: &Columns<'_>, left_out: &LeftOut) -> Result<()> {
        // Before they are there: an entry, its vector and their slack.
        let each = 2 * size_of::<(Number, Vec<(i32, Day)>)>() + 2 * size_of::<(i32, Day)>();
        self.memory.try_grow(batch.len() * each)?;
        for row in 0..batch.len() {
            let subject = batch.subject(row).ok_or_else(other_columns)?;
            let (Some(commit), Some(date)) = (batch.commit(row), batch.date(row)) else {
                return Err(other_columns());
            };
            if left_out.has(subject, commit) {
                continue;
            }
            let days = self.days.entry(subject).or_insert_with(|| Vec::with_capacity(1));
            let day = match days.iter_mut().position(|(of, _)| *of == date) {
                Some(at) => days.get_mut(at),
                None => {
                    days.push((date, Day::default()));
                    days.last_mut()
                }
            };
            for (value, own) in day.into_iter().flat_map(|(_, day)| day.iter_mut()).zip(0..) {
                *value = batch.own(own, row).unwrap_or(0).max(*value);
            }
        }
        Ok(())
    }

    /// What the day of a subject and date tells; zeros where there is no row.
    pub(crate) fn of(&self, subject: Number, date: i32) -> Day {
        let days = self.days.get(&subject);
        let day = days.and_then(|days| days.iter().find(|(of, _)| *of == date));
        day.map_or_else(Day::default, |(_, day)| *day)
    }
}

/// The plan gave other columns than it was asked for.
pub(crate) fn other_columns() -> DataFusionError {
    DataFusionError::Internal("the plan gave other columns".to_owned())
}
