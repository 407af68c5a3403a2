//! What rights requests read: whose a key is, and everything that is held about its subject.

use std::collections::BTreeSet;

use imprimatur_consent::event::LedgerEvent;
use imprimatur_consent::{Digest, Pseudonym, SubjectId};
use imprimatur_runtime::UnixSeconds;
use redb::ReadableTable as _;

use crate::book::decode;
use crate::error::BookError;
use crate::evidence::{CommitEvidence, ConsentEvidence, Opened};
use crate::journal::JournalRecord;
use crate::register::{Asker, Entry};
use crate::tables::{COMMITS, EVENTS, JOURNAL, REGISTER};
use crate::txn::Txn;

/// Something that happened to a subject, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Its place in the order of events and commits.
    pub position: u64,
    /// The number of its entry in the log, from 0.
    pub leaf: u64,
    /// When it was recorded.
    pub recorded: UnixSeconds,
    /// What it was.
    pub event: LedgerEvent,
}

impl Txn {
    /// The subject that a key speaks for: its own, or the one whose recovery key it is.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn speaks_for(
        &self,
        public_key: &[u8; 32],
    ) -> Result<Option<(SubjectId, Asker)>, BookError> {
        let own = SubjectId::of(public_key);
        if self.slot(own).is_some() {
            return Ok(Some((own, Asker::Owner)));
        }
        let suspects = self.book.index().recoverable(public_key);
        for slot in suspects {
            let held = self.held(slot)?;
            let is = held.filter(|held| held.standing.recovery == Some(Digest(*public_key)));
            if let Some(held) = is {
                return Ok(Some((held.standing.subject(), Asker::Recovery)));
            }
        }
        Ok(None)
    }

    /// Everything that was recorded about a subject, in order. Reads all events: for the rare
    /// request of an owner, not for every batch.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn history(&self, subject: SubjectId) -> Result<Vec<Happened>, BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(Vec::new()) };
        let mut history = Vec::new();
        for entry in self.raw.open_table(EVENTS)?.iter()? {
            let evidence: ConsentEvidence = decode(EVENTS, entry?.1.value())?;
            if evidence.slot != slot {
                continue;
            }
            if let Opened::Whole(event) = evidence.open(&self.book.keyring)? {
                let ConsentEvidence { position, leaf, recorded, .. } = evidence;
                history.push(Happened { position, leaf, recorded, event });
            }
        }
        Ok(history)
    }

    /// The positions of a subject's commits.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn commits_of(&self, subject: SubjectId) -> Result<Vec<u64>, BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(Vec::new()) };
        let mut positions = Vec::new();
        for entry in self.raw.open_table(COMMITS)?.iter()? {
            let evidence: CommitEvidence = decode(COMMITS, entry?.1.value())?;
            if evidence.slot == slot {
                positions.push(evidence.position);
            }
        }
        Ok(positions)
    }

    /// The pseudonyms under which a subject's rows lie in the lake.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn pseudonyms_of(&self, subject: SubjectId) -> Result<BTreeSet<Pseudonym>, BookError> {
        self.slot(subject).map_or_else(|| Ok(BTreeSet::new()), |slot| self.pseudonyms(slot))
    }

    /// A subject's records that are on their way to the lake, by the position of their commit.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn on_the_way(
        &self,
        subject: SubjectId,
    ) -> Result<Vec<(u64, Vec<JournalRecord>)>, BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(Vec::new()) };
        let mut batches = Vec::new();
        for entry in self.raw.open_table(JOURNAL)?.iter()? {
            let (position, value) = entry?;
            let of_slot = value.value().strip_prefix(&slot.to_be_bytes());
            let place = crate::evidence::place("journal", position.value());
            let Some(sealed) = of_slot else { continue };
            if let Some(json) = self.unseal(JOURNAL, slot, &place, sealed)? {
                batches.push((position.value(), decode(JOURNAL, &json)?));
            }
        }
        Ok(batches)
    }

    /// The requests about a subject.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn requests_of(&self, subject: SubjectId) -> Result<Vec<Entry>, BookError> {
        let Some(slot) = self.slot(subject) else { return Ok(Vec::new()) };
        let mut requests = Vec::new();
        for entry in self.raw.open_table(REGISTER)?.iter()? {
            let request: Entry = decode(REGISTER, entry?.1.value())?;
            if request.slot == slot {
                requests.push(request);
            }
        }
        Ok(requests)
    }

    /// The subjects behind these pseudonyms of subjects or principals, as far as their peppers live:
    /// whom to tell when rows leaked. Computes every pseudonym there is.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn behind(
        &self,
        pseudonyms: &BTreeSet<Pseudonym>,
    ) -> Result<BTreeSet<SubjectId>, BookError> {
        let mut subjects = BTreeSet::new();
        for (slot, epochs) in self.all_epochs()? {
            let Some(known) = self.known(slot) else { continue };
            let subject = SubjectId::of(&known.public_key);
            for epoch in epochs {
                let pepper = self.pepper(epoch)?;
                let own = [pepper.subject(subject), pepper.principal(known.principal)];
                if own.iter().any(|pseudonym| pseudonyms.contains(pseudonym)) {
                    subjects.insert(subject);
                }
            }
        }
        Ok(subjects)
    }
}
