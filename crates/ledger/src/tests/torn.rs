//! Files of the book that were cut or whose last sector is zeros: it holds all that was answered, or
//! it refuses and says what to do.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use super::disk::{Disk, Honesty, SECTOR};
use super::*;
use crate::{BookError, KeyringError};

/// A book of three subjects with a batch, as the disk holds it while the book is open.
fn held() -> ([Vec<u8>; 2], tempfile::TempDir) {
    let (disk, folder) = (Disk::new(3, Honesty::Honest), tempfile::tempdir().unwrap());
    let book = Book::over(folder.path(), disk.store(), disk.keyring().unwrap()).unwrap();
    book.publish_policy(STRICTEST, TODAY.start()).unwrap();
    for seed in 7..10 {
        let txn = book.begin().unwrap();
        record(&txn, seed, &said(seed, 1, Decision::Granted, &[Category::PrintTime]));
        txn.commit().unwrap();
    }
    let txn = book.begin().unwrap();
    stored(&txn, key(9).subject(), 1);
    txn.commit().unwrap();
    (disk.durable(), folder)
}

/// Opens a book over these bytes; `true` when it holds everything.
fn opens(folder: &Path, bytes: [Vec<u8>; 2]) -> Result<bool, BookError> {
    let disk = Disk::holding(bytes);
    let book = Book::over(folder, disk.store(), disk.keyring()?)?;
    let txn = book.begin()?;
    let granted = |seed| txn.standing(key(seed).subject()).unwrap().is_some();
    let whole = (7..10).all(granted) && book.journal(9)?.len() == 1;
    let frame = Digest([2; 32]);
    Ok(whole && matches!(txn.repeat(key(9).subject(), 1, frame)?, Repeat::Same(_)))
}

fn zeroed(mut bytes: Vec<u8>) -> Vec<u8> {
    let from = (bytes.len().max(1) - 1) / SECTOR * SECTOR;
    bytes[from..].fill(0);
    bytes
}

#[test]
fn a_keyring_that_was_cut_or_zeroed_is_refused_with_what_to_do() {
    let ([store, keyring], folder) = held();
    assert!(opens(folder.path(), [store.clone(), keyring.clone()]).unwrap());
    for length in 0..keyring.len() {
        let cut = keyring[..length].to_vec();
        let error = opens(folder.path(), [store.clone(), cut]).unwrap_err();
        match &error {
            BookError::Keyring(KeyringError::Foreign { .. }) => assert!(length < 32),
            BookError::KeysLost { missing } => {
                assert_eq!(*missing, (keyring.len() - length).div_ceil(32));
                assert!(error.to_string().contains("backup restore"), "{error}");
            }
            other => unreachable!("{other:?}"),
        }
    }
    let error = opens(folder.path(), [store.clone(), zeroed(keyring.clone())]).unwrap_err();
    assert!(matches!(error, BookError::Keyring(KeyringError::Foreign { .. })), "one sector is all");
    // A secret that was overwritten with something else opens nothing.
    let mut other = keyring.clone();
    other[32..64].fill(7);
    let error = opens(folder.path(), [store.clone(), other]).unwrap_err();
    assert!(matches!(error, BookError::Unreadable { .. }));
    // A torn slot beyond them was never used.
    assert!(opens(folder.path(), [store, [&keyring[..], &[5; 9]].concat()]).unwrap());
}

/// Whether opening ends in everything, or in a refusal; never in half of it.
fn whole_or_refused(folder: &Path, bytes: [Vec<u8>; 2]) -> bool {
    // The store asserts some of its own invariants: a panic at the start ends the process, too.
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| opens(folder, bytes)));
    opened.map_or(true, |opened| opened.unwrap_or(true))
}

#[test]
fn a_store_whose_last_sector_is_zeros_holds_everything_or_is_refused() {
    let ([store, keyring], folder) = held();
    assert!(whole_or_refused(folder.path(), [zeroed(store.clone()), keyring.clone()]));
    let header = store[..SECTOR].to_vec();
    assert!(opens(folder.path(), [header, keyring]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_store_that_was_cut_anywhere_holds_everything_or_is_refused(
        at in any::<prop::sample::Index>(),
    ) {
        let ([store, keyring], folder) = held();
        let cut = store[..at.index(store.len())].to_vec();
        // Cut to nothing it would be a new book: the published log and the keys tell.
        prop_assume!(!cut.is_empty());
        prop_assert!(whole_or_refused(folder.path(), [cut, keyring]));
    }
}

#[test]
fn keys_and_checkpoints_that_were_cut_are_refused() {
    let (book, folder) = book();
    drop(book);
    let path = folder.path().join("log.key");
    let whole = std::fs::read(&path).unwrap();
    // The line's end may be missing.
    for length in 0..whole.len() - 1 {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Book::open(folder.path()).unwrap_err();
        assert!(matches!(&error, BookError::File { path, .. } if path.ends_with("log.key")));
    }
    std::fs::write(&path, &whole).unwrap();
    let book = Book::open(folder.path()).unwrap();
    let (note, _) = book.log_view(book.log_size().unwrap()).unwrap();
    drop(book);
    std::fs::create_dir(folder.path().join("log")).unwrap();
    let path = folder.path().join("log/checkpoint");
    for length in 0..note.len() {
        std::fs::write(&path, &note.as_bytes()[..length]).unwrap();
        assert!(matches!(Book::open(folder.path()), Err(BookError::Forked)), "{length}");
    }
    std::fs::write(&path, &note).unwrap();
    assert!(Book::open(folder.path()).is_ok());
    // A book that is gone beside a log that is not is an older copy.
    std::fs::remove_file(folder.path().join("book.redb")).unwrap();
    assert!(matches!(Book::open(folder.path()), Err(BookError::Behind { book: 0, .. })));
}
