//! The published state that a question is asked of, read anew only when it changed.
//!
//! Whether it changed is looked at for each question, by the digest of the catalogue's bytes: what somebody
//! takes back is left out of the next answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imprimatur_consent::Digest;
use imprimatur_lake::Catalogue;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UnixSeconds;

use crate::answer::Answer;
use crate::edition::{Edition, Editions};
use crate::error::QueryError;
use crate::people::{Crowd, Enrolled};

/// A published state, as far as it counts.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// What counts in the edition; who is excluded by now is so.
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) edition: Edition,
    /// Whether no answer has been given of this edition.
    pub(crate) is_new: bool,
    /// SHA-256 of all of the catalogue that counts: the same one gives the same answers.
    pub(crate) fingerprint: Digest,
    pub(crate) enrolled: Arc<Enrolled>,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        (self.fingerprint, self.edition, self.is_new)
            == (other.fingerprint, other.edition, other.is_new)
    }
}

/// What is kept of the last state, and of what was computed from it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct States {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    last: Option<Last>,
    /// Answers of the state with this fingerprint, by the question as a command.
    answers: BTreeMap<String, Answer>,
    answers_of: Option<Digest>,
    /// Principals with many rows, by table, as of an edition.
    crowds: BTreeMap<RecordKind, (Edition, Arc<Crowd>)>,
}

#[derive(Clone, Debug)]
struct Last {
    /// SHA-256 of the catalogue's bytes.
    digest: Digest,
    published: UnixSeconds,
    /// The edition that would begin with it.
    next: Edition,
    state: State,
}

impl Last {
    fn of(
        digest: Digest,
        catalogue: Catalogue,
        edition: Option<Edition>,
    ) -> Result<Self, QueryError> {
        let (published, next) = (catalogue.published, Edition::of(&catalogue));
        let enrolled = Arc::new(Enrolled::of(&catalogue.enrolled));
        let edition = edition.unwrap_or(next);
        let catalogue = Arc::new(edition.narrowed(catalogue));
        let counts = serde_json::to_vec(&catalogue);
        let counts = counts.map_err(|error| QueryError::Engine(Box::new(error)))?;
        let fingerprint = Digest::of(&counts);
        let state = State { catalogue, edition, is_new: false, fingerprint, enrolled };
        Ok(Self { digest, published, next, state })
    }
}

impl States {
    /// The state that questions are about now. Reads the disk.
    ///
    /// # Errors
    /// [`QueryError::Catalogue`], [`QueryError::Edition`].
    pub(crate) fn now(
        &self,
        lake: &Path,
        editions: Option<&Editions>,
    ) -> Result<State, QueryError> {
        let current = |published| match editions {
            Some(editions) => editions.current(published),
            None => Ok(None),
        };
        let bytes = Catalogue::bytes(lake).map_err(QueryError::Catalogue)?;
        let digest = Digest::of(&bytes);
        let known = self.kept().last.clone().filter(|last| last.digest == digest);
        if let Some(last) = known {
            let edition = current(last.published)?;
            if edition.unwrap_or(last.next) == last.state.edition {
                let is_new = edition.is_none() && editions.is_some();
                return Ok(State { is_new, ..last.state });
            }
        }
        let catalogue = Catalogue::parse(lake, &bytes).map_err(QueryError::Catalogue)?;
        let edition = current(catalogue.published)?;
        let last = Last::of(digest, catalogue, edition)?;
        let is_new = edition.is_none() && editions.is_some();
        self.kept().last = Some(last.clone());
        Ok(State { is_new, ..last.state })
    }

    /// The answer to a question that was given of the same state.
    pub(crate) fn answer(&self, state: &State, command: &str) -> Option<Answer> {
        let kept = self.kept();
        let same = kept.answers_of == Some(state.fingerprint);
        kept.answers.get(command).filter(|_| same).cloned()
    }

    /// Keeps an answer while the state stays the same, at most so many.
    pub(crate) fn keep(&self, state: &State, command: String, answer: &Answer, most: usize) {
        let mut kept = self.kept();
        if kept.answers_of != Some(state.fingerprint) {
            kept.answers.clear();
            kept.answers_of = Some(state.fingerprint);
        }
        if kept.answers.len() < most {
            kept.answers.insert(command, answer.clone());
        }
    }

    /// Principals with many rows in a table, if they were looked for in this edition.
    pub(crate) fn crowd(&self, table: RecordKind, edition: Edition) -> Option<Arc<Crowd>> {
        let kept = self.kept();
        let (of, crowd) = kept.crowds.get(&table)?;
        (*of == edition).then(|| Arc::clone(crowd))
    }

    /// Keeps who has many rows in a table for the rest of an edition: rows only become fewer in it.
    pub(crate) fn keep_crowd(&self, table: RecordKind, edition: Edition, crowd: Arc<Crowd>) {
        self.kept().crowds.insert(table, (edition, crowd));
    }

    /// Forgets who has many rows: somebody has more than was known.
    pub(crate) fn forget_crowds(&self) {
        self.kept().crowds.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
