//! The book on a disk that forgets: everything answered is there after every crash, nothing else is
//! there half.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use imprimatur_consent::event::Acting;
use proptest::test_runner::TestCaseError;

use super::disk::{Disk, Honesty};
use super::*;
use crate::register::{Asker, Outcome};
use crate::{BookError, Job};

/// Subjects, and the numbers of their batches.
const SUBJECTS: u8 = 3;
const NUMBERS: u64 = 6;

#[derive(Clone, Copy, Debug)]
enum Op {
    Grant(u8),
    Withdraw(u8),
    Batch(u8, u64),
    Erase(u8),
    /// What waits goes to the lake, and erasures are finished.
    Publish,
    Crash,
    /// The power fails during the next operation, at this write or sync.
    CrashAfter(u32),
    /// The next sync fails; then the process ends.
    FailSync,
    Writeback,
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..SUBJECTS;
    prop_oneof![
        4 => who.clone().prop_map(Op::Grant),
        2 => who.clone().prop_map(Op::Withdraw),
        8 => (who.clone(), 1..=NUMBERS).prop_map(|(who, number)| Op::Batch(who, number)),
        1 => who.prop_map(Op::Erase),
        3 => Just(Op::Publish),
        1 => Just(Op::Crash),
        3 => (1..40_u32).prop_map(Op::CrashAfter),
        1 => Just(Op::FailSync),
        2 => Just(Op::Writeback),
    ]
}

/// One subject, as an outsider may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    known: bool,
    ended: bool,
    granted: bool,
    event: u64,
    /// Numbers that have a verdict.
    answered: BTreeSet<u64>,
}

/// All that can be seen of a book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct View {
    subjects: BTreeMap<u8, Seen>,
    events: u64,
    commits: u64,
    position: u64,
    published: u64,
    /// Positions on their way to the lake, with how many records each still has.
    journal: BTreeMap<u64, usize>,
    log_size: u64,
    stored: u64,
    tasks: usize,
}

fn frame(who: u8, number: u64) -> Digest {
    Digest([who * 16 + u8::try_from(number).unwrap() + 1; 32])
}

impl View {
    /// Looks at a book, and opens everything that is sealed.
    fn of(book: &Book) -> Self {
        let (events, commits) = (book.events_after(0).unwrap(), book.commits_after(0).unwrap());
        let journal = book.journal(usize::MAX).unwrap();
        let (position, published) = book.positions().unwrap();
        let log_size = book.log_size().unwrap();
        // The log holds together: its root can be computed, and every event's leaf is in it.
        book.log_view(log_size).unwrap();
        assert!(events.iter().all(|event| event.leaf < log_size));
        let broken = |opened: bool| assert!(!opened, "a key and what it sealed do not agree");
        for event in &events {
            broken(event.open(book.keyring()).unwrap() == crate::Opened::Broken);
        }
        for commit in &commits {
            broken(commit.open(book.keyring()).unwrap() == crate::Opened::Broken);
        }
        let txn = book.begin().unwrap();
        let mut subjects = BTreeMap::new();
        for who in 0..SUBJECTS {
            let subject = key(who).subject();
            let standing = txn.standing(subject).unwrap();
            assert_eq!(standing.is_some(), book.known(subject).is_some(), "index and book differ");
            let Some(standing) = standing else { continue };
            let answered = |number: &u64| match txn.repeat(subject, *number, frame(who, *number)) {
                Ok(Repeat::Same(verdict)) => verdict == b"stored",
                Ok(Repeat::New) => false,
                other => panic!("{other:?}"),
            };
            let seen = Seen {
                known: true,
                ended: standing.ended.is_some(),
                granted: standing.granted.contains_key(&Category::PrintTime),
                event: standing.sequence,
                answered: (1..=NUMBERS).filter(answered).collect(),
            };
            subjects.insert(who, seen);
        }
        let tasks = txn.work(TODAY).unwrap().len();
        Self {
            subjects,
            events: u64::try_from(events.len()).unwrap(),
            commits: u64::try_from(commits.len()).unwrap(),
            position,
            published,
            journal: journal.into_iter().map(|(at, records)| (at, records.len())).collect(),
            log_size,
            stored: book.counts().unwrap().get("stored").copied().unwrap_or(0),
            tasks,
        }
    }
}

struct Machine {
    disk: Disk,
    folder: tempfile::TempDir,
    book: Option<Book>,
    /// What was seen after the last answer.
    answered: View,
    crashes: u32,
}

impl Machine {
    fn new(seed: u64, honesty: Honesty) -> Self {
        let (disk, folder) = (Disk::new(seed, honesty), tempfile::tempdir().unwrap());
        let book = Book::over(folder.path(), disk.store(), disk.keyring().unwrap()).unwrap();
        book.publish_policy(STRICTEST, TODAY.start()).unwrap();
        let answered = View::of(&book);
        Self { disk, folder, book: Some(book), answered, crashes: 0 }
    }

    /// The machine loses its power and comes back. What was answered must be there; `during` tells
    /// that one operation may have been done, whole.
    fn restart(&mut self, during: bool) -> Result<(), TestCaseError> {
        self.disk.crash();
        self.book = None;
        self.crashes += 1;
        let book = Book::over(self.folder.path(), self.disk.store(), self.disk.keyring().unwrap());
        let book =
            book.map_err(|error| TestCaseError::fail(format!("it does not open: {error}")))?;
        let found = View::of(&book);
        if !during || found == self.answered {
            prop_assert_eq!(&found, &self.answered, "what was answered is not what is there");
        } else {
            self.whole(&found)?;
        }
        (self.book, self.answered) = (Some(book), found);
        Ok(())
    }

    /// The unanswered operation happened: then all of it.
    fn whole(&self, found: &View) -> Result<(), TestCaseError> {
        let before = &self.answered;
        prop_assert!(found.position >= before.position && found.log_size >= before.log_size);
        prop_assert_eq!(found.events + found.commits, found.position, "a position is missing");
        let stored = found.stored - before.stored;
        prop_assert_eq!(stored, found.commits - before.commits, "a count without its commit");
        let answers =
            |view: &View| -> usize { view.subjects.values().map(|seen| seen.answered.len()).sum() };
        if stored > 0 {
            prop_assert_eq!(answers(found), answers(before) + 1, "a commit without its verdict");
            prop_assert!(found.journal.contains_key(&found.position), "a commit without its rows");
            prop_assert_eq!(found.log_size, before.log_size);
        }
        for (who, seen) in &before.subjects {
            let Some(now) = found.subjects.get(who) else {
                prop_assert!(seen.ended, "a subject vanished");
                continue;
            };
            prop_assert!(now.event >= seen.event);
            prop_assert!(!seen.ended || now.ended, "what ended goes on");
            prop_assert!(now.answered.is_superset(&seen.answered), "an answer was lost");
        }
        Ok(())
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Crash => return self.restart(false),
            Op::Writeback => self.disk.write_back(),
            Op::CrashAfter(steps) => self.disk.crash_after(steps),
            Op::FailSync => self.disk.fail_sync(),
            _ => {
                let book = self.book.clone().unwrap();
                match write(&book, &self.answered, op) {
                    Ok(()) if !self.disk.is_off() => self.answered = View::of(&book),
                    // It was answered, and the power failed right after.
                    Ok(()) => {
                        drop(book);
                        return self.restart(true);
                    }
                    Err(_failed) => {
                        drop(book);
                        return self.restart(true);
                    }
                }
            }
        }
        Ok(())
    }
}

/// One operation with its commit.
fn write(book: &Book, before: &View, op: Op) -> Result<(), BookError> {
    let txn = book.begin()?;
    match op {
        Op::Grant(who) | Op::Withdraw(who) => {
            let number = before.subjects.get(&who).map_or(1, |seen| seen.event + 1);
            let decision = match op {
                Op::Grant(_) => Decision::Granted,
                _ => Decision::Withdrawn,
            };
            let what = said(who, number, decision, &[Category::PrintTime]);
            if txn.record(key(who).subject(), &what, TODAY.start())?.is_err() {
                return Ok(());
            }
        }
        Op::Batch(who, number) => {
            let (subject, frame) = (key(who).subject(), frame(who, number));
            if txn.repeat(subject, number, frame)? != Repeat::New {
                return Ok(());
            }
            let Some(batch) = txn.open_batch(subject, number, frame, TODAY.start()) else {
                return Ok(());
            };
            let Ok(record) = batch.begin_record(RecordKind::Print, TODAY) else { return Ok(()) };
            let Ok(permit) = batch.permit(Category::PrintTime, TODAY) else { return Ok(()) };
            batch.append(record, section(Category::PrintTime), permit).unwrap();
            batch.finish()?;
            txn.keep_verdict(subject, number, frame, b"stored")?;
            txn.count("stored", 1, TODAY)?;
        }
        Op::Erase(who) => {
            let subject = key(who).subject();
            let what = What::ErasureRequested { by: Acting::Operator {} };
            if txn.slot(subject).is_none() || txn.record(subject, &what, TODAY.start())?.is_err() {
                return Ok(());
            }
            let due = (TODAY, UtcDate(TODAY.0 + 30));
            let request = txn.enter("erase", Asker::Operator, subject, due, Outcome::Open)?;
            txn.add_task(subject, Job::Erase, request, TODAY)?;
        }
        Op::Publish => {
            let positions: Vec<u64> = before.journal.keys().copied().collect();
            txn.publish::<u64>(&positions, &[])?;
            for work in txn.work(TODAY)? {
                txn.finish(&work, 1, 1, TODAY)?;
            }
        }
        Op::Crash | Op::CrashAfter(_) | Op::FailSync | Op::Writeback => {}
    }
    txn.commit()
}

fn run(seed: u64, ops: &[Op], honesty: Honesty) -> Result<u32, TestCaseError> {
    let mut machine = Machine::new(seed, honesty);
    for &op in ops {
        machine.apply(op)?;
    }
    machine.restart(true)?;
    Ok(machine.crashes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_crash_takes_what_was_answered_or_leaves_half_of_what_was_not(
        seed in any::<u64>(),
        ops in proptest::collection::vec(op(), 1..40),
    ) {
        run(seed, &ops, Honesty::Honest)?;
    }
}

/// The opposite: a disk whose sync does nothing is caught within a few crashes.
#[test]
fn a_disk_that_lies_about_its_sync_is_caught() {
    let ops =
        [Op::Grant(1), Op::Batch(1, 1), Op::Batch(1, 2), Op::Crash, Op::Withdraw(1), Op::Crash];
    let caught = |seed: u64| {
        let ran =
            std::panic::catch_unwind(AssertUnwindSafe(|| run(seed, &ops, Honesty::LyingSync)));
        !matches!(ran, Ok(Ok(_)))
    };
    assert!((0..8).any(caught), "what was never synced was not missed");
    assert!((0..8).all(|seed| run(seed, &ops, Honesty::Honest).is_ok()));
}

/// A sync that failed is not tried again: the book refuses everything until it is opened anew.
#[test]
fn after_a_failed_sync_nothing_is_answered_until_a_restart() {
    for file in 0..2 {
        let mut machine = Machine::new(file, Honesty::Honest);
        machine.apply(Op::Grant(1)).unwrap();
        let book = machine.book.clone().unwrap();
        machine.disk.fail_sync();
        // A new subject syncs the keyring first, a batch of the known one only the store.
        let op = if file == 0 { Op::Withdraw(1) } else { Op::Grant(2) };
        assert!(write(&book, &machine.answered, op).is_err());
        assert!(matches!(book.begin().map(drop), Err(BookError::Failed)));
        assert!(matches!(book.usable(), Err(BookError::Failed)));
        drop(book);
        machine.restart(true).unwrap();
        machine.apply(Op::Batch(1, 1)).unwrap();
        machine.restart(false).unwrap();
    }
}
