//! Replay: consent events and commits in one order, decided anew by the same rule as the gate.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::{Digest, Domain, Standing, SubjectId, VerifyingKey};
use imprimatur_ledger::{CommitEvidence, ConsentEvidence};
use imprimatur_proto::consent::v1::{ConsentEvent, SignedConsentEvent};
use imprimatur_proto::contract;

use crate::report::Check;
use crate::snapshot::Snapshot;

/// Replays everything by position; each section must have had its permit, each batch its number.
pub(crate) fn consent_and_commits(snapshot: &Snapshot, permits: &mut Check, once: &mut Check) {
    let mut standings: BTreeMap<SubjectId, Standing> = BTreeMap::new();
    let mut numbers: BTreeSet<(SubjectId, u64)> = BTreeSet::new();
    let mut consent = snapshot.consent.iter().peekable();
    let mut last = 0;
    for commit in &snapshot.commits {
        while let Some(event) = consent.next_if(|event| event.position < commit.position) {
            in_order(&mut last, event.position, permits);
            recorded(event, &mut standings, permits);
        }
        in_order(&mut last, commit.position, permits);
        permitted(commit, standings.get(&commit.subject), permits);
        once.expect(
            numbers.insert((commit.subject, commit.sequence)),
            &format!("commit {}", commit.position),
            "its subject and number were committed before",
        );
    }
    for event in consent {
        in_order(&mut last, event.position, permits);
        recorded(event, &mut standings, permits);
    }
}

fn in_order(last: &mut u64, position: u64, permits: &mut Check) {
    let place = format!("position {position}");
    permits.expect(position > *last, &place, "positions repeat or go back");
    *last = position;
}

/// A consent event must be signed by its subject and follow the one before.
fn recorded(
    entry: &ConsentEvidence,
    standings: &mut BTreeMap<SubjectId, Standing>,
    permits: &mut Check,
) {
    let place = format!("consent {}", entry.position);
    let Some(event) = signed_event(entry) else {
        return permits.found(&place, "the event is not canonical or not signed by its subject");
    };
    let standing = match standings.get(&entry.subject) {
        Some(standing) => standing.apply(&event),
        None => Standing::begin(&event),
    };
    match standing {
        Ok(standing) => {
            permits.passed(1);
            standings.insert(entry.subject, standing);
        }
        Err(invalid) => permits.found(&place, &invalid.to_string()),
    }
}

fn signed_event(entry: &ConsentEvidence) -> Option<ConsentEvent> {
    let bytes = hex::decode(&entry.signed_event).ok()?;
    let signed: SignedConsentEvent = contract().decode(&bytes).ok()?;
    let event: ConsentEvent = contract().decode(&signed.event).ok()?;
    let key = VerifyingKey::from_bytes(&event.public_key).ok()?;
    let whole = SubjectId::of(&key.to_bytes()) == entry.subject
        && key.verifies(Domain::Consent, &signed.event, &signed.signature);
    whole.then_some(event)
}

/// Each section of a commit needs a grant in force on its date and at the commit.
fn permitted(commit: &CommitEvidence, standing: Option<&Standing>, permits: &mut Check) {
    let place = format!("commit {}", commit.position);
    let Some(standing) = standing else {
        return permits.found(&place, "its subject had given no consent");
    };
    let today = commit.recorded.date();
    for record in &commit.records {
        permits.expect(record.epoch == record.date.month(), &place, "a wrong pseudonym epoch");
        for &category in &record.categories {
            match standing.decide(category, record.date, today) {
                Ok(()) => permits.passed(1),
                Err(denial) => permits.found(&place, &format!("`{category}`: {denial}")),
            }
        }
    }
    let frame = commit.frame != Digest([0; 32]);
    permits.expect(frame && !commit.records.is_empty(), &place, "the evidence is empty");
}
