//! What lies beside the catalogue for the console: read strictly, so that it holds counts, dates and words of
//! the code and nothing else, and the checkpoint that it tells is the log's own.

use std::path::Path;

use imprimatur_lake::{CatalogueError, Overview, Report};
use imprimatur_log::Checkpoint;

use crate::report::Check;

/// Reads both files. A folder may have neither: an overview comes with the next publication, a report
/// when it is asked for.
pub(crate) fn read(
    lake: &Path,
    log_key: &[u8; 32],
    geometry: &mut Check,
    first: &mut Check,
) -> Option<Overview> {
    strict("lake/report.json", Report::load(lake), geometry);
    let overview = strict("lake/overview.json", Overview::load(lake), geometry)?;
    let note = Checkpoint::open(&overview.log.checkpoint, log_key);
    let told = (overview.log.size, overview.log.root);
    let own = note.is_ok_and(|note| (note.size, note.root) == told);
    first.expect(own, "lake/overview.json", "tells a log that its checkpoint does not");
    Some(overview)
}

fn strict<T>(place: &str, read: Result<T, CatalogueError>, geometry: &mut Check) -> Option<T> {
    match read {
        Ok(read) => {
            geometry.passed(1);
            Some(read)
        }
        Err(CatalogueError::Absent { .. }) => None,
        Err(_unread) => {
            geometry.found(place, "holds something else than its counts, dates and words");
            None
        }
    }
}
