//! Controls of checks that no other test breaks: one small forgery each, and everything else fits.

use imprimatur_consent::{Digest, Invariant, Pseudonym};
use imprimatur_lake::Row;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;

use super::collector::TODAY;
use super::world::World;
use super::{caught, caught_alone};

#[test]
fn a_row_that_differs_from_its_evidence_is_caught() {
    type Change = fn(&mut Row);
    let changes: [(&str, Change); 3] = [
        ("has another date than", |row| row.date = UtcDate(row.date.0 + 1)),
        ("has another epoch than", |row| row.epoch += 1),
        ("is under another subject than", |row| row.subject = Pseudonym([8; 16])),
    ];
    for (problem, change) in changes {
        let mut world = World::honest();
        change(world.row(3));
        caught_alone(&world.forged(), Invariant::NoPermitNoRow, problem);
    }
    let mut world = World::honest();
    world.change_commit(3, |proof, _| proof.records[0].kind = RecordKind::Day);
    let problem = "is in another table than its evidence says";
    caught_alone(&world.forged(), Invariant::NoPermitNoRow, problem);
}

#[test]
fn a_wrong_epoch_is_caught() {
    let mut world = World::honest();
    world.change_commit(3, |proof, _| proof.records[0].epoch += 1);
    world.row(3).epoch += 1;
    caught_alone(&world.forged(), Invariant::NoPermitNoRow, "a wrong pseudonym epoch");
}

#[test]
fn a_commit_of_nobody_is_caught() {
    let mut world = World::honest();
    world.drop_event(1);
    caught(&world.forged(), Invariant::NoPermitNoRow, "its subject had given no consent");
}

#[test]
fn positions_that_repeat_are_caught() {
    let mut world = World::honest();
    world.change_commit(4, |_, evidence| evidence.position = 3);
    caught(&world.forged(), Invariant::NoPermitNoRow, "positions repeat or go back");
}

#[test]
fn a_commit_that_is_never_published_is_caught() {
    let mut world = World::honest();
    world.rows.retain(|row| row.commit != 8);
    world.manifest.published = 7;
    world.catalogue.published = UtcDate(TODAY.0 + 2).start();
    caught_alone(&world.forged(), Invariant::CountsOnce, "is days old and was never published");
}

#[test]
fn another_contract_is_caught() {
    let mut world = World::honest();
    world.manifest.contract_hash = Digest([9; 32]);
    caught_alone(&world.forged(), Invariant::NoGeometry, "is another than this program knows");
}

#[test]
fn an_entry_that_is_no_event_is_caught() {
    let mut world = World::honest();
    world.entries.push(b"\x01{\"event\":\"something_else\"}".to_vec());
    world.write_log(&world.log_key());
    world.manifest.log_size += 1;
    world.manifest.store(&world.path("evidence")).unwrap();
    caught_alone(&world.verify(), Invariant::EvidenceFirst, "is no event of this version");
}

#[test]
fn a_folder_that_is_too_deep_is_caught() {
    let world = World::honest();
    let deep = (0..20).fold(world.path("lake"), |path, _| path.join("d"));
    std::fs::create_dir_all(deep).unwrap();
    caught_alone(&world.verify(), Invariant::NoGeometry, "lies deeper than is read");
}
