//! The tally: what each principal adds to each group, and of that the sums of groups and margins.
//!
//! Rows come in any order, from several threads. Of a principal at most the metric's bound of rows
//! count in an epoch, the earliest; only the rows of those who may exceed it are kept apart until
//! all are there. Everything is added as whole numbers, whose sum does not depend on the order of
//! threads, so that the same rows give the same answer to the last bit. Pseudonyms go no
//! further than this.

mod sums;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use crate::margins::{Nests, Spot};
use crate::people::{ByPseudonym, Members, Number, PARTS, part_of};

pub(crate) use self::sums::Sums;

/// A value's unit in a sum: millionths of the metric's unit.
pub(crate) const MICROS: i64 = 1_000_000;

/// One row of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted {
    pub(crate) principal: Number,
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
pub(crate) struct Buckets {
    parts: Vec<Vec<Counted>>,
    rows: usize,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self { parts: vec![Vec::new(); PARTS], rows: 0 }
    }

    pub(crate) fn push(&mut self, row: Counted) {
        if let Some(bucket) = self.parts.get_mut(part_of(row.principal)) {
            bucket.push(row);
            self.rows += 1;
        }
    }

    /// Whether there are enough to be added: many at once, so that each part's tables are looked into many times.
    pub(crate) fn are_full(&self) -> bool {
        self.rows >= 1 << 18
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
    /// Where the principal's next one is; [`NONE`] after the last.
    next: u32,
}

/// No place.
const NONE: u32 = u32::MAX;

impl Share {
    fn is_of(&self, other: &Self) -> bool {
        (self.subject, self.epoch, self.spot) == (other.subject, other.epoch, other.spot)
    }
}

/// Sums in the making. Cheap to share; threads add to it at once.
#[derive(Debug)]
pub(crate) struct Tally {
    shape: Shape,
    members: Members,
    /// By principal; each has a lock of its own.
    parts: Vec<Mutex<Part>>,
}

#[derive(Debug)]
struct Part {
    /// Where each principal's first share is, by its number within this part.
    first: Vec<u32>,
    /// The shares of all. Of one principal there are few: at most as many as rows count.
    shares: Vec<Share>,
    /// Rows of those who may exceed the bound.
    kept: Vec<Kept>,
    subjects: ByPseudonym<u32>,
    memory: MemoryReservation,
}

impl Tally {
    /// An empty tally, whose memory comes from a pool.
    pub(crate) fn new(shape: Shape, members: Members, pool: &Arc<dyn MemoryPool>) -> Self {
        let part = |_| {
            Mutex::new(Part {
                first: Vec::new(),
                shares: Vec::new(),
                kept: Vec::new(),
                subjects: ByPseudonym::default(),
                memory: MemoryConsumer::new("tally").register(pool),
            })
        };
        Self { shape, members, parts: (0..PARTS).map(part).collect() }
    }

    /// Adds the rows of enrolled principals and empties the buckets; rows of those who may exceed the bound are bounded
    /// at the end.
    ///
    /// # Errors
    /// When the pool is empty.
    pub(crate) fn add(&self, rows: &mut Buckets) -> Result<()> {
        for (part, rows) in self.parts.iter().zip(&mut rows.parts) {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            for row in rows.drain(..) {
                match self.members.find(row.principal) {
                    None => (),
                    Some((id, true)) => part.keep(id, &row, self.shape)?,
                    Some((id, false)) => part.count_row(id, &row, self.shape)?,
                }
            }
        }
        rows.rows = 0;
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
    fn keep(&mut self, id: u32, row: &Counted, shape: Shape) -> Result<()> {
        let before = self.kept.capacity();
        if self.kept.len() == before {
            self.prune(shape.bound);
            // Only when most of them stay.
            if 2 * self.kept.len() >= before {
                grow(&mut self.kept, &mut self.memory, (2 * before).max(64))?;
            }
        }
        let Counted { epoch, commit, ordinal, spot, value, .. } = *row;
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

    fn count_row(&mut self, id: u32, row: &Counted, shape: Shape) -> Result<()> {
        let Counted { epoch, spot, value: sum, .. } = *row;
        let subject = if shape.printers { self.subject(row.subject)? } else { 0 };
        self.count(Share { spot, sum, id, subject, epoch, rows: 1, next: NONE })
    }

    fn count(&mut self, mut share: Share) -> Result<()> {
        let of = usize::try_from(share.id).unwrap_or(usize::MAX);
        if self.first.len() <= of {
            let length = (of + 1).next_power_of_two();
            grow(&mut self.first, &mut self.memory, length)?;
            self.first.resize(length, NONE);
        }
        let mut at = self.first.get(of).copied().unwrap_or(NONE);
        share.next = at;
        while let Some(one) = usize::try_from(at).ok().and_then(|at| self.shares.get_mut(at)) {
            if one.is_of(&share) {
                one.rows = one.rows.saturating_add(1);
                one.sum = one.sum.saturating_add(share.sum);
                return Ok(());
            }
            at = one.next;
        }
        let new = u32::try_from(self.shares.len()).ok().filter(|new| *new != NONE);
        let Some((new, first)) = new.zip(self.first.get_mut(of)) else {
            return Err(DataFusionError::ResourcesExhausted("too many groups".to_owned()));
        };
        *first = new;
        if self.shares.len() == self.shares.capacity() {
            let length = (2 * self.shares.len()).max(64);
            grow(&mut self.shares, &mut self.memory, length)?;
        }
        self.shares.push(share);
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
            self.count(Share { spot, sum, id, subject, epoch, rows: 1, next: NONE })?;
        }
        let mut sums = Sums::new(shape);
        let mut own: Vec<Share> = Vec::new();
        for first in &self.first {
            own.clear();
            let mut at = *first;
            while let Some(one) = usize::try_from(at).ok().and_then(|at| self.shares.get(at)) {
                own.push(*one);
                at = one.next;
            }
            own.sort_unstable_by_key(|one| one.epoch);
            for one in own.chunk_by(|a, b| a.epoch == b.epoch) {
                let rows = one.iter().map(|share| u64::from(share.rows)).sum::<u64>();
                if rows > u64::from(shape.bound) {
                    return Ok(None);
                }
                sums.add(one);
            }
        }
        Ok(Some(sums))
    }
}

/// Gives a vector room for so many, from the memory that there is. While it grows both are there.
fn grow<T>(all: &mut Vec<T>, memory: &mut MemoryReservation, length: usize) -> Result<()> {
    let before = all.capacity();
    memory.try_grow(length * size_of::<T>())?;
    let mut more = Vec::with_capacity(length);
    more.append(all);
    *all = more;
    memory.shrink(before * size_of::<T>());
    Ok(())
}

#[cfg(test)]
mod tests;
