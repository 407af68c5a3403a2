//! The verifier: re-proves INV-1, INV-5, INV-7, INV-9 and INV-10 from stored bytes, offline.
//!
//! It reads four folders of a collector (lake, evidence, log, keys) and trusts none: consent events
//! are checked by their own signatures and by the commitments in the log, standings are computed
//! anew in the order of positions, every row of every file is matched with the evidence of its
//! commit. It never writes, opens no book and knows no pepper. What it cannot read, it cannot
//! prove, and says so: that is a failure.

mod acts;
mod chain;
mod ledger;
mod replay;
mod report;
mod rows;
mod snapshot;
#[cfg(test)]
mod tests;

use std::path::Path;

use imprimatur_consent::Invariant;
use imprimatur_lake::Lake;
use imprimatur_log::Checkpoint;
use imprimatur_proto::contract;

pub use report::{Check, Finding, Report};
pub use snapshot::SnapshotError;

use crate::ledger::Ledger;
use crate::snapshot::{Evidence, Snapshot};

/// Findings kept for each invariant; more are only counted.
pub const FINDINGS_MAX: usize = 100;

/// What the reader knows from elsewhere. Without it, a log that was replaced whole cannot be told
/// from a true one.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The public key that signs the log, as its operator published it.
    pub log_key: Option<[u8; 32]>,
    /// A checkpoint that somebody else kept.
    pub anchor: Option<Checkpoint>,
}

/// Verifies lake, evidence, log and keys of a collector's folder. A collector may run meanwhile:
/// what does not hold is looked at again while the folders change.
///
/// # Errors
/// [`SnapshotError`] when there is nothing to verify or it does not belong together: exit 1, for
/// what cannot be read is not proven.
pub fn verify(data: &Path, trust: &Trust) -> Result<Report, SnapshotError> {
    snapshot::settled(data, || verify_now(data, trust))
}

/// Verifies log, evidence and keys alone: nothing was cut, forked, changed, used twice or hidden.
/// Rows are not looked at.
///
/// # Errors
/// As [`verify`].
pub fn verify_ledger(data: &Path, trust: &Trust) -> Result<Report, SnapshotError> {
    snapshot::settled(data, || verify_ledger_now(data, trust))
}

/// As [`verify_ledger`], with one look at a folder that nobody changes.
///
/// # Errors
/// As [`verify`].
#[doc(hidden)]
pub fn verify_still_ledger(data: &Path, trust: &Trust) -> Result<Report, SnapshotError> {
    verify_ledger_now(data, trust)
}

fn verify_now(data: &Path, trust: &Trust) -> Result<Report, SnapshotError> {
    let snapshot = Snapshot::load(data)?;
    let lake = Lake::open(data.join("lake")).map_err(SnapshotError::Lake)?;
    let mut permits = Check::new(Invariant::NoPermitNoRow);
    let mut once = Check::new(Invariant::CountsOnce);
    let mut geometry = Check::new(Invariant::NoGeometry);
    let mut first = Check::new(Invariant::EvidenceFirst);
    let mut erased = Check::new(Invariant::ErasureProvable);

    let ledger = Ledger::open(&snapshot.ledger, trust, &mut first, &mut erased);
    let standings = replay::events_and_commits(&ledger, &mut permits, &mut once);
    match contract().capacity().within_budget() {
        Ok(()) => geometry.passed(1),
        Err(over) => geometry.found("contract", &over.to_string()),
    }
    let rows = rows::read(&lake, &snapshot, &mut geometry);
    let expected = rows::Expected::of(&snapshot, &ledger, &standings, &mut once, &mut erased);
    rows::match_with_evidence(&rows, &expected, &mut permits, &mut once, &mut erased);
    let checks = vec![permits, once, geometry, first, erased];
    let (files, synthetic) = (snapshot.catalogue.files.len(), snapshot.catalogue.synthetic);
    Ok(Report { files, synthetic, rows: rows.len(), ..Report::new("compliance", &ledger, checks) })
}

fn verify_ledger_now(data: &Path, trust: &Trust) -> Result<Report, SnapshotError> {
    let evidence = Evidence::load(data)?;
    let mut permits = Check::new(Invariant::NoPermitNoRow);
    let mut once = Check::new(Invariant::CountsOnce);
    let mut first = Check::new(Invariant::EvidenceFirst);
    let mut erased = Check::new(Invariant::ErasureProvable);
    let ledger = Ledger::open(&evidence, trust, &mut first, &mut erased);
    replay::events_and_commits(&ledger, &mut permits, &mut once);
    Ok(Report::new("ledger", &ledger, vec![permits, once, first, erased]))
}
