//! The experiment in a small form: what is stored tells no more than its bins, and a leak would be seen.

use imprimatur_testkit::chance::Chance;

use super::*;
use crate::attack::Numbers;

const PLAN: Plan =
    Plan { models: 6_000, probes: 4_000, training: 1, seed: 20_261_122, stored_only: false };
const SMALL: Plan = Plan { models: 800, probes: 1_500, training: 3, ..PLAN };

/// Most prints that may be named by their rows, of a few thousand models.
const NAMED_MAX: f64 = 0.02;

#[test]
fn a_stored_print_is_named_no_more_often_than_its_bins_allow() {
    let rows = World::new(PLAN).stored(Heating::TUNED, &["print", "print and days"]);
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let baseline = row.baseline.unwrap();
        assert!(!row.named.is_above(baseline), "more than the bins tell: {row:?}");
        // Nor is it the attack that is weak: it does about as well as the bins allow.
        assert!((0.9..1.1).contains(&(row.expected / baseline)), "{row:?}");
    }
    let print = rows.first().unwrap();
    assert!(print.named.high < NAMED_MAX, "{print:?}");
    assert!(print.sets.entropy < 9.0 && print.sets.median >= 50, "{print:?}");
}

#[test]
fn what_others_hold_is_far_above_the_bins() {
    let mut world = World::new(SMALL);
    let baseline = world.stored(Heating::TUNED, &["print", ""])[0].baseline.unwrap();
    for observer in Observer::ALL {
        let row = world.other(observer);
        assert!(row.named.is_above(baseline), "{row:?}");
        assert!(row.named.low > 2.0 * baseline, "{row:?}, bins {baseline}");
    }
    assert!(world.other(Observer::Cura).named.share > 0.999);
}

/// A nozzle that follows the flow would tell of the model through a column that is no bin, were short departures told.
#[test]
fn a_nozzle_that_droops_with_the_flow_tells_no_more_than_the_bins() {
    let row = &World::new(PLAN).stored(Heating::POOR, &["print", ""])[0];
    assert!(!row.named.is_above(row.baseline.unwrap()), "{row:?}");
}

/// A controller that never makes up for the flow does tell: the comparison sees it.
#[test]
fn a_leak_through_a_column_that_is_no_bin_is_seen() {
    let plan = Plan { probes: 8_000, ..SMALL };
    let row = &World::new(plan).stored(Heating::LOST, &["print", ""])[0];
    assert!(row.named.is_above(row.baseline.unwrap()), "{row:?}");
}

/// A position a second draws the part, one in a minute shows what it is: why the contract has no field for any.
#[test]
fn positions_give_the_part_back() {
    let rows = positions::rebuild(PLAN.seed);
    let overlap: Vec<f64> = rows.iter().map(|row| row.overlap).collect();
    assert!(overlap.is_sorted_by(|finer, coarser| finer > coarser), "{rows:?}");
    assert!(overlap[0] > 0.8 && overlap[2] > 0.5, "{rows:?}");
    assert!(rows[2].height < 1.0 && rows[2].side < 10.0, "{rows:?}");
    assert!((30.0..120.0).contains(&rows[2].samples), "{rows:?}");
    assert!(page::rebuilt(&rows).contains("| 300 s |"));
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_gives_others() {
    let tiny = Plan { models: 60, probes: 80, training: 1, ..PLAN };
    let rows = run(tiny);
    assert_eq!(rows.len(), 11);
    assert_eq!(rows, run(tiny));
    assert_ne!(rows, run(Plan { seed: 7, ..tiny }));
    assert_eq!(run(Plan { stored_only: true, ..tiny }).len(), 4);
    let (table, picture) = (page::table(tiny, &rows), plot::svg("Title", &rows));
    for row in &rows {
        assert!(table.contains(row.observer) && picture.contains(row.observer), "{table}");
    }
}

/// A row that the gate would refuse comes back empty, and would tell nothing: there must be none.
#[test]
fn every_print_is_stored_with_its_bins_and_its_settings() {
    let mut chance = Chance::of(3);
    for _ in 0..200 {
        let job = Job::slice(&Shape::draw(&mut chance));
        let stored = stored::print(&job, Run::draw(&mut chance), Heating::TUNED, &mut chance);
        assert!(stored.print.len() >= 9, "{stored:?}");
        assert_eq!(bins(&stored.row()).len(), 2, "time and amount: {stored:?}");
        // Time of the day, and supports.
        assert!(bins(&stored.rows()).len() >= 4, "{stored:?}");
        assert!(stored.rows().len() > stored.row().len() + 5, "{stored:?}");
    }
}

#[test]
fn models_and_prints_have_sane_sizes() {
    let mut chance = Chance::of(4);
    let jobs: Vec<Job> = (0..500).map(|_| Job::slice(&Shape::draw(&mut chance))).collect();
    let mut hours: Vec<f64> = jobs.iter().map(|job| job.seconds() / 3600.0).collect();
    hours.sort_by(f64::total_cmp);
    assert!((0.2..5.0).contains(&hours[250]), "median {} h", hours[250]);
    assert!(hours[0] < 0.2 && hours[499] > 10.0, "{} to {} h", hours[0], hours[499]);
    for job in &jobs {
        let run = Run::draw(&mut chance);
        let series = job.minutes(run);
        let minutes = job.seconds() * run.time / 60.0;
        assert!((real(series.len()) - minutes).abs() <= 1.0, "{} of {minutes}", series.len());
        assert!(series.is_sorted());
        assert!((series.last().unwrap() / (job.grams() * run.material) - 1.0).abs() < 1e-9);
        let looks = job.looks(run, Heating::TUNED, &mut chance);
        assert!(looks.iter().all(|look| (150.0..260.0).contains(&look.nozzle)), "{looks:?}");
        assert!(looks.last().unwrap().at <= minutes * 60.0);
    }
}

#[test]
fn sets_and_intervals_are_those_of_the_books() {
    let sets = Sets::of([1, 2, 2, 3, 3, 3, 3, 3].into_iter());
    assert_eq!((sets.unique, sets.below_fifty, sets.median), (0.125, 1.0, 5));
    assert!((sets.entropy - 1.298_79).abs() < 1e-4, "{}", sets.entropy);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a}, not {b}");
    // No hit in ten: the bound solves (1 - p)^10 = 0.005.
    let none = Rate::of(0, 10);
    close(none.low, 0.0);
    close(none.high, 1.0 - 0.005_f64.powf(0.1));
    close(Rate::of(10, 10).low, 0.005_f64.powf(0.1));
    // Three heads or more in four throws: five of sixteen.
    close(Rate::of(3, 4).chance_at(0.5), 5.0 / 16.0);
    assert!(Rate::of(30, 100).is_above(0.1) && !Rate::of(12, 100).is_above(0.1));
}

#[test]
fn the_attacks_name_what_can_be_named_and_guess_the_rest() {
    let mut chance = Chance::of(5);
    // Ten models in one bin: by the bin one in ten, by a value that differs all of them.
    let probes: Vec<(u32, u32, u32)> = (0..1_000).map(|n| (n % 10, 0, n % 10)).collect();
    let alike: Vec<_> = probes.iter().map(|(model, bins, _)| (*model, *bins, *bins)).collect();
    let known = Exact::learn(10, probes.iter().copied().take(10));
    assert_eq!(known.attack(&probes, &mut chance).hits, 1_000);
    let blind = Exact::learn(10, alike.iter().copied().take(10)).attack(&alike, &mut chance);
    assert!((blind.expected - 100.0).abs() < 1e-6, "{blind:?}");
    assert!((60..150).contains(&blind.hits), "{blind:?}");
    // By numbers: three models, two of them alike.
    let at = |value: f32| Numbers { values: vec![value], deviations: vec![0.1] };
    let models = [at(1.0), at(2.0), at(2.0)];
    let sure = nearest(&models, &vec![(0, at(1.1)); 10], &mut chance);
    assert_eq!((sure.hits, sure.expected), (10, 10.0));
    let half = nearest(&models, &vec![(1, at(2.1)); 10], &mut chance);
    assert!((half.expected - 5.0).abs() < 1e-6, "{half:?}");
    assert_eq!(nearest(&models, &vec![(0, at(2.1)); 10], &mut chance).hits, 0);
}
