//! Marks: every end of a use moves those of its categories and no others, whatever is forgotten later.

use imprimatur_consent::event::Acting;
use imprimatur_consent::standing::{Grounds, Restriction};

use super::*;

const BOTH: [Category; 2] = [Category::PrintTime, Category::Status];

fn owner(book: &Book, seed: u8, number: u64, decision: Decision, categories: &[Category]) -> u64 {
    happens(book, seed, &said(seed, number, decision, categories))
}

fn happens(book: &Book, seed: u8, what: &What) -> u64 {
    let txn = book.begin().unwrap();
    let position = record(&txn, seed, what).position;
    txn.commit().unwrap();
    position
}

/// The marks of print time, status and laser.
fn marks(book: &Book) -> [u64; 3] {
    let (marks, newest) = book.begin().unwrap().excluded_at().unwrap();
    assert_eq!((marks.len(), newest), (Category::ALL.len(), book.positions().unwrap().0));
    [BOTH[0], BOTH[1], Category::Laser].map(|category| marks[&category])
}

#[test]
fn each_end_of_a_use_moves_the_marks_of_its_categories_and_a_yes_moves_none() {
    let (book, folder) = book();
    owner(&book, 1, 1, Decision::Granted, &BOTH);
    owner(&book, 2, 1, Decision::Granted, &BOTH);
    assert_eq!(marks(&book), [0, 0, 0]);
    let withdrawn = owner(&book, 1, 2, Decision::Withdrawn, &BOTH[..1]);
    assert_eq!(marks(&book), [withdrawn, 0, 0]);
    owner(&book, 1, 3, Decision::Granted, &BOTH[..1]);
    assert_eq!(marks(&book), [withdrawn, 0, 0]);
    let objected = What::Objected { categories: vec![Category::Status], by: Acting::Operator {} };
    let objected = happens(&book, 1, &objected);
    assert_eq!(marks(&book), [withdrawn, objected, 0]);
    let restriction = Restriction { grounds: Grounds::Owner, since: TODAY, until: None };
    let restricted = What::Restricted { restriction, by: Acting::Operator {} };
    let at = happens(&book, 2, &restricted);
    assert_eq!(marks(&book), [at, at, 0]);
    // What is not used cannot stop being used; and what lapses does.
    happens(&book, 1, &What::Expired { categories: vec![Category::Status] });
    assert_eq!(marks(&book), [at, at, 0]);
    let expired = happens(&book, 1, &What::Expired { categories: vec![Category::PrintTime] });
    assert_eq!(marks(&book), [expired, at, 0]);
    drop(book);
    assert_eq!(marks(&Book::open(folder.path()).unwrap()), [expired, at, 0]);
}

#[test]
fn who_withdraws_and_is_erased_between_two_publications_moves_a_mark_that_stays() {
    let (book, _folder) = book();
    owner(&book, 1, 1, Decision::Granted, &BOTH);
    let before = book.begin().unwrap().population(TODAY).unwrap();
    let withdrawn = owner(&book, 1, 2, Decision::Withdrawn, &BOTH[..1]);
    let erased = happens(&book, 1, &What::ErasureRequested { by: Acting::Operator {} });
    let txn = book.begin().unwrap();
    let slot = txn.slot(key(1).subject()).unwrap();
    txn.forget(slot).unwrap();
    txn.commit().unwrap();
    assert_eq!(
        book.begin().unwrap().population(TODAY).unwrap(),
        before,
        "two catalogues tell nothing"
    );
    assert_eq!(marks(&book), [withdrawn, erased, 0]);
}

/// Enrolment goes with the subject that brought it, and rows of the principal's other ones with that.
#[test]
fn the_erasure_of_who_vouched_for_others_moves_all_marks() {
    for others in [false, true] {
        let (book, _folder) = book();
        owner(&book, 1, 1, Decision::Granted, &BOTH);
        if others {
            happens(&book, 2, &said_for([1; 16], 2, 1, Decision::Granted, &[Category::Laser]));
        }
        let token = book.issue_tokens(1).unwrap().remove(0);
        let verifier = enrolment::verifier(&token.0);
        let principal = imprimatur_consent::PrincipalId([1; 16]);
        let proof = enrolment::proof(verifier, principal, &key(1).public());
        let txn = book.begin().unwrap();
        assert_eq!(txn.spend_token(&proof, key(1).subject()).unwrap(), TokenUse::Enrolled);
        txn.commit().unwrap();
        let erased = happens(&book, 1, &What::ErasureRequested { by: Acting::Operator {} });
        assert_eq!(marks(&book), [erased, erased, if others { erased } else { 0 }]);
        assert!(book.begin().unwrap().population(TODAY).unwrap().0.is_empty());
    }
}

#[test]
fn a_book_without_marks_begins_with_its_newest_position() {
    let (book, folder) = book();
    owner(&book, 1, 1, Decision::Granted, &BOTH);
    let withdrawn = owner(&book, 1, 2, Decision::Withdrawn, &BOTH[..1]);
    let newest = owner(&book, 1, 3, Decision::Granted, &BOTH[..1]);
    let txn = book.begin().unwrap();
    let table = crate::tables::NUMBERS;
    let mut numbers = txn.raw.open_table(table).unwrap();
    numbers.retain(|key, _| !key.starts_with("excluded_at.")).unwrap();
    drop(numbers);
    txn.commit().unwrap();
    drop(book);
    let book = Book::open(folder.path()).unwrap();
    assert!(withdrawn < newest);
    assert_eq!(marks(&book), [newest; 3]);
}
