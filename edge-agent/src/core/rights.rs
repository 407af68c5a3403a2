//! Rights: what the owner asks of what is held elsewhere, until it is answered.
//!
//! A request is kept in the store and asked with every key that this device holds: the subject's,
//! those that are retired, those of recovery codes. Each key speaks for itself: challenge, signed
//! request, answer, page by page (`talk`). Nothing is asked unless the owner asked it. An erased key is
//! destroyed once the collector says that it is done.

mod local;
mod talk;

use std::fmt;
use std::str::FromStr;

use imprimatur_consent::{Category, RecoveryCode, SigningSeed, SubjectId};
use imprimatur_proto::canonical;
use imprimatur_proto::rights::v1::{ComplaintTopic, Verb};
use imprimatur_proto::telemetry::v1::{DayMachine, DayReport};
use imprimatur_runtime::UtcDate;

pub(super) use self::talk::Talk;
use super::consent::next;
use super::state::{Draft, Retired, Secret, json, read};
use super::{Agent, AgentError, Core, Noted};
use crate::store::{Space, StoreError};

/// Requests that may wait for their answers; more are refused.
const OPEN_MAX: usize = 64;

/// Requests that are kept, answered ones included; the oldest answered go.
const KEPT_MAX: usize = 256;

/// What the owner may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// What is held, for which purposes, and every permission with its history.
    Explain,
    /// All data.
    Export,
    /// Correct the machine.
    Rectify,
    /// Withdraw everything and erase it everywhere.
    Erase,
    /// Keep what is held, use it for nothing.
    Restrict,
    /// End the owner's restriction.
    Release,
    /// Object to the use of categories.
    Object,
    /// Withdraw categories, with the key of a recovery code.
    Withdraw,
    /// Complain.
    Complain,
}

impl Right {
    fn verb(self) -> Verb {
        match self {
            Self::Explain => Verb::Explain,
            Self::Export => Verb::Export,
            Self::Rectify => Verb::Rectify,
            Self::Erase => Verb::Erase,
            Self::Restrict => Verb::Restrict,
            Self::Release => Verb::Release,
            Self::Object => Verb::Object,
            Self::Withdraw => Verb::Withdraw,
            Self::Complain => Verb::Complain,
        }
    }

    /// Whether the answer has pages.
    fn paged(self) -> bool {
        matches!(self, Self::Explain | Self::Export)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Explain => "explain",
            Self::Export => "export",
            Self::Rectify => "rectify",
            Self::Erase => "erase",
            Self::Restrict => "restrict",
            Self::Release => "release",
            Self::Object => "object",
            Self::Withdraw => "withdraw",
            Self::Complain => "complain",
        })
    }
}

/// What a complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Something was collected without a yes.
    Consent,
    /// A request was not answered, or not in time.
    Rights,
    /// The data is wrong.
    Accuracy,
    /// Security, or a leak.
    Security,
    /// Anything else.
    Other,
}

impl From<Topic> for ComplaintTopic {
    fn from(topic: Topic) -> Self {
        match topic {
            Topic::Consent => Self::Consent,
            Topic::Rights => Self::Rights,
            Topic::Accuracy => Self::Accuracy,
            Topic::Security => Self::Security,
            Topic::Other => Self::Other,
        }
    }
}

/// A word that is no topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no topic; expected consent, rights, accuracy, security or other")]
pub struct NotATopic(String);

impl FromStr for Topic {
    type Err = NotATopic;

    fn from_str(text: &str) -> Result<Self, NotATopic> {
        match text {
            "consent" => Ok(Self::Consent),
            "rights" => Ok(Self::Rights),
            "accuracy" => Ok(Self::Accuracy),
            "security" => Ok(Self::Security),
            "other" => Ok(Self::Other),
            _ => Err(NotATopic(text.to_owned())),
        }
    }
}

/// What the owner asks, with all that it needs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "right", rename_all = "snake_case")]
pub enum Exercise {
    /// [`Right::Explain`].
    Explain {},
    /// [`Right::Export`].
    Export {},
    /// [`Right::Rectify`].
    Rectify {
        /// The corrected values are those of all days from this one on.
        since: UtcDate,
        /// Catalogue number of the model.
        model: Option<u32>,
        /// Catalogue number of the firmware.
        firmware: Option<u32>,
    },
    /// [`Right::Erase`].
    Erase {},
    /// [`Right::Restrict`].
    Restrict {},
    /// [`Right::Release`].
    Release {},
    /// [`Right::Object`].
    Object {
        /// To the use of these; none means all.
        categories: Vec<Category>,
    },
    /// [`Right::Withdraw`].
    Withdraw {
        /// These; none means all.
        categories: Vec<Category>,
    },
    /// [`Right::Complain`].
    Complain {
        /// About this.
        topic: Topic,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestOutcome {
    /// Not answered yet.
    Waiting,
    /// Done.
    Done,
    /// Accepted: it binds now and is finished by the due date.
    Accepted,
    /// A legal hold keeps the data: restricted now, erased when the hold ends.
    Held,
    /// The collector knows nothing under this key.
    Unproven,
    /// The collector cannot do it as it was asked.
    Unusable,
    /// The answer is longer than this device takes.
    TooLong,
}

impl fmt::Display for RequestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waits for its answer",
            Self::Done => "done",
            Self::Accepted => "accepted",
            Self::Held => "held by law: restricted now, erased when the hold ends",
            Self::Unproven => "the collector holds nothing under this key",
            Self::Unusable => "the collector cannot do it as it was asked",
            Self::TooLong => "the answer is longer than this device takes: ask the operator",
        })
    }
}

/// A request as the owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RequestLine {
    /// Its number on this device.
    pub number: u64,
    /// What was asked.
    pub right: Right,
    /// When.
    pub made: UtcDate,
    /// What became of it.
    pub outcome: RequestOutcome,
    /// Its number in the collector's register.
    pub register: Option<u64>,
    /// Date on which the collector received it.
    pub received: Option<UtcDate>,
    /// Date by which it is to be finished: the collector's, or before its answer the policy's.
    pub due: UtcDate,
    /// Whether it is not finished and its date is past.
    pub overdue: bool,
    /// Pages of its answer that are kept here.
    pub pages: u32,
}

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
    /// Whether there is something to say of it today. An accepted erasure is asked about from its due
    /// date on, once a day, so that its key goes when it is done.
    fn open(&self, today: UtcDate) -> bool {
        let promised = matches!(self.line.outcome, RequestOutcome::Accepted | RequestOutcome::Held);
        let due = self.line.due <= today && self.asked.is_none_or(|asked| asked < today);
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

impl Exercise {
    fn right(&self) -> Right {
        match self {
            Self::Explain {} => Right::Explain,
            Self::Export {} => Right::Export,
            Self::Rectify { .. } => Right::Rectify,
            Self::Erase {} => Right::Erase,
            Self::Restrict {} => Right::Restrict,
            Self::Release {} => Right::Release,
            Self::Object { .. } => Right::Object,
            Self::Withdraw { .. } => Right::Withdraw,
            Self::Complain { .. } => Right::Complain,
        }
    }

    fn categories(&self) -> Vec<i32> {
        let (Self::Object { categories } | Self::Withdraw { categories }) = self else {
            return Vec::new();
        };
        let mut numbers: Vec<_> = categories.iter().map(|category| category.number()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn topic(&self) -> ComplaintTopic {
        match self {
            Self::Complain { topic } => (*topic).into(),
            _ => ComplaintTopic::Unspecified,
        }
    }

    fn rectified(&self) -> Vec<u8> {
        let Self::Rectify { since, model, firmware } = *self else { return Vec::new() };
        let machine = DayMachine {
            model: model.unwrap_or(0),
            firmware: firmware.unwrap_or(0),
            ..DayMachine::default()
        };
        canonical::encode(&DayReport {
            date: since.0,
            machine: Some(machine),
            ..DayReport::default()
        })
    }
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
        let mut keys: Vec<_> = ours.map(|identity| identity.subject()).into_iter().collect();
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
        let ours = self.state.identity.as_ref().map(super::state::Identity::key);
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
