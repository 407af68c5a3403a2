//! The states that an honest collector may be found in.

use imprimatur_consent::Category;
use imprimatur_proto::consent::v1::Decision;
use imprimatur_runtime::UtcDate;

use super::collector::{Collector, TODAY, said};
use super::world::World;

type Run = fn(Collector) -> Collector;

/// Each state, by name.
pub(super) fn all() -> Vec<(&'static str, World)> {
    let run = |(name, run): (&'static str, Run)| (name, World::of(run));
    let runs: [(&'static str, Run); 9] = [
        ("nothing yet", nothing),
        ("restricted", restricted),
        ("erased", erased),
        ("being erased", being_erased),
        ("being erased, rows gone", rows_gone),
        ("not all in the lake", not_all_in_the_lake),
        ("rows expired", rows_expired),
        ("everything expired", everything_expired),
        ("restored", restored),
    ];
    let mut states: Vec<_> = runs.map(run).into();
    states.push(("several subjects and a withdrawal", World::honest()));
    states
}

fn nothing(collector: Collector) -> Collector {
    collector.publish();
    collector
}

/// Three subjects with a batch each.
fn three(collector: &Collector) {
    for seed in [1, 2, 3] {
        collector.grant(seed, 1);
        collector.store(seed, 1);
    }
    collector.publish();
}

fn restricted(collector: Collector) -> Collector {
    three(&collector);
    collector.restrict(2);
    collector.store(1, 2);
    collector.publish();
    collector
}

/// A subject that was erased, and another that agreed after it.
pub(super) fn erased(collector: Collector) -> Collector {
    three(&collector);
    collector.withdraw(2, 2);
    collector.ask_for_erasure(2);
    collector.publish();
    collector.grant(4, 1);
    collector.store(4, 1);
    collector.publish();
    collector
}

pub(super) fn being_erased(mut collector: Collector) -> Collector {
    three(&collector);
    collector.erases = false;
    collector.ask_for_erasure(2);
    collector.publish();
    collector
}

/// The process died between the rewritten lake and the end of the erasure.
fn rows_gone(mut collector: Collector) -> Collector {
    three(&collector);
    collector.erases = false;
    collector.store(2, 2);
    collector.ask_for_erasure(2);
    collector.publish();
    collector
}

fn not_all_in_the_lake(collector: Collector) -> Collector {
    three(&collector);
    collector.store(1, 2);
    collector.store_catalogue();
    collector.publish_evidence();
    collector
}

pub(super) fn rows_expired(mut collector: Collector) -> Collector {
    three(&collector);
    collector.today = UtcDate(TODAY.0 + 92);
    collector.store(1, 2);
    collector.publish();
    collector
}

/// Grants lapse, peppers go, and one subject agrees again.
fn everything_expired(mut collector: Collector) -> Collector {
    three(&collector);
    collector.today = UtcDate(TODAY.0 + 500);
    collector.publish();
    let yes = (2, collector.today);
    collector.record(1, &said(1, yes, Decision::Granted, &[Category::PrintTime]));
    collector.store(1, 2);
    collector.publish();
    collector
}

/// A backup; then an erasure, a withdrawal, requests, a commit of another month, and a subject that was
/// not published; then the restore.
pub(super) fn restored(mut collector: Collector) -> Collector {
    three(&collector);
    let folder = tempfile::tempdir().unwrap();
    collector.book.back_up(folder.path(), TODAY.start()).unwrap();
    collector.ask_for_erasure(2);
    collector.publish();
    collector.withdraw(3, 2);
    collector.restrict(3);
    collector.complain(1);
    collector.today = UtcDate(TODAY.0 + 12);
    collector.store(1, 2);
    collector.publish();
    collector.grant(4, 1);
    let collector = collector.restore(folder.path());
    collector.store(1, 3);
    collector.publish();
    collector
}
