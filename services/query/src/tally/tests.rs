//! The tally against a plain recount of the same rows.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};
use proptest::prelude::*;

use imprimatur_consent::Pseudonym;

use super::*;
use crate::gate::{Squares, Stat, Weight};
use crate::margins::{coordinate, spot};
use crate::people::{Crowd, Enrolled};
use crate::settle::Groups;
use crate::settle::Place;

/// Values of two dimensions: -1 is one, too.
fn rows() -> impl Strategy<Value = Vec<Counted>> {
    let row = (0_u128..6, 1_u32..3, 0_u64..6, 0_u32..3, 0_u128..3, (-1_i32..2, 0_i32..2), 0_i64..9);
    let row = row.prop_map(|(id, epoch, commit, ordinal, subject, place, value)| Counted {
        // Several in each of two parts.
        principal: id * 32,
        epoch,
        commit,
        ordinal,
        subject,
        spot: spot([place.0, place.1].into_iter()).unwrap(),
        value,
    });
    // A row of a commit is there once.
    let key = |row: &Counted| (row.principal, row.epoch, row.commit, row.ordinal);
    prop::collection::vec(row, 0..60).prop_map(move |mut rows| {
        rows.sort_by_key(key);
        rows.dedup_by_key(|row| key(row));
        rows
    })
}

/// These principals, of whom the rows of some are kept apart.
fn members(all: impl Iterator<Item = Number> + Clone, apart: impl Fn(Number) -> bool) -> Members {
    let pseudonyms = all.clone().map(|one| Pseudonym(one.to_le_bytes())).collect();
    let crowd: Crowd = all.filter(|one| apart(*one)).collect();
    Members::new(Arc::new(Enrolled::of(&pseudonyms)), &crowd)
}

/// The sixth principal is not enrolled.
fn sums(shape: Shape, rows: &[Counted], apart: impl Fn(Number) -> bool) -> Option<Groups> {
    let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
    let tally = Tally::new(shape, members((0..5).map(|id| id * 32), apart), &pool);
    for some in rows.chunks(7) {
        let mut buckets = Buckets::new();
        for row in some {
            buckets.push(*row);
        }
        tally.add(&mut buckets).unwrap();
    }
    let parts = tally.into_parts().into_iter().map(|part| part().unwrap());
    let parts: Option<Vec<Sums>> = parts.collect();
    Some(parts?.into_iter().fold(Sums::new(shape), Sums::merged).groups())
}

/// The earliest rows of each principal and epoch, up to the bound.
fn bounded(rows: &[Counted], bound: u32) -> Vec<Counted> {
    let mut of: BTreeMap<(Number, u32), Vec<Counted>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.principal < 160) {
        of.entry((row.principal, row.epoch)).or_default().push(*row);
    }
    let bound = usize::try_from(bound).unwrap();
    let first = |mut rows: Vec<Counted>| {
        rows.sort_by_key(|row| (row.commit, row.ordinal));
        rows.truncate(bound);
        rows
    };
    of.into_values().flat_map(first).collect()
}

/// Each group and margin by itself, in the plainest way.
fn recounted(shape: Shape, rows: &[Counted]) -> Groups {
    let mut of: BTreeMap<(Place, u32), BTreeMap<Number, Vec<Counted>>> = BTreeMap::new();
    for row in bounded(rows, shape.bound) {
        for set in 0..4 {
            let mut place: Place = (0..2).map(|at| coordinate(row.spot, at)).collect();
            (0..2).filter(|at| set >> at & 1 == 1).for_each(|at| place[at] = None);
            of.entry((place, row.epoch)).or_default().entry(row.principal).or_default().push(row);
        }
    }
    let mut groups = Groups::new();
    for ((place, epoch), principals) in of {
        let mut each: Vec<(u128, u128)> = Vec::new();
        for rows in principals.values() {
            let printers: BTreeSet<Number> = rows.iter().map(|row| row.subject).collect();
            let value: i64 = if shape.printers {
                i64::try_from(printers.len()).unwrap() * MICROS
            } else {
                rows.iter().map(|row| row.value).sum()
            };
            each.push((u128::try_from(rows.len()).unwrap(), u128::try_from(value).unwrap()));
        }
        let weight = |of: fn(&(u128, u128)) -> u128| {
            let mut all: Vec<u128> = each.iter().map(of).collect();
            all.sort_unstable_by(|a, b| b.cmp(a));
            let two_largest = all.iter().take(2).sum();
            Weight { total: all.iter().sum(), largest: all[0], two_largest }
        };
        let sum = |of: fn(&(u128, u128)) -> u128| each.iter().map(of).sum();
        groups.entry(place).or_default().push(Stat {
            epoch,
            principals: u64::try_from(each.len()).unwrap(),
            rows: weight(|one| one.0),
            value: weight(|one| one.1),
            squares: Squares {
                ss: sum(|one| one.1 * one.1),
                sn: sum(|one| one.1 * one.0),
                nn: sum(|one| one.0 * one.0),
            },
        });
    }
    groups
}

proptest! {
    #[test]
    fn it_is_a_plain_recount_in_whatever_order_rows_come(
        (rows, mixed) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        bound in 1_u32..12,
        printers: bool,
    ) {
        let shape = Shape { width: 2, nests: Nests::default(), bound, printers };
        let expected = Some(recounted(shape, &rows));
        prop_assert_eq!(&sums(shape, &mixed, |_| true), &expected);
        // Only the rows of those who exceed the bound have to be kept apart.
        let mut most: BTreeMap<(Number, u32), u32> = BTreeMap::new();
        let counted = rows.iter().filter(|row| row.principal < 160);
        counted.for_each(|row| *most.entry((row.principal, row.epoch)).or_default() += 1);
        let many = |id| most.iter().any(|((of, _), rows)| *of == id && *rows > bound);
        prop_assert_eq!(&sums(shape, &mixed, many), &expected);
        // Who exceeds it without that is seen.
        let is_bounded = most.values().all(|rows| *rows <= bound);
        let unbounded = sums(shape, &mixed, |_| false);
        prop_assert_eq!(unbounded, expected.filter(|_| is_bounded));
    }

    #[test]
    fn a_spot_is_its_place(values in prop::collection::vec(-1_i32..65_534, 0..5)) {
        let expected: Place = values.iter().copied().map(Some).collect();
        let spot = spot(values.iter().copied()).unwrap();
        let found: Place = (0..).take(values.len()).map(|at| coordinate(spot, at)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_value_without_a_place_is_refused() {
    assert_eq!(spot([-2].into_iter()), None);
    assert_eq!(spot([65_534].into_iter()), None);
    assert_eq!(spot([0; 5].into_iter()), None);
    assert_eq!(spot(std::iter::empty()), Some(0));
}

#[test]
fn memory_that_is_used_up_is_an_error_and_given_back() {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100_000));
    for apart in [false, true] {
        let shape = Shape { width: 1, nests: Nests::default(), bound: 9, printers: false };
        let tally = Tally::new(shape, members(0..100_000, |_| apart), &pool);
        let mut buckets = Buckets::new();
        let of = |principal| Counted {
            principal,
            epoch: 1,
            commit: 1,
            ordinal: 0,
            subject: 0,
            spot: 1,
            value: 0,
        };
        (0..100_000).for_each(|id| buckets.push(of(id)));
        assert!(tally.add(&mut buckets).is_err());
        assert!(pool.reserved() > 20_000, "{apart}: {}", pool.reserved());
        drop(tally);
        assert_eq!(pool.reserved(), 0);
    }
}
