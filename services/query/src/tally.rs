//! The tally: what each principal adds to each group, and of that the sums of groups and margins.
//!
//! Rows come in any order, from several threads. Of a principal at most the metric's bound of rows
//! count in an epoch, the earliest; only the rows of those who may exceed it are kept apart until
//! all are there. Everything is added as whole numbers, whose sum does not depend on the order of
//! threads, so that the same rows give the same answer to the last bit. Pseudonyms go no
//! further than this.

use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use hashbrown::{HashMap, HashTable};

use crate::gate::{Squares, Stat, Weight};
use crate::margins::{Margin, Nests, Spot, margins};
use crate::people::{ByPseudonym, Mixed, Number};
use crate::settle::Groups;

/// A value's unit in a sum: millionths of the metric's unit.
pub(crate) const MICROS: i64 = 1_000_000;

/// Parts of the tally, by principal; each has a lock of its own.
const PARTS: u32 = 16;

/// One row of an enrolled principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted {
    /// The principal's number.
    pub(crate) id: u32,
    pub(crate) epoch: u32,
    pub(crate) commit: u64,
    pub(crate) ordinal: u32,
    pub(crate) subject: Number,
    pub(crate) spot: Spot,
    /// What it adds to the sum, in [`MICROS`]; not negative.
    pub(crate) value: i64,
}

/// Rows on their way to the parts of a tally.
#[derive(Debug)]
pub(crate) struct Buckets(Vec<Vec<Counted>>);

impl Buckets {
    pub(crate) fn new() -> Self {
        Self((0..PARTS).map(|_| Vec::new()).collect())
    }

    pub(crate) fn push(&mut self, row: Counted) {
        let at = usize::try_from(row.id % PARTS).ok();
        if let Some(bucket) = at.and_then(|at| self.0.get_mut(at)) {
            bucket.push(row);
        }
    }
}

/// A row of somebody who may exceed the bound; the earliest come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    id: u32,
    epoch: u32,
    commit: u64,
    ordinal: u32,
    /// Number of the subject where printers are counted.
    subject: u32,
    spot: Spot,
    value: i64,
}

/// What a tally is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Coordinates of a spot.
    pub(crate) width: usize,
    /// Which of them have coarser ones.
    pub(crate) nests: Nests,
    /// Rows that count of a principal in an epoch.
    pub(crate) bound: u32,
    /// Whether printers are counted: each subject of a principal adds one.
    pub(crate) printers: bool,
}

/// What one principal, of printers one subject, has in one group and epoch.
#[derive(Clone, Copy, Debug)]
struct Share {
    spot: Spot,
    sum: i64,
    id: u32,
    /// The subject's number where printers are counted.
    subject: u32,
    epoch: u32,
    rows: u32,
}

impl Share {
    fn hash(&self) -> u64 {
        let who = u64::from(self.id) << 32 | u64::from(self.subject);
        Mixed::of(Mixed::of(who) ^ self.spot ^ u64::from(self.epoch).rotate_left(40))
    }

    fn is_of(&self, other: &Self) -> bool {
        (self.id, self.subject, self.epoch, self.spot)
            == (other.id, other.subject, other.epoch, other.spot)
    }
}

/// Sums in the making. Cheap to share; threads add to it at once.
#[derive(Debug)]
pub(crate) struct Tally {
    shape: Shape,
    parts: Vec<Mutex<Part>>,
}

#[derive(Debug)]
struct Part {
    shares: HashTable<Share>,
    /// Rows of those who may exceed the bound.
    kept: Vec<Kept>,
    subjects: ByPseudonym<u32>,
    memory: MemoryReservation,
}

impl Tally {
    /// An empty tally, whose memory comes from a pool.
    pub(crate) fn new(shape: Shape, pool: &Arc<dyn MemoryPool>) -> Self {
        let part = |_| {
            Mutex::new(Part {
                shares: HashTable::new(),
                kept: Vec::new(),
                subjects: ByPseudonym::default(),
                memory: MemoryConsumer::new("tally").register(pool),
            })
        };
        Self { shape, parts: (0..PARTS).map(part).collect() }
    }

    /// Adds rows and empties them; those of principals for whom `is_apart` is true are bounded at the end.
    ///
    /// # Errors
    /// When the pool is empty.
    pub(crate) fn add(&self, rows: &mut Buckets, is_apart: impl Fn(u32) -> bool) -> Result<()> {
        for (part, rows) in self.parts.iter().zip(&mut rows.0) {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            for row in rows.drain(..) {
                if is_apart(row.id) {
                    part.keep(&row, self.shape)?;
                } else {
                    part.count_row(&row, self.shape)?;
                }
            }
        }
        Ok(())
    }

    /// The parts, to be settled each by itself.
    pub(crate) fn into_parts(self) -> Vec<impl FnOnce() -> Result<Option<Sums>> + Send> {
        let shape = self.shape;
        let part = |part: Mutex<Part>| {
            move || part.into_inner().unwrap_or_else(PoisonError::into_inner).settle(shape)
        };
        self.parts.into_iter().map(part).collect()
    }
}

impl Part {
    fn keep(&mut self, row: &Counted, shape: Shape) -> Result<()> {
        let before = self.kept.capacity();
        if self.kept.len() == before {
            self.prune(shape.bound);
            // Only when most of them stay.
            if 2 * self.kept.len() >= before {
                let after = (2 * before).max(64);
                self.memory.try_grow(after * size_of::<Kept>())?;
                let mut more = Vec::with_capacity(after);
                more.append(&mut self.kept);
                self.kept = more;
                self.memory.shrink(before * size_of::<Kept>());
            }
        }
        let Counted { id, epoch, commit, ordinal, spot, value, .. } = *row;
        let subject = if shape.printers { self.subject(row.subject)? } else { 0 };
        self.kept.push(Kept { id, epoch, commit, ordinal, subject, spot, value });
        Ok(())
    }

    /// Lets those rows go that are beyond the bound of their principal and epoch.
    fn prune(&mut self, bound: u32) {
        self.kept.sort_unstable();
        let (mut of, mut rows) = ((0, 0), 0);
        self.kept.retain(|row| {
            rows = if of == (row.id, row.epoch) { rows + 1 } else { 1 };
            of = (row.id, row.epoch);
            rows <= bound
        });
    }

    fn count_row(&mut self, row: &Counted, shape: Shape) -> Result<()> {
        let Counted { id, epoch, spot, value: sum, .. } = *row;
        let subject = if shape.printers { self.subject(row.subject)? } else { 0 };
        self.count(Share { spot, sum, id, subject, epoch, rows: 1 })
    }

    fn count(&mut self, share: Share) -> Result<()> {
        let hash = share.hash();
        if let Some(found) = self.shares.find_mut(hash, |one| one.is_of(&share)) {
            found.rows = found.rows.saturating_add(1);
            found.sum = found.sum.saturating_add(share.sum);
            return Ok(());
        }
        if self.shares.len() == self.shares.capacity() {
            let before = self.shares.allocation_size();
            // While it grows both are there: of the next power of two, and the one before.
            let after = before.saturating_mul(2).max(64 * size_of::<Share>());
            self.memory.try_grow(after)?;
            self.shares.reserve(self.shares.len().max(16), Share::hash);
            self.memory.shrink(before);
        }
        self.shares.insert_unique(hash, share, Share::hash);
        Ok(())
    }

    fn subject(&mut self, subject: Number) -> Result<u32> {
        if self.subjects.len() == self.subjects.capacity() {
            self.memory.try_grow(self.subjects.len().max(16) * 2 * size_of::<(Number, u32)>())?;
        }
        let next = u32::try_from(self.subjects.len()).unwrap_or(u32::MAX);
        Ok(*self.subjects.entry(subject).or_insert(next))
    }

    /// The sums of its principals; `None` when somebody exceeds the bound whose rows were not kept apart.
    fn settle(mut self, shape: Shape) -> Result<Option<Sums>> {
        self.prune(shape.bound);
        for Kept { id, epoch, subject, spot, value: sum, .. } in std::mem::take(&mut self.kept) {
            self.count(Share { spot, sum, id, subject, epoch, rows: 1 })?;
        }
        let mut shares: Vec<Share> = Vec::new();
        self.memory.try_grow(self.shares.len() * size_of::<Share>())?;
        shares.reserve_exact(self.shares.len());
        shares.extend(self.shares.drain());
        shares.sort_unstable_by_key(|one| (one.id, one.epoch));
        let mut sums = Sums::new(shape);
        for one in shares.chunk_by(|a, b| (a.id, a.epoch) == (b.id, b.epoch)) {
            let rows = one.iter().map(|share| u64::from(share.rows)).sum::<u64>();
            if rows > u64::from(shape.bound) {
                return Ok(None);
            }
            sums.add(one);
        }
        Ok(Some(sums))
    }
}

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
    sums: HashMap<(u32, Spot, u32), Sum, BuildHasherDefault<Mixed>>,
    /// What one principal has, worked on and empty again.
    scratch: Vec<(Spot, Share)>,
}

impl Sums {
    /// No sums.
    pub(crate) fn new(shape: Shape) -> Self {
        let margins = Arc::new(margins(shape.width, &shape.nests));
        Self { shape, margins, sums: HashMap::default(), scratch: Vec::new() }
    }

    /// Adds what one principal has in one epoch to its groups and to their margins, of which it is one
    /// in however many of their groups it is.
    fn add(&mut self, shares: &[Share]) {
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
                let sum = self.sums.entry((at, *spot, *epoch)).or_default();
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
        for (at, sum) in other.sums {
            let own = self.sums.entry(at).or_default();
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
        for ((at, spot, epoch), sum) in &self.sums {
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

#[cfg(test)]
mod tests;
