//! The sums of a tally: of each group and margin in each epoch, from what each principal has in it.

use std::hash::BuildHasherDefault;
use std::sync::Arc;

use hashbrown::HashMap;

use super::{MICROS, Shape, Share};
use crate::gate::{Squares, Stat, Weight};
use crate::margins::{Margin, Spot, margins};
use crate::people::Mixed;
use crate::settle::Groups;

/// Numbers over principals: their sum, and the two largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Top {
    total: u128,
    first: u128,
    second: u128,
}

impl Top {
    fn take(&mut self, number: u128) {
        self.total += number;
        self.raise(number);
    }

    fn raise(&mut self, number: u128) {
        self.second = self.second.max(number.min(self.first));
        self.first = self.first.max(number);
    }

    fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.raise(other.first);
        self.raise(other.second);
    }

    fn weight(self) -> Weight {
        let two_largest = self.first + self.second;
        Weight { total: self.total, largest: self.first, two_largest }
    }
}

/// One group or margin in one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    principals: u64,
    rows: Top,
    value: Top,
    squares: Squares,
}

/// Sums of groups and margins by margin, spot and epoch.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    shape: Shape,
    margins: Arc<Vec<Margin>>,
    found: HashMap<(u32, Spot, u32), Sum, BuildHasherDefault<Mixed>>,
    /// What one principal has, worked on and empty again.
    scratch: Vec<(Spot, Share)>,
}

impl Sums {
    /// No sums.
    pub(crate) fn new(shape: Shape) -> Self {
        let margins = Arc::new(margins(shape.width, &shape.nests));
        Self { shape, margins, found: HashMap::default(), scratch: Vec::new() }
    }

    /// Adds what one principal has in one epoch to its groups and to their margins, of which it is one
    /// in however many of their groups it is.
    pub(super) fn add(&mut self, shares: &[Share]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for (margin, at) in self.margins.iter().zip(0..) {
            scratch.clear();
            scratch.extend(shares.iter().map(|share| (margin.of(share.spot), *share)));
            scratch.sort_unstable_by_key(|(spot, share)| (*spot, share.subject));
            for of_one in scratch.chunk_by(|one, other| one.0 == other.0) {
                let Some((spot, Share { epoch, .. })) = of_one.first() else { continue };
                let rows = of_one.iter().map(|(_, share)| u128::from(share.rows)).sum::<u128>();
                let value = if self.shape.printers {
                    let printers = of_one.chunk_by(|a, b| a.1.subject == b.1.subject).count();
                    let printers = u128::try_from(printers).unwrap_or(u128::MAX);
                    printers.saturating_mul(u128::from(MICROS.unsigned_abs()))
                } else {
                    of_one.iter().map(|(_, share)| u128::from(share.sum.unsigned_abs())).sum()
                };
                let sum = self.found.entry((at, *spot, *epoch)).or_default();
                sum.principals += 1;
                sum.rows.take(rows);
                sum.value.take(value);
                sum.squares.ss += value * value;
                sum.squares.sn += value * rows;
                sum.squares.nn += rows * rows;
            }
        }
        self.scratch = scratch;
    }

    /// Both together; no principal is in both.
    #[must_use]
    pub(crate) fn merged(mut self, other: Self) -> Self {
        for (at, sum) in other.found {
            let own = self.found.entry(at).or_default();
            own.principals += sum.principals;
            own.rows.merge(sum.rows);
            own.value.merge(sum.value);
            own.squares.ss += sum.squares.ss;
            own.squares.sn += sum.squares.sn;
            own.squares.nn += sum.squares.nn;
        }
        self
    }

    /// Groups and margins, each with its epochs in their order.
    pub(crate) fn groups(&self) -> Groups {
        let mut groups = Groups::new();
        for ((at, spot, epoch), sum) in &self.found {
            let margin = usize::try_from(*at).ok().and_then(|at| self.margins.get(at));
            let Some(margin) = margin else { continue };
            groups.entry(margin.place(*spot)).or_default().push(Stat {
                epoch: *epoch,
                principals: sum.principals,
                rows: sum.rows.weight(),
                value: sum.value.weight(),
                squares: sum.squares,
            });
        }
        // In their order, so that what is made of them is the same each time.
        for epochs in groups.values_mut() {
            epochs.sort_by_key(|stat| stat.epoch);
        }
        groups
    }
}
