//! Compaction: a publication each second leaves a file each second; many small ones become one.
//!
//! The same order as everywhere: the merged file is whole and durable, one transaction takes it in
//! and its parts out, the catalogue is swapped, the parts are swept. A crash in between leaves either
//! the parts or the whole. Rows stay as they are, so the evidence of each still stands.

use std::collections::BTreeMap;

use imprimatur_lake::{FileEntry, Row};
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;

use super::{Publisher, Step, lake_error};
use crate::error::CollectorError;

/// Small files of one table and date that may be there before they are merged: for past dates, to
/// which little is added, and for today, so that no row of today is written more than once for
/// each so many publications.
const FILES_PAST: usize = 16;
const FILES_TODAY: usize = 64;

/// A file with fewer rows is small.
const SMALL_ROWS: u64 = 8 * 1024;

/// Rows that are merged at once, which one file that is nearly large and another may be: they hold
/// about 20 MB of memory for a moment, a good kilobyte each.
const MERGED_ROWS: u64 = 2 * SMALL_ROWS;

impl Publisher {
    /// Merges the small files of each table and date; gives the number of files that were replaced.
    pub(super) fn compact(&self, today: UtcDate) -> Result<usize, CollectorError> {
        let mut small: BTreeMap<(RecordKind, UtcDate), Vec<FileEntry>> = BTreeMap::new();
        for file in self.stores.book.files::<FileEntry>()? {
            if file.rows < SMALL_ROWS {
                small.entry((file.table, file.date)).or_default().push(file);
            }
        }
        let mut merged = 0;
        for ((_, date), mut parts) in small {
            let most = if date < today { FILES_PAST } else { FILES_TODAY };
            if parts.len() > most {
                parts.sort_by_key(|part| part.first_commit);
                merged += self.merge(&parts)?;
            }
        }
        Ok(merged)
    }

    fn merge(&self, parts: &[FileEntry]) -> Result<usize, CollectorError> {
        let mut count = 0_u64;
        let fits = |part: &&FileEntry| {
            count = count.saturating_add(part.rows);
            count <= MERGED_ROWS
        };
        let parts: Vec<&FileEntry> = parts.iter().take_while(fits).collect();
        let mut rows: Vec<Row> = Vec::new();
        for part in &parts {
            rows.extend(self.lake.read(part).map_err(lake_error)?);
        }
        let whole = self.lake.write(&rows).map_err(lake_error)?;
        self.reached(Step::Merged)?;
        let txn = self.stores.book.begin()?;
        for part in &parts {
            txn.replace_file(&part.path, None::<(&str, &FileEntry)>)?;
        }
        let named: Vec<(&str, &FileEntry)> =
            whole.iter().map(|file| (file.path.as_str(), file)).collect();
        txn.publish(&[], &named)?;
        txn.commit()?;
        tracing::debug!(files = parts.len(), rows = rows.len(), "merged small files");
        Ok(parts.len())
    }
}
