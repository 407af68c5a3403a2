//! Negative controls: each leak, built on purpose, must be caught under its own invariant.

use std::path::Path;

use imprimatur_consent::{
    Category, Digest, Domain, Invariant, PrincipalId, Pseudonym, SigningSeed,
};
use imprimatur_lake::{Catalogue, Lake, Row};
use imprimatur_ledger::segments::{Manifest, Segments};
use imprimatur_ledger::{CommitEvidence, ConsentEvidence, RecordEvidence};
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, SignedConsentEvent};
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_proto::{canonical, contract, field};
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::{Report, verify};

const DATE: UtcDate = UtcDate(20_778);

fn owner() -> SigningSeed {
    SigningSeed::from_seed(&[7; 32])
}

fn consent(position: u64, decision: Decision, categories: &[Category]) -> ConsentEvidence {
    let event = canonical::encode(&ConsentEvent {
        public_key: owner().public().to_vec(),
        principal: PrincipalId([4; 16]).0.to_vec(),
        sequence: position,
        decision: decision.into(),
        categories: categories.iter().map(|category| category.number()).collect(),
        policy_hash: vec![9; 32],
        date: DATE.0,
        enrolment_proof: Vec::new(),
    });
    let signature = owner().sign(Domain::Consent, &event);
    let signed = canonical::encode(&SignedConsentEvent { event, signature });
    ConsentEvidence {
        position,
        subject: owner().subject(),
        recorded: DATE.start(),
        signed_event: hex::encode(signed),
    }
}

fn commit(position: u64, sequence: u64) -> CommitEvidence {
    CommitEvidence {
        position,
        subject: owner().subject(),
        sequence,
        frame: Digest([1; 32]),
        recorded: UnixSeconds(DATE.start().0 + 60),
        records: vec![RecordEvidence {
            kind: RecordKind::Print,
            date: DATE,
            epoch: DATE.month(),
            subject: Pseudonym([2; 16]),
            principal: Pseudonym([3; 16]),
            categories: vec![Category::PrintTime],
        }],
    }
}

fn row(commit: u64) -> Row {
    Row {
        kind: RecordKind::Print,
        date: DATE,
        epoch: DATE.month(),
        commit,
        ordinal: 0,
        subject: Pseudonym([2; 16]),
        principal: Pseudonym([3; 16]),
        sections: vec![Section {
            category: Category::PrintTime,
            values: vec![(field::PRINT_TIME_COMPLETED_DURATION, 7)],
        }],
    }
}

/// A collector's folders, as an honest collector would have written them.
struct World {
    consent: Vec<ConsentEvidence>,
    commits: Vec<CommitEvidence>,
    rows: Vec<Row>,
}

impl World {
    fn honest() -> Self {
        Self {
            consent: vec![consent(1, Decision::Granted, &[Category::PrintTime])],
            commits: vec![commit(2, 1), commit(3, 2)],
            rows: vec![row(2), row(3)],
        }
    }

    fn write(&self, folder: &Path) {
        let (lake, evidence) = (folder.join("lake"), folder.join("evidence"));
        let mut files = Vec::new();
        let store = Lake::open(&lake).unwrap();
        for chunk in &self.rows.iter().fold(Vec::<Vec<Row>>::new(), |mut chunks, row| {
            // A row that is there twice comes from two files, as a doubled publication would.
            match chunks.iter_mut().find(|rows| rows.iter().all(|known| known != row)) {
                Some(rows) => rows.push(row.clone()),
                None => chunks.push(vec![row.clone()]),
            }
            chunks
        }) {
            files.extend(store.write(chunk).unwrap());
        }
        let catalogue = Catalogue { files, ..Catalogue::empty(DATE.start()) };
        catalogue.store(&lake).unwrap();
        let mut segments = Segments::open(&evidence).unwrap();
        segments.append(&self.consent, &self.commits).unwrap();
        let bytes = std::fs::read(lake.join("catalogue.json")).unwrap();
        segments
            .store(Manifest {
                collector_key: Digest([0; 32]),
                contract_hash: Digest(contract().hash()),
                catalogue: Digest::of(&bytes),
                published: 99,
                counts: std::collections::BTreeMap::new(),
                segments: Vec::new(),
            })
            .unwrap();
    }

    fn verify(&self) -> Report {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        verify(&folder.path().join("lake"), &folder.path().join("evidence")).unwrap()
    }
}

#[track_caller]
fn caught(report: &Report, invariant: Invariant, problem: &str) {
    assert!(!report.holds);
    let check = report.checks.iter().find(|check| check.invariant == invariant).unwrap();
    let found = check.findings.iter().any(|finding| finding.problem.contains(problem));
    assert!(found, "{report}");
}

#[test]
fn an_honest_collector_is_proven() {
    let report = World::honest().verify();
    assert!(report.holds, "{report}");
    assert_eq!((report.rows, report.commits, report.consent_events), (2, 2, 1));
    assert!(report.checks.iter().all(|check| check.checked > 0), "{report}");
}

#[test]
fn a_section_that_was_never_granted_is_caught() {
    let mut world = World::honest();
    world.commits[1].records[0].categories.push(Category::Temperature);
    world.rows[1].sections.push(Section {
        category: Category::Temperature,
        values: vec![(field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, 3)],
    });
    caught(&world.verify(), Invariant::NoPermitNoRow, "`temperature`: the category is not granted");
}

#[test]
fn a_section_that_the_evidence_hides_is_caught() {
    let mut world = World::honest();
    world.rows[1].sections.push(Section {
        category: Category::Temperature,
        values: vec![(field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, 3)],
    });
    caught(&world.verify(), Invariant::NoPermitNoRow, "holds other sections");
}

#[test]
fn a_commit_after_the_withdrawal_is_caught() {
    let mut world = World::honest();
    world.commits[1].position = 5;
    world.rows[1].commit = 5;
    world.consent.push(consent(4, Decision::Withdrawn, &[Category::PrintTime]));
    caught(&world.verify(), Invariant::NoPermitNoRow, "`print_time`: the category is not granted");
}

#[test]
fn a_row_of_before_the_grant_is_caught() {
    let mut world = World::honest();
    world.commits[0].records[0].date = UtcDate(DATE.0 - 1);
    world.rows[0].date = UtcDate(DATE.0 - 1);
    caught(&world.verify(), Invariant::NoPermitNoRow, "began before the grant");
}

#[test]
fn a_forged_consent_is_caught() {
    let mut world = World::honest();
    let forged = world.consent[0].signed_event.replace("0404", "0505");
    assert_ne!(forged, world.consent[0].signed_event);
    world.consent[0].signed_event = forged;
    caught(&world.verify(), Invariant::NoPermitNoRow, "not signed by its subject");
}

#[test]
fn a_row_without_evidence_is_caught() {
    let mut world = World::honest();
    world.rows.push(row(4));
    caught(&world.verify(), Invariant::NoPermitNoRow, "has no evidence");
}

#[test]
fn a_row_under_another_pseudonym_is_caught() {
    let mut world = World::honest();
    world.rows[0].principal = Pseudonym([8; 16]);
    caught(&world.verify(), Invariant::NoPermitNoRow, "under another principal");
}

#[test]
fn a_batch_that_counts_twice_is_caught() {
    let mut world = World::honest();
    world.commits[1].sequence = 1;
    caught(&world.verify(), Invariant::CountsOnce, "committed before");
}

#[test]
fn a_row_that_is_there_twice_is_caught() {
    let mut world = World::honest();
    world.rows.push(row(3));
    caught(&world.verify(), Invariant::CountsOnce, "is there twice");
}

#[test]
fn a_row_that_is_missing_is_caught() {
    let mut world = World::honest();
    world.rows.pop();
    caught(&world.verify(), Invariant::CountsOnce, "has no row");
}

#[test]
fn a_model_in_the_lake_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    World::honest().write(folder.path());
    let lake = folder.path().join("lake");
    std::fs::write(lake.join("print").join("bracket.stl"), b"solid bracket").unwrap();
    let report = verify(&lake, &folder.path().join("evidence")).unwrap();
    caught(&report, Invariant::NoGeometry, "no catalogue names it");
}

#[test]
fn a_file_with_other_bytes_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    World::honest().write(folder.path());
    let lake = folder.path().join("lake");
    let catalogue = Catalogue::load(&lake).unwrap();
    let file = lake.join(&catalogue.files[0].path);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let report = verify(&lake, &folder.path().join("evidence")).unwrap();
    caught(&report, Invariant::NoGeometry, "SHA-256");
}

#[test]
fn changed_or_foreign_evidence_is_no_proof() {
    let folder = tempfile::tempdir().unwrap();
    World::honest().write(folder.path());
    let (lake, evidence) = (folder.path().join("lake"), folder.path().join("evidence"));
    let other = Catalogue { synthetic: true, ..Catalogue::load(&lake).unwrap() };
    let original = std::fs::read(lake.join("catalogue.json")).unwrap();
    other.store(&lake).unwrap();
    assert!(matches!(verify(&lake, &evidence), Err(crate::SnapshotError::Apart)));
    std::fs::write(lake.join("catalogue.json"), original).unwrap();
    let segment = evidence.join("commits-2-3.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replace("print_time", "laser")).unwrap();
    assert!(matches!(verify(&lake, &evidence), Err(crate::SnapshotError::Evidence(_))));
}
