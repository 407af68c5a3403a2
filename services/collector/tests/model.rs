//! The model: grants, withdrawals, batches, restrictions, erasures, backups and restores in any
//! order, with crashes and a clock that jumps, beside a naive account of what must be true
//! (INV-1, INV-3, INV-5, INV-9, INV-10).
//!
//! `IMPRIMATUR_MODEL_OPERATIONS` sets how many operations are tried; the default is 5,000, a nightly
//! run takes 100,000. A failure prints the shortest sequence that fails, and its seed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it saw"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use imprimatur_collector::CollectorSettings;
use imprimatur_collector::admit::admit;
use imprimatur_collector::answer::Signer;
use imprimatur_collector::gate::Inspected;
use imprimatur_collector::offered::Offered;
use imprimatur_collector::publisher::{Publisher, Stores};
use imprimatur_collector::record_consent::{Desk, Verified, record};
use imprimatur_collector::restore::restore;
use imprimatur_collector::rights::exercise::{Party, exercise};
use imprimatur_collector::rights::reading::Readings;
use imprimatur_collector::rights::request::Wish;
use imprimatur_collector::tally::Tally;
use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::standing::{Grounds, Restriction};
use imprimatur_consent::{Category, Domain, Policy, SigningSeed, SubjectId};
use imprimatur_lake::{Catalogue, Lake};
use imprimatur_ledger::Book;
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, Receipt, ReceiptStatus, SignedConsentEvent,
    SignedReceipt,
};
use imprimatur_proto::ingest::v1::{Outcome, SignedVerdict, Verdict};
use imprimatur_proto::rights::v1::{ComplaintTopic, RightsStatus};
use imprimatur_proto::telemetry::v1::{
    Batch, BatchHeader, MaterialFamily, PrintMaterial, PrintReport, PrintTemperature, PrintTime,
};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::clock::ManualClock;
use imprimatur_runtime::{Clock as _, UnixSeconds, UtcDate};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

const START: UtcDate = UtcDate(20_778);
/// Owners at the same time.
const OWNERS: usize = 3;
/// Operations in one sequence.
const LENGTH: usize = 40;
/// Rounds, at most, until all that is wanted was seen.
const ROUNDS_MAX: u32 = 4;
/// What is granted and told.
const TOLD: [Category; 3] = [Category::PrintTime, Category::Temperature, Category::Material];

#[derive(Clone, Debug)]
enum Op {
    Grant(usize, u8),
    Renew(usize, u8),
    Withdraw(usize, u8),
    WithdrawAll(usize),
    Transfer(usize),
    Object(usize, u8),
    Batch(usize, u8, i64),
    /// Of what is granted, today.
    Print(usize),
    Repeat(usize),
    Restrict(usize),
    Hold(usize, u32),
    Release(usize),
    Erase(usize),
    Complain(usize),
    Publish,
    Crash,
    BackUp,
    Restore,
    Days(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let (who, what) = (0..OWNERS, 1..8_u8);
    prop_oneof![
        6 => (who.clone(), what.clone()).prop_map(|(who, what)| Op::Grant(who, what)),
        2 => (who.clone(), what.clone()).prop_map(|(who, what)| Op::Renew(who, what)),
        3 => (who.clone(), what.clone()).prop_map(|(who, what)| Op::Withdraw(who, what)),
        1 => who.clone().prop_map(Op::WithdrawAll),
        1 => who.clone().prop_map(Op::Transfer),
        1 => (who.clone(), what.clone()).prop_map(|(who, what)| Op::Object(who, what)),
        14 => who.clone().prop_map(Op::Print),
        4 => (who.clone(), what, -40..4_i64).prop_map(|(who, what, at)| Op::Batch(who, what, at)),
        2 => who.clone().prop_map(Op::Repeat),
        1 => who.clone().prop_map(Op::Restrict),
        1 => (who.clone(), 0..60_u32).prop_map(|(who, days)| Op::Hold(who, days)),
        3 => who.clone().prop_map(Op::Release),
        1 => who.clone().prop_map(Op::Erase),
        1 => who.prop_map(Op::Complain),
        5 => Just(Op::Publish),
        2 => Just(Op::Crash),
        2 => Just(Op::BackUp),
        2 => Just(Op::Restore),
        2 => (-3..9_i64).prop_map(Op::Days),
        1 => prop_oneof![(9..200_i64), (350..380_i64)].prop_map(Op::Days),
    ]
}

fn categories(mask: u8) -> Vec<Category> {
    let bits = TOLD.into_iter().zip([1, 2, 4]);
    bits.filter(|(_, bit)| mask & bit != 0).map(|(category, _)| category).collect()
}

/// The naive account of one key's life.
#[expect(clippy::struct_excessive_bools, reason = "each is one plain fact")]
#[derive(Clone, Debug, Default)]
struct Life {
    granted: BTreeMap<Category, (UtcDate, UtcDate)>,
    known: bool,
    ended: bool,
    restricted: bool,
    hold: Option<UtcDate>,
    erasing: bool,
    events: u64,
    batches: u64,
    /// What was asked, when, and by when it is done.
    asked: Vec<(&'static str, UtcDate, UtcDate)>,
}

impl Life {
    fn held(&self, today: UtcDate) -> bool {
        self.hold.is_some_and(|until| today <= until)
    }

    fn permits(&self, category: Category, date: UtcDate, today: UtcDate) -> bool {
        let Some((since, renewed)) = self.granted.get(&category) else { return false };
        let bound = self.restricted || self.held(today);
        let fresh = date.0 <= today.0 + 1 && today.0.saturating_sub(date.0) <= 35;
        !self.ended && !bound && date >= *since && date.max(today) < year_after(*renewed) && fresh
    }
}

/// A row that was stored.
#[derive(Clone, Debug)]
struct Kept {
    key: (usize, u32),
    date: UtcDate,
    categories: BTreeSet<Category>,
    /// Of its categories, those that no answer may use any more.
    unused: BTreeSet<Category>,
    /// Whether it is in the lake and not in the journal alone.
    published: bool,
    /// Whether the newest backup has it.
    backed_up: bool,
}

/// A year later by the calendar.
fn year_after(date: UtcDate) -> UtcDate {
    let text = date.to_string();
    let (year, rest) = text.split_once('-').unwrap();
    let year: u32 = year.parse().unwrap();
    let next = format!("{:04}-{rest}", year + 1).parse();
    next.unwrap_or_else(|_leap_day| format!("{:04}-02-28", year + 1).parse().unwrap())
}

/// What happened in all sequences together: a run in which something never happened proves nothing
/// about it.
type Seen = Rc<RefCell<BTreeMap<&'static str, u64>>>;

/// What must have happened.
const WANTED: [&str; 13] = [
    "stored",
    "refused",
    "repeated",
    "renewed",
    "withdrawn with rows",
    "objected with rows",
    "restricted with rows",
    "erased with rows",
    "erasure held",
    "expired rows",
    "lapsed",
    "rows lost",
    "asked before a restore",
];

/// The real collector, without its network, and the account beside it.
struct World {
    seen: Seen,
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    real: Option<Real>,
    /// The life of each owner's present key, and which key it is.
    lives: Vec<(u32, Life)>,
    rows: Vec<Kept>,
    /// The last frame of each owner with its verdict.
    last: BTreeMap<usize, (Vec<u8>, Vec<u8>)>,
    backup: Option<PathBuf>,
    backups: u32,
    /// Whether anything was asked since the newest backup.
    asked_since: bool,
    erased: Vec<SubjectId>,
    /// The newest day on which rows were let go.
    newest: UtcDate,
}

struct Real {
    book: Book,
    signer: Arc<Signer>,
    offered: Arc<Offered>,
    publisher: Publisher,
}

fn settings(data: &Path) -> CollectorSettings {
    CollectorSettings::local(data.to_owned())
}

impl Real {
    fn open(data: &Path, clock: &Arc<ManualClock>) -> Self {
        let settings = settings(data);
        let book = Book::open(data).unwrap();
        let signer = Arc::new(Signer::open(&settings.key()).unwrap());
        let offered = Offered::open(&book, &settings.policies, settings.published(), clock.now());
        let stores = Stores {
            book: book.clone(),
            signer: Arc::clone(&signer),
            readings: Arc::new(Readings::default()),
            tally: Arc::new(Tally::default()),
            clock: Arc::<ManualClock>::clone(clock),
        };
        let publisher = Publisher::open(&settings, stores).unwrap();
        Self { book, signer, offered: Arc::new(offered.unwrap()), publisher }
    }
}

impl World {
    fn new(seen: Seen) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(START.start());
        let real = Some(Real::open(&folder.path().join("data"), &clock));
        Self {
            seen,
            folder,
            clock,
            real,
            lives: vec![(0, Life::default()); OWNERS],
            rows: Vec::new(),
            last: BTreeMap::new(),
            backup: None,
            backups: 0,
            asked_since: false,
            erased: Vec::new(),
            newest: START,
        }
    }

    fn note(&self, what: &'static str) {
        *self.seen.borrow_mut().entry(what).or_default() += 1;
    }

    fn has_rows(&self, who: usize) -> bool {
        self.rows.iter().any(|row| row.key == self.of(who))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn real(&mut self) -> &mut Real {
        self.real.as_mut().unwrap()
    }

    fn today(&self) -> UtcDate {
        self.clock.now().date()
    }

    fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    fn key(&self, who: usize) -> SigningSeed {
        let which = u8::try_from(self.lives[who].0 % 250).unwrap();
        SigningSeed::from_seed(
            &[u8::try_from(who).unwrap() + 1, which].repeat(16).try_into().unwrap(),
        )
    }

    fn of(&self, who: usize) -> (usize, u32) {
        (who, self.lives[who].0)
    }

    /// The owner's next key, once the last one has said its last.
    fn begin_anew(&mut self, who: usize) {
        let (which, _) = self.lives[who];
        self.lives[who] = (which + 1, Life::default());
        self.last.remove(&who);
    }

    fn tell(&mut self, who: usize, decision: Decision, of: &[Category]) -> ReceiptStatus {
        let (key, now) = (self.key(who), self.now());
        let life = &mut self.lives[who].1;
        life.events += 1;
        let yes = matches!(decision, Decision::Granted | Decision::Renewed);
        let event = canonical::encode(&ConsentEvent {
            public_key: key.public().to_vec(),
            principal: key.subject().0.to_vec(),
            sequence: life.events,
            decision: decision.into(),
            categories: of.iter().map(|category| category.number()).collect(),
            policy_hash: Policy::read(STRICTEST).unwrap().hash.0.to_vec(),
            date: now.date().0,
            notice_language: if yes { b"en".to_vec() } else { Vec::new() },
            method: if yes { Method::Command.into() } else { Method::Unspecified.into() },
            affirmation: if yes {
                Affirmation::AgeAndAuthority.into()
            } else {
                Affirmation::Unspecified.into()
            },
            ..ConsentEvent::default()
        });
        let signature = key.sign(Domain::Consent, &event);
        let bytes = canonical::encode(&SignedConsentEvent { event, signature });
        let real = self.real();
        let txn = real.book.begin().unwrap();
        let log_key = real.book.log_public_key();
        let desk = Desk { signer: &real.signer, offered: &real.offered, log_key };
        let told = record(&txn, &desk, now, &Verified::of(&bytes).unwrap()).unwrap();
        txn.count(&told.counter, 1, now.date()).unwrap();
        txn.commit().unwrap();
        let signed: SignedReceipt = contract().decode(&told.receipt).unwrap();
        let receipt: Receipt = contract().decode(&signed.receipt).unwrap();
        receipt.status()
    }

    fn unuse(&mut self, who: usize, categories: &[Category]) {
        let key = self.of(who);
        for row in self.rows.iter_mut().filter(|row| row.key == key) {
            row.unused.extend(categories.iter().copied());
        }
    }

    fn grant(&mut self, who: usize, mask: u8, renew: bool) -> Result<(), TestCaseError> {
        if self.lives[who].1.erasing {
            return Ok(());
        }
        if self.lives[who].1.ended {
            self.begin_anew(who);
        }
        let (today, of) = (self.today(), categories(mask));
        let decision = if renew { Decision::Renewed } else { Decision::Granted };
        let status = self.tell(who, decision, &of);
        let life = &mut self.lives[who].1;
        let over = |(_, renewed): &(UtcDate, UtcDate)| today >= year_after(*renewed);
        let holds = |category| life.granted.get(category).is_some_and(|grant| !over(grant));
        let expected = !renew || of.iter().all(holds);
        prop_assert_eq!(status == ReceiptStatus::Recorded, expected, "{:?} {:?}", decision, status);
        if expected && renew {
            self.note("renewed");
        }
        let life = &mut self.lives[who].1;
        if expected {
            life.known = true;
            for category in of {
                let before = life.granted.get(&category).copied().filter(|grant| !over(grant));
                let since = before.map_or(today, |(since, _)| since);
                life.granted.insert(category, (since, today));
            }
        }
        Ok(())
    }

    fn withdraw(&mut self, who: usize, of: &[Category], decision: Decision) -> TestCaseResult {
        let before = self.lives[who].1.clone();
        if !before.known || before.erasing {
            return Ok(());
        }
        let status = self.tell(who, decision, of);
        prop_assert_eq!(status == ReceiptStatus::Recorded, !before.ended, "{:?}", status);
        if !before.ended {
            let gone: Vec<Category> = of
                .iter()
                .copied()
                .filter(|category| before.granted.contains_key(category))
                .collect();
            if !gone.is_empty() && self.has_rows(who) {
                self.note("withdrawn with rows");
            }
            self.unuse(who, &gone);
            let life = &mut self.lives[who].1;
            life.granted.retain(|category, _| !of.contains(category));
            life.ended = decision == Decision::Transferred || of.len() == Category::ALL.len();
        }
        Ok(())
    }

    fn submit(&mut self, frame: &[u8]) -> (Vec<u8>, Verdict) {
        let now = self.now();
        let real = self.real();
        let inspected = Inspected::of(frame).unwrap();
        let txn = real.book.begin().unwrap();
        let admitted = admit(&txn, &real.signer, now, &inspected).unwrap();
        txn.count(&admitted.counter, 1, now.date()).unwrap();
        txn.commit().unwrap();
        let signed: SignedVerdict = contract().decode(&admitted.verdict).unwrap();
        (admitted.verdict, contract().decode(&signed.verdict).unwrap())
    }

    fn batch(&mut self, who: usize, mask: u8, days: i64) -> TestCaseResult {
        let (key, today, of) = (self.key(who), self.today(), categories(mask));
        let date = UtcDate(u32::try_from(i64::from(today.0) + days).unwrap());
        let life = &mut self.lives[who].1;
        if !life.known {
            return Ok(());
        }
        life.batches += 1;
        let sequence = life.batches;
        let permitted = of.iter().all(|&category| life.permits(category, date, today));
        // Ten prints of a date, whatever has become of them since.
        let key_of = self.of(who);
        let told = self.rows.iter().filter(|row| row.key == key_of && row.date == date).count();
        let permitted = permitted && told < 10;
        let told = |category| of.contains(&category);
        let time = PrintTime { completed_duration: 7, ..Default::default() };
        let heat = PrintTemperature { nozzle_set_point: 8, ..Default::default() };
        let material = PrintMaterial { family: MaterialFamily::Pla.into(), ..Default::default() };
        let print = PrintReport {
            start_date: date.0,
            print_time: told(Category::PrintTime).then_some(time),
            temperature: told(Category::Temperature).then_some(heat),
            material: told(Category::Material).then_some(material),
            ..Default::default()
        };
        let header = BatchHeader {
            subject: key.subject().0.to_vec(),
            sequence,
            policy_hash: Policy::read(STRICTEST).unwrap().hash.0.to_vec(),
            contract_hash: contract().hash().to_vec(),
            identity_tag: Vec::new(),
            dropped: 0,
        };
        let batch = Batch { header: Some(header), prints: vec![print], days: Vec::new() };
        let batch = canonical::encode(&batch);
        let signature = key.sign(Domain::Batch, &batch);
        let frame = frame::seal(batch, signature).unwrap();
        let (bytes, verdict) = self.submit(&frame);
        let stored = verdict.outcome() == Outcome::Stored;
        prop_assert_eq!(stored, permitted, "{:?} of {:?}", verdict.reason(), date);
        self.note(if stored { "stored" } else { "refused" });
        if stored {
            let (key, unused) = (self.of(who), BTreeSet::new());
            let categories = of.into_iter().collect();
            let (published, backed_up) = (false, false);
            self.rows.push(Kept { key, date, categories, unused, published, backed_up });
        }
        self.last.insert(who, (frame, bytes));
        Ok(())
    }

    /// The same frame gets the same verdict, and nothing more is stored.
    fn repeat(&mut self, who: usize) -> TestCaseResult {
        let Some((frame, verdict)) = self.last.get(&who).cloned() else { return Ok(()) };
        if self.lives[who].1.erasing {
            return Ok(());
        }
        let (again, _) = self.submit(&frame);
        prop_assert_eq!(again, verdict);
        self.note("repeated");
        Ok(())
    }

    fn ask(&mut self, who: usize, wish: &Wish) -> RightsStatus {
        let (subject, now) = (self.key(who).subject(), self.now());
        let real = self.real();
        let txn = real.book.begin().unwrap();
        let outcome = exercise(&txn, &Party::operator(subject), wish, now).unwrap();
        txn.commit().unwrap();
        outcome.status
    }

    /// Enters what was asked, unless it was asked before or there was nothing to do.
    fn asked(&mut self, who: usize, wish: &Wish, status: RightsStatus) {
        let today = self.today();
        let life = &mut self.lives[who].1;
        let (verb, days) = match wish {
            Wish::Erase if life.erasing => return,
            Wish::Release if status == RightsStatus::Held => return,
            Wish::Restrict | Wish::Hold(_) => ("restrict", 0),
            Wish::Release => ("release", 0),
            Wish::Erase => ("erase", 30),
            Wish::Complain(_) => ("complain", 45),
            _ => ("object", 0),
        };
        life.asked.push((verb, today, UtcDate(today.0 + days)));
        self.asked_since = true;
    }

    fn rights(&mut self, op: &Op) -> TestCaseResult {
        let today = self.today();
        let (&who, wish) = match op {
            Op::Restrict(who) => (who, Wish::Restrict),
            Op::Release(who) => (who, Wish::Release),
            Op::Erase(who) => (who, Wish::Erase),
            Op::Complain(who) => (who, Wish::Complain(ComplaintTopic::Accuracy)),
            Op::Object(who, mask) => (who, Wish::Object(categories(*mask).into_iter().collect())),
            Op::Hold(who, days) => {
                let until = Some(UtcDate(today.0 + days));
                let restriction = Restriction { grounds: Grounds::Claim, since: today, until };
                (who, Wish::Hold(restriction))
            }
            _ => return Ok(()),
        };
        let status = self.ask(who, &wish);
        let before = self.lives[who].1.clone();
        prop_assert_eq!(status == RightsStatus::Unproven, !before.known);
        let done =
            matches!(status, RightsStatus::Done | RightsStatus::Accepted | RightsStatus::Held);
        if !done || !before.known {
            return Ok(());
        }
        self.asked(who, &wish, status);
        match wish {
            Wish::Object(of) => {
                let of: Vec<Category> = of.into_iter().collect();
                let held = |category: &&Category| before.granted.contains_key(category);
                let gone: Vec<Category> = of.iter().filter(held).copied().collect();
                if !gone.is_empty() && self.has_rows(who) {
                    self.note("objected with rows");
                }
                self.unuse(who, &gone);
                self.lives[who].1.granted.retain(|category, _| !of.contains(category));
            }
            Wish::Restrict => self.lives[who].1.restricted = true,
            Wish::Hold(Restriction { until, .. }) => {
                let life = &mut self.lives[who].1;
                life.hold = life.hold.filter(|_| before.held(today)).max(until);
            }
            Wish::Release if status == RightsStatus::Done => {
                let life = &mut self.lives[who].1;
                if before.held(today) {
                    life.hold = None;
                } else {
                    life.restricted = false;
                }
            }
            Wish::Erase => {
                prop_assert_eq!(status == RightsStatus::Held, before.held(today));
                let life = &mut self.lives[who].1;
                (life.erasing, life.ended) = (true, true);
                life.granted.clear();
                self.unuse(who, &Category::ALL);
                if !before.held(today) && !before.erasing {
                    // What is on its way never arrives.
                    let key = self.of(who);
                    self.rows.retain(|row| row.key != key || row.published);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Publishes, and compares the lake with the account.
    fn publish(&mut self) -> TestCaseResult {
        let today = self.today();
        self.real().publisher.publish().unwrap();
        for who in 0..OWNERS {
            let over = |(_, renewed): &(UtcDate, UtcDate)| today >= year_after(*renewed);
            let life = &mut self.lives[who].1;
            let lapsed: Vec<Category> =
                life.granted.iter().filter(|(_, grant)| over(grant)).map(|(c, _)| *c).collect();
            life.granted.retain(|_, grant| !over(grant));
            self.unuse(who, &lapsed);
            let life = &self.lives[who].1;
            if self.has_rows(who) && (life.restricted || life.held(today)) {
                self.note("restricted with rows");
            }
            if !lapsed.is_empty() {
                self.note("lapsed");
            }
            if life.erasing && life.held(today) {
                self.note("erasure held");
            }
            if life.erasing && !life.held(today) {
                if self.has_rows(who) {
                    self.note("erased with rows");
                }
                let key = self.of(who);
                self.rows.retain(|row| row.key != key);
                self.erased.push(self.key(who).subject());
                self.begin_anew(who);
            }
        }
        for row in &mut self.rows {
            row.published = true;
        }
        self.newest = self.newest.max(today);
        let oldest = self.newest.0.saturating_sub(90);
        let before = self.rows.len();
        self.rows.retain(|row| row.date.0 >= oldest);
        if self.rows.len() < before {
            self.note("expired rows");
        }
        self.registered()?;
        self.compare()
    }

    /// The register holds what each owner asked, with its days, and nothing else.
    fn registered(&mut self) -> TestCaseResult {
        for who in 0..OWNERS {
            let subject = self.key(who).subject();
            let entries = self.real().book.begin().unwrap().requests_of(subject).unwrap();
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| (entry.verb.as_str(), entry.received, entry.due))
                .collect();
            prop_assert_eq!(&entries, &self.lives[who].1.asked, "what owner {} asked", who);
        }
        Ok(())
    }

    fn compare(&self) -> TestCaseResult {
        let (data, today) = (self.data(), self.today());
        let catalogue = Catalogue::load(&data.join("lake")).unwrap();
        let lake = Lake::open(data.join("lake")).unwrap();
        let rows: Vec<_> =
            catalogue.files.iter().flat_map(|file| lake.read(file).unwrap()).collect();
        prop_assert_eq!(rows.len(), self.rows.len(), "rows in the lake");
        let out = |subject, category, commit| {
            catalogue.excluded.iter().any(|exclusion| {
                exclusion.subject == subject
                    && exclusion.category == category
                    && commit <= exclusion.up_to
            })
        };
        let used = |category| {
            let has = rows.iter().filter(|row| {
                row.sections.iter().any(|section| section.category == category)
                    && !out(row.subject, category, row.commit)
            });
            has.count()
        };
        let bound = |key: (usize, u32)| {
            let (which, life) = &self.lives[key.0];
            *which == key.1 && (life.restricted || life.held(today))
        };
        for category in TOLD {
            let expected = self.rows.iter().filter(|row| {
                row.categories.contains(&category)
                    && !row.unused.contains(&category)
                    && !bound(row.key)
            });
            prop_assert_eq!(used(category), expected.count(), "rows in use of {}", category);
        }
        self.verified(&data)
    }

    /// The verifier finds nothing, in a copy of the book as well. A day on which nothing was published is
    /// a day on which something was done late; that it is found is as it should be.
    fn verified(&self, data: &Path) -> TestCaseResult {
        let copy = self.folder.path().join("copy.redb");
        std::fs::copy(data.join("book.redb"), &copy).unwrap();
        let wanted = imprimatur_verifier::Wanted { book: Some(copy), ..Default::default() };
        let report = imprimatur_verifier::verify_all(data, &wanted, &mut |_| {}).unwrap();
        let late = |problem: &str| problem.starts_with("was due on");
        let mut findings = report.checks.iter().flat_map(|check| &check.findings);
        let fine = findings.all(|finding| late(&finding.problem));
        prop_assert!(fine && report.book.as_ref().is_some_and(|book| book.checked), "{}", report);
        Ok(())
    }

    fn reopen(&mut self) {
        self.real = None;
        self.real = Some(Real::open(&self.data(), &self.clock));
    }

    fn back_up(&mut self) -> TestCaseResult {
        self.publish()?;
        self.backups += 1;
        let to = self.folder.path().join(format!("backup-{}", self.backups));
        let now = self.now();
        self.real().book.back_up(&to, now).unwrap();
        for row in &mut self.rows {
            row.backed_up = true;
        }
        self.backup = Some(to);
        self.asked_since = false;
        Ok(())
    }

    /// The collector stops, yesterday's backup comes back, the collector starts.
    fn restore(&mut self) -> TestCaseResult {
        let Some(from) = self.backup.clone() else { return Ok(()) };
        self.publish()?;
        self.real = None;
        let restored = restore(&self.data(), &from, self.now());
        if restored.is_err() {
            // Too old: the collector goes on with what it has.
            let made = imprimatur_ledger::Backup::load(&from).unwrap();
            prop_assert!(made.expires <= self.today(), "{:?}", restored);
            self.reopen();
            return Ok(());
        }
        // What was stored after the backup is lost, and so are its verdicts.
        let before = self.rows.len();
        self.rows.retain(|row| row.backed_up);
        if self.rows.len() < before {
            self.note("rows lost");
        }
        if self.asked_since {
            self.note("asked before a restore");
        }
        self.last.clear();
        self.reopen();
        self.publish()
    }

    fn apply(&mut self, op: &Op) -> TestCaseResult {
        match op {
            Op::Grant(who, mask) => self.grant(*who, *mask, false),
            Op::Renew(who, mask) => {
                let (_, life) = &self.lives[*who];
                let usable = life.known && !life.ended;
                if usable { self.grant(*who, *mask, true) } else { Ok(()) }
            }
            Op::Withdraw(who, mask) => self.withdraw(*who, &categories(*mask), Decision::Withdrawn),
            Op::WithdrawAll(who) => self.withdraw(*who, &Category::ALL, Decision::Withdrawn),
            Op::Transfer(who) => self.withdraw(*who, &Category::ALL, Decision::Transferred),
            Op::Batch(who, mask, days) => self.batch(*who, *mask, *days),
            Op::Print(who) => {
                let granted = &self.lives[*who].1.granted;
                let bits = TOLD.into_iter().zip([1, 2, 4]);
                let held = bits.filter(|(category, _)| granted.contains_key(category));
                let mask = held.map(|(_, bit)| bit).sum();
                if mask == 0 { Ok(()) } else { self.batch(*who, mask, 0) }
            }
            Op::Repeat(who) => self.repeat(*who),
            Op::Publish => self.publish(),
            Op::Crash => {
                // What is not committed is nothing: a transaction is begun and never ended.
                let subject = self.key(0).subject();
                let (real, now) = (self.real(), START.start());
                let txn = real.book.begin().unwrap();
                exercise(&txn, &Party::operator(subject), &Wish::Erase, now).unwrap();
                drop(txn);
                self.reopen();
                Ok(())
            }
            Op::BackUp => self.back_up(),
            Op::Restore => self.restore(),
            Op::Days(days) => {
                let day = i64::from(self.today().0) + days;
                let day = UtcDate(u32::try_from(day).unwrap());
                self.clock.set(day.start());
                Ok(())
            }
            rights => self.rights(rights),
        }
    }

    /// Nothing below the data folder names a subject that was erased.
    fn forgotten(&self) -> TestCaseResult {
        let mut files = vec![self.data()];
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for subject in &self.erased {
                let hex = subject.to_string();
                let raw = bytes.windows(16).any(|part| part == subject.0);
                let text = bytes.windows(32).any(|part| part == hex.as_bytes());
                prop_assert!(!raw && !text, "{} names an erased subject", path.display());
            }
        }
        Ok(())
    }
}

fn operations() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "a test is told so how long it may run")]
    let told = std::env::var("IMPRIMATUR_MODEL_OPERATIONS");
    told.ok().and_then(|told| told.parse().ok()).unwrap_or(5_000)
}

#[test]
fn no_order_of_events_breaks_a_promise() {
    let cases = operations().div_ceil(u32::try_from(LENGTH).unwrap());
    let config =
        Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    let sequences = proptest::collection::vec(op(), LENGTH);
    let seen = Seen::default();
    // Few operations are for a look at one failure: they need not show everything.
    let missing = || {
        let (seen, few) = (seen.borrow(), operations() < 5_000);
        let wanted = WANTED.iter().filter(|_| !few);
        wanted.filter(|what| !seen.contains_key(*what)).copied().collect::<Vec<_>>()
    };
    // Chance alone can leave out what is rare: more sequences until all was seen, or never will be.
    for _ in 0..ROUNDS_MAX {
        let done = TestRunner::new(config.clone()).run(&sequences, |sequence| {
            let mut world = World::new(Rc::clone(&seen));
            for op in &sequence {
                world.apply(op)?;
            }
            world.publish()?;
            world.forgotten()
        });
        done.unwrap_or_else(|error| panic!("{error}"));
        if missing().is_empty() {
            break;
        }
    }
    assert!(missing().is_empty(), "never happened: {:?}", missing());
    println!("{} operations: {:?}", operations(), seen.borrow());
}
