//! What the ledger costs: disk and memory a subject, permit look-ups, appends with fsync.
//!
//! Peers, in the same run: for look-ups std's `HashMap` of whole standings; for appends `SQLite` with
//! `synchronous=FULL` in a write-ahead log (Python's own `sqlite3`), one row a transaction.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use imprimatur_consent::event::What;
use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::{
    Category, Digest, Domain, Policy, SigningSeed, Standing, SubjectId, Terms,
};
use imprimatur_ledger::{Book, Index};
use imprimatur_proto::canonical::encode;
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, SignedConsentEvent,
};
use imprimatur_runtime::UtcDate;

use crate::measure::{each, processor, rate, resident, say, size};

const TODAY: UtcDate = UtcDate(20_778);

/// Events committed together while a book is filled.
const GROUP: u32 = 4096;

/// Appends measured with one fsync each.
const APPENDS: u32 = 500;

/// What a look-up asks for.
const ASKED: Category = Category::PrintTime;

/// Most subjects for the peer in memory, which needs three times as much.
const MAP_MAX: u32 = 5_000_000;

/// Look-ups measured.
const LOOKUPS: u32 = 4_000_000;

/// Insertions of one row with one fsync each, by the peer.
const PEER: &str = "
import os, sqlite3, sys, time
path, count = sys.argv[1], int(sys.argv[2])
db = sqlite3.connect(path, isolation_level=None)
db.execute('pragma journal_mode=wal')
db.execute('pragma synchronous=full')
db.execute('create table events (position integer primary key, event blob)')
rows = [os.urandom(900) for _ in range(count)]
start = time.perf_counter()
for row in rows:
    db.execute('insert into events (event) values (?)', (row,))
print(count / (time.perf_counter() - start))
";

type Failed = Box<dyn Error>;

/// Runs for each number of subjects.
pub(crate) fn run(subjects: &[u32], folder: Option<&Path>) -> Result<(), Failed> {
    for &count in subjects {
        let place = match folder {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        say(&format!("{count} subjects, one grant of three categories each"));
        book(count, place.path())?;
        // Each in a process of its own, so that no memory that another freed is counted.
        let ours = alone(Held::Index, count)?;
        let peer = alone(Held::Map, count.min(MAP_MAX))?;
        say(&format!(
            "  memory                           {:>12} bytes a subject; HashMap of standings {}",
            ours.bytes, peer.bytes
        ));
        say(&format!(
            "  permit look-ups                  {:>12.0} a CPU-second; HashMap of standings {:.0}; \
             ratio {:.2}",
            ours.rate,
            peer.rate,
            ours.rate / peer.rate
        ));
    }
    Ok(())
}

/// What is held in memory.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Held {
    /// The ledger's index.
    Index,
    /// A `HashMap` of whole standings.
    Map,
}

/// What holding it costs.
struct Cost {
    bytes: u64,
    rate: f64,
}

fn alone(held: Held, count: u32) -> Result<Cost, Failed> {
    let name = match held {
        Held::Index => "index",
        Held::Map => "map",
    };
    let program = std::env::current_exe()?;
    let output =
        Command::new(program).args(["--held", name, "--subjects", &count.to_string()]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace();
    let bytes = numbers.next().ok_or("no measurement")?.parse()?;
    let rate = numbers.next().ok_or("no measurement")?.parse()?;
    Ok(Cost { bytes, rate })
}

fn policy() -> Result<Policy, Failed> {
    Ok(Policy::read(STRICTEST).map_err(|error| error.to_string())?)
}

fn key(number: u32) -> SigningSeed {
    SigningSeed::from_seed(&Digest::of(&number.to_be_bytes()).0)
}

fn grant(number: u32, policy: Digest) -> (SubjectId, What) {
    let key = key(number);
    let event = encode(&ConsentEvent {
        public_key: key.public().to_vec(),
        principal: key.subject().0.to_vec(),
        sequence: 1,
        decision: Decision::Granted.into(),
        categories: vec![2, 3, 8],
        policy_hash: policy.0.to_vec(),
        date: TODAY.0,
        notice_language: b"en".to_vec(),
        method: Method::Command.into(),
        affirmation: Affirmation::AgeAndAuthority.into(),
        ..ConsentEvent::default()
    });
    let signature = key.sign(Domain::Consent, &event);
    let signed_event = hex::encode(encode(&SignedConsentEvent { event, signature }));
    (key.subject(), What::Consent { signed_event })
}

/// A real book: size, start, memory, appends.
fn book(count: u32, place: &Path) -> Result<(), Failed> {
    let policy = policy()?;
    let data = place.join("data");
    let book = Book::open(&data)?;
    book.publish_policy(STRICTEST, TODAY.start())?;
    let before = processor();
    let mut number = 0;
    while number < count {
        let txn = book.begin()?;
        for _ in 0..GROUP.min(count - number) {
            let (subject, what) = grant(number, policy.hash);
            txn.record(subject, &what, TODAY.start())??;
            number += 1;
        }
        txn.commit()?;
    }
    let filled = rate(u64::from(count), processor().saturating_sub(before));
    say(&format!("  grants signed and recorded       {filled:>12.0} a CPU-second"));
    say(&format!(
        "  ledger on disk                   {:>12} bytes a subject",
        each(size(&data), count)
    ));
    say(&format!(
        "    of which keys                  {:>12} bytes a subject",
        each(size(&data.join("keys")), count)
    ));
    appends(&book, count, policy.hash, place)?;
    drop(book);
    let before = processor();
    let book = Book::open(&data)?;
    let took = processor().saturating_sub(before);
    say(&format!("  start, every subject opened      {:>12.1} CPU-seconds", took.as_secs_f64()));
    let known = u64::try_from(book.subjects())?;
    if known < u64::from(count) {
        return Err("the book lost subjects".into());
    }
    Ok(())
}

/// One event, one transaction, one fsync; beside `SQLite` on the same disk.
fn appends(book: &Book, first: u32, policy: Digest, place: &Path) -> Result<(), Failed> {
    let events: Vec<_> = (first..first + APPENDS).map(|number| grant(number, policy)).collect();
    let start = wall();
    for (subject, what) in &events {
        let txn = book.begin()?;
        txn.record(*subject, what, TODAY.start())??;
        txn.commit()?;
    }
    let ours = rate(u64::from(APPENDS), wall().saturating_sub(start));
    let program = ["-c", PEER];
    let peer = Command::new("python3")
        .args(program)
        .arg(place.join("peer.sqlite"))
        .arg(APPENDS.to_string())
        .output()?;
    let text = String::from_utf8(peer.stdout)?;
    let peer: f64 = text.trim().parse().map_err(|_no_number| "python3 with sqlite3 is needed")?;
    say(&format!(
        "  events appended, one fsync each  {ours:>12.0} a second; SQLite {peer:.0}; ratio {:.2}",
        ours / peer
    ));
    let start = wall();
    let txn = book.begin()?;
    let group: Vec<_> =
        (first + APPENDS..first + 2 * APPENDS).map(|number| grant(number, policy)).collect();
    for (subject, what) in &group {
        txn.record(*subject, what, TODAY.start())??;
    }
    txn.commit()?;
    let grouped = rate(u64::from(APPENDS), wall().saturating_sub(start));
    say(&format!("  events appended in one group     {grouped:>12.0} a second"));
    Ok(())
}

/// Fills one of the two and prints its memory and look-ups, for [`alone`].
pub(crate) fn hold(held: Held, count: u32) -> Result<(), Failed> {
    let policy = policy()?;
    let terms = Terms::of(std::slice::from_ref(&policy));
    let (_, what) = grant(0, policy.hash);
    let template = Standing::fold(None, &terms, &what, TODAY)?;
    // Keys on the curve are slow to draw and no shorter: any 32 bytes do here.
    let make = |number: u32| {
        let mut standing = template.clone();
        standing.public_key = Digest::of(&number.to_be_bytes());
        standing.principal.0 = standing.subject().0;
        standing.recovery = Some(Digest::of(&standing.public_key.0));
        standing
    };
    let subjects: Vec<SubjectId> = (0..count).map(|number| make(number).subject()).collect();
    let before = resident();
    let (bytes, rate) = match held {
        Held::Index => {
            let mut index = Index::default();
            for number in 0..count {
                index.put(u64::from(number), &make(number), &terms);
            }
            let bytes = resident().saturating_sub(before);
            let permitted = |subject| {
                let decided = index.decide(subject, ASKED, TODAY, TODAY);
                decided.is_some_and(|decided| decided.is_ok())
            };
            (bytes, lookups(&subjects, permitted)?)
        }
        Held::Map => {
            let entry = |number| (make(number).subject(), make(number));
            let map: HashMap<SubjectId, Standing> = (0..count).map(entry).collect();
            let bytes = resident().saturating_sub(before);
            let permitted = |subject| {
                let standing = map.get(&subject);
                standing.is_some_and(|held| held.decide(&terms, ASKED, TODAY, TODAY).is_ok())
            };
            (bytes, lookups(&subjects, permitted)?)
        }
    };
    say(&format!("{} {rate}", each(bytes, count)));
    Ok(())
}

/// Look-ups a CPU-second over subjects in an order that no cache foresees.
fn lookups(subjects: &[SubjectId], permitted: impl Fn(SubjectId) -> bool) -> Result<f64, Failed> {
    let length = u64::try_from(subjects.len())?;
    let mut place = 1_u64;
    let mut asked = Vec::new();
    for _ in 0..LOOKUPS {
        // Knuth's multiplicative generator: cheap, and far from any order of memory.
        place =
            place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        asked.extend(subjects.get(usize::try_from((place >> 32) % length)?));
    }
    // A frame brings its subject along: finding what to ask is no part of a look-up.
    let before = processor();
    let mut yes = 0_u32;
    for &subject in &asked {
        yes += u32::from(permitted(subject));
    }
    if yes != LOOKUPS {
        return Err("a granted category was refused".into());
    }
    Ok(rate(u64::from(LOOKUPS), processor().saturating_sub(before)))
}

/// A monotonic clock: waiting for a disk is no processor time.
fn wall() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    std::time::Duration::try_from(time).unwrap_or_default()
}
