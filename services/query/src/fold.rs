//! The fold: which of the rows count, in which group, and with what.
//!
//! Nobody excluded, the day's row beside a print; who is enrolled is seen when they are added up. A dimension takes no row away:
//! who does not share its section is in a group of their own. So the groups of a table are all of its
//! total, whatever it is grouped by.

use crate::columns::Columns;
use crate::days::{Days, other_columns};
use crate::dimension::{Dimension, NOT_SHARED};
use crate::margins::{Nests, spot};
use crate::metric::{Counted as Of, Measure, Metric};
use crate::people::LeftOut;
use crate::request::Question;
use crate::tally::{Buckets, Counted, MICROS, Shape};
use datafusion::arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use imprimatur_lake::Catalogue;
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;

/// Where a coordinate of a group comes from.
#[derive(Debug)]
enum Source {
    /// An own column of the row, and who does not share it any more.
    Own(usize, LeftOut),
    /// The day's row of the same subject and date.
    Joined(usize),
}

/// What rows of a question are held to. Read by all threads.
#[derive(Debug)]
pub(crate) struct Fold {
    /// Those who withdrew what the metric uses.
    left_out: LeftOut,
    /// Those who withdrew what the joined dimensions use.
    left_out_of_days: LeftOut,
    /// Of each of the question's finest dimensions.
    sources: Vec<(Dimension, Source)>,
    /// What an index adds to the sum, in [`MICROS`].
    values: Vec<i64>,
    is_histogram: bool,
}

/// The dimensions of a question that rows of its table have themselves.
pub(crate) fn own(question: &Question) -> Vec<Dimension> {
    question.finest().filter(|one| !is_joined(question, *one)).collect()
}

/// The dimensions of a question that prints get from the day's row.
pub(crate) fn joined(question: &Question) -> Vec<Dimension> {
    question.finest().filter(|one| is_joined(question, *one)).collect()
}

fn is_joined(question: &Question, dimension: Dimension) -> bool {
    question.metric.table == RecordKind::Print && dimension.is_of_day()
}

/// What the tally of a question is held to.
pub(crate) fn shape(question: &Question) -> Shape {
    let metric = &question.metric;
    let is_histogram = metric.measure == Measure::Histogram;
    let mut nests = Nests::default();
    for (nest, dimension) in nests.iter_mut().zip(question.finest()) {
        *nest = dimension.coarser().and(Some(dimension));
    }
    Shape {
        width: question.finest().count() + usize::from(is_histogram),
        nests,
        bound: metric.rows_per_principal_and_epoch.get(),
        printers: metric.measure == Measure::Count { of: Of::Printers },
    }
}

impl Fold {
    /// What rows of a question are held to under a catalogue.
    pub(crate) fn new(question: &Question, catalogue: &Catalogue) -> Self {
        let (own, joined) = (own(question), joined(question));
        let place = |all: &[Dimension], one| all.iter().position(|other| *other == one);
        let source = |dimension: &Dimension| {
            if let Some(place) = place(&joined, *dimension) {
                return Source::Joined(place);
            }
            let category = dimension.category();
            let left_out = LeftOut::of(catalogue, |one| category == Some(one));
            Source::Own(place(&own, *dimension).unwrap_or(usize::MAX), left_out)
        };
        let metric = &question.metric;
        let of_days = |category| joined.iter().any(|one| one.category() == Some(category));
        Self {
            left_out: LeftOut::of(catalogue, |category| metric.categories.contains(&category)),
            left_out_of_days: LeftOut::of(catalogue, of_days),
            sources: question.finest().map(|one| (one, source(&one))).collect(),
            values: values(metric),
            is_histogram: metric.measure == Measure::Histogram,
        }
    }

    /// Takes the days of a batch.
    ///
    /// # Errors
    /// When the pool is empty or the plan gave other columns.
    pub(crate) fn days(&self, batch: &RecordBatch, days: &mut Days) -> Result<()> {
        days.add(&Columns::of(batch), &self.left_out_of_days)
    }

    /// The rows of a batch that count if their principal does, each in its group. They are of one month, and so are the days.
    ///
    /// # Errors
    /// When the plan gave other columns, or a row is of another month's epoch.
    pub(crate) fn rows(
        &self,
        batch: &RecordBatch,
        (days, month): (&Days, u32),
        out: &mut Buckets,
    ) -> Result<()> {
        let columns = Columns::of(batch);
        for row in 0..columns.len() {
            if let Some(counted) = self.row(&columns, row, days).ok_or_else(other_columns)? {
                // An epoch is a month, or a day of it.
                if counted.epoch != month && counted.epoch / 100 != month {
                    return Err(other_epoch(counted.epoch, month));
                }
                out.push(counted);
            }
        }
        Ok(())
    }

    /// One row; `Some(None)` when it does not count.
    #[expect(clippy::option_option, reason = "no row, and a plan with other columns")]
    fn row(&self, columns: &Columns<'_>, row: usize, days: &Days) -> Option<Option<Counted>> {
        let (subject, commit) = (columns.subject(row)?, columns.commit(row)?);
        if self.left_out.has(subject, commit) {
            return Some(None);
        }
        let day = if self.sources.iter().any(|(_, source)| matches!(source, Source::Joined(_))) {
            days.of(subject, columns.date(row)?)
        } else {
            Default::default()
        };
        let value = columns.value(row)?;
        let coordinate = |(dimension, source): &(Dimension, Source)| match source {
            Source::Joined(place) => dimension.told(day.get(*place).copied().unwrap_or(0)),
            Source::Own(_, left_out) if left_out.has(subject, commit) => NOT_SHARED,
            Source::Own(place, _) => {
                columns.own(*place, row).map_or(NOT_SHARED, |value| dimension.told(value))
            }
        };
        let bin = self.is_histogram.then_some(value);
        let added = usize::try_from(value).ok().and_then(|index| self.values.get(index));
        Some(Some(Counted {
            principal: columns.principal(row)?,
            epoch: columns.epoch(row)?,
            commit,
            ordinal: columns.ordinal(row)?,
            subject,
            spot: spot(self.sources.iter().map(coordinate).chain(bin))?,
            value: added.copied().unwrap_or(0),
        }))
    }
}

/// A principal could count twice in it: a file has rows of another month's epoch.
fn other_epoch(epoch: u32, month: u32) -> DataFusionError {
    DataFusionError::External(format!("a row of {month} is of the epoch {epoch}").into())
}

/// What each index adds to a sum, in [`MICROS`]: what it stands for, or whether it counts.
fn values(metric: &Metric) -> Vec<i64> {
    let value = |index: u32| match &metric.measure {
        Measure::Rate { numerator, .. } if numerator.contains(&index) => MICROS,
        Measure::Mean { .. } if index > 0 => metric.micros(index),
        Measure::Count { .. }
        | Measure::Histogram
        | Measure::Rate { .. }
        | Measure::Mean { .. } => 0,
    };
    (0..contract().rule(metric.field_id).domain()).map(value).collect()
}
