//! The index: in memory, what every frame asks for, and the only map from a subject to its slot.
//!
//! The book on disk names subjects by slot alone; this map is made at each start by opening what
//! is sealed. What a permit needs is 32 bytes inside a hash table, so that a look-up waits for
//! memory twice: for the table's tags and for the entry. The rest lies in a slab by slot, 64 bytes;
//! a table of 4-byte numbers finds it by recovery key. It follows the book: a transaction changes it
//! after its commit, never before.

mod coverage;
mod slab;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use imprimatur_consent::standing::{Restriction, Standing, within};
use imprimatur_consent::{Category, Denial, Digest, PrincipalId, SubjectId, Terms};
use imprimatur_runtime::UtcDate;
use slab::Slab;

pub use coverage::Coverage;

/// What the index knows of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its slot.
    pub slot: u64,
    /// Its public key.
    pub public_key: [u8; 32],
    /// The principal that consents for it.
    pub principal: PrincipalId,
    /// The policy agreed to last.
    pub policy: Digest,
    /// Whether it may say nothing more.
    pub ended: bool,
}

/// Categories that were granted on the same day under the same policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Group {
    categories: u16,
    policy: u16,
    since: u16,
    /// The first day after the validity of the last yes.
    ends: u16,
}

/// What later policies say of grants under this one.
#[derive(Debug)]
struct Agreed {
    policy: Digest,
    /// The first day on which a later policy that asks for more has ended a category; by number.
    overtaken: [u16; 12],
}

/// What a permit needs: half a cache line, which no line's end divides.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Hot {
    subject: SubjectId,
    slot: u32,
    /// Nothing is granted once the subject ended.
    group: Group,
    /// Whether [`Index::more`] has further groups: few subjects grant in several steps.
    more: bool,
    /// Last day of a restriction; 0 without one, the largest number without an end.
    restricted_until: u16,
}

/// The rest.
#[derive(Clone, Copy, Debug)]
struct Cold {
    public_key: [u8; 32],
    principal: PrincipalId,
    recovery: u64,
    policy: u16,
    ended: bool,
    /// Whether its principal was enrolled through it.
    enrolled: bool,
}

/// The index.
#[derive(Debug, Default)]
pub struct Index {
    hot: HashTable<Hot>,
    more: HashMap<u32, Box<[Group]>>,
    cold: Slab<Cold>,
    by_recovery: HashTable<u32>,
    policies: Vec<Agreed>,
    hasher: RandomState,
}

impl Index {
    /// An empty index with room for so many subjects.
    pub fn with_capacity(subjects: usize) -> Self {
        let (more, cold, by_recovery, policies, hasher) = Default::default();
        let hot = HashTable::with_capacity(subjects);
        Self { hot, more, cold, by_recovery, policies, hasher }
    }

    /// Number of subjects.
    pub fn len(&self) -> usize {
        self.hot.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hot.is_empty()
    }

    /// The slot of a subject.
    pub fn slot(&self, subject: SubjectId) -> Option<u64> {
        self.find(subject).map(|hot| u64::from(hot.slot))
    }

    /// What is known of a subject.
    pub fn known(&self, subject: SubjectId) -> Option<Known> {
        self.at(self.slot(subject)?)
    }

    /// What is known of the subject in a slot.
    pub fn at(&self, slot: u64) -> Option<Known> {
        let cold = self.cold.get(u32::try_from(slot).ok()?)?;
        let agreed = self.policies.get(usize::from(cold.policy));
        Some(Known {
            slot,
            public_key: cold.public_key,
            principal: cold.principal,
            policy: agreed.map_or(Digest([0; 32]), |agreed| agreed.policy),
            ended: cold.ended,
        })
    }

    /// Subjects whose recovery key may be this one; compare the whole key before believing it.
    pub fn recoverable(&self, recovery: &[u8; 32]) -> Vec<u64> {
        let tag = tag(recovery);
        let hash = self.hasher.hash_one(tag);
        let is = |slot: &u32| self.cold.get(*slot).is_some_and(|cold| cold.recovery == tag);
        self.by_recovery.iter_hash(hash).filter(|slot| is(slot)).map(|&s| u64::from(s)).collect()
    }

    /// Whether a section may be kept; `None` when there is no such subject. The same rule as
    /// [`Standing::decide`], without a calendar on the way.
    pub fn decide(
        &self,
        subject: SubjectId,
        category: Category,
        date: UtcDate,
        today: UtcDate,
    ) -> Option<Result<(), Denial>> {
        let hot = self.find(subject)?;
        let Some(group) = self.group(hot, category) else { return Some(Err(Denial::NoGrant)) };
        if hot.restricted_until != 0 && days(today) <= hot.restricted_until {
            return Some(Err(Denial::Restricted));
        }
        let since = UtcDate(u32::from(group.since));
        Some(within(since, self.ends(group, category), date, today))
    }

    /// Notes what newly published policies say of grants under older ones.
    pub fn heed(&mut self, terms: &Terms) {
        for agreed in &mut self.policies {
            *agreed = Agreed::of(agreed.policy, terms);
        }
    }

    /// Slots with a grant whose time is over.
    pub fn lapsing(&self, today: UtcDate) -> Vec<u64> {
        let over = |hot: &Hot, category| {
            self.group(hot, category).is_some_and(|group| self.ends(group, category) <= today)
        };
        let any = |hot: &&Hot| Category::ALL.into_iter().any(|category| over(hot, category));
        let lapsing = self.hot.iter().filter(any).map(|hot| u64::from(hot.slot));
        // In the order of slots: a hash table's own would make each run another one.
        let sorted: std::collections::BTreeSet<u64> = lapsing.collect();
        sorted.into_iter().collect()
    }

    /// Slots of subjects that may say nothing more.
    pub fn ended(&self) -> Vec<u64> {
        self.cold.slots_where(|cold| cold.ended)
    }

    /// Slots of the other subjects of a principal.
    pub fn others_of(&self, principal: PrincipalId, but: u64) -> Vec<u64> {
        let mut others = self.cold.slots_where(|cold| cold.principal == principal);
        others.retain(|slot| *slot != but);
        others
    }

    fn find(&self, subject: SubjectId) -> Option<&Hot> {
        self.hot.find(self.hasher.hash_one(subject.0), |hot| hot.subject == subject)
    }

    fn group(&self, hot: &Hot, category: Category) -> Option<Group> {
        let covers = |group: &Group| group.categories & bit(category) != 0;
        let more = || self.more.get(&hot.slot)?.iter().copied().find(covers);
        Some(hot.group).filter(covers).or_else(|| if hot.more { more() } else { None })
    }

    fn ends(&self, group: Group, category: Category) -> UtcDate {
        let agreed = self.policies.get(usize::from(group.policy));
        let overtaken = agreed.and_then(|agreed| agreed.overtaken.get(place(category)));
        UtcDate(u32::from(overtaken.map_or(0, |overtaken| group.ends.min(*overtaken))))
    }

    /// Puts a standing into its slot.
    pub fn put(&mut self, slot: u64, standing: &Standing, terms: &Terms) {
        let Ok(slot) = u32::try_from(slot) else { return };
        self.remove(u64::from(slot));
        let mut groups = self.groups(standing, terms).into_iter();
        let group = groups.next().unwrap_or_default();
        let more: Box<[Group]> = groups.collect();
        let until = |restriction: &Restriction| restriction.until.map_or(u16::MAX, days);
        let restrictions = [&standing.restriction, &standing.hold].into_iter().flatten();
        let hot = Hot {
            subject: standing.subject(),
            slot,
            group,
            more: !more.is_empty(),
            restricted_until: restrictions.map(until).max().unwrap_or(0),
        };
        if hot.more {
            self.more.insert(slot, more);
        }
        let recovery = standing.recovery.map_or(0, |recovery| tag(&recovery.0));
        let cold = Cold {
            public_key: standing.public_key.0,
            principal: standing.principal,
            recovery,
            policy: self.policy(standing.policy, terms),
            ended: standing.ended.is_some(),
            enrolled: false,
        };
        self.cold.set(slot, Some(cold));
        let (cold, hasher) = (&self.cold, &self.hasher);
        let of_subject = |hot: &Hot| hasher.hash_one(hot.subject.0);
        self.hot.insert_unique(hasher.hash_one(hot.subject.0), hot, of_subject);
        if recovery != 0 {
            let of_recovery =
                |&slot: &u32| hasher.hash_one(cold.get(slot).map_or(0, |cold| cold.recovery));
            self.by_recovery.insert_unique(hasher.hash_one(recovery), slot, of_recovery);
        }
    }

    /// Notes that the principal of the subject in a slot was enrolled through it.
    pub fn enrol(&mut self, slot: u64) {
        let Ok(slot) = u32::try_from(slot) else { return };
        if let Some(cold) = self.cold.get(slot).copied() {
            self.cold.set(slot, Some(Cold { enrolled: true, ..cold }));
        }
    }

    /// Empties a slot.
    pub fn remove(&mut self, slot: u64) {
        let Ok(number) = u32::try_from(slot) else { return };
        let Some(cold) = self.cold.get(number) else { return };
        let subject = SubjectId::of(&cold.public_key);
        let of_recovery = self.hasher.hash_one(cold.recovery);
        let of_subject = self.hasher.hash_one(subject.0);
        if let Ok(found) = self.hot.find_entry(of_subject, |hot| hot.slot == number) {
            found.remove();
        }
        if let Ok(found) = self.by_recovery.find_entry(of_recovery, |&other| other == number) {
            found.remove();
        }
        self.more.remove(&number);
        self.cold.set(number, None);
    }

    /// What is granted, as groups; nothing once the subject ended.
    fn groups(&mut self, standing: &Standing, terms: &Terms) -> Vec<Group> {
        let mut groups: BTreeMap<(u16, u16, u16), u16> = BTreeMap::new();
        let granted = standing.granted.iter().filter(|_| standing.ended.is_none());
        for (category, grant) in granted {
            let policy = self.policy(grant.policy, terms);
            let key = (policy, days(grant.since), days(grant.valid_until(terms)));
            *groups.entry(key).or_default() |= bit(*category);
        }
        let group = |((policy, since, ends), categories)| Group { categories, policy, since, ends };
        groups.into_iter().map(group).collect()
    }

    fn policy(&mut self, policy: Digest, terms: &Terms) -> u16 {
        let known = self.policies.iter().position(|agreed| agreed.policy == policy);
        let place = known.unwrap_or_else(|| {
            self.policies.push(Agreed::of(policy, terms));
            self.policies.len() - 1
        });
        // Beyond 65,535 policies a grant names none, and permits nothing.
        u16::try_from(place).unwrap_or(u16::MAX)
    }
}

impl Agreed {
    fn of(policy: Digest, terms: &Terms) -> Self {
        let mut overtaken = [0; 12];
        for category in Category::ALL {
            if let Some(date) = overtaken.get_mut(place(category)) {
                *date = terms.overtaken(policy, category).map_or(u16::MAX, days);
            }
        }
        Self { policy, overtaken }
    }
}

/// The number of a category, 1 to 11.
fn place(category: Category) -> usize {
    usize::try_from(category.number()).unwrap_or(0)
}

fn bit(category: Category) -> u16 {
    1_u16.checked_shl(category.number().unsigned_abs()).unwrap_or(0)
}

/// Days since 1970 in 16 bits, until 2149; a later grant begins never.
fn days(date: UtcDate) -> u16 {
    u16::try_from(date.0).unwrap_or(u16::MAX)
}

/// The first 8 bytes of a recovery key; 0 stands for none.
fn tag(recovery: &[u8; 32]) -> u64 {
    recovery.first_chunk().map_or(1, |first| u64::from_le_bytes(*first).max(1))
}

#[cfg(test)]
mod tests {
    use imprimatur_consent::Policy;
    use imprimatur_consent::policy::{Change, STRICTEST};
    use imprimatur_consent::standing::{Ended, Grant, Grounds};
    use proptest::prelude::*;

    use super::*;

    const TODAY: u32 = 20_778;

    fn policies() -> Vec<Policy> {
        let first = Policy::read(STRICTEST).unwrap();
        let change = Change {
            supersedes: first.hash,
            announced: UtcDate(TODAY - 40),
            effective: UtcDate(TODAY - 5),
            grown: [Category::Laser, Category::Status].into(),
        };
        let next = Policy { hash: Digest([7; 32]), change: Some(change), ..first.clone() };
        vec![first, next]
    }

    proptest! {
        /// The index decides as the standing does, whatever was granted when and under what.
        #[test]
        fn the_index_decides_as_the_standing(
            grants in proptest::collection::vec((0..11_usize, 0..3_usize, 0..500_u32, 0..500_u32), 0..12),
            (owner, hold, ended) in (any::<bool>(), 0..20_u32, any::<bool>()),
            (date, today) in (TODAY - 60..TODAY + 3, TODAY - 10..TODAY + 10),
        ) {
            let policies = policies();
            let terms = Terms::of(&policies);
            let hashes = [policies[0].hash, policies[1].hash, Digest([1; 32])];
            let granted = grants.into_iter().map(|(category, policy, since, renewed)| {
                let since = TODAY - since;
                let renewed = UtcDate(since.max(TODAY - renewed));
                let policy = hashes[policy];
                (Category::ALL[category], Grant { since: UtcDate(since), renewed, policy })
            });
            let restriction = |grounds, until| {
                Restriction { grounds, since: UtcDate(TODAY - 20), until }
            };
            let until = UtcDate(TODAY - 10 + hold);
            let standing = Standing {
                public_key: Digest([3; 32]),
                principal: PrincipalId([4; 16]),
                recovery: Some(Digest([5; 32])),
                policy: hashes[0],
                sequence: 9,
                granted: granted.collect(),
                past: BTreeMap::new(),
                restriction: owner.then(|| restriction(Grounds::Owner, None)),
                hold: (hold > 0).then(|| restriction(Grounds::Claim, Some(until))),
                ended: None,
            };
            let mut index = Index::default();
            index.put(5, &standing, &terms);
            for category in Category::ALL {
                let (date, today) = (UtcDate(date), UtcDate(today));
                let expected = standing.decide(&terms, category, date, today);
                let decided = index.decide(standing.subject(), category, date, today);
                prop_assert_eq!(decided, Some(expected));
            }
            let day = UtcDate(today);
            prop_assert_eq!(index.coverage(day), Coverage::default(), "not enrolled");
            index.enrol(5);
            let stands = |category: &Category| standing.decide(&terms, *category, day, day).is_ok();
            let stand = standing.granted.iter().filter(|(category, _)| stands(category));
            let granted = stand.map(|(category, grant)| ((*category, grant.policy), 1)).collect();
            prop_assert_eq!(index.coverage(day), Coverage { principals: 1, granted });
            prop_assert_eq!(index.slot(standing.subject()), Some(5));
            prop_assert_eq!(index.recoverable(&[5; 32]), vec![5]);
            prop_assert!(index.recoverable(&[6; 32]).is_empty());
            prop_assert_eq!((index.len(), index.is_empty()), (1, false));
            // An ended subject is permitted nothing; a removed one is not there.
            let over = Standing { ended: ended.then_some((Ended::Withdrawn, until)), ..standing };
            index.put(5, &over, &terms);
            let permitted = |category| index.decide(over.subject(), category, until, until) == Some(Ok(()));
            prop_assert!(!ended || !Category::ALL.into_iter().any(permitted));
            prop_assert_eq!(index.recoverable(&[5; 32]), vec![5]);
            index.enrol(5);
            prop_assert_eq!(index.coverage(day).principals, u64::from(!ended));
            index.remove(5);
            prop_assert_eq!((index.len(), index.is_empty(), index.at(5)), (0, true, None));
            prop_assert!(index.recoverable(&[5; 32]).is_empty());
        }
    }
}
