//! Erasures and rectifications: one pass over the lake for all that is due.
//!
//! A rectification waits while rows of its subject are on their way, an erasure for the end of a legal
//! hold. While an erasure waits, its subject is excluded from every answer already.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::Category;
use imprimatur_lake::{FileEntry, Row};
use imprimatur_ledger::{Job, Work};
use imprimatur_proto::contract;
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_runtime::UtcDate;

use super::{Publisher, Step, lake_error};
use crate::error::CollectorError;

/// Values of a section, by column name.
type Values = BTreeMap<String, u32>;

/// How much an erasure took.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    rows: u64,
    files: u64,
}

impl Publisher {
    /// Finishes the tasks that are due; gives the number of files that were replaced.
    pub(super) fn work_off(&self, today: UtcDate) -> Result<usize, CollectorError> {
        let book = &self.stores.book;
        let txn = book.begin()?;
        let work = txn.work(today)?;
        drop(txn);
        if work.is_empty() {
            return Ok(0);
        }
        let mut done = vec![Done::default(); work.len()];
        let mut replaced = Vec::new();
        for file in book.files::<FileEntry>()? {
            let before: Vec<u64> = done.iter().map(|done| done.rows).collect();
            let rewritten = self.lake.rewrite(&file, |row| change(&work, &mut done, row));
            let rewritten = rewritten.map_err(lake_error)?;
            for (done, before) in done.iter_mut().zip(before) {
                done.files += u64::from(done.rows > before);
            }
            if rewritten.as_ref() != Some(&file) {
                replaced.push((file, rewritten));
            }
        }
        self.reached(Step::Rewritten)?;
        let txn = book.begin()?;
        let due = txn.work(today)?;
        if !work.iter().all(|work| due.contains(work)) {
            // A legal hold came meanwhile: what was written is swept, and the rest done next time.
            return Ok(replaced.len());
        }
        for (old, new) in &replaced {
            let successor = new.as_ref().map(|entry| (entry.path.as_str(), entry));
            txn.replace_file(&old.path, successor)?;
        }
        for (work, done) in work.iter().zip(&done) {
            txn.finish(work, done.rows, done.files, today)?;
        }
        txn.commit()?;
        self.stores.readings.clear();
        tracing::info!(tasks = work.len(), files = replaced.len(), "erased or rectified");
        Ok(replaced.len())
    }
}

/// What the tasks make of a row; `None` when it is erased.
fn change(work: &[Work], done: &mut [Done], row: Row) -> Option<Row> {
    let mut row = row;
    for (work, done) in work.iter().zip(done) {
        if !work.pseudonyms.contains(&row.subject) {
            continue;
        }
        match &work.job {
            Job::Erase => {
                done.rows += 1;
                return None;
            }
            Job::Rectify { since, sections } => {
                if row.kind == RecordKind::Day && row.date >= *since {
                    rectify(&mut row, sections);
                }
            }
        }
    }
    Some(row)
}

/// Puts the new values in the place of those sections that the row has; no row gains a section.
fn rectify(row: &mut Row, sections: &BTreeMap<Category, Values>) {
    for section in &mut row.sections {
        let Some(values) = sections.get(&section.category) else { continue };
        let field = |(name, &index): (&String, &u32)| {
            contract().column(RecordKind::Day, name).map(|field| (field, index))
        };
        let values: BTreeSet<_> = values.iter().filter_map(field).collect();
        *section = Section { category: section.category, values: values.into_iter().collect() };
    }
}
