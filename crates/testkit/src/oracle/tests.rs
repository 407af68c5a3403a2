//! The oracle against itself: a true history passes, each planted violation is named.

use proptest::prelude::*;

use super::*;

const TODAY: u32 = 20_779;

fn record(content: u8, categories: &[Category]) -> Record {
    let categories = categories.iter().copied().collect();
    Record { date: TODAY, categories, content: [content; 32] }
}

/// A history of owners who grant two categories, tell batches (some of them twice), and of whom
/// every other withdraws the second category in the end.
fn world(owners: u8, batches: u8, again: u8) -> History {
    let mut history = History { fresh: true, crashes: 1, withdrawals: 1, ..History::default() };
    let mut position = 0;
    let mut next = || {
        position += 1;
        position
    };
    for owner in 0..owners {
        let subject = [owner; 16];
        let decide = |history: &mut History, position, change, categories: &[Category]| {
            let (leaf, date) = (history.log_size, TODAY);
            history.log_size += 1;
            let categories = categories.iter().copied().collect();
            let event = Event { position, leaf, subject, change, categories, date };
            history.events.push(event);
            history.replied.push(Replied { subject, leaf });
        };
        decide(&mut history, next(), Change::Granted, &[1, 2]);
        let withdraws = owner % 2 == 0;
        for batch in 0..batches {
            let sequence = u64::from(batch) + 1;
            let mut frame = [owner; 32];
            frame[0] = batch;
            let records = vec![record(batch, &[1, 2]), record(batch + 1, &[1])];
            let issued = Issued { subject, sequence, frame, records: records.clone() };
            let times = if batch < again { 2 } else { 1 };
            history.issued.extend(std::iter::repeat_n(issued, times));
            *history.counts.entry("stored".to_owned()).or_default() += 1;
            *history.counts.entry("repeated".to_owned()).or_default() += number(times) - 1;
            history.answered.push(Answered { subject, sequence, frame, refused: None });
            let position = next();
            for (ordinal, record) in records.iter().enumerate() {
                let excluded = if withdraws { [2].into() } else { BTreeSet::new() };
                let record = record.clone();
                history.rows.push(Row { commit: position, ordinal, record, excluded });
            }
            let records = records.iter().map(|r| (r.date, r.categories.clone())).collect();
            history.commits.push(Commit { position, subject, sequence, frame, records });
        }
        if withdraws {
            decide(&mut history, next(), Change::Withdrawn, &[2]);
        } else {
            history.kept.insert(subject, u64::from(batches) * 2);
        }
    }
    History { quiet: true, ..history }
}

/// A way to spoil a history, and the invariant that must name it.
type Plant = (&'static str, fn(&mut History, usize));

/// The commit that a number picks.
fn picked(history: &History, at: usize) -> usize {
    at % history.commits.len()
}

const PLANTS: [Plant; 21] = [
    // A lost batch.
    ("I1", |history, at| {
        let lost = history.commits.remove(picked(history, at));
        history.rows.retain(|row| row.commit != lost.position);
    }),
    // A lost row.
    ("I1", |history, at| drop(history.rows.remove(at % history.rows.len()))),
    // A doubled row.
    ("I2", |history, at| history.rows.push(history.rows[at % history.rows.len()].clone())),
    // A batch that was counted twice, under another position.
    ("I2", |history, at| {
        let again = history.commits[picked(history, at)].clone();
        history.commits.push(Commit { position: 1_000_000, ..again });
    }),
    // A row that nobody committed.
    ("I2", |history, at| {
        let row = history.rows[at % history.rows.len()].clone();
        history.rows.push(Row { commit: 2_000_000, ..row });
    }),
    // A forged row: other content.
    ("I3", |history, at| {
        let length = history.rows.len();
        history.rows[at % length].record.content = [0xEE; 32];
    }),
    // A forged batch: nobody issued it.
    ("I3", |history, at| {
        let forged = history.commits[picked(history, at)].clone();
        history.commits.push(Commit { position: 1_000_000, sequence: 900, ..forged });
    }),
    // Another frame under the same number.
    ("I3", |history, at| {
        let at = picked(history, at);
        history.commits[at].frame = [0xEE; 32];
    }),
    // A number that was used twice.
    ("I3", |history, at| {
        let again = history.issued[at % history.issued.len()].clone();
        history.issued.push(Issued { frame: [0xEE; 32], ..again });
    }),
    // A category that was never granted.
    ("I4", |history, at| {
        let at = picked(history, at);
        history.commits[at].records[0].1.insert(9);
    }),
    // A date before the grant.
    ("I4", |history, at| {
        let at = picked(history, at);
        history.commits[at].records[0].0 = TODAY - 1;
    }),
    // A withdrawn row that is open to answers.
    ("I5", |history, _| {
        let open = history.rows.iter_mut().find(|row| row.excluded.contains(&2)).unwrap();
        open.excluded.clear();
    }),
    // A row after the reply to its withdrawal.
    ("I6", |history, _| {
        let last = history.events.iter().find(|one| one.change == Change::Withdrawn).unwrap();
        let subject = last.subject;
        let late = history.commits.iter_mut().rfind(|commit| commit.subject == subject).unwrap();
        late.position = 1_000_000;
    }),
    // A withdrawal that was replied to and is lost.
    ("I7", |history, _| {
        let at = history.events.iter().position(|one| one.change == Change::Withdrawn).unwrap();
        history.events.remove(at);
    }),
    // A log that was cut.
    ("I10", |history, _| history.log_size -= 1),
    ("I10", |history, _| history.verifier = Some("does not hold".to_owned())),
    // A batch that no count knows, and one that nobody accounts for.
    ("I11", |history, _| history.counts.clear()),
    ("I11", |history, at| history.issued.push(history.issued[at % history.issued.len()].clone())),
    ("I13", |history, _| {
        history.bounds.push(Bound { what: "memory, bytes".to_owned(), seen: 2, most: 1 });
    }),
    ("I14", |history, _| history.waiting = 1),
    // Something that was kept and never came.
    ("I14", |history, _| *history.kept.values_mut().next().unwrap() += 1),
];

proptest! {
    #[test]
    fn a_true_history_passes(owners in 1..5_u8, batches in 1..5_u8, again in 0..5_u8) {
        let found = judge(&world(owners, batches, again), Seen::default());
        prop_assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn every_planted_violation_is_named(
        (owners, batches, again) in (2..5_u8, 1..5_u8, 0..5_u8),
        plant in 0..PLANTS.len(),
        at in 0..1000_usize,
    ) {
        let mut history = world(owners, batches, again);
        let (invariant, spoil) = PLANTS[plant];
        spoil(&mut history, at);
        let found = judge(&history, Seen::default());
        let named = found.iter().any(|broken| broken.invariant == invariant);
        prop_assert!(named, "plant {plant} wants {invariant}: {found:?}");
    }
}

#[test]
fn a_grant_that_came_again_covers_what_follows_it() {
    let mut history = world(1, 1, 0);
    let (subject, categories) = ([0; 16], BTreeSet::from([2]));
    let event = Event {
        position: 100,
        leaf: 50,
        subject,
        change: Change::Granted,
        categories: categories.clone(),
        date: TODAY,
    };
    history.events.push(event);
    let records = vec![(TODAY, categories)];
    let (sequence, frame) = (7, [7; 32]);
    history.commits.push(Commit { position: 101, subject, sequence, frame, records });
    assert_eq!((i4(&history), i6(&history)), (vec![], vec![]));
}

#[test]
fn a_run_that_saw_too_little_is_named() {
    let history = world(3, 3, 2);
    let enough = Seen { acknowledged: 9, crashes: 1, repeats: 6, withdrawals: 1 };
    assert_eq!(i15(&history, enough), []);
    for (least, what) in [
        (Seen { acknowledged: 10, ..enough }, "acknowledged"),
        (Seen { crashes: 2, ..enough }, "crashes"),
        (Seen { repeats: 7, ..enough }, "repeated"),
        (Seen { withdrawals: 2, ..enough }, "withdrawals"),
    ] {
        let found = i15(&history, least);
        assert!(found.len() == 1 && found[0].what.contains(what), "{found:?}");
        assert_eq!(found[0].invariant, "I15");
    }
    let vacuous = i15(&History::default(), Seen { acknowledged: 1, ..Seen::default() });
    assert_eq!(vacuous[0].to_string(), "I15: 0 acknowledged batches, at least 1");
    assert_eq!(i14(&History::default())[0].invariant, "I14", "nothing fresh is a violation");
}
