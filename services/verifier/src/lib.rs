//! The verifier: re-proves INV-1, INV-5 and INV-7 from stored bytes, offline.
//!
//! It reads two folders, the lake and the evidence, and trusts neither: consent events are checked
//! by their own signatures, standings are computed anew in the order of positions, every row of
//! every file is matched with the evidence of its commit. It never writes, opens no book and knows
//! no pepper. What it cannot read, it cannot prove, and says so: that is a failure.

mod replay;
mod report;
mod rows;
mod snapshot;
#[cfg(test)]
mod tests;

use std::path::Path;

use imprimatur_consent::Invariant;
use imprimatur_lake::Lake;
use imprimatur_proto::contract;

pub use report::{Check, Finding, Report};
pub use snapshot::SnapshotError;

use crate::snapshot::Snapshot;

/// Findings kept for each invariant; more are only counted.
pub const FINDINGS_MAX: usize = 100;

/// Verifies a lake and its evidence.
///
/// # Errors
/// [`SnapshotError`] when there is nothing to verify or it does not belong together: exit 1, for
/// what cannot be read is not proven.
pub fn verify(lake: &Path, evidence: &Path) -> Result<Report, SnapshotError> {
    let snapshot = Snapshot::load(lake, evidence)?;
    let lake = Lake::open(lake).map_err(SnapshotError::Lake)?;
    let mut permits = Check::new(Invariant::NoPermitNoRow);
    let mut once = Check::new(Invariant::CountsOnce);
    let mut geometry = Check::new(Invariant::NoGeometry);

    replay::consent_and_commits(&snapshot, &mut permits, &mut once);
    match contract().capacity().within_budget() {
        Ok(()) => geometry.passed(1),
        Err(over) => geometry.found("contract", &over.to_string()),
    }
    let rows = rows::read(&lake, &snapshot, &mut geometry);
    rows::match_with_evidence(&rows, &snapshot, &mut permits, &mut once);
    Ok(Report::new(&snapshot, rows.len(), vec![permits, once, geometry]))
}
