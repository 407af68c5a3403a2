//! Which unknowns a system of sums determines: elimination in a prime field, with bounded work.

use std::collections::{BTreeMap, BTreeSet};

/// 2^61 - 1. Coefficients are 1 and -1: what fractions determine is determined here, too, unless this prime divides a
/// determinant of them, as chance has it once in 10^18.
const PRIME: u64 = (1 << 61) - 1;

/// How an unknown enters a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It is added.
    Plus,
    /// It is taken away.
    Minus,
}

type Row = BTreeMap<usize, u64>;

/// The unknowns that have one value only, whatever the known sums are. `None` when `steps`, which
/// it uses up, do not suffice.
pub(super) fn determined(
    equations: &[Vec<(usize, Sign)>],
    steps: &mut u64,
) -> Option<BTreeSet<usize>> {
    // By its leading unknown, which no other row has.
    let mut reduced: BTreeMap<usize, Row> = BTreeMap::new();
    for equation in equations {
        let number = |sign| if sign == Sign::Plus { 1 } else { PRIME - 1 };
        let mut row: Row = equation.iter().map(|&(at, sign)| (at, number(sign))).collect();
        *steps = steps.checked_sub(u64::try_from(row.len()).ok()?)?;
        let leading: Vec<(usize, u64)> = row
            .iter()
            .filter(|(at, _)| reduced.contains_key(at))
            .map(|(at, number)| (*at, *number))
            .collect();
        for (at, factor) in leading {
            take_away(&mut row, reduced.get(&at)?, factor, steps)?;
        }
        let Some((&lead, &number)) = row.first_key_value() else { continue };
        let inverse = power(number, PRIME - 2);
        for number in row.values_mut() {
            *number = times(*number, inverse);
        }
        *steps = steps.checked_sub(u64::try_from(reduced.len()).ok()?)?;
        for other in reduced.values_mut() {
            if let Some(&factor) = other.get(&lead) {
                take_away(other, &row, factor, steps)?;
            }
        }
        reduced.insert(lead, row);
    }
    let alone = reduced.into_iter().filter(|(_, row)| row.len() == 1);
    Some(alone.map(|(lead, _)| lead).collect())
}

/// `row - factor * other`, zeros left out.
fn take_away(row: &mut Row, other: &Row, factor: u64, steps: &mut u64) -> Option<()> {
    *steps = steps.checked_sub(u64::try_from(other.len()).ok()?)?;
    for (&at, &number) in other {
        let entry = row.entry(at).or_default();
        *entry = plus(*entry, PRIME - times(number, factor));
        if *entry == 0 {
            row.remove(&at);
        }
    }
    Some(())
}

fn plus(a: u64, b: u64) -> u64 {
    (a + b) % PRIME
}

fn times(a: u64, b: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) % u128::from(PRIME)).unwrap_or(0)
}

fn power(base: u64, exponent: u64) -> u64 {
    let bits = (0..64).rev().map(|bit| exponent >> bit & 1 == 1);
    bits.fold(1, |all, bit| {
        let all = times(all, all);
        if bit { times(all, base) } else { all }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(equations: &[&[usize]], expected: &[usize]) {
        let equations: Vec<Vec<(usize, Sign)>> = equations
            .iter()
            .map(|equation| equation.iter().map(|at| (*at, Sign::Plus)).collect())
            .collect();
        let mut steps = 1_000;
        let found = determined(&equations, &mut steps).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
        assert!(steps < 1_000 || equations.is_empty());
        assert_eq!(determined(&equations, &mut 0).is_none(), !equations.is_empty());
    }

    #[test]
    fn what_follows_is_found_and_nothing_else() {
        finds(&[], &[]);
        finds(&[&[3]], &[3]);
        finds(&[&[1, 2]], &[]);
        finds(&[&[1, 2], &[2]], &[1, 2]);
        finds(&[&[1, 2], &[2, 3], &[1, 3]], &[1, 2, 3]);
        finds(&[&[1, 2], &[3, 4], &[1, 3], &[2, 4]], &[]);
        // Two rings joined by one group: only the joint follows.
        finds(&[&[1, 2], &[1, 2, 9], &[3, 4, 9], &[3, 4]], &[9]);
    }
}
