//! Coverage: how many enrolled principals agree to what. One pass over the index and one sort, so that it can
//! be told with every publication.

use std::collections::BTreeMap;

use imprimatur_consent::{Category, Digest, PrincipalId};
use imprimatur_runtime::UtcDate;

use super::{Agreed, Group, Index, bit, days, place};

/// Enrolled principals and what they agree to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Enrolled principals with at least one subject that has not ended.
    pub principals: u64,
    /// Of these, those with at least one subject whose grant of the category under the policy stands:
    /// neither withdrawn, lapsed nor restricted.
    pub granted: BTreeMap<(Category, Digest), u64>,
}

/// What one subject adds to its principal: a part for each group of its grants, at least one.
struct Share {
    principal: PrincipalId,
    enrolled: bool,
    ended: bool,
    said: Said,
}

/// A policy and the categories that stand under it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    policy: u16,
    categories: u16,
}

impl Index {
    /// Counts what stands today.
    pub fn coverage(&self, today: UtcDate) -> Coverage {
        let mut shares = self.shares(today);
        shares.sort_unstable_by_key(|share| share.principal);
        let (mut principals, mut own) = (0, Vec::new());
        // Many principals say the same: the categories are told apart at the end.
        let mut alike: BTreeMap<Said, u64> = BTreeMap::new();
        for of_one in shares.chunk_by(|one, other| one.principal == other.principal) {
            let enrolled = of_one.iter().any(|share| share.enrolled);
            if !enrolled || of_one.iter().all(|share| share.ended) {
                continue;
            }
            principals += 1;
            for share in of_one {
                unite(&mut own, share.said);
            }
            own.drain(..).for_each(|said| *alike.entry(said).or_default() += 1);
        }
        let mut granted: BTreeMap<(Category, Digest), u64> = BTreeMap::new();
        for (said, count) in alike {
            let Some(agreed) = self.policies.get(usize::from(said.policy)) else { continue };
            for category in Category::ALL {
                if said.categories & bit(category) != 0 {
                    *granted.entry((category, agreed.policy)).or_default() += count;
                }
            }
        }
        Coverage { principals, granted }
    }

    fn shares(&self, today: UtcDate) -> Vec<Share> {
        let alive: Vec<u16> = self.policies.iter().map(|agreed| agreed.alive(today)).collect();
        let mut shares = Vec::with_capacity(self.len());
        for hot in &self.hot {
            let Some(cold) = self.cold.get(hot.slot) else { continue };
            let (principal, enrolled, ended) = (cold.principal, cold.enrolled, cold.ended);
            let restricted = hot.restricted_until != 0 && days(today) <= hot.restricted_until;
            let share = |group: &Group| {
                let alive = alive.get(usize::from(group.policy)).copied().unwrap_or(0);
                let holds = group.since <= days(today) && days(today) < group.ends && !restricted;
                let categories = if holds { group.categories & alive } else { 0 };
                let said = Said { policy: group.policy, categories };
                Share { principal, enrolled, ended, said }
            };
            shares.push(share(&hot.group));
            if hot.more {
                shares.extend(self.more.get(&hot.slot).into_iter().flatten().map(share));
            }
        }
        shares
    }
}

impl Agreed {
    /// The categories that no later policy has ended.
    fn alive(&self, today: UtcDate) -> u16 {
        let alive = |category: &Category| {
            self.overtaken.get(place(*category)).is_some_and(|ends| days(today) < *ends)
        };
        Category::ALL.into_iter().filter(alive).fold(0, |all, category| all | bit(category))
    }
}

/// Adds what one subject says to what its principal's others say.
fn unite(own: &mut Vec<Said>, more: Said) {
    match own.iter_mut().find(|said| said.policy == more.policy) {
        Some(said) => said.categories |= more.categories,
        None => own.push(more),
    }
}
