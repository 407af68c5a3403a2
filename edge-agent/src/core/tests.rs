//! Tests of the decisions: each rule, its opposite, and one model under random operations.

pub(crate) mod doubtful;
mod erasure;
mod farm;
mod grants;
mod hardware;
mod interference;
mod receipts;
mod rights;
mod spool;
mod stale;
mod unusable;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use imprimatur_consent::policy::{OLDEST_RECORD_DAYS, STRICTEST};
use imprimatur_consent::{
    Category, Digest, Domain, Flag, Policy, SigningSeed, SubjectId, VerifyingKey, enrolment,
};
use imprimatur_log::{Checkpoint, LogKey, MemoryLog, Origin, entry, proof, tree};
use imprimatur_proto::consent::v1::{
    ConsentEvent, Decision, Receipt, ReceiptStatus, SignedConsentEvent, SignedReceipt,
};
use imprimatur_proto::ingest::v1::{Outcome, RefusalReason, SignedVerdict, Verdict};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rights::v1::{RightsStatus, Verb};
use imprimatur_proto::telemetry::v1::{
    Batch, DayMachine, DayPrintTime, DayReport, DaySlicing, DayStatus, PrintMaterial, PrintReport,
    PrintStatus, PrintTime, SignedBatch,
};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::clock::ManualClock;
use imprimatur_runtime::{Clock, UnixSeconds, UtcDate};
use proptest::prelude::*;

use super::*;
use crate::store::{Space, StoreError};

const TODAY: UtcDate = UtcDate(20_778);

/// The collector of a test: its keys and its log. Clones share the log.
#[derive(Clone)]
pub(crate) struct Collector {
    key: SigningSeed,
    pub(crate) book: Arc<Mutex<Book>>,
}

/// What a collector remembers.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) log: MemoryLog,
    /// Place of each event in the log, by its bytes.
    places: BTreeMap<Vec<u8>, u64>,
    /// Challenges that were given and not used.
    pub(crate) challenges: BTreeSet<Vec<u8>>,
}

const NONCE: [u8; 32] = [9; 32];

impl Collector {
    pub(crate) fn new() -> Self {
        Self::of(42)
    }

    fn of(seed: u8) -> Self {
        Self { key: SigningSeed::from_seed(&[seed; 32]), book: Arc::default() }
    }

    pub(crate) fn key(&self) -> VerifyingKey {
        VerifyingKey::from_bytes(&self.key.public()).unwrap()
    }

    pub(crate) fn receipt(&self, event: &[u8], status: ReceiptStatus) -> Vec<u8> {
        self.receipt_naming(event, status, &BTreeSet::new())
    }

    /// A receipt that names what is granted.
    fn receipt_naming(
        &self,
        event: &[u8],
        status: ReceiptStatus,
        granted: &BTreeSet<Category>,
    ) -> Vec<u8> {
        let mut receipt = self.answer(event, status);
        receipt.granted = granted.iter().map(|category| category.number()).collect();
        self.sign_receipt(&receipt)
    }

    /// What it answers to an event, not signed yet; what is recorded goes into the log.
    fn answer(&self, event: &[u8], status: ReceiptStatus) -> Receipt {
        let ((said, bytes), signed) = (said(event), event);
        let mut receipt = Receipt {
            subject: SigningSubject::of(&said).to_vec(),
            sequence: said.sequence,
            event_hash: Digest::of(&bytes).0.to_vec(),
            status: status.into(),
            recorded_date: said.date,
            contract_hash: contract().hash().to_vec(),
            ..Receipt::default()
        };
        if status != ReceiptStatus::Recorded {
            return receipt;
        }
        let mut book = self.book.lock().unwrap();
        let next = book.log.size();
        let place = *book.places.entry(signed.to_vec()).or_insert(next);
        if place == next {
            book.log.push(entry::blinded(&NONCE, signed));
        }
        let signed: SignedConsentEvent = contract().decode(signed).unwrap();
        receipt.event_signature = signed.signature;
        receipt.nonce = NONCE.to_vec();
        receipt.valid_until = said.date + 365;
        receipt.log_index = place + 1;
        prove(&mut receipt, &book.log, said.seen_log_size, &LogKey::from_seed(&[43; 32]));
        receipt
    }

    fn sign_receipt(&self, receipt: &Receipt) -> Vec<u8> {
        let receipt = canonical::encode(receipt);
        let signature = self.key.sign(Domain::Receipt, &receipt);
        canonical::encode(&SignedReceipt { receipt, signature })
    }

    pub(crate) fn verdict(
        &self,
        frame: &[u8],
        reason: RefusalReason,
        categories: &[Category],
    ) -> Vec<u8> {
        let header = batch(frame).header.unwrap();
        let stored = reason == RefusalReason::Unspecified;
        let outcome = if stored { Outcome::Stored } else { Outcome::Refused };
        let verdict = canonical::encode(&Verdict {
            subject: header.subject,
            sequence: header.sequence,
            frame_hash: Digest::of(frame).0.to_vec(),
            outcome: outcome.into(),
            reason: reason.into(),
            categories: categories.iter().map(|category| category.number()).collect(),
        });
        let signature = self.key.sign(Domain::Verdict, &verdict);
        canonical::encode(&SignedVerdict { verdict, signature })
    }
}

/// Puts checkpoint and proofs of a log into a receipt.
fn prove(receipt: &mut Receipt, log: &MemoryLog, seen: u64, key: &LogKey) {
    let size = log.size();
    let origin = Origin::of(&key.public());
    let checkpoint = Checkpoint { origin, size, root: log.root() }.sign(key);
    let path = tree::inclusion(receipt.log_index - 1, size, log).unwrap();
    let steps = tree::consistency(seen.min(size), size, log).unwrap();
    receipt.checkpoint = checkpoint.into_bytes();
    receipt.inclusion_proof = proof::to_bytes(&path);
    receipt.consistency_proof = proof::to_bytes(&steps);
    receipt.log_key = key.public().to_vec();
}

struct SigningSubject;

impl SigningSubject {
    fn of(event: &ConsentEvent) -> [u8; 16] {
        let key: [u8; 32] = event.public_key.as_slice().try_into().unwrap();
        imprimatur_consent::SubjectId::of(&key).0
    }
}

/// The event in a signed one, whose signature must hold, and its bytes.
pub(crate) fn said(signed: &[u8]) -> (ConsentEvent, Vec<u8>) {
    let signed: SignedConsentEvent = contract().decode(signed).unwrap();
    let event: ConsentEvent = contract().decode(&signed.event).unwrap();
    let key = VerifyingKey::from_bytes(&event.public_key).unwrap();
    assert!(key.verifies(Domain::Consent, &signed.event, &signed.signature));
    (event, signed.event)
}

pub(crate) fn batch(bytes: &[u8]) -> Batch {
    let signed: SignedBatch = frame::open(contract(), bytes).unwrap();
    contract().decode(&signed.batch).unwrap()
}

/// An agent in its own folder.
pub(crate) struct Room {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) agent: Agent,
    pub(crate) collector: Collector,
    spool_bytes_max: u64,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self::with_spool(SPOOL_BYTES_MAX)
    }

    fn with_spool(spool_bytes_max: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(UnixSeconds(TODAY.start().0 + 3600));
        let collector = Collector::new();
        let agent = open(folder.path(), &clock, &collector, spool_bytes_max).unwrap();
        Self { folder, clock, agent, collector, spool_bytes_max }
    }

    pub(crate) fn restart(self) -> Self {
        let Self { folder, clock, agent, collector, spool_bytes_max } = self;
        drop(agent);
        let agent = open(folder.path(), &clock, &collector, spool_bytes_max).unwrap();
        Self { folder, clock, agent, collector, spool_bytes_max }
    }

    /// A room whose settings a test changes; closed and opened again with them.
    fn with(self, change: impl FnOnce(&mut AgentSettings)) -> Self {
        let mut settings = self.agent.lock().settings.clone();
        change(&mut settings);
        let Self { folder, clock, agent, collector, spool_bytes_max } = self;
        drop(agent);
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let agent = Agent::open(settings, shared).unwrap();
        Self { folder, clock, agent, collector, spool_bytes_max }
    }

    pub(crate) fn granted(categories: &[Category]) -> Self {
        let room = Self::new();
        room.agent.grant(categories, None).unwrap();
        room.announce();
        room
    }

    /// Lets the collector record what waits.
    pub(crate) fn announce(&self) {
        while let Some(event) = self.event() {
            let receipt = self.collector.receipt(&event, ReceiptStatus::Recorded);
            let heard = self.agent.on_receipt(&receipt).unwrap();
            assert_eq!(heard, Heard::Receipt(ReceiptStatus::Recorded));
        }
    }

    pub(crate) fn event(&self) -> Option<Vec<u8>> {
        let errand = self.agent.errand().unwrap().filter(|errand| errand.says == Says::Event)?;
        self.agent.offer_event(&errand, |_| true).unwrap().map(|event| event.bytes)
    }

    pub(crate) fn print(&self) -> Recorded {
        let now = self.clock.now();
        self.agent.record_print(&print(now.date()), now).unwrap()
    }

    pub(crate) fn day(&self) -> Recorded {
        let now = self.clock.now();
        self.agent.record_day(&day(now.date()), now).unwrap()
    }

    fn next_day(&self) {
        self.clock.advance(Duration::from_hours(24));
    }

    /// Spooled frames by number.
    pub(crate) fn spool(&self) -> BTreeMap<u64, Vec<u8>> {
        let entries = self.agent.lock().store.scan(Space::Spool, b"").unwrap();
        let frame = |(key, value): (Vec<u8>, Vec<u8>)| {
            (u64::from_be_bytes(key.try_into().unwrap()), value[6..].to_vec())
        };
        entries.into_iter().map(frame).collect()
    }

    fn offered(&self) -> Vec<OfferedFrame> {
        let mut frames = Vec::new();
        let Some(errand) = self.agent.errand().unwrap() else { return frames };
        let keep = |frame: &OfferedFrame| {
            frames.push(frame.clone());
            true
        };
        self.agent.offer_frames(&errand, &[], 8, keep).unwrap();
        frames
    }
}

fn open(
    folder: &std::path::Path,
    clock: &Arc<ManualClock>,
    collector: &Collector,
    spool_bytes_max: u64,
) -> Result<Agent, AgentError> {
    let policy = Policy::read(STRICTEST).unwrap();
    let settings = AgentSettings::new(folder.to_owned(), policy, collector.key());
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    // A folder without any fact of hardware, unless a test makes them.
    let hardware_root = folder.join("host");
    Agent::open(AgentSettings { spool_bytes_max, hardware_root, ..settings }, clock)
}

pub(crate) fn print(date: UtcDate) -> PrintReport {
    PrintReport {
        start_date: date.0,
        print_time: Some(PrintTime { completed_duration: 3, ..PrintTime::default() }),
        material: Some(PrintMaterial { amount: 5, family: 1 }),
        status: Some(PrintStatus { outcome: 1, ..PrintStatus::default() }),
        ..PrintReport::default()
    }
}

fn day(date: UtcDate) -> DayReport {
    DayReport {
        date: date.0,
        machine: Some(DayMachine { model: 2, ..DayMachine::default() }),
        print_time: Some(DayPrintTime { busy_time: 4, ..DayPrintTime::default() }),
        status: Some(DayStatus { observed: 4, ..DayStatus::default() }),
        ..DayReport::default()
    }
}

/// The categories of all sections of a frame, and `identity` when it has a tag.
fn told(frame: &[u8]) -> BTreeSet<Category> {
    let batch = batch(frame);
    let prints = batch.prints.iter().map(|p| (RecordKind::Print, canonical::encode(p)));
    let days = batch.days.iter().map(|d| (RecordKind::Day, canonical::encode(d)));
    let mut told: BTreeSet<_> = prints
        .chain(days)
        .flat_map(|(kind, bytes)| contract().record(kind, &bytes).unwrap().sections)
        .map(|section| section.category)
        .collect();
    let tag = batch.header.unwrap().identity_tag;
    told.extend((!tag.is_empty()).then_some(Category::Identity));
    told
}

#[test]
fn without_an_answer_nothing_is_kept_said_or_drawn() {
    let room = Room::new();
    let overview = room.agent.show().unwrap();
    assert_eq!(overview.categories.len(), 11);
    assert!(overview.categories.iter().all(|state| state.flag == Flag::Unasked));
    assert!(overview.categories.iter().all(|state| !state.purpose.is_empty()));
    assert_eq!(room.print(), Recorded::NothingAllowed);
    assert_eq!(room.agent.seal_all().unwrap(), Sealed::default());
    assert_eq!(room.agent.errand().unwrap(), None);
    assert!(room.agent.lock().state.identity.is_none());
    let preview = room.agent.preview().unwrap();
    assert_eq!(preview.kind, PreviewKind::NotSent);
    assert!(preview.rows.iter().any(|row| row.field == "completed_duration"));
    let unsent: Batch = contract().decode(&preview.bytes).unwrap();
    assert_eq!((unsent.header, unsent.prints.len()), (None, 1));
    let stored = room.agent.lock().store.scan(Space::Pending, b"").unwrap();
    assert!(stored.is_empty());
}

#[test]
fn a_grant_draws_a_key_once_and_signs_what_was_said() {
    let room = Room::new();
    let new = room.agent.grant(&[Category::Status], Some([7; 32])).unwrap();
    let Granted::New { categories, recovery: Some(code) } = new else { panic!("{new:?}") };
    assert_eq!(categories, [Category::Status]);
    assert!(room.agent.show().unwrap().subject.is_some());
    assert_eq!(room.agent.grant(&[Category::Status], None).unwrap(), Granted::Already);
    let (first, _) = said(&room.event().unwrap());
    assert_eq!((first.decision(), first.date, first.sequence), (Decision::Granted, TODAY.0, 1));
    let principal = imprimatur_consent::PrincipalId::try_from(&first.principal[..]).unwrap();
    assert_eq!(first.recovery_key, code.key().public());
    let verifier = enrolment::verifier(&[7; 32]);
    assert!(enrolment::proves(&first.enrolment_proof, verifier, principal, &first.public_key));
    room.announce();
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    let (second, _) = said(&room.event().unwrap());
    assert_eq!((&second.public_key, &second.principal), (&first.public_key, &first.principal));
    assert_eq!((second.sequence, second.enrolment_proof.len()), (2, 0));
    assert!(second.recovery_key.is_empty());
}

#[test]
fn each_category_is_kept_only_for_what_began_after_its_grant() {
    let room = Room::granted(&[Category::Status]);
    let began = room.clock.now();
    room.clock.advance(Duration::from_mins(1));
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    room.announce();
    let before = UnixSeconds(began.0 - 1);
    let report = print(TODAY);
    let kept = |started| room.agent.record_print(&report, started).unwrap();
    assert_eq!(kept(before), Recorded::NothingAllowed);
    assert_eq!(kept(UnixSeconds(began.0 + 30)), Recorded::Kept);
    room.agent.seal_all().unwrap();
    assert_eq!(told(&room.spool()[&1]), [Category::Status].into());
    assert_eq!(kept(room.clock.now()), Recorded::Kept);
    room.agent.seal_all().unwrap();
    assert_eq!(told(&room.spool()[&2]), [Category::Status, Category::PrintTime].into());
}

#[test]
fn nothing_leaves_before_the_receipt_of_the_grant() {
    let room = Room::new();
    room.agent.grant(&[Category::Status], None).unwrap();
    room.print();
    room.agent.seal_all().unwrap();
    let errand = room.agent.errand().unwrap().unwrap();
    assert_eq!(errand.says, Says::Event);
    assert!(room.offered().is_empty());
    let event = room.event().unwrap();
    let mut forged = room.collector.receipt(&event, ReceiptStatus::Recorded);
    *forged.last_mut().unwrap() ^= 1;
    let heard = room.agent.on_receipt(&forged).unwrap();
    assert_eq!(heard, Heard::Ignored(Ignored::Forged));
    assert!(room.offered().is_empty());
    room.announce();
    assert_eq!(room.offered().len(), 1);
    assert_eq!(room.agent.preview().unwrap().bytes, room.offered()[0].bytes);
}

#[test]
fn only_the_collectors_word_on_these_bytes_frees_a_frame() {
    let room = Room::granted(&[Category::Status]);
    room.print();
    room.agent.seal_all().unwrap();
    let frame = room.spool()[&1].clone();
    let stored = room.collector.verdict(&frame, RefusalReason::Unspecified, &[]);
    let mut forged = stored.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(room.agent.on_verdict(&forged).unwrap(), Heard::Ignored(Ignored::Forged));
    let stranger = Collector::of(1);
    let strange = stranger.verdict(&frame, RefusalReason::Unspecified, &[]);
    assert_eq!(room.agent.on_verdict(&strange).unwrap(), Heard::Ignored(Ignored::Forged));
    let mut signed: SignedVerdict = contract().decode(&stored).unwrap();
    let mut other: Verdict = contract().decode(&signed.verdict).unwrap();
    other.frame_hash = vec![9; 32];
    signed.verdict = canonical::encode(&other);
    signed.signature = room.collector.key.sign(Domain::Verdict, &signed.verdict);
    let other = room.agent.on_verdict(&canonical::encode(&signed)).unwrap();
    assert_eq!(other, Heard::Ignored(Ignored::Unmatched));
    assert_eq!((room.spool().len(), room.agent.show().unwrap().ignored_answers), (1, 3));
    assert_eq!(room.agent.on_verdict(&stored).unwrap(), Heard::Stored(1));
    assert!(room.spool().is_empty());
    assert_eq!(room.agent.on_verdict(&stored).unwrap(), Heard::Ignored(Ignored::Unmatched));
}

#[test]
fn a_refusal_for_want_of_a_grant_saves_the_rest_under_another_number() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    room.print();
    room.agent.seal_all().unwrap();
    let frame = room.spool()[&1].clone();
    let refused = room.collector.verdict(&frame, RefusalReason::NoGrant, &[Category::Status]);
    room.agent.on_verdict(&refused).unwrap();
    let spool = room.spool();
    assert_eq!(spool.keys().collect::<Vec<_>>(), [&2]);
    assert_eq!(told(&spool[&2]), [Category::PrintTime].into());
    let refused = room.collector.verdict(&spool[&2], RefusalReason::NoGrant, &[Category::Laser]);
    room.agent.on_verdict(&refused).unwrap();
    assert!(room.spool().is_empty(), "a refusal that names nothing in it is final");
}

#[test]
fn a_grant_that_the_collector_did_not_record_lets_nothing_out() {
    let room = Room::granted(&[Category::Status]);
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    room.print();
    room.agent.seal_all().unwrap();
    let event = room.event().unwrap();
    let refused = room.collector.receipt(&event, ReceiptStatus::PolicyUnknown);
    room.agent.on_receipt(&refused).unwrap();
    assert_eq!((room.agent.errand().unwrap(), room.spool().len()), (None, 1));
    room.next_day();
    assert!(room.event().is_some(), "asked again on another day");
    room.announce();
    assert_eq!(room.offered().len(), 1);
}

#[test]
fn an_unsupported_contract_holds_the_spool() {
    let room = Room::granted(&[Category::Status]);
    room.print();
    room.agent.seal_all().unwrap();
    let frame = room.offered().remove(0).bytes;
    let refused = room.collector.verdict(&frame, RefusalReason::ContractUnsupported, &[]);
    room.agent.on_verdict(&refused).unwrap();
    assert_eq!((room.agent.errand().unwrap(), room.spool().len()), (None, 1));
    assert!(room.agent.show().unwrap().contract_unsupported);
    room.next_day();
    assert!(room.agent.errand().unwrap().is_some(), "asked again on another day");
}

#[test]
fn a_withdrawal_of_all_leaves_one_thing_to_say() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    let before = room.agent.errand().unwrap();
    room.print();
    room.agent.seal_all().unwrap();
    room.print();
    let gone = room.agent.withdraw(None).unwrap();
    assert_eq!(gone, Withdrawn::All(vec![Category::PrintTime, Category::Status]));
    assert!(room.spool().is_empty() && before.is_none());
    assert!(room.agent.lock().store.scan(Space::Pending, b"").unwrap().is_empty());
    assert_eq!(room.print(), Recorded::NothingAllowed);
    let errand = room.agent.errand().unwrap().unwrap();
    assert!(errand.retired && errand.says == Says::Event);
    let (withdrawal, _) = said(&room.event().unwrap());
    assert_eq!(withdrawal.decision(), Decision::Withdrawn);
    assert_eq!(withdrawal.categories.len(), 11);
    // Nobody answers for two months: a withdrawal is recorded whatever its date.
    (0..60).for_each(|_| room.next_day());
    let (late, _) = said(&room.event().unwrap());
    assert_eq!(late, withdrawal);
    room.announce();
    assert_eq!(room.agent.errand().unwrap(), None);
    room.agent.grant(&[Category::Status], None).unwrap();
    let (again, _) = said(&room.event().unwrap());
    assert_ne!(again.public_key, withdrawal.public_key);
    assert_ne!(again.principal, withdrawal.principal);
}

#[test]
fn a_withdrawal_before_anything_was_said_says_nothing() {
    let room = Room::new();
    room.agent.grant(&[Category::Status], None).unwrap();
    room.agent.withdraw(None).unwrap();
    assert_eq!(room.agent.errand().unwrap(), None);
    assert_eq!(room.agent.withdraw(None).unwrap(), Withdrawn::Nothing);
}

#[test]
fn a_withdrawal_of_a_part_seals_the_rest_again() {
    let room = Room::granted(&[Category::Status, Category::PrintTime, Category::Identity]);
    room.print();
    room.agent.seal_all().unwrap();
    let all = told(&room.spool()[&1]);
    assert_eq!(all, [Category::Status, Category::PrintTime, Category::Identity].into());
    room.day();
    room.agent.withdraw(Some(&[Category::PrintTime, Category::Identity])).unwrap();
    assert_eq!(told(&room.spool()[&2]), [Category::Status].into());
    assert_eq!(room.spool().len(), 1);
    room.agent.seal_all().unwrap();
    assert_eq!(told(&room.spool()[&3]), [Category::Status].into());
    assert!(room.offered().is_empty(), "the withdrawal comes first");
    room.announce();
    assert_eq!(room.offered().len(), 2);
    // What was offered may be stored: the rest of it under another number would count twice.
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    room.announce();
    room.print();
    room.agent.seal_all().unwrap();
    assert_eq!(room.offered().len(), 3);
    room.agent.withdraw(Some(&[Category::PrintTime])).unwrap();
    assert_eq!(room.spool().keys().copied().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_withdrawal_that_cannot_be_written_binds_all_the_same() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    room.print();
    room.agent.seal_all().unwrap();
    assert_eq!(room.offered().len(), 1);
    // The store is closed and cannot be opened, as on a full disk.
    let place = room.folder.path().join("store");
    let away = room.folder.path().join("away");
    room.agent.lock().store.close();
    std::fs::rename(&place, &away).unwrap();
    std::fs::write(&place, "no folder").unwrap();
    let heard = room.agent.changes().borrow().withdrawals;
    assert!(room.agent.withdraw(Some(&[Category::Status])).is_err());
    assert!(room.agent.errand().is_err(), "something would be offered");
    assert!(room.agent.changes().borrow().withdrawals > heard, "the line is not cut");
    std::fs::remove_file(&place).unwrap();
    std::fs::rename(&away, &place).unwrap();
    assert_eq!(room.agent.errand().unwrap().unwrap().says, Says::Event);
    assert_eq!(room.agent.lock().state.flags.flag(Category::Status), Flag::Refused);
    assert!(room.spool().is_empty());
}

#[test]
fn a_refusal_of_what_was_never_granted_stays_on_the_device() {
    let room = Room::new();
    assert_eq!(room.agent.refuse(&[Category::Laser]).unwrap(), Withdrawn::Nothing);
    assert_eq!(room.agent.lock().state.flags.flag(Category::Laser), Flag::Refused);
    assert_eq!(room.agent.errand().unwrap(), None);
}

#[test]
fn a_wrong_token_takes_the_grant_back() {
    let room = Room::new();
    room.agent.grant(&[Category::Status], Some([7; 32])).unwrap();
    let event = room.event().unwrap();
    let refused = room.collector.receipt(&event, ReceiptStatus::TokenInvalid);
    room.agent.on_receipt(&refused).unwrap();
    assert_eq!(room.agent.lock().state.flags.flag(Category::Status), Flag::Refused);
}

#[test]
fn a_wrong_token_drops_its_grant_and_keeps_the_others() {
    let room = Room::granted(&[Category::PrintTime]);
    room.agent.grant(&[Category::Status], Some([7; 32])).unwrap();
    let event = room.event().unwrap();
    let commits = room.agent.lock().store.commits();
    let refused = room.collector.receipt(&event, ReceiptStatus::TokenInvalid);
    room.agent.on_receipt(&refused).unwrap();
    let events = room.agent.lock().waiting(b"").unwrap();
    assert_eq!(events.iter().map(super::event::Waiting::asks).collect::<Vec<_>>(), [false]);
    // The numbers are one, all that they are for is the other.
    assert_eq!(room.agent.lock().store.commits() - commits, 2);
}

#[test]
fn a_grant_that_waits_does_not_survive_its_withdrawal() {
    let room = Room::new();
    let [kept, gone] = [Category::Status, Category::PrintTime];
    room.agent.grant(&[kept, gone], None).unwrap();
    let (offered, _) = said(&room.event().unwrap());
    room.agent.grant(&[Category::Material], None).unwrap();
    room.agent.withdraw(Some(&[gone, Category::Material])).unwrap();
    let events = room.agent.lock().waiting(b"").unwrap();
    let told: Vec<_> =
        events.iter().map(|event| (event.asks(), event.said.categories.clone())).collect();
    let withdrawn = vec![gone, Category::Material];
    assert_eq!(told, [(true, vec![kept]), (false, withdrawn)]);
    assert!(events.iter().all(|event| event.sequence > offered.sequence + 1));
    let (first, _) = said(&room.event().unwrap());
    assert_eq!(first.categories, [kept.number()]);
    room.announce();
}

#[test]
fn a_late_grant_keeps_its_date_while_the_collector_takes_it() {
    let room = Room::new();
    room.agent.grant(&[Category::Status], None).unwrap();
    (0..OLDEST_RECORD_DAYS).for_each(|_| room.next_day());
    let (late, _) = said(&room.event().unwrap());
    assert_eq!((late.date, late.sequence), (TODAY.0, 1));
    room.next_day();
    let (later, _) = said(&room.event().unwrap());
    assert_eq!((later.date, later.sequence), (TODAY.0 + OLDEST_RECORD_DAYS + 1, 2));
}

#[test]
fn only_a_refused_date_is_made_anew_and_the_order_stays() {
    let room = Room::granted(&[Category::Status, Category::Laser]);
    room.agent.withdraw(Some(&[Category::Laser])).unwrap();
    room.agent.grant(&[Category::Laser], None).unwrap();
    let refuse = |status| {
        let event = room.event().unwrap();
        room.agent.on_receipt(&room.collector.receipt(&event, status)).unwrap();
        said(&event).0
    };
    // The withdrawal is refused: the grant after it may not overtake it, today or later.
    let withdrawal = refuse(ReceiptStatus::SequenceReused);
    assert_eq!((withdrawal.decision(), room.event()), (Decision::Withdrawn, None));
    room.next_day();
    let again = said(&room.event().unwrap()).0;
    assert_eq!((again.decision(), again.date), (Decision::Withdrawn, TODAY.0));
    let heard = |event: &[u8]| room.collector.receipt(event, ReceiptStatus::Recorded);
    room.agent.on_receipt(&heard(&room.event().unwrap())).unwrap();
    let granted = refuse(ReceiptStatus::PolicyUnknown);
    assert_eq!((granted.decision(), granted.date), (Decision::Granted, TODAY.0));
    assert!(granted.sequence > again.sequence);
    room.next_day();
    assert_eq!(refuse(ReceiptStatus::DateOutOfRange).date, TODAY.0);
    room.next_day();
    assert_eq!(said(&room.event().unwrap()).0.date, TODAY.0 + 3);
}

#[test]
fn a_refused_grant_does_not_hold_up_a_withdrawal() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    room.agent.grant(&[Category::Material], None).unwrap();
    let event = room.event().unwrap();
    let refused = room.collector.receipt(&event, ReceiptStatus::PolicyUnknown);
    room.agent.on_receipt(&refused).unwrap();
    room.agent.withdraw(Some(&[Category::Status])).unwrap();
    let (withdrawal, _) = said(&room.event().unwrap());
    assert_eq!(withdrawal.decision(), Decision::Withdrawn);
    room.announce();
    room.next_day();
    let (grant, _) = said(&room.event().unwrap());
    assert_eq!(grant.decision(), Decision::Granted);
    assert!(grant.sequence > withdrawal.sequence);
}

#[test]
fn what_the_collector_holds_without_a_yes_is_withdrawn_again() {
    let room = Room::granted(&[Category::Status]);
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    let event = room.event().unwrap();
    let held = [Category::Status, Category::PrintTime, Category::Laser].into();
    let tell = |event: &[u8]| {
        let receipt = room.collector.receipt_naming(event, ReceiptStatus::Recorded, &held);
        room.agent.on_receipt(&receipt).unwrap();
    };
    tell(&event);
    let event = room.event().unwrap();
    let (withdrawal, _) = said(&event);
    assert_eq!(withdrawal.decision(), Decision::Withdrawn);
    assert_eq!(withdrawal.categories, [Category::Laser.number()]);
    // A collector that stays deaf is told once a day.
    tell(&event);
    assert_eq!(room.event(), None);
    room.next_day();
    room.announce();
    assert_eq!(room.agent.show().unwrap().events_waiting, 0);
}

#[test]
fn the_numbers_of_a_retired_key_are_its_own() {
    let room = Room::granted(&[Category::Status]);
    room.agent.withdraw(None).unwrap();
    let retired = room.agent.errand().unwrap().unwrap().subject;
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    let agent = room.agent.lock();
    let (mut draft, identity) = (agent.draft(), agent.state.identity.clone().unwrap());
    let (of, _) = agent.reserve(&mut draft, retired, 1).unwrap();
    assert_eq!(of.subject(), retired);
    assert_eq!(draft.state.identity.unwrap().next_event, identity.next_event);
}

#[test]
fn a_date_tells_ten_prints_and_one_day_in_all_batches_together() {
    let room = Room::granted(&[Category::Status]);
    for count in 0..12 {
        let expected = if count < 10 { Recorded::Kept } else { Recorded::BeyondDate };
        assert_eq!(room.print(), expected);
        room.agent.seal_prints().unwrap();
    }
    assert_eq!(room.day(), Recorded::Kept);
    room.agent.seal_all().unwrap();
    assert_eq!(room.day(), Recorded::BeyondDate);
    let batches: Vec<_> = room.spool().values().map(|frame| batch(frame)).collect();
    assert_eq!(batches.iter().map(|batch| batch.prints.len()).sum::<usize>(), 10);
    assert_eq!(batches.iter().map(|batch| batch.days.len()).sum::<usize>(), 1);
}

#[test]
fn of_two_parts_of_a_day_the_one_that_began_first_is_told() {
    let room = Room::granted(&[Category::Status]);
    let long = room.clock.now();
    let record = |observed, started| {
        let status = Some(DayStatus { observed, ..DayStatus::default() });
        let report = DayReport { date: TODAY.0, status, ..DayReport::default() };
        room.agent.record_day(&report, started).unwrap()
    };
    assert_eq!(record(3, UnixSeconds(long.0 + 60)), Recorded::Kept);
    assert_eq!(record(4, long), Recorded::Kept);
    assert_eq!(record(2, UnixSeconds(long.0 + 7200)), Recorded::BeyondDate);
    room.agent.seal_all().unwrap();
    let told = batch(&room.spool()[&1]).days.remove(0);
    assert_eq!(told.status.unwrap().observed, 4);
}

/// Puts a frame into the spool that was sealed under another contract or cannot be read.
fn smuggle(room: &Room, sequence: u64, offered: bool, frame: &[u8]) {
    let mut agent = room.agent.lock();
    let mut draft = agent.draft();
    draft.spool(sequence, frame, 1);
    draft.state.counts.sealed += 1;
    draft.state.counts.collected += 1;
    let value = super::spool::wrap(sequence, offered, 1, frame);
    draft.change.put(Space::Spool, &sequence.to_be_bytes(), &value);
    agent.commit(draft).unwrap();
}

/// A frame as an older version sealed it.
fn older(room: &Room, sequence: u64) -> Vec<u8> {
    let key = room.agent.lock().state.identity.clone().unwrap().key();
    let mut batch = batch(room.spool().values().next().unwrap());
    let header = batch.header.as_mut().unwrap();
    (header.contract_hash, header.sequence) = (vec![7; 32], sequence);
    let batch = canonical::encode(&batch);
    let signature = key.sign(Domain::Batch, &batch);
    frame::seal(batch, signature).unwrap()
}

#[test]
fn after_an_update_what_can_be_read_is_sealed_again_and_the_rest_goes() {
    let room = Room::granted(&[Category::Status]);
    room.print();
    room.agent.seal_all().unwrap();
    let (fresh, sent) = (older(&room, 901), older(&room, 902));
    smuggle(&room, 901, false, &fresh);
    smuggle(&room, 902, true, &sent);
    smuggle(&room, 903, true, &[9; 512]);
    let room = room.restart();
    assert_eq!(room.spool().keys().copied().collect::<Vec<_>>(), [1, 2, 902]);
    let [old, again] = [1, 2].map(|number| batch(&room.spool()[&number]));
    assert_eq!(old.prints, again.prints);
    assert_eq!(again.header.unwrap().contract_hash, contract().hash());
    assert_eq!(room.spool()[&902], sent, "it may be stored: its verdict tells");
    let purged = |line: &Line| matches!(line.noted, Noted::Unreadable { purged: 1 });
    assert_eq!(room.agent.log().unwrap().iter().filter(|line| purged(line)).count(), 1);
    let refused = room.collector.verdict(&sent, RefusalReason::ContractUnsupported, &[]);
    room.agent.on_verdict(&refused).unwrap();
    assert_eq!(room.spool().keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert!(!room.agent.show().unwrap().contract_unsupported);
}

#[test]
fn a_frame_that_cannot_be_read_goes_with_a_withdrawal_of_a_part() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    smuggle(&room, 1, false, &[9; 512]);
    let gone = room.agent.withdraw(Some(&[Category::PrintTime])).unwrap();
    assert_eq!(gone, Withdrawn::Part(vec![Category::PrintTime]));
    assert!(room.spool().is_empty());
}

#[test]
fn a_batch_under_an_older_policy_is_sealed_again_under_the_recorded_one() {
    let mut room = Room::granted(&[Category::Status]);
    room.print();
    room.agent.seal_all().unwrap();
    let policy_of = |frame: &[u8]| batch(frame).header.unwrap().policy_hash;
    let first = policy_of(&room.spool()[&1]);
    room.agent.lock().settings.policy.hash = Digest([5; 32]);
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    room.print();
    room.agent.seal_all().unwrap();
    assert_eq!(policy_of(&room.spool()[&2]), first, "not recorded yet");
    assert_eq!(said(&room.event().unwrap()).0.policy_hash, [5; 32]);
    room.announce();
    room = room.restart();
    let refused = room.spool()[&1].clone();
    let verdict = room.collector.verdict(&refused, RefusalReason::PolicyMismatch, &[]);
    room.agent.on_verdict(&verdict).unwrap();
    assert_eq!(room.spool().keys().copied().collect::<Vec<_>>(), [2, 3]);
    let again = room.spool()[&3].clone();
    assert_eq!((policy_of(&again), batch(&again).prints), (vec![5; 32], batch(&refused).prints));
    let verdict = room.collector.verdict(&again, RefusalReason::PolicyMismatch, &[]);
    room.agent.on_verdict(&verdict).unwrap();
    assert_eq!(room.spool().len(), 1, "the same again would be refused for ever");
}

#[test]
fn a_day_is_sealed_when_it_is_over() {
    let room = Room::granted(&[Category::Status]);
    room.print();
    room.day();
    assert_eq!(room.agent.seal_before(TODAY).unwrap(), Sealed::default());
    assert_eq!(room.agent.preview().unwrap().kind, PreviewKind::NotSealed);
    let room = room.restart();
    assert_eq!(room.agent.seal_before(UtcDate(TODAY.0 + 1)).unwrap().batches, 1);
    let preview = room.agent.preview().unwrap();
    assert_eq!((preview.kind, preview.bytes.len()), (PreviewKind::Next, 512));
}

#[test]
fn the_preview_shows_the_day_so_far_and_stores_nothing_of_it() {
    let rig = Room::new();
    let day = DayReport {
        date: rig.clock.today().0,
        machine: Some(DayMachine { model: 3, ..DayMachine::default() }),
        slicing: Some(DaySlicing { slices: 2, ..DaySlicing::default() }),
        ..DayReport::default()
    };
    let since = rig.clock.now();
    rig.agent.show_so_far(Some(&day), since);
    let preview = rig.agent.preview().unwrap();
    assert_eq!((preview.kind, preview.rows.len()), (PreviewKind::NotSent, 2));
    rig.agent.grant(&[Category::Machine], None).unwrap();
    let preview = rig.agent.preview().unwrap();
    let fields: Vec<_> = preview
        .rows
        .iter()
        .filter(|row| row.record == "day")
        .map(|row| row.field.as_str())
        .collect();
    assert_eq!((preview.kind, fields), (PreviewKind::NotSealed, vec!["model"]));
    assert_eq!(rig.agent.seal_all().unwrap().batches, 0, "nothing of it is stored");
    rig.agent.show_so_far(None, since);
    assert_eq!(rig.agent.preview().unwrap().kind, PreviewKind::Nothing);
}

#[test]
fn numbers_survive_a_restart() {
    let mut room = Room::granted(&[Category::Status]);
    for number in 1..4 {
        room.print();
        room.agent.seal_all().unwrap();
        assert_eq!(room.spool().keys().copied().collect::<Vec<_>>(), [number]);
        let frame = room.spool()[&number].clone();
        let stored = room.collector.verdict(&frame, RefusalReason::Unspecified, &[]);
        room.agent.on_verdict(&stored).unwrap();
        room = room.restart();
    }
}

#[test]
fn one_store_has_one_agent() {
    let room = Room::new();
    let second = open(room.folder.path(), &room.clock, &room.collector, SPOOL_BYTES_MAX);
    assert!(matches!(second, Err(AgentError::Store(StoreError::InUse))));
}

#[derive(Clone, Debug)]
enum Op {
    Grant(usize),
    Withdraw(usize),
    WithdrawAll,
    Print,
    Day,
    Seal,
    Announce,
    /// The collector records the next event, and its receipt is lost.
    Lose,
    /// The collector refuses the next event.
    RefuseEvent(ReceiptStatus),
    Offer,
    Store,
    Refuse(usize),
    NextDay,
    /// Nothing is heard for so many days.
    Away(u32),
    /// All that is granted is granted again.
    Renew,
    /// The collector records the next event and cannot prove it.
    Unproven,
    /// The owner erases everything.
    Erase,
    /// The owner asks what is held.
    Explain,
    /// The collector answers what the owner asked.
    Converse(RightsStatus),
    /// The printer changes hands.
    Handover,
    Restart,
}

const ASKED: [Category; 4] =
    [Category::PrintTime, Category::Material, Category::Status, Category::Identity];

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..4_usize).prop_map(Op::Grant),
        1 => (0..4_usize).prop_map(Op::Withdraw),
        1 => Just(Op::WithdrawAll),
        4 => Just(Op::Print),
        2 => Just(Op::Day),
        4 => Just(Op::Seal),
        3 => Just(Op::Announce),
        2 => Just(Op::Lose),
        1 => Just(Op::RefuseEvent(ReceiptStatus::PolicyUnknown)),
        1 => Just(Op::RefuseEvent(ReceiptStatus::DateOutOfRange)),
        1 => Just(Op::RefuseEvent(ReceiptStatus::SequenceReused)),
        1 => Just(Op::RefuseEvent(ReceiptStatus::TokenInvalid)),
        1 => (2..50_u32).prop_map(Op::Away),
        1 => Just(Op::Renew),
        1 => Just(Op::Unproven),
        1 => Just(Op::Erase),
        1 => Just(Op::Explain),
        1 => Just(Op::Converse(RightsStatus::Done)),
        1 => Just(Op::Converse(RightsStatus::Accepted)),
        1 => Just(Op::Handover),
        3 => Just(Op::Offer),
        2 => Just(Op::Store),
        1 => (0..4_usize).prop_map(Op::Refuse),
        1 => Just(Op::NextDay),
        1 => Just(Op::Restart),
    ]
}

/// Every batch and every record is accounted for, here and in the store.
#[track_caller]
fn reconciled(room: &Room) -> Overview {
    let overview = room.agent.show().unwrap();
    let pending = u64::try_from(overview.reports_pending).unwrap();
    let held = room.spool();
    assert_eq!(overview.batches_waiting, u64::try_from(held.len()).unwrap());
    let records = held.values().filter_map(|frame| seal::opened(frame).ok());
    let records = records.map(|batch| super::spool::records(&batch)).sum::<u64>();
    assert_eq!(overview.counts.records.waiting, records);
    assert!(overview.counts.reconciles(overview.batches_waiting, pending), "{overview:?}");
    overview
}

/// What must hold after each operation, from the outside of the decisions.
#[derive(Default)]
struct Model {
    granted: BTreeSet<Category>,
    /// What the collector recorded last: number and granted set, by subject.
    ledger: BTreeMap<Vec<u8>, (u64, BTreeSet<Category>)>,
    /// Every frame that was ever spooled, by subject and number.
    frames: BTreeMap<(Vec<u8>, u64), Vec<u8>>,
    /// Whether a receipt was not to be believed, and none since was.
    doubt: bool,
}

impl Model {
    fn check(&mut self, room: &Room) {
        for (sequence, bytes) in room.spool() {
            let header = batch(&bytes).header.unwrap();
            assert_eq!(header.sequence, sequence);
            let signed: SignedBatch = frame::open(contract(), &bytes).unwrap();
            let key = room.agent.lock().state.identity.as_ref().unwrap().key();
            assert_eq!(header.subject, key.subject().0);
            let key = VerifyingKey::from_bytes(&key.public()).unwrap();
            assert!(key.verifies(Domain::Batch, &signed.batch, &signed.signature));
            assert!(told(&bytes).is_subset(&self.granted), "a withdrawn section is spooled");
            let place = (header.subject.clone(), sequence);
            if let Some(before) = self.frames.get(&place) {
                assert_eq!(before, &bytes, "a number was used twice");
                continue;
            }
            let mut others = self.frames.keys().filter(|(subject, _)| *subject == place.0);
            assert!(others.all(|(_, number)| *number < sequence), "a number went back");
            self.frames.insert(place, bytes);
        }
        if self.granted.is_empty() {
            assert!(room.spool().is_empty() && room.agent.lock().state.identity.is_none());
        }
        reconciled(room);
        let flags = room.agent.show().unwrap().categories;
        for state in flags {
            assert_eq!(state.flag == Flag::Granted, self.granted.contains(&state.category));
        }
    }

    fn apply(&mut self, mut room: Room, op: &Op) -> Room {
        match *op {
            Op::Grant(place) => {
                room.agent.grant(&[ASKED[place]], None).unwrap();
                self.granted.insert(ASKED[place]);
            }
            Op::Withdraw(place) => {
                room.agent.withdraw(Some(&[ASKED[place]])).unwrap();
                self.granted.remove(&ASKED[place]);
            }
            Op::WithdrawAll => {
                room.agent.withdraw(None).unwrap();
                self.granted.clear();
            }
            Op::Print => drop(room.print()),
            Op::Day => drop(room.day()),
            Op::Seal => drop(room.agent.seal_all().unwrap()),
            Op::Announce => {
                while let Some(event) = room.event() {
                    self.tell(&room, &event);
                }
            }
            Op::Lose => {
                if let Some(event) = room.event() {
                    self.fold(&room, &event);
                }
            }
            Op::RefuseEvent(status) => self.refuse_event(&room, status),
            Op::Renew => match room.agent.renew(None) {
                Err(error) => assert!(error.refuses(), "{error}"),
                Ok(renewed) => {
                    assert_eq!(renewed.into_iter().collect::<BTreeSet<_>>(), self.granted);
                }
            },
            Op::Unproven => self.disbelieved(&room),
            Op::Erase => {
                room.agent.exercise(&Exercise::Erase {}).unwrap();
                self.granted.clear();
            }
            Op::Explain => match room.agent.exercise(&Exercise::Explain {}) {
                Err(error) => assert!(error.refuses(), "{error}"),
                Ok(lines) => assert!(!lines.is_empty()),
            },
            Op::Converse(status) => self.converse(&room, status),
            Op::Handover => {
                room.agent.handover().unwrap();
                self.granted.clear();
            }
            Op::Offer => {
                if let Some(frame) = room.offered().first() {
                    assert!(!self.doubt, "offered in doubt");
                    let subject = batch(&frame.bytes).header.unwrap().subject;
                    let (_, granted) = &self.ledger[&subject];
                    assert_eq!(*granted, self.granted, "offered before a receipt");
                }
            }
            Op::Away(days) => (0..days).for_each(|_| room.next_day()),
            Op::Store => Self::answer(&room, RefusalReason::Unspecified, 0),
            Op::Refuse(place) => Self::answer(&room, RefusalReason::NoGrant, place),
            Op::NextDay => room.next_day(),
            Op::Restart => room = room.restart(),
        }
        room
    }

    /// What the collector does with an event.
    fn fold(&mut self, room: &Room, event: &[u8]) -> ReceiptStatus {
        let (event, _) = said(event);
        let subject = SigningSubject::of(&event).to_vec();
        let (number, granted) = self.ledger.entry(subject).or_default();
        if event.sequence <= *number {
            return ReceiptStatus::SequenceReused;
        }
        let grants = matches!(event.decision(), Decision::Granted | Decision::Renewed);
        let age = room.clock.today().0 - event.date;
        if grants && age > OLDEST_RECORD_DAYS {
            return ReceiptStatus::DateOutOfRange;
        }
        *number = event.sequence;
        for category in event.categories.iter().map(|&c| Category::from_number(c).unwrap()) {
            if grants {
                granted.insert(category)
            } else {
                granted.remove(&category)
            };
        }
        ReceiptStatus::Recorded
    }

    /// The collector hears an event and answers; of a repeat it repeats the answer.
    fn tell(&mut self, room: &Room, event: &[u8]) {
        let (told, _) = said(event);
        let subject = SigningSubject::of(&told).to_vec();
        let repeat = self.ledger.get(&subject).is_some_and(|(number, _)| *number == told.sequence);
        let status = if repeat { ReceiptStatus::Recorded } else { self.fold(room, event) };
        assert_eq!(status, ReceiptStatus::Recorded);
        let granted = &self.ledger[&subject].1;
        let receipt = room.collector.receipt_naming(event, status, granted);
        assert_eq!(room.agent.on_receipt(&receipt).unwrap(), Heard::Receipt(status));
        self.doubt = false;
    }

    fn disbelieved(&mut self, room: &Room) {
        let Some(event) = room.event() else { return };
        self.fold(room, &event);
        let mut receipt = room.collector.answer(&event, ReceiptStatus::Recorded);
        receipt.nonce = vec![1; 32];
        let heard = room.agent.on_receipt(&room.collector.sign_receipt(&receipt)).unwrap();
        assert!(matches!(heard, Heard::Ignored(Ignored::Unproven)), "{heard:?}");
        self.doubt = true;
    }

    /// What is erased is withdrawn, and its key is gone.
    fn converse(&mut self, room: &Room, status: RightsStatus) {
        for request in room.converse(status) {
            let subject = SubjectId::of(request.public_key.as_slice().try_into().unwrap());
            if request.verb() == Verb::Erase {
                self.ledger.entry(subject.0.to_vec()).or_default().1.clear();
            }
            if request.verb() == Verb::Erase && status == RightsStatus::Done {
                let agent = room.agent.lock();
                assert_eq!(agent.store.get(Space::Retired, &subject.0).unwrap(), None);
            }
        }
    }

    fn refuse_event(&mut self, room: &Room, status: ReceiptStatus) {
        let Some(event) = room.event() else { return };
        let (told, _) = said(&event);
        let recorded = self.ledger.get(SigningSubject::of(&told).as_slice());
        if recorded.is_some_and(|(number, _)| *number == told.sequence) {
            return;
        }
        // The collector turns a withdrawal away only for its number.
        let grants = matches!(told.decision(), Decision::Granted | Decision::Renewed);
        let status = if grants { status } else { ReceiptStatus::SequenceReused };
        room.agent.on_receipt(&room.collector.receipt(&event, status)).unwrap();
        if status == ReceiptStatus::TokenInvalid {
            for category in told.categories {
                self.granted.remove(&Category::from_number(category).unwrap());
            }
        }
    }

    /// Everything is delivered: both sides say the same.
    fn settle(&mut self, room: &Room) {
        room.next_day();
        while let Some(event) = room.event() {
            self.tell(room, &event);
        }
        let overview = room.agent.show().unwrap();
        assert_eq!(overview.events_waiting, 0);
        let ours = overview.subject.map(|subject| subject.0.to_vec());
        for (subject, (_, granted)) in &self.ledger {
            let expected =
                if Some(subject) == ours.as_ref() { &self.granted } else { &BTreeSet::new() };
            assert_eq!(granted, expected);
        }
    }

    fn answer(room: &Room, reason: RefusalReason, place: usize) {
        let Some((_, frame)) = room.spool().pop_first() else { return };
        let stored = reason == RefusalReason::Unspecified;
        let categories: &[Category] = if stored { &[] } else { &ASKED[place..=place] };
        let verdict = room.collector.verdict(&frame, reason, categories);
        room.agent.on_verdict(&verdict).unwrap();
        assert!(room.spool().values().all(|left| *left != frame));
        assert!(room.agent.lock().state.spool_bytes < u64::MAX / 2);
    }
}

proptest! {
    #[test]
    fn whatever_happens_only_what_is_granted_waits(
        ops in proptest::collection::vec(op(), 1..40),
        spool_bytes_max in prop_oneof![Just(SPOOL_BYTES_MAX), Just(1024), Just(256)],
    ) {
        let (mut room, mut model) = (Room::with_spool(spool_bytes_max), Model::default());
        for op in &ops {
            room = model.apply(room, op);
            model.check(&room);
        }
        let bytes = room.spool().values().map(|frame| u64::try_from(frame.len()).unwrap()).sum::<u64>();
        prop_assert_eq!(room.agent.show().unwrap().spool_bytes, bytes);
        prop_assert!(bytes <= spool_bytes_max);
        model.settle(&room);
    }
}
