//! Consent events: what is said, signed, and said again under new numbers.
//!
//! The collector takes events by growing numbers, so what waits is signed again together, in its
//! order. Numbers are durable before they come here. Each event names the newest log that this device
//! has seen, so that its receipt proves that nothing of it was changed.

use imprimatur_consent::policy::OLDEST_RECORD_DAYS;
use imprimatur_consent::{Category, Digest, Domain, enrolment};
use imprimatur_proto::canonical;
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, SignedConsentEvent,
};
use imprimatur_runtime::UtcDate;

use super::consent::next;
use super::identity::Retired;
use super::state::{Draft, numbered};
use crate::store::Space;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Decided {
    Granted,
    Renewed,
    Withdrawn,
    Transferred,
}

impl Decided {
    /// Whether it is a yes: it may come too late, and a withdrawal after it wins.
    pub(super) fn asks(self) -> bool {
        matches!(self, Self::Granted | Self::Renewed)
    }
}

impl From<Decided> for Decision {
    fn from(decided: Decided) -> Self {
        match decided {
            Decided::Granted => Self::Granted,
            Decided::Renewed => Self::Renewed,
            Decided::Withdrawn => Self::Withdrawn,
            Decided::Transferred => Self::Transferred,
        }
    }
}

/// How a yes was given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Yes {
    /// Language of the notice that was shown.
    pub(super) language: String,
    /// When the question was first shown.
    pub(super) requested: Option<UtcDate>,
    /// SHA-256 of the farm's list, when that said it.
    pub(super) mandate: Option<Digest>,
}

/// What an event says; the rest of it is known.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Said {
    pub(super) decided: Decided,
    pub(super) categories: Vec<Category>,
    pub(super) token: Option<Digest>,
    pub(super) yes: Option<Yes>,
    /// Policy that it names.
    pub(super) policy: Digest,
    /// Date that it names.
    pub(super) date: UtcDate,
}

impl Said {
    pub(super) fn withdrawn(categories: Vec<Category>, policy: Digest, date: UtcDate) -> Self {
        Self { decided: Decided::Withdrawn, categories, token: None, yes: None, policy, date }
    }
}

/// A signed consent event without a receipt.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Waiting {
    /// The canonical `SignedConsentEvent`, hex.
    #[serde(with = "super::hexed")]
    pub(super) signed: Vec<u8>,
    /// SHA-256 of the canonical `ConsentEvent` in it.
    pub(super) hash: Digest,
    /// Its number.
    pub(super) sequence: u64,
    /// Size of the newest log that it names.
    pub(super) seen: u64,
    pub(super) said: Said,
    /// Date on which the collector would not record it: it waits for the next.
    pub(super) refused: Option<UtcDate>,
    /// Whether it would not because of the date that the event names.
    pub(super) misdated: bool,
}

impl Waiting {
    pub(super) fn asks(&self) -> bool {
        self.said.decided.asks()
    }

    pub(super) fn shares(&self, categories: &[Category]) -> bool {
        self.said.categories.iter().any(|category| categories.contains(category))
    }

    /// Whether it must name another date to be recorded. The collector takes a withdrawal of any
    /// date, and a grant of up to [`OLDEST_RECORD_DAYS`] back.
    pub(super) fn outdated(&self, today: UtcDate) -> bool {
        let date = self.said.date;
        let old = today.0.saturating_sub(date.0) > OLDEST_RECORD_DAYS;
        let future = date.0 > today.0.saturating_add(1);
        let misdated = self.misdated && self.refused != Some(today);
        self.asks() && (old || future || misdated)
    }
}

/// Waiting events without the categories that they grant no more.
pub(super) fn without(events: &[Waiting], gone: &[Category]) -> Vec<Waiting> {
    let mut kept = events.to_vec();
    for event in kept.iter_mut().filter(|event| event.asks()) {
        event.said.categories.retain(|category| !gone.contains(category));
    }
    kept.retain(|event| !event.said.categories.is_empty());
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
    let (today, seen) = (draft.now.date(), draft.state.seen_log_size());
    for event in new {
        let waits = event.refused == Some(today);
        let misdated = waits && event.misdated;
        let anew = event.outdated(today) && !draft.doubtful;
        let date = if anew { today } else { event.said.date };
        let again = signed(of, next(sequence), seen, Said { date, ..event.said });
        let refused = waits.then_some(today);
        draft.wait(of.subject(), &Waiting { refused, misdated, ..again });
    }
}

/// Signs an event of a key whose principal is given.
pub(super) fn signed(of: &Retired, sequence: u64, seen: u64, said: Said) -> Waiting {
    let key = of.key();
    let proof = |token: Digest| {
        enrolment::proof(enrolment::verifier(&token.0), of.principal, &key.public())
    };
    let recovery = of.recovery.filter(|_| said.decided == Decided::Granted);
    let mut event = ConsentEvent {
        public_key: key.public().to_vec(),
        principal: of.principal.0.to_vec(),
        sequence,
        decision: Decision::from(said.decided).into(),
        categories: said.categories.iter().map(|category| category.number()).collect(),
        policy_hash: said.policy.0.to_vec(),
        date: said.date.0,
        enrolment_proof: said.token.map(proof).unwrap_or_default(),
        recovery_key: recovery.map(|key| key.0.to_vec()).unwrap_or_default(),
        seen_log_size: seen,
        ..ConsentEvent::default()
    };
    if let Some(yes) = &said.yes {
        let by_hand = yes.mandate.is_none();
        let method = if by_hand { Method::Command } else { Method::Mandate };
        event.notice_language = yes.language.clone().into_bytes();
        event.method = method.into();
        event.affirmation = Affirmation::AgeAndAuthority.into();
        // A clock that was set back meanwhile would make the answer older than the question.
        event.requested_date = yes.requested.map_or(0, |date| date.0.min(said.date.0));
        event.mandate_hash = yes.mandate.map(|hash| hash.0.to_vec()).unwrap_or_default();
    }
    let event = canonical::encode(&event);
    let hash = Digest::of(&event);
    let signature = key.sign(Domain::Consent, &event);
    let signed = canonical::encode(&SignedConsentEvent { event, signature });
    Waiting { signed, hash, sequence, seen, said, refused: None, misdated: false }
}
