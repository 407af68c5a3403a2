//! Counts by day add up, stay exact over restarts and are bounded; coverage follows the book.

use std::collections::BTreeSet;

use imprimatur_consent::event::Acting;

use super::*;
use crate::{COUNT_DAYS, Coverage};

#[test]
fn counts_by_day_add_up_and_survive_a_restart() {
    let (book, folder) = book();
    let tomorrow = UtcDate(TODAY.0 + 1);
    let txn = book.begin().unwrap();
    txn.count("stored", 2, TODAY).unwrap();
    txn.count("refused.no_grant", 1, TODAY).unwrap();
    txn.count("stored", 3, tomorrow).unwrap();
    txn.commit().unwrap();
    let lost = book.begin().unwrap();
    lost.count("stored", 9, TODAY).unwrap();
    drop(lost);
    drop(book);
    let book = Book::open(folder.path()).unwrap();
    let txn = book.begin().unwrap();
    txn.count("stored", 1, TODAY).unwrap();
    txn.commit().unwrap();
    let key = |day, name: &str| (day, name.to_owned());
    let expected = [
        (key(TODAY, "refused.no_grant"), 1),
        (key(TODAY, "stored"), 3),
        (key(tomorrow, "stored"), 3),
    ];
    assert_eq!(book.counts_by_day().unwrap(), expected.into());
    assert_eq!(book.counts().unwrap()["stored"], 6);
}

#[test]
fn only_so_many_days_are_kept_and_a_clock_that_jumped_costs_one() {
    let (book, _folder) = book();
    let days = |book: &Book| {
        let counts = book.counts_by_day().unwrap();
        counts.keys().map(|(day, _)| day.0).collect::<BTreeSet<_>>()
    };
    let most = u32::try_from(COUNT_DAYS).unwrap();
    let txn = book.begin().unwrap();
    for day in 0..most {
        for name in ["busy.batch", "stored"] {
            txn.count(name, 1, UtcDate(TODAY.0 + day)).unwrap();
        }
    }
    txn.commit().unwrap();
    assert_eq!(days(&book), (TODAY.0..TODAY.0 + most).collect());
    let txn = book.begin().unwrap();
    txn.count("stored", 1, UtcDate(u32::MAX)).unwrap();
    txn.count("stored", 1, UtcDate(TODAY.0 + most - 1)).unwrap();
    txn.commit().unwrap();
    let kept = days(&book);
    assert_eq!(kept.len(), COUNT_DAYS);
    assert!(!kept.contains(&TODAY.0) && kept.contains(&(TODAY.0 + 1)) && kept.contains(&u32::MAX));
    let newest = (UtcDate(TODAY.0 + most - 1), "stored".to_owned());
    assert_eq!(book.counts_by_day().unwrap()[&newest], 2);
    assert_eq!(book.counts().unwrap()["stored"], u64::from(most) + 2, "the whole loses nothing");
}

#[test]
fn coverage_is_the_same_after_a_restart_and_erased_subjects_are_in_none() {
    let (book, folder) = book();
    let token = book.issue_tokens(1).unwrap().remove(0);
    let txn = book.begin().unwrap();
    let standing = granted(&txn);
    record(&txn, 8, &said(8, 1, Decision::Granted, &[Category::PrintTime]));
    let verifier = enrolment::verifier(&token.0);
    let proof = enrolment::proof(verifier, standing.principal, &standing.public_key.0);
    assert_eq!(txn.spend_token(&proof, standing.subject()).unwrap(), TokenUse::Enrolled);
    assert_eq!(txn.coverage(TODAY), Coverage::default(), "not before the commit");
    txn.commit().unwrap();
    let granted = [((Category::PrintTime, standing.policy), 1)].into();
    let one = Coverage { principals: 1, granted };
    assert_eq!(book.begin().unwrap().coverage(TODAY), one);
    drop(book);
    let book = Book::open(folder.path()).unwrap();
    assert_eq!(book.begin().unwrap().coverage(TODAY), one);
    let txn = book.begin().unwrap();
    record(&txn, 7, &What::ErasureRequested { by: Acting::Operator {} });
    txn.commit().unwrap();
    assert_eq!(book.begin().unwrap().coverage(TODAY), Coverage::default());
}

/// While a transaction is open, what is decided by the index is what the tables say.
#[test]
fn no_transaction_decides_by_an_index_that_is_older_than_its_tables() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    txn.commit().unwrap();
    let other = book.clone();
    let changes = std::thread::spawn(move || {
        for number in 2..400 {
            let said_so = if number % 2 == 0 { Decision::Withdrawn } else { Decision::Granted };
            let txn = other.begin().unwrap();
            record(&txn, 7, &said(7, number, said_so, &[Category::PrintTime]));
            txn.commit().unwrap();
        }
    });
    while !changes.is_finished() {
        let txn = book.begin().unwrap();
        let standing = txn.standing(subject).unwrap().unwrap();
        let slot = txn.slot(subject).unwrap();
        let by_tables = standing.decide(&txn.terms(), Category::PrintTime, TODAY, TODAY);
        let by_index = txn.decide((subject, slot), Category::PrintTime, TODAY, TODAY);
        assert_eq!(by_index, by_tables);
    }
    changes.join().unwrap();
}
