//! The planner: which populations may be answered beside those that were answered (INV-11). Pure.
//!
//! Two answers of one family (the same field of the same table) differ by whoever is in one of
//! their populations only, or with other rows. A question is permitted if beside each answered one
//! it is the same, or shares no row with it, or differs from it in at least k principals in every
//! epoch in which it can differ; and if what is left of an answered total beside its answered parts
//! is nothing, or at least k principals in each epoch.
//!
//! Whether it is the same is decided by what was asked. Another question that happens to select the
//! same rows is refused like one that differs in few: otherwise the refusal would tell whether the
//! few exist. The register holds digests and no pseudonym; nothing here reads or stores anything.
//!
//! It looks at pairs, and at a total beside its parts along one dimension. Sums that are combined
//! from overlapping parts of several dimensions are beyond it.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;

use crate::dimension::Dimension;
use crate::gate::Threshold;

/// What a population is compared within: metrics of one field look at the same rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family {
    /// The table.
    pub table: RecordKind,
    /// The column.
    pub field: String,
}

/// What was asked: which rows are meant, whoever has some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predicate {
    /// Indices of the family's field that are looked at; `None` for all.
    pub classes: Option<BTreeSet<u32>>,
    /// Of each dimension that is filtered or grouped by, the values; never empty sets.
    pub values: BTreeMap<Dimension, BTreeSet<i32>>,
    /// Only rows of this UTC date and later.
    pub since: Option<UtcDate>,
}

/// A keyed digest of a principal's pseudonym in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Month of the pseudonym, as `YYYYMM`.
    pub epoch: u32,
    /// The digest.
    pub digest: u128,
}

/// The wrapping sum of keyed digests of a member's rows, so that disjoint parts add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows(pub u128);

/// The population of one group: what was asked, and who has which rows in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Population {
    /// What it is compared within.
    pub family: Family,
    /// What was asked.
    pub predicate: Predicate,
    /// Who is in it; members without rows are left out.
    pub members: BTreeMap<Member, Rows>,
}

/// Why a question is not permitted. It tells nothing of who is in which population, and of how
/// many only what the rule tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is too near to an answered question. Ask that one again, or one that is clearly wider,
    /// narrower or apart.
    #[error(
        "the question is too near to one that was answered; ask that one, or one further apart"
    )]
    TooNear,
    /// With what was answered it leaves too little of a total. Leave the total or this part out.
    #[error("what was answered and this question leave too little of a total between them")]
    TooLittleLeft,
}

/// How a permitted question stands to those that were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It was answered before, and nothing has changed: give that answer.
    Repeat,
    /// It is new.
    New,
}

/// The populations that were answered.
#[derive(Clone, Debug, Default)]
pub struct Register {
    answered: Vec<Population>,
}

impl Register {
    /// Whether a group of this population may be answered; if so, it counts as answered.
    ///
    /// # Errors
    /// [`Refusal`]; the register is as it was.
    pub fn permit(&mut self, new: Population, k: Threshold) -> Result<Permit, Refusal> {
        let family = || self.answered.iter().filter(|old| old.family == new.family);
        if family().any(|old| *old == new) {
            return Ok(Permit::Repeat);
        }
        if !family().all(|old| is_apart(old, &new, k)) {
            return Err(Refusal::TooNear);
        }
        let mut all: Vec<&Population> = family().collect();
        all.push(&new);
        let parts = all.iter().flat_map(|one| one.predicate.values.keys().copied());
        let dimensions: BTreeSet<Dimension> = parts.collect();
        let leaves_enough = |total: &&Population| {
            dimensions.iter().all(|along| is_enough(&left(total, &all, *along), k))
        };
        if !all.iter().all(leaves_enough) {
            return Err(Refusal::TooLittleLeft);
        }
        self.answered.push(new);
        Ok(Permit::New)
    }

    /// How many populations were answered.
    pub fn len(&self) -> usize {
        self.answered.len()
    }

    /// Whether none was answered.
    pub fn is_empty(&self) -> bool {
        self.answered.is_empty()
    }
}

impl Predicate {
    /// Whether no row can be in both.
    fn is_disjoint(&self, other: &Self) -> bool {
        let classes = self.classes.iter().zip(&other.classes);
        let values = self.values.iter().filter_map(|(one, of)| Some((of, other.values.get(one)?)));
        classes.into_iter().any(|(a, b)| a.is_disjoint(b))
            || values.into_iter().any(|(a, b)| a.is_disjoint(b))
    }

    /// The last epoch in which two questions can select other rows; `None` for no limit.
    fn last_other_epoch(&self, other: &Self) -> Option<u32> {
        let same = self.classes == other.classes && self.values == other.values;
        // From the later start on both select the same; the day before it may differ.
        let later = same.then(|| self.since.max(other.since))??;
        Some(UtcDate(later.0.saturating_sub(1)).month())
    }

    /// The values of a dimension, if that is all in which this differs from `total`.
    fn part_along(&self, total: &Self, along: Dimension) -> Option<&BTreeSet<i32>> {
        let mut wider = self.clone();
        wider.values.remove(&along);
        let values = self.values.get(&along)?;
        (wider == *total && !total.values.contains_key(&along)).then_some(values)
    }
}

/// Whether two populations may both be answered.
fn is_apart(old: &Population, new: &Population, k: Threshold) -> bool {
    if !k.protects() || old.predicate.is_disjoint(&new.predicate) {
        return true;
    }
    let members: BTreeSet<&Member> = old.members.keys().chain(new.members.keys()).collect();
    let mut epochs: BTreeMap<u32, u32> = members.iter().map(|member| (member.epoch, 0)).collect();
    for member in members {
        let differs = old.members.get(member) != new.members.get(member);
        *epochs.entry(member.epoch).or_default() += u32::from(differs);
    }
    if old.predicate == new.predicate {
        // The same question after a change: what changed must be nobody or enough.
        return epochs.values().all(|count| *count == 0 || *count >= k.get().get());
    }
    let last = old.predicate.last_other_epoch(&new.predicate);
    let mut can_differ = epochs.range(..=last.unwrap_or(u32::MAX)).peekable();
    can_differ.peek().is_some() && can_differ.all(|(_, count)| *count >= k.get().get())
}

/// What is left of a total beside its parts along a dimension; empty where it has none.
fn left(total: &Population, all: &[&Population], along: Dimension) -> BTreeMap<Member, Rows> {
    let mut taken: BTreeSet<i32> = BTreeSet::new();
    let mut left = total.members.clone();
    for part in all {
        let Some(values) = part.predicate.part_along(&total.predicate, along) else { continue };
        if !taken.is_disjoint(values) {
            continue;
        }
        taken.extend(values);
        for (member, rows) in &part.members {
            let rest = left.entry(*member).or_default();
            *rest = Rows(rest.0.wrapping_sub(rows.0));
        }
    }
    if taken.is_empty() {
        return BTreeMap::new();
    }
    left.retain(|_, rows| *rows != Rows::default());
    left
}

/// Whether nobody is left, or in each epoch where somebody is at least k.
fn is_enough(left: &BTreeMap<Member, Rows>, k: Threshold) -> bool {
    let mut epochs: BTreeMap<u32, u32> = BTreeMap::new();
    for member in left.keys() {
        *epochs.entry(member.epoch).or_default() += 1;
    }
    !k.protects() || epochs.values().all(|count| *count >= k.get().get())
}

#[cfg(test)]
mod tests;
