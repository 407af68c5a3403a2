//! The collector against every kind of bad input, and the law "no permit, no row".
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use std::collections::BTreeSet;

use imprimatur_collector::answer::reason_name;
use imprimatur_consent::{Category, Domain, PrincipalId, SigningSeed, enrolment};
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
    assert_eq!(counts["refused.unknown_field"], 1);
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
                        let expected = events > 0 && needs.is_subset(&model);
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
