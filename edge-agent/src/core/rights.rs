//! Rights: what the owner asks of what is held elsewhere, until it is answered.
//!
//! A request is kept in the store and asked with every key that this device holds: the subject's,
//! those that are retired, those of recovery codes. Each key speaks for itself: challenge, signed
//! request, answer, page by page (`talk`). Nothing is asked unless the owner asked it. An erased key is
//! destroyed once the collector says that it is done.

mod kinds;
mod local;
mod talk;

use imprimatur_consent::{RecoveryCode, SigningSeed, SubjectId};
use imprimatur_runtime::{UnixSeconds, UtcDate};

pub use self::kinds::{Exercise, NotATopic, RequestLine, RequestOutcome, Right, Topic};

pub(super) use self::talk::Talk;
use super::consent::next;
use super::identity::{Identity, Retired, Secret};
use super::state::{Draft, json, read};
use super::{Agent, AgentError, Core, Noted};
use crate::store::{Space, StoreError};

/// Requests that may wait for their answers; more are refused.
const OPEN_MAX: usize = 64;

/// Requests that are kept, answered ones included; the oldest answered go.
const KEPT_MAX: usize = 256;

/// A request as it is stored.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Kept {
    pub(super) line: RequestLine,
    /// The key that asks; absent once it is destroyed.
    pub(super) requester: Option<SubjectId>,
    exercise: Exercise,
    /// Where the next page begins.
    cursor: u64,
    /// When it was asked last, once it was answered.
    asked: Option<UtcDate>,
}

impl Kept {
    /// Whether there is something to say of it today. An accepted erasure is asked about once a day,
    /// so that its key goes when it is done.
    fn open(&self, today: UtcDate) -> bool {
        let promised = matches!(self.line.outcome, RequestOutcome::Accepted | RequestOutcome::Held);
        let due = self.asked.is_none_or(|asked| asked < today);
        let again = promised && self.line.right == Right::Erase && due;
        self.requester.is_some() && (self.line.outcome == RequestOutcome::Waiting || again)
    }

    fn key(&self) -> [u8; 8] {
        self.line.number.to_be_bytes()
    }
}

/// The key of a recovery code.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Recovered {
    seed: Secret,
}

impl Agent {
    /// Asks for a right, with every key that this device holds. What binds here binds before it
    /// returns: `erase` withdraws and deletes everything, `restrict` stops all collecting, `object`
    /// withdraws. Gives the requests; none when an erasure has nobody to ask.
    ///
    /// # Errors
    /// [`AgentError::NothingHeld`], [`AgentError::NoCollector`], [`AgentError::TooManyRequests`].
    pub fn exercise(&self, exercise: &Exercise) -> Result<Vec<RequestLine>, AgentError> {
        let bound = match exercise {
            Exercise::Erase {} => Some(self.withdraw(None)?),
            Exercise::Object { categories } if categories.is_empty() => Some(self.withdraw(None)?),
            Exercise::Object { categories } => Some(self.withdraw(Some(categories))?),
            _ => None,
        };
        tracing::debug!(?bound, "a right is exercised");
        self.with(|core| core.exercise(exercise))
    }

    /// Takes the key of a recovery code, for rights requests only.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn recover(&self, code: &RecoveryCode) -> Result<(), AgentError> {
        self.with(|core| core.recover(code))
    }

    /// All requests, oldest first.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn requests(&self) -> Result<Vec<RequestLine>, AgentError> {
        self.with(|core| {
            let today = core.clock.today();
            let lines = core.kept_requests()?.into_iter().map(|kept| {
                use RequestOutcome::{Accepted, Held, Waiting};
                let unfinished = matches!(kept.line.outcome, Waiting | Accepted | Held);
                RequestLine { overdue: unfinished && kept.line.due < today, ..kept.line }
            });
            Ok(lines.collect())
        })
    }

    /// What waits here that ends something: withdrawals, and erasures that nobody answered. It would
    /// be lost with the store.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn undelivered(&self) -> Result<usize, AgentError> {
        self.with(|core| {
            let ends = core.waiting(b"")?.iter().filter(|event| !event.asks()).count();
            let erasures = core.kept_requests()?.into_iter().filter(|kept| {
                let erases = matches!(kept.line.right, Right::Erase | Right::Withdraw);
                erases && kept.line.outcome == RequestOutcome::Waiting
            });
            Ok(ends.saturating_add(erasures.count()))
        })
    }

    /// A page of an answer as it came: JSON lines.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn page(&self, request: u64, page: u32) -> Result<Option<Vec<u8>>, AgentError> {
        self.with(|core| Ok(core.store.get(Space::Page, &page_key(request, page))?))
    }
}

impl Core {
    fn exercise(&mut self, exercise: &Exercise) -> Result<Vec<RequestLine>, AgentError> {
        let right = exercise.right();
        let mut keys = self.keys(right)?;
        if right == Right::Complain {
            keys.truncate(1);
        }
        let mut draft = self.draft();
        if right == Right::Erase {
            self.erase_here(&mut draft)?;
        } else if keys.is_empty() {
            return Err(AgentError::NothingHeld);
        }
        if self.settings.collector.is_none() && !keys.is_empty() {
            return Err(AgentError::NoCollector);
        }
        let held = self.kept_requests()?;
        let open = held.iter().filter(|kept| kept.line.outcome == RequestOutcome::Waiting).count();
        if open.saturating_add(keys.len()) > OPEN_MAX {
            return Err(AgentError::TooManyRequests(open));
        }
        // A new answer takes the place of the old one.
        for old in held.iter().filter(|kept| right.paged() && kept.line.right == right) {
            self.drop_pages(&mut draft, old)?;
        }
        let settled = held.iter().filter(|kept| !kept.open(draft.now.date()));
        let surplus = (held.len() + keys.len()).saturating_sub(KEPT_MAX);
        for old in settled.take(surplus) {
            draft.change.remove(Space::Request, &old.key());
        }
        if let Some(identity) = draft.state.identity.as_mut().filter(|_| right == Right::Restrict) {
            identity.restricted = true;
        }
        let mut lines = Vec::new();
        let asked = |of: SubjectId| {
            held.iter().find(|kept| {
                let waits = kept.line.outcome == RequestOutcome::Waiting;
                waits && kept.requester == Some(of) && kept.exercise == *exercise
            })
        };
        for requester in keys {
            // Asked twice before it was answered once is asked once.
            if let Some(kept) = asked(requester).filter(|_| right != Right::Erase) {
                lines.push(kept.line.clone());
                continue;
            }
            let line = self.line(&mut draft, right);
            draft.note(Noted::Asked { request: line.number, right });
            let (exercise, requester) = (exercise.clone(), Some(requester));
            draft.request(&Kept {
                line: line.clone(),
                requester,
                exercise,
                cursor: 0,
                asked: None,
            });
            lines.push(line);
        }
        self.commit(draft)?;
        self.requests_rest = UnixSeconds::default();
        self.changes.news += 1;
        Ok(lines)
    }

    fn line(&self, draft: &mut Draft, right: Right) -> RequestLine {
        let deadlines = &self.settings.policy.deadlines;
        let days = match right {
            Right::Erase => deadlines.erasure_days,
            Right::Complain => deadlines.complaint_days,
            _ => deadlines.answer_days,
        };
        let made = draft.now.date();
        RequestLine {
            number: next(&mut draft.state.next_request),
            right,
            made,
            outcome: RequestOutcome::Waiting,
            register: None,
            received: None,
            due: UtcDate(made.0.saturating_add(days)),
            overdue: false,
            pages: 0,
        }
    }

    /// The keys that ask: the subject's, those of recovery codes, those that are retired. A subject
    /// that the wire has not seen is held by nobody.
    fn keys(&self, right: Right) -> Result<Vec<SubjectId>, AgentError> {
        let id = |key: &[u8]| SubjectId::try_from(key).ok();
        let recovered = self.store.scan(Space::Recovered, b"")?;
        let recovered = recovered.iter().filter_map(|(key, _)| id(key));
        if right == Right::Withdraw {
            // The device's own subjects withdraw by a consent event.
            return Ok(recovered.collect());
        }
        let ours = self.state.identity.as_ref().filter(|identity| identity.offered);
        let mut keys: Vec<_> = ours.map(Identity::subject).into_iter().collect();
        keys.extend(recovered);
        for (key, value) in self.store.scan(Space::Retired, b"")? {
            let retired: Retired = read("retired key", &value)?;
            keys.extend(id(&key).filter(|_| retired.rights));
        }
        Ok(keys)
    }

    /// Deletes what is kept here of what was collected and said, but for what still has to be said.
    fn erase_here(&self, draft: &mut Draft) -> Result<(), AgentError> {
        for space in [Space::Log, Space::Receipt, Space::Date, Space::Page, Space::Request] {
            draft.purge(&self.store, space)?;
        }
        draft.state.rebuild = true;
        Ok(())
    }

    fn recover(&mut self, code: &RecoveryCode) -> Result<(), AgentError> {
        let key = code.key();
        let recovered = Recovered { seed: Secret::of(&key) };
        let mut draft = self.draft();
        draft.keep(&self.store, Space::Recovered, &key.subject().0, &json(&recovered))?;
        draft.note(Noted::Recovered);
        self.commit(draft)
    }

    /// The key that signs for a requester, while there is one.
    fn signer(&self, requester: SubjectId) -> Result<Option<SigningSeed>, AgentError> {
        let ours = self.state.identity.as_ref().map(Identity::key);
        if let Some(key) = ours.filter(|key| key.subject() == requester) {
            return Ok(Some(key));
        }
        if let Some(held) = self.store.get(Space::Recovered, &requester.0)? {
            let recovered: Recovered = read("recovered key", &held)?;
            return Ok(Some(recovered.seed.key()));
        }
        let Some(held) = self.store.get(Space::Retired, &requester.0)? else { return Ok(None) };
        let retired: Retired = read("retired key", &held)?;
        Ok(Some(retired.key()).filter(|_| retired.rights))
    }

    pub(super) fn kept_requests(&self) -> Result<Vec<Kept>, AgentError> {
        let entries = self.store.scan(Space::Request, b"")?;
        entries.iter().map(|(_, value)| Ok(read("request", value)?)).collect()
    }

    /// The first request that there is something to say of, of one requester or of any.
    pub(super) fn open_request(&self, of: Option<SubjectId>) -> Result<Option<Kept>, AgentError> {
        let today = self.clock.today();
        let mine = |kept: &Kept| of.is_none() || kept.requester == of;
        let kept = self.kept_requests()?;
        Ok(kept.into_iter().find(|kept| kept.open(today) && mine(kept)))
    }

    fn drop_pages(&self, draft: &mut Draft, kept: &Kept) -> Result<(), StoreError> {
        for (key, _) in self.store.scan(Space::Page, &kept.key())? {
            draft.change.remove(Space::Page, &key);
        }
        let line = RequestLine { pages: 0, ..kept.line.clone() };
        draft.request(&Kept { line, ..kept.clone() });
        Ok(())
    }
}

impl Draft {
    fn request(&mut self, kept: &Kept) {
        self.change.put(Space::Request, &kept.key(), &json(kept));
    }
}

fn page_key(request: u64, page: u32) -> Vec<u8> {
    [&request.to_be_bytes()[..], &page.to_be_bytes()].concat()
}
