//! A collector without its network, one owner, and what the owner says.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each of the test programs that share this file uses a part of it"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use imprimatur_collector::CollectorSettings;
use imprimatur_collector::answer::{Signer, reason_name};
use imprimatur_collector::lanes::{Queue, lanes};
use imprimatur_collector::offered::Offered;
use imprimatur_collector::operator::Operator;
use imprimatur_collector::publisher::{Publisher, Step, Stores};
use imprimatur_collector::rights::challenge::Challenges;
use imprimatur_collector::rights::reading::Readings;
use imprimatur_collector::service::{Answered, Door, READINGS, STREAM_IDLE};
use imprimatur_collector::tally::Tally;
use imprimatur_collector::writer::Writer;
pub(crate) use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::{Category, Domain, Policy, SigningSeed, VerifyingKey};
use imprimatur_lake::{Catalogue, Lake, Row};
use imprimatur_ledger::Book;
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, Receipt, SignedConsentEvent, SignedReceipt,
};
use imprimatur_proto::ingest::v1::{Outcome, SignedVerdict, Verdict};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{
    Batch, BatchHeader, DayPrintTime, DayReport, PrintReport, PrintTemperature, PrintTime,
};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::UtcDate;
use imprimatur_runtime::clock::ManualClock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) const TODAY: UtcDate = UtcDate(20_778);
pub(crate) const GRANTED: [Category; 2] = [Category::PrintTime, Category::Temperature];

/// Door, writer, publisher and operator over one folder.
pub(crate) struct Rig {
    pub(crate) door: Door,
    pub(crate) book: Book,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) operator: Operator,
    pub(crate) settings: CollectorSettings,
    publisher: Publisher,
    writing: Option<std::thread::JoinHandle<Result<(), imprimatur_ledger::BookError>>>,
    folder: tempfile::TempDir,
}

/// A rig and the writer that its test drives.
pub(crate) struct Stopped {
    pub(crate) rig: Rig,
    pub(crate) writer: Writer,
    pub(crate) queue: Queue,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::offering(&[STRICTEST.to_owned()])
    }

    /// A collector that takes consent to these policies.
    pub(crate) fn offering(policies: &[String]) -> Self {
        Self::over(tempfile::tempdir().unwrap(), policies)
    }

    /// A collector over a folder that may hold something already.
    pub(crate) fn over(folder: tempfile::TempDir, policies: &[String]) -> Self {
        let (mut rig, writer, queue) = Self::parts(folder, policies);
        rig.writing = Some(std::thread::spawn(move || writer.run(queue)));
        rig
    }

    /// A collector with one grant, whose writer does nothing by itself.
    pub(crate) async fn stopped() -> Stopped {
        let parts = Self::parts(tempfile::tempdir().unwrap(), &[STRICTEST.to_owned()]);
        let (rig, writer, mut queue) = parts;
        let grant = signed(&decision(1, Decision::Granted, &GRANTED));
        let (told, group) = tokio::join!(rig.tell(&grant), async {
            writer.step(queue.group().await.unwrap()).unwrap();
        });
        let ((), _receipt) = (group, told);
        Stopped { rig, writer, queue }
    }

    fn parts(folder: tempfile::TempDir, policies: &[String]) -> (Self, Writer, Queue) {
        let data = folder.path().to_owned();
        let settings =
            CollectorSettings { policies: policies.to_vec(), ..CollectorSettings::local(data) };
        let clock = ManualClock::at(TODAY.start());
        let time: Arc<ManualClock> = Arc::clone(&clock);
        let book = Book::open(&settings.data).unwrap();
        let signer = Arc::new(Signer::open(&settings.key()).unwrap());
        let offered =
            Offered::open(&book, &settings.policies, settings.published(), TODAY.start()).unwrap();
        let (tally, readings) = (Arc::new(Tally::default()), Arc::new(Readings::default()));
        let (offered, challenges) = (Arc::new(offered), Arc::new(Challenges::new().unwrap()));
        let stores = Stores {
            book: book.clone(),
            signer: Arc::clone(&signer),
            readings: Arc::clone(&readings),
            tally: Arc::clone(&tally),
            clock: Arc::<ManualClock>::clone(&time),
        };
        let publisher = Publisher::open(&settings, stores).unwrap();
        let lake = Lake::open(settings.lake()).unwrap();
        let (lanes, queue) = lanes();
        let door = Door {
            book: book.clone(),
            lake: lake.clone(),
            signer: Arc::clone(&signer),
            challenges: Arc::clone(&challenges),
            readings: Arc::clone(&readings),
            reading: Arc::new(Semaphore::new(READINGS)),
            tally: Arc::clone(&tally),
            clock: Arc::<ManualClock>::clone(&time),
            checks: Arc::default(),
            urgent_checks: Arc::default(),
            lanes,
            stream_idle: STREAM_IDLE,
            stop: CancellationToken::new(),
        };
        let operator = Operator {
            book: book.clone(),
            lake,
            offered: Arc::clone(&offered),
            readings: Arc::clone(&readings),
            clock: Arc::<ManualClock>::clone(&time),
        };
        let writer = Writer {
            book: book.clone(),
            signer: Arc::clone(&signer),
            offered,
            challenges,
            readings,
            tally,
            clock: time,
        };
        let writing = None;
        let rig =
            Self { door, book, clock, signer, operator, settings, publisher, writing, folder };
        (rig, writer, queue)
    }

    /// Closes the book; gives the folder.
    pub(crate) async fn end(self) -> tempfile::TempDir {
        let Self { door, book, operator, publisher, writing, folder, .. } = self;
        drop((door, book, operator, publisher));
        let writing = writing.unwrap();
        tokio::task::spawn_blocking(|| writing.join()).await.unwrap().unwrap().unwrap();
        folder
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.settings.data.clone()
    }

    pub(crate) fn key(&self) -> VerifyingKey {
        VerifyingKey::from_bytes(&self.signer.public()).unwrap()
    }

    pub(crate) async fn submit(&self, frame: &[u8]) -> Verdict {
        let answered = self.door.verdict(frame).await.unwrap();
        let bytes = match answered {
            Answered::Verdict(bytes) => Some(bytes),
            Answered::Busy(_) => None,
        };
        let bytes = bytes.unwrap();
        let signed: SignedVerdict = contract().decode(&bytes).unwrap();
        assert!(self.key().verifies(Domain::Verdict, &signed.verdict, &signed.signature));
        contract().decode(&signed.verdict).unwrap()
    }

    pub(crate) async fn tell(&self, event: &[u8]) -> Receipt {
        let bytes = self.door.receipt(event).await.unwrap();
        let signed: SignedReceipt = contract().decode(&bytes).unwrap();
        assert!(self.key().verifies(Domain::Receipt, &signed.receipt, &signed.signature));
        contract().decode(&signed.receipt).unwrap()
    }

    pub(crate) fn journal(&self) -> usize {
        self.book.journal(999).unwrap().len()
    }

    #[track_caller]
    pub(crate) fn refused(&self, verdict: &Verdict, reason: &str) {
        assert_eq!(verdict.outcome(), Outcome::Refused);
        assert_eq!(reason_name(verdict.reason()), reason);
        assert_eq!(self.journal(), 0, "a refused batch left a row");
    }

    pub(crate) fn publish(&mut self) -> usize {
        self.publisher.publish().unwrap()
    }

    pub(crate) fn try_publish(&mut self) -> Result<usize, imprimatur_collector::CollectorError> {
        self.publisher.publish()
    }

    /// Lets the next publication end at a step.
    pub(crate) fn end_at(&mut self, step: Step) {
        self.publisher.end_at(step);
    }

    pub(crate) fn catalogue(&self) -> Catalogue {
        Catalogue::load(&self.settings.lake()).unwrap()
    }

    /// All rows that the catalogue names.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let lake = Lake::open(self.settings.lake()).unwrap();
        self.catalogue().files.iter().flat_map(|file| lake.read(file).unwrap()).collect()
    }

    pub(crate) fn on(&self, date: UtcDate) {
        self.clock.set(date.start());
    }
}

pub(crate) fn policy() -> Policy {
    Policy::read(STRICTEST).unwrap()
}

pub(crate) fn owner() -> SigningSeed {
    SigningSeed::from_seed(&[7; 32])
}

pub(crate) fn decision(number: u64, decision: Decision, categories: &[Category]) -> ConsentEvent {
    let ends = matches!(decision, Decision::Withdrawn | Decision::Transferred);
    let yes = ConsentEvent {
        public_key: owner().public().to_vec(),
        principal: vec![4; 16],
        sequence: number,
        decision: decision.into(),
        categories: categories.iter().map(|category| category.number()).collect(),
        policy_hash: policy().hash.0.to_vec(),
        date: TODAY.0,
        ..ConsentEvent::default()
    };
    if ends {
        return yes;
    }
    ConsentEvent {
        notice_language: b"en".to_vec(),
        method: Method::Command.into(),
        affirmation: Affirmation::AgeAndAuthority.into(),
        ..yes
    }
}

pub(crate) fn signed(event: &ConsentEvent) -> Vec<u8> {
    signed_by(&owner(), event)
}

pub(crate) fn signed_by(key: &SigningSeed, event: &ConsentEvent) -> Vec<u8> {
    let event = canonical::encode(event);
    let signature = key.sign(Domain::Consent, &event);
    canonical::encode(&SignedConsentEvent { event, signature })
}

pub(crate) fn print() -> PrintReport {
    PrintReport {
        start_date: TODAY.0,
        print_time: Some(PrintTime { completed_duration: 7, ..Default::default() }),
        temperature: Some(PrintTemperature { nozzle_set_point: 8, ..Default::default() }),
        ..Default::default()
    }
}

pub(crate) fn day(busy_time: u32) -> DayReport {
    DayReport {
        date: TODAY.0,
        print_time: Some(DayPrintTime { busy_time, ..Default::default() }),
        ..Default::default()
    }
}

pub(crate) fn batch(sequence: u64, prints: Vec<PrintReport>) -> Batch {
    let header = BatchHeader {
        subject: owner().subject().0.to_vec(),
        sequence,
        policy_hash: policy().hash.0.to_vec(),
        contract_hash: contract().hash().to_vec(),
        identity_tag: Vec::new(),
        dropped: 0,
    };
    Batch { header: Some(header), prints, days: Vec::new() }
}

pub(crate) fn sealed_bytes(batch: Vec<u8>) -> Vec<u8> {
    let signature = owner().sign(Domain::Batch, &batch);
    frame::seal(batch, signature).unwrap()
}

pub(crate) fn sealed(batch: &Batch) -> Vec<u8> {
    sealed_bytes(canonical::encode(batch))
}

/// The values of a row by column.
pub(crate) fn values(row: &Row) -> BTreeMap<String, u32> {
    let values = row.sections.iter().flat_map(|section| &section.values);
    values.map(|&(field, index)| (contract().rule(field).column.clone(), index)).collect()
}

/// The same day of the month, so many months after today.
pub(crate) fn months_later(months: u8) -> UtcDate {
    // 2026-11-21; twelve months at most in the shipped policies.
    let year = 2026 + (u32::from(months) + 10) / 12;
    let month = (u32::from(months) + 10) % 12 + 1;
    format!("{year}-{month:02}-21").parse().unwrap()
}

pub(crate) fn of_kind(rows: &[Row], kind: RecordKind) -> Vec<&Row> {
    rows.iter().filter(|row| row.kind == kind).collect()
}

pub(crate) async fn granted() -> Rig {
    use imprimatur_proto::consent::v1::ReceiptStatus;

    let rig = Rig::new();
    let receipt = rig.tell(&signed(&decision(1, Decision::Granted, &GRANTED))).await;
    assert_eq!(receipt.status(), ReceiptStatus::Recorded);
    rig
}
