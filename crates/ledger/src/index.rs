//! The index: in memory, what every frame asks for, and the only map from a subject to its slot.
//!
//! The book on disk names subjects by slot alone; this map is made at each start by opening what
//! is sealed. An entry is 40 bytes that a permit needs and 64 more; two tables of 4-byte numbers find
//! it by subject and by recovery key. It follows the book: a transaction changes it after its commit,
//! never before.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use imprimatur_consent::standing::{Restriction, Standing, within};
use imprimatur_consent::{Category, Denial, Digest, PrincipalId, SubjectId, Terms};
use imprimatur_runtime::UtcDate;

/// Entries allocated together.
const CHUNK: usize = 1024;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

#[derive(Debug)]
enum Groups {
    None,
    One(Group),
    // A thin pointer: few subjects grant in several steps.
    #[expect(clippy::box_collection, reason = "a fat one would make every entry larger")]
    Many(Box<Vec<Group>>),
}

/// What a permit needs, together in memory.
#[derive(Debug)]
struct Hot {
    subject: SubjectId,
    groups: Groups,
    /// Last day of a restriction; 0 without one, the largest number without an end.
    restricted_until: u32,
    policy: u16,
    ended: bool,
}

/// The rest.
#[derive(Debug)]
struct Cold {
    public_key: [u8; 32],
    principal: PrincipalId,
    recovery: u64,
}

/// Values by number, allocated in runs, so that growing moves none.
#[derive(Debug)]
struct Slab<T>(Vec<Box<[Option<T>]>>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Slab<T> {
    fn get(&self, slot: u32) -> Option<&T> {
        let place = usize::try_from(slot).ok()?;
        self.0.get(place / CHUNK)?.get(place % CHUNK)?.as_ref()
    }

    fn set(&mut self, slot: u32, value: Option<T>) {
        let place = usize::try_from(slot).unwrap_or(usize::MAX);
        while value.is_some() && self.0.len() <= place / CHUNK {
            self.0.push((0..CHUNK).map(|_| None).collect());
        }
        let held = self.0.get_mut(place / CHUNK).and_then(|run| run.get_mut(place % CHUNK));
        if let Some(held) = held {
            *held = value;
        }
    }
}

/// The index.
#[derive(Debug, Default)]
pub struct Index {
    hot: Slab<Hot>,
    cold: Slab<Cold>,
    by_subject: HashTable<u32>,
    by_recovery: HashTable<u32>,
    policies: Vec<Agreed>,
    hasher: RandomState,
}

impl Index {
    /// Number of subjects.
    pub fn len(&self) -> usize {
        self.by_subject.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    /// The slot of a subject.
    pub fn slot(&self, subject: SubjectId) -> Option<u64> {
        let hash = self.hasher.hash_one(subject.0);
        let is = |&slot: &u32| self.hot.get(slot).is_some_and(|hot| hot.subject == subject);
        self.by_subject.find(hash, is).map(|&slot| u64::from(slot))
    }

    /// What is known of a subject.
    pub fn known(&self, subject: SubjectId) -> Option<Known> {
        self.at(self.slot(subject)?)
    }

    /// What is known of the subject in a slot.
    pub fn at(&self, slot: u64) -> Option<Known> {
        let number = u32::try_from(slot).ok()?;
        let (hot, cold) = (self.hot.get(number)?, self.cold.get(number)?);
        let agreed = self.policies.get(usize::from(hot.policy));
        Some(Known {
            slot,
            public_key: cold.public_key,
            principal: cold.principal,
            policy: agreed.map_or(Digest([0; 32]), |agreed| agreed.policy),
            ended: hot.ended,
        })
    }

    /// The subject in a slot.
    pub fn subject(&self, slot: u64) -> Option<SubjectId> {
        self.hot.get(u32::try_from(slot).ok()?).map(|hot| hot.subject)
    }

    /// Subjects whose recovery key may be this one; compare the whole key before believing it.
    pub fn recoverable(&self, recovery: &[u8; 32]) -> Vec<u64> {
        let tag = tag(recovery);
        let hash = self.hasher.hash_one(tag);
        let is = |slot: &u32| self.cold.get(*slot).is_some_and(|cold| cold.recovery == tag);
        self.by_recovery.iter_hash(hash).filter(|slot| is(slot)).map(|&s| u64::from(s)).collect()
    }

    /// Whether a section may be kept; `None` when the slot holds no subject. The same rule as
    /// [`Standing::decide`], without a calendar on the way.
    pub fn decide(
        &self,
        slot: u64,
        category: Category,
        date: UtcDate,
        today: UtcDate,
    ) -> Option<Result<(), Denial>> {
        let hot = self.hot.get(u32::try_from(slot).ok()?)?;
        let group = hot.groups.of(category).filter(|_| !hot.ended);
        let Some(group) = group else { return Some(Err(Denial::NoGrant)) };
        if hot.restricted_until != 0 && today.0 <= hot.restricted_until {
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
            let group = hot.groups.of(category);
            group.is_some_and(|group| self.ends(group, category) <= today)
        };
        let any = |hot: &Hot| Category::ALL.into_iter().any(|category| over(hot, category));
        self.slots_where(|slot| self.hot.get(slot).is_some_and(|hot| !hot.ended && any(hot)))
    }

    /// Slots of subjects that may say nothing more.
    pub fn ended(&self) -> Vec<u64> {
        self.slots_where(|slot| self.hot.get(slot).is_some_and(|hot| hot.ended))
    }

    /// Slots of the other subjects of a principal.
    pub fn others_of(&self, principal: PrincipalId, but: u64) -> Vec<u64> {
        let of = |slot| self.cold.get(slot).is_some_and(|cold| cold.principal == principal);
        self.slots_where(|slot| u64::from(slot) != but && of(slot))
    }

    fn slots_where(&self, meant: impl Fn(u32) -> bool) -> Vec<u64> {
        let slots = self.by_subject.iter().copied();
        slots.filter(|slot| meant(*slot)).map(u64::from).collect()
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
        let (hot, cold) = self.compact(standing, terms);
        let (subject, recovery) = (hot.subject, cold.recovery);
        self.hot.set(slot, Some(hot));
        self.cold.set(slot, Some(cold));
        let (hot, cold, hasher) = (&self.hot, &self.cold, &self.hasher);
        let of_subject =
            |&slot: &u32| hasher.hash_one(hot.get(slot).map_or([0; 16], |hot| hot.subject.0));
        self.by_subject.insert_unique(hasher.hash_one(subject.0), slot, of_subject);
        if recovery != 0 {
            let of_recovery =
                |&slot: &u32| hasher.hash_one(cold.get(slot).map_or(0, |cold| cold.recovery));
            self.by_recovery.insert_unique(hasher.hash_one(recovery), slot, of_recovery);
        }
    }

    /// Empties a slot.
    pub fn remove(&mut self, slot: u64) {
        let Ok(number) = u32::try_from(slot) else { return };
        let held = self.hot.get(number).zip(self.cold.get(number));
        let Some((subject, recovery)) = held.map(|(hot, cold)| (hot.subject, cold.recovery)) else {
            return;
        };
        let of_subject = self.hasher.hash_one(subject.0);
        if let Ok(found) = self.by_subject.find_entry(of_subject, |&other| other == number) {
            found.remove();
        }
        let of_recovery = self.hasher.hash_one(recovery);
        if let Ok(found) = self.by_recovery.find_entry(of_recovery, |&other| other == number) {
            found.remove();
        }
        self.hot.set(number, None);
        self.cold.set(number, None);
    }

    fn compact(&mut self, standing: &Standing, terms: &Terms) -> (Hot, Cold) {
        let mut groups: BTreeMap<(u16, u16, u16), u16> = BTreeMap::new();
        for (category, grant) in &standing.granted {
            let policy = self.policy(grant.policy, terms);
            let key = (policy, days(grant.since), days(grant.valid_until(terms)));
            *groups.entry(key).or_default() |= bit(*category);
        }
        let groups: Vec<Group> = groups
            .into_iter()
            .map(|((policy, since, ends), categories)| Group { categories, policy, since, ends })
            .collect();
        let until = |restriction: &Restriction| restriction.until.map_or(u32::MAX, |until| until.0);
        let restrictions = [&standing.restriction, &standing.hold].into_iter().flatten();
        let hot = Hot {
            subject: standing.subject(),
            groups: match groups.as_slice() {
                [] => Groups::None,
                [one] => Groups::One(*one),
                _ => Groups::Many(Box::new(groups)),
            },
            restricted_until: restrictions.map(until).max().unwrap_or(0),
            policy: self.policy(standing.policy, terms),
            ended: standing.ended.is_some(),
        };
        let cold = Cold {
            public_key: standing.public_key.0,
            principal: standing.principal,
            recovery: standing.recovery.map_or(0, |recovery| tag(&recovery.0)),
        };
        (hot, cold)
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

impl Groups {
    fn of(&self, category: Category) -> Option<Group> {
        let all: &[Group] = match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        };
        all.iter().copied().find(|group| group.categories & bit(category) != 0)
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
                prop_assert_eq!(index.decide(5, category, date, today), Some(expected));
            }
            prop_assert_eq!(index.slot(standing.subject()), Some(5));
            prop_assert_eq!(index.recoverable(&[5; 32]), vec![5]);
            // An ended subject is permitted nothing; a removed one is not there.
            let over = Standing { ended: ended.then_some((Ended::Withdrawn, until)), ..standing };
            index.put(5, &over, &terms);
            let permitted = |category| index.decide(5, category, until, until) == Some(Ok(()));
            prop_assert!(!ended || !Category::ALL.into_iter().any(permitted));
            index.remove(5);
            prop_assert_eq!((index.len(), index.at(5)), (0, None));
            prop_assert!(index.recoverable(&[5; 32]).is_empty());
        }
    }
}
