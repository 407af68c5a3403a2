//! Consent as the owner gives and takes it: grant, refuse, withdraw, show.

use imprimatur_consent::{Category, Digest, Flag, PrincipalId, SubjectId};
use imprimatur_proto::consent::v1::Decision;
use imprimatur_runtime::UnixSeconds;

use super::event::{Said, sign_again, signed, without};
use super::seal::strip_frame;
use super::state::{Draft, Identity, Retired, Waiting, json, numbered, read};
use super::{AgentError, Core, Counts, Noted};
use crate::store::Space;

/// What a grant did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// These are granted from now on.
    New(Vec<Category>),
    /// All were granted before.
    Already,
}

/// What a withdrawal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// Nothing of it was granted.
    Nothing,
    /// Some categories; others stay granted.
    Part(Vec<Category>),
    /// The last ones: the key is retired.
    All(Vec<Category>),
}

/// One category as the owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CategoryState {
    /// The category.
    pub category: Category,
    /// The owner's answer.
    pub flag: Flag,
    /// Since when; absent when it was never asked.
    pub since: Option<UnixSeconds>,
    /// The purpose, in the policy's words.
    pub purpose: String,
}

/// All that is decided and stored, at a glance.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Overview {
    /// Name of the policy.
    pub policy: String,
    /// Its version.
    pub policy_version: u32,
    /// Who operates the collector.
    pub operator: String,
    /// This installation's id at the collector; absent before the first grant.
    pub subject: Option<SubjectId>,
    /// The id of its owner; absent before the first grant.
    pub principal: Option<PrincipalId>,
    /// All categories, by number.
    pub categories: Vec<CategoryState>,
    /// Whether the collector confirmed a grant; nothing is sent before.
    pub confirmed: bool,
    /// Whether the collector does not take what this version of the agent sends: all waits.
    pub contract_unsupported: bool,
    /// Consent events that wait for their receipt.
    pub events_waiting: usize,
    /// Reports that wait for the end of their day.
    pub reports_pending: usize,
    /// Batches that wait for their verdict.
    pub batches_waiting: u64,
    /// Their bytes.
    pub spool_bytes: u64,
    /// What went wrong quietly since the start.
    pub counts: Counts,
}

impl Core {
    pub(super) fn grant(
        &mut self,
        categories: &[Category],
        token: Option<[u8; 32]>,
    ) -> Result<Granted, AgentError> {
        let new = sorted(categories, |category| !self.state.flags.granted(category));
        if new.is_empty() {
            return Ok(Granted::Already);
        }
        let policy = self.settings.policy.hash;
        let drawn = self.state.identity.is_none();
        let mut reserved = self.draft();
        let mut identity = match reserved.state.identity.take() {
            Some(identity) => identity,
            None => Identity::draw(policy)?,
        };
        let sequence = next(&mut identity.next_event);
        reserved.state.identity = Some(identity.clone());
        self.commit(reserved)?;

        let mut draft = self.draft();
        for &category in &new {
            draft.state.flags.set(category, Flag::Granted, draft.now);
        }
        let token = token.map(Digest);
        let (decision, categories, date) = (Decision::Granted, new.clone(), draft.now.date());
        let said = Said { decision, categories, token, policy, date };
        let event = signed(&Retired::of(&identity), sequence, said);
        draft.wait(identity.subject(), &event);
        draft.note(Noted::Granted { categories: new.clone() });
        self.commit(draft)?;
        self.changes.news += 1;
        self.changes.identities += u64::from(drawn);
        self.changes.fault_grants += u64::from(new.contains(&Category::Faults));
        Ok(Granted::New(new))
    }

    pub(super) fn refuse(&mut self, categories: &[Category]) -> Result<Withdrawn, AgentError> {
        let never = sorted(categories, |category| !self.state.flags.granted(category));
        let withdrawn = self.withdraw(Some(categories))?;
        if !never.is_empty() {
            let mut draft = self.draft();
            for category in never {
                draft.state.flags.set(category, Flag::Refused, draft.now);
            }
            self.commit(draft)?;
        }
        Ok(withdrawn)
    }

    pub(super) fn withdraw(
        &mut self,
        categories: Option<&[Category]>,
    ) -> Result<Withdrawn, AgentError> {
        self.withdraw_noting(categories, None)
    }

    fn withdraw_noting(
        &mut self,
        categories: Option<&[Category]>,
        why: Option<Noted>,
    ) -> Result<Withdrawn, AgentError> {
        let named = categories.unwrap_or(&Category::ALL);
        let gone = sorted(named, |category| self.state.flags.granted(category));
        if gone.is_empty() {
            self.owed = None;
            return Ok(Withdrawn::Nothing);
        }
        // From here until the change is durable nothing leaves, whatever fails.
        self.owed = Some(gone.clone());
        self.changes.withdrawals += 1;
        self.changes.news += 1;
        let withdrawn = self.withdraw_granted(gone, why)?;
        self.owed = None;
        Ok(withdrawn)
    }

    /// Adds to the withdrawals that could not be written.
    pub(super) fn owe(&mut self, categories: &[Category]) {
        let owed = self.owed.clone().unwrap_or_default();
        let named = |category: Category| owed.contains(&category) || categories.contains(&category);
        let granted = |category| self.state.flags.granted(category);
        self.owed = Some(sorted(&Category::ALL, |category| named(category) && granted(category)));
        self.changes.withdrawals += 1;
        self.changes.news += 1;
    }

    fn withdraw_granted(
        &mut self,
        gone: Vec<Category>,
        why: Option<Noted>,
    ) -> Result<Withdrawn, AgentError> {
        let mut draft = self.draft();
        if let Some(why) = why {
            draft.note(why);
        }
        for &category in &gone {
            draft.state.flags.set(category, Flag::Refused, draft.now);
        }
        let all = draft.state.flags.silent();
        let Some(identity) = self.state.identity.clone() else {
            // A grant whose key was lost cannot be: both are one change. Refuse locally.
            self.commit(draft)?;
            return Ok(Withdrawn::All(gone));
        };
        let purged = if all {
            self.retire(&mut draft, &identity)?
        } else {
            self.strip_all(&mut draft, &identity, &gone)?
        };
        draft.note(Noted::Withdrawn { categories: gone.clone(), purged });
        self.commit(draft)?;
        Ok(if all { Withdrawn::All(gone) } else { Withdrawn::Part(gone) })
    }

    /// Ends an identity: nothing of it is left but what takes its grants back.
    fn retire(&mut self, draft: &mut Draft, identity: &Identity) -> Result<u64, AgentError> {
        let subject = identity.subject();
        let pending = self.store.scan(Space::Pending, b"")?.len();
        let purged = draft.state.spool_frames + u64::try_from(pending).unwrap_or(u64::MAX);
        for space in [Space::Spool, Space::Pending, Space::Date] {
            draft.purge(&self.store, space)?;
        }
        for (key, _) in self.store.scan(Space::Outbox, &subject.0)? {
            draft.change.remove(Space::Outbox, &key);
        }
        draft.state.identity = None;
        self.seen.clear();
        if identity.offered {
            let mut retired = Retired::of(identity);
            let sequence = next(&mut retired.next_event);
            // All categories: an earlier withdrawal of one may never have arrived.
            let categories = Category::ALL.to_vec();
            let said = Said::withdrawn(categories, retired.policy, draft.now.date());
            let event = signed(&retired, sequence, said);
            draft.wait(subject, &event);
            draft.keep(&self.store, Space::Retired, &subject.0, &json(&retired))?;
        }
        Ok(purged)
    }

    /// Takes categories out of everything that is stored, and says so. A grant that still waits is
    /// signed again without them, or dropped: it may not come after its own withdrawal.
    fn strip_all(
        &mut self,
        draft: &mut Draft,
        identity: &Identity,
        gone: &[Category],
    ) -> Result<u64, AgentError> {
        let frames = self.store.scan(Space::Spool, b"")?;
        let numbers = u64::try_from(frames.len()).unwrap_or(u64::MAX);
        let events = self.waiting(&identity.subject().0)?;
        let stale = events.iter().any(|event| event.granted && event.shares(gone));
        let mut after = identity.clone();
        let mut event = after.next_event;
        let again = if stale { events.len() } else { 0 };
        let taken = u64::try_from(again).unwrap_or(u64::MAX).saturating_add(1);
        after.next_event = event.saturating_add(taken);
        let first = after.next_batch;
        after.next_batch = first.saturating_add(numbers);
        let mut reserved = self.draft();
        reserved.state.identity = Some(after.clone());
        self.commit(reserved)?;
        draft.state.identity = Some(after.clone());
        // What the collector will have recorded last, when it hears this.
        let asked = events.iter().rev().find(|event| event.granted && event.refused.is_none());
        let policy = asked.map_or(after.policy, |event| event.policy);
        let of = Retired::of(&after);
        if stale {
            let kept = without(&events, gone);
            sign_again(draft, &of, &events, kept, &mut event);
        }

        let mut purged = self.strip_pending(draft, gone)?;
        let mut sequence = first;
        for (key, value) in frames {
            purged += strip_frame(draft, &after, (&key, &value), gone, &mut sequence)?;
        }
        let said = Said::withdrawn(gone.to_vec(), policy, draft.now.date());
        let event = signed(&of, event, said);
        draft.wait(of.subject(), &event);
        Ok(purged)
    }

    pub(super) fn show(&mut self) -> Result<Overview, AgentError> {
        let policy = &self.settings.policy;
        let categories = Category::ALL.map(|category| CategoryState {
            category,
            flag: self.state.flags.flag(category),
            since: self.state.flags.0.get(&category).map(|answer| answer.since),
            purpose: policy.purposes.get(&category).map_or_else(String::new, |p| p.text.clone()),
        });
        let identity = self.state.identity.as_ref();
        Ok(Overview {
            policy: policy.name.clone(),
            policy_version: policy.version,
            operator: policy.operator.clone(),
            subject: identity.map(Identity::subject),
            principal: identity.map(|identity| identity.principal),
            categories: categories.to_vec(),
            confirmed: identity.is_some_and(|identity| identity.receipted),
            contract_unsupported: identity.is_some_and(|i| i.contract_refused.is_some()),
            events_waiting: self.store.scan(Space::Outbox, b"")?.len(),
            reports_pending: self.store.scan(Space::Pending, b"")?.len(),
            batches_waiting: self.state.spool_frames,
            spool_bytes: self.state.spool_bytes,
            counts: self.counts,
        })
    }

    /// Takes back a grant that waits and that the collector will never record. The withdrawal
    /// drops the event too, in the same change: what waits of a grant is granted.
    pub(super) fn ungrant(
        &mut self,
        subject: SubjectId,
        event: &Waiting,
        why: Noted,
    ) -> Result<(), AgentError> {
        match self.withdraw_noting(Some(&event.categories), Some(why))? {
            Withdrawn::Part(_) | Withdrawn::All(_) => Ok(()),
            // It granted nothing that is still wanted.
            Withdrawn::Nothing => {
                let mut draft = self.draft();
                draft.change.remove(Space::Outbox, &numbered(subject, event.sequence));
                self.commit(draft)
            }
        }
    }

    /// The events of a subject that wait for their receipts, by number.
    pub(super) fn waiting(&self, subject: &[u8]) -> Result<Vec<Waiting>, AgentError> {
        let entries = self.store.scan(Space::Outbox, subject)?;
        entries.iter().map(|(_, entry)| Ok(read("consent event", entry)?)).collect()
    }
}

/// Takes the next number.
pub(super) fn next(counter: &mut u64) -> u64 {
    let taken = *counter;
    *counter = taken.saturating_add(1);
    taken
}

/// Ascending, once each, those that pass.
fn sorted(categories: &[Category], keep: impl Fn(Category) -> bool) -> Vec<Category> {
    Category::ALL.into_iter().filter(|c| categories.contains(c) && keep(*c)).collect()
}
