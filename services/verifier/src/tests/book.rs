//! Negative controls of the book: each table of a copy is changed on purpose, sealed and signed again
//! with the collector's own keys, and the change must be caught.

mod answers;
mod copies;
mod requests;
mod restores;

use std::fs;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use imprimatur_consent::Invariant;
use redb::{ReadableDatabase as _, TableDefinition};

use super::collector::Collector;
use super::world::World;
use super::{caught, caught_alone, proven};
use crate::{Report, Verdict};

const PERMITS: Invariant = Invariant::NoPermitNoRow;
const ONCE: Invariant = Invariant::CountsOnce;
const FIRST: Invariant = Invariant::EvidenceFirst;
const GEOMETRY: Invariant = Invariant::NoGeometry;
const ERASED: Invariant = Invariant::ErasureProvable;

type Sealed<K> = TableDefinition<'static, K, &'static [u8]>;

const SUBJECTS: Sealed<u64> = Sealed::new("subjects");
const EVENTS: Sealed<u64> = Sealed::new("events");
const COMMITS: Sealed<u64> = Sealed::new("commits");
const JOURNAL: Sealed<u64> = Sealed::new("journal");
const ENTRIES: Sealed<u64> = Sealed::new("log_entries");
const REGISTER: Sealed<u64> = Sealed::new("register");
const TASKS: Sealed<u64> = Sealed::new("tasks");
const TOLD: Sealed<u64> = Sealed::new("told");
const RECEIPTS: Sealed<(u64, u64)> = Sealed::new("receipts");
const VERDICTS: Sealed<(u64, u64)> = Sealed::new("verdicts");
const POLICIES: Sealed<[u8; 32]> = Sealed::new("policies");
const BACKUPS: Sealed<&str> = Sealed::new("backups");
const NODES: TableDefinition<'static, (u8, u64), [u8; 32]> = TableDefinition::new("log_nodes");
const WINDOWS: TableDefinition<'static, u64, (u64, u64)> = TableDefinition::new("windows");
const EPOCHS: TableDefinition<'static, (u64, u32), ()> = TableDefinition::new("epochs");
const PEPPERS: TableDefinition<'static, u32, u64> = TableDefinition::new("peppers");
const COUNTS: TableDefinition<'static, &str, u64> = TableDefinition::new("counts");
const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("numbers");

impl World {
    /// Changes a table of the book.
    fn edit<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'static, K, V>,
        change: impl FnOnce(&mut redb::Table<'_, K, V>),
    ) {
        let db = redb::Database::open(self.path("book.redb")).unwrap();
        let txn = db.begin_write().unwrap();
        change(&mut txn.open_table(table).unwrap());
        txn.commit().unwrap();
    }

    fn bytes<K: redb::Key + 'static>(&self, table: Sealed<K>, key: K::SelfType<'_>) -> Vec<u8> {
        let db = redb::Database::open(self.path("book.redb")).unwrap();
        let table = db.begin_read().unwrap().open_table(table).unwrap();
        table.get(key).unwrap().unwrap().value().to_vec()
    }

    fn cipher(&self, slot: u64) -> XChaCha20Poly1305 {
        let keys = fs::read(self.path("keys/keyring")).unwrap();
        let at = usize::try_from(slot * 32).unwrap();
        let key: [u8; 32] = keys[at..at + 32].try_into().unwrap();
        XChaCha20Poly1305::new((&key).into())
    }

    /// What is sealed at a place.
    fn unsealed(&self, slot: u64, place: &[u8], sealed: &[u8]) -> Vec<u8> {
        let nonce: [u8; 24] = sealed[..24].try_into().unwrap();
        let payload = Payload { msg: &sealed[24..], aad: place };
        self.cipher(slot).decrypt(&XNonce::from(nonce), payload).unwrap()
    }

    fn sealed(&self, slot: u64, place: &[u8], value: &[u8]) -> Vec<u8> {
        let nonce = [9; 24];
        let payload = Payload { msg: value, aad: place };
        let sealed = self.cipher(slot).encrypt(&XNonce::from(nonce), payload).unwrap();
        [&nonce[..], &sealed].concat()
    }

    /// Changes the JSON that is sealed under one number; `before` are bytes before the seal.
    fn edit_json(
        &self,
        (table, kind): (Sealed<u64>, &str),
        (slot, number): (u64, u64),
        before: usize,
        change: impl FnOnce(&mut serde_json::Value),
    ) {
        let (held, place) = (self.bytes(table, number), place(kind, &[number]));
        let mut json =
            serde_json::from_slice(&self.unsealed(slot, &place, &held[before..])).unwrap();
        change(&mut json);
        let sealed = self.sealed(slot, &place, &serde_json::to_vec(&json).unwrap());
        let value = [&held[..before], &sealed].concat();
        self.edit(table, |table| drop(table.insert(number, value.as_slice()).unwrap()));
    }
}

/// What a seal is bound to.
fn place(kind: &str, numbers: &[u64]) -> Vec<u8> {
    let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
    kind.bytes().chain([0]).chain(numbers).collect()
}

/// Slot of the first subject: the pepper comes later.
const FIRST_SLOT: u64 = 1;

/// Grants of two subjects, a stored batch, a refused one, and one that is on its way; a backup.
fn busy() -> World {
    World::of(|collector: Collector| {
        collector.grant(1, 1);
        collector.grant(2, 1);
        collector.store(1, 1);
        collector.refuse(1, 2);
        collector.complain(2);
        let folder = tempfile::tempdir().unwrap();
        collector.book.back_up(folder.path(), collector.today.start()).unwrap();
        collector.publish();
        collector.store(1, 3);
        collector
    })
}

/// The position of the commit that is on its way.
const ON_ITS_WAY: u64 = 5;

#[track_caller]
fn whole(report: &Report) {
    proven(report);
    assert_eq!(report.verdict, Verdict::Holds, "{report}");
    let book = report.book.as_ref().unwrap();
    assert!(book.checked && book.unchecked.is_empty(), "{report}");
}

#[test]
fn an_honest_book_is_proven() {
    let report = busy().verify();
    whole(&report);
    let book = report.book.unwrap();
    assert_eq!((book.position, book.answers, book.requests, book.on_the_way), (5, 5, 1, 1));
    for (state, world) in super::states::all() {
        let report = world.verify();
        assert_eq!(report.verdict, Verdict::Holds, "{state}: {report}");
    }
}

#[test]
fn an_event_that_differs_from_its_evidence_is_caught() {
    let world = busy();
    world.edit(EVENTS, |table| drop(table.remove(2).unwrap()));
    caught(&world.verify(), FIRST, "is in the evidence and not in the book");
    let world = busy();
    let other = String::from_utf8(world.bytes(EVENTS, 1)).unwrap();
    let other = other.replacen("\"recorded\":1", "\"recorded\":2", 1);
    world.edit(EVENTS, |table| drop(table.insert(1, other.as_bytes()).unwrap()));
    caught(&world.verify(), FIRST, "is not that of the evidence");
}

#[test]
fn a_commit_that_was_put_into_the_book_is_caught() {
    let world = busy();
    let copy = String::from_utf8(world.bytes(COMMITS, 3)).unwrap();
    let copy = copy.replacen("\"position\":3", "\"position\":4", 1);
    world.edit(COMMITS, |table| drop(table.insert(4, copy.as_bytes()).unwrap()));
    let report = world.verify();
    caught(&report, FIRST, "is in no evidence");
    caught(&report, FIRST, "is not the number of commits");
}

#[test]
fn a_commit_without_a_grant_that_waits_for_the_lake_is_caught() {
    let world = busy();
    edit_proof(&world, |proof| {
        proof["records"][0]["categories"] = serde_json::json!(["temperature"]);
    });
    let report = world.verify();
    caught(&report, PERMITS, "`temperature`: the category is not granted");
    caught(&report, PERMITS, "holds other sections than its permits covered");
}

/// Changes the proof of the commit that is on its way.
fn edit_proof(world: &World, change: impl FnOnce(&mut serde_json::Value)) {
    let place = place("commit", &[ON_ITS_WAY]);
    let mut commit: serde_json::Value =
        serde_json::from_slice(&world.bytes(COMMITS, ON_ITS_WAY)).unwrap();
    let sealed = hex::decode(commit["sealed"].as_str().unwrap()).unwrap();
    let mut proof = serde_json::from_slice(&world.unsealed(FIRST_SLOT, &place, &sealed)).unwrap();
    change(&mut proof);
    let proof = serde_json::to_vec(&proof).unwrap();
    commit["sealed"] = hex::encode(world.sealed(FIRST_SLOT, &place, &proof)).into();
    let commit = serde_json::to_vec(&commit).unwrap();
    world.edit(COMMITS, |table| drop(table.insert(ON_ITS_WAY, commit.as_slice()).unwrap()));
}

fn edit_waiting(world: &World, change: impl FnOnce(&mut serde_json::Value)) {
    world.edit_json((JOURNAL, "journal"), (FIRST_SLOT, ON_ITS_WAY), 8, change);
}

#[test]
fn a_pseudonym_that_is_not_its_subjects_is_caught() {
    let world = busy();
    let other = || serde_json::Value::from("08".repeat(16));
    edit_proof(&world, |proof| proof["records"][0]["principal"] = other());
    edit_waiting(&world, |records| records[0]["principal"] = other());
    caught_alone(&world.verify(), PERMITS, "bears pseudonyms that are not of its subject");
}

#[test]
fn a_batch_on_its_way_that_is_changed_is_caught() {
    type Change = fn(&mut serde_json::Value);
    let changes: [(Invariant, &str, Change); 5] = [
        (PERMITS, "has another table, date or epoch", |records| {
            records[0]["epoch"] = 209_901.into();
        }),
        (PERMITS, "is under other pseudonyms", |records| {
            records[0]["subject"] = "08".repeat(16).into();
        }),
        (PERMITS, "holds other records than its commit", |records| {
            let again = records[0].clone();
            records.as_array_mut().unwrap().push(again);
        }),
        (GEOMETRY, "holds what is no value of the contract", |records| {
            records[0]["sections"][0][1]["ISO-10303-21;"] = 1.into();
        }),
        (GEOMETRY, "looks like STEP", |records| {
            records[0]["sections"][0][1]["ISO-10303-21;"] = 1.into();
        }),
    ];
    for (invariant, problem, change) in changes {
        let world = busy();
        edit_waiting(&world, change);
        caught_alone(&world.verify(), invariant, problem);
    }
    // What is no record at all.
    let world = busy();
    edit_waiting(&world, |records| records[0]["file"] = "bracket".into());
    caught_alone(&world.verify(), FIRST, "or it holds no records");
}

#[test]
fn a_batch_that_was_taken_off_its_way_is_caught() {
    let world = busy();
    world.edit(JOURNAL, |table| drop(table.remove(ON_ITS_WAY).unwrap()));
    caught_alone(&world.verify(), ONCE, "is neither in the lake nor on its way");
    let world = busy();
    let waiting = world.bytes(JOURNAL, ON_ITS_WAY);
    world.edit(JOURNAL, |table| drop(table.insert(3, waiting.as_slice()).unwrap()));
    caught(&world.verify(), ONCE, "is in the lake already");
}

#[test]
fn a_log_inside_the_book_that_differs_is_caught() {
    let world = busy();
    let mut entry = world.bytes(ENTRIES, 1);
    entry[5] ^= 1;
    world.edit(ENTRIES, |table| drop(table.insert(1, entry.as_slice()).unwrap()));
    let report = world.verify();
    caught_alone(&report, FIRST, "is not the one that was published");
    caught(&report, FIRST, "has another hash than its own");
    let world = busy();
    world.edit(NODES, |table| drop(table.insert((1, 0), [7; 32]).unwrap()));
    caught_alone(&world.verify(), FIRST, "is not the hash of what is below it");
    let world = busy();
    world.edit(NODES, |table| drop(table.remove((1, 0)).unwrap()));
    caught_alone(&world.verify(), FIRST, "lacks nodes");
    let world = busy();
    world.edit(NUMBERS, |table| drop(table.insert("log_size", 3).unwrap()));
    caught_alone(&world.verify(), FIRST, "is not the number of its log's entries");
}

#[test]
fn a_standing_that_its_events_do_not_give_is_caught() {
    let subject = |world: &World, change: fn(&mut serde_json::Value)| {
        world.edit_json((SUBJECTS, "subject"), (FIRST_SLOT, FIRST_SLOT), 0, change);
    };
    let world = busy();
    subject(&world, |held| {
        let granted = held["standing"]["granted"]["print_time"].clone();
        held["standing"]["granted"]["temperature"] = granted;
    });
    caught_alone(&world.verify(), PERMITS, "stands otherwise than its events say");
    let world = busy();
    subject(&world, |held| held["withdrawn"]["print_time"] = 3.into());
    caught_alone(&world.verify(), PERMITS, "has other withdrawals than its events say");
    let world = busy();
    world.edit(SUBJECTS, |table| drop(table.remove(FIRST_SLOT).unwrap()));
    caught_alone(&world.verify(), PERMITS, "the book does not know it");
}

#[test]
fn a_position_or_a_policy_of_nobody_is_caught() {
    let world = busy();
    world.edit(NUMBERS, |table| drop(table.insert("position", 9).unwrap()));
    caught_alone(&world.verify(), FIRST, "is not the newest position of its events and commits");
    let world = busy();
    world.edit(POLICIES, |table| drop(table.insert([9; 32], &b"name = 1"[..]).unwrap()));
    let report = world.verify();
    caught_alone(&report, FIRST, "is another text than its hash says");
    caught(&report, FIRST, "was never announced in the log");
}

#[test]
fn a_table_that_cannot_be_read_is_caught() {
    let world = busy();
    world.edit(REGISTER, |table| drop(table.insert(1, &b"no entry"[..]).unwrap()));
    caught(&world.verify(), FIRST, "cannot be read: an entry in table `register`");
}
