//! The log inside the book: what a receipt proves, and a book that is older than its log.

use imprimatur_log::tree::leaf_hash;
use imprimatur_log::{Checkpoint, TileWriter, entry, proof};

use super::*;
use crate::BookError;

#[test]
fn every_event_is_proven_in_the_log_of_its_receipt() {
    let (book, _folder) = book();
    let mut seen: Option<Checkpoint> = None;
    for number in 1..=9_u64 {
        let txn = book.begin().unwrap();
        let seed = u8::try_from(number).unwrap();
        let what = said(seed, 1, Decision::Granted, &[Category::Laser]);
        let logged = record(&txn, seed, &what);
        let before = seen.as_ref().map_or(0, |seen| seen.size);
        let told = txn.proof(logged.leaf, before).unwrap();
        txn.commit().unwrap();
        let now = Checkpoint::open(&told.checkpoint, &book.log_public_key()).unwrap();
        let leaf = leaf_hash(&entry::blinded(&logged.nonce.0, &what.payload()));
        let path = proof::from_bytes(&told.inclusion).unwrap();
        let included = |leaf| {
            imprimatur_log::verify_inclusion(leaf, logged.leaf, now.size, now.root, &path).is_ok()
        };
        assert!(included(leaf));
        let other = leaf_hash(&entry::blinded(&[0; 32], &what.payload()));
        assert!(!included(other), "an entry without its nonce tells nothing");
        if let Some(seen) = &seen {
            let path = proof::from_bytes(&told.consistency).unwrap();
            let continues = |root| {
                let (size, now) = (seen.size, &now);
                imprimatur_log::verify_consistency(size, root, now.size, now.root, &path).is_ok()
            };
            assert!(continues(seen.root));
            assert!(!continues(Digest([0; 32])));
        }
        seen = Some(now);
    }
    assert_eq!(book.log_size().unwrap(), 10, "nine grants and the policy");
}

fn publish(book: &Book, folder: &std::path::Path) {
    let (note, view) = book.log_view(book.log_size().unwrap()).unwrap();
    let mut tiles = TileWriter::open(&folder.join("log"), &book.log_public_key()).unwrap();
    tiles.publish(&note, &view).unwrap();
}

#[test]
fn a_book_that_is_older_than_its_log_serves_nothing() {
    let (book, folder) = book();
    publish(&book, folder.path());
    drop(book);
    let path = folder.path().join("book.redb");
    let old = std::fs::read(&path).unwrap();
    let book = Book::open(folder.path()).unwrap();
    let txn = book.begin().unwrap();
    granted(&txn);
    txn.commit().unwrap();
    drop(book);
    // What was not published yet may be missing: a crash before the publication.
    let newer = std::fs::read(&path).unwrap();
    std::fs::write(&path, &old).unwrap();
    drop(Book::open(folder.path()).unwrap());
    std::fs::write(&path, &newer).unwrap();
    let book = Book::open(folder.path()).unwrap();
    publish(&book, folder.path());
    drop(book);
    std::fs::write(&path, &old).unwrap();
    let error = Book::open(folder.path()).unwrap_err();
    assert!(matches!(error, BookError::Behind { book: 1, log: 2 }), "{error}");
}

#[test]
fn a_book_with_another_log_serves_nothing() {
    let (book, folder) = book();
    publish(&book, folder.path());
    drop(book);
    std::fs::remove_file(folder.path().join("book.redb")).unwrap();
    let error = Book::open(folder.path()).unwrap_err();
    assert!(matches!(error, BookError::Behind { book: 0, .. }), "{error}");
    std::fs::remove_file(folder.path().join("log.key")).unwrap();
    let error = Book::open(folder.path()).unwrap_err();
    assert!(matches!(error, BookError::Forked), "{error}");
}
