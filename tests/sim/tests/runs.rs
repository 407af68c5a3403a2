//! Seeds: none violates anything, one seed twice is one run, and a liar is caught.

use imprimatur_sim::{Plan, Run, Violation, run};

/// Seeds in one test run; `cargo run --release -p imprimatur-sim -- --seeds 100000` runs more.
const SEEDS: u64 = 200;

#[test]
fn no_seed_loses_doubles_or_keeps_what_was_withdrawn() {
    let mut sums = Run::default();
    for seed in 1..=SEEDS {
        let run = run(seed, &Plan::default()).unwrap();
        assert_eq!(run.violations, [], "seed {seed}");
        sums.issued += run.issued;
        sums.acknowledged += run.acknowledged;
        sums.crashes += run.crashes;
        sums.doubled += run.doubled;
        sums.repeated += run.repeated;
        sums.withdrawn_in_flight += run.withdrawn_in_flight;
    }
    // I15: runs in which nothing happened prove nothing.
    let seen = [sums.issued, sums.acknowledged, sums.crashes, sums.doubled, sums.repeated];
    assert!(seen.iter().all(|count| *count >= SEEDS), "{seen:?} of {SEEDS} seeds");
    assert!(sums.withdrawn_in_flight >= SEEDS / 10, "{}", sums.withdrawn_in_flight);
}

#[test]
fn one_seed_twice_is_one_run() {
    for seed in [7, 4711] {
        let plan = Plan { keep_trace: true, ..Plan::default() };
        let (first, second) = (run(seed, &plan).unwrap(), run(seed, &plan).unwrap());
        assert_eq!(first.lines, second.lines);
        assert_eq!(first.trace, second.trace);
        assert!(first.lines.len() > 100, "{}", first.lines.len());
    }
    let (one, other) = (run(1, &Plan::default()).unwrap(), run(2, &Plan::default()).unwrap());
    assert_ne!(one.trace, other.trace);
}

#[test]
fn a_collector_that_forgets_what_it_answered_is_caught() {
    let plan = Plan { forgetful: true, ..Plan::default() };
    let caught = (1..=30).filter_map(|seed| run(seed, &plan).ok()).any(|run| {
        run.violations.iter().any(|violation| {
            matches!(violation, Violation::Lost(_) | Violation::LostAcknowledged { .. })
        })
    });
    assert!(caught, "thirty collectors forgot what they had answered, and nobody noticed");
}
