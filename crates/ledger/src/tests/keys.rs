//! What an erasure leaves of a subject in the book's folder: nothing that can be read.

use imprimatur_consent::event::Acting;

use super::*;
use crate::register::{Asker, Outcome};
use crate::{Job, Opened};

/// Every byte below a folder.
fn bytes(folder: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { bytes(&path) } else { std::fs::read(&path).unwrap() });
    }
    all
}

fn holds(folder: &std::path::Path, canary: &[u8]) -> bool {
    let hex = hex::encode(canary);
    let all = bytes(folder);
    let found = |part: &[u8]| all.windows(part.len()).any(|window| window == part);
    found(canary) || found(hex.as_bytes())
}

#[test]
fn ids_keys_and_values_lie_in_the_book_under_seal_only() {
    let (book, folder) = book();
    let txn = book.begin().unwrap();
    let standing = granted(&txn);
    stored(&txn, standing.subject(), 1);
    let pseudonym = *txn.pseudonyms_of(standing.subject()).unwrap().first().unwrap();
    txn.keep_receipt(standing.subject(), 1, Digest([9; 32]), b"receipt of this very test").unwrap();
    txn.commit().unwrap();
    for canary in [&standing.subject().0[..], &standing.public_key.0, &standing.principal.0] {
        assert!(!holds(folder.path(), canary), "{canary:?}");
    }
    assert!(!holds(folder.path(), &pseudonym.0));
    assert!(!holds(folder.path(), b"receipt of this very test"));
    assert!(!holds(folder.path(), b"completed_duration"), "the journal is in clear");
    // Negative control: what is not about a subject is found.
    assert!(holds(folder.path(), b"policy_published"));
    let txn = book.begin().unwrap();
    assert_eq!(
        txn.receipt(standing.subject(), 1).unwrap().unwrap().1,
        b"receipt of this very test"
    );
}

fn erase(book: &Book) -> SubjectId {
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    stored(&txn, subject, 1);
    txn.commit().unwrap();
    let txn = book.begin().unwrap();
    record(&txn, 7, &What::ErasureRequested { by: Acting::Operator {} });
    let due = UtcDate(TODAY.0 + 30);
    let number = txn.enter("erase", Asker::Operator, subject, (TODAY, due), Outcome::Open).unwrap();
    txn.add_task(subject, Job::Erase, number, TODAY).unwrap();
    txn.commit().unwrap();
    subject
}

#[test]
fn an_erasure_binds_at_once_and_ends_with_the_key() {
    let (book, folder) = book();
    let subject = erase(&book);
    let [(_, waiting)] = &book.journal(9).unwrap()[..] else { panic!("one batch was committed") };
    assert!(waiting.is_empty(), "nothing of it may reach the lake any more");
    let txn = book.begin().unwrap();
    assert!(txn.open_batch(subject, 2, Digest([1; 32]), TODAY.start()).is_none());
    let (_, out) = txn.population(TODAY).unwrap();
    assert_eq!(out.len(), Category::ALL.len(), "no answer uses it from now on");
    let [work] = &txn.work(TODAY).unwrap()[..] else { panic!("one task") };
    assert_eq!(work.pseudonyms.len(), 1);
    txn.finish(work, 1, 1, TODAY).unwrap();
    txn.commit().unwrap();

    assert_eq!((book.known(subject), book.subjects()), (None, 0));
    let [event, ..] = &book.events_after(0).unwrap()[..] else { panic!("two events") };
    assert_eq!(event.open(book.keyring()).unwrap(), Opened::Destroyed);
    let [commit] = &book.commits_after(0).unwrap()[..] else { panic!("one commit") };
    assert_eq!(commit.open(book.keyring()).unwrap(), Opened::Destroyed);
    assert!(book.register().unwrap().iter().all(|entry| entry.outcome == Outcome::Done));
    let txn = book.begin().unwrap();
    assert_eq!(txn.speaks_for(&key(7).public()).unwrap(), None);
    assert!(txn.work(TODAY).unwrap().is_empty());
    drop(txn);
    drop(book);
    let book = Book::open(folder.path()).unwrap();
    assert_eq!((book.known(subject), book.subjects()), (None, 0));
}

#[test]
fn a_key_that_was_condemned_before_a_crash_is_destroyed_at_the_start() {
    let (book, folder) = book();
    let subject = erase(&book);
    let slot = book.known(subject).unwrap().slot;
    let secret = book.keyring().secret(slot).unwrap().unwrap();
    {
        let txn = book.begin().unwrap();
        let work = txn.work(TODAY).unwrap();
        txn.finish(&work[0], 1, 1, TODAY).unwrap();
        // The commit without what follows it: the process died in between.
        book.0.keyring.sync().unwrap();
        txn.raw.commit().unwrap();
    }
    assert!(holds(folder.path(), &secret.0));
    drop(book);
    let book = Book::open(folder.path()).unwrap();
    assert!(!holds(folder.path(), &secret.0));
    assert_eq!(book.keyring().secret(slot).unwrap(), None);
}

#[test]
fn a_legal_hold_lets_an_erasure_wait_and_nothing_else() {
    use imprimatur_consent::standing::{Grounds, Restriction};

    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    let until = Some(UtcDate(TODAY.0 + 10));
    let restriction = Restriction { grounds: Grounds::Claim, since: TODAY, until };
    record(&txn, 7, &What::Restricted { restriction, by: Acting::Operator {} });
    record(&txn, 7, &What::ErasureRequested { by: Acting::Operator {} });
    txn.add_task(subject, Job::Erase, 0, TODAY).unwrap();
    txn.commit().unwrap();
    let txn = book.begin().unwrap();
    assert_eq!(txn.work(TODAY).unwrap(), []);
    assert_eq!(txn.work(UtcDate(TODAY.0 + 10)).unwrap(), []);
    assert_eq!(txn.work(UtcDate(TODAY.0 + 11)).unwrap().len(), 1);
}

#[test]
fn a_pepper_goes_with_the_last_rows_of_its_epoch() {
    let (book, folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    stored(&txn, subject, 1);
    txn.commit().unwrap();
    let pepper = {
        let txn = book.begin().unwrap();
        let table = txn.raw.open_table(crate::tables::PEPPERS).unwrap();
        let slot = redb::ReadableTable::get(&table, TODAY.month()).unwrap().unwrap().value();
        book.keyring().secret(slot).unwrap().unwrap()
    };
    let end_of_month = UtcDate(TODAY.0 + 9);
    for (day, expected) in [(end_of_month.0 + 90, 0), (end_of_month.0 + 91, 1)] {
        let txn = book.begin().unwrap();
        assert_eq!(txn.expire_peppers(90, UtcDate(day)).unwrap().len(), expected, "{day}");
        txn.commit().unwrap();
        assert_eq!(holds(folder.path(), &pepper.0), expected == 0);
    }
    let txn = book.begin().unwrap();
    assert!(txn.pseudonyms_of(subject).unwrap().is_empty());
}

#[test]
fn a_principal_stays_enrolled_while_it_has_another_subject() {
    let (book, _folder) = book();
    let token = book.issue_tokens(1).unwrap().remove(0);
    let subject = erase(&book);
    let txn = book.begin().unwrap();
    // The other subject of the same principal.
    let event = said(7, 1, Decision::Granted, &[Category::Laser]);
    let What::Consent { signed_event } = event else { unreachable!() };
    let (mut event, _) = imprimatur_consent::event::decoded(&signed_event).unwrap();
    event.public_key = key(9).public().to_vec();
    let event = encode(&event);
    let signature = key(9).sign(Domain::Consent, &event);
    let signed = encode(&SignedConsentEvent { event, signature });
    let other = record(&txn, 9, &What::Consent { signed_event: hex::encode(signed) }).standing;
    let proof = enrolment::proof(
        enrolment::verifier(&token.0),
        other.principal,
        &txn.standing(subject).unwrap().unwrap().public_key.0,
    );
    assert_eq!(txn.spend_token(&proof, subject).unwrap(), TokenUse::Enrolled);
    let enrolled = |txn: &Txn| {
        let slot = txn.slot(other.subject()).unwrap();
        txn.held(slot).unwrap().unwrap().enrolled
    };
    assert!(!enrolled(&txn));
    txn.commit().unwrap();
    let txn = book.begin().unwrap();
    let work = txn.work(TODAY).unwrap();
    txn.finish(&work[0], 0, 0, TODAY).unwrap();
    assert!(enrolled(&txn));
}

#[test]
fn an_erasure_ends_the_other_tasks_of_its_subject_and_none_of_anybody_else() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    let other = record(&txn, 8, &said(8, 1, Decision::Granted, &[Category::PrintTime])).standing;
    for (number, who) in [(1, subject), (2, other.subject())] {
        let job = Job::Rectify { since: TODAY, sections: std::collections::BTreeMap::new() };
        txn.add_task(who, job, number, TODAY).unwrap();
    }
    txn.add_task(subject, Job::Erase, 3, TODAY).unwrap();
    let numbers = || txn.work(TODAY).unwrap().iter().map(|work| work.task).collect::<Vec<_>>();
    assert_eq!(numbers(), [1, 2, 3]);
    txn.finish(&txn.work(TODAY).unwrap()[2], 0, 0, TODAY).unwrap();
    assert_eq!(numbers(), [2]);
}

#[test]
fn a_rectification_waits_for_what_is_on_its_way() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    let position = stored(&txn, subject, 1);
    let job = Job::Rectify { since: TODAY, sections: std::collections::BTreeMap::new() };
    txn.add_task(subject, job, 0, TODAY).unwrap();
    txn.commit().unwrap();
    let txn = book.begin().unwrap();
    assert_eq!(txn.work(TODAY).unwrap(), []);
    txn.publish::<()>(&[position], &[]).unwrap();
    assert_eq!(txn.work(TODAY).unwrap().len(), 1);
}

#[test]
fn the_subjects_behind_leaked_pseudonyms_are_found_while_their_pepper_lives() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    stored(&txn, subject, 1);
    let other = record(&txn, 8, &said(8, 1, Decision::Granted, &[Category::PrintTime])).standing;
    stored(&txn, other.subject(), 1);
    let leaked = txn.pseudonyms_of(subject).unwrap();
    assert_eq!(txn.behind(&leaked).unwrap(), [subject].into());
    let nobody = [imprimatur_consent::Pseudonym([5; 16])].into();
    assert!(txn.behind(&nobody).unwrap().is_empty());
    txn.commit().unwrap();
    let txn = book.begin().unwrap();
    txn.expire_peppers(1, UtcDate(TODAY.0 + 99)).unwrap();
    assert!(txn.behind(&leaked).unwrap().is_empty(), "nobody can tell any more");
}

#[test]
fn no_pseudonym_is_the_same_in_two_epochs() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let standing = granted(&txn);
    let epochs = [202_610, 202_611, 20_261_121];
    let of_subject = epochs.map(|epoch| txn.pepper(epoch).unwrap().subject(standing.subject()));
    let of_principal = epochs.map(|epoch| txn.pepper(epoch).unwrap().principal(standing.principal));
    let all: std::collections::BTreeSet<_> = of_subject.iter().chain(&of_principal).collect();
    assert_eq!(all.len(), 6);
    // Within an epoch it is one: else nothing could be counted.
    let again = txn.pepper(202_610).unwrap().subject(standing.subject());
    assert_eq!(again, of_subject[0]);
}

#[test]
fn what_a_legal_hold_keeps_is_not_lost_on_its_way() {
    use imprimatur_consent::standing::{Grounds, Restriction};

    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    stored(&txn, subject, 1);
    let until = Some(UtcDate(TODAY.0 + 10));
    let restriction = Restriction { grounds: Grounds::Statutory, since: TODAY, until };
    record(&txn, 7, &What::Restricted { restriction, by: Acting::Operator {} });
    record(&txn, 7, &What::ErasureRequested { by: Acting::Operator {} });
    txn.add_task(subject, Job::Erase, 0, TODAY).unwrap();
    txn.commit().unwrap();
    let [(_, waiting)] = &book.journal(9).unwrap()[..] else { panic!("one batch was committed") };
    assert_eq!(waiting.len(), 1);
}

#[test]
fn a_grant_that_is_sent_again_after_the_erasure_revives_nobody() {
    let (book, _folder) = book();
    let subject = erase(&book);
    let again = said(7, 1, Decision::Granted, &[Category::PrintTime]);
    let taken = |on: UtcDate| {
        let txn = book.begin().unwrap();
        txn.record(subject, &again, on.start()).unwrap().map(|_logged| ())
    };
    assert_eq!(taken(TODAY), Err(imprimatur_consent::standing::InvalidEvent::SequenceReused));
    let txn = book.begin().unwrap();
    let work = txn.work(TODAY).unwrap();
    txn.finish(&work[0], 1, 1, TODAY).unwrap();
    txn.commit().unwrap();
    assert_eq!(taken(TODAY), Err(imprimatur_consent::standing::InvalidEvent::Ended));
    // A stranger is none of it.
    let txn = book.begin().unwrap();
    let stranger = said(8, 1, Decision::Granted, &[Category::PrintTime]);
    assert!(txn.record(key(8).subject(), &stranger, TODAY.start()).unwrap().is_ok());
    drop(txn);
    // When no collector takes a grant of that date any more, the mark goes with its secret.
    for (day, buried) in [(TODAY.0 + 36, true), (TODAY.0 + 37, false)] {
        let txn = book.begin().unwrap();
        txn.expire_peppers(999, UtcDate(day)).unwrap();
        txn.commit().unwrap();
        let txn = book.begin().unwrap();
        assert_eq!(txn.buried(subject).unwrap(), buried, "{day}");
    }
}
