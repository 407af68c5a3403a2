//! What the uplink may say: consent events first, then batches, and nothing else.
//!
//! A retired subject may only deliver its withdrawal. A batch is offered only when every event of
//! its subject has its receipt and one of them confirmed a grant. What is offered is marked so,
//! durably, before it reaches the wire.

use imprimatur_consent::{Digest, SubjectId};
use imprimatur_runtime::UtcDate;

use super::consent::{Said, next, signed};
use super::seal::{size, spooled};
use super::state::{Draft, Retired, Waiting, json, number, numbered, read};
use super::{AgentError, Core, Noted};
use crate::store::{Space, StoreError};

/// Something to say, by one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errand {
    /// Who says it: its id names client and topics.
    pub subject: SubjectId,
    /// Whether a consent event is to be delivered; else batches are.
    pub announces: bool,
    /// Whether the subject is retired: the connection ends after it.
    pub retired: bool,
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

impl Core {
    pub(super) fn errand(&self) -> Result<Option<Errand>, AgentError> {
        let today = self.clock.today();
        for (key, _) in self.store.scan(Space::Retired, b"")? {
            let Ok(subject) = SubjectId::try_from(key.as_slice()) else { continue };
            if self.deliverable(subject, today)?.is_some() {
                return Ok(Some(Errand { subject, announces: true, retired: true }));
            }
        }
        let Some(identity) = &self.state.identity else { return Ok(None) };
        let subject = identity.subject();
        if self.deliverable(subject, today)?.is_some() {
            return Ok(Some(Errand { subject, announces: true, retired: false }));
        }
        let held = identity.contract_refused.is_some_and(|date| date >= today);
        let heard = identity.receipted && self.waiting(&subject.0)?.is_empty();
        let batches = heard && !held && self.state.spool_frames > 0;
        Ok(batches.then_some(Errand { subject, announces: false, retired: false }))
    }

    /// The first event of a subject, unless the collector would not record it today.
    fn deliverable(
        &self,
        subject: SubjectId,
        today: UtcDate,
    ) -> Result<Option<Waiting>, AgentError> {
        let first = self.waiting(&subject.0)?.into_iter().next();
        Ok(first.filter(|event| event.refused != Some(today)))
    }

    pub(super) fn offer_event(
        &mut self,
        errand: &Errand,
        send: impl FnOnce(&OfferedEvent) -> bool,
    ) -> Result<Option<OfferedEvent>, AgentError> {
        let today = self.clock.today();
        let Some(mut event) = self.deliverable(errand.subject, today)? else { return Ok(None) };
        let late = today.0.abs_diff(event.date.0) > 1;
        if late || event.refused.is_some() {
            event = self.date_anew(errand, &event)?;
        }
        let mut draft = self.draft();
        draft.note(Noted::EventSent { sequence: event.sequence });
        if let Some(identity) = draft.state.identity.as_mut().filter(|_| !errand.retired) {
            identity.offered = true;
        }
        self.commit(draft)?;
        let offered = OfferedEvent { sequence: event.sequence, bytes: event.signed };
        Ok(send(&offered).then_some(offered))
    }

    /// Signs an event again with today's date: the collector records none of another day.
    fn date_anew(&mut self, errand: &Errand, old: &Waiting) -> Result<Waiting, AgentError> {
        let mut draft = self.draft();
        let of = self.numbered_anew(errand, &mut draft)?;
        self.commit(draft)?;
        let said =
            Said { decision: old.decision(), categories: old.categories.clone(), token: old.token };
        let mut draft = self.draft();
        let sequence = of.next_event - 1;
        let event = signed(&of.key(), &of, sequence, said, draft.now);
        draft.change.remove(Space::Outbox, &numbered(errand.subject, old.sequence));
        draft.wait(errand.subject, &event);
        self.commit(draft)?;
        Ok(event)
    }

    /// Takes the next event number of a subject, to be made durable before it is signed.
    fn numbered_anew(&self, errand: &Errand, draft: &mut Draft) -> Result<Retired, AgentError> {
        if let Some(identity) = draft.state.identity.as_mut().filter(|_| !errand.retired) {
            next(&mut identity.next_event);
            return Ok(Retired::of(identity));
        }
        let held = self.store.get(Space::Retired, &errand.subject.0)?;
        let held = held.ok_or(StoreError::Unreadable("retired key"))?;
        let mut retired: Retired = read("retired key", &held)?;
        next(&mut retired.next_event);
        draft.change.put(Space::Retired, &errand.subject.0, &json(&retired));
        Ok(retired)
    }

    pub(super) fn offer_frames(
        &mut self,
        errand: &Errand,
        in_flight: &[u64],
        most: usize,
        mut send: impl FnMut(&OfferedFrame) -> bool,
    ) -> Result<Vec<u64>, AgentError> {
        let sends = self.errand()?.is_some_and(|now| now == *errand && !now.announces);
        if !sends {
            return Ok(Vec::new());
        }
        let (mut draft, mut chosen, mut marked) = (self.draft(), Vec::new(), false);
        for entry in self.store.entries(Space::Spool, b"")? {
            if chosen.len() >= most {
                break;
            }
            let (key, value) = entry?;
            let sequence = number("spool key", &key)?;
            if in_flight.contains(&sequence) {
                continue;
            }
            let (offered, frame) = spooled(&value)?;
            if !offered {
                draft.change.put(Space::Spool, &key, &[&[1], frame].concat());
                draft.note(Noted::Sent { sequence, bytes: size(&value) });
                marked = true;
            }
            chosen.push(OfferedFrame { sequence, bytes: frame.to_vec() });
        }
        if marked {
            self.commit(draft)?;
        }
        Ok(chosen.iter().take_while(|frame| send(frame)).map(|frame| frame.sequence).collect())
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
