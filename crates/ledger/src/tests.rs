//! Tests of the book: one order, one commit, remembered answers, survival of a restart.

use imprimatur_consent::{Category, Denial, Digest, SigningSeed, Standing, SubjectId, enrolment};
use imprimatur_proto::consent::v1::{ConsentEvent, Decision};
use imprimatur_proto::field;
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_runtime::UtcDate;
use proptest::prelude::*;

use crate::book::VERDICTS_REMEMBERED;
use crate::{AppendError, Book, Repeat, Token, TokenUse, Txn};

const TODAY: UtcDate = UtcDate(20_778);

fn book() -> (Book, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Book::open(&folder.path().join("book.redb")).unwrap(), folder)
}

fn event(number: u64, decision: Decision, categories: &[Category]) -> ConsentEvent {
    ConsentEvent {
        public_key: SigningSeed::from_seed(&[7; 32]).public().to_vec(),
        principal: vec![4; 16],
        sequence: number,
        decision: decision.into(),
        categories: categories.iter().map(|category| category.number()).collect(),
        policy_hash: vec![9; 32],
        date: TODAY.0,
        enrolment_proof: Vec::new(),
    }
}

fn granted(txn: &Txn) -> Standing {
    let standing = Standing::begin(&event(1, Decision::Granted, &[Category::PrintTime])).unwrap();
    txn.log_consent(&standing, b"signed", TODAY.start()).unwrap();
    standing
}

fn section(category: Category) -> Section {
    Section { category, values: vec![(field::PRINT_TIME_COMPLETED_DURATION, 7)] }
}

fn stored(txn: &Txn, subject: SubjectId, sequence: u64) -> u64 {
    let frame = Digest([u8::try_from(sequence % 200).unwrap() + 1; 32]);
    let batch = txn.open_batch(subject, sequence, frame, TODAY.start()).unwrap().unwrap();
    let record = batch.begin_record(RecordKind::Print, TODAY);
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
    let batch = txn.open_batch(subject, 1, Digest([1; 32]), TODAY.start()).unwrap().unwrap();
    let yesterday = UtcDate(TODAY.0 - 1);
    assert_eq!(batch.permit(Category::Laser, TODAY).unwrap_err(), Denial::NoGrant);
    assert_eq!(batch.permit(Category::PrintTime, yesterday).unwrap_err(), Denial::BeforeGrant);
    let record = batch.begin_record(RecordKind::Print, TODAY);
    let other = batch.begin_record(RecordKind::Print, yesterday);
    let permit = || batch.permit(Category::PrintTime, TODAY).unwrap();
    let append = |record, category| batch.append(record, section(category), permit());
    assert_eq!(append(record, Category::Laser), Err(AppendError));
    assert_eq!(append(other, Category::PrintTime), Err(AppendError));
    assert_eq!(append(9, Category::PrintTime), Err(AppendError));
    assert_eq!(append(record, Category::PrintTime), Ok(()));
    assert!(
        txn.open_batch(SubjectId([0; 16]), 1, Digest([1; 32]), TODAY.start()).unwrap().is_none()
    );
}

#[test]
fn what_was_committed_is_there_after_a_restart_and_the_rest_never_was() {
    let (book, folder) = book();
    let txn = book.begin().unwrap();
    let subject = granted(&txn).subject();
    let position = stored(&txn, subject, 1);
    txn.count("stored", 1).unwrap();
    txn.commit().unwrap();
    let abandoned = book.begin().unwrap();
    stored(&abandoned, subject, 2);
    drop(abandoned);
    drop(book);

    let book = Book::open(&folder.path().join("book.redb")).unwrap();
    assert_eq!(position, 2, "consent and commits share one order");
    let journal = book.journal(9).unwrap();
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0].1[0].sections(), [section(Category::PrintTime)]);
    assert_eq!(book.commits_after(0).unwrap().len(), 1);
    assert_eq!(book.consent_after(0).unwrap()[0].position, 1);
    assert_eq!(book.counts().unwrap()["stored"], 1);
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
    // Another subject has its own numbers.
    assert_eq!(txn.repeat(SubjectId([5; 16]), 1, Digest([1; 32])).unwrap(), Repeat::New);
}

#[test]
fn tokens_enrol_one_principal_and_are_not_kept() {
    let (book, folder) = book();
    let tokens = book.issue_tokens(2).unwrap();
    let txn = book.begin().unwrap();
    let standing = granted(&txn);
    let other = imprimatur_consent::PrincipalId([5; 16]);
    let key = standing.public_key.0;
    let spend = |token: &[u8; 32], principal| {
        let proof = enrolment::proof(enrolment::verifier(token), principal, &key);
        txn.spend_token(&proof, principal, &key).unwrap()
    };
    assert_eq!(spend(&[0; 32], standing.principal), TokenUse::Invalid);
    assert_eq!(spend(&tokens[0].0, standing.principal), TokenUse::Enrolled);
    assert_eq!(spend(&tokens[0].0, standing.principal), TokenUse::Enrolled);
    assert_eq!(spend(&tokens[0].0, other), TokenUse::Invalid);
    // A proof that was seen on the way serves nobody else.
    let seen = enrolment::proof(enrolment::verifier(&tokens[1].0), standing.principal, &key);
    assert_eq!(txn.spend_token(&seen, other, &key).unwrap(), TokenUse::Invalid);
    stored(&txn, standing.subject(), 1);
    let (enrolled, withdrawn) = txn.population().unwrap();
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
    book.label(true).unwrap();
    book.label(true).unwrap();
    let error = book.label(false).unwrap_err().to_string();
    assert!(error.starts_with("the folder holds synthetic rows, and real ones"), "{error}");
}

#[test]
fn what_is_withdrawn_is_excluded_under_the_pseudonym_of_its_data() {
    let (book, _folder) = book();
    let txn = book.begin().unwrap();
    let standing = granted(&txn);
    stored(&txn, standing.subject(), 1);
    let proof = book_evidence(&txn);
    let event = event(2, Decision::Withdrawn, &[Category::PrintTime]);
    txn.log_consent(&standing.apply(&event).unwrap(), b"signed", TODAY.start()).unwrap();
    let (_, withdrawn) = txn.population().unwrap();
    assert_eq!(withdrawn.first().unwrap().up_to, u64::MAX);
    let out: Vec<_> = withdrawn.into_iter().map(|out| (out.subject, out.category)).collect();
    assert_eq!(out, [(proof, Category::PrintTime)]);
    // A new grant is from now on: what was stored before the withdrawal stays out.
    let event = super::tests::event(3, Decision::Granted, &[Category::PrintTime]);
    let standing = txn.standing(standing.subject()).unwrap().unwrap().apply(&event).unwrap();
    txn.log_consent(&standing, b"signed", TODAY.start()).unwrap();
    let (_, withdrawn) = txn.population().unwrap();
    assert_eq!(withdrawn.first().unwrap().up_to, 3);
}

fn book_evidence(txn: &Txn) -> imprimatur_consent::Pseudonym {
    let evidence: crate::CommitEvidence = txn.get(crate::tables::EVIDENCE, 2).unwrap().unwrap();
    evidence.records[0].subject
}

proptest! {
    /// Whatever is stored, each number of a subject has one answer for ever, and every commit its
    /// evidence.
    #[test]
    fn every_commit_has_its_evidence(sequences in proptest::collection::vec(1..40_u64, 1..30)) {
        let (book, _folder) = book();
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
