//! Receipts, verdicts, counters, and what each date has told.

use imprimatur_consent::{Digest, Domain};
use imprimatur_ledger::Label;
use imprimatur_proto::canonical::encode;
use imprimatur_proto::consent::v1::{Receipt, SignedReceipt};
use imprimatur_proto::contract;
use imprimatur_proto::ingest::v1::RefusalReason;

use super::super::collector::{key, signed_receipt, verdict};
use super::*;

/// The receipt of the first subject, changed and signed by the collector itself.
fn receipt(change: impl FnOnce(&mut Receipt)) -> World {
    let world = busy();
    let place = place("receipt", &[FIRST_SLOT, 1]);
    let held = world.unsealed(FIRST_SLOT, &place, &world.bytes(RECEIPTS, (FIRST_SLOT, 1)));
    let signed: SignedReceipt = contract().decode(&held[32..]).unwrap();
    let mut receipt: Receipt = contract().decode(&signed.receipt).unwrap();
    change(&mut receipt);
    let value = [&held[..32], &signed_receipt(&receipt)].concat();
    let sealed = world.sealed(FIRST_SLOT, &place, &value);
    let at = (FIRST_SLOT, 1);
    world.edit(RECEIPTS, |table| drop(table.insert(at, sealed.as_slice()).unwrap()));
    world
}

#[test]
fn a_receipt_that_is_missing_is_caught() {
    let world = busy();
    world.edit(RECEIPTS, |table| drop(table.remove((FIRST_SLOT, 1)).unwrap()));
    caught_alone(&world.verify(), FIRST, "is not in the book");
}

#[test]
fn a_receipt_that_says_something_else_is_caught() {
    type Change = fn(&mut Receipt);
    let changes: [(&str, Change); 8] = [
        ("names another day", |receipt| receipt.recorded_date += 1),
        ("says that something else is granted", |receipt| receipt.granted.push(3)),
        ("bears another nonce", |receipt| receipt.nonce = vec![1; 32]),
        ("names another entry of the log", |receipt| receipt.log_index += 1),
        ("bears another signature of its owner", |receipt| receipt.event_signature = vec![1; 64]),
        ("names another key of the log", |receipt| receipt.log_key = vec![1; 32]),
        ("does not prove that its event is in the log", |receipt| {
            receipt.inclusion_proof = vec![1; 32];
        }),
        ("bears no checkpoint of the log", |receipt| receipt.checkpoint = b"none".to_vec()),
    ];
    whole(&receipt(|_| {}).verify());
    for (problem, change) in changes {
        caught_alone(&receipt(change).verify(), FIRST, problem);
    }
}

#[test]
fn a_receipt_that_another_key_signed_or_that_is_of_another_event_is_caught() {
    let put = |world: &World, value: &[u8]| {
        let place = place("receipt", &[FIRST_SLOT, 1]);
        let sealed = world.sealed(FIRST_SLOT, &place, value);
        let at = (FIRST_SLOT, 1);
        world.edit(RECEIPTS, |table| drop(table.insert(at, sealed.as_slice()).unwrap()));
    };
    let held = |world: &World| {
        let sealed = world.bytes(RECEIPTS, (FIRST_SLOT, 1));
        world.unsealed(FIRST_SLOT, &place("receipt", &[FIRST_SLOT, 1]), &sealed)
    };
    let world = busy();
    let value = held(&world);
    let signed: SignedReceipt = contract().decode(&value[32..]).unwrap();
    let signature = key(9).sign(Domain::Receipt, &signed.receipt);
    let forged = encode(&SignedReceipt { signature, ..signed });
    put(&world, &[&value[..32], &forged].concat());
    caught_alone(&world.verify(), FIRST, "is not signed by the collector");
    let world = busy();
    let value = held(&world);
    put(&world, &[&[7; 32], &value[32..]].concat());
    caught_alone(&world.verify(), FIRST, "is kept as the answer to another event");
}

/// Puts a verdict in the place of that of a batch of the first subject.
fn put_verdict(world: &World, number: u64, frame: Digest, verdict: &[u8]) {
    let value = [&frame.0[..], verdict].concat();
    let place = place("verdict", &[FIRST_SLOT, number]);
    let sealed = world.sealed(FIRST_SLOT, &place, &value);
    let at = (FIRST_SLOT, number);
    world.edit(VERDICTS, |table| drop(table.insert(at, sealed.as_slice()).unwrap()));
}

#[test]
fn a_verdict_that_is_missing_or_false_is_caught() {
    let world = busy();
    world.edit(VERDICTS, |table| drop(table.remove((FIRST_SLOT, 1)).unwrap()));
    let report = world.verify();
    caught_alone(&report, ONCE, "was committed, and no verdict says so");
    caught(&report, ONCE, "are more or fewer than the book counts");
    let (frame, refused) = (Digest::of(&[1, 1]), Some(RefusalReason::NoGrant));
    let world = busy();
    put_verdict(&world, 1, frame, &verdict(1, (1, frame), refused));
    caught(&world.verify(), ONCE, "refuses a batch that was committed");
    let world = busy();
    let frame = Digest::of(&[1, 2]);
    put_verdict(&world, 2, frame, &verdict(1, (2, frame), None));
    caught_alone(&world.verify(), ONCE, "says that a batch was stored, and no commit does");
    let world = busy();
    put_verdict(&world, 2, frame, &verdict(2, (2, frame), refused));
    caught_alone(&world.verify(), FIRST, "is of another subject, number or frame");
    let world = busy();
    world.edit(WINDOWS, |table| drop(table.insert(FIRST_SLOT, (3, 1)).unwrap()));
    caught_alone(&world.verify(), ONCE, "is older than what was forgotten");
}

#[test]
fn counters_that_are_not_what_they_count_are_caught() {
    let count = |name: &'static str, count: u64| {
        let world = busy();
        world.edit(COUNTS, |table| drop(table.insert(name, count).unwrap()));
        world.verify()
    };
    caught_alone(&count("stored", 3), FIRST, "is not the number of commits");
    let problem = "is not the number of recorded consent events";
    caught_alone(&count("consent.recorded", 3), FIRST, problem);
    let report = count("refused.no_grant", 0);
    caught_alone(&report, FIRST, "is less than the refusals that are remembered");
    caught(&report, FIRST, "is less than the log told");
    caught(&report, FIRST, "is less than the manifest tells");
    whole(&count("refused.no_grant", 2));
}

/// So many prints of one date and subject, in a book with this label.
fn prints(count: u64, label: Label) -> World {
    World::of(|collector: Collector| {
        collector.book.label(label).unwrap();
        collector.grant(1, 1);
        for number in 1..=count {
            collector.store(1, number);
        }
        collector.publish();
        collector
    })
}

#[test]
fn a_date_that_tells_more_than_it_may_is_caught() {
    whole(&prints(10, Label::Real).verify());
    whole(&prints(11, Label::Load).verify());
    let world = prints(11, Label::Load);
    world.edit(NUMBERS, |table| drop(table.insert("synthetic", 0).unwrap()));
    let report = world.verify();
    caught_alone(&report, GEOMETRY, "tells 11 prints and 0 day reports, and may tell 10 and 1");
    // Rows tell it by themselves.
    world.without_book();
    caught_alone(&world.verify(), GEOMETRY, "tells 11 prints");
}

#[test]
fn counts_of_a_date_that_leave_room_for_more_are_caught() {
    let world = busy();
    let (held, place) = (world.bytes(TOLD, FIRST_SLOT), place("told", &[FIRST_SLOT]));
    let mut told = world.unsealed(FIRST_SLOT, &place, &held);
    assert_eq!(told[4], 2);
    told[4] = 1;
    let sealed = world.sealed(FIRST_SLOT, &place, &told);
    world.edit(TOLD, |table| drop(table.insert(FIRST_SLOT, sealed.as_slice()).unwrap()));
    caught_alone(&world.verify(), GEOMETRY, "so more could be stored of it");
    let world = busy();
    world.edit(TOLD, |table| drop(table.remove(FIRST_SLOT).unwrap()));
    caught_alone(&world.verify(), GEOMETRY, "so more could be stored of it");
}
