//! Replays: no request is forgotten by a restore, nothing is left of who was erased, and no key lives
//! that nothing names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use imprimatur_consent::event::{Acting, Public};
use imprimatur_consent::standing::{Grounds, Restriction};
use imprimatur_log::Entry as LogEntry;
use imprimatur_proto::rights::v1::{RightsMessage, RightsRequest, Verb};
use imprimatur_proto::telemetry::v1::{DayPrintTime, DayReport};

use super::restore::{finish, grant_and_store, publish};
use super::*;
use crate::register::{Entry, Outcome};
use crate::tables::{
    EPOCHS, PEPPERS, RECEIPTS, SUBJECTS, TASKS, TOLD, TOMB_KEYS, TOMBS, VERDICTS, WINDOWS,
};
use crate::{ConsentEvidence, Job, Work};

fn day(after: u32) -> UtcDate {
    UtcDate(TODAY.0 + after)
}

/// The owner, with a request as the collector keeps it.
fn owner(request: RightsRequest) -> Acting {
    let request = encode(&RightsRequest { challenge: vec![3; 32], ..request });
    let message = RightsMessage { request, signature: vec![1; 64], ..RightsMessage::default() };
    Acting::Owner { signed_request: hex::encode(encode(&message)) }
}

fn by(verb: Verb) -> Acting {
    owner(RightsRequest { verb: verb.into(), ..RightsRequest::default() })
}

fn complaint() -> What {
    What::Complained { topic: 1, by: by(Verb::Complain) }
}

fn erasure() -> What {
    What::ErasureRequested { by: by(Verb::Erase) }
}

fn objection(verb: Verb) -> What {
    What::Objected { categories: vec![Category::Laser], by: by(verb) }
}

fn rectification(busy_time: u32) -> What {
    let print_time = Some(DayPrintTime { busy_time, ..DayPrintTime::default() });
    let rectified = encode(&DayReport { date: TODAY.0, print_time, ..DayReport::default() });
    let verb = Verb::Rectify.into();
    let by = owner(RightsRequest { verb, rectified, ..RightsRequest::default() });
    What::Rectified { date: TODAY, by }
}

fn hold(until: UtcDate) -> What {
    let restriction = Restriction { grounds: Grounds::Claim, since: TODAY, until: Some(until) };
    What::Restricted { restriction, by: Acting::Operator {} }
}

/// Records what is asked on a day, as the collector does.
fn ask(book: &Book, seed: u8, what: &What, on: UtcDate) {
    let (txn, subject) = (book.begin().unwrap(), key(seed).subject());
    txn.record(subject, what, on.start()).unwrap().unwrap();
    txn.enter_asked(subject, what, on, &txn.terms()).unwrap().unwrap();
    txn.commit().unwrap();
}

fn back_up(book: &Book, data: &Path) -> PathBuf {
    publish(book, data);
    let to = data.join("backups/one");
    book.back_up(&to, TODAY.start()).unwrap();
    to
}

fn restored(data: &Path, backup: &Path, on: UtcDate) -> Book {
    let (book, replayed) = Book::restore(data, backup, on.start()).unwrap();
    book.finish_restore(&replayed, 0, on.start()).unwrap();
    book
}

fn work(book: &Book, on: UtcDate) -> Vec<Work> {
    book.begin().unwrap().work(on).unwrap()
}

#[test]
fn what_was_asked_after_a_backup_is_entered_again_as_it_was() {
    let (book, folder) = book();
    for seed in 1..=6 {
        grant_and_store(&book, seed);
    }
    ask(&book, 1, &complaint(), TODAY);
    let backup = back_up(&book, folder.path());
    ask(&book, 1, &complaint(), day(1));
    // A later policy that answers sooner changes no date that was told before it.
    let sooner = STRICTEST.replacen("name = \"strictest\"", "name = \"sooner\"", 1).replacen(
        "complaint_days = 45",
        "complaint_days = 20",
        1,
    );
    book.publish_policy(&sooner, day(2).start()).unwrap();
    ask(&book, 1, &complaint(), day(3));
    ask(&book, 2, &rectification(3), day(3));
    ask(&book, 2, &objection(Verb::Object), day(4));
    ask(&book, 2, &objection(Verb::Withdraw), day(4));
    ask(&book, 3, &hold(day(40)), day(4));
    ask(&book, 3, &erasure(), day(5));
    ask(&book, 4, &hold(day(40)), day(5));
    ask(&book, 4, &erasure(), day(6));
    ask(&book, 4, &What::Released { by: Acting::Operator {} }, day(7));
    ask(&book, 5, &erasure(), day(7));
    ask(&book, 5, &hold(day(50)), day(8));
    publish(&book, folder.path());
    let (asked, todo) = (book.register().unwrap(), work(&book, day(60)));
    let days = |verb: &str| -> Vec<u32> {
        let of_verb = asked.iter().filter(|entry| entry.verb == verb);
        of_verb.map(|entry| entry.due.0 - entry.received.0).collect()
    };
    assert_eq!(
        (days("complain"), days("rectify"), days("erase")),
        (vec![45, 45, 20], vec![30], vec![30; 3])
    );
    let fates = |fate| asked.iter().filter(|entry| entry.outcome == fate).count();
    assert_eq!((fates(Outcome::Open), fates(Outcome::Held), fates(Outcome::Done)), (5, 2, 6));
    let waiting: Vec<Outcome> =
        asked.iter().filter(|entry| entry.verb == "erase").map(|entry| entry.outcome).collect();
    assert_eq!(waiting, [Outcome::Held, Outcome::Open, Outcome::Held]);
    let rectifies =
        |work: &&Work| matches!(&work.job, Job::Rectify { sections, .. } if sections.len() == 1);
    assert_eq!((todo.len(), todo.iter().filter(rectifies).count()), (4, 1));
    drop(book);
    // One that broke off is repeated.
    drop(Book::restore(folder.path(), &backup, day(9).start()).unwrap());
    let error = Book::open(folder.path()).unwrap_err();
    assert!(matches!(error, BookError::Restoring), "{error}");
    let book = restored(folder.path(), &backup, day(10));
    assert_eq!(book.register().unwrap(), asked);
    assert_eq!(work(&book, day(60)), todo);
    assert_eq!(work(&book, day(9)).len(), 2, "two erasures wait for the end of a hold");
}

/// The slots that the tables of subjects name.
fn slots(book: &Book) -> BTreeSet<u64> {
    let txn = book.begin().unwrap();
    let mut slots = BTreeSet::new();
    for table in [SUBJECTS, TOLD] {
        let table = txn.raw.open_table(table).unwrap();
        slots.extend(table.iter().unwrap().map(|entry| entry.unwrap().0.value()));
    }
    for table in [RECEIPTS, VERDICTS] {
        let table = txn.raw.open_table(table).unwrap();
        slots.extend(table.iter().unwrap().map(|entry| entry.unwrap().0.value().0));
    }
    let windows = txn.raw.open_table(WINDOWS).unwrap();
    slots.extend(windows.iter().unwrap().map(|entry| entry.unwrap().0.value()));
    let epochs = txn.raw.open_table(EPOCHS).unwrap();
    slots.extend(epochs.iter().unwrap().map(|entry| entry.unwrap().0.value().0));
    let tasks = txn.raw.open_table(TASKS).unwrap();
    let task = |value: &[u8]| u64::from_be_bytes(*value.first_chunk().unwrap());
    slots.extend(tasks.iter().unwrap().map(|entry| task(entry.unwrap().1.value())));
    slots
}

#[test]
fn nothing_is_left_of_who_was_erased_after_a_backup() {
    let (book, folder) = book();
    for seed in [1, 2] {
        grant_and_store(&book, seed);
        let txn = book.begin().unwrap();
        let hash = Digest([9; 32]);
        txn.keep_receipt(key(seed).subject(), 1, hash, b"receipt").unwrap();
        txn.commit().unwrap();
    }
    ask(&book, 1, &complaint(), TODAY);
    ask(&book, 1, &rectification(3), TODAY);
    let other = book.known(key(2).subject()).unwrap().slot;
    let backup = back_up(&book, folder.path());
    ask(&book, 1, &erasure(), TODAY);
    publish(&book, folder.path());
    finish(&book);
    publish(&book, folder.path());
    let fates = |book: &Book| -> Vec<_> {
        let fate = |entry: Entry| (entry.verb, entry.outcome, entry.closed);
        book.register().unwrap().into_iter().map(fate).collect()
    };
    let complained = ("complain".to_owned(), Outcome::Open, None);
    let rectified = ("rectify".to_owned(), Outcome::Done, Some(TODAY));
    let done = ("erase".to_owned(), Outcome::Done, Some(TODAY));
    assert_eq!(fates(&book), [complained.clone(), rectified.clone(), done]);
    assert_eq!(slots(&book), [other].into());
    drop(book);
    let book = restored(folder.path(), &backup, day(3));
    assert_eq!(slots(&book), [other].into());
    // What was asked behind the destroyed key nobody can tell; what was open is done with it.
    assert_eq!(fates(&book), [complained, rectified]);
}

/// The slots that have a key, and those of them that events, peppers and marks name.
fn keys(book: &Book) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let keyring = book.keyring();
    let alive = |slot: &u64| keyring.secret(*slot).unwrap().is_some();
    let txn = book.begin().unwrap();
    let mut named: BTreeSet<u64> =
        book.events_after(0).unwrap().iter().map(|event: &ConsentEvidence| event.slot).collect();
    for table in [PEPPERS, TOMB_KEYS] {
        let table = txn.raw.open_table(table).unwrap();
        named.extend(table.iter().unwrap().map(|entry| entry.unwrap().1.value()));
    }
    named.retain(alive);
    ((1..keyring.slots()).filter(alive).collect(), named)
}

/// A batch of a print of another month than all others.
fn stored_next_month(book: &Book, seed: u8) {
    let txn = book.begin().unwrap();
    let next = day(12);
    let batch = txn.open_batch(key(seed).subject(), 2, Digest([9; 32]), next.start()).unwrap();
    let record = batch.begin_record(RecordKind::Print, next).unwrap();
    let permit = batch.permit(Category::PrintTime, next).unwrap();
    batch.append(record, section(Category::PrintTime), permit).unwrap();
    batch.finish().unwrap();
    txn.commit().unwrap();
}

#[test]
fn a_key_that_the_restored_book_does_not_name_is_destroyed_and_one_that_it_needs_is_kept() {
    let (book, folder) = book();
    grant_and_store(&book, 1);
    grant_and_store(&book, 2);
    let backup = back_up(&book, folder.path());
    // A subject that is published, a pepper, marks of an erasure, and a subject that is not published.
    grant_and_store(&book, 3);
    stored_next_month(&book, 3);
    ask(&book, 2, &erasure(), TODAY);
    finish(&book);
    publish(&book, folder.path());
    grant_and_store(&book, 4);
    let (alive, named) = keys(&book);
    assert_eq!((alive.len(), &named), (6, &alive), "three subjects, two peppers, and marks");
    let slot = |seed| book.known(key(seed).subject()).unwrap().slot;
    let (published, not_published) = (slot(3), slot(4));
    let pepper = {
        let txn = book.begin().unwrap();
        let peppers = txn.raw.open_table(PEPPERS).unwrap();
        peppers.get(day(12).month()).unwrap().unwrap().value()
    };
    drop(book);
    let book = restored(folder.path(), &backup, day(13));
    let (alive, named) = keys(&book);
    assert_eq!((alive.len(), &named), (4, &alive));
    assert!(alive.contains(&published));
    assert!(!alive.contains(&pepper) && !alive.contains(&not_published));
    let log = (0..book.log_size().unwrap()).filter_map(|number| {
        let txn = book.begin().unwrap();
        let entries = txn.raw.open_table(crate::tables::ENTRIES).unwrap();
        let entry = entries.get(number).unwrap().unwrap().value().to_vec();
        let Ok(LogEntry::Public(json)) = LogEntry::read(&entry) else { return None };
        serde_json::from_slice::<Public>(json).ok()
    });
    let log: Vec<Public> = log.collect();
    for slot in [pepper, not_published] {
        assert!(log.contains(&Public::KeyDestroyed { slot, on: day(13) }), "{log:?}");
    }
    let told = |event: &Public| matches!(event, Public::Restored { slots: Some(8), .. });
    assert!(log.iter().any(told), "{log:?}");
    // Life goes on, under a pepper that was never used.
    stored_next_month(&book, 1);
    assert_eq!(keys(&book).0.len(), 5);
    publish(&book, folder.path());
    drop(book);
    Book::open(folder.path()).unwrap();
}

#[test]
fn peppers_and_marks_that_were_destroyed_stay_away() {
    let (book, folder) = book();
    for seed in [1, 2] {
        grant_and_store(&book, seed);
    }
    ask(&book, 2, &erasure(), TODAY);
    finish(&book);
    let backup = back_up(&book, folder.path());
    let later = day(200);
    let txn = book.begin().unwrap();
    assert_eq!(txn.expire_peppers(90, later).unwrap().len(), 1);
    txn.commit().unwrap();
    publish(&book, folder.path());
    drop(book);
    let book = restored(folder.path(), &backup, day(29));
    let txn = book.begin().unwrap();
    assert!(txn.pseudonyms_of(key(1).subject()).unwrap().is_empty(), "a pepper was drawn anew");
    assert!(txn.raw.open_table(PEPPERS).unwrap().iter().unwrap().next().is_none());
    assert!(txn.raw.open_table(TOMB_KEYS).unwrap().iter().unwrap().next().is_none());
    assert!(txn.raw.open_table(TOMBS).unwrap().iter().unwrap().next().is_none());
}
