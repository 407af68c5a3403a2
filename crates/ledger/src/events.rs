//! Events: folded into the standing, sealed, and committed to in the log, in one transaction.

use imprimatur_consent::event::{LedgerEvent, What};
use imprimatur_consent::standing::InvalidEvent;
use imprimatur_consent::{Digest, Standing, SubjectId};
use imprimatur_log::entry;
use imprimatur_runtime::{UnixSeconds, UtcDate, entropy};

use crate::error::BookError;
use crate::evidence::ConsentEvidence;
use crate::subject::Held;
use crate::tables::EVENTS;
use crate::txn::Txn;

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its place in the order of events and commits.
    pub position: u64,
    /// The number of its entry in the log, from 0.
    pub leaf: u64,
    /// What blinds the entry.
    pub nonce: Digest,
    /// What the subject's events add up to now.
    pub standing: Standing,
}

impl Txn {
    /// Records what happened to a subject. The first consent event of a key makes a subject.
    ///
    /// # Errors
    /// [`BookError`]: end the process. The inner error is the answer to whoever sent the event:
    /// nothing was recorded.
    pub fn record(
        &self,
        subject: SubjectId,
        what: &What,
        now: UnixSeconds,
    ) -> Result<Result<Logged, InvalidEvent>, BookError> {
        let slot = self.slot(subject);
        if slot.is_none() && self.buried(subject)? {
            return Ok(Err(InvalidEvent::Ended));
        }
        let before = match slot {
            Some(slot) => self.held(slot)?,
            None => None,
        };
        let standing = before.as_ref().map(|held| &held.standing);
        let standing = match Standing::fold(standing, &self.terms(), what, now.date()) {
            Ok(standing) if standing.subject() == subject => standing,
            Ok(_other) => return Ok(Err(InvalidEvent::Foreign)),
            Err(invalid) => return Ok(Err(invalid)),
        };
        let slot = match slot {
            Some(slot) => slot,
            None => self.book.keyring.draw()?,
        };
        let event = LedgerEvent { nonce: Digest(entropy::bytes()?), what: what.clone() };
        let nonce = event.nonce;
        let leaf = self.append(&entry::blinded(&nonce.0, &what.payload()))?;
        let position = self.next_position()?;
        let keyring = &self.book.keyring;
        let evidence = ConsentEvidence::seal(keyring, (position, leaf, slot), now, &event)?;
        self.put(EVENTS, position, &evidence)?;
        self.follow(slot, before, &standing, (position, now.date()))?;
        Ok(Ok(Logged { position, leaf, nonce, standing }))
    }

    /// Writes the standing that an event made, and what is used no more because of it.
    pub(crate) fn follow(
        &self,
        slot: u64,
        before: Option<Held>,
        standing: &Standing,
        (position, on): (u64, UtcDate),
    ) -> Result<(), BookError> {
        if let Some(before) = &before {
            self.mark_ended(before, standing, on, position)?;
        }
        let mut held = before.unwrap_or_else(|| Held {
            standing: standing.clone(),
            enrolled: false,
            withdrawn: std::collections::BTreeMap::new(),
        });
        let granted = held.standing.granted.keys();
        let gone = granted.filter(|category| !standing.granted.contains_key(category));
        let gone: Vec<_> = gone.map(|&category| (category, position)).collect();
        held.withdrawn.extend(gone);
        held.standing = standing.clone();
        self.hold(slot, &held)
    }
}
