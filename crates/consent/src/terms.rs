//! Terms: what all known policies together say about a grant under one of them.

use std::collections::BTreeMap;

use imprimatur_runtime::UtcDate;

use crate::Category;
use crate::ids::Digest;
use crate::policy::{Deadlines, Policy, Retention};

/// The known policies and what came of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms(BTreeMap<Digest, Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    policy: Policy,
    /// From when another policy replaces it.
    superseded: Option<UtcDate>,
    /// From when a later policy asks for more, by category.
    grown: BTreeMap<Category, UtcDate>,
}

impl Terms {
    /// The terms of these policies. Whoever leaves out a version between two others breaks the
    /// chain from the older to the newer.
    pub fn of(policies: &[Policy]) -> Self {
        let entry = |policy: &Policy| {
            let policy = policy.clone();
            (policy.hash, Entry { policy, superseded: None, grown: BTreeMap::new() })
        };
        let mut terms = Self(policies.iter().map(entry).collect());
        for policy in policies {
            terms.overtake(policy);
        }
        terms
    }

    /// Notes on every policy before this one what this one changes.
    fn overtake(&mut self, later: &Policy) {
        let Some(change) = &later.change else { return };
        let mut before = Some(change.supersedes);
        // No chain is longer than there are policies; a forged circle ends here.
        for _ in 0..self.0.len() {
            let Some(entry) = before.and_then(|hash| self.0.get_mut(&hash)) else { return };
            earliest(&mut entry.superseded, change.effective);
            for &category in &change.grown {
                let date = entry.grown.entry(category).or_insert(change.effective);
                *date = change.effective.min(*date);
            }
            before = entry.policy.change.as_ref().map(|change| change.supersedes);
        }
    }

    /// The policy with this hash.
    pub fn policy(&self, hash: Digest) -> Option<&Policy> {
        self.0.get(&hash).map(|entry| &entry.policy)
    }

    /// All known policies.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.0.values().map(|entry| &entry.policy)
    }

    /// Whether a yes to this policy may be taken today: it is known, and no policy in effect
    /// supersedes it.
    pub fn offered(&self, hash: Digest, today: UtcDate) -> bool {
        let entry = self.0.get(&hash);
        entry.is_some_and(|entry| entry.superseded.is_none_or(|date| today < date))
    }

    /// The first day on which a later policy that asks for more has ended consent to a category
    /// under this one. For an unknown policy, day 0: nothing holds under it.
    pub fn overtaken(&self, hash: Digest, category: Category) -> Option<UtcDate> {
        match self.0.get(&hash) {
            Some(entry) => entry.grown.get(&category).copied(),
            None => Some(UtcDate(0)),
        }
    }

    /// The shortest retention of all; the most that any policy may say when none is known.
    pub fn retention(&self) -> Retention {
        let most = Retention { print_days: 90, day_days: 396, evidence_months: 36 };
        self.policies().map(|policy| policy.retention).fold(most, |a, b| Retention {
            print_days: a.print_days.min(b.print_days),
            day_days: a.day_days.min(b.day_days),
            evidence_months: a.evidence_months.min(b.evidence_months),
        })
    }

    /// The strictest deadlines of all; the loosest that any policy may say when none is known.
    pub fn deadlines(&self) -> Deadlines {
        let loosest = Deadlines {
            answer_days: 30,
            erasure_live_hours: 72,
            erasure_days: 30,
            complaint_days: 45,
            notice_days: 30,
            backup_days: 30,
        };
        self.policies().map(|policy| policy.deadlines).fold(loosest, |a, b| Deadlines {
            answer_days: a.answer_days.min(b.answer_days),
            erasure_live_hours: a.erasure_live_hours.min(b.erasure_live_hours),
            erasure_days: a.erasure_days.min(b.erasure_days),
            complaint_days: a.complaint_days.min(b.complaint_days),
            notice_days: a.notice_days.max(b.notice_days),
            backup_days: a.backup_days.min(b.backup_days),
        })
    }
}

fn earliest(kept: &mut Option<UtcDate>, date: UtcDate) {
    *kept = Some(kept.map_or(date, |kept| kept.min(date)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TODAY, later, policy};

    fn grown(categories: &[Category], days: u32, before: &Policy) -> Policy {
        let mut policy = later(before, UtcDate(TODAY.0 + days));
        policy.change.as_mut().unwrap().grown = categories.iter().copied().collect();
        policy
    }

    #[test]
    fn what_grew_ends_consent_through_the_whole_chain() {
        let first = policy();
        let second = grown(&[], 10, &first);
        let third = grown(&[Category::Laser], 20, &second);
        let terms = Terms::of(&[third.clone(), first.clone(), second.clone()]);
        let ends = Some(UtcDate(TODAY.0 + 20));
        assert_eq!(terms.overtaken(first.hash, Category::Laser), ends);
        assert_eq!(terms.overtaken(second.hash, Category::Laser), ends);
        assert_eq!(terms.overtaken(third.hash, Category::Laser), None);
        assert_eq!(terms.overtaken(first.hash, Category::Status), None);
        assert_eq!(terms.overtaken(Digest([1; 32]), Category::Status), Some(UtcDate(0)));
    }

    #[test]
    fn the_first_of_several_changes_counts() {
        let first = policy();
        let second = grown(&[Category::Laser], 10, &first);
        let third = grown(&[Category::Laser], 20, &second);
        for known in [[&first, &second, &third], [&third, &second, &first]] {
            let terms = Terms::of(&known.map(Clone::clone));
            let ends = |policy: &Policy| terms.overtaken(policy.hash, Category::Laser);
            assert_eq!(ends(&first), Some(UtcDate(TODAY.0 + 10)));
            assert_eq!(ends(&second), Some(UtcDate(TODAY.0 + 20)));
            assert!(!terms.offered(first.hash, UtcDate(TODAY.0 + 10)));
            assert!(terms.offered(first.hash, UtcDate(TODAY.0 + 9)));
        }
    }

    #[test]
    fn a_policy_is_offered_until_its_successor_holds() {
        let first = policy();
        let second = grown(&[], 10, &first);
        let terms = Terms::of(&[first.clone(), second.clone()]);
        assert!(terms.offered(first.hash, UtcDate(TODAY.0 + 9)));
        assert!(!terms.offered(first.hash, UtcDate(TODAY.0 + 10)));
        assert!(terms.offered(second.hash, UtcDate(TODAY.0 + 10)));
        assert!(!terms.offered(Digest([1; 32]), TODAY));
        // Without the successor nothing is superseded.
        assert!(Terms::of(std::slice::from_ref(&first)).offered(first.hash, UtcDate(TODAY.0 + 10)));
    }

    #[test]
    fn a_circle_of_policies_ends() {
        let (mut one, mut other) = (policy(), later(&policy(), TODAY));
        one.change = other.change.clone();
        one.change.as_mut().unwrap().supersedes = other.hash;
        other.change.as_mut().unwrap().supersedes = one.hash;
        assert!(!Terms::of(&[one.clone(), other]).offered(one.hash, TODAY));
    }

    #[test]
    fn the_strictest_of_all_policies_holds() {
        let (strict, mut loose) = (policy(), later(&policy(), TODAY));
        loose.retention.print_days = 30;
        loose.deadlines.notice_days = 60;
        loose.deadlines.answer_days = 14;
        let terms = Terms::of(&[strict.clone(), loose]);
        assert_eq!(terms.retention(), Retention { print_days: 30, ..strict.retention });
        let expected = Deadlines { notice_days: 60, answer_days: 14, ..strict.deadlines };
        assert_eq!(terms.deadlines(), expected);
        assert_eq!(Terms::of(&[]).deadlines(), strict.deadlines);
        assert_eq!(Terms::of(&[]).retention(), strict.retention);
    }
}
