//! Rights over what is held, for who proves a key and for the operator; nothing for anybody else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use imprimatur_collector::control::{Ask, Told};
use imprimatur_collector::operator::{Act, Acted};
use imprimatur_collector::restore::restore;
use imprimatur_collector::rights::export;
use imprimatur_consent::page::ReaderKey;
use imprimatur_consent::standing::Grounds;
use imprimatur_consent::{Category, Domain, SigningSeed};
use imprimatur_ledger::Label;
use imprimatur_ledger::register::Outcome as Fate;
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, ReceiptStatus};
use imprimatur_proto::ingest::v1::Outcome;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rights::v1::{
    ChallengeRequest, ComplaintTopic, RightsAnswer, RightsMessage, RightsRequest, RightsStatus,
    SignedRightsAnswer, Verb,
};
use imprimatur_proto::{canonical, contract};
use imprimatur_runtime::{UnixSeconds, UtcDate};
use imprimatur_verifier::{Verdict, Wanted};
use serde_json::Value;

use crate::rig::{
    GRANTED, Rig, STRICTEST, TODAY, batch, day, decision, granted, of_kind, owner, print, sealed,
    signed, values,
};

/// Somebody who asks with a key.
struct Asker<'a> {
    rig: &'a Rig,
    key: SigningSeed,
}

impl<'a> Asker<'a> {
    fn owner(rig: &'a Rig) -> Self {
        Self { rig, key: owner() }
    }

    async fn send(&self, message: &RightsMessage) -> (Vec<u8>, RightsAnswer) {
        let bytes = self.rig.door.rights(&canonical::encode(message)).await.unwrap();
        let signed: SignedRightsAnswer = contract().decode(&bytes).unwrap();
        let key = self.rig.key();
        assert!(key.verifies(Domain::RightsAnswer, &signed.answer, &signed.signature));
        (bytes, contract().decode(&signed.answer).unwrap())
    }

    async fn challenge(&self) -> Vec<u8> {
        let request = ChallengeRequest { requester: self.key.subject().0.to_vec() };
        let challenge_request = canonical::encode(&request);
        let asks = RightsMessage { challenge_request, ..RightsMessage::default() };
        let (_, answer) = self.send(&asks).await;
        assert_eq!(answer.status(), RightsStatus::Challenge);
        answer.challenge
    }

    fn signed(&self, request: &RightsRequest) -> RightsMessage {
        let request = canonical::encode(request);
        let signature = self.key.sign(Domain::Rights, &request);
        RightsMessage { request, signature, ..RightsMessage::default() }
    }

    async fn ask(&self, request: RightsRequest) -> RightsAnswer {
        let paged = matches!(request.verb(), Verb::Explain | Verb::Export);
        let reader = ReaderKey::from_entropy([5; 32]).public().to_vec();
        let request = RightsRequest {
            public_key: self.key.public().to_vec(),
            challenge: self.challenge().await,
            reader_key: if paged { reader } else { Vec::new() },
            ..request
        };
        self.send(&self.signed(&request)).await.1
    }

    async fn verb(&self, verb: Verb) -> RightsAnswer {
        self.ask(RightsRequest { verb: verb.into(), ..RightsRequest::default() }).await
    }

    /// All pages of explain or export, each asked with the challenge of the one before.
    async fn all(&self, verb: Verb) -> String {
        let (mut text, mut challenge, mut cursor) = (String::new(), self.challenge().await, 0);
        loop {
            let (public_key, verb) = (self.key.public().to_vec(), verb.into());
            let reader = ReaderKey::from_entropy([5; 32]);
            let reader_key = reader.public().to_vec();
            let request = RightsRequest {
                public_key,
                challenge,
                verb,
                cursor,
                reader_key,
                ..RightsRequest::default()
            };
            let (bytes, answer) = self.send(&self.signed(&request)).await;
            assert_eq!(answer.status(), RightsStatus::Done);
            assert!(bytes.len() < 9 << 10);
            let page = reader.open(&answer.page).unwrap();
            text.push_str(std::str::from_utf8(&page).unwrap());
            (cursor, challenge) = (answer.next_cursor, answer.challenge);
            if cursor == 0 {
                return text;
            }
        }
    }
}

/// Prints and a day of one owner, published.
async fn with_data() -> Rig {
    let mut rig = granted().await;
    store(&rig, 1).await;
    assert_eq!(rig.publish(), 3);
    rig
}

/// Stores two prints and a day as one batch.
async fn store(rig: &Rig, sequence: u64) {
    let mut frame = batch(sequence, vec![print(), print()]);
    frame.days = vec![day(3)];
    assert_eq!(rig.submit(&sealed(&frame)).await.outcome(), Outcome::Stored);
}

fn lines(text: &str, kind: &str) -> Vec<Value> {
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|line| line["kind"] == kind).collect()
}

fn acted(rig: &Rig, act: Act) -> Acted {
    match rig.operator.answer(&Ask::Subject { subject: owner().subject(), act }) {
        Told::Acted(acted) => acted,
        other => panic!("{other:?}"),
    }
}

fn hold(until: UtcDate) -> Act {
    Act::Restrict { grounds: Grounds::Claim, until }
}

/// What became of each request, by number.
fn fates(rig: &Rig) -> Vec<(String, Fate)> {
    let register = rig.book.register().unwrap().into_iter();
    register.map(|entry| (entry.verb, entry.outcome)).collect()
}

#[tokio::test]
async fn a_wrong_proof_a_replay_and_an_unknown_subject_get_the_same_answer() {
    let rig = granted().await;
    let (asker, stranger) =
        (Asker::owner(&rig), Asker { rig: &rig, key: SigningSeed::from_seed(&[9; 32]) });
    let request = |by: &Asker<'_>, challenge| RightsRequest {
        public_key: by.key.public().to_vec(),
        challenge,
        verb: Verb::Restrict.into(),
        ..RightsRequest::default()
    };
    let used = request(&asker, asker.challenge().await);
    assert_eq!(asker.send(&asker.signed(&used)).await.1.status(), RightsStatus::Done);
    let old = request(&asker, asker.challenge().await);
    rig.clock.set(UnixSeconds(TODAY.start().0 + 601));
    let fresh = request(&asker, asker.challenge().await);
    let forged = RightsMessage { signature: vec![1; 64], ..asker.signed(&fresh) };
    let garbage = RightsMessage { request: b"garbage".to_vec(), ..asker.signed(&fresh) };
    let cases = [
        ("an unknown subject", stranger.signed(&request(&stranger, stranger.challenge().await))),
        ("a wrong signature", forged),
        ("a replay", asker.signed(&used)),
        ("an old challenge", asker.signed(&old)),
        ("a made-up challenge", asker.signed(&request(&asker, vec![7; 32]))),
        ("another's challenge", asker.signed(&request(&asker, stranger.challenge().await))),
        ("no challenge", asker.signed(&request(&asker, Vec::new()))),
        ("another's signature", stranger.signed(&fresh)),
        ("noise", garbage),
        ("nothing", RightsMessage::default()),
    ];
    let before = rig.book.register().unwrap().len();
    for (case, message) in cases {
        let (_, answer) = asker.send(&message).await;
        // Beside what the sender said itself, every answer is the same bytes.
        let plain = RightsAnswer {
            requester: answer.requester.clone(),
            request_hash: answer.request_hash.clone(),
            status: RightsStatus::Unproven.into(),
            ..RightsAnswer::default()
        };
        assert_eq!(canonical::encode(&answer), canonical::encode(&plain), "{case}");
    }
    assert_eq!(rig.book.register().unwrap().len(), before, "nothing was entered");
    // The opposite: the fresh one, unspoiled, is answered.
    assert_eq!(asker.send(&asker.signed(&fresh)).await.1.status(), RightsStatus::Done);
}

#[tokio::test]
async fn every_verb_is_answered_to_who_proves_the_key() {
    let rig = with_data().await;
    let asker = Asker::owner(&rig);
    let status = async |verb| asker.verb(verb).await.status();
    assert_eq!(status(Verb::Explain).await, RightsStatus::Done);
    assert_eq!(status(Verb::Export).await, RightsStatus::Done);
    assert_eq!(status(Verb::Release).await, RightsStatus::Unusable, "nothing to release");
    assert_eq!(status(Verb::Restrict).await, RightsStatus::Done);
    rig.refused_now("restricted").await;
    assert_eq!(status(Verb::Release).await, RightsStatus::Done);
    let laser = RightsRequest {
        verb: Verb::Withdraw.into(),
        categories: vec![Category::Temperature.number()],
        ..RightsRequest::default()
    };
    assert_eq!(asker.ask(laser).await.status(), RightsStatus::Done);
    rig.refused_now("no_grant").await;
    assert_eq!(status(Verb::Complain).await, RightsStatus::Unusable, "without a topic");
    assert_eq!(status(Verb::Rectify).await, RightsStatus::Unusable, "without values");
    assert_eq!(status(Verb::Unspecified).await, RightsStatus::Unusable);
    assert_eq!(status(Verb::Object).await, RightsStatus::Done);
    let standing = rig.book.begin().unwrap().standing(owner().subject()).unwrap().unwrap();
    assert!(standing.granted.is_empty() && standing.ended.is_some());
    // The retired key keeps its rights.
    assert_eq!(status(Verb::Explain).await, RightsStatus::Done);
    let erased = asker.verb(Verb::Erase).await;
    assert_eq!(erased.status(), RightsStatus::Accepted);
    assert_eq!((erased.received_date, erased.due_date), (TODAY.0, TODAY.0 + 30));
    assert_eq!(status(Verb::Restrict).await, RightsStatus::Unusable, "nothing after an erasure");
}

impl Rig {
    /// A batch that would be good is refused for this reason.
    async fn refused_now(&self, reason: &str) {
        let sequence = u64::try_from(self.book.register().unwrap().len()).unwrap() + 100;
        let verdict = self.submit(&sealed(&batch(sequence, vec![print()]))).await;
        self.refused(&verdict, reason);
    }
}

#[tokio::test]
async fn explain_tells_the_data_its_uses_and_every_permission() {
    let rig = with_data().await;
    let withdrawn = decision(2, Decision::Withdrawn, &[Category::Temperature]);
    rig.tell(&signed(&withdrawn)).await;
    grant_of_another(&rig).await;
    let text = Asker::owner(&rig).all(Verb::Explain).await;
    let of = |kind| lines(&text, kind);
    assert_eq!(of("subject")[0]["subject"], owner().subject().to_string());
    assert_eq!(of("controller").len(), 1);
    assert!(of("purpose").iter().any(|line| line["purpose"] == "usage"));
    let states: Vec<_> = of("permission").iter().map(|line| line["state"].clone()).collect();
    assert_eq!(states, ["given", "withdrawn"]);
    let events: Vec<_> = of("event").iter().map(|line| line["decision"].clone()).collect();
    assert_eq!(events, ["granted", "withdrawn"]);
    let held = of("held");
    assert_eq!(held.len(), 2, "{held:?}");
    assert_eq!((&held[0]["table"], &held[0]["records"]), (&"print".into(), &2.into()));
    assert_eq!(held[0]["sections"]["temperature"], 2);
    assert_eq!(of("recipients")[0]["recipients"], Value::Array(Vec::new()));
    assert_eq!(of("request").len(), 1, "this very one");
    assert_eq!(of("retention")[0]["print_days"], 90);
    assert_eq!(of("end")[0]["lines"], text.lines().count() - 1);
}

fn other() -> SigningSeed {
    SigningSeed::from_seed(&[8; 32])
}

/// Another owner's grant, of which the first one learns nothing.
async fn grant_of_another(rig: &Rig) {
    let other = other();
    let event = ConsentEvent {
        public_key: other.public().to_vec(),
        principal: vec![5; 16],
        ..decision(1, Decision::Granted, &GRANTED)
    };
    let receipt = rig.tell(&rig::signed_by(&other, &event)).await;
    assert_eq!(receipt.status(), ReceiptStatus::Recorded);
}

#[tokio::test]
async fn an_export_is_read_in_again_and_says_the_same() {
    let mut rig = granted().await;
    // More of one date than a printer may tell.
    rig.book.label(Label::Load).unwrap();
    for sequence in 1..=40 {
        store(&rig, sequence).await;
    }
    rig.publish();
    // Some of it is still on its way to the lake.
    store(&rig, 41).await;
    let asker = Asker::owner(&rig);
    let text = asker.all(Verb::Export).await;
    assert!(text.len() > 2 * (8 << 10), "several pages");
    let read = export::read(&text).unwrap();
    assert_eq!(read.header.subject, owner().subject());
    assert_eq!((read.events.len(), read.records.len()), (1, 41 * 3));
    let context = &read.consent_record.as_ref().unwrap()["@context"];
    assert!(context.to_string().contains("https://w3id.org/dpv"));
    let prints = read.records.iter().filter(|record| record.table == RecordKind::Print);
    let value = |column| move |record: &export::ExportedRecord| record.values.get(column).copied();
    let durations: Vec<_> = prints.filter_map(value("print_time_completed_duration")).collect();
    assert_eq!(durations, [7; 82]);
    // The same through the operator, and once more.
    let mut again = String::new();
    let mut cursor = 0;
    loop {
        let page = acted(&rig, Act::Export(cursor));
        again.push_str(&page.page);
        cursor = page.next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(export::read(&again).unwrap(), read);
    // A cut export is none.
    let whole: Vec<&str> = text.lines().collect();
    for cut in [&whole[..whole.len() - 1], &whole[1..], &[]] {
        assert!(export::read(&cut.join("\n")).is_err());
    }
    let missing: Vec<&str> =
        whole.iter().enumerate().filter(|(at, _)| *at != 5).map(|(_, line)| *line).collect();
    assert!(export::read(&missing.join("\n")).unwrap_err().to_string().contains("cut"));
    let newer = text.replacen("\"version\":1", "\"version\":2", 1);
    assert!(export::read(&newer).unwrap_err().to_string().contains("newer"));
}

#[tokio::test]
async fn an_erasure_leaves_no_row_and_a_second_one_finds_nobody() {
    let mut rig = with_data().await;
    rig.book.label(Label::Load).unwrap();
    store(&rig, 2).await;
    let asker = Asker::owner(&rig);
    let first = asker.verb(Verb::Erase).await;
    let second = asker.verb(Verb::Erase).await;
    assert_eq!(first.status(), RightsStatus::Accepted);
    assert_eq!(second.register_number, first.register_number, "the same request");
    assert_eq!(rig.journal(), 1, "emptied, not lost");
    rig.refused_now_ended().await;
    assert_eq!(fates(&rig), [("erase".to_owned(), Fate::Open)]);

    rig.publish();
    rig.publish();
    assert!(rig.rows().is_empty());
    assert!(rig.files_on_disk().is_empty(), "old files are swept");
    assert_eq!(fates(&rig), [("erase".to_owned(), Fate::Done)]);
    assert_eq!(Asker::owner(&rig).verb(Verb::Erase).await.status(), RightsStatus::Unproven);
    assert_eq!(Asker::owner(&rig).verb(Verb::Explain).await.status(), RightsStatus::Unproven);
    let gone = rig.operator.answer(&Ask::Subject { subject: owner().subject(), act: Act::Show(0) });
    assert!(matches!(gone, Told::Refused(why) if why.contains("no such subject")));
}

#[tokio::test]
async fn an_erasure_leaves_the_rows_of_others_in_the_same_file() {
    let mut rig = granted().await;
    grant_of_another(&rig).await;
    store(&rig, 1).await;
    let mut theirs = batch(1, vec![print()]);
    theirs.header.as_mut().unwrap().subject = other().subject().0.to_vec();
    let bytes = canonical::encode(&theirs);
    let signature = other().sign(Domain::Batch, &bytes);
    let frame = imprimatur_proto::frame::seal(bytes, signature).unwrap();
    assert_eq!(rig.submit(&frame).await.outcome(), Outcome::Stored);
    rig.publish();
    assert_eq!(of_kind(&rig.rows(), RecordKind::Print).len(), 3);
    assert_eq!(rig.catalogue().files.len(), 2, "one file a table");
    Asker::owner(&rig).verb(Verb::Erase).await;
    rig.publish();
    let rows = rig.rows();
    assert_eq!((rows.len(), values(&rows[0])["print_time_completed_duration"]), (1, 7));
    let them = Asker { rig: &rig, key: other() };
    assert_eq!(lines(&them.all(Verb::Explain).await, "held").len(), 1);
}

#[tokio::test]
async fn what_is_restricted_is_excluded_until_it_is_released() {
    let mut rig = with_data().await;
    let before = rig.rows().len();
    Asker::owner(&rig).verb(Verb::Restrict).await;
    rig.publish();
    let mine = rig.rows()[0].subject;
    let excluded = rig.catalogue().excluded;
    assert_eq!(excluded.iter().filter(|out| out.subject == mine).count(), Category::ALL.len());
    assert_eq!(rig.rows().len(), before, "a restriction keeps what is held");
    Asker::owner(&rig).verb(Verb::Release).await;
    rig.publish();
    assert!(rig.catalogue().excluded.is_empty());
}

#[tokio::test]
async fn what_is_held_is_restricted_at_once_and_erased_when_the_hold_ends() {
    let mut rig = with_data().await;
    let until = UtcDate(TODAY.0 + 10);
    assert_eq!(acted(&rig, hold(until)).status, "done");
    rig.refused_now("restricted").await;
    let asker = Asker::owner(&rig);
    assert_eq!(asker.verb(Verb::Release).await.status(), RightsStatus::Held, "no owner ends it");
    let erase = asker.verb(Verb::Erase).await;
    assert_eq!(erase.status(), RightsStatus::Held);
    assert_eq!(acted(&rig, Act::Erase {}).status, "held");
    rig.publish();
    assert_eq!(rig.rows().len(), 3, "kept");
    assert!(!rig.catalogue().excluded.is_empty(), "and used for nothing");
    rig.on(until);
    rig.publish();
    assert_eq!(rig.rows().len(), 3, "the last day of the hold");
    rig.on(UtcDate(until.0 + 1));
    rig.publish();
    assert!(rig.rows().is_empty());
    let erased = fates(&rig).into_iter().find(|(verb, _)| verb == "erase");
    assert_eq!(erased, Some(("erase".to_owned(), Fate::Done)));
}

#[tokio::test]
async fn a_released_hold_lets_a_waiting_erasure_go_on() {
    let mut rig = with_data().await;
    acted(&rig, hold(UtcDate(TODAY.0 + 90)));
    assert_eq!(Asker::owner(&rig).verb(Verb::Erase).await.status(), RightsStatus::Held);
    rig.publish();
    assert_eq!(rig.rows().len(), 3);
    assert_eq!(acted(&rig, Act::Release {}).status, "done");
    assert!(fates(&rig).contains(&("erase".to_owned(), Fate::Open)));
    rig.publish();
    assert!(rig.rows().is_empty());
    // A hold that is set once the data is gone finds nobody.
    let gone = rig
        .operator
        .answer(&Ask::Subject { subject: owner().subject(), act: hold(UtcDate(TODAY.0 + 90)) });
    assert!(matches!(gone, Told::Refused(_)));
}

#[tokio::test]
async fn a_hold_that_comes_after_the_erasure_still_keeps_the_data() {
    let mut rig = with_data().await;
    Asker::owner(&rig).verb(Verb::Erase).await;
    acted(&rig, hold(UtcDate(TODAY.0 + 5)));
    assert!(fates(&rig).contains(&("erase".to_owned(), Fate::Held)));
    rig.publish();
    assert_eq!(rig.rows().len(), 3);
    acted(&rig, Act::Release {});
    rig.publish();
    assert!(rig.rows().is_empty());
    let past = Ask::Subject { subject: owner().subject(), act: hold(UtcDate(TODAY.0 - 1)) };
    assert!(matches!(rig.operator.answer(&past), Told::Refused(why) if why.contains("past")));
}

#[tokio::test]
async fn a_rectified_value_is_used_and_the_old_one_never_again() {
    let mut rig = with_data().await;
    rig.book.label(Label::Load).unwrap();
    // One more day record is on its way when the owner asks.
    let mut frame = batch(2, Vec::new());
    frame.days = vec![day(2)];
    rig.submit(&sealed(&frame)).await;
    let rectified = canonical::encode(&day(5));
    let request =
        RightsRequest { verb: Verb::Rectify.into(), rectified, ..RightsRequest::default() };
    let answer = Asker::owner(&rig).ask(request).await;
    assert_eq!(answer.status(), RightsStatus::Accepted);
    rig.publish();
    let rows = rig.rows();
    let days = of_kind(&rows, RecordKind::Day);
    let busy: Vec<_> = days.iter().map(|row| values(row)["print_time_busy_time"]).collect();
    assert_eq!(busy, [5, 5]);
    assert_eq!(of_kind(&rows, RecordKind::Print).len(), 2, "prints are as they were");
    assert_eq!(rig.files_on_disk().len(), rig.catalogue().files.len(), "old values are swept");
    assert_eq!(fates(&rig), [("rectify".to_owned(), Fate::Done)]);
    // What is told afterwards is told as it was sent.
    let mut later = batch(3, Vec::new());
    later.days = vec![day(4)];
    rig.submit(&sealed(&later)).await;
    rig.publish();
    let rows = rig.rows();
    let busy: Vec<_> = of_kind(&rows, RecordKind::Day).iter().map(|row| values(row)).collect();
    assert_eq!(busy.iter().filter(|values| values["print_time_busy_time"] == 4).count(), 1);
}

#[tokio::test]
async fn a_recovery_code_exercises_every_right_without_the_device() {
    let code = SigningSeed::from_seed(&[11; 32]);
    let mut rig = Rig::new();
    let grant = ConsentEvent {
        recovery_key: code.public().to_vec(),
        ..decision(1, Decision::Granted, &GRANTED)
    };
    assert_eq!(rig.tell(&signed(&grant)).await.status(), ReceiptStatus::Recorded);
    store(&rig, 1).await;
    rig.publish();
    let lost = Asker { rig: &rig, key: SigningSeed::from_seed(&[11; 32]) };
    assert_eq!(lines(&lost.all(Verb::Explain).await, "held").len(), 2);
    assert_eq!(lost.verb(Verb::Restrict).await.status(), RightsStatus::Done);
    assert_eq!(lost.verb(Verb::Release).await.status(), RightsStatus::Done);
    let wrong = Asker { rig: &rig, key: SigningSeed::from_seed(&[12; 32]) };
    assert_eq!(wrong.verb(Verb::Explain).await.status(), RightsStatus::Unproven);
    assert_eq!(lost.verb(Verb::Withdraw).await.status(), RightsStatus::Done);
    assert_eq!(lost.verb(Verb::Erase).await.status(), RightsStatus::Accepted);
    rig.publish();
    assert!(rig.rows().is_empty());
    let lost = Asker { rig: &rig, key: SigningSeed::from_seed(&[11; 32]) };
    assert_eq!(lost.verb(Verb::Explain).await.status(), RightsStatus::Unproven);
}

#[tokio::test]
async fn a_complaint_has_its_own_due_date() {
    let rig = granted().await;
    let complaint = RightsRequest {
        verb: Verb::Complain.into(),
        topic: ComplaintTopic::Accuracy.into(),
        ..RightsRequest::default()
    };
    let answer = Asker::owner(&rig).ask(complaint).await;
    assert_eq!((answer.status(), answer.due_date), (RightsStatus::Accepted, TODAY.0 + 45));
    let erase = Asker::owner(&rig).verb(Verb::Erase).await;
    assert_eq!(erase.due_date, TODAY.0 + 30);
    let close = |number| rig.operator.answer(&Ask::Answer(number));
    assert!(matches!(close(erase.register_number), Told::Refused(_)), "no complaint");
    let Told::Answered(entry) = close(answer.register_number) else { panic!() };
    assert_eq!((entry.outcome, entry.closed), (Fate::Done, Some(TODAY)));
    assert!(matches!(close(answer.register_number), Told::Refused(_)), "closed already");
}

#[tokio::test]
async fn a_request_past_its_due_date_raises_the_alarm_and_one_before_does_not() {
    let mut rig = granted().await;
    let complaint = RightsRequest {
        verb: Verb::Complain.into(),
        topic: ComplaintTopic::Other.into(),
        ..RightsRequest::default()
    };
    let answer = Asker::owner(&rig).ask(complaint).await;
    let overdue = |rig: &Rig| match rig.operator.answer(&Ask::Requests { overdue: true }) {
        Told::Requests { requests, .. } => requests.len(),
        other => panic!("{other:?}"),
    };
    let alarms = |rig: &Rig| rig.book.counts().unwrap().get("rights.overdue").copied();
    rig.on(UtcDate(answer.due_date));
    rig.publish();
    assert_eq!((overdue(&rig), alarms(&rig)), (0, None), "the due date itself");
    for day in 1..=2 {
        rig.on(UtcDate(answer.due_date + day));
        rig.publish();
        rig.publish();
        assert_eq!((overdue(&rig), alarms(&rig)), (1, Some(u64::from(day))), "once a day");
    }
    rig.operator.answer(&Ask::Answer(answer.register_number));
    rig.on(UtcDate(answer.due_date + 3));
    rig.publish();
    assert_eq!((overdue(&rig), alarms(&rig)), (0, Some(2)));
}

#[tokio::test]
async fn what_the_operator_did_to_a_subject_is_told_by_explain() {
    let rig = with_data().await;
    acted(&rig, hold(UtcDate(TODAY.0 + 3)));
    acted(&rig, Act::Release {});
    let text = Asker::owner(&rig).all(Verb::Explain).await;
    let events = lines(&text, "event");
    let by = |event: &str| {
        let found = events.iter().find(|line| line["event"] == event).unwrap();
        (found["by"].clone(), found["grounds"].clone())
    };
    assert_eq!(by("restricted"), ("operator".into(), "claim".into()));
    assert_eq!(by("released").0, "operator");
    assert_eq!(by("consent").0, "owner");
    let requests: Vec<_> = lines(&text, "request").iter().map(|line| line["by"].clone()).collect();
    assert_eq!(requests, ["operator", "operator", "owner"]);
}

impl Rig {
    /// A batch of a subject that ended is refused for want of a grant.
    async fn refused_now_ended(&self) {
        let verdict = self.submit(&sealed(&batch(90, vec![print()]))).await;
        assert_eq!(verdict.outcome(), Outcome::Refused);
        let named = [Category::PrintTime.number(), Category::Temperature.number()];
        assert_eq!(verdict.categories, named);
    }

    /// Every Parquet file below the lake's folder.
    fn files_on_disk(&self) -> Vec<std::path::PathBuf> {
        let mut folders = vec![self.settings.lake()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.extension() {
                    Some(extension) if extension == "parquet" => files.push(path),
                    _ if path.is_dir() => folders.push(path),
                    _ => {}
                }
            }
        }
        files
    }
}

/// The verifier finds nothing in a copy of the book, and has looked at so many requests.
#[track_caller]
fn book_is_proven(rig: &Rig, requests: u64) {
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("book.redb");
    std::fs::copy(rig.data().join("book.redb"), &copy).unwrap();
    let wanted = Wanted { book: Some(copy), ..Wanted::default() };
    let report = imprimatur_verifier::verify_all(&rig.data(), &wanted, &mut |_| {}).unwrap();
    assert_eq!(report.verdict, Verdict::Holds, "{report}");
    assert_eq!(report.book.as_ref().unwrap().requests, requests, "{report}");
}

#[tokio::test]
async fn the_book_of_who_exercised_every_right_is_proven() {
    let mut rig = with_data().await;
    let asker = Asker::owner(&rig);
    let of = |verb: Verb| RightsRequest { verb: verb.into(), ..RightsRequest::default() };
    for verb in [Verb::Explain, Verb::Export, Verb::Restrict, Verb::Release] {
        assert_eq!(asker.verb(verb).await.status(), RightsStatus::Done);
    }
    let topic = ComplaintTopic::Accuracy.into();
    asker.ask(RightsRequest { topic, ..of(Verb::Complain) }).await;
    let rectified = canonical::encode(&day(5));
    asker.ask(RightsRequest { rectified, ..of(Verb::Rectify) }).await;
    assert_eq!(acted(&rig, hold(UtcDate(TODAY.0 + 40))).status, "done");
    rig.refused_now("restricted").await;
    assert_eq!(acted(&rig, Act::Release {}).status, "done");
    let categories = vec![Category::Temperature.number()];
    asker.ask(RightsRequest { categories, ..of(Verb::Withdraw) }).await;
    let refused = rig.submit(&sealed(&batch(9, vec![print()]))).await;
    rig.refused(&refused, "no_grant");
    rig.publish();
    book_is_proven(&rig, 9);
    let asker = Asker::owner(&rig);
    assert_eq!(acted(&rig, hold(UtcDate(TODAY.0 + 40))).status, "done");
    assert_eq!(asker.verb(Verb::Erase).await.status(), RightsStatus::Held);
    rig.on(UtcDate(TODAY.0 + 35));
    rig.publish();
    book_is_proven(&rig, 11);
    // The hold ends by itself, and the erasure is late for that reason alone.
    rig.on(UtcDate(TODAY.0 + 41));
    rig.publish();
    assert!(rig.rows().is_empty());
    book_is_proven(&rig, 11);
}

/// What the day reports tell.
fn busy(rig: &Rig) -> Vec<Option<u32>> {
    let (rows, column) = (rig.rows(), "print_time_busy_time");
    of_kind(&rows, RecordKind::Day).iter().map(|row| values(row).get(column).copied()).collect()
}

#[tokio::test]
async fn what_was_asked_after_a_backup_is_done_after_its_restore() {
    let mut rig = with_data().await;
    grant_of_another(&rig).await;
    let backup = tempfile::tempdir().unwrap();
    let to = backup.path().join("monday");
    rig.publish();
    rig.operator.answer(&Ask::BackUp { to: to.clone() });
    let (mine, theirs) = (Asker::owner(&rig), Asker { rig: &rig, key: other() });
    let of = |verb: Verb| RightsRequest { verb: verb.into(), ..RightsRequest::default() };
    let topic = ComplaintTopic::Accuracy.into();
    mine.ask(RightsRequest { topic, ..of(Verb::Complain) }).await;
    let rectified = canonical::encode(&day(5));
    mine.ask(RightsRequest { rectified, ..of(Verb::Rectify) }).await;
    let categories = vec![Category::Temperature.number()];
    mine.ask(RightsRequest { categories, ..of(Verb::Withdraw) }).await;
    assert_eq!(theirs.verb(Verb::Erase).await.status(), RightsStatus::Accepted);
    let subject = other().subject();
    let until = UtcDate(TODAY.0 + 40);
    assert_eq!(busy(&rig), [Some(3)], "as the backup has it");
    rig.operator.answer(&Ask::Subject { subject, act: hold(until) });
    rig.publish();
    let before = rig.book.register().unwrap();
    assert_eq!((before.len(), busy(&rig)), (5, vec![Some(5)]));
    let data = rig.end().await;

    restore(data.path(), &to, TODAY.start()).unwrap();
    let mut rig = Rig::over(data, &[STRICTEST.to_owned()]);
    rig.publish();
    assert_eq!(busy(&rig), [Some(5)]);
    assert_eq!(rig.book.register().unwrap(), before);
    book_is_proven(&rig, 5);
    rig.on(UtcDate(until.0 + 1));
    rig.publish();
    assert!(fates(&rig).contains(&("erase".to_owned(), Fate::Done)));
    book_is_proven(&rig, 5);
}
