//! Restoring a backup: the ledger replays what was withdrawn and erased since, then the rows of those
//! who were erased are taken out of the lake again. Only after that may a collector start.

use std::path::Path;

use imprimatur_lake::{FileEntry, Lake};
use imprimatur_ledger::Book;
use imprimatur_runtime::UnixSeconds;

use crate::error::CollectorError;
use crate::publisher::lake_error;

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// The backup.
    pub backup: String,
    /// Rows of erased subjects that were taken out again.
    pub erased_rows: u64,
    /// First and last position of the commits whose rows the backup does not have.
    pub lost: Option<(u64, u64)>,
}

/// Restores a backup into the data folder of a collector that does not run. Repeating one that broke
/// off gives the same.
///
/// # Errors
/// [`CollectorError`]; nothing may be served before a restore succeeded.
pub fn restore(data: &Path, from: &Path, now: UnixSeconds) -> Result<Restored, CollectorError> {
    let (book, replayed) = Book::restore(data, from, now)?;
    let lake = Lake::open(data.join("lake")).map_err(lake_error)?;
    let mut erased_rows = 0;
    for file in book.files::<FileEntry>()? {
        let touched = replayed.gone.range(file.first_commit..=file.last_commit).next().is_some();
        if !touched {
            continue;
        }
        let kept = lake.rewrite(&file, |row| {
            let gone = replayed.gone.contains(&row.commit);
            erased_rows += u64::from(gone);
            (!gone).then_some(row)
        });
        let kept = kept.map_err(lake_error)?;
        let txn = book.begin()?;
        txn.replace_file(&file.path, kept.as_ref().map(|entry| (entry.path.as_str(), entry)))?;
        txn.commit()?;
    }
    book.finish_restore(&replayed, erased_rows, now)?;
    Ok(Restored { backup: replayed.backup, erased_rows, lost: replayed.lost })
}
