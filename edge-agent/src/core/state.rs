//! The state: flags, identity and counters as one value, and the draft that changes it.
//!
//! A draft collects every change of one decision; nothing is visible before it is durable.

use std::collections::BTreeMap;
use std::fmt;

use imprimatur_consent::policy::OLDEST_RECORD_DAYS;
use imprimatur_consent::{Category, Digest, Flag, PrincipalId, SigningSeed, SubjectId};
use imprimatur_proto::consent::v1::Decision;
use imprimatur_runtime::entropy::{self, NoEntropy};
use imprimatur_runtime::{UnixSeconds, UtcDate};

use super::journal::{self, Noted};
use crate::store::{Change, Space, Store, StoreError};

/// Retired keys and receipts that are kept for each agent.
const KEPT_MAX: usize = 256;

/// 32 bytes that are never shown.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(Digest);

impl Secret {
    fn draw() -> Result<Self, NoEntropy> {
        Ok(Self(Digest(entropy::bytes()?)))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// An owner's answer to one category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// Yes or no.
    pub flag: Flag,
    /// Since when.
    pub since: UnixSeconds,
}

/// The owner's answers; what is not in it was not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Flags(pub BTreeMap<Category, Answer>);

impl Flags {
    /// The answer for a category.
    pub fn flag(&self, category: Category) -> Flag {
        self.0.get(&category).map_or(Flag::Unasked, |answer| answer.flag)
    }

    /// Whether a category is granted now.
    pub fn granted(&self, category: Category) -> bool {
        self.flag(category) == Flag::Granted
    }

    /// Whether what began then may be kept.
    pub fn covers(&self, category: Category, began: UnixSeconds) -> bool {
        let answer = self.0.get(&category);
        answer.is_some_and(|answer| answer.flag == Flag::Granted && answer.since <= began)
    }

    /// Whether nothing is granted.
    pub fn silent(&self) -> bool {
        !Category::ALL.into_iter().any(|category| self.granted(category))
    }

    pub(super) fn set(&mut self, category: Category, flag: Flag, since: UnixSeconds) {
        self.0.insert(category, Answer { flag, since });
    }
}

/// What was drawn at the first grant.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Identity {
    seed: Secret,
    pub(super) principal: PrincipalId,
    /// Key of the identity tag; never leaves the device, in no form but the tag.
    pub(super) tag_key: Secret,
    /// Policy of the last event that the collector recorded, under which it takes batches; before
    /// any, that of the first grant.
    pub(super) policy: Digest,
    /// Number of the next consent event.
    pub(super) next_event: u64,
    /// Number of the next batch.
    pub(super) next_batch: u64,
    /// Whether the wire has seen this subject: if not, a full withdrawal leaves nothing to say.
    pub(super) offered: bool,
    /// Whether a receipt of a grant is held: no batch is offered before.
    pub(super) receipted: bool,
    /// Date on which the collector said that it does not take this contract.
    pub(super) contract_refused: Option<UtcDate>,
}

impl Identity {
    pub(super) fn draw(policy: Digest) -> Result<Self, NoEntropy> {
        Ok(Self {
            seed: Secret::draw()?,
            principal: PrincipalId(entropy::bytes()?),
            tag_key: Secret::draw()?,
            policy,
            next_event: 1,
            next_batch: 1,
            offered: false,
            receipted: false,
            contract_refused: None,
        })
    }

    pub(super) fn key(&self) -> SigningSeed {
        SigningSeed::from_seed(self.seed.bytes())
    }

    pub(super) fn subject(&self) -> SubjectId {
        self.key().subject()
    }
}

/// What signs consent events; all that is left of a key after a full withdrawal. It signs no batch:
/// it may only say its withdrawal again.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Retired {
    seed: Secret,
    pub(super) principal: PrincipalId,
    pub(super) policy: Digest,
    pub(super) next_event: u64,
}

impl Retired {
    pub(super) fn of(identity: &Identity) -> Self {
        let &Identity { seed, principal, policy, next_event, .. } = identity;
        Self { seed, principal, policy, next_event }
    }

    pub(super) fn subject(&self) -> SubjectId {
        self.key().subject()
    }

    pub(super) fn key(&self) -> SigningSeed {
        SigningSeed::from_seed(self.seed.bytes())
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
    pub(super) granted: bool,
    pub(super) categories: Vec<Category>,
    #[serde(default)]
    pub(super) token: Option<Digest>,
    /// Policy that it names.
    pub(super) policy: Digest,
    /// Date that it names.
    pub(super) date: UtcDate,
    /// Date on which the collector would not record it: it waits for the next.
    pub(super) refused: Option<UtcDate>,
    /// Whether it would not because of the date that the event names.
    pub(super) misdated: bool,
}

impl Waiting {
    pub(super) fn decision(&self) -> Decision {
        if self.granted { Decision::Granted } else { Decision::Withdrawn }
    }

    pub(super) fn shares(&self, categories: &[Category]) -> bool {
        self.categories.iter().any(|category| categories.contains(category))
    }

    /// Whether it must name another date to be recorded. The collector takes a withdrawal of any
    /// date, and a grant of up to [`OLDEST_RECORD_DAYS`] back.
    pub(super) fn outdated(&self, today: UtcDate) -> bool {
        let old = today.0.saturating_sub(self.date.0) > OLDEST_RECORD_DAYS;
        let future = self.date.0 > today.0.saturating_add(1);
        let misdated = self.misdated && self.refused != Some(today);
        self.granted && (old || future || misdated)
    }
}

/// Everything small; what is large is in the store only.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct State {
    pub(super) flags: Flags,
    pub(super) identity: Option<Identity>,
    pub(super) next_pending: u64,
    pub(super) next_line: u64,
    #[serde(skip)]
    pub(super) spool_bytes: u64,
    #[serde(skip)]
    pub(super) spool_frames: u64,
}

impl State {
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        let mut state = match store.get(Space::State, b"")? {
            None => Self::default(),
            Some(bytes) => read("state", &bytes)?,
        };
        for entry in store.entries(Space::Spool, b"")? {
            state.spool_bytes += frame_bytes(&entry?.1);
            state.spool_frames += 1;
        }
        Ok(state)
    }
}

/// The bytes of a spooled frame without its mark.
pub(super) fn frame_bytes(value: &[u8]) -> u64 {
    u64::try_from(value.len().saturating_sub(1)).unwrap_or(u64::MAX)
}

/// The key of what belongs to a subject and a number.
pub(super) fn numbered(subject: SubjectId, sequence: u64) -> Vec<u8> {
    [&subject.0[..], &sequence.to_be_bytes()].concat()
}

pub(super) fn read<T: serde::de::DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|_other_form| StoreError::Unreadable(what))
}

/// A big-endian number at the front of a key or value.
pub(super) fn number(what: &'static str, bytes: &[u8]) -> Result<u64, StoreError> {
    let first = bytes.first_chunk().ok_or(StoreError::Unreadable(what))?;
    Ok(u64::from_be_bytes(*first))
}

/// What one decision changes.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) state: State,
    pub(super) change: Change,
    pub(super) now: UnixSeconds,
}

impl Draft {
    pub(super) fn of(state: &State, now: UnixSeconds) -> Self {
        Self { state: state.clone(), change: Change::default(), now }
    }

    /// Adds a line to the log and drops the oldest beyond the bound.
    pub(super) fn note(&mut self, noted: Noted) {
        let at = self.state.next_line;
        self.state.next_line += 1;
        let line = journal::Line { at: self.now, noted };
        self.change.put(Space::Log, &at.to_be_bytes(), &json(&line));
        if let Some(old) = at.checked_sub(journal::LINES_MAX) {
            self.change.remove(Space::Log, &old.to_be_bytes());
        }
    }

    pub(super) fn wait(&mut self, subject: SubjectId, event: &Waiting) {
        self.change.put(Space::Outbox, &numbered(subject, event.sequence), &json(event));
    }

    pub(super) fn spool(&mut self, sequence: u64, frame: &[u8]) {
        let value = [&[0], frame].concat();
        self.state.spool_bytes += frame_bytes(&value);
        self.state.spool_frames += 1;
        self.change.put(Space::Spool, &sequence.to_be_bytes(), &value);
    }

    /// Drops a frame whose stored value is given.
    pub(super) fn free(&mut self, sequence: u64, value: &[u8]) {
        self.state.spool_bytes = self.state.spool_bytes.saturating_sub(frame_bytes(value));
        self.state.spool_frames = self.state.spool_frames.saturating_sub(1);
        self.change.remove(Space::Spool, &sequence.to_be_bytes());
    }

    /// Puts a value that few of its kind surround; the first of too many goes.
    pub(super) fn keep(
        &mut self,
        store: &Store,
        space: Space,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StoreError> {
        let held = store.scan(space, b"")?;
        for (old, _) in held.iter().take((held.len() + 1).saturating_sub(KEPT_MAX)) {
            self.change.remove(space, old);
        }
        self.change.put(space, key, value);
        Ok(())
    }

    /// Drops a whole space.
    pub(super) fn purge(&mut self, store: &Store, space: Space) -> Result<(), StoreError> {
        for (key, _) in store.scan(space, b"")? {
            self.change.remove(space, &key);
        }
        if space == Space::Spool {
            (self.state.spool_bytes, self.state.spool_frames) = (0, 0);
        }
        Ok(())
    }

    /// Makes it durable; gives the state that is in force then.
    pub(super) fn commit(mut self, store: &Store) -> Result<State, StoreError> {
        self.change.put(Space::State, b"", &json(&self.state));
        store.commit(self.change)?;
        Ok(self.state)
    }
}

/// JSON of a value of this crate; these have no map keys or numbers that JSON cannot hold.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
