//! Restores: what an older program left undone at one is found, and a whole one passes.

use super::super::collector::TODAY;
use super::super::states;
use super::*;

fn restored() -> World {
    World::of(states::restored)
}

#[test]
fn a_restored_book_is_proven() {
    let report = restored().verify();
    whole(&report);
    assert_eq!(report.book.unwrap().requests, 2, "a restriction and a complaint");
}

#[test]
fn a_request_that_a_restore_forgot_is_caught() {
    for (number, verb) in [(1, "restrict"), (2, "complain")] {
        let world = restored();
        let entry = String::from_utf8(world.bytes(REGISTER, number)).unwrap();
        assert!(entry.contains(verb) && entry.contains(&format!("\"received\":{}", TODAY.0)));
        let last = world.bytes(REGISTER, 2);
        let last = String::from_utf8(last).unwrap().replacen("\"number\":2", "\"number\":1", 1);
        world.edit(REGISTER, |table| {
            table.remove(2).unwrap();
            if number == 1 {
                table.insert(1, last.as_bytes()).unwrap();
            }
        });
        world.edit(NUMBERS, |table| drop(table.insert("requests", 1).unwrap()));
        caught_alone(&world.verify(), ERASED, "was recorded, and is not in the register");
    }
}

#[test]
fn what_a_restore_brought_back_of_an_erased_subject_is_caught() {
    type Leave = fn(&World, u64);
    let leftovers: [(&str, Leave); 5] = [
        ("receipts", |world, slot| {
            world.edit(RECEIPTS, |table| drop(table.insert((slot, 1), &[7; 64][..]).unwrap()));
        }),
        ("verdicts", |world, slot| {
            world.edit(VERDICTS, |table| drop(table.insert((slot, 1), &[7; 64][..]).unwrap()));
        }),
        ("windows", |world, slot| {
            world.edit(WINDOWS, |table| drop(table.insert(slot, (0, 0)).unwrap()));
        }),
        ("epochs", |world, slot| {
            world.edit(EPOCHS, |table| drop(table.insert((slot, 202_611), ()).unwrap()));
        }),
        ("tasks", |world, slot| {
            let task = [&slot.to_be_bytes()[..], &[7; 64]].concat();
            world.edit(TASKS, |table| drop(table.insert(1, task.as_slice()).unwrap()));
        }),
    ];
    for (table, leave) in leftovers {
        let world = restored();
        let slot = world.a_destroyed_slot();
        leave(&world, slot);
        let problem = format!("names slot {slot}, which the log calls destroyed");
        let report = world.verify();
        caught_alone(&report, ERASED, &problem);
        let places = report.checks.iter().flat_map(|check| &check.findings);
        assert!(places.into_iter().any(|finding| finding.place.contains(table)), "{report}");
    }
}

#[test]
fn a_key_that_a_restore_left_without_a_name_is_caught() {
    let world = restored();
    // The pepper of the rows that the backup brought.
    world.edit(PEPPERS, |table| drop(table.remove(202_611).unwrap().unwrap()));
    caught_alone(&world.verify(), ERASED, "has a key that nothing in the book names");
}
