//! The files of a question: chosen by table and date, and checked before their bytes are decoded.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use imprimatur_consent::Digest;
use imprimatur_lake::{Catalogue, FileEntry, Lake};
use imprimatur_proto::record::RecordKind;

use crate::error::QueryError;
use crate::request::Question;

/// The lake, and which of its files were found to be what was published.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    lake: Lake,
    // One digest for each file read so far; files are immutable and named by their digest.
    checked: Arc<Mutex<BTreeSet<(String, Digest)>>>,
}

impl Files {
    pub(crate) fn new(lake: Lake) -> Self {
        Self { lake, checked: Arc::default() }
    }

    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The files that a question needs from a table, each checked once.
    pub(crate) async fn of(
        &self,
        catalogue: &Catalogue,
        question: &Question,
        table: RecordKind,
    ) -> Result<Vec<FileEntry>, QueryError> {
        let mut chosen: Vec<FileEntry> = catalogue.files.clone();
        // Each file has one date.
        chosen.retain(|entry| {
            entry.table == table
                && question.since.is_none_or(|since| entry.date >= since)
                && question.until.is_none_or(|until| entry.date <= until)
        });
        let files = self.clone();
        let checked = tokio::task::spawn_blocking(move || {
            chosen.iter().try_for_each(|entry| files.check(entry))?;
            Ok(chosen)
        });
        checked.await.map_err(|failed| QueryError::Engine(Box::new(failed)))?
    }

    fn check(&self, entry: &FileEntry) -> Result<(), QueryError> {
        let key = (entry.path.clone(), entry.sha256);
        let is_known = |key| self.known().contains(key);
        if is_known(&key) {
            return Ok(());
        }
        let failed = |source| QueryError::File { path: entry.path.clone(), source };
        self.lake.check(entry).map_err(failed)?;
        self.known().insert(key);
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<(String, Digest)>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
