//! The state: flags, identity and counters as one value, and the draft that changes it.
//!
//! A draft collects every change of one decision; nothing is visible before it is durable.

use std::collections::BTreeMap;

use imprimatur_consent::{Category, Flag, SubjectId};
use imprimatur_runtime::{UnixSeconds, UtcDate};

use super::clock_check::Look;
use super::counts::Counts;
use super::event::Waiting;
use super::identity::Identity;
use super::journal::{self, Noted};
use super::mandate::Applied;
use super::receipt::SeenLog;
use super::spool::{self, frame_bytes};
use crate::store::{Change, Space, Store, StoreError};

/// Form of what this version writes. Form 2 had no counts and no checksums in the spool, and is
/// brought to form 3 when it is opened. A grant of form 1 says neither language nor method, which no
/// collector takes any more, so it is not read.
const FORM: u32 = 3;
const FORM_BEFORE: u32 = 2;

/// Retired keys and receipts that are kept for each agent.
const KEPT_MAX: usize = 256;

/// An owner's answer to one category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// Yes or no.
    pub flag: Flag,
    /// Since when.
    pub since: UnixSeconds,
    /// When it was renewed last.
    #[serde(default)]
    pub renewed: Option<UnixSeconds>,
    /// Whether it was a yes before it became a no.
    #[serde(default)]
    pub withdrawn: bool,
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
        let withdrawn = flag == Flag::Refused && self.granted(category);
        self.0.insert(category, Answer { flag, since, renewed: None, withdrawn });
    }

    /// A yes again: `since` stays.
    pub(super) fn renew(&mut self, category: Category, now: UnixSeconds) {
        if let Some(answer) = self.0.get_mut(&category) {
            answer.renewed = Some(now);
        }
    }
}

/// Everything small; what is large is in the store only.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct State {
    form: u32,
    /// Changes that were made, this one included.
    commits: u64,
    pub(super) flags: Flags,
    pub(super) identity: Option<Identity>,
    /// When each question was first shown.
    pub(super) asked: BTreeMap<Category, UtcDate>,
    /// The newest log of the collector that was proven.
    pub(super) log: Option<SeenLog>,
    /// Whether the collector showed an older or another log since: nothing is offered.
    pub(super) doubt: bool,
    /// What the farm's list granted.
    pub(super) mandate: Option<Applied>,
    /// Whether deleted bytes are to be removed from sled's file.
    pub(super) rebuild: bool,
    /// What became of everything.
    #[serde(default)]
    pub(super) counts: Counts,
    /// The newest instant at which something was written by a credible clock.
    #[serde(default)]
    pub(super) latest: UnixSeconds,
    pub(super) next_pending: u64,
    pub(super) next_line: u64,
    pub(super) next_request: u64,
    #[serde(skip)]
    pub(super) spool_bytes: u64,
    #[serde(skip)]
    pub(super) spool_frames: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            form: FORM,
            commits: 0,
            flags: Flags::default(),
            identity: None,
            asked: BTreeMap::new(),
            log: None,
            doubt: false,
            mandate: None,
            rebuild: false,
            counts: Counts::default(),
            latest: UnixSeconds::default(),
            next_pending: 0,
            next_line: 0,
            next_request: 1,
            spool_bytes: 0,
            spool_frames: 0,
        }
    }
}

/// What is read first: it tells whether the rest can be.
#[derive(serde::Deserialize)]
struct Formed {
    #[serde(default = "first_form")]
    form: u32,
}

fn first_form() -> u32 {
    1
}

impl State {
    /// Reads the state; brings a store of the form before this one to this one.
    ///
    /// # Errors
    /// [`StoreError::unusable`] ones: nothing may be collected or said from this store.
    pub(super) fn load(store: &mut Store) -> Result<Self, StoreError> {
        let mut state = match store.get(Space::State, b"")? {
            None => Self::default(),
            Some(bytes) => {
                let Formed { form } = read("state", &bytes)?;
                if ![FORM_BEFORE, FORM].contains(&form) {
                    return Err(StoreError::Version(form));
                }
                read("state", &bytes)?
            }
        };
        if state.commits < store.tally() {
            return Err(StoreError::Lost);
        }
        if state.form == FORM_BEFORE {
            let mut change = Change::default();
            state.form = FORM;
            spool::upgrade(store, &mut state, &mut change)?;
            state.write(store, change)?;
        }
        for entry in store.entries(Space::Spool, b"")? {
            state.spool_bytes += frame_bytes(&entry?.1);
            state.spool_frames += 1;
        }
        Ok(state)
    }

    /// Makes a change durable together with this state.
    fn write(&mut self, store: &mut Store, mut change: Change) -> Result<(), StoreError> {
        self.commits += 1;
        change.put(Space::State, b"", &json(self));
        store.commit(change, self.commits)
    }

    /// Size of the newest log that was proven.
    pub(super) fn seen_log_size(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.size)
    }
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
    /// The best time known.
    pub(super) now: UnixSeconds,
    /// Whether that is not to be relied on.
    pub(super) doubtful: bool,
}

impl Draft {
    pub(super) fn of(state: &State, look: Look) -> Self {
        let Look { now, doubtful, .. } = look;
        Self { state: state.clone(), change: Change::default(), now, doubtful }
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

    /// Drops all that is kept of a subject that has nothing more to say, its key above all.
    pub(super) fn forget(&mut self, store: &Store, subject: SubjectId) -> Result<(), StoreError> {
        for space in [Space::Retired, Space::Recovered, Space::Outbox, Space::Receipt] {
            for (key, _) in store.scan(space, &subject.0)? {
                self.change.remove(space, &key);
            }
        }
        self.state.rebuild = true;
        Ok(())
    }

    /// Drops a whole space; counts what of it was to be told.
    pub(super) fn purge(&mut self, store: &Store, space: Space) -> Result<(), StoreError> {
        let mut entries = 0;
        for (key, _) in store.scan(space, b"")? {
            self.change.remove(space, &key);
            entries += 1;
        }
        let State { spool_bytes, spool_frames, counts, .. } = &mut self.state;
        match space {
            Space::Spool => {
                counts.purged += std::mem::take(spool_frames);
                counts.records.purged += std::mem::take(&mut counts.records.waiting);
                *spool_bytes = 0;
            }
            Space::Pending => counts.records.purged += entries,
            _ => {}
        }
        Ok(())
    }

    /// Makes it durable; gives the state that is in force then.
    pub(super) fn commit(mut self, store: &mut Store) -> Result<State, StoreError> {
        if !self.doubtful {
            self.state.latest = self.state.latest.max(self.now);
        }
        self.state.write(store, self.change)?;
        Ok(self.state)
    }
}

/// JSON of a value of this crate; these have no map keys or numbers that JSON cannot hold.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
