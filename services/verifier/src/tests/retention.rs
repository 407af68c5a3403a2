//! Deadlines: what was to be gone by a day is caught on the day after.

use imprimatur_consent::Invariant;
use imprimatur_runtime::UtcDate;

use super::collector::{Collector, TODAY};
use super::world::World;
use super::{caught_alone, proven};

/// A subject asks for erasure, the collector does nothing of it, and days go by.
fn forgotten(days: u32) -> World {
    World::of(|mut collector: Collector| {
        collector.grant(1, 1);
        collector.grant(2, 1);
        collector.publish();
        collector.erases = false;
        collector.ask_for_erasure(2);
        collector.today = UtcDate(TODAY.0 + days);
        collector.store(1, 1);
        collector.publish();
        collector
    })
}

#[test]
fn a_key_that_outlives_the_deadline_of_its_erasure_is_caught() {
    let problem = format!("was to be erased by {}", UtcDate(TODAY.0 + 30));
    caught_alone(&forgotten(31).verify(), Invariant::ErasureProvable, &problem);
    proven(&forgotten(30).verify());
}
