//! Replay: events and commits in one order, decided anew by the same rule as the gate.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::event::{LedgerEvent, What, opened};
use imprimatur_consent::{Category, Digest, Standing, SubjectId, Terms};
use imprimatur_ledger::{CommitEvidence, CommitProof, ConsentEvidence};

use crate::acts;
use crate::ledger::Ledger;
use crate::report::Check;

/// Standings by slot.
pub(crate) type Standings = BTreeMap<u64, Standing>;

/// Replays everything by position; each section must have had its permit, each batch its number.
/// Marks are those of the events up to a position.
pub(crate) fn events_and_commits(
    ledger: &Ledger<'_>,
    marks_until: u64,
    permits: &mut Check,
    once: &mut Check,
) -> Replay {
    let mut replay = Replay { marks_until, ..Replay::default() };
    let mut numbers: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut events = ledger.events.iter().peekable();
    let mut last = 0;
    for (commit, proof) in &ledger.commits {
        while let Some((event, what)) =
            events.next_if(|(event, _)| event.position < commit.position)
        {
            in_order(&mut last, event.position, permits);
            replay.record(&ledger.terms, event, what.as_ref(), permits);
        }
        in_order(&mut last, commit.position, permits);
        let Some(proof) = proof else { continue };
        permitted(&ledger.terms, commit, proof, replay.standings.get(&commit.slot), permits);
        if !ledger.was_lost(commit.position) {
            once.expect(
                numbers.insert((commit.slot, proof.sequence)),
                &format!("commit {}", commit.position),
                "its subject and number were committed before",
            );
        }
    }
    for (event, what) in events {
        in_order(&mut last, event.position, permits);
        replay.record(&ledger.terms, event, what.as_ref(), permits);
    }
    replay
}

fn in_order(last: &mut u64, position: u64, permits: &mut Check) {
    let place = format!("position {position}");
    permits.expect(position > *last, &place, "positions repeat or go back");
    *last = position;
}

/// What was replayed so far.
#[derive(Default)]
pub(crate) struct Replay {
    pub(crate) standings: Standings,
    /// By category the newest event that ended somebody's use of it.
    pub(crate) marks: BTreeMap<Category, u64>,
    marks_until: u64,
    /// The slot of each subject.
    slots: BTreeMap<SubjectId, u64>,
}

impl Replay {
    /// An event must follow the ones before; the owner's must be signed by the owner, and a slot
    /// belongs to one subject, a subject to one slot.
    pub(crate) fn record(
        &mut self,
        terms: &Terms,
        evidence: &ConsentEvidence,
        event: Option<&LedgerEvent>,
        permits: &mut Check,
    ) {
        let Some(event) = event else { return };
        let place = format!("event {}", evidence.position);
        if let What::Consent { signed_event } = &event.what
            && let Err(invalid) = opened(signed_event)
        {
            return permits.found(&place, &format!("no consent of its subject: {invalid}"));
        }
        let before = self.standings.get(&evidence.slot);
        let on = evidence.recorded.date();
        match Standing::fold(before, terms, &event.what, on) {
            Ok(standing) => {
                let signed = acts::proven(&event.what, &standing);
                permits.expect(signed, &place, "is told as the owner's act, who did not sign it");
                let slot = *self.slots.entry(standing.subject()).or_insert(evidence.slot);
                let problem = "its subject has another slot";
                permits.expect(slot == evidence.slot, &place, problem);
                let ended = before.map(|before| before.ended_by(&standing, on)).unwrap_or_default();
                for category in ended.into_iter().filter(|_| evidence.position <= self.marks_until)
                {
                    self.marks.insert(category, evidence.position);
                }
                self.standings.insert(evidence.slot, standing);
            }
            Err(invalid) => permits.found(&place, &invalid.to_string()),
        }
    }
}

/// Each section of a commit needs a grant in force on its date and at the commit.
pub(crate) fn permitted(
    terms: &Terms,
    commit: &CommitEvidence,
    proof: &CommitProof,
    standing: Option<&Standing>,
    permits: &mut Check,
) {
    let place = format!("commit {}", commit.position);
    let Some(standing) = standing else {
        return permits.found(&place, "its subject had given no consent");
    };
    let today = commit.recorded.date();
    let policy = terms.policy(standing.policy);
    for record in &proof.records {
        let epoch = policy.map(|policy| policy.epoch.epoch(record.date));
        permits.expect(epoch == Some(record.epoch), &place, "a wrong pseudonym epoch");
        for &category in &record.categories {
            match standing.decide(terms, category, record.date, today) {
                Ok(()) => permits.passed(1),
                Err(denial) => permits.found(&place, &format!("`{category}`: {denial}")),
            }
        }
    }
    let frame = proof.frame != Digest([0; 32]);
    permits.expect(frame && !proof.records.is_empty(), &place, "the evidence is empty");
}
