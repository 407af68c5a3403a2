//! Negative controls: each leak, built on purpose, must be caught under its own invariant. The
//! operator of these tests owns the disk and the log's key, and makes everything else fit.

mod book;
mod collector;
mod controls;
mod flips;
mod forgeries;
mod independent;
mod marks;
mod moments;
mod overview;
mod report;
mod retention;
mod scan;
mod states;
mod world;

use imprimatur_consent::event::{Public, What};
use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::{Category, Digest, Invariant, Pseudonym};
use imprimatur_lake::Catalogue;
use imprimatur_ledger::segments::write_policy;
use imprimatur_proto::field;
use imprimatur_proto::record::Section;
use imprimatur_runtime::UtcDate;

use self::collector::TODAY;
use self::world::World;
use crate::{Report, SnapshotError, Trust};

#[track_caller]
fn caught(report: &Report, invariant: Invariant, problem: &str) {
    assert!(!report.holds);
    let check = report.checks.iter().find(|check| check.invariant == invariant).unwrap();
    let found = check.findings.iter().any(|finding| finding.problem.contains(problem));
    assert!(found, "{report}");
}

/// Caught, and under this invariant alone: everything else fits.
#[track_caller]
fn caught_alone(report: &Report, invariant: Invariant, problem: &str) {
    caught(report, invariant, problem);
    let others = report.checks.iter().filter(|check| check.invariant != invariant);
    assert!(others.clone().all(|check| check.holds), "{report}");
}

#[track_caller]
fn proven(report: &Report) {
    assert!(report.holds, "{report}");
}

#[test]
fn an_honest_collector_is_proven() {
    for (state, world) in states::all() {
        let report = world.verify();
        assert!(report.holds, "{state}: {report}");
        let all = report.checks.iter().all(|check| check.checked > 0);
        assert!(all || report.consent_events == 0, "{state}: {report}");
        let key = Some(world.manifest.log_key.0);
        let trust = Trust { log_key: key, anchor: Some(world.checkpoint()), ..Trust::default() };
        proven(&world.verify_ledger(&trust));
    }
    let report = World::honest().verify();
    assert_eq!((report.rows, report.commits, report.consent_events), (5, 5, 3));
}

#[test]
fn what_is_written_again_without_a_change_is_proven() {
    for (state, mut world) in states::all() {
        let report = world.forged();
        assert!(report.holds, "{state}: {report}");
    }
}

fn temperature() -> Section {
    let values = vec![(field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, 3)];
    Section { category: Category::Temperature, values }
}

#[test]
fn a_section_that_was_never_granted_is_caught() {
    let mut world = World::honest();
    world.change_commit(5, |proof, _| proof.records[0].categories.push(Category::Temperature));
    world.row(5).sections.push(temperature());
    let problem = "`temperature`: the category is not granted";
    caught_alone(&world.forged(), Invariant::NoPermitNoRow, problem);
}

#[test]
fn a_section_that_the_evidence_hides_is_caught() {
    let mut world = World::honest();
    world.row(5).sections.push(temperature());
    caught_alone(&world.forged(), Invariant::NoPermitNoRow, "holds other sections");
}

#[test]
fn a_commit_after_the_withdrawal_is_caught() {
    let mut world = World::honest();
    world.repeat_commit(4);
    let problem = "`print_time`: the category is not granted";
    caught_alone(&world.forged(), Invariant::NoPermitNoRow, problem);
    // The opposite: a commit of the subject that did not withdraw.
    let mut world = World::honest();
    world.repeat_commit(3);
    proven(&world.forged());
}

#[test]
fn a_row_of_before_the_grant_is_caught() {
    let mut world = World::honest();
    let before = UtcDate(TODAY.0 - 1);
    world.change_commit(3, |proof, _| proof.records[0].date = before);
    world.row(3).date = before;
    caught_alone(&world.forged(), Invariant::NoPermitNoRow, "began before the grant");
}

#[test]
fn a_forged_consent_is_caught() {
    let mut world = World::honest();
    world.change_event(1, |event, _| {
        let What::Consent { signed_event } = &mut event.what else { unreachable!() };
        let forged = signed_event.replacen("0101", "0102", 1);
        assert_ne!(forged, *signed_event);
        *signed_event = forged;
    });
    caught(&world.forged(), Invariant::NoPermitNoRow, "the signature is not the subject's");
}

#[test]
fn a_row_without_evidence_is_caught() {
    let mut world = World::honest();
    let row = world.row(8).clone();
    world.rows.push(imprimatur_lake::Row { commit: 9, ..row });
    caught_alone(&world.forged(), Invariant::NoPermitNoRow, "has no evidence");
}

#[test]
fn a_row_under_another_pseudonym_is_caught() {
    let mut world = World::honest();
    world.row(3).principal = Pseudonym([8; 16]);
    caught_alone(&world.forged(), Invariant::NoPermitNoRow, "under another principal");
}

#[test]
fn a_batch_that_counts_twice_is_caught() {
    let mut world = World::honest();
    world.change_commit(5, |proof, _| proof.sequence = 1);
    caught_alone(&world.forged(), Invariant::CountsOnce, "committed before");
}

#[test]
fn a_row_that_is_there_twice_is_caught() {
    let mut world = World::honest();
    let row = world.row(3).clone();
    world.rows.push(row);
    caught_alone(&world.forged(), Invariant::CountsOnce, "is there twice");
}

#[test]
fn a_row_that_is_missing_is_caught() {
    let mut world = World::honest();
    world.rows.retain(|row| row.commit != 5);
    caught_alone(&world.forged(), Invariant::CountsOnce, "has no row");
}

#[test]
fn a_model_in_the_lake_is_caught() {
    let world = World::honest();
    std::fs::write(world.path("lake/print/bracket.stl"), b"solid bracket").unwrap();
    caught_alone(
        &world.verify(),
        Invariant::NoGeometry,
        "no layout, catalogue or manifest names it",
    );
}

#[test]
fn a_file_with_other_bytes_is_caught() {
    let world = World::honest();
    let file = world.path("lake").join(&world.catalogue.files[0].path);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    caught(&world.verify(), Invariant::NoGeometry, "SHA-256");
}

#[test]
fn changed_or_foreign_evidence_is_no_proof() {
    let world = World::honest();
    let lake = world.path("lake");
    let other = Catalogue { synthetic: true, ..Catalogue::load(&lake).unwrap() };
    let original = std::fs::read(lake.join("catalogue.json")).unwrap();
    other.store(&lake).unwrap();
    assert!(matches!(world.look(), Err(SnapshotError::Apart)));
    std::fs::write(lake.join("catalogue.json"), original).unwrap();
    let segment = world.path("evidence/commits-3-6.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("\"slot\":1", "\"slot\":2", 1)).unwrap();
    assert!(matches!(world.look(), Err(SnapshotError::Evidence(_))));
}

#[test]
fn an_empty_log_beside_evidence_is_caught() {
    let mut world = World::honest();
    world.entries.clear();
    world.write_log(&world.log_key());
    let report = world.verify_ledger(&Trust::default());
    caught(&report, Invariant::EvidenceFirst, "is empty");
    caught(&report, Invariant::EvidenceFirst, "its tail was cut");
    std::fs::remove_dir_all(world.path("log")).unwrap();
    caught(&world.verify(), Invariant::EvidenceFirst, "cannot read the log");
}

#[test]
fn a_policy_that_was_never_published_is_caught() {
    let world = World::honest();
    let other = STRICTEST.replacen("Nothing is collected", "Little is collected", 1);
    assert_ne!(other, STRICTEST);
    write_policy(&world.path("evidence"), Digest::of(other.as_bytes()), &other).unwrap();
    caught_alone(&world.verify(), Invariant::EvidenceFirst, "was never announced in the log");
    // The log announces something else than what was agreed to.
    let mut world = World::honest();
    world.change_public(|event| {
        if let Public::PolicyPublished { hash, .. } = event {
            *hash = Digest([9; 32]);
        }
    });
    let report = world.forged();
    caught(&report, Invariant::EvidenceFirst, "its text is missing");
    caught(&report, Invariant::EvidenceFirst, "not announced before it");
}

#[test]
fn counts_that_do_not_add_up_are_caught() {
    let mut world = World::honest();
    world.manifest.counts.insert("stored".to_owned(), 1);
    caught_alone(&world.forged(), Invariant::EvidenceFirst, "tells less than was counted");
    let mut world = World::honest();
    let mut seen = 0;
    world.change_public(|event| {
        if let Public::Counts { counts, .. } = event {
            seen += 1;
            counts.insert("refused".to_owned(), 9 - seen);
        }
    });
    world.manifest.counts.insert("refused".to_owned(), 9);
    caught_alone(&world.forged(), Invariant::EvidenceFirst, "tells less than was counted");
}
