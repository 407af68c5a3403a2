//! Who counts: enrolled principals by number, and subjects whose rows are used no more.
//!
//! Pseudonyms are digests already and nobody can choose one, so that a few of their bits place them.

use std::collections::BTreeSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use imprimatur_consent::{Category, Pseudonym};
use imprimatur_lake::Catalogue;

/// A pseudonym as a number.
pub(crate) type Number = u128;

/// A map by pseudonyms.
pub(crate) type ByPseudonym<T> = HashMap<Number, T, BuildHasherDefault<Mixed>>;

/// Principals who may have more rows than a metric's bound.
pub(crate) type Crowd = HashSet<Number, BuildHasherDefault<Mixed>>;

/// The number of a pseudonym's bytes; `None` of another length.
pub(crate) fn number(bytes: &[u8]) -> Option<Number> {
    bytes.try_into().ok().map(Number::from_le_bytes)
}

/// Places numbers by all their bits, mixed once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixed(u64);

impl Mixed {
    /// The place of a number.
    pub(crate) fn of(number: u64) -> u64 {
        // An odd number near 2^64 divided by the golden ratio.
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }
}

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = Self::of(self.0 ^ number);
    }

    fn write_u128(&mut self, number: u128) {
        let low = u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default();
        let high = u64::try_from(number >> 64).unwrap_or_default();
        self.write_u64(low ^ high.rotate_left(32));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Parts that principals are looked up and summed in: the tables of one stay near the processor.
pub(crate) const PARTS: usize = 64;

/// The part of a principal.
pub(crate) fn part_of(principal: Number) -> usize {
    usize::try_from(principal % 64).unwrap_or_default()
}

/// The enrolled principals of a catalogue, each pseudonym under a number from 0 within its part.
#[derive(Debug)]
pub(crate) struct Enrolled(Vec<ByPseudonym<u32>>);

impl Enrolled {
    pub(crate) fn of(all: &BTreeSet<Pseudonym>) -> Self {
        let mut parts = vec![ByPseudonym::default(); PARTS];
        for principal in all.iter().map(|one| Number::from_le_bytes(one.0)) {
            if let Some(part) = parts.get_mut(part_of(principal)) {
                let next = u32::try_from(part.len()).unwrap_or(u32::MAX);
                part.insert(principal, next);
            }
        }
        Self(parts)
    }
}

/// The enrolled, and which of them may have more rows than a metric's bound. Read by all threads.
#[derive(Debug)]
pub(crate) struct Members {
    enrolled: Arc<Enrolled>,
    apart: Vec<HashSet<u32, BuildHasherDefault<Mixed>>>,
}

impl Members {
    pub(crate) fn new(enrolled: Arc<Enrolled>, crowd: &Crowd) -> Self {
        let mut members = Self { enrolled, apart: vec![HashSet::default(); PARTS] };
        for principal in crowd {
            let found = members.find(*principal).map(|(id, _)| id);
            if let Some((id, part)) = found.zip(members.apart.get_mut(part_of(*principal))) {
                part.insert(id);
            }
        }
        members
    }

    /// A principal's number within its part, and whether its rows are kept apart; `None` when it is not enrolled and
    /// counts for nothing.
    pub(crate) fn find(&self, principal: Number) -> Option<(u32, bool)> {
        let part = part_of(principal);
        let id = *self.enrolled.0.get(part)?.get(&principal)?;
        Some((id, self.apart.get(part)?.contains(&id)))
    }
}

/// Subjects that withdrew a category that is looked at, each with the last commit for which it holds.
#[derive(Debug, Default)]
pub(crate) struct LeftOut(ByPseudonym<u64>);

impl LeftOut {
    pub(crate) fn of(catalogue: &Catalogue, looked_at: impl Fn(Category) -> bool) -> Self {
        let mut up_to: ByPseudonym<u64> = ByPseudonym::default();
        for one in catalogue.excluded.iter().filter(|one| looked_at(one.category)) {
            let latest = up_to.entry(Number::from_le_bytes(one.subject.0)).or_default();
            *latest = one.up_to.max(*latest);
        }
        Self(up_to)
    }

    /// Whether a row was committed before its subject withdrew.
    pub(crate) fn has(&self, subject: Number, commit: u64) -> bool {
        !self.0.is_empty() && self.0.get(&subject).is_some_and(|up_to| commit <= *up_to)
    }
}
