//! Restores: yesterday's backup brings back neither a withdrawn grant nor an erased subject.

use std::collections::BTreeMap;
use std::path::Path;

use imprimatur_consent::event::Acting;
use imprimatur_log::TileWriter;

use super::*;
use crate::register::{Asker, Outcome};
use crate::segments::{Holds, Manifest, write_policy, write_segment};
use crate::{BackupError, Job};

/// What the publisher does, without a lake.
pub(super) fn publish(book: &Book, data: &Path) {
    let folder = data.join("evidence");
    let positions: Vec<u64> = book.journal(99).unwrap().iter().map(|(at, _)| *at).collect();
    let events = book.events_after(book.in_segments(Holds::Consent).unwrap()).unwrap();
    let commits = book.commits_after(book.in_segments(Holds::Commits).unwrap()).unwrap();
    let segments = [
        write_segment(&folder, Holds::Consent, &events, |event| event.position).unwrap(),
        write_segment(&folder, Holds::Commits, &commits, |commit| commit.position).unwrap(),
    ];
    let txn = book.begin().unwrap();
    txn.publish::<()>(&positions, &[]).unwrap();
    for segment in segments.iter().flatten() {
        txn.name_segment(segment, &BTreeMap::new(), TODAY).unwrap();
    }
    txn.commit().unwrap();
    for (hash, text) in book.policies().unwrap() {
        write_policy(&folder, hash, &text).unwrap();
    }
    let (note, view) = book.log_view(book.log_size().unwrap()).unwrap();
    let mut tiles = TileWriter::open(&data.join("log"), &book.log_public_key()).unwrap();
    tiles.publish(&note, &view).unwrap();
    Manifest {
        collector_key: Digest([0; 32]),
        log_key: Digest(book.log_public_key()),
        log_size: book.log_size().unwrap(),
        contract_hash: Digest([0; 32]),
        catalogue: Digest([0; 32]),
        published: book.positions().unwrap().1,
        kept_since: BTreeMap::new(),
        counts: BTreeMap::new(),
        segments: book.segments().unwrap(),
    }
    .store(&folder)
    .unwrap();
}

pub(super) fn grant_and_store(book: &Book, seed: u8) -> u64 {
    let txn = book.begin().unwrap();
    record(&txn, seed, &said(seed, 1, Decision::Granted, &[Category::PrintTime]));
    let position = stored(&txn, key(seed).subject(), 1);
    txn.commit().unwrap();
    position
}

fn erase(book: &Book, seed: u8) {
    let txn = book.begin().unwrap();
    record(&txn, seed, &What::ErasureRequested { by: Acting::Operator {} });
    let subject = key(seed).subject();
    let number =
        txn.enter("erase", Asker::Operator, subject, (TODAY, TODAY), Outcome::Open).unwrap();
    txn.add_task(subject, Job::Erase, number, TODAY).unwrap();
    txn.commit().unwrap();
}

pub(super) fn finish(book: &Book) {
    let txn = book.begin().unwrap();
    for work in txn.work(TODAY).unwrap() {
        txn.finish(&work, 1, 1, TODAY).unwrap();
    }
    txn.commit().unwrap();
}

/// Four subjects; a backup; then one is erased, one is about to be, one withdraws, and one is new.
fn yesterday(folder: &Path) -> std::path::PathBuf {
    let book = Book::open(folder).unwrap();
    for seed in [1, 2, 3, 4] {
        grant_and_store(&book, seed);
    }
    publish(&book, folder);
    let to = folder.join("backups/one");
    book.back_up(&to, TODAY.start()).unwrap();
    std::fs::copy(folder.join("keys/keyring"), folder.join("copied-keys")).unwrap();
    erase(&book, 1);
    finish(&book);
    erase(&book, 2);
    let txn = book.begin().unwrap();
    record(&txn, 3, &said(3, 2, Decision::Withdrawn, &[Category::PrintTime]));
    txn.commit().unwrap();
    grant_and_store(&book, 5);
    publish(&book, folder);
    to
}

#[test]
fn a_restored_backup_knows_what_happened_since() {
    let (book, folder) = book();
    drop(book);
    let backup = yesterday(folder.path());
    let before = std::fs::read(folder.path().join("log/checkpoint")).unwrap();
    let (book, replayed) = Book::restore(folder.path(), &backup, TODAY.start()).unwrap();
    assert_eq!(replayed.gone.len(), 1, "the rows of the erased subject must go");
    assert_eq!(replayed.lost.map(|(first, last)| first == last), Some(true));
    book.finish_restore(&replayed, 1, TODAY.start()).unwrap();
    assert_eq!(std::fs::read(folder.path().join("log/checkpoint")).unwrap(), before);

    let known = |seed| book.known(key(seed).subject());
    assert_eq!(known(1), None, "erased");
    assert!(known(2).unwrap().ended, "about to be erased");
    assert!(known(5).is_some(), "granted after the backup");
    let txn = book.begin().unwrap();
    let permitted = |seed: u8| {
        let batch = txn.open_batch(key(seed).subject(), 9, Digest([1; 32]), TODAY.start());
        batch.is_some_and(|batch| batch.permit(Category::PrintTime, TODAY).is_ok())
    };
    assert_eq!([1, 2, 3, 4, 5].map(permitted), [false, false, false, true, true]);
    assert_eq!(txn.work(TODAY).unwrap().len(), 1, "the second erasure goes on");
    let again = |seed: u8| {
        let grant = said(seed, 1, Decision::Granted, &[Category::PrintTime]);
        txn.record(key(seed).subject(), &grant, TODAY.start()).unwrap().is_ok()
    };
    assert!(!again(1), "the old grant of the erased key was sent again");
    assert!(again(9), "a stranger's is taken");
    drop(txn);
    finish(&book);
    assert_eq!(known(2), None);
    publish(&book, folder.path());
    drop(book);
    Book::open(folder.path()).unwrap();
}

#[test]
fn a_keyring_from_the_backup_brings_nobody_back() {
    let (book, folder) = book();
    drop(book);
    let keyring = folder.path().join("keys/keyring");
    let backup = yesterday(folder.path());
    // Somebody copied the keys away before the erasure, and back after it.
    let slot = 32..64;
    let mut bytes = std::fs::read(&keyring).unwrap();
    let copied = std::fs::read(folder.path().join("copied-keys")).unwrap();
    assert_eq!(bytes[slot.clone()], [0; 32]);
    assert_ne!(copied[slot.clone()], [0; 32]);
    bytes[slot.clone()].copy_from_slice(&copied[slot.clone()]);
    std::fs::write(&keyring, bytes).unwrap();
    let (book, replayed) = Book::restore(folder.path(), &backup, TODAY.start()).unwrap();
    assert_eq!((book.known(key(1).subject()), replayed.gone.len()), (None, 1));
    assert_eq!(std::fs::read(&keyring).unwrap()[slot], [0; 32]);
}

#[test]
fn a_restore_is_refused_without_what_it_needs() {
    let (book, folder) = book();
    drop(book);
    let backup = yesterday(folder.path());
    let restore =
        |today: UtcDate| Book::restore(folder.path(), &backup, today.start()).map(|_restored| ());
    let late = restore(UtcDate(TODAY.0 + 30));
    assert!(matches!(late, Err(BackupError::Expired(_))), "{late:?}");
    let book = backup.join("book.redb");
    let whole = std::fs::read(&book).unwrap();
    std::fs::write(&book, [&whole[..], b"x"].concat()).unwrap();
    let changed = restore(TODAY);
    assert!(matches!(changed, Err(BackupError::Changed { .. })), "{changed:?}");
    std::fs::write(&book, whole).unwrap();
    let log = folder.path().join("log");
    std::fs::rename(&log, folder.path().join("elsewhere")).unwrap();
    let alone = restore(TODAY);
    assert!(matches!(alone, Err(BackupError::NoLedger { .. })), "{alone:?}");
    std::fs::rename(folder.path().join("elsewhere"), &log).unwrap();
    restore(TODAY).unwrap();
}
