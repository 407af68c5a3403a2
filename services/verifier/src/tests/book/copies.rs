//! Copies: what is said of a book that cannot be read, and that reading one changes nothing.

use std::path::PathBuf;

use super::*;
use crate::{SnapshotError, Trust, Wanted, report_page, verify_all};

/// Verifies a folder with a copy of the book from elsewhere.
fn with(data: &std::path::Path, book: PathBuf) -> Result<Report, SnapshotError> {
    let wanted = Wanted { book: Some(book), ..Wanted::default() };
    verify_all(data, &wanted, &mut |_| {})
}

#[track_caller]
fn not_checked(report: &Report, why: &str) {
    assert!(report.holds && report.verdict == Verdict::NotAllChecked, "{report}");
    let book = report.book.as_ref().unwrap();
    assert!(!book.checked && book.why.as_ref().unwrap().contains(why), "{report}");
    let text = report.to_string();
    assert!(text.contains("NOT ALL CHECKED") && !text.contains("HOLDS"), "{text}");
    assert!(text.contains("not checked: receipts; verdicts;"), "{text}");
    let page = report_page(report, imprimatur_runtime::UnixSeconds(0));
    assert!(page.contains(">NOT ALL CHECKED<") && page.contains("the register of requests"));
}

#[test]
fn a_book_that_a_collector_holds_open_is_not_checked_and_that_is_no_proof() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::open(folder.path());
    collector.grant(1, 1);
    collector.store(1, 1);
    collector.publish();
    let report = crate::verify(folder.path(), &Trust::default()).unwrap();
    not_checked(&report, "backup create --to DIR");
    assert!(report.checks.iter().any(|check| check.checked > 0));
    // A backup is a copy, also while the collector goes on.
    let backup = tempfile::tempdir().unwrap();
    collector.book.back_up(backup.path(), collector.today.start()).unwrap();
    collector.publish();
    let copy = backup.path().join("book.redb");
    whole(&with(folder.path(), copy.clone()).unwrap());
    collector.grant(2, 1);
    collector.store(1, 2);
    collector.complain(1);
    collector.publish();
    let report = with(folder.path(), copy).unwrap();
    whole(&report);
    assert_eq!(report.book.as_ref().unwrap().position, 2, "an older copy");
    assert_eq!((report.commits, report.consent_events), (2, 3));
}

#[test]
fn a_book_that_is_not_there_is_not_checked_and_that_is_no_proof() {
    let world = busy();
    world.without_book();
    not_checked(&world.verify(), "--book FILE");
}

#[test]
fn reading_a_book_never_writes_it() {
    // A backup was never closed, so it needs a repair, which stays in memory.
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::open(folder.path());
    collector.grant(1, 1);
    collector.publish();
    let backup = tempfile::tempdir().unwrap();
    collector.book.back_up(backup.path(), collector.today.start()).unwrap();
    collector.publish();
    let copy = backup.path().join("book.redb");
    let before = fs::read(&copy).unwrap();
    whole(&with(folder.path(), copy.clone()).unwrap());
    assert!(fs::read(&copy).unwrap() == before);
    // Nobody is kept from opening it meanwhile.
    drop(collector);
    let reader = imprimatur_ledger::Reader::open(&folder.path().join("book.redb")).unwrap();
    reader.still().unwrap();
    let collector = Collector::open(folder.path());
    assert!(reader.still().is_err(), "a collector opened it");
    drop(collector);
    assert!(reader.still().is_err(), "a collector wrote it");
}

#[test]
fn a_book_that_was_damaged_is_caught() {
    let world = busy();
    let path = world.path("book.redb");
    let honest = fs::read(&path).unwrap();
    for (name, bytes) in [
        ("half", honest[..honest.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("text", b"no book at all".repeat(400)),
    ] {
        fs::write(&path, bytes).unwrap();
        let report = world.verify();
        assert_eq!(report.verdict, Verdict::Fails, "{name}: {report}");
        caught(&report, FIRST, "the copy is no whole book");
    }
    let mut flipped = honest.clone();
    for at in (4096..flipped.len()).step_by(4096) {
        flipped[at + 40] ^= 1;
    }
    fs::write(&path, flipped).unwrap();
    caught(&world.verify(), FIRST, "the copy is no whole book");
    fs::write(&path, honest).unwrap();
    whole(&world.verify());
}
