//! Consent events: what is said, signed, and said again under new numbers.
//!
//! The collector takes events by growing numbers, so what waits is signed again together, in its
//! order. Numbers are durable before they come here.

use imprimatur_consent::{Category, Digest, Domain, enrolment};
use imprimatur_proto::canonical;
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, SignedConsentEvent};
use imprimatur_runtime::UtcDate;

use super::consent::next;
use super::state::{Draft, Retired, Waiting, numbered};
use crate::store::Space;

/// What an event says; the rest of it is known.
pub(super) struct Said {
    pub(super) decision: Decision,
    pub(super) categories: Vec<Category>,
    pub(super) token: Option<Digest>,
    pub(super) policy: Digest,
    pub(super) date: UtcDate,
}

impl Said {
    pub(super) fn withdrawn(categories: Vec<Category>, policy: Digest, date: UtcDate) -> Self {
        Self { decision: Decision::Withdrawn, categories, token: None, policy, date }
    }
}

/// Waiting events without the categories that they grant no more.
pub(super) fn without(events: &[Waiting], gone: &[Category]) -> Vec<Waiting> {
    let mut kept = events.to_vec();
    for event in kept.iter_mut().filter(|event| event.granted) {
        event.categories.retain(|category| !gone.contains(category));
    }
    kept.retain(|event| !event.categories.is_empty());
    kept
}

/// Puts signed events into the place of all that wait, in their order, from a number on that is
/// durable. Each keeps its date, unless the collector would not take it.
pub(super) fn sign_again(
    draft: &mut Draft,
    of: &Retired,
    old: &[Waiting],
    new: Vec<Waiting>,
    sequence: &mut u64,
) {
    for event in old {
        draft.change.remove(Space::Outbox, &numbered(of.subject(), event.sequence));
    }
    let today = draft.now.date();
    for event in new {
        let date = if event.outdated(today) { today } else { event.date };
        let (decision, token, policy) = (event.decision(), event.token, event.policy);
        let waits = event.refused == Some(today);
        let said = Said { decision, categories: event.categories, token, policy, date };
        let again = signed(of, next(sequence), said);
        let refused = waits.then_some(today);
        let misdated = waits && event.misdated;
        draft.wait(of.subject(), &Waiting { refused, misdated, ..again });
    }
}

/// Signs an event of a key whose principal is given.
pub(super) fn signed(of: &Retired, sequence: u64, said: Said) -> Waiting {
    let key = of.key();
    let proof = |token: Digest| {
        enrolment::proof(enrolment::verifier(&token.0), of.principal, &key.public())
    };
    let event = canonical::encode(&ConsentEvent {
        public_key: key.public().to_vec(),
        principal: of.principal.0.to_vec(),
        sequence,
        decision: said.decision.into(),
        categories: said.categories.iter().map(|category| category.number()).collect(),
        policy_hash: said.policy.0.to_vec(),
        date: said.date.0,
        enrolment_proof: said.token.map(proof).unwrap_or_default(),
        ..ConsentEvent::default()
    });
    let hash = Digest::of(&event);
    let signature = key.sign(Domain::Consent, &event);
    Waiting {
        signed: canonical::encode(&SignedConsentEvent { event, signature }),
        hash,
        sequence,
        granted: said.decision == Decision::Granted,
        categories: said.categories,
        token: said.token,
        policy: said.policy,
        date: said.date,
        refused: None,
        misdated: false,
    }
}
