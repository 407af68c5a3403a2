//! Secondary suppression: no margin gives back what is withheld (INV-11). Pure.
//!
//! A table holds the groups of a question and all margins: the same question with fewer
//! dimensions, and of a histogram without its bins. A margin may be asked for by itself, so a group
//! below the gate is what is left of its margin when the others are taken away. Further groups,
//! the covers, are withheld until
//!
//! - what is left of a told margin, beside the groups that are told, passes the gate itself, and
//! - no withheld group is determined by the told ones, all margins together.
//!
//! Smaller questions are decided first and know nothing of the larger, so that an answer tells of a
//! margin what the smaller question tells. What cannot be protected is not told at all.
//!
//! It looks at one choice of rows: filters and the range are the same for all that it compares.

mod linear;

use std::collections::{BTreeMap, BTreeSet};

use crate::gate::{Rule, Stat, Weight};
use crate::settle::{Groups, Place};

/// Most steps for one question, some seconds; beyond, it is too fine.
const STEPS: u64 = 50_000_000;

/// The groups cannot be told beside their margins, or it takes too long to see whether they can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unprotected;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Told,
    /// It does not pass the gate.
    Withheld,
    /// It passes, and what is withheld hides behind it.
    Cover,
}

/// The groups and margins of a table that may be told.
///
/// # Errors
/// [`Unprotected`] when margins alone give a group back, or there are too many to look at.
pub(crate) fn told(table: &Groups, rule: Rule) -> Result<BTreeSet<Place>, Unprotected> {
    let mut work = Work::new(table, rule);
    let sets: BTreeSet<(usize, Vec<bool>)> = table.keys().map(shape).collect();
    for (_, set) in sets {
        work.decide(&set)?;
    }
    let told = |(place, status): (&Place, Status)| (status == Status::Told).then(|| place.clone());
    Ok(table.keys().zip(work.status).filter_map(told).collect())
}

/// Which coordinates a place has, and before it how many, so that smaller questions come first.
fn shape(place: &Place) -> (usize, Vec<bool>) {
    (place.iter().flatten().count(), place.iter().map(Option::is_some).collect())
}

/// A margin and the groups that add up to it.
#[derive(Debug)]
struct Line {
    margin: usize,
    parts: Vec<usize>,
}

#[derive(Debug)]
struct Work<'a> {
    places: Vec<&'a Place>,
    stats: Vec<&'a [Stat]>,
    status: Vec<Status>,
    lines: Vec<Line>,
    rule: Rule,
    steps: u64,
}

impl<'a> Work<'a> {
    fn new(table: &'a Groups, rule: Rule) -> Self {
        let at: BTreeMap<&Place, usize> = table.keys().zip(0..).collect();
        let mut lines: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (place, &part) in &at {
            for dimension in 0..place.len() {
                let mut margin = (*place).clone();
                if margin.get_mut(dimension).is_some_and(|one| one.take().is_some())
                    && let Some(&margin) = at.get(&margin)
                {
                    lines.entry((margin, dimension)).or_default().push(part);
                }
            }
        }
        let lines = lines.into_iter().map(|((margin, _), parts)| Line { margin, parts });
        Self {
            places: table.keys().collect(),
            stats: table.values().map(Vec::as_slice).collect(),
            status: vec![Status::Withheld; table.len()],
            lines: lines.collect(),
            rule,
            steps: STEPS,
        }
    }

    fn is(&self, place: usize, status: Status) -> bool {
        self.status.get(place) == Some(&status)
    }

    fn set(&mut self, place: usize, status: Status) {
        if let Some(one) = self.status.get_mut(place) {
            *one = status;
        }
    }

    fn stats(&self, place: usize) -> &'a [Stat] {
        self.stats.get(place).copied().unwrap_or_default()
    }

    fn has_shape(&self, place: usize, set: &[bool]) -> bool {
        let of = |place: &Place| place.iter().map(Option::is_some).eq(set.iter().copied());
        self.places.get(place).is_some_and(|place| of(place))
    }

    /// The lines whose parts have the dimensions of `set`.
    fn lines_of<'b>(&'b self, set: &'b [bool]) -> impl Iterator<Item = &'b Line> {
        let of = |line: &&Line| line.parts.first().is_some_and(|part| self.has_shape(*part, set));
        self.lines.iter().filter(of)
    }

    /// Decides the groups of one set of dimensions; those of its subsets are decided.
    fn decide(&mut self, set: &[bool]) -> Result<(), Unprotected> {
        let covered: BTreeSet<usize> = self
            .lines_of(set)
            .filter(|line| self.is(line.margin, Status::Cover))
            .flat_map(|line| line.parts.iter().copied())
            .collect();
        for place in 0..self.places.len() {
            if self.has_shape(place, set) && self.rule.may_tell(self.stats(place)) {
                let hidden = covered.contains(&place);
                self.set(place, if hidden { Status::Cover } else { Status::Told });
            }
        }
        loop {
            while let Some(place) = self.next_cover(set)? {
                self.set(place, Status::Cover);
            }
            let Some(place) = self.next_against_all(set)? else { return Ok(()) };
            self.set(place, Status::Cover);
        }
    }

    /// A group to withhold because of one line; `None` when every line is protected.
    fn next_cover(&mut self, set: &[bool]) -> Result<Option<usize>, Unprotected> {
        let steps = u64::try_from(self.lines.len()).unwrap_or(u64::MAX);
        self.steps = self.steps.checked_sub(steps).ok_or(Unprotected)?;
        let same = self.same_as_margin(set);
        for line in self.lines_of(set).filter(|line| self.is(line.margin, Status::Told)) {
            let parts = line.parts.iter().copied();
            let (known, left): (Vec<usize>, Vec<usize>) =
                parts.partition(|part| same.contains(part) || self.is(*part, Status::Told));
            // Nothing is left, or all: then it is the margin, which passes.
            if left.is_empty() || known.is_empty() {
                continue;
            }
            if left.len() > 1
                && self.rule.may_tell(&together(left.iter().map(|at| self.stats(*at))))
            {
                continue;
            }
            let can_hide = known.into_iter().filter(|part| !same.contains(part));
            return self.smallest(can_hide).map(Some).ok_or(Unprotected);
        }
        Ok(None)
    }

    /// The groups that are all of a told margin: who asks for that has them.
    fn same_as_margin(&self, set: &[bool]) -> BTreeSet<usize> {
        let alone = |line: &&Line| line.parts.len() == 1 && self.is(line.margin, Status::Told);
        self.lines_of(set).filter(alone).flat_map(|line| line.parts.iter().copied()).collect()
    }

    /// A group to withhold because all lines together determine what is withheld.
    fn next_against_all(&mut self, set: &[bool]) -> Result<Option<usize>, Unprotected> {
        let found = self.determined(set)?;
        if found.is_empty() {
            return Ok(None);
        }
        let told = |place: &usize| self.is(*place, Status::Told);
        let near = self.lines_of(set).filter(|line| line.parts.iter().any(|at| found.contains(at)));
        let near = near.flat_map(|line| line.parts.iter().copied()).filter(told);
        let any = || (0..self.places.len()).filter(|at| self.has_shape(*at, set) && told(at));
        let place = self.smallest(near).or_else(|| self.smallest(any()));
        place.map(Some).ok_or(Unprotected)
    }

    /// What is withheld of `set` and its subsets, and yet follows from what they tell.
    fn determined(&mut self, set: &[bool]) -> Result<BTreeSet<usize>, Unprotected> {
        let within = |place: usize| {
            let place = self.places.get(place).copied();
            place.is_some_and(|place| place.iter().zip(set).all(|(one, of)| one.is_none() || *of))
        };
        let unknown = |place: &usize| !self.is(*place, Status::Told);
        let equations = self.lines.iter().filter(|line| {
            line.parts.first().is_some_and(|part| within(*part)) && within(line.margin)
        });
        let equations: Vec<Vec<(usize, linear::Sign)>> = equations
            .map(|line| {
                let parts = line.parts.iter().copied().filter(unknown);
                let margin = Some(line.margin).filter(unknown);
                let parts = parts.map(|part| (part, linear::Sign::Plus));
                parts.chain(margin.map(|margin| (margin, linear::Sign::Minus))).collect()
            })
            .filter(|equation: &Vec<_>| !equation.is_empty())
            .collect();
        let mut found = linear::determined(&equations, &mut self.steps).ok_or(Unprotected)?;
        let subsets: BTreeSet<(usize, Vec<bool>)> =
            found.iter().filter_map(|at| self.places.get(*at)).map(|place| shape(place)).collect();
        for (_, subset) in subsets {
            found = &found - &self.same_as_margin(&subset);
        }
        Ok(found)
    }

    /// The one with the fewest rows; of equal ones the first.
    fn smallest(&self, places: impl Iterator<Item = usize>) -> Option<usize> {
        let rows =
            |place: usize| -> u128 { self.stats(place).iter().map(|stat| stat.rows.total).sum() };
        places.min_by_key(|place| (rows(*place), *place))
    }
}

/// What groups have together, at the worst: no more principals than the largest of them, and each
/// one's heaviest the same principal.
fn together<'a>(groups: impl Iterator<Item = &'a [Stat]>) -> Vec<Stat> {
    let add = |one: Weight, other: Weight| Weight {
        total: one.total.saturating_add(other.total),
        largest: one.largest.saturating_add(other.largest),
        two_largest: one.two_largest.saturating_add(other.two_largest),
    };
    let mut epochs: BTreeMap<u32, Stat> = BTreeMap::new();
    for stat in groups.flatten() {
        let all = epochs.entry(stat.epoch).or_default();
        *all = Stat {
            epoch: stat.epoch,
            principals: all.principals.max(stat.principals),
            rows: add(all.rows, stat.rows),
            value: add(all.value, stat.value),
            squares: all.squares,
        };
    }
    epochs.into_values().collect()
}

#[cfg(test)]
mod tests;
