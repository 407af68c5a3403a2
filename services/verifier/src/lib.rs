//! The verifier: re-proves INV-1, INV-5, INV-7, INV-9 and INV-10 from stored bytes, offline, searches
//! every byte for geometry, and says of the other invariants what bytes cannot show.
//!
//! It reads a collector's folder and trusts no part of it: consent events are checked by their own
//! signatures and by the commitments in the log, standings are computed anew in the order of
//! positions, every row of every file is matched with the evidence of its commit, and what the book
//! says is held against all that. It never writes. What it cannot read, it cannot prove, and says so:
//! that is a failure, or, of a book that a collector holds open, no whole proof ([`Verdict`]).

mod acts;
mod book;
mod chain;
mod claims;
mod facts;
mod html;
mod ledger;
mod marks;
mod overview;
mod record;
mod replay;
mod report;
mod rows;
mod scan;
mod snapshot;
#[cfg(test)]
mod tests;
mod told;

use std::path::{Path, PathBuf};

use imprimatur_consent::Invariant;
use imprimatur_lake::Lake;
use imprimatur_log::Checkpoint;
use imprimatur_proto::contract;

pub use book::BookFact;
pub use claims::{Claim, Control, Shown};
pub use facts::{BackupFact, Facts, PolicyFact};
pub use html::{record_page, report_page};
pub use imprimatur_lake::Verdict;
pub use record::{PolicyRecord, PurposeRecord, Record, RecordError};
pub use report::{Check, Finding, Report};
pub use scan::canary::{CANARIES_MAX, CANARY_BYTES_MAX, CANARY_BYTES_MIN, Canaries, CanaryError};
pub use scan::searcher::SearchError;
pub use scan::{Progress, Scanned};
pub use snapshot::SnapshotError;

use crate::book::{Days, Found};
use crate::ledger::Ledger;
use crate::scan::Scan;
use crate::scan::searcher::Searcher;
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
    /// Names of the witnesses whose cosignatures that checkpoint was found to bear.
    pub witnesses: Vec<String>,
}

/// What is verified beyond the folder itself, and against what.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What the reader knows from elsewhere.
    pub trust: Trust,
    /// Files and folders of logs, which are searched like the collector's own files.
    pub logs: Vec<PathBuf>,
    /// Texts that must be nowhere.
    pub canaries: Canaries,
    /// A copy of the book, for a folder whose collector runs; without it the book of the folder.
    pub book: Option<PathBuf>,
}

/// Verifies a collector's folder: lake, evidence, log, keys and book, and searches every file. A collector
/// may run meanwhile: what does not hold is looked at again while the folders change; its book is not
/// checked then, unless a copy is given.
///
/// # Errors
/// [`SnapshotError`] when there is nothing to verify or it does not belong together: exit 1, for
/// what cannot be read is not proven.
pub fn verify(data: &Path, trust: &Trust) -> Result<Report, SnapshotError> {
    let wanted = Wanted { trust: trust.clone(), ..Wanted::default() };
    verify_all(data, &wanted, &mut |_| {})
}

/// The same with logs and canaries; `told` hears how far the search of the files is.
///
/// # Errors
/// As [`verify`].
pub fn verify_all(
    data: &Path,
    wanted: &Wanted,
    told: &mut dyn FnMut(Progress),
) -> Result<Report, SnapshotError> {
    let searcher = Searcher::of(&wanted.canaries)?;
    let mut report = snapshot::settled(data, || prove(data, wanted, &searcher))?;
    search(&mut report, data, wanted, &searcher, told);
    Ok(report)
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

/// Searches every file, and says what that makes of the invariants.
fn search(
    report: &mut Report,
    data: &Path,
    wanted: &Wanted,
    searcher: &Searcher,
    told: &mut dyn FnMut(Progress),
) {
    let mut scan = Scan::new(searcher);
    scan.folders(data, &wanted.logs, told);
    scan.end(report);
    report.invariants = claims::of(&report.checks);
}

/// Proves what the values show, once.
fn prove(data: &Path, wanted: &Wanted, searcher: &Searcher) -> Result<Report, SnapshotError> {
    let snapshot = Snapshot::load(data)?;
    let lake = Lake::open(data.join("lake")).map_err(SnapshotError::Lake)?;
    let mut found = Found::new(Scan::new(searcher));
    let Found { permits, once, first, erased, scan } = &mut found;

    let ledger = Ledger::open(&snapshot.ledger, &wanted.trust, first, erased);
    let until = snapshot.catalogue.position;
    let replay::Replay { standings, marks, .. } =
        replay::events_and_commits(&ledger, until, permits, once);
    marks::check(&snapshot.catalogue, &ledger, &marks, permits);
    marks::releases(data, &snapshot.catalogue, permits);
    match contract().capacity().within_budget() {
        Ok(()) => scan.geometry.passed(1),
        Err(over) => scan.geometry.found("contract", &over.to_string()),
    }
    let rows = rows::read(&lake, &snapshot, scan);
    let expected = rows::Expected::of(&snapshot, &ledger, &standings, once, erased);
    rows::match_with_evidence(&rows, &expected, permits, once, erased);
    let log_key = &snapshot.ledger.manifest.log_key.0;
    let overview = overview::read(lake.folder(), log_key, &mut scan.geometry, first);
    scan.evidence(&ledger);
    let own = data.join("book.redb");
    let (newest, published) =
        (rows::newest(&snapshot, &ledger), snapshot.catalogue.published.date());
    let days = Days { newest, published };
    let path = wanted.book.as_deref().unwrap_or(&own);
    let beside = (days, overview.as_ref());
    let (book, label) = book::check(path, &snapshot.ledger, beside, &mut found);
    rows::tell_no_more_than_they_may(&rows, snapshot.catalogue.synthetic, label, &mut found.scan);
    let Found { permits, once, first, erased, scan } = found;
    let checks = vec![permits, once, first, erased];
    let (files, synthetic) = (snapshot.catalogue.files.len(), snapshot.catalogue.synthetic);
    let report = Report::new("compliance", &ledger, checks);
    let facts = report.facts.clone().with(&snapshot);
    let book = Some(book);
    let mut report = Report { files, synthetic, rows: rows.len(), facts, book, ..report };
    scan.end(&mut report);
    Ok(report)
}

fn verify_ledger_now(data: &Path, trust: &Trust) -> Result<Report, SnapshotError> {
    let evidence = Evidence::load(data)?;
    let mut permits = Check::new(Invariant::NoPermitNoRow);
    let mut once = Check::new(Invariant::CountsOnce);
    let mut first = Check::new(Invariant::EvidenceFirst);
    let mut erased = Check::new(Invariant::ErasureProvable);
    let ledger = Ledger::open(&evidence, trust, &mut first, &mut erased);
    replay::events_and_commits(&ledger, 0, &mut permits, &mut once);
    Ok(Report::new("ledger", &ledger, vec![permits, once, first, erased]))
}
