//! The overview: what it counts follows every event at the next publication, and it names nobody.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use imprimatur_collector::control::{Ask, Told};
use imprimatur_collector::operator::Act;
use imprimatur_consent::standing::Grounds;
use imprimatur_consent::{Category, Digest, PrincipalId, SigningSeed, enrolment};
use imprimatur_lake::Overview;
use imprimatur_ledger::Token;
use imprimatur_log::{Checkpoint, TileReader};
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, ReceiptStatus};
use imprimatur_proto::ingest::v1::Outcome;
use imprimatur_runtime::UtcDate;
use imprimatur_verifier::{Verdict, Wanted, verify_all};

use crate::rig::{
    GRANTED, Rig, STRICTEST, TODAY, batch, day, decision, owner, policy, print, sealed, signed_by,
};

/// One printer of a person.
struct Printer {
    key: SigningSeed,
    principal: [u8; 16],
    policy: Digest,
}

impl Printer {
    /// The rig's own printer.
    fn own() -> Self {
        Self { key: owner(), principal: [4; 16], policy: policy().hash }
    }

    fn of(seed: u8, principal: u8) -> Self {
        let key = SigningSeed::from_seed(&[seed; 32]);
        Self { key, principal: [principal; 16], policy: policy().hash }
    }

    fn act(&self, act: Act) -> Ask {
        Ask::Subject { subject: self.key.subject(), act }
    }

    /// Says something; with a token, as an enrolled person.
    async fn says(
        &self,
        rig: &Rig,
        (number, said): (u64, Decision),
        categories: &[Category],
        token: Option<&Token>,
    ) {
        let public = self.key.public();
        let proof = |token: &Token| {
            let verifier = enrolment::verifier(&token.0);
            enrolment::proof(verifier, PrincipalId(self.principal), &public)
        };
        let event = ConsentEvent {
            public_key: public.to_vec(),
            principal: self.principal.to_vec(),
            policy_hash: self.policy.0.to_vec(),
            date: rig.book_date().0,
            enrolment_proof: token.map(proof).unwrap_or_default(),
            ..decision(number, said, categories)
        };
        let receipt = rig.tell(&signed_by(&self.key, &event)).await;
        assert_eq!(receipt.status(), ReceiptStatus::Recorded);
    }

    async fn grants(&self, rig: &Rig, number: u64, token: Option<&Token>) {
        self.says(rig, (number, Decision::Granted), &GRANTED, token).await;
    }

    async fn withdraws(&self, rig: &Rig, number: u64, categories: &[Category]) {
        self.says(rig, (number, Decision::Withdrawn), categories, None).await;
    }
}

impl Rig {
    fn book_date(&self) -> UtcDate {
        imprimatur_runtime::Clock::today(&*self.clock)
    }

    fn token(&self) -> Token {
        self.book.issue_tokens(1).unwrap().remove(0)
    }

    fn overview(&self) -> Overview {
        Overview::load(&self.settings.lake()).unwrap()
    }

    /// Publishes; gives how many principals there are, and how many agree to what. The verifier agrees.
    fn told(&mut self) -> (u64, BTreeMap<(Category, u32), u64>) {
        self.publish();
        let overview = self.overview();
        let copies = tempfile::tempdir().unwrap();
        let copy = copies.path().join("book.redb");
        std::fs::copy(self.data().join("book.redb"), &copy).unwrap();
        let wanted = Wanted { book: Some(copy), ..Wanted::default() };
        let report = verify_all(&self.data(), &wanted, &mut |_| {}).unwrap();
        assert_eq!(report.verdict, Verdict::Holds, "{report}");
        let told = overview.coverage.iter();
        let told = told.map(|of| ((of.category, of.version), of.principals)).collect();
        (overview.principals, told)
    }

    /// Answers of a day, by outcome and reason.
    fn answers(&self, on: UtcDate) -> BTreeMap<String, u64> {
        let overview = self.overview();
        let of_day = overview.answers.iter().filter(|of| of.date == on);
        let name = |of: &imprimatur_lake::AnswerCount| {
            format!("{} {}", of.outcome.as_str(), of.reason.as_str()).trim_end().to_owned()
        };
        of_day.map(|of| (name(of), of.count)).collect()
    }
}

fn yes(counts: &[(Category, u64)]) -> BTreeMap<(Category, u32), u64> {
    counts.iter().map(|(category, count)| ((*category, 1), *count)).collect()
}

const TIME: Category = Category::PrintTime;
const HEAT: Category = Category::Temperature;

#[tokio::test]
async fn consent_is_counted_while_it_stands() {
    let mut rig = Rig::new();
    let (one, other) = (Printer::own(), Printer::of(8, 5));
    let (first, second) = (rig.token(), rig.token());
    assert_eq!(rig.told(), (0, yes(&[])));
    one.grants(&rig, 1, Some(&first)).await;
    assert_eq!(rig.told(), (1, yes(&[(TIME, 1), (HEAT, 1)])));
    other.grants(&rig, 1, Some(&second)).await;
    assert_eq!(rig.told(), (2, yes(&[(TIME, 2), (HEAT, 2)])));
    one.withdraws(&rig, 2, &[HEAT]).await;
    assert_eq!(rig.told(), (2, yes(&[(TIME, 2), (HEAT, 1)])));
    let hold = Act::Restrict { grounds: Grounds::Claim, until: UtcDate(TODAY.0 + 3) };
    rig.operator.answer(&other.act(hold));
    assert_eq!(rig.told(), (2, yes(&[(TIME, 1)])), "what is restricted is used for nothing");
    rig.on(UtcDate(TODAY.0 + 4));
    assert_eq!(rig.told(), (2, yes(&[(TIME, 2), (HEAT, 1)])), "the hold ended by itself");
    one.withdraws(&rig, 3, &Category::ALL).await;
    assert_eq!(rig.told(), (1, yes(&[(TIME, 1), (HEAT, 1)])), "who withdrew all has left");
    rig.operator.answer(&other.act(Act::Erase {}));
    assert_eq!(rig.told(), (0, yes(&[])));
}

#[tokio::test]
async fn grants_lapse_out_of_the_coverage() {
    let mut rig = Rig::new();
    let token = rig.token();
    Printer::own().grants(&rig, 1, Some(&token)).await;
    let months = policy().validity_months;
    rig.on(UtcDate(rig::months_later(months).0 - 1));
    assert_eq!(rig.told(), (1, yes(&[(TIME, 1), (HEAT, 1)])));
    rig.on(rig::months_later(months));
    assert_eq!(rig.told(), (1, yes(&[])));
}

#[tokio::test]
async fn an_erasure_that_waits_for_a_hold_is_in_no_count_meanwhile() {
    let mut rig = Rig::new();
    let (one, token) = (Printer::own(), rig.token());
    one.grants(&rig, 1, Some(&token)).await;
    let until = UtcDate(TODAY.0 + 3);
    rig.operator.answer(&one.act(Act::Restrict { grounds: Grounds::Claim, until }));
    rig.operator.answer(&one.act(Act::Erase {}));
    assert_eq!(rig.told(), (0, yes(&[])));
    let waits = rig.overview().requests.into_iter().find(|of| of.kind.as_str() == "erase").unwrap();
    assert_eq!((waits.received, waits.done, waits.held), (TODAY, None, true));
}

#[tokio::test]
async fn only_the_enrolled_count_and_from_their_enrolment_on() {
    let mut rig = Rig::new();
    let (one, token) = (Printer::own(), rig.token());
    one.grants(&rig, 1, None).await;
    Printer::of(8, 5).grants(&rig, 1, None).await;
    assert_eq!(rig.told(), (0, yes(&[])));
    one.grants(&rig, 2, Some(&token)).await;
    assert_eq!(rig.told(), (1, yes(&[(TIME, 1), (HEAT, 1)])));
}

#[tokio::test]
async fn a_principal_counts_once_whatever_it_owns() {
    let mut rig = Rig::new();
    let (one, other, token) = (Printer::own(), Printer::of(8, 4), rig.token());
    one.grants(&rig, 1, Some(&token)).await;
    other.grants(&rig, 1, None).await;
    assert_eq!(rig.told(), (1, yes(&[(TIME, 1), (HEAT, 1)])));
    one.withdraws(&rig, 2, &[HEAT]).await;
    assert_eq!(rig.told(), (1, yes(&[(TIME, 1), (HEAT, 1)])), "the other printer still says yes");
    rig.operator.answer(&one.act(Act::Erase {}));
    assert_eq!(rig.told(), (1, yes(&[(TIME, 1), (HEAT, 1)])), "enrolment is handed on");
    other.withdraws(&rig, 2, &[TIME]).await;
    assert_eq!(rig.told(), (1, yes(&[(HEAT, 1)])));
}

#[tokio::test]
async fn policies_are_counted_apart() {
    let change = format!(
        "\n[change]\nsupersedes = \"{}\"\nannounced = \"{TODAY}\"\neffective = \"{}\"\ngrown = [\"laser\"]\n",
        policy().hash,
        UtcDate(TODAY.0 + 40)
    );
    let second = STRICTEST.replacen("version = 1", "version = 2", 1) + &change;
    let mut rig = Rig::offering(&[STRICTEST.to_owned(), second.clone()]);
    let (one, token) = (Printer::own(), rig.token());
    one.grants(&rig, 1, Some(&token)).await;
    rig.on(UtcDate(TODAY.0 + 41));
    let other = Printer { policy: Digest::of(second.as_bytes()), ..Printer::of(8, 4) };
    other.says(&rig, (1, Decision::Granted), &[HEAT], None).await;
    let expected = [((TIME, 1), 1), ((HEAT, 1), 1), ((HEAT, 2), 1)];
    assert_eq!(rig.told(), (1, expected.into()), "one person, who agreed to two policies");
}

#[tokio::test]
async fn answers_are_counted_by_day_and_exact_over_restarts() {
    let mut rig = Rig::new();
    Printer::own().grants(&rig, 1, None).await;
    assert_eq!(rig.submit(&sealed(&batch(1, vec![print()]))).await.outcome(), Outcome::Stored);
    assert_eq!(rig.submit(&sealed(&batch(1, vec![print()]))).await.outcome(), Outcome::Stored);
    let mut laser = batch(2, vec![print()]);
    laser.days = vec![imprimatur_proto::telemetry::v1::DayReport {
        laser: Some(imprimatur_proto::telemetry::v1::DayLaser { on_time: 3, ..Default::default() }),
        ..day(3)
    }];
    assert_eq!(rig.submit(&sealed(&laser)).await.outcome(), Outcome::Refused);
    rig.publish();
    let first = [("consent recorded", 1), ("refused no_grant", 1), ("repeated", 1), ("stored", 1)];
    let first: BTreeMap<String, u64> =
        first.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(rig.answers(TODAY), first);
    assert_eq!(rig.overview().batches_waiting, 0);

    let mut rig = Rig::over(rig.end().await, &[STRICTEST.to_owned()]);
    rig.publish();
    assert_eq!(rig.answers(TODAY), first);
    let tomorrow = UtcDate(TODAY.0 + 1);
    rig.on(tomorrow);
    rig.door.tally.count("busy.batch");
    assert_eq!(rig.submit(&sealed(&batch(3, vec![print()]))).await.outcome(), Outcome::Stored);
    rig.publish();
    assert_eq!(rig.answers(TODAY), first);
    let second = [("busy batch", 1), ("stored", 1)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(rig.answers(tomorrow), second.into());
    // A refusal alone, which leaves no event and no row, is told as well.
    assert_eq!(rig.submit(&sealed(&laser)).await.outcome(), Outcome::Refused);
    rig.publish();
    assert_eq!(rig.answers(tomorrow).get("repeated"), Some(&1));
}

#[tokio::test]
async fn requests_are_told_by_their_days_alone_and_no_longer_than_ninety_after_they_were_done() {
    let mut rig = Rig::new();
    let (one, other) = (Printer::own(), Printer::of(8, 5));
    one.grants(&rig, 1, None).await;
    other.grants(&rig, 1, None).await;
    rig.publish();
    assert!(rig.overview().requests.is_empty());
    rig.operator.answer(&other.act(Act::Show(0)));
    rig.operator.answer(&one.act(Act::Export(0)));
    rig.publish();
    let told = |rig: &Rig| {
        let requests = rig.overview().requests.into_iter();
        requests.map(|of| (of.kind.as_str().to_owned(), of.done)).collect::<Vec<_>>()
    };
    let both = [("explain", Some(TODAY)), ("export", Some(TODAY))];
    let both = both.map(|(kind, done)| (kind.to_owned(), done));
    assert_eq!(told(&rig), both, "in the order of words, not of requests");
    let read = rig.operator.answer(&one.act(Act::Erase {}));
    assert!(matches!(read, Told::Acted(_)), "{read:?}");
    rig.publish();
    assert_eq!(told(&rig)[0], ("erase".to_owned(), Some(TODAY)));
    rig.on(UtcDate(TODAY.0 + 90));
    rig.publish();
    assert_eq!(told(&rig).len(), 3);
    rig.on(UtcDate(TODAY.0 + 91));
    rig.publish();
    assert_eq!(told(&rig), []);
    rig.operator.answer(&other.act(Act::Show(0)));
    rig.publish();
    assert_eq!(told(&rig), [("explain".to_owned(), Some(UtcDate(TODAY.0 + 91)))]);
}

#[tokio::test]
async fn the_checkpoint_is_the_published_one() {
    let mut rig = Rig::new();
    Printer::own().grants(&rig, 1, None).await;
    rig.publish();
    let (log, key) = (rig.overview().log, rig.book.log_public_key());
    let note = Checkpoint::open(&log.checkpoint, &key).unwrap();
    assert_eq!((note.size, note.root), (log.size, log.root));
    let published = TileReader::open(&rig.settings.log(), &key).unwrap();
    assert_eq!(published.note(), log.checkpoint);
    let text = std::fs::read(rig.settings.lake().join("overview.json")).unwrap();
    assert_eq!(rig.publish(), 0);
    let again = std::fs::read(rig.settings.lake().join("overview.json")).unwrap();
    assert_eq!(again, text, "what is quiet is left alone");
}

/// Everything that names somebody, in the forms in which it could be written.
fn forms(names: &[Vec<u8>]) -> Vec<String> {
    let forms = |name: &Vec<u8>| {
        let hex = hex::encode(name);
        let bytes: Vec<String> = name.iter().map(u8::to_string).collect();
        [hex.to_uppercase(), hex, STANDARD_NO_PAD.encode(name), URL_SAFE_NO_PAD.encode(name)]
            .into_iter()
            .chain([bytes.join(","), bytes.join(", ")])
    };
    names.iter().flat_map(forms).collect()
}

fn leaks(text: &str, names: &[Vec<u8>]) -> bool {
    forms(names).iter().any(|form| text.contains(form.as_str()))
}

#[tokio::test]
async fn the_overview_names_nobody_and_the_search_would_find_it() {
    let mut rig = Rig::new();
    let (one, token) = (Printer::own(), rig.token());
    one.grants(&rig, 1, Some(&token)).await;
    assert_eq!(rig.submit(&sealed(&batch(1, vec![print()]))).await.outcome(), Outcome::Stored);
    rig.operator.answer(&one.act(Act::Export(0)));
    rig.publish();
    let rows = rig.rows();
    assert!(!rows.is_empty());
    let proof = enrolment::verifier(&token.0);
    let mut names = vec![
        one.key.subject().0.to_vec(),
        one.key.public().to_vec(),
        one.principal.to_vec(),
        token.0.to_vec(),
        proof.0.to_vec(),
        enrolment::name(proof).to_vec(),
    ];
    names.extend(rows.iter().flat_map(|row| [row.subject.0.to_vec(), row.principal.0.to_vec()]));
    let lake = rig.settings.lake();
    let text = std::fs::read_to_string(lake.join("overview.json")).unwrap();
    assert!(text.contains("\"principals\": 1") && text.contains("stored"), "{text}");
    assert!(!leaks(&text, &names), "{text}");
    // The opposite: the catalogue holds pseudonyms, and a name that is planted in any form is found.
    assert!(leaks(&std::fs::read_to_string(lake.join("catalogue.json")).unwrap(), &names));
    for form in forms(&names) {
        let planted = text.replacen("stored", &form, 1);
        assert_ne!(planted, text);
        assert!(leaks(&planted, &names), "{form}");
    }
}
