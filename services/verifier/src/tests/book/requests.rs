//! The register, keys past their time, and the inventory of backups.

use imprimatur_runtime::UtcDate;
use serde_json::json;

use super::super::collector::TODAY;
use super::super::states;
use super::*;

/// The complaint of the second subject, changed.
fn request(change: impl FnOnce(&mut serde_json::Value)) -> Report {
    let world = busy();
    let mut entry = serde_json::from_slice(&world.bytes(REGISTER, 1)).unwrap();
    change(&mut entry);
    let entry = serde_json::to_vec(&entry).unwrap();
    world.edit(REGISTER, |table| drop(table.insert(1, entry.as_slice()).unwrap()));
    world.verify()
}

#[test]
fn a_request_that_was_taken_out_or_put_in_is_caught() {
    let world = busy();
    world.edit(REGISTER, |table| drop(table.remove(1).unwrap()));
    let report = world.verify();
    caught_alone(&report, ERASED, "was recorded, and is not in the register");
    caught(&report, ERASED, "is not the number of requests in the register");
    let report = request(|entry| entry["asker"] = "operator".into());
    caught_alone(&report, ERASED, "is in the register, and was never recorded");
    caught_alone(&request(|entry| entry["number"] = 2.into()), ERASED, "is out of its place");
    caught(&request(|entry| entry["verb"] = "sell".into()), ERASED, "nobody can ask for");
}

#[test]
fn a_request_with_days_that_no_policy_allows_is_caught() {
    let late = request(|entry| entry["due"] = json!(TODAY.0 + 46));
    caught_alone(&late, ERASED, "is due on a day that no policy allows");
    let undated = request(|entry| entry["outcome"] = "done".into());
    caught_alone(&undated, ERASED, "is done without a day");
}

#[test]
fn a_request_that_is_done_late_or_not_at_all_is_caught() {
    let closed = |after: u32| {
        request(|entry| {
            entry["outcome"] = "done".into();
            entry["closed"] = json!(TODAY.0 + after);
        })
    };
    whole(&closed(45));
    let problem = format!("was due on {0}, and was done on", UtcDate(TODAY.0 + 45));
    caught_alone(&closed(46), ERASED, &problem);
    let overdue = |days: u32| {
        World::of(|mut collector: Collector| {
            collector.grant(1, 1);
            collector.complain(1);
            collector.today = UtcDate(TODAY.0 + days);
            collector.publish();
            collector
        })
        .verify()
    };
    whole(&overdue(45));
    let problem = format!("was due on {}, and is not done", UtcDate(TODAY.0 + 45));
    caught_alone(&overdue(46), ERASED, &problem);
}

#[test]
fn an_erasure_waits_for_a_legal_hold_and_for_nothing_else() {
    let erased = |held: Option<u32>, done_after: u32| {
        World::of(|mut collector: Collector| {
            collector.grant(1, 1);
            collector.grant(2, 1);
            if let Some(days) = held {
                collector.hold(2, days);
            }
            collector.ask_for_erasure(2);
            collector.erases = false;
            collector.publish();
            collector.erases = true;
            collector.today = UtcDate(TODAY.0 + done_after);
            collector.publish();
            collector
        })
        .verify()
    };
    whole(&erased(None, 30));
    caught_alone(&erased(None, 31), ERASED, "and was done on");
    whole(&erased(Some(40), 41));
}

#[test]
fn an_erasure_that_claims_a_hold_without_one_is_caught() {
    let world = World::of(states::being_erased);
    let mut entry: serde_json::Value = serde_json::from_slice(&world.bytes(REGISTER, 1)).unwrap();
    entry["outcome"] = "held".into();
    let entry = serde_json::to_vec(&entry).unwrap();
    world.edit(REGISTER, |table| drop(table.insert(1, entry.as_slice()).unwrap()));
    caught_alone(&world.verify(), ERASED, "waits for a legal hold, and there is none");
}

#[test]
fn a_backup_that_is_not_in_the_inventory_as_in_the_log_is_caught() {
    let world = busy();
    let backup = world.manifest_backup();
    world.edit(BACKUPS, |table| drop(table.remove(backup.as_str()).unwrap()));
    caught_alone(&world.verify(), ERASED, "is in the log, and not in the inventory");
    let world = busy();
    let backup = world.manifest_backup();
    let dates = serde_json::to_vec(&(TODAY, UtcDate(TODAY.0 + 31))).unwrap();
    world.edit(BACKUPS, |table| drop(table.insert(backup.as_str(), dates.as_slice()).unwrap()));
    let report = world.verify();
    caught_alone(&report, ERASED, "is in the inventory with other days than in the log");
    caught(&report, ERASED, "may exist longer than the policies allow");
}

impl World {
    /// The id of the one backup.
    fn manifest_backup(&self) -> String {
        self.verify().facts.backups[0].id.clone()
    }
}

#[test]
fn a_key_past_its_time_is_caught() {
    let world = busy();
    let slot = world.slots().into_iter().next().unwrap();
    world.edit(PEPPERS, |table| drop(table.insert(202_001, slot).unwrap()));
    caught_alone(&world.verify(), ERASED, "is past its time, and was not destroyed");
    let world = busy();
    world.edit(PEPPERS, |table| drop(table.insert(209_901, 999).unwrap()));
    caught_alone(&world.verify(), ERASED, "is in the book, and its key is destroyed or lost");
}

#[test]
fn what_is_left_of_an_erased_subject_is_caught() {
    let world = World::of(states::erased);
    let slot = world.a_destroyed_slot();
    world.edit(WINDOWS, |table| drop(table.insert(slot, (0, 0)).unwrap()));
    let problem = format!("names slot {slot}, which the log calls destroyed");
    caught_alone(&world.verify(), ERASED, &problem);
    let world = World::of(states::erased);
    world.edit(SUBJECTS, |table| drop(table.insert(slot, &[7; 64][..]).unwrap()));
    caught_alone(&world.verify(), ERASED, "is in the book, and its key is destroyed or lost");
}
