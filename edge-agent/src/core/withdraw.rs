//! Taking consent back: refuse, withdraw, hand over. Binds before it returns; the key is retired.

use imprimatur_consent::{Category, Flag, SubjectId};

use super::consent::{Withdrawn, next, sorted};
use super::event::{Decided, Said, Waiting, sign_again, signed, without};
use super::identity::{Identity, Retired};
use super::mandate::Applied;
use super::principal;
use super::seal::strip_frame;
use super::state::{Draft, State, json, numbered, read};
use super::{Agent, AgentError, Core, Counts, Noted};
use crate::store::Space;

impl Agent {
    /// Ends everything because the printer changes hands or is reset: as a full withdrawal, said as a
    /// transfer; the answers are open again. Tells whether anything had been granted.
    ///
    /// # Errors
    /// [`AgentError`]; until it succeeds nothing is kept or sent.
    pub fn handover(&self) -> Result<bool, AgentError> {
        self.binding(&Category::ALL, |core| core.hand_over(Noted::HandedOver))
    }
}

impl Core {
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
            self.retire(&mut draft, &identity, Decided::Withdrawn)?
        } else {
            self.strip_all(&mut draft, &identity, &gone)?
        };
        draft.note(Noted::Withdrawn { categories: gone.clone(), purged });
        self.commit(draft)?;
        Ok(if all { Withdrawn::All(gone) } else { Withdrawn::Part(gone) })
    }

    /// Ends an identity: nothing of it is left but what takes its grants back.
    fn retire(
        &mut self,
        draft: &mut Draft,
        identity: &Identity,
        how: Decided,
    ) -> Result<u64, AgentError> {
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
        draft.state.rebuild = true;
        self.seen.clear();
        self.held.clear();
        self.so_far = None;
        if identity.offered {
            let mut retired = Retired::of(identity);
            retired.rights = how == Decided::Withdrawn;
            let sequence = next(&mut retired.next_event);
            // All categories: an earlier withdrawal of one may never have arrived.
            let categories = Category::ALL.to_vec();
            let said = Said::withdrawn(categories, retired.policy, draft.now.date());
            let seen = draft.state.seen_log_size();
            let event = signed(&retired, sequence, seen, Said { decided: how, ..said });
            draft.wait(subject, &event);
            draft.keep(&self.store, Space::Retired, &subject.0, &json(&retired))?;
        }
        if let Some(file) = &self.settings.principal_file {
            principal::leave(file, identity.holder);
        }
        Ok(purged)
    }

    /// Ends everything, because the printer changes hands or stands on other hardware: what was
    /// granted is said to be transferred, the answers are open again, and no key of the old owner
    /// signs a request any more. Tells whether anything had been granted.
    pub(super) fn hand_over(&mut self, why: Noted) -> Result<bool, AgentError> {
        self.changes.withdrawals += 1;
        self.changes.news += 1;
        let mut draft = self.draft();
        for space in [Space::Log, Space::Receipt, Space::Recovered, Space::Request, Space::Page] {
            draft.purge(&self.store, space)?;
        }
        for (key, value) in self.store.scan(Space::Retired, b"")? {
            let mut retired: Retired = read("retired key", &value)?;
            if self.store.scan(Space::Outbox, &key)?.is_empty() {
                draft.change.remove(Space::Retired, &key);
            } else {
                retired.rights = false;
                draft.change.put(Space::Retired, &key, &json(&retired));
            }
        }
        let identity = self.state.identity.clone();
        if let Some(identity) = &identity {
            self.retire(&mut draft, identity, Decided::Transferred)?;
        }
        let State { flags, asked, mandate, rebuild, counts, .. } = &mut draft.state;
        flags.0.clear();
        asked.clear();
        (*mandate, *rebuild) = (mandate.take().map(Applied::spent), true);
        // How much the owner before printed is not for the next one to see.
        *counts = Counts::default();
        draft.note(why);
        self.commit(draft)?;
        self.talk = None;
        Ok(identity.is_some())
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
        let stale = events.iter().any(|event| event.asks() && event.shares(gone));
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
        let asked = events.iter().rev().find(|event| event.asks() && event.refused.is_none());
        let policy = asked.map_or(after.policy, |event| event.said.policy);
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
        let event = signed(&of, event, draft.state.seen_log_size(), said);
        draft.wait(of.subject(), &event);
        Ok(purged)
    }

    /// Takes back a grant that waits and that the collector will never record. The withdrawal
    /// drops the event too, in the same change: what waits of a grant is granted.
    pub(super) fn ungrant(
        &mut self,
        subject: SubjectId,
        event: &Waiting,
        why: Noted,
    ) -> Result<(), AgentError> {
        match self.withdraw_noting(Some(&event.said.categories), Some(why))? {
            Withdrawn::Part(_) | Withdrawn::All(_) => Ok(()),
            // It granted nothing that is still wanted.
            Withdrawn::Nothing => {
                let mut draft = self.draft();
                draft.change.remove(Space::Outbox, &numbered(subject, event.sequence));
                self.commit(draft)
            }
        }
    }
}
