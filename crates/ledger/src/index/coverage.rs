//! Coverage: how many enrolled principals agree to what. One pass over the index and one sort, so that it can
//! be told with every publication.

use std::collections::BTreeMap;

use imprimatur_consent::standing::within;
use imprimatur_consent::{Category, Digest, PrincipalId};
use imprimatur_runtime::UtcDate;

use super::{Group, Hot, Index, bit, days, place};

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
    policy: u16,
    categories: u16,
}

impl Index {
    /// Counts what stands today.
    pub fn coverage(&self, today: UtcDate) -> Coverage {
        let mut shares: Vec<Share> = Vec::with_capacity(self.len());
        for hot in &self.hot {
            let Some(cold) = self.cold.get(hot.slot) else { continue };
            let more = self.more.get(&hot.slot).filter(|_| hot.more);
            let more = more.into_iter().flat_map(|groups| groups.iter().copied());
            shares.extend(std::iter::once(hot.group).chain(more).map(|group| Share {
                principal: cold.principal,
                enrolled: cold.enrolled,
                ended: cold.ended,
                policy: group.policy,
                categories: self.standing(hot, group, today),
            }));
        }
        shares.sort_unstable_by_key(|share| share.principal);
        let mut principals = 0;
        let mut counts = vec![[0_u64; 12]; self.policies.len()];
        let mut said: BTreeMap<u16, u16> = BTreeMap::new();
        for of_one in shares.chunk_by(|one, other| one.principal == other.principal) {
            let enrolled = of_one.iter().any(|share| share.enrolled);
            if !enrolled || of_one.iter().all(|share| share.ended) {
                continue;
            }
            principals += 1;
            said.clear();
            for share in of_one {
                *said.entry(share.policy).or_default() |= share.categories;
            }
            for (&policy, &categories) in &said {
                let Some(counts) = counts.get_mut(usize::from(policy)) else { continue };
                let yes = |category: &Category| categories & bit(*category) != 0;
                for category in Category::ALL.into_iter().filter(yes) {
                    counts.get_mut(place(category)).into_iter().for_each(|count| *count += 1);
                }
            }
        }
        let mut granted = BTreeMap::new();
        for (agreed, counts) in self.policies.iter().zip(counts) {
            for category in Category::ALL {
                let count = counts.get(place(category)).copied().unwrap_or(0);
                if count > 0 {
                    granted.insert((category, agreed.policy), count);
                }
            }
        }
        Coverage { principals, granted }
    }

    /// The categories of a group whose grant stands today, by the rule of [`Index::decide`].
    fn standing(&self, hot: &Hot, group: Group, today: UtcDate) -> u16 {
        if hot.restricted_until != 0 && days(today) <= hot.restricted_until {
            return 0;
        }
        let since = UtcDate(u32::from(group.since));
        let stands = |category: &Category| {
            let granted = group.categories & bit(*category) != 0;
            granted && within(since, self.ends(group, *category), today, today).is_ok()
        };
        Category::ALL.into_iter().filter(stands).fold(0, |all, category| all | bit(category))
    }
}
