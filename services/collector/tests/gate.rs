//! The collector against every kind of bad input, and the law "no permit, no row".
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use std::collections::BTreeSet;

use imprimatur_collector::answer::reason_name;
use imprimatur_collector::control::{Ask, Told};
use imprimatur_collector::{Collector, CollectorSettings};
use imprimatur_consent::{Category, Domain, PrincipalId, SigningSeed, enrolment};
use imprimatur_log::{Checkpoint, entry, proof, tree, verify_consistency, verify_inclusion};
use imprimatur_proto::consent::v1::{
    ConsentEvent, Decision, Receipt, ReceiptStatus, SignedConsentEvent,
};
use imprimatur_proto::ingest::v1::Outcome;
use imprimatur_proto::telemetry::v1::{
    Batch, MaterialFamily, PrintMaterial, PrintReport, SignedBatch,
};
use imprimatur_proto::{canonical, frame};
use imprimatur_runtime::clock::ManualClock;
use imprimatur_runtime::{Clock as _, UtcDate};
use proptest::prelude::*;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use crate::rig::{
    GRANTED, Rig, TODAY, batch, decision, granted, owner, print, sealed, sealed_bytes, signed,
};

#[tokio::test]
async fn a_granted_batch_is_stored_once_and_a_repeat_gets_the_first_verdict() {
    let rig = granted().await;
    let frame = sealed(&batch(1, vec![print()]));
    let first = rig.submit(&frame).await;
    assert_eq!(first.outcome(), Outcome::Stored);
    assert_eq!(rig.submit(&frame).await, first);
    assert_eq!(rig.journal(), 1);
    let other = sealed(&batch(1, vec![print(), print()]));
    let verdict = rig.submit(&other).await;
    assert_eq!(reason_name(verdict.reason()), "sequence_reused");
    assert_eq!(rig.journal(), 1);
}

#[tokio::test]
async fn each_malformation_is_refused_with_its_own_reason() {
    let rig = granted().await;
    let good = canonical::encode(&batch(1, vec![print()]));
    let with = |more: &[u8]| sealed_bytes([&good[..], more].concat());
    let altered = |alter: &dyn Fn(&mut Batch)| {
        let mut batch = batch(1, vec![print()]);
        alter(&mut batch);
        sealed(&batch)
    };
    let at = good.windows(2).position(|pair| pair == [0x10, 1]).unwrap();
    let mut long_varint = good.clone();
    long_varint.splice(at + 1..at + 2, [0x81, 0x00]);
    long_varint[1] += 1;
    let mut duplicate = good.clone();
    duplicate.splice(at..at, [0x10, 1]);
    duplicate[1] += 2;
    let family = |batch: &mut Batch| {
        batch.prints[0].material = Some(PrintMaterial { family: 16, ..Default::default() });
    };
    let too_long = |batch: &mut Batch| {
        batch.prints[0].print_time.as_mut().unwrap().completed_duration = 99;
    };
    let contradiction = |batch: &mut Batch| {
        batch.prints[0].print_time.as_mut().unwrap().stopped_duration = 2;
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![0xff; 40], "malformed"),
        (Vec::new(), "non_canonical"),
        (vec![0; frame::BYTES_MAX], "unknown_field"),
        (vec![0; frame::BYTES_MAX + 1], "oversized"),
        (with(&[0x0b]), "non_canonical"),
        (sealed_bytes(good[..good.len() - 1].to_vec()), "malformed"),
        (with(&[0xf8, 0x01, 1]), "unknown_field"),
        (sealed_bytes(duplicate), "duplicate_field"),
        (sealed_bytes(long_varint), "non_canonical"),
        (altered(&too_long), "out_of_range"),
        (altered(&family), "unknown_enum"),
        (altered(&contradiction), "contradiction"),
        (altered(&|batch| batch.prints = vec![print(); 11]), "too_many_records"),
        (altered(&|batch| batch.prints.clear()), "malformed"),
        (altered(&|batch| batch.header = None), "malformed"),
        (altered(&|batch| batch.header.as_mut().unwrap().sequence = 0), "malformed"),
    ];
    for (frame, reason) in &cases {
        let verdict = rig.submit(frame).await;
        rig.refused(&verdict, reason);
    }
    let frame = sealed(&batch(1, vec![print()]));
    assert_eq!(rig.submit(&frame).await.outcome(), Outcome::Stored, "the door is still open");
    let counts = rig.book.counts().unwrap();
    assert_eq!(counts["refused.malformed"], 5);
    assert_eq!(counts["refused.unknown_field"], 2);
    assert_eq!(counts["stored"], 1);
}

#[tokio::test]
async fn strangers_and_forgers_learn_one_word() {
    let rig = granted().await;
    let stranger = Rig::new();
    let frame = sealed(&batch(1, vec![print()]));
    stranger.refused(&stranger.submit(&frame).await, "unauthenticated");
    let bytes = canonical::encode(&batch(1, vec![print()]));
    let forged = SigningSeed::from_seed(&[8; 32]).sign(Domain::Batch, &bytes);
    rig.refused(&rig.submit(&frame::seal(bytes, forged).unwrap()).await, "unauthenticated");
    // What was not authenticated consumed nothing: the number is still free.
    assert_eq!(rig.submit(&frame).await.outcome(), Outcome::Stored);
}

#[tokio::test]
async fn one_section_without_a_grant_refuses_the_whole_batch() {
    let rig = granted().await;
    let mut more = print();
    more.material =
        Some(PrintMaterial { family: MaterialFamily::Pla.into(), ..Default::default() });
    let verdict = rig.submit(&sealed(&batch(1, vec![more]))).await;
    rig.refused(&verdict, "no_grant");
    assert_eq!(verdict.categories, [Category::Material.number()]);
    let mut tagged = batch(2, vec![print()]);
    tagged.header.as_mut().unwrap().identity_tag = vec![1; 16];
    let verdict = rig.submit(&sealed(&tagged)).await;
    rig.refused(&verdict, "no_grant");
    assert_eq!(verdict.categories, [Category::Identity.number()]);
}

#[tokio::test]
async fn dates_before_the_grant_and_of_the_future_are_refused() {
    let rig = granted().await;
    let dated = |sequence, date| {
        sealed(&batch(sequence, vec![PrintReport { start_date: date, ..print() }]))
    };
    rig.refused(&rig.submit(&dated(1, TODAY.0 - 1)).await, "before_grant");
    rig.refused(&rig.submit(&dated(2, TODAY.0 + 2)).await, "date_out_of_range");
    rig.clock.set(UtcDate(TODAY.0 + 36).start());
    rig.refused(&rig.submit(&dated(3, TODAY.0)).await, "date_out_of_range");
}

#[tokio::test]
async fn an_eleventh_print_or_a_second_day_of_a_date_is_refused_in_whatever_batch() {
    let rig = granted().await;
    let with_day = |sequence, prints: usize, days: Vec<u32>| {
        let mut batch = batch(sequence, vec![print(); prints]);
        batch.days = days.into_iter().map(rig::day).collect();
        sealed(&batch)
    };
    let stored = async |frame: &[u8]| rig.submit(frame).await.outcome() == Outcome::Stored;
    let beyond = async |frame: &[u8]| {
        let verdict = rig.submit(frame).await;
        (reason_name(verdict.reason()), verdict.categories.len()) == ("beyond_day".to_owned(), 0)
    };
    assert!(stored(&with_day(1, 7, vec![3])).await);
    assert!(beyond(&with_day(2, 4, vec![])).await, "seven and four are eleven");
    assert!(beyond(&with_day(3, 0, vec![4])).await, "a second day report");
    assert!(beyond(&with_day(4, 3, vec![4])).await, "a batch is refused whole");
    assert!(stored(&with_day(5, 3, vec![])).await);
    assert!(beyond(&with_day(6, 1, vec![])).await);
    // The next date has a budget of its own, and a withdrawal gives none back.
    let tomorrow = vec![PrintReport { start_date: TODAY.0 + 1, ..print() }; 10];
    assert!(stored(&sealed(&batch(7, tomorrow))).await);
    rig.tell(&signed(&decision(2, Decision::Withdrawn, &GRANTED[..1]))).await;
    rig.tell(&signed(&decision(3, Decision::Granted, &GRANTED))).await;
    assert!(beyond(&with_day(8, 1, vec![])).await);
    assert_eq!(rig.book.counts().unwrap()["refused.beyond_day"], 5);
}

#[tokio::test]
async fn another_policy_or_contract_is_refused() {
    let rig = granted().await;
    let mut other = batch(1, vec![print()]);
    other.header.as_mut().unwrap().policy_hash = vec![1; 32];
    rig.refused(&rig.submit(&sealed(&other)).await, "policy_mismatch");
    let mut other = batch(2, vec![print()]);
    other.header.as_mut().unwrap().contract_hash = vec![1; 32];
    let frame = sealed(&other);
    rig.refused(&rig.submit(&frame).await, "contract_unsupported");
    // That refusal alone is not remembered: the number is still free.
    assert_eq!(rig.submit(&sealed(&batch(2, vec![print()]))).await.outcome(), Outcome::Stored);
}

#[tokio::test]
async fn a_field_of_another_contract_is_no_fault_of_its_sender() {
    let rig = granted().await;
    let mut other = batch(1, vec![print()]);
    other.header.as_mut().unwrap().contract_hash = vec![1; 32];
    let newer = [&canonical::encode(&other)[..], &[0xf8, 0x01, 1]].concat();
    rig.refused(&rig.submit(&sealed_bytes(newer)).await, "contract_unsupported");
}

#[tokio::test]
async fn after_the_receipt_of_a_withdrawal_nothing_commits() {
    let rig = granted().await;
    let receipt =
        rig.tell(&signed(&decision(2, Decision::Withdrawn, &[Category::Temperature]))).await;
    assert_eq!(receipt.granted, [Category::PrintTime.number()]);
    let verdict = rig.submit(&sealed(&batch(1, vec![print()]))).await;
    rig.refused(&verdict, "no_grant");
    // The refusal is final, even if the grant comes back.
    rig.tell(&signed(&decision(3, Decision::Granted, &GRANTED))).await;
    let verdict = rig.submit(&sealed(&batch(1, vec![print()]))).await;
    rig.refused(&verdict, "no_grant");
    assert_eq!(rig.submit(&sealed(&batch(2, vec![print()]))).await.outcome(), Outcome::Stored);
}

#[tokio::test]
async fn consent_events_are_recorded_once_and_bad_ones_never() {
    let rig = Rig::new();
    let grant = signed(&decision(1, Decision::Granted, &GRANTED));
    let receipt = rig.tell(&grant).await;
    assert_eq!(rig.tell(&grant).await, receipt);
    let status = |receipt: Receipt| receipt.status();
    let reused = decision(1, Decision::Withdrawn, &GRANTED);
    assert_eq!(status(rig.tell(&signed(&reused)).await), ReceiptStatus::SequenceReused);
    let mut forged = signed(&decision(2, Decision::Withdrawn, &GRANTED));
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(status(rig.tell(&forged).await), ReceiptStatus::Unauthenticated);
    assert_eq!(status(rig.tell(b"garbage").await), ReceiptStatus::Unauthenticated);
    let foreign =
        ConsentEvent { principal: vec![5; 16], ..decision(2, Decision::Granted, &GRANTED) };
    assert_eq!(status(rig.tell(&signed(&foreign)).await), ReceiptStatus::Unauthenticated);
    let unknown =
        ConsentEvent { policy_hash: vec![5; 32], ..decision(2, Decision::Granted, &GRANTED) };
    assert_eq!(status(rig.tell(&signed(&unknown)).await), ReceiptStatus::PolicyUnknown);
    let future = ConsentEvent { date: TODAY.0 + 2, ..decision(2, Decision::Granted, &GRANTED) };
    assert_eq!(status(rig.tell(&signed(&future)).await), ReceiptStatus::DateOutOfRange);
    let token =
        ConsentEvent { enrolment_proof: vec![5; 32], ..decision(2, Decision::Granted, &GRANTED) };
    assert_eq!(status(rig.tell(&signed(&token)).await), ReceiptStatus::TokenInvalid);
    assert_eq!(rig.book.events_after(0).unwrap().len(), 1);
    // A withdrawal is never turned away for its policy or date.
    let late = ConsentEvent {
        policy_hash: vec![5; 32],
        date: 0,
        ..decision(2, Decision::Withdrawn, &GRANTED)
    };
    assert_eq!(status(rig.tell(&signed(&late)).await), ReceiptStatus::Recorded);
}

#[tokio::test]
async fn a_token_enrols_one_principal_once() {
    let rig = Rig::new();
    let verifier = enrolment::verifier(&rig.book.issue_tokens(1).unwrap()[0].0);
    let proof = enrolment::proof(verifier, PrincipalId([4; 16]), &owner().public());
    let with = |number| ConsentEvent {
        enrolment_proof: proof.clone(),
        ..decision(number, Decision::Granted, &GRANTED)
    };
    assert_eq!(rig.tell(&signed(&with(1))).await.status(), ReceiptStatus::Recorded);
    assert_eq!(rig.tell(&signed(&with(2))).await.status(), ReceiptStatus::Recorded);
    let thief = SigningSeed::from_seed(&[9; 32]);
    let event = canonical::encode(&ConsentEvent {
        public_key: thief.public().to_vec(),
        principal: vec![6; 16],
        ..with(1)
    });
    // The thief saw the proof on its way.
    let signature = thief.sign(Domain::Consent, &event);
    let stolen = canonical::encode(&SignedConsentEvent { event, signature });
    assert_eq!(rig.tell(&stolen).await.status(), ReceiptStatus::TokenInvalid);
}

/// One step of an owner's life.
#[derive(Clone, Debug)]
enum Op {
    Grant(usize),
    Withdraw(usize),
    Submit { time: bool, temperature: bool, laser_day: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let place = 0..GRANTED.len();
    prop_oneof![
        place.clone().prop_map(Op::Grant),
        place.prop_map(Op::Withdraw),
        any::<(bool, bool, bool)>().prop_map(|(time, temperature, laser_day)| Op::Submit {
            time,
            temperature,
            laser_day
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// No permit, no row (INV-1): a plain set of granted categories foretells every verdict, and
    /// the journal holds exactly the sections that the set allowed.
    #[test]
    fn no_permit_no_row(ops in proptest::collection::vec(op(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let rig = Rig::new();
            let mut model: BTreeSet<Category> = BTreeSet::new();
            let (mut events, mut batches, mut stored) = (0, 0, 0);
            for op in ops {
                match op {
                    Op::Grant(place) => {
                        events += 1;
                        model.insert(GRANTED[place]);
                        let event = decision(events, Decision::Granted, &GRANTED[place..=place]);
                        rig.tell(&signed(&event)).await;
                    }
                    Op::Withdraw(place) => {
                        events += 1;
                        model.remove(&GRANTED[place]);
                        let event = decision(events, Decision::Withdrawn, &GRANTED[place..=place]);
                        rig.tell(&signed(&event)).await;
                    }
                    Op::Submit { time, temperature, laser_day } => {
                        let mut print = print();
                        let mut needs = BTreeSet::new();
                        if time { needs.insert(Category::PrintTime); } else { print.print_time = None; }
                        if temperature {
                            needs.insert(Category::Temperature);
                        } else {
                            print.temperature = None;
                        }
                        if laser_day {
                            needs.insert(Category::Material);
                            print.material = Some(PrintMaterial {
                                family: MaterialFamily::Abs.into(), ..Default::default()
                            });
                        }
                        if needs.is_empty() { continue; }
                        batches += 1;
                        let verdict = rig.submit(&sealed(&batch(batches, vec![print]))).await;
                        let expected = events > 0 && needs.is_subset(&model) && stored < 10;
                        assert_eq!(verdict.outcome() == Outcome::Stored, expected);
                        stored += usize::from(expected);
                    }
                }
            }
            assert_eq!(rig.journal(), stored);
        });
    }

    #[test]
    fn any_bytes_get_a_signed_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let rig = Rig::new();
            assert_eq!(rig.submit(&bytes).await.outcome(), Outcome::Refused);
            let framed = SignedBatch { batch: bytes, signature: vec![1; 64], padding: Vec::new() };
            assert_eq!(rig.submit(&framed.encode_to_vec()).await.outcome(), Outcome::Refused);
        });
    }
}

#[test]
fn the_clock_of_the_rig_stands_still() {
    assert_eq!(ManualClock::at(TODAY.start()).today(), TODAY);
}

#[tokio::test]
async fn a_grant_without_language_method_and_affirmation_is_refused() {
    let rig = Rig::new();
    let whole = decision(1, Decision::Granted, &GRANTED);
    for lacking in [
        ConsentEvent { notice_language: Vec::new(), ..whole.clone() },
        ConsentEvent { notice_language: b"xx".to_vec(), ..whole.clone() },
        ConsentEvent { method: 0, ..whole.clone() },
        ConsentEvent { affirmation: 0, ..whole.clone() },
    ] {
        let receipt = rig.tell(&signed(&lacking)).await;
        assert_eq!(receipt.status(), ReceiptStatus::Unauthenticated);
    }
    assert_eq!(rig.tell(&signed(&whole)).await.status(), ReceiptStatus::Recorded);
}

#[tokio::test]
async fn a_grant_from_before_its_question_is_refused() {
    let rig = Rig::new();
    let asked =
        |on| ConsentEvent { requested_date: on, ..decision(1, Decision::Granted, &GRANTED) };
    let early = rig.tell(&signed(&asked(TODAY.0 + 1))).await;
    assert_eq!(early.status(), ReceiptStatus::DateOutOfRange);
    assert_eq!(rig.tell(&signed(&asked(TODAY.0))).await.status(), ReceiptStatus::Recorded);
}

#[tokio::test]
async fn a_grant_replayed_after_its_withdrawal_grants_nothing() {
    let rig = Rig::new();
    let grant = signed(&decision(1, Decision::Granted, &GRANTED));
    let first = rig.tell(&grant).await;
    rig.tell(&signed(&decision(2, Decision::Withdrawn, &Category::ALL))).await;
    // The same bytes get the receipt of then, which says what was granted then, and change nothing.
    assert_eq!(rig.tell(&grant).await, first);
    let frame = sealed(&batch(1, vec![print()]));
    rig.refused(&rig.submit(&frame).await, "no_grant");
    let again = signed(&decision(3, Decision::Granted, &GRANTED));
    assert_eq!(rig.tell(&again).await.status(), ReceiptStatus::SubjectEnded);
    rig.refused(&rig.submit(&sealed(&batch(2, vec![print()]))).await, "no_grant");
}

#[tokio::test]
async fn a_printer_that_changed_hands_may_say_nothing_more() {
    let rig = granted().await;
    assert_eq!(rig.submit(&sealed(&batch(1, vec![print()]))).await.outcome(), Outcome::Stored);
    let transfer = decision(2, Decision::Transferred, &Category::ALL);
    assert_eq!(rig.tell(&signed(&transfer)).await.status(), ReceiptStatus::Recorded);
    let verdict = rig.submit(&sealed(&batch(2, vec![print()]))).await;
    assert_eq!(reason_name(verdict.reason()), "no_grant");
    let grant = signed(&decision(3, Decision::Granted, &GRANTED));
    assert_eq!(rig.tell(&grant).await.status(), ReceiptStatus::SubjectEnded);
    assert_eq!(rig.journal(), 1, "what was told before stays told");
}

#[tokio::test]
async fn a_record_between_two_grants_is_covered_by_neither() {
    let rig = granted().await;
    let on = |date| UtcDate(TODAY.0 + date);
    let told = |number, what, date: u32| {
        signed(&ConsentEvent { date, ..decision(number, what, &GRANTED) })
    };
    rig.on(on(2));
    rig.tell(&told(2, Decision::Withdrawn, on(2).0)).await;
    rig.on(on(6));
    rig.tell(&told(3, Decision::Granted, on(6).0)).await;
    let dated = |sequence, date: UtcDate| {
        sealed(&batch(sequence, vec![PrintReport { start_date: date.0, ..print() }]))
    };
    rig.refused(&rig.submit(&dated(1, on(4))).await, "before_grant");
    rig.refused(&rig.submit(&dated(2, on(1))).await, "before_grant");
    assert_eq!(rig.submit(&dated(3, on(6))).await.outcome(), Outcome::Stored);
}

#[tokio::test]
async fn a_lapsed_grant_lets_nothing_in_and_a_renewed_one_does() {
    let mut rig = granted().await;
    let months = u32::from(rig::policy().validity_months);
    let (last, lapsed) = (UtcDate(TODAY.0 + 28 * months), UtcDate(TODAY.0 + 32 * months));
    let dated = |sequence, date: UtcDate| {
        sealed(&batch(sequence, vec![PrintReport { start_date: date.0, ..print() }]))
    };
    rig.on(last);
    let renewal = |number, date: UtcDate| {
        signed(&ConsentEvent { date: date.0, ..decision(number, Decision::Renewed, &GRANTED[..1]) })
    };
    assert_eq!(rig.tell(&renewal(2, last)).await.status(), ReceiptStatus::Recorded);
    rig.on(lapsed);
    let verdict = rig.submit(&dated(1, lapsed)).await;
    rig.refused(&verdict, "expired");
    assert_eq!(verdict.categories, [Category::Temperature.number()], "the renewed one holds");
    // The clock records it, once.
    rig.publish();
    let events = rig.book.events_after(0).unwrap().len();
    assert_eq!(events, 3);
    rig.on(UtcDate(lapsed.0 + 1));
    rig.publish();
    assert_eq!(rig.book.events_after(0).unwrap().len(), events);
    let late = signed(&ConsentEvent {
        date: lapsed.0,
        ..decision(3, Decision::Renewed, &[Category::Temperature])
    });
    assert_eq!(rig.tell(&late).await.status(), ReceiptStatus::Unauthenticated, "a new grant only");
}

#[tokio::test]
async fn a_policy_that_grew_lets_nothing_in_until_the_new_grant() {
    let (announced, effective) = (TODAY, UtcDate(TODAY.0 + 40));
    let change = format!(
        "[change]\nsupersedes = \"{}\"\nannounced = \"{announced}\"\neffective = \"{effective}\"\n\
         grown = [\"temperature\"]\n",
        rig::policy().hash
    );
    let second = rig::STRICTEST.replacen("version = 1", "version = 2", 1) + "\n" + &change;
    let rig = granted().await;
    let published = rig.operator.answer(&Ask::Publish { text: second.clone() });
    assert!(matches!(published, Told::Published(_)), "{published:?}");
    assert!(rig.settings.published().join("strictest-2.toml").exists());
    let hash = imprimatur_consent::Digest::of(second.as_bytes()).0.to_vec();
    let agree = |number, date: UtcDate| {
        signed(&ConsentEvent {
            policy_hash: hash.clone(),
            date: date.0,
            ..decision(number, Decision::Granted, &GRANTED)
        })
    };
    let before = rig.tell(&agree(2, TODAY)).await;
    assert_eq!(before.status(), ReceiptStatus::PolicyUnknown, "not yet in effect");
    let dated = |sequence, date: UtcDate| {
        let print = PrintReport { start_date: date.0, ..print() };
        batch(sequence, vec![print])
    };
    rig.on(effective);
    let verdict = rig.submit(&sealed(&dated(1, effective))).await;
    rig.refused(&verdict, "expired");
    assert_eq!(verdict.categories, [Category::Temperature.number()]);
    let old =
        signed(&ConsentEvent { date: effective.0, ..decision(2, Decision::Granted, &GRANTED) });
    assert_eq!(rig.tell(&old).await.status(), ReceiptStatus::PolicyUnknown, "superseded");
    assert_eq!(rig.tell(&agree(3, effective)).await.status(), ReceiptStatus::Recorded);
    let mut under = dated(2, effective);
    under.header.as_mut().unwrap().policy_hash = hash;
    assert_eq!(rig.submit(&sealed(&under)).await.outcome(), Outcome::Stored);
}

#[tokio::test]
async fn a_clock_that_jumps_stores_nothing_that_no_grant_covers() {
    let rig = granted().await;
    let dated = |sequence, date: u32| {
        sealed(&batch(sequence, vec![PrintReport { start_date: date, ..print() }]))
    };
    for (sequence, today) in (1..).zip([0, TODAY.0 - 400, TODAY.0 + 4_000, u32::MAX / 86_400]) {
        rig.on(UtcDate(today));
        let verdict = rig.submit(&dated(sequence, TODAY.0)).await;
        assert_eq!(verdict.outcome(), Outcome::Refused, "on {}", UtcDate(today));
    }
    rig.on(TODAY);
    assert_eq!(rig.journal(), 0);
    assert_eq!(rig.submit(&dated(9, TODAY.0)).await.outcome(), Outcome::Stored);
}

#[tokio::test]
async fn a_withdrawal_and_batches_in_flight_have_one_order() {
    let rig = granted().await;
    let frames: Vec<_> = (1..=20).map(|sequence| sealed(&batch(sequence, vec![print()]))).collect();
    let withdrawal = signed(&decision(2, Decision::Withdrawn, &GRANTED));
    let (before, after) = frames.split_at(8);
    let first = futures::future::join_all(before.iter().map(|frame| rig.submit(frame)));
    let (verdicts, receipt) = tokio::join!(first, rig.tell(&withdrawal));
    assert_eq!(receipt.status(), ReceiptStatus::Recorded);
    let stored = verdicts.iter().filter(|verdict| verdict.outcome() == Outcome::Stored).count();
    assert_eq!(rig.journal(), stored, "what was answered is what was stored");
    // Evidence says the same: no commit stands behind the withdrawal.
    let withdrawn = rig.book.events_after(0).unwrap().last().unwrap().position;
    let commits = rig.book.commits_after(0).unwrap();
    assert_eq!(commits.len(), stored);
    assert!(commits.iter().all(|commit| commit.position < withdrawn));
    for frame in after {
        assert_eq!(rig.submit(frame).await.outcome(), Outcome::Refused);
    }
    assert_eq!(rig.journal(), stored);
}

#[tokio::test]
async fn a_receipt_proves_its_event_in_a_log_that_only_grows() {
    let rig = Rig::new();
    let (first, second) =
        (decision(1, Decision::Granted, &GRANTED), decision(2, Decision::Withdrawn, &GRANTED[..1]));
    let one = rig.tell(&signed(&first)).await;
    let size = proven(&rig, &one, &signed(&first));
    let told = ConsentEvent { seen_log_size: size, ..second };
    let two = rig.tell(&signed(&told)).await;
    let grown = proven(&rig, &two, &signed(&told));
    assert!(grown > size);
    let open = |receipt: &Receipt| {
        let note = String::from_utf8(receipt.checkpoint.clone()).unwrap();
        Checkpoint::open(&note, &rig.book.log_public_key()).unwrap()
    };
    let (older, newer) = (open(&one), open(&two));
    let proof = proof::from_bytes(&two.consistency_proof).unwrap();
    let grew = |from| verify_consistency(older.size, from, newer.size, newer.root, &proof).is_ok();
    assert!(grew(older.root));
    // The opposite: not of another root.
    assert!(!grew(newer.root));
    assert_eq!(one.valid_until, rig::months_later(rig::policy().validity_months).0);
    // A refused event proves nothing.
    let refused = rig.tell(&signed(&decision(2, Decision::Granted, &GRANTED))).await;
    assert!(refused.checkpoint.is_empty() && refused.nonce.is_empty() && refused.log_index == 0);
}

/// Checks a receipt as an agent does; gives the size of its log.
fn proven(rig: &Rig, receipt: &Receipt, signed: &[u8]) -> u64 {
    let event: SignedConsentEvent = imprimatur_proto::contract().decode(signed).unwrap();
    assert_eq!(receipt.event_signature, event.signature);
    assert_eq!(receipt.log_key, rig.book.log_public_key());
    let note = String::from_utf8(receipt.checkpoint.clone()).unwrap();
    let key: [u8; 32] = receipt.log_key.as_slice().try_into().unwrap();
    let checkpoint = Checkpoint::open(&note, &key).unwrap();
    let nonce: [u8; 32] = receipt.nonce.as_slice().try_into().unwrap();
    let leaf = tree::leaf_hash(&entry::blinded(&nonce, signed));
    let proof = proof::from_bytes(&receipt.inclusion_proof).unwrap();
    let at = receipt.log_index - 1;
    assert!(verify_inclusion(leaf, at, checkpoint.size, checkpoint.root, &proof).is_ok());
    let other = tree::leaf_hash(&entry::blinded(&[0; 32], signed));
    assert!(verify_inclusion(other, at, checkpoint.size, checkpoint.root, &proof).is_err());
    checkpoint.size
}

#[tokio::test]
async fn a_collector_outside_the_regions_of_its_policy_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = CollectorSettings {
        region: "US".parse().unwrap(),
        ..CollectorSettings::local(folder.path().join("data"))
    };
    let refused = Collector::open(settings, ManualClock::at(TODAY.start())).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("EEA") && text.contains("US") && text.contains("--region"), "{text}");
}

#[tokio::test]
async fn a_collector_inside_the_regions_of_its_policy_starts() {
    let folder = tempfile::tempdir().unwrap();
    let settings = CollectorSettings {
        region: "NL".parse().unwrap(),
        ..CollectorSettings::local(folder.path().join("data"))
    };
    let collector = Collector::open(settings, ManualClock::at(TODAY.start())).unwrap();
    let stop = CancellationToken::new();
    let running = collector.start(stop.clone()).await.unwrap();
    stop.cancel();
    running.ended().await.unwrap();
}

#[tokio::test]
async fn a_batch_never_joins_two_epochs() {
    let rig = granted().await;
    let print_of = |date: u32| PrintReport { start_date: date, ..print() };
    // The month ends nine days after the grant.
    let (last, first) = (TODAY.0 + 9, TODAY.0 + 10);
    rig.on(UtcDate(first));
    let mixed = sealed(&batch(1, vec![print_of(last), print_of(first)]));
    rig.refused(&rig.submit(&mixed).await, "date_out_of_range");
    for (number, date) in [(2, last), (3, first)] {
        let verdict = rig.submit(&sealed(&batch(number, vec![print_of(date)]))).await;
        assert_eq!(verdict.outcome(), Outcome::Stored, "{date}");
    }
}
