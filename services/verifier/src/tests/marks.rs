//! Negative controls of what the catalogue tells readers to obey.

use std::collections::BTreeMap;
use std::fs;

use imprimatur_consent::{Category, Digest, Invariant};
use imprimatur_lake::Catalogue;
use imprimatur_proto::consent::v1::Decision;
use imprimatur_release::{
    Limits, Marks, Measure, MicroEpsilon, Population, Question, Releases, Table,
};

use super::collector::{TODAY, said};
use super::world::World;
use super::{caught_alone, proven};

/// Two subjects; one withdrew temperature, and said yes again.
fn told(change: impl FnOnce(&mut Catalogue)) -> World {
    World::of(|collector| {
        let heat = [Category::Temperature];
        for seed in [1, 2] {
            collector.grant(seed, 1);
        }
        collector.record(1, &said(1, (2, TODAY), Decision::Granted, &heat));
        collector.record(1, &said(1, (3, TODAY), Decision::Withdrawn, &heat));
        collector.record(1, &said(1, (4, TODAY), Decision::Granted, &heat));
        collector.store(1, 1);
        collector.move_journal();
        collector.store_catalogue();
        let lake = collector.data().join("lake");
        let mut catalogue = Catalogue::load(&lake).unwrap();
        change(&mut catalogue);
        catalogue.store(&lake).unwrap();
        collector.publish_evidence();
        collector
    })
}

#[test]
fn a_mark_that_is_not_that_of_the_events_is_caught() {
    let world = told(|catalogue| {
        let mark = |category| catalogue.excluded_at[&category];
        assert_eq!((mark(Category::Temperature), mark(Category::PrintTime)), (4, 0));
    });
    proven(&world.verify());
    let problem = "is not that of the events";
    let heat = Category::Temperature;
    let earlier = told(|told| *told.excluded_at.get_mut(&heat).unwrap() = 3);
    caught_alone(&earlier.verify(), Invariant::NoPermitNoRow, problem);
    let missing = told(|told| assert!(told.excluded_at.remove(&Category::Laser).is_some()));
    caught_alone(&missing.verify(), Invariant::NoPermitNoRow, problem);
    let beyond = told(|told| *told.excluded_at.get_mut(&heat).unwrap() = told.position + 1);
    caught_alone(&beyond.verify(), Invariant::NoPermitNoRow, problem);
    // Later is what a restore says, which knows less of who left.
    proven(&told(|told| *told.excluded_at.get_mut(&heat).unwrap() = told.position).verify());
}

#[test]
fn limits_that_are_not_those_of_the_policies_are_caught() {
    let problem = "tells other limits than the policies have";
    let changes: [fn(&mut Catalogue); 4] = [
        |told| told.rules.k -= 1,
        |told| told.rules.k_released -= 1,
        |told| told.rules.epsilon_year_milli += 1,
        |told| told.rules.epochs.clear(),
    ];
    for change in changes {
        caught_alone(&told(change).verify(), Invariant::NoPermitNoRow, problem);
    }
}

/// A release of the told temperatures, made when the mark of that category was this.
fn released(world: &World, mark: u64) -> std::path::PathBuf {
    let (release, month, year) = (MicroEpsilon::RELEASE, MicroEpsilon::MONTH, MicroEpsilon::YEAR);
    let limits = Limits::new(50, release, month, year).unwrap();
    let folder = world.path("query/released");
    let releases = Releases::open(&folder, limits).unwrap();
    let question = Question {
        metric: "nozzle_set_point".to_owned(),
        title: "Nozzle".to_owned(),
        unit: "prints".to_owned(),
        estimand: "Prints.".to_owned(),
        measure: Measure::Rows,
        first: "2026-10-01".parse().unwrap(),
        last: "2026-10-31".parse().unwrap(),
        epochs: vec![202_610],
        filters: BTreeMap::new(),
        by: Vec::new(),
        groups: vec![Vec::new()],
        rows_per_principal_and_epoch: 30.try_into().unwrap(),
        epsilon: release,
        synthetic: false,
    };
    let excluded_at = Marks::from([(Category::Temperature, mark)]);
    let population = Population { edition: Digest([1; 32]), excluded_at };
    releases.release(&question, &population, &Table::new(), None, TODAY_START).unwrap();
    folder
}

const TODAY_START: imprimatur_runtime::UnixSeconds = imprimatur_runtime::UnixSeconds(1_796_000_000);

#[test]
fn a_release_that_stands_after_an_exclusion_is_caught() {
    let world = told(|_| {});
    released(&world, 4);
    proven(&world.verify());
    // Made before the withdrawal, and nobody has read it since.
    let world = told(|_| {});
    released(&world, 3);
    let problem = "stands although somebody of its population was excluded since";
    caught_alone(&world.verify(), Invariant::NoPermitNoRow, problem);
}

#[test]
fn a_release_that_is_not_paid_for_is_caught() {
    let world = told(|_| {});
    let folder = released(&world, 4);
    fs::remove_file(folder.join("budget.jsonl")).unwrap();
    caught_alone(&world.verify(), Invariant::NoPermitNoRow, "was never paid for");
    fs::write(folder.join("releases/notes.txt"), "counts").unwrap();
    assert!(!world.verify().holds, "a name that nobody knows");
}
