//! Fresh or gone: what waited is looked at again before it is offered, never sent on an old decision.
//!
//! A frame may wait for months. It leaves only when every date in it is one that the collector takes,
//! every category in it is granted now and was on its date, and it names the policy and contract in
//! force. What is not covered any more is taken out; what cannot be sent is deleted, counted and said.
//! A frame that was offered may be stored, so nothing of it goes on under another number: its verdict
//! tells of policy and contract.

use std::collections::BTreeSet;

use imprimatur_consent::Category;
use imprimatur_consent::policy::OLDEST_RECORD_DAYS;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::Batch;
use imprimatur_proto::{canonical, contract};
use imprimatur_runtime::UtcDate;

use super::counts::Fate;
use super::identity::Identity;
use super::seal::{Contents, of_this_contract, opened, spool_again, stripped};
use super::spool::unwrap;
use super::state::number;
use super::{AgentError, Core, Noted};
use crate::store::Space;

/// What is wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stale {
    /// The collector takes none of its dates any more, or it cannot be read.
    Gone,
    /// These categories are not covered.
    Uncovered(Vec<Category>),
    /// It names a policy or contract that is not in force.
    Overtaken,
}

impl Core {
    /// Takes out of the spool what may not be sent any more, up to where so many frames beyond
    /// those `in_flight` may.
    pub(super) fn freshen(&mut self, in_flight: &[u64], most: usize) -> Result<(), AgentError> {
        let Some(identity) = self.state.identity.clone() else { return Ok(()) };
        let (mut found, mut fit, mut damaged) = (Vec::new(), 0, false);
        for entry in self.store.entries(Space::Spool, b"")? {
            if fit >= most {
                break;
            }
            let (key, value) = entry?;
            let sequence = number("spool key", &key)?;
            if in_flight.contains(&sequence) {
                continue;
            }
            let held = unwrap(sequence, &value);
            damaged |= held.is_none();
            let stale = held.map(|held| self.stale(&identity, held.offered, held.frame));
            match stale {
                Some(Some(stale)) => found.push((sequence, value, stale)),
                Some(None) => fit += 1,
                None => {}
            }
        }
        if damaged {
            self.purge_damaged()?;
        }
        if found.is_empty() { Ok(()) } else { self.replace(identity, found) }
    }

    /// Puts what is left of stale frames under other numbers, and deletes the rest.
    fn replace(
        &mut self,
        mut identity: Identity,
        found: Vec<(u64, Vec<u8>, Stale)>,
    ) -> Result<(), AgentError> {
        let mut next = identity.next_batch;
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        identity.next_batch = next.saturating_add(count);
        let mut reserved = self.draft();
        reserved.state.identity = Some(identity.clone());
        self.commit(reserved)?;
        let (mut draft, mut purged) = (self.draft(), 0);
        for (sequence, value, stale) in found {
            let Some(held) = unwrap(sequence, &value) else { continue };
            let left = match stale {
                _ if held.offered => None,
                Stale::Gone => None,
                Stale::Uncovered(gone) => stripped(held.frame, &gone).unwrap_or(None),
                Stale::Overtaken => opened(held.frame).ok().map(|batch| Contents::of(&batch)),
            };
            if let Some(left) = left.filter(|left| !left.empty()) {
                draft.free(sequence, &value, Fate::Again, left.len());
                spool_again(&mut draft, &identity, left, super::consent::next(&mut next))?;
            } else {
                draft.free(sequence, &value, Fate::Purged, 0);
                draft.state.counts.stale += 1;
                purged += 1;
            }
        }
        if purged > 0 {
            draft.note(Noted::Stale { purged });
            tracing::warn!(
                batches = purged,
                "batches that waited too long, or that your consent does not cover any more, were \
                 deleted unsent"
            );
        }
        self.commit(draft)
    }

    fn stale(&self, identity: &Identity, offered: bool, frame: &[u8]) -> Option<Stale> {
        let Ok(batch) = opened(frame) else { return Some(Stale::Gone) };
        let today = self.clock.today();
        let told = told(&batch);
        if told.iter().any(|(date, _)| today.0.saturating_sub(date.0) > OLDEST_RECORD_DAYS) {
            return Some(Stale::Gone);
        }
        let covered = |category: Category, date: UtcDate| {
            let answer = self.state.flags.0.get(&category);
            let since = answer.is_some_and(|answer| answer.since.date() <= date);
            self.state.flags.granted(category) && since && !identity.lapsed(category, today)
        };
        let tagged = batch.header.as_ref().is_some_and(|header| !header.identity_tag.is_empty());
        let gone: BTreeSet<Category> = told
            .iter()
            .flat_map(|(date, categories)| {
                let tag = tagged.then_some(Category::Identity);
                categories.iter().copied().chain(tag).map(|category| (category, *date))
            })
            .filter(|&(category, date)| !covered(category, date))
            .map(|(category, _)| category)
            .collect();
        if !gone.is_empty() {
            return Some(Stale::Uncovered(gone.into_iter().collect()));
        }
        let policy = batch.header.as_ref().map(|header| header.policy_hash.as_slice());
        let current = policy == Some(&identity.policy.0[..]) && of_this_contract(&batch);
        (!current && !offered).then_some(Stale::Overtaken)
    }
}

/// The date and the categories of each record.
fn told(batch: &Batch) -> Vec<(UtcDate, Vec<Category>)> {
    let prints = batch.prints.iter().map(|print| (RecordKind::Print, canonical::encode(print)));
    let days = batch.days.iter().map(|day| (RecordKind::Day, canonical::encode(day)));
    let records =
        prints.chain(days).filter_map(|(kind, bytes)| contract().record(kind, &bytes).ok());
    records
        .map(|record| {
            let categories = record.sections.iter().map(|section| section.category).collect();
            (UtcDate(record.date), categories)
        })
        .collect()
}
