//! What the uplink may say: consent events first, then rights requests, then batches, nothing else.
//!
//! A retired subject may only deliver its withdrawal and its owner's requests. A batch is offered only
//! when every event of its subject has its receipt and one of them confirmed a grant. What is offered is marked so,
//! durably, before it reaches the wire.

use imprimatur_consent::{Digest, SubjectId};
use imprimatur_runtime::UtcDate;

use super::event::{Waiting, sign_again};
use super::identity::{Identity, Retired};
use super::spool::{frame_bytes, unwrap, wrap};
use super::state::{Draft, json, number, numbered, read};
use super::{Agent, AgentError, Core, Heard, Noted};
use crate::store::{Space, StoreError};

/// Something to say, by one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errand {
    /// Who says it: its id names client and topics.
    pub subject: SubjectId,
    /// What is to be said.
    pub says: Says,
    /// Whether the subject sends no batches: the connection ends after it.
    pub retired: bool,
}

/// What an errand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// A consent event.
    Event,
    /// A rights request.
    Request,
    /// Batches.
    Batches,
}

/// A consent event on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedEvent {
    /// Its number.
    pub sequence: u64,
    /// The canonical `SignedConsentEvent`.
    pub bytes: Vec<u8>,
}

/// A frame on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedFrame {
    /// Its number.
    pub sequence: u64,
    /// The frame.
    pub bytes: Vec<u8>,
}

impl Agent {
    /// What there is to say, if anything; the uplink connects for nothing else.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn errand(&self) -> Result<Option<Errand>, AgentError> {
        self.with(|core| core.errand())
    }

    /// Hands the next consent event of an errand to `send`, which says whether it was queued.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn offer_event(
        &self,
        errand: &Errand,
        send: impl FnOnce(&OfferedEvent) -> bool,
    ) -> Result<Option<OfferedEvent>, AgentError> {
        self.with(|core| core.offer_event(errand, send))
    }

    /// Hands frames beyond those `in_flight` to `send`, oldest first, at most `most`, until it says
    /// no. Gives the numbers of those that were queued.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn offer_frames(
        &self,
        errand: &Errand,
        in_flight: &[u64],
        most: usize,
        send: impl FnMut(&OfferedFrame) -> bool,
    ) -> Result<Vec<u64>, AgentError> {
        self.with(|core| core.offer_frames(errand, in_flight, most, send))
    }

    /// Takes a `SignedReceipt`.
    ///
    /// # Errors
    /// [`AgentError::Store`]; an answer that is not to be believed is [`Heard::Ignored`].
    pub fn on_receipt(&self, bytes: &[u8]) -> Result<Heard, AgentError> {
        self.with(|core| core.on_receipt(bytes))
    }

    /// Takes a `SignedVerdict`.
    ///
    /// # Errors
    /// As [`Agent::on_receipt`].
    pub fn on_verdict(&self, bytes: &[u8]) -> Result<Heard, AgentError> {
        self.with(|core| core.on_verdict(bytes))
    }
}

impl Core {
    pub(super) fn errand(&self) -> Result<Option<Errand>, AgentError> {
        let today = self.clock.today();
        for (key, _) in self.store.scan(Space::Retired, b"")? {
            let Ok(subject) = SubjectId::try_from(key.as_slice()) else { continue };
            if self.deliverable(subject, today)?.is_some() {
                return Ok(Some(Errand { subject, says: Says::Event, retired: true }));
            }
        }
        let ours = self.state.identity.as_ref().map(Identity::subject);
        if let Some(subject) = ours
            && self.deliverable(subject, today)?.is_some()
        {
            return Ok(Some(Errand { subject, says: Says::Event, retired: false }));
        }
        let request = self.open_request(None)?;
        if let Some(subject) = request.and_then(|request| request.requester)
            && self.clock.now() >= self.requests_rest
        {
            let retired = ours != Some(subject);
            return Ok(Some(Errand { subject, says: Says::Request, retired }));
        }
        let Some(identity) = &self.state.identity else { return Ok(None) };
        let subject = identity.subject();
        let held = [identity.contract_refused, identity.held].contains(&Some(today));
        let undated = self.may_date().is_err();
        let waits = held || undated || identity.restricted || self.state.doubt;
        let heard = identity.receipted && self.waiting(&subject.0)?.is_empty();
        let batches = heard && !waits && self.state.spool_frames > 0;
        Ok(batches.then_some(Errand { subject, says: Says::Batches, retired: false }))
    }

    /// The first event of a subject that the collector may record today. It passes over what the
    /// collector refused today, unless that is about the same categories: of those the order counts.
    /// While nobody knows the date, a yes waits too.
    fn deliverable(
        &self,
        subject: SubjectId,
        today: UtcDate,
    ) -> Result<Option<Waiting>, AgentError> {
        let mut passed: Vec<Waiting> = Vec::new();
        let undated = self.may_date().is_err();
        for event in self.waiting(&subject.0)? {
            let later = passed.iter().any(|before| before.shares(&event.said.categories));
            let waits = event.refused == Some(today) || undated && event.asks();
            if !waits && !later {
                return Ok(Some(event));
            }
            passed.push(event);
        }
        Ok(None)
    }

    pub(super) fn offer_event(
        &mut self,
        errand: &Errand,
        send: impl FnOnce(&OfferedEvent) -> bool,
    ) -> Result<Option<OfferedEvent>, AgentError> {
        let today = self.clock.today();
        let Some(mut event) = self.deliverable(errand.subject, today)? else { return Ok(None) };
        // A receipt since then: the proof of the next one must begin at the newest log.
        let older = event.seen != self.state.seen_log_size();
        if older || event.refused.is_some() || event.outdated(today) {
            self.say_again(errand.subject)?;
            let Some(again) = self.deliverable(errand.subject, today)? else { return Ok(None) };
            event = again;
        }
        let mut draft = self.draft();
        draft.note(Noted::EventSent { sequence: event.sequence });
        let ours = draft.state.identity.as_mut();
        if let Some(identity) = ours.filter(|identity| identity.subject() == errand.subject) {
            identity.offered = true;
        }
        self.commit(draft)?;
        let offered = OfferedEvent { sequence: event.sequence, bytes: event.signed };
        Ok(send(&offered).then_some(offered))
    }

    /// Signs all that waits of a subject again under new numbers: a later event may have been
    /// recorded meanwhile, and one that got a new number alone would overtake those after it.
    fn say_again(&mut self, subject: SubjectId) -> Result<(), AgentError> {
        let events = self.waiting(&subject.0)?;
        let mut reserved = self.draft();
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let (of, mut first) = self.reserve(&mut reserved, subject, count)?;
        self.commit(reserved)?;
        let mut draft = self.draft();
        sign_again(&mut draft, &of, &events, events.clone(), &mut first);
        self.commit(draft)
    }

    /// Takes event numbers of a subject, to be made durable before anything is signed with them.
    /// Gives the key and the first of them.
    pub(super) fn reserve(
        &self,
        draft: &mut Draft,
        subject: SubjectId,
        count: u64,
    ) -> Result<(Retired, u64), AgentError> {
        let ours = draft.state.identity.as_mut();
        if let Some(identity) = ours.filter(|identity| identity.subject() == subject) {
            let first = identity.next_event;
            identity.next_event = first.saturating_add(count);
            return Ok((Retired::of(identity), first));
        }
        let held = self.store.get(Space::Retired, &subject.0)?;
        let held = held.ok_or(StoreError::Unreadable("retired key"))?;
        let mut retired: Retired = read("retired key", &held)?;
        let first = retired.next_event;
        retired.next_event = first.saturating_add(count);
        draft.change.put(Space::Retired, &subject.0, &json(&retired));
        Ok((retired, first))
    }

    pub(super) fn offer_frames(
        &mut self,
        errand: &Errand,
        in_flight: &[u64],
        most: usize,
        mut send: impl FnMut(&OfferedFrame) -> bool,
    ) -> Result<Vec<u64>, AgentError> {
        let sends = self.errand()?.is_some_and(|now| now == *errand && now.says == Says::Batches);
        if !sends {
            return Ok(Vec::new());
        }
        self.freshen(in_flight, most)?;
        let (mut draft, mut chosen) = (self.draft(), Vec::new());
        for entry in self.store.entries(Space::Spool, b"")? {
            if chosen.len() >= most {
                break;
            }
            let (key, value) = entry?;
            let sequence = number("spool key", &key)?;
            if in_flight.contains(&sequence) {
                continue;
            }
            let Some(held) = unwrap(sequence, &value) else { continue };
            if !held.offered {
                let offered = wrap(sequence, true, held.records, held.frame);
                draft.change.put(Space::Spool, &key, &offered);
                draft.note(Noted::Sent { sequence, bytes: frame_bytes(&value) });
            }
            draft.state.counts.sent += 1;
            chosen.push(OfferedFrame { sequence, bytes: held.frame.to_vec() });
        }
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        self.commit(draft)?;
        let queued: Vec<u64> =
            chosen.iter().take_while(|frame| send(frame)).map(|frame| frame.sequence).collect();
        // What the wire did not take was not sent; durable with the next change.
        let left = u64::try_from(chosen.len().saturating_sub(queued.len())).unwrap_or(0);
        self.state.counts.sent = self.state.counts.sent.saturating_sub(left);
        Ok(queued)
    }

    /// The event of a subject with a number and these bytes' hash.
    pub(super) fn waits(
        &self,
        subject: &[u8],
        sequence: u64,
        hash: &[u8],
    ) -> Result<Option<Waiting>, AgentError> {
        let Ok(subject) = SubjectId::try_from(subject) else { return Ok(None) };
        let Some(entry) = self.store.get(Space::Outbox, &numbered(subject, sequence))? else {
            return Ok(None);
        };
        let event: Waiting = read("consent event", &entry)?;
        Ok(Some(event).filter(|event| Digest::try_from(hash) == Ok(event.hash)))
    }
}
