//! What time does: grants lapse, rows expire by whole files, peppers and old evidence go, and what is
//! overdue is said aloud. Once a day, and at the start.

use imprimatur_consent::event::{Public, What};
use imprimatur_lake::FileEntry;
use imprimatur_ledger::register::Asker;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;

use super::Publisher;
use crate::error::CollectorError;
use crate::rights::exercise::{Party, exercise};
use crate::rights::request::Wish;

impl Publisher {
    /// Does the clock's duties of a day in one transaction.
    pub(super) fn keep_time(&self, today: UtcDate) -> Result<(), CollectorError> {
        let book = &self.stores.book;
        let now = self.stores.clock.now();
        let overdue = book.register()?.iter().filter(|entry| entry.overdue(today)).count();
        let txn = book.begin()?;
        for (subject, categories) in txn.lapsed(today)? {
            if txn.record(subject, &What::Expired { categories }, now)?.is_err() {
                tracing::warn!("a lapsed grant could not be recorded as expired");
            }
        }
        for subject in txn.outlived(today)? {
            let clock = Party { subject, asker: Asker::Clock, proof: Vec::new() };
            exercise(&txn, &clock, &Wish::Erase, now)?;
        }
        let retention = txn.terms().retention();
        let rows = retention.print_days.max(retention.day_days);
        let epochs = txn.expire_peppers(rows, today)?.len();
        if overdue > 0 {
            tracing::warn!(
                requests = overdue,
                "requests of owners are overdue; see `imprimatur subject requests --overdue`"
            );
            txn.count("rights.overdue", u64::try_from(overdue).unwrap_or(u64::MAX), today)?;
        }
        txn.commit()?;
        if epochs > 0 {
            tracing::info!(epochs, "destroyed the peppers of expired epochs");
        }
        Ok(())
    }

    /// Takes the files out whose rows are too old; gives their number.
    pub(super) fn expire_files(&self, today: UtcDate) -> Result<usize, CollectorError> {
        let book = &self.stores.book;
        let kept = book.kept_since()?;
        let old = |file: &FileEntry| {
            let gone = kept.get(file.table.table()).is_some_and(|since| file.date < *since);
            gone || file.date < self.first_kept(file.table, today)
        };
        let files: Vec<FileEntry> = book.files()?;
        let expired: Vec<&FileEntry> = files.iter().filter(|file| old(file)).collect();
        if expired.is_empty() {
            return Ok(0);
        }
        let counts = book.counts()?;
        let txn = book.begin()?;
        for file in &expired {
            txn.replace_file(&file.path, None::<(&str, &FileEntry)>)?;
        }
        for kind in RecordKind::ALL {
            txn.keep_since(kind.table(), self.first_kept(kind, today))?;
        }
        // The day on which rows were let go is told in the log: the clock may go back.
        let (first, last, segment, on) = (0, 0, None, today);
        txn.log_public(&Public::Counts { first, last, segment, counts, on })?;
        txn.commit()?;
        tracing::info!(files = expired.len(), "dropped what is kept no longer");
        Ok(expired.len())
    }

    /// The first date whose rows are kept.
    pub(super) fn first_kept(&self, kind: RecordKind, today: UtcDate) -> UtcDate {
        let retention = self.stores.book.terms().retention();
        let days = match kind {
            RecordKind::Print => retention.print_days,
            RecordKind::Day => retention.day_days,
        };
        UtcDate(today.0.saturating_sub(days))
    }
}
