//! Rows: every byte of the lake is read by the strict reader, every row matched with its evidence.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::standing::Ended;
use imprimatur_consent::{Digest, Standing};
use imprimatur_lake::{Lake, Row};
use imprimatur_ledger::{Label, RecordEvidence};
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;

use crate::ledger::Ledger;
use crate::replay::Standings;
use crate::report::Check;
use crate::scan::Scan;
use crate::snapshot::Snapshot;
use crate::told::Told;

/// Reads all files that the catalogue names; reports what is no data of the contract, and searches
/// the values.
pub(crate) fn read(lake: &Lake, snapshot: &Snapshot, scan: &mut Scan<'_>) -> Vec<Row> {
    let (own, mut rows) = (Digest(contract().hash()), Vec::new());
    let told = [snapshot.catalogue.contract_hash, snapshot.ledger.manifest.contract_hash];
    scan.geometry.expect(told == [own, own], "contract", "is another than this program knows");
    for file in &snapshot.catalogue.files {
        match lake.read(file) {
            Ok(of_file) => {
                let geometry = &mut scan.geometry;
                match lake.reproduces(file, &of_file) {
                    Ok(true) => geometry.passed(u64::try_from(of_file.len()).unwrap_or(u64::MAX)),
                    Ok(false) => geometry.found(&file.path, "holds more than its rows"),
                    Err(error) => geometry.found(&file.path, &error.to_string()),
                }
                scan.rows(&file.path, &of_file);
                rows.extend(of_file);
            }
            Err(error) => scan.geometry.found(&file.path, &error.to_string()),
        }
    }
    rows
}

/// What must be in the lake, what may be, and what must not.
pub(crate) struct Expected<'a> {
    /// Records that must have a row.
    required: BTreeMap<(u64, u32), &'a RecordEvidence>,
    /// Records whose row may be gone already: their subject is being erased.
    leaving: BTreeMap<(u64, u32), &'a RecordEvidence>,
    /// Commits of subjects that were erased, or should have been.
    erased: BTreeSet<u64>,
    /// Rows of earlier dates are expired.
    kept_since: BTreeMap<RecordKind, UtcDate>,
}

impl<'a> Expected<'a> {
    pub(crate) fn of(
        snapshot: &'a Snapshot,
        ledger: &'a Ledger<'a>,
        standings: &Standings,
        once: &mut Check,
        erased: &mut Check,
    ) -> Self {
        let manifest = &snapshot.ledger.manifest;
        let today = newest(snapshot, ledger);
        let mut expected = Self {
            required: BTreeMap::new(),
            leaving: BTreeMap::new(),
            erased: BTreeSet::new(),
            kept_since: kept_since(snapshot, ledger, today, erased),
        };
        for (commit, proof) in &ledger.commits {
            let Some(proof) = proof else {
                expected.erased.insert(commit.position);
                continue;
            };
            if ledger.was_lost(commit.position) {
                continue;
            }
            if commit.position > manifest.published {
                let late = commit.recorded.date().0.saturating_add(1) < today.0;
                let place = format!("commit {}", commit.position);
                once.expect(!late, &place, "is days old and was never published");
                continue;
            }
            let ending = standings.get(&commit.slot).and_then(|standing| due(standing, ledger));
            if ending.is_some_and(|due| due < today) {
                expected.erased.insert(commit.position);
            }
            for (place, record) in (0_u32..).zip(&proof.records) {
                let expired = expected.expired(record.kind, record.date);
                let records = match (ending, expired) {
                    (Some(_), _) => &mut expected.leaving,
                    (None, true) => continue,
                    (None, false) => &mut expected.required,
                };
                records.insert((commit.position, place), record);
            }
        }
        outlived(standings, ledger, today, erased);
        expected
    }

    fn expired(&self, kind: RecordKind, date: UtcDate) -> bool {
        self.kept_since.get(&kind).is_some_and(|since| date < *since)
    }
}

/// The newest day that anything tells. A folder is as old as it says: it may be a copy.
pub(crate) fn newest(snapshot: &Snapshot, ledger: &Ledger<'_>) -> UtcDate {
    let events = ledger.events.iter().map(|(event, _)| event.recorded.date());
    let commits = ledger.commits.iter().map(|(commit, _)| commit.recorded.date());
    let newest = events.chain(commits).max().unwrap_or(UtcDate(0));
    newest.max(snapshot.catalogue.published.date())
}

/// The first dates whose rows are kept. The manifest tells them; the policies bind it: no row is
/// dropped sooner or kept longer. A publication may begin before midnight and end after it.
fn kept_since(
    snapshot: &Snapshot,
    ledger: &Ledger<'_>,
    today: UtcDate,
    erased: &mut Check,
) -> BTreeMap<RecordKind, UtcDate> {
    let retention = ledger.terms.retention();
    let mut kept = BTreeMap::new();
    for kind in RecordKind::ALL {
        let days = match kind {
            RecordKind::Print => retention.print_days,
            RecordKind::Day => retention.day_days,
        };
        // The clock may have gone back since: what was let go then stays gone.
        let latest = UtcDate(today.max(ledger.counted).0.saturating_sub(days));
        let told = snapshot.ledger.manifest.kept_since.get(kind.table()).copied();
        let problem = "says that rows are dropped sooner than the policies let them be";
        erased.expect(told.is_none_or(|told| told <= latest), "manifest", problem);
        let published = snapshot.catalogue.published.date();
        let earliest = UtcDate(published.0.saturating_sub(days + 1));
        kept.insert(kind, told.unwrap_or(earliest).clamp(earliest, latest));
    }
    kept
}

/// By when a subject that is being erased must be gone; a legal hold puts it off.
fn due(standing: &Standing, ledger: &Ledger<'_>) -> Option<UtcDate> {
    let Some((Ended::Erased, asked)) = standing.ended else { return None };
    let held = standing.hold.map(|hold| hold.until.unwrap_or(UtcDate(u32::MAX)));
    let from = held.map_or(asked, |until| until.max(asked));
    Some(UtcDate(from.0.saturating_add(ledger.terms.deadlines().erasure_days)))
}

/// Whoever asked for erasure has no key any more when the deadline is over: a standing that can still
/// be told has one.
fn outlived(standings: &Standings, ledger: &Ledger<'_>, today: UtcDate, erased: &mut Check) {
    for (slot, standing) in standings {
        if let Some(due) = due(standing, ledger) {
            let problem = format!("was to be erased by {due}, and its key is there");
            erased.expect(due >= today, &format!("slot {slot}"), &problem);
        }
    }
}

/// Every row has evidence that says the same, every published record has exactly one row, and
/// nothing is there that was erased or has expired.
pub(crate) fn match_with_evidence(
    rows: &[Row],
    expected: &Expected<'_>,
    permits: &mut Check,
    once: &mut Check,
    erased: &mut Check,
) {
    let mut seen = BTreeSet::new();
    for row in rows {
        let key = (row.commit, row.ordinal);
        let place = format!("{} row {}.{}", row.kind.table(), row.commit, row.ordinal);
        once.expect(seen.insert(key), &place, "is there twice");
        let kept = !expected.expired(row.kind, row.date);
        erased.expect(kept, &place, "is older than rows are kept");
        let of_erased = expected.erased.contains(&row.commit);
        erased.expect(!of_erased, &place, "is of a subject that was to be erased");
        let record = expected.required.get(&key).or_else(|| expected.leaving.get(&key));
        match record {
            None if of_erased || !kept => {}
            None => permits.found(&place, "has no evidence of a commit"),
            Some(record) => match difference(row, record) {
                None => permits.passed(1),
                Some(problem) => permits.found(&place, problem),
            },
        }
    }
    for (position, place) in expected.required.keys().filter(|key| !seen.contains(key)) {
        once.found(&format!("commit {position}.{place}"), "was published and has no row");
    }
}

/// No date of a subject has told more than it may, unless a program made it up to load a collector: that
/// the book says, and a catalogue says of it only that it is made up.
pub(crate) fn tell_no_more_than_they_may(
    rows: &[Row],
    synthetic: bool,
    label: Option<Label>,
    scan: &mut Scan<'_>,
) {
    let load = label.map_or(synthetic, |label| label == Label::Load);
    if !load {
        let mut told = Told::default();
        for row in rows {
            told.count(row.subject, row.kind, row.date);
        }
        told.within("subject", &mut scan.geometry);
    }
}

fn difference(row: &Row, record: &RecordEvidence) -> Option<&'static str> {
    let categories: Vec<_> = row.sections.iter().map(|section| section.category).collect();
    let same = [
        (row.kind == record.kind, "is in another table than its evidence says"),
        (row.date == record.date, "has another date than its evidence says"),
        (row.epoch == record.epoch, "has another epoch than its evidence says"),
        (row.subject == record.subject, "is under another subject than its evidence says"),
        (row.principal == record.principal, "is under another principal than its evidence says"),
        (categories == record.categories, "holds other sections than its permits covered"),
    ];
    same.into_iter().find(|(same, _)| !same).map(|(_, problem)| problem)
}
