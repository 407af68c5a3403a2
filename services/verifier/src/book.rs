//! The book: what the collector works from, read from a copy and held against evidence, log and lake.
//!
//! Everything is computed anew from events and commits as they open under the keys; what the book says
//! of them (standings, receipts, verdicts, counts, the register) is only compared with that. Tables are
//! streamed. A book that cannot be read, such as one that a collector holds open, is not checked: the
//! report says so, and does not hold as a whole.

mod events;
mod journal;
mod keys;
mod log;
mod overview;
mod receipts;
mod register;
mod verdicts;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use imprimatur_consent::{Digest, Invariant, Policy, Terms};
use imprimatur_lake::Overview;
use imprimatur_ledger::reader::Each;
use imprimatur_ledger::{BookError, Label, ReadError, Reader};
use imprimatur_runtime::UtcDate;

use crate::report::Check;
use crate::scan::Scan;
use crate::snapshot::Evidence;

/// What is not checked without the book.
const PARTS: &[&str] = &[
    "receipts",
    "verdicts",
    "standings as the collector uses them",
    "the register of requests",
    "counts to the unit",
    "what each date has told, as the collector counts it",
    "batches on their way to the lake",
    "pseudonyms against their peppers",
    "the inventory of backups",
    "the overview for the console",
];

/// What the report says of the book.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct BookFact {
    /// Whether it was checked.
    pub checked: bool,
    /// Which file was meant.
    pub path: PathBuf,
    /// The newest position that it knows.
    pub position: u64,
    /// Requests in its register.
    pub requests: u64,
    /// Receipts and verdicts that were checked.
    pub answers: u64,
    /// Batches on their way to the lake.
    pub on_the_way: u64,
    /// Why it was not checked, and what to do.
    pub why: Option<String>,
    /// What was not checked because of that.
    pub unchecked: &'static [&'static str],
}

impl fmt::Display for BookFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, requests, answers, on_the_way, .. } = self;
        match &self.why {
            None => write!(
                f,
                "book up to position {position}: {answers} receipts and verdicts, {requests} \
                 requests, {on_the_way} batches on their way"
            ),
            Some(why) => {
                write!(f, "the book was NOT CHECKED: {why}\n  not checked: ")?;
                f.write_str(&self.unchecked.join("; "))
            }
        }
    }
}

/// The days by which a folder is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Days {
    /// The newest that anything tells.
    pub(crate) newest: UtcDate,
    /// That of the last publication.
    pub(crate) published: UtcDate,
}

/// The checks that the book adds to.
pub(crate) struct Found<'a> {
    pub(crate) permits: Check,
    pub(crate) once: Check,
    pub(crate) first: Check,
    pub(crate) erased: Check,
    pub(crate) scan: Scan<'a>,
}

impl<'a> Found<'a> {
    pub(crate) fn new(scan: Scan<'a>) -> Self {
        Self {
            permits: Check::new(Invariant::NoPermitNoRow),
            once: Check::new(Invariant::CountsOnce),
            first: Check::new(Invariant::EvidenceFirst),
            erased: Check::new(Invariant::ErasureProvable),
            scan,
        }
    }

    /// Adds what was found elsewhere.
    pub(crate) fn join(&mut self, other: Self) {
        self.permits.join(other.permits);
        self.once.join(other.once);
        self.first.join(other.first);
        self.erased.join(other.erased);
        self.scan.join(other.scan);
    }
}

/// A copy that is looked at, beside the evidence.
struct Look<'a> {
    reader: &'a Reader,
    evidence: &'a Evidence,
    terms: Terms,
    label: Label,
    /// The newest day that anything tells; of a copy that is older than the evidence, that it tells.
    day: UtcDate,
    /// The day of the last publication, when the copy knows it.
    published: Option<UtcDate>,
    /// Entries that cannot be read.
    unread: RefCell<Check>,
}

impl Look<'_> {
    /// The entries of a table. What cannot be read is a finding; a store that fails ends them.
    fn all<'b, T: 'b>(
        &'b self,
        table: &'static str,
        entries: Result<Each<'b, T>, BookError>,
    ) -> impl Iterator<Item = T> + 'b {
        let entries = self.one(table, entries).into_iter().flatten();
        entries
            .map_while(move |entry| match entry {
                Ok(entry) => Some(Some(entry)),
                Err(error) => {
                    self.unreadable(table, &error);
                    matches!(error, BookError::Unreadable { .. }).then_some(None)
                }
            })
            .flatten()
    }

    /// One value; what cannot be read is a finding.
    fn one<T>(&self, table: &'static str, value: Result<T, BookError>) -> Option<T> {
        value.inspect_err(|error| self.unreadable(table, error)).ok()
    }

    fn unreadable(&self, table: &str, error: &BookError) {
        let place = format!("book, table `{table}`");
        self.unread.borrow_mut().found(&place, &format!("cannot be read: {error}"));
    }

    /// The newest position that the evidence knows: what is beyond is not published yet.
    fn published(&self) -> u64 {
        let segments = &self.evidence.manifest.segments;
        segments.iter().map(|segment| segment.last).max().unwrap_or(0)
    }
}

/// Reads the book, and enters what it finds; gives what the report says of it and the label.
pub(crate) fn check(
    path: &Path,
    evidence: &Evidence,
    (days, overview): (Days, Option<&Overview>),
    found: &mut Found<'_>,
) -> (BookFact, Option<Label>) {
    let fact = BookFact { path: path.to_owned(), ..BookFact::default() };
    let reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(error) => return (not_checked(fact, &error, found), None),
    };
    // What was read while a collector opened the file proves nothing, and finds nothing either.
    let mut here = Found::new(found.scan.another());
    let looked = look(&reader, evidence, (days, overview), fact.clone(), &mut here);
    if let Err(error) = reader.still() {
        return (not_checked(fact, &error, found), None);
    }
    found.join(here);
    match looked {
        Ok((fact, label)) => (fact, Some(label)),
        Err(error) => (not_checked(fact, &ReadError::Damaged(Box::new(error)), found), None),
    }
}

/// A copy that is no whole book is a finding, too: nothing tells who changed it.
fn not_checked(fact: BookFact, error: &ReadError, found: &mut Found<'_>) -> BookFact {
    let next = match error {
        ReadError::Held(_) => {
            "; make a copy with `imprimatur backup create --to DIR` and give it with \
             `--book DIR/book.redb`, or stop the collector"
        }
        ReadError::Absent(_) => "; copy it as well, or give it with `--book FILE`",
        ReadError::Io { .. } => "",
        ReadError::Damaged(source) => {
            let problem = format!("{error}: {source}");
            found.first.found(&fact.path.display().to_string(), &problem);
            ""
        }
    };
    let why = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}{next}"),
        None => format!("{error}{next}"),
    };
    BookFact { why: Some(why), unchecked: PARTS, ..fact }
}

/// Checks everything, part by part.
fn look(
    reader: &Reader,
    evidence: &Evidence,
    (days, overview): (Days, Option<&Overview>),
    fact: BookFact,
    found: &mut Found<'_>,
) -> Result<(BookFact, Label), BookError> {
    let unread = RefCell::new(Check::new(Invariant::EvidenceFirst));
    let (label, terms) = (reader.label()?, Terms::default());
    let (day, published) = (days.newest, Some(days.published));
    let mut look = Look { reader, evidence, terms, label, day, published, unread };
    let story = log::check(&look, found)?;
    if story.size < evidence.manifest.log_size {
        (look.day, look.published) = (story.newest, None);
    }
    look.terms = policies(&look, &story, found);
    let replayed = events::check(&look, &story, found);
    let mut fact = BookFact { checked: true, position: reader.position()?, ..fact };
    fact.answers = replayed.receipts + verdicts::check(&look, &story, &replayed, found)?;
    fact.on_the_way = journal::check(&look, &story, &replayed, found)?;
    fact.requests = register::check(&look, &story, &replayed, found)?;
    keys::check(&look, &story, &replayed, found);
    if let Some(overview) = overview {
        overview::check(&look, &replayed, overview, found)?;
    }
    found.first.join(look.unread.into_inner());
    Ok((fact, label))
}

/// Policies of book and evidence; those of the book lie under their own hash and were announced.
fn policies(look: &Look<'_>, story: &log::Story, found: &mut Found<'_>) -> Terms {
    let mut texts: BTreeMap<Digest, String> = look.evidence.policies.clone();
    for (hash, text) in look.all("policies", look.reader.policies()) {
        let place = format!("policy {hash} of the book");
        let own = Digest::of(text.as_bytes()) == hash;
        found.first.expect(own, &place, "is another text than its hash says");
        let told = story.announced.contains(&hash);
        found.first.expect(told, &place, "was never announced in the log");
        if own && told {
            texts.insert(hash, text);
        }
    }
    let policies = texts.values().filter_map(|text| Policy::read(text).ok());
    Terms::of(&policies.collect::<Vec<_>>())
}
