//! Tests of the book: one order, one commit, remembered answers, survival of a restart, seals.

mod counts;
mod disk;
mod keys;
mod log;
mod marks;
mod replayed;
mod restore;
mod torn;
mod writeback;

use imprimatur_consent::event::What;
use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::standing::InvalidEvent;
use imprimatur_consent::{
    Category, Denial, Digest, Domain, Policy, SigningSeed, Standing, SubjectId, enrolment,
};
use imprimatur_proto::canonical::encode;
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, SignedConsentEvent,
};
use imprimatur_proto::field;
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_runtime::{UnixSeconds, UtcDate};
use proptest::prelude::*;
use redb::ReadableTable as _;

use crate::{
    AppendError, Book, BookError, Label, NoRecord, Repeat, Token, TokenUse, Txn,
    VERDICTS_REMEMBERED,
};

const TODAY: UtcDate = UtcDate(20_778);

fn book() -> (Book, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let book = Book::open(folder.path()).unwrap();
    book.publish_policy(STRICTEST, TODAY.start()).unwrap();
    (book, folder)
}

fn key(seed: u8) -> SigningSeed {
    SigningSeed::from_seed(&[seed; 32])
}

/// A signed decision of the key of this seed.
fn said(seed: u8, number: u64, decision: Decision, categories: &[Category]) -> What {
    said_for([seed; 16], seed, number, decision, categories)
}

/// The same for a principal.
fn said_for(
    principal: [u8; 16],
    seed: u8,
    number: u64,
    decision: Decision,
    categories: &[Category],
) -> What {
    let event = encode(&ConsentEvent {
        public_key: key(seed).public().to_vec(),
        principal: principal.to_vec(),
        sequence: number,
        decision: decision.into(),
        categories: categories.iter().map(|category| category.number()).collect(),
        policy_hash: Policy::read(STRICTEST).unwrap().hash.0.to_vec(),
        date: TODAY.0,
        notice_language: b"en".to_vec(),
        method: Method::Command.into(),
        affirmation: Affirmation::AgeAndAuthority.into(),
        ..ConsentEvent::default()
    });
    let signature = key(seed).sign(Domain::Consent, &event);
    let signed = encode(&SignedConsentEvent { event, signature });
    What::Consent { signed_event: hex::encode(signed) }
}

fn record(txn: &Txn, seed: u8, what: &What) -> crate::Logged {
    txn.record(key(seed).subject(), what, TODAY.start()).unwrap().unwrap()
}

fn granted(txn: &Txn) -> Standing {
    record(txn, 7, &said(7, 1, Decision::Granted, &[Category::PrintTime])).standing
}

fn section(category: Category) -> Section {
    Section { category, values: vec![(field::PRINT_TIME_COMPLETED_DURATION, 7)] }
}

fn stored(txn: &Txn, subject: SubjectId, sequence: u64) -> u64 {
    let frame = Digest([u8::try_from(sequence % 200).unwrap() + 1; 32]);
    let batch = txn.open_batch(subject, sequence, frame, TODAY.start()).unwrap();
    let record = batch.begin_record(RecordKind::Print, TODAY).unwrap();
    let permit = batch.permit(Category::PrintTime, TODAY).unwrap();
    batch.append(record, section(Category::PrintTime), permit).unwrap();
    let position = batch.finish().unwrap();
    txn.keep_verdict(subject, sequence, frame, b"stored").unwrap();
    position
}

#[test]
fn a_permit_is_for_one_category_and_date() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    let batch = txn.open_batch(subject, 1, Digest([1; 32]), TODAY.start()).unwrap();
    let yesterday = UtcDate(TODAY.0 - 1);
    assert_eq!(batch.permit(Category::Laser, TODAY).unwrap_err(), Denial::NoGrant);
    assert_eq!(batch.permit(Category::PrintTime, yesterday).unwrap_err(), Denial::BeforeGrant);
    let record = batch.begin_record(RecordKind::Print, TODAY).unwrap();
    let other = batch.begin_record(RecordKind::Print, yesterday).unwrap();
    let permit = || batch.permit(Category::PrintTime, TODAY).unwrap();
    let append = |record, category| batch.append(record, section(category), permit());
    assert_eq!(append(record, Category::Laser), Err(AppendError));
    assert_eq!(append(other, Category::PrintTime), Err(AppendError));
    assert_eq!(append(9, Category::PrintTime), Err(AppendError));
    assert_eq!(append(record, Category::PrintTime), Ok(()));
    assert!(txn.open_batch(SubjectId([0; 16]), 1, Digest([1; 32]), TODAY.start()).is_none());
}

#[test]
fn what_was_committed_is_there_after_a_restart_and_the_rest_never_was() {
    let (book, folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    let position = stored(&txn, subject, 1);
    txn.count("stored", 1, TODAY).unwrap();
    txn.commit().unwrap();
    let abandoned = book.begin().unwrap();
    stored(&abandoned, subject, 2);
    let stranger = record(&abandoned, 9, &said(9, 1, Decision::Granted, &[Category::Laser]));
    drop(abandoned);
    assert_eq!(book.known(stranger.standing.subject()), None);
    drop(book);

    let book = Book::open(folder.path()).unwrap();
    assert_eq!(position, 2, "events and commits share one order");
    let journal = book.journal(9).unwrap();
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0].1[0].sections(), [section(Category::PrintTime)]);
    assert_eq!(book.commits_after(0).unwrap().len(), 1);
    assert_eq!(book.events_after(0).unwrap()[0].position, 1);
    assert_eq!(book.counts().unwrap()["stored"], 1);
    assert_eq!(book.known(subject).unwrap().public_key, key(7).public());
    let txn = book.begin().unwrap();
    assert!(matches!(txn.repeat(subject, 1, Digest([2; 32])).unwrap(), Repeat::Same(_)));
    assert_eq!(txn.repeat(subject, 2, Digest([3; 32])).unwrap(), Repeat::New);
}

#[test]
fn the_last_verdicts_are_remembered_and_older_numbers_are_too_old() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    let last = VERDICTS_REMEMBERED + 10;
    for sequence in 1..=last {
        txn.keep_verdict(subject, sequence, Digest([1; 32]), b"v").unwrap();
    }
    let repeat = |sequence| txn.repeat(subject, sequence, Digest([1; 32])).unwrap();
    assert_eq!(repeat(10), Repeat::TooOld);
    assert_eq!(repeat(11), Repeat::Same(b"v".to_vec()));
    assert_eq!(repeat(last), Repeat::Same(b"v".to_vec()));
    assert_eq!(repeat(last + 1), Repeat::New);
    assert_eq!(txn.repeat(subject, 11, Digest([2; 32])).unwrap(), Repeat::Reused);
    // A number that is kept again pushes none out.
    txn.keep_verdict(subject, last, Digest([1; 32]), b"v").unwrap();
    assert_eq!(repeat(11), Repeat::Same(b"v".to_vec()));
    // Another subject has its own numbers.
    assert_eq!(txn.repeat(SubjectId([5; 16]), 1, Digest([1; 32])).unwrap(), Repeat::New);
}

#[test]
fn the_evidence_of_a_commit_tells_its_day_and_not_its_time() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    for (number, second) in [(1, 1), (2, 40_000), (3, 86_399)] {
        let now = UnixSeconds(TODAY.start().0 + second);
        let batch = txn.open_batch(subject, number, Digest([1; 32]), now).unwrap();
        let record = batch.begin_record(RecordKind::Print, TODAY).unwrap();
        let permit = batch.permit(Category::PrintTime, TODAY).unwrap();
        batch.append(record, section(Category::PrintTime), permit).unwrap();
        batch.finish().unwrap();
    }
    txn.commit().unwrap();
    let commits = book.commits_after(0).unwrap();
    assert_eq!(commits.len(), 3);
    assert!(commits.iter().all(|commit| commit.recorded == TODAY.start()), "{commits:?}");
}

#[test]
fn an_event_of_another_key_makes_no_subject() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let event = said(7, 1, Decision::Granted, &[Category::PrintTime]);
    let recorded = txn.record(key(8).subject(), &event, TODAY.start()).unwrap();
    assert_eq!(recorded, Err(InvalidEvent::Foreign));
    assert_eq!(txn.standing(key(7).subject()).unwrap(), None);
}

#[test]
fn an_answer_cannot_stand_in_for_another() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    txn.keep_verdict(subject, 1, Digest([1; 32]), b"v").unwrap();
    let slot = txn.slot(subject).unwrap();
    {
        let mut verdicts = txn.raw.open_table(crate::tables::VERDICTS).unwrap();
        let sealed = verdicts.get((slot, 1)).unwrap().unwrap().value().to_vec();
        verdicts.insert((slot, 2), sealed.as_slice()).unwrap();
        let mut receipts = txn.raw.open_table(crate::tables::RECEIPTS).unwrap();
        receipts.insert((slot, 1), sealed.as_slice()).unwrap();
    }
    let repeat = |sequence| txn.repeat(subject, sequence, Digest([1; 32]));
    assert_eq!(repeat(1).unwrap(), Repeat::Same(b"v".to_vec()));
    // Not new either: what cannot be read might be an answer.
    assert!(matches!(repeat(2), Err(BookError::Unreadable { .. })));
    assert!(matches!(txn.receipt(subject, 1), Err(BookError::Unreadable { .. })));
    assert_eq!(repeat(3).unwrap(), Repeat::New);
}

#[test]
fn tokens_enrol_one_principal_and_are_not_kept() {
    let (book, folder) = book();
    let tokens = book.issue_tokens(2).unwrap();
    let txn = book.begin().unwrap();
    let standing = granted(&txn);
    let other = record(&txn, 8, &said(8, 1, Decision::Granted, &[Category::PrintTime])).standing;
    let proof = |token: &[u8; 32], of: &Standing| {
        enrolment::proof(enrolment::verifier(token), of.principal, &of.public_key.0)
    };
    let spend = |token, of: &Standing| {
        let proof = proof(token, of);
        let valid = txn.token_valid(&proof, of.principal, &of.public_key.0).unwrap();
        let spent = txn.spend_token(&proof, of.subject()).unwrap();
        assert_eq!(valid, spent == TokenUse::Enrolled);
        spent
    };
    assert_eq!(spend(&[0; 32], &standing), TokenUse::Invalid);
    assert_eq!(spend(&tokens[0].0, &standing), TokenUse::Enrolled);
    assert_eq!(spend(&tokens[0].0, &standing), TokenUse::Enrolled);
    assert_eq!(spend(&tokens[0].0, &other), TokenUse::Invalid);
    // A proof that was seen on the way serves nobody else.
    let seen = proof(&tokens[1].0, &standing);
    assert_eq!(txn.spend_token(&seen, other.subject()).unwrap(), TokenUse::Invalid);
    stored(&txn, standing.subject(), 1);
    stored(&txn, other.subject(), 1);
    let (enrolled, withdrawn) = txn.population(TODAY).unwrap();
    assert_eq!((enrolled.len(), withdrawn.len()), (1, 0));
    txn.commit().unwrap();
    drop(book);
    let bytes = std::fs::read(folder.path().join("book.redb")).unwrap();
    let Token(token) = &tokens[0];
    assert!(!bytes.windows(32).any(|window| window == token), "the book holds a token");
}

#[test]
fn a_book_is_real_or_synthetic_for_its_life() {
    let (book, _folder) = book();
    book.label(Label::Synthetic).unwrap();
    book.label(Label::Synthetic).unwrap();
    let error = book.label(Label::Real).unwrap_err().to_string();
    assert!(error.starts_with("the folder holds synthetic rows, and real ones"), "{error}");
}

#[test]
fn a_date_tells_ten_prints_in_however_many_batches_and_a_book_for_load_any_number() {
    let (book, folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    for sequence in 1..=10 {
        stored(&txn, subject, sequence);
    }
    txn.commit().unwrap();
    drop(book);
    let book = Book::open(folder.path()).unwrap();
    let txn = book.begin().unwrap();
    let batch = txn.open_batch(subject, 11, Digest([1; 32]), TODAY.start()).unwrap();
    let full = batch.begin_record(RecordKind::Print, TODAY);
    assert!(matches!(full, Err(NoRecord::BeyondDay)), "{full:?}");
    assert!(batch.begin_record(RecordKind::Day, TODAY).is_ok(), "a day has a place of its own");
    let again = batch.begin_record(RecordKind::Day, TODAY);
    assert!(matches!(again, Err(NoRecord::BeyondDay)), "{again:?}");
    assert!(batch.begin_record(RecordKind::Print, UtcDate(TODAY.0 + 1)).is_ok());
    drop(batch);
    // A batch that was not finished has told nothing.
    let batch = txn.open_batch(subject, 11, Digest([1; 32]), TODAY.start()).unwrap();
    assert!(batch.begin_record(RecordKind::Day, TODAY).is_ok());
    drop(batch);
    drop(txn);
    book.label(Label::Load).unwrap();
    let txn = book.begin().unwrap();
    stored(&txn, subject, 11);
}

#[test]
fn what_is_withdrawn_is_excluded_under_the_pseudonym_of_its_data() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    stored(&txn, subject, 1);
    let proof = *txn.pseudonyms_of(subject).unwrap().first().unwrap();
    record(&txn, 7, &said(7, 2, Decision::Withdrawn, &[Category::PrintTime]));
    let (_, withdrawn) = txn.population(TODAY).unwrap();
    assert_eq!(withdrawn.first().unwrap().up_to, u64::MAX);
    let out: Vec<_> = withdrawn.into_iter().map(|out| (out.subject, out.category)).collect();
    assert_eq!(out, [(proof, Category::PrintTime)]);
    // A new grant is from now on: what was stored before the withdrawal stays out.
    record(&txn, 7, &said(7, 3, Decision::Granted, &[Category::PrintTime]));
    let (_, withdrawn) = txn.population(TODAY).unwrap();
    assert_eq!(withdrawn.first().unwrap().up_to, 3);
}

#[test]
fn what_expired_stays_expired_when_the_clock_goes_back() {
    let (book, _folder) = book();
    assert!(book.kept_since().unwrap().is_empty());
    for (first, kept) in [(100, 100), (90, 100), (110, 110)] {
        let txn = book.begin().unwrap();
        txn.keep_since("print", UtcDate(first)).unwrap();
        txn.commit().unwrap();
        assert_eq!(book.kept_since().unwrap(), [("print".to_owned(), UtcDate(kept))].into());
    }
}

#[test]
fn the_clock_finds_whose_grant_lapsed_and_who_ended_too_long_ago() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    for seed in [6, 7, 8] {
        record(&txn, seed, &said(seed, 1, Decision::Granted, &[Category::PrintTime]));
    }
    record(&txn, 6, &said(6, 2, Decision::Withdrawn, &[Category::PrintTime]));
    let ended = record(&txn, 8, &said(8, 2, Decision::Transferred, &Category::ALL)).standing;
    txn.commit().unwrap();
    let txn = book.begin().unwrap();
    let terms = txn.terms();
    let subject = key(7).subject();
    let standing = txn.standing(subject).unwrap().unwrap();
    let over = standing.granted[&Category::PrintTime].valid_until(&terms);
    assert_eq!(txn.lapsed(UtcDate(over.0 - 1)).unwrap(), []);
    assert_eq!(txn.lapsed(over).unwrap(), [(subject, vec![Category::PrintTime])]);
    let kept = TODAY.0 + terms.retention().evidence_months * 31;
    assert_eq!(txn.outlived(UtcDate(kept)).unwrap(), []);
    assert_eq!(txn.outlived(UtcDate(kept + 1)).unwrap(), [ended.subject()]);
}

#[test]
fn a_changed_policy_needs_a_new_version() {
    let (book, _folder) = book();
    assert!(book.publish_policy(STRICTEST, TODAY.start()).is_ok(), "the same again");
    let changed = STRICTEST.replacen("Nothing is collected", "Little is collected", 1);
    assert_ne!(changed, STRICTEST);
    let error = book.publish_policy(&changed, TODAY.start()).unwrap_err().to_string();
    assert!(error.contains("give the changed policy a new version"), "{error}");
}

proptest! {
    /// Whatever is stored, each number of a subject has one answer for ever, and every commit its
    /// evidence.
    #[test]
    fn every_commit_has_its_evidence(sequences in proptest::collection::vec(1..40_u64, 1..30)) {
        let (book, _folder) = book();
        book.label(Label::Load).unwrap();
        let txn = book.begin().unwrap();
        let subject = granted(&txn).subject();
        txn.commit().unwrap();
        let mut model = std::collections::BTreeSet::new();
        for sequence in sequences {
            let txn = book.begin().unwrap();
            let frame = Digest([u8::try_from(sequence % 200).unwrap() + 1; 32]);
            let repeat = txn.repeat(subject, sequence, frame).unwrap();
            prop_assert_eq!(repeat == Repeat::New, !model.contains(&sequence));
            if model.insert(sequence) {
                stored(&txn, subject, sequence);
                txn.commit().unwrap();
            }
        }
        let evidence = book.commits_after(0).unwrap();
        let journal = book.journal(999).unwrap();
        prop_assert_eq!(evidence.len(), model.len());
        let positions: Vec<u64> = evidence.iter().map(|commit| commit.position).collect();
        prop_assert!(positions.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(positions, journal.iter().map(|batch| batch.0).collect::<Vec<_>>());
    }
}
