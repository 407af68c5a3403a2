//! Rows: every byte of the lake is read by the strict reader, every row matched with its evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use imprimatur_lake::{Catalogue, Lake, Row};
use imprimatur_ledger::RecordEvidence;

use crate::report::Check;
use crate::snapshot::{Snapshot, TRIES, pause};

/// Reads all files that the catalogue names; reports what is no data of the contract, and what
/// else lies in the lake.
pub(crate) fn read(lake: &Lake, snapshot: &Snapshot, geometry: &mut Check) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in &snapshot.catalogue.files {
        match lake.read(file) {
            Ok(of_file) => {
                match lake.reproduces(file, &of_file) {
                    Ok(true) => geometry.passed(u64::try_from(of_file.len()).unwrap_or(u64::MAX)),
                    Ok(false) => geometry.found(&file.path, "holds more than its rows"),
                    Err(error) => geometry.found(&file.path, &error.to_string()),
                }
                rows.extend(of_file);
            }
            Err(error) => geometry.found(&file.path, &error.to_string()),
        }
    }
    strangers(lake, geometry);
    rows
}

/// Files that no catalogue names. A collector that publishes just now writes files before it names
/// them, so what looks strange is looked at again for a while.
fn strangers(lake: &Lake, geometry: &mut Check) {
    let mut strange = BTreeSet::new();
    let mut seen = 0;
    walk(lake.folder(), geometry, &mut |path| {
        seen += 1;
        strange.insert(path.to_owned());
    });
    for try_number in 0..TRIES {
        if try_number > 0 {
            pause();
        }
        let Ok(catalogue) = Catalogue::load(lake.folder()) else { continue };
        let named: BTreeSet<_> =
            catalogue.files.iter().filter_map(|file| lake.locate(file)).collect();
        let own = lake.folder().join("catalogue.json");
        strange.retain(|path| path.exists() && !named.contains(path) && *path != own);
        if strange.is_empty() {
            break;
        }
    }
    geometry.passed(seen);
    for path in strange {
        geometry.found(&path.display().to_string(), "lies in the lake and no catalogue names it");
    }
}

fn walk(folder: &Path, geometry: &mut Check, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return geometry.found(&folder.display().to_string(), "cannot be listed");
    };
    for entry in entries {
        match entry {
            Ok(entry) if entry.path().is_dir() => walk(&entry.path(), geometry, visit),
            Ok(entry) => visit(&entry.path()),
            Err(error) => geometry.found(&folder.display().to_string(), &error.to_string()),
        }
    }
}

/// Every row has evidence that says the same, every published record has exactly one row.
pub(crate) fn match_with_evidence(
    rows: &[Row],
    snapshot: &Snapshot,
    permits: &mut Check,
    once: &mut Check,
) {
    let mut expected: BTreeMap<(u64, u32), &RecordEvidence> = BTreeMap::new();
    for commit in &snapshot.commits {
        if commit.position <= snapshot.manifest.published {
            let records = (0_u32..).zip(&commit.records);
            expected.extend(records.map(|(place, record)| ((commit.position, place), record)));
        }
    }
    let mut seen = BTreeSet::new();
    for row in rows {
        let key = (row.commit, row.ordinal);
        let place = format!("{} row {}.{}", row.kind.table(), row.commit, row.ordinal);
        once.expect(seen.insert(key), &place, "is there twice");
        match expected.get(&key) {
            None => permits.found(&place, "has no evidence of a commit"),
            Some(record) => match difference(row, record) {
                None => permits.passed(1),
                Some(problem) => permits.found(&place, problem),
            },
        }
    }
    for (position, place) in expected.keys().filter(|key| !seen.contains(key)) {
        once.found(&format!("commit {position}.{place}"), "was published and has no row");
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
