//! Tests of the store: what is durable, what is refused, what erasing leaves.

use super::*;
use crate::store::error::failed;

#[test]
fn what_was_committed_is_there_after_reopening_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("data");
    let mut store = Store::open(&place).unwrap();
    let mut change = Change::default();
    change.put(Space::Spool, &7_u64.to_be_bytes(), b"frame");
    change.put(Space::Log, &7_u64.to_be_bytes(), b"line");
    store.commit(change, 1).unwrap();
    store.reopen().unwrap();
    let spool = store.scan(Space::Spool, b"").unwrap();
    assert_eq!(spool, [(7_u64.to_be_bytes().to_vec(), b"frame".to_vec())]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place), 0o700);
    assert_eq!(mode(&place.join("store/db")), 0o600);
}

#[test]
fn no_error_names_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("jane");
    fs::write(&place, "no folder").unwrap();
    let error = Store::open(&place).unwrap_err();
    assert_eq!(error.place(), Some(place.as_path()));
    let io = failed(sled::Error::Io(io::Error::other("cannot read /home/jane/store")));
    for error in [&error, &io] {
        let text = crate::told::chain(error);
        assert!(!text.contains("jane"), "{text}");
    }
}

#[test]
fn what_holds_a_store_for_a_moment_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| Store::open(folder.path()).map(drop));
        #[expect(clippy::disallowed_methods, reason = "as long as a command takes")]
        std::thread::sleep(LOCK_WAIT * 4);
        drop(first);
        second.join().unwrap().unwrap();
    });
}

#[test]
fn a_second_opener_is_told_that_an_agent_runs() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Store::open(folder.path()).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::InUse)));
}
