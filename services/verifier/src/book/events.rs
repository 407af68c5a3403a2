//! Events and commits of the book: those of the evidence, and the ones that are not published yet,
//! replayed in their one order.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::event::{Acting, LedgerEvent, What};
use imprimatur_consent::{Category, Digest, Standing};
use imprimatur_ledger::reader::pseudonyms;
use imprimatur_ledger::register::Asker;
use imprimatur_ledger::{CommitEvidence, CommitProof, ConsentEvidence, Opened};
use imprimatur_log::entry;
use imprimatur_runtime::UtcDate;

use super::log::Story;
use super::{Found, Look, receipts};
use crate::replay::{Replay, permitted};
use crate::report::Check;
use crate::told::Told;

/// A request as the register names it: slot, verb, who asked, on which day.
pub(super) type Asked = (u64, &'static str, &'static str, UtcDate);

/// What events and commits add up to.
#[derive(Default)]
pub(super) struct Replayed {
    replay: Replay,
    /// Categories that were granted and then not, with the position of the last such change, by slot.
    pub(super) withdrawn: BTreeMap<u64, BTreeMap<Category, u64>>,
    /// What each date has told, by slot.
    pub(super) told: Told<u64>,
    /// Frames that were stored, by slot and number; not those that a restore lost.
    pub(super) stored: BTreeMap<(u64, u64), Digest>,
    /// Commits, but those that a restore lost.
    pub(super) commits: u64,
    /// Consent events that open.
    pub(super) consents: u64,
    /// Events behind destroyed keys.
    pub(super) sealed: u64,
    /// Receipts that were found.
    pub(super) receipts: u64,
    /// Requests, each with how often it was recorded.
    pub(super) asked: BTreeMap<Asked, u64>,
    /// Slots that events name.
    pub(super) slots: BTreeSet<u64>,
    /// Commits by position that must be on their way: they are in no file yet.
    pub(super) unpublished: BTreeSet<u64>,
    newest: u64,
}

impl Replayed {
    pub(super) fn standing(&self, slot: u64) -> Option<&Standing> {
        self.replay.standings.get(&slot)
    }

    pub(super) fn standings(&self) -> impl Iterator<Item = (u64, &Standing)> {
        self.replay.standings.iter().map(|(slot, standing)| (*slot, standing))
    }
}

/// What the evidence holds of one kind, by position; what the book holds as well is taken out.
struct Published<'a, T> {
    kind: &'static str,
    entries: BTreeMap<u64, &'a T>,
    last: u64,
}

impl<T: PartialEq> Published<'_, T> {
    /// Whether this entry of the book is a published one; it must be the same then.
    fn take(&mut self, position: u64, own: &T, first: &mut Check) -> bool {
        let place = format!("{} {position} of the book", self.kind);
        match self.entries.remove(&position) {
            Some(theirs) => first.expect(theirs == own, &place, "is not that of the evidence"),
            None if position > self.last => return false,
            None => first.found(&place, "is in no evidence"),
        }
        true
    }

    /// A copy that is older than the evidence lacks what came after it.
    fn missing(&self, until: u64, first: &mut Check) {
        for position in self.entries.range(..=until).map(|(position, _)| position) {
            let place = format!("{} {position}", self.kind);
            first.found(&place, "is in the evidence and not in the book");
        }
    }
}

/// Replays the book.
pub(super) fn check(look: &Look<'_>, story: &Story, found: &mut Found<'_>) -> Replayed {
    let (reader, last) = (look.reader, look.published());
    let events = look.evidence.events.iter().map(|event| (event.position, event));
    let commits = look.evidence.commits.iter().map(|commit| (commit.position, commit));
    let mut events = Published { kind: "event", entries: events.collect(), last };
    let mut commits = Published { kind: "commit", entries: commits.collect(), last };
    let peppers: BTreeMap<u32, u64> = look.all("peppers", reader.peppers()).collect();
    let in_lake = look.one("numbers", reader.published()).unwrap_or(0);
    let mut replayed = Replayed::default();
    let mut waiting = look.all("events", reader.events()).peekable();
    for commit in look.all("commits", reader.commits()) {
        while let Some(event) = waiting.next_if(|(position, _)| *position < commit.0) {
            one_event(look, story, &mut replayed, &mut events, &event, found);
        }
        replayed.newest = replayed.newest.max(commit.0);
        let published = commits.take(commit.0, &commit.1, &mut found.first);
        one_commit(look, story, &mut replayed, (published, &peppers), &commit, found);
        if commit.0 > in_lake {
            replayed.unpublished.insert(commit.0);
        }
    }
    for event in waiting {
        one_event(look, story, &mut replayed, &mut events, &event, found);
    }
    let until = look.one("numbers", reader.position()).unwrap_or(0);
    events.missing(until, &mut found.first);
    commits.missing(until, &mut found.first);
    let problem = "is not the newest position of its events and commits";
    found.first.expect(until == replayed.newest, "book, number `position`", problem);
    replayed
}

/// One event: as in the evidence, or as the log commits to it; with its receipt.
fn one_event(
    look: &Look<'_>,
    story: &Story,
    replayed: &mut Replayed,
    published: &mut Published<'_, ConsentEvidence>,
    (position, evidence): &(u64, ConsentEvidence),
    found: &mut Found<'_>,
) {
    let place = format!("event {position} of the book");
    replayed.newest = replayed.newest.max(*position);
    let same = *position == evidence.position;
    found.first.expect(same, &place, "says that it has another position");
    replayed.slots.insert(evidence.slot);
    let known = published.take(*position, evidence, &mut found.first);
    let event = match evidence.open(&look.evidence.keyring) {
        Ok(Opened::Whole(event)) => event,
        Ok(Opened::Destroyed) => {
            replayed.sealed += 1;
            return;
        }
        Ok(Opened::Broken) => return found.first.found(&place, "its seal does not open"),
        Err(error) => return found.first.found(&place, &error.to_string()),
    };
    let before = replayed.standing(evidence.slot).cloned();
    if known {
        // Found fault with already where it was read from the evidence.
        let mut again = Check::new(found.permits.invariant);
        replayed.replay.record(&look.terms, evidence, Some(&event), &mut again);
    } else {
        let entry = look.one("log_entries", look.reader.entry(evidence.leaf)).flatten();
        let made = entry::blinded(&event.nonce.0, &event.what.payload());
        found.first.expect(entry == Some(made), &place, "is not what the log committed to");
        replayed.replay.record(&look.terms, evidence, Some(&event), &mut found.permits);
    }
    withdrawn(replayed, before.as_ref(), evidence);
    if let Some(by) = event.what.by() {
        let asked = (evidence.slot, verb(&event.what), asker(by), evidence.recorded.date());
        *replayed.asked.entry(asked).or_default() += 1;
    }
    receipt(look, story, replayed, (evidence, &event), found);
}

fn receipt(
    look: &Look<'_>,
    story: &Story,
    replayed: &mut Replayed,
    (evidence, event): (&ConsentEvidence, &LedgerEvent),
    found: &mut Found<'_>,
) {
    let What::Consent { signed_event } = &event.what else { return };
    replayed.consents += 1;
    let Some(standing) = replayed.replay.standings.get(&evidence.slot) else { return };
    let of = receipts::Of { evidence, nonce: event.nonce, signed_event, standing };
    let there = receipts::check(look, story, &of, &mut found.first);
    replayed.receipts += u64::from(there);
}

/// Notes what is not granted any more.
fn withdrawn(replayed: &mut Replayed, before: Option<&Standing>, evidence: &ConsentEvidence) {
    let (Some(before), Some(after)) = (before, replayed.standing(evidence.slot)) else { return };
    let granted = before.granted.keys();
    let gone = granted.filter(|category| !after.granted.contains_key(category));
    let gone: Vec<_> = gone.map(|&category| (category, evidence.position)).collect();
    if !gone.is_empty() {
        replayed.withdrawn.entry(evidence.slot).or_default().extend(gone);
    }
}

/// One commit: as in the evidence, or permitted by the replay; its rows bear the right pseudonyms.
fn one_commit(
    look: &Look<'_>,
    story: &Story,
    replayed: &mut Replayed,
    (published, peppers): (bool, &BTreeMap<u32, u64>),
    (position, commit): &(u64, CommitEvidence),
    found: &mut Found<'_>,
) {
    let place = format!("commit {position} of the book");
    let same = *position == commit.position;
    found.first.expect(same, &place, "says that it has another position");
    let lost = story.was_lost(*position);
    replayed.commits += u64::from(!lost);
    let proof = match commit.open(&look.evidence.keyring) {
        Ok(Opened::Whole(proof)) => proof,
        Ok(Opened::Destroyed) => return,
        Ok(Opened::Broken) => return found.first.found(&place, "its seal does not open"),
        Err(error) => return found.first.found(&place, &error.to_string()),
    };
    let standing = replayed.replay.standings.get(&commit.slot);
    if !published {
        permitted(&look.terms, commit, &proof, standing, &mut found.permits);
    }
    if lost {
        return;
    }
    if let Some(standing) = standing {
        named(look, peppers, &place, (&proof, standing), &mut found.permits);
    }
    for record in &proof.records {
        replayed.told.count(commit.slot, record.kind, record.date);
    }
    let before = replayed.stored.insert((commit.slot, proof.sequence), proof.frame);
    // In the evidence it was found already.
    let once = before.is_none() || published;
    found.once.expect(once, &place, "its subject and number were committed before");
}

/// The pseudonyms are made of subject, principal and pepper: so nobody counts as two.
fn named(
    look: &Look<'_>,
    peppers: &BTreeMap<u32, u64>,
    place: &str,
    (proof, standing): (&CommitProof, &Standing),
    permits: &mut Check,
) {
    for record in &proof.records {
        let Some(&slot) = peppers.get(&record.epoch) else { continue };
        let who = (standing.subject(), standing.principal);
        match pseudonyms(&look.evidence.keyring, slot, who) {
            Ok(Some(made)) => {
                let same = made == (record.subject, record.principal);
                permits.expect(same, place, "bears pseudonyms that are not of its subject");
            }
            Ok(None) => {}
            Err(error) => permits.found(place, &error.to_string()),
        }
    }
}

/// The verb of the register; objections and withdrawals are one kind of event.
fn verb(what: &What) -> &'static str {
    match what {
        What::Consent { .. } | What::Expired { .. } => "",
        What::Restricted { .. } => "restrict",
        What::Released { .. } => "release",
        What::ErasureRequested { .. } => "erase",
        What::Objected { .. } => "object",
        What::Rectified { .. } => "rectify",
        What::Complained { .. } => "complain",
    }
}

fn asker(by: &Acting) -> &'static str {
    match by {
        Acting::Owner { .. } => of(Asker::Owner),
        Acting::Recovery { .. } => of(Asker::Recovery),
        Acting::Operator {} => of(Asker::Operator),
        Acting::Clock {} => of(Asker::Clock),
    }
}

/// Who asked, in a word.
pub(super) fn of(asker: Asker) -> &'static str {
    match asker {
        Asker::Owner => "owner",
        Asker::Recovery => "recovery",
        Asker::Operator => "operator",
        Asker::Clock => "clock",
    }
}
