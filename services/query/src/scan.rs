//! The scan: the files of a question in parts of some dates, several at once, into one tally.
//!
//! A part holds prints and the days of the same dates, so that no more than that is in memory of the
//! days, however large the lake.

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::dataframe::DataFrame;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionContext;
use imprimatur_lake::FileEntry;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;

use crate::columns::Columns;
use crate::days::{Days, other_columns};
use crate::fold::{self, Fold};
use crate::people::{ByPseudonym, Crowd, Enrolled, Members};
use crate::plan::Plan;
use crate::request::Question;
use crate::tally::{Buckets, Sums, Tally};

/// Rows of a part, at least, where there are more: dates are put together until there are so many.
const PART_ROWS: u64 = 500_000;

/// Files of some dates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    rows: Vec<FileEntry>,
    days: Vec<FileEntry>,
}

/// Reads files for one question.
#[derive(Clone)]
pub(crate) struct Scan {
    pub(crate) context: SessionContext,
    /// The last commit that counts.
    pub(crate) cut: u64,
    pub(crate) runtime: Arc<RuntimeEnv>,
}

impl Scan {
    fn plan(&self) -> Plan<'_> {
        Plan { context: &self.context, cut: self.cut }
    }

    /// The sums of a question over its files; `None` when somebody has more rows than the fold knows.
    ///
    /// # Errors
    /// The engine's; when the memory is used up.
    pub(crate) async fn sums(
        &self,
        question: &Question,
        (fold, enrolled, crowd): (Fold, Arc<Enrolled>, Arc<Crowd>),
        files: Vec<FileEntry>,
        days: Vec<FileEntry>,
    ) -> Result<Option<Sums>> {
        let shape = fold::shape(question);
        let (fold, question) = (Arc::new(fold), Arc::new(question.clone()));
        let mut sums = Sums::new(shape);
        for (month, parts) in months(files, days) {
            let members = Members::new(Arc::clone(&enrolled), &crowd);
            let tally = Arc::new(Tally::new(shape, members, &self.runtime.memory_pool));
            let each = parts.into_iter().map(|part| {
                let (scan, question) = (self.clone(), Arc::clone(&question));
                let (fold, tally) = (Arc::clone(&fold), Arc::clone(&tally));
                async move { Box::pin(scan.part(&question, &fold, &tally, (month, part))).await }
            });
            some_at_once(each).await?;
            let mut settled = JoinSet::new();
            for part in Arc::into_inner(tally).ok_or_else(other_columns)?.into_parts() {
                settled.spawn_blocking(part);
            }
            while let Some(part) = settled.join_next().await {
                match part.map_err(failed)?? {
                    Some(part) => sums = sums.merged(part),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(sums))
    }

    async fn part(
        &self,
        question: &Question,
        fold: &Fold,
        tally: &Tally,
        (month, part): (u32, Part),
    ) -> Result<()> {
        let memory = MemoryConsumer::new("days").register(&self.runtime.memory_pool);
        let mut days = Days::new(memory);
        if !part.days.is_empty() {
            let rows = self.plan().days(&fold::joined(question), &part.days)?;
            let mut batches = rows.execute_stream().await?;
            while let Some(batch) = batches.next().await {
                fold.days(&batch?, &mut days)?;
            }
        }
        let rows = self.plan().rows(&question.metric, &fold::own(question), &part.rows)?;
        let mut batches = rows.execute_stream().await?;
        let mut counted = Buckets::new();
        while let Some(batch) = batches.next().await {
            fold.rows(&batch?, (&days, month), &mut counted)?;
            if counted.are_full() {
                tally.add(&mut counted)?;
            }
        }
        tally.add(&mut counted)
    }

    /// Principals with more than so many rows in one epoch of a table.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) async fn crowd(
        &self,
        table: RecordKind,
        files: Vec<FileEntry>,
        bound: u32,
    ) -> Result<Crowd> {
        let all: Arc<Mutex<ByPseudonym<u32>>> = Arc::default();
        let parts = months(files, Vec::new()).into_values().flatten();
        let each = parts.map(|part| {
            let (scan, all) = (self.clone(), Arc::clone(&all));
            async move {
                let rows = scan.plan().principals(table, &part.rows)?;
                let own = count(rows).await?;
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                for (principal, rows) in own {
                    let total: &mut u32 = all.entry(principal).or_default();
                    *total = total.saturating_add(rows);
                }
                Ok(())
            }
        });
        some_at_once(each).await?;
        let all = std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(all.into_iter().filter(|(_, rows)| *rows > bound).map(|(one, _)| one).collect())
    }
}

/// Rows of each principal.
async fn count(rows: DataFrame) -> Result<ByPseudonym<u32>> {
    let mut own: ByPseudonym<u32> = ByPseudonym::default();
    let mut batches = rows.execute_stream().await?;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let columns = Columns::of(&batch);
        for row in 0..columns.len() {
            let principal = columns.principal(row).ok_or_else(other_columns)?;
            let total = own.entry(principal).or_default();
            *total = total.saturating_add(1);
        }
    }
    Ok(own)
}

/// The parts of each month, `year * 100 + month`: the dates in their order, put together until a part has
/// [`PART_ROWS`]. Days without rows beside them are left out.
///
/// Nobody has the same pseudonym in two months, so that of one month's tally nothing is needed for the next.
fn months(files: Vec<FileEntry>, days: Vec<FileEntry>) -> BTreeMap<u32, Vec<Part>> {
    let mut dates: BTreeMap<UtcDate, Part> = BTreeMap::new();
    for file in files {
        dates.entry(file.date).or_default().rows.push(file);
    }
    for file in days {
        if let Some(part) = dates.get_mut(&file.date) {
            part.days.push(file);
        }
    }
    let mut months: BTreeMap<u32, Vec<Part>> = BTreeMap::new();
    let count = |part: &Part| part.rows.iter().chain(&part.days).map(|file| file.rows).sum::<u64>();
    for (date, files) in dates {
        let parts = months.entry(date.month()).or_default();
        match parts.last_mut().filter(|part| count(part) < PART_ROWS) {
            Some(part) => {
                part.rows.extend(files.rows);
                part.days.extend(files.days);
            }
            None => parts.push(files),
        }
    }
    months
}

/// Does all of it, as many at once as there are processors; ends at the first failure.
async fn some_at_once<F>(each: impl Iterator<Item = F>) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let most = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut running = JoinSet::new();
    for one in each {
        if running.len() >= most
            && let Some(done) = running.join_next().await
        {
            done.map_err(failed)??;
        }
        running.spawn(one);
    }
    while let Some(done) = running.join_next().await {
        done.map_err(failed)??;
    }
    Ok(())
}

fn failed(error: tokio::task::JoinError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[cfg(test)]
mod tests {
    use imprimatur_consent::Digest;

    use super::*;

    fn file(table: RecordKind, date: u32, rows: u64) -> FileEntry {
        let (date, sha256) = (UtcDate(date), Digest::of(b"file"));
        let path = format!("{}/date={date}/{rows}", table.table());
        FileEntry { path, table, date, rows, first_commit: 1, last_commit: 2, bytes: 1, sha256 }
    }

    #[test]
    fn dates_of_a_month_are_put_together_until_they_are_a_part_and_days_go_with_their_prints() {
        let print = |date, rows| file(RecordKind::Print, date, rows);
        let day = |date, rows| file(RecordKind::Day, date, rows);
        // The last is of February 1970.
        let files =
            vec![print(3, 10), print(1, 400_000), print(2, 200_000), print(1, 7), print(31, 1)];
        let found = months(files, vec![day(2, 5), day(9, 5), day(3, 6)]);
        let first = Part {
            rows: vec![print(1, 400_000), print(1, 7), print(2, 200_000)],
            days: vec![day(2, 5)],
        };
        let second = Part { rows: vec![print(3, 10)], days: vec![day(3, 6)] };
        let last = Part { rows: vec![print(31, 1)], days: Vec::new() };
        let expected = BTreeMap::from([(197_001, vec![first, second]), (197_002, vec![last])]);
        assert_eq!(found, expected);
        assert!(months(Vec::new(), vec![day(1, 1)]).is_empty());
    }
}
