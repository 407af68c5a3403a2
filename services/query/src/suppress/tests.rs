//! What is withheld, against an attacker who knows every told group and can solve equations.

mod joint;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::gate::{By, Guard, Squares};

const RULE: Rule = Rule { guard: Guard::INSIDE, by: By::Rows };

/// A row: its principal, and its place in each dimension.
type Fact = (u32, Vec<i32>);

fn subsets(width: usize) -> impl Iterator<Item = Vec<bool>> {
    (0..1_u32 << width).map(move |bits| (0..width).map(|at| bits >> at & 1 == 1).collect())
}

fn stat(rows: &BTreeMap<u32, u128>) -> Stat {
    stat_of(202_611, rows)
}

fn stat_of(epoch: u32, rows: &BTreeMap<u32, u128>) -> Stat {
    let mut sorted: Vec<u128> = rows.values().copied().collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let rows = Weight {
        total: sorted.iter().sum(),
        largest: sorted[0],
        two_largest: sorted.iter().take(2).sum(),
    };
    let principals = u64::try_from(sorted.len()).unwrap();
    let (value, squares) = (Weight::default(), Squares::default());
    Stat { epoch, principals, rows, value, squares }
}

/// The groups and margins of rows, each with its principals.
fn members(facts: &[Fact]) -> BTreeMap<Place, BTreeMap<u32, u128>> {
    let mut members: BTreeMap<Place, BTreeMap<u32, u128>> = BTreeMap::new();
    for (principal, at) in facts {
        for set in subsets(at.len()) {
            let place = at.iter().zip(set).map(|(one, has)| has.then_some(*one)).collect();
            *members.entry(place).or_default().entry(*principal).or_default() += 1;
        }
    }
    members
}

fn table(facts: &[Fact]) -> Groups {
    members(facts).into_iter().map(|(place, of)| (place, vec![stat(&of)])).collect()
}

/// Rows of some eighty to three hundred principals, of whom most do the same and some do not.
fn facts(width: usize) -> impl Strategy<Value = Vec<Fact>> {
    let even = || prop_oneof![4 => 0..2_i32, 3 => 0..4_i32, 1 => 0..6_i32];
    let rare = || prop_oneof![8 => Just(0), 6 => Just(1), 1 => Just(2), 1 => Just(3)];
    let even = (0..240_u32, prop::collection::vec(even(), width));
    let rare = (0..240_u32, prop::collection::vec(rare(), width));
    prop_oneof![prop::collection::vec(even, 80..500), prop::collection::vec(rare, 80..500)]
}

/// What the attacker works with: each sum that the told margins and groups leave open, dense and
/// in another field than the code under test.
fn attack(table: &Groups, told: &BTreeSet<Place>) -> Vec<Place> {
    const FIELD: i128 = 1_000_000_007;
    let unknown: Vec<&Place> = table.keys().filter(|place| !told.contains(*place)).collect();
    let mut rows: Vec<Vec<i128>> = Vec::new();
    for margin in table.keys() {
        for at in 0..margin.len() {
            if margin[at].is_some() {
                continue;
            }
            let is_part = |place: &Place| {
                let mut above = place.clone();
                above[at].take().is_some() && above == *margin
            };
            if !table.keys().any(is_part) {
                continue;
            }
            let mut row = vec![0; unknown.len()];
            for (place, number) in unknown.iter().zip(&mut row) {
                let is_part = is_part(place);
                *number = i128::from(is_part) - i128::from(*place == margin);
            }
            rows.push(row.iter().map(|number| number.rem_euclid(FIELD)).collect());
        }
    }
    let mut solved = 0;
    let mut leads = Vec::new();
    for column in 0..unknown.len() {
        let Some(pivot) = (solved..rows.len()).find(|row| rows[*row][column] != 0) else {
            continue;
        };
        rows.swap(solved, pivot);
        let inverse = (0..=FIELD.ilog2()).rev().fold(1, |all: i128, bit| {
            let all = all * all % FIELD;
            if (FIELD - 2) >> bit & 1 == 1 { all * rows[solved][column] % FIELD } else { all }
        });
        let lead: Vec<i128> = rows[solved].iter().map(|one| one * inverse % FIELD).collect();
        for (at, row) in rows.iter_mut().enumerate() {
            let factor = row[column];
            if at != solved && factor != 0 {
                for (one, other) in row.iter_mut().zip(&lead) {
                    *one = (*one - factor * other).rem_euclid(FIELD);
                }
            }
        }
        rows[solved] = lead;
        solved += 1;
        leads.push(column);
    }
    let alone = |at: usize| rows[at].iter().filter(|one| **one != 0).count() == 1;
    let found = leads.iter().enumerate().filter(|(at, _)| alone(*at));
    found.map(|(_, lead)| unknown[*lead].clone()).collect()
}

/// Whether the group is all of a told margin, which whoever asks for the margin has anyway.
fn is_a_told_margin(table: &Groups, told: &BTreeSet<Place>, place: &Place) -> bool {
    (0..place.len()).any(|at| {
        let mut margin = place.clone();
        margin[at].take().is_some()
            && told.contains(&margin)
            && rows(&table[&margin]) == rows(&table[place])
    })
}

fn rows(epochs: &[Stat]) -> u128 {
    epochs.iter().map(|stat| stat.rows.total).sum()
}

/// Groups that fail the gate and whose value the attacker has.
fn recovered(table: &Groups, told: &BTreeSet<Place>) -> Vec<Place> {
    let found = attack(table, told);
    found.into_iter().filter(|place| !RULE.may_tell(&table[place])).collect()
}

/// The gate alone, without covers.
fn primary(table: &Groups) -> BTreeSet<Place> {
    let may = |(place, epochs): (&Place, &Vec<Stat>)| RULE.may_tell(epochs).then(|| place.clone());
    table.iter().filter_map(may).collect()
}

fn check(facts: &[Fact]) -> Result<(), TestCaseError> {
    check_table(facts, &table(facts))
}

/// The groups and margins of rows whose second dimension fixes the first.
fn nested(facts: &[Fact]) -> Groups {
    let mut table = table(facts);
    table.retain(|place, _| place[1].is_none() || place[0].is_some());
    table
}

fn check_table(facts: &[Fact], table: &Groups) -> Result<(), TestCaseError> {
    let Ok(told) = told(table, RULE) else { return Ok(()) };
    prop_assert!(told.iter().all(|place| RULE.may_tell(&table[place])));
    let found = attack(table, &told);
    let harm: Vec<&Place> =
        found.iter().filter(|place| !is_a_told_margin(table, &told, place)).collect();
    prop_assert!(harm.is_empty(), "{harm:?} of {told:?}");
    let members = members(facts);
    let is_known = |place: &&Place| told.contains(*place) || is_a_told_margin(table, &told, place);
    let known: Vec<&Place> = table.keys().filter(is_known).collect();
    for margin in &told {
        for at in (0..margin.len()).filter(|at| margin[*at].is_none()) {
            let mut left = members[margin].clone();
            for part in known.iter().filter(|part| part[at].is_some()) {
                let mut above = (*part).clone();
                above[at] = None;
                if above == *margin {
                    members[*part].iter().for_each(|(who, n)| *left.get_mut(who).unwrap() -= n);
                }
            }
            left.retain(|_, rows| *rows > 0);
            prop_assert!(
                left.is_empty() || RULE.may_tell(&[stat(&left)]),
                "{} principals are left of {margin:?}",
                left.len()
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_withheld_group_follows_in_one_dimension(facts in facts(1)) {
        check(&facts)?;
    }

    #[test]
    fn no_withheld_group_follows_in_two_dimensions(facts in facts(2)) {
        check(&facts)?;
    }

    #[test]
    fn no_withheld_group_follows_in_three_dimensions(facts in facts(3)) {
        check(&facts)?;
    }

    #[test]
    fn no_withheld_group_follows_where_one_dimension_fixes_another(facts in facts(2)) {
        let finer = |at: Vec<i32>| vec![at[0], at[0] * 10 + at[1]];
        let facts: Vec<Fact> = facts.into_iter().map(|(who, at)| (who, finer(at))).collect();
        let table = nested(&facts);
        check_table(&facts, &table)?;
        // Who asks for the coarser one alone is told the same.
        let Ok(both) = told(&table, RULE) else { return Ok(()) };
        let coarse: Vec<Fact> = facts.iter().map(|(who, at)| (*who, vec![at[0]])).collect();
        let alone: BTreeSet<Place> =
            told(&self::table(&coarse), RULE).unwrap().into_iter().collect();
        let inside = both.iter().filter(|place| place[1].is_none());
        prop_assert_eq!(alone, inside.map(|place| vec![place[0]]).collect());
    }

    /// A larger question tells of its margins what the smaller questions tell.
    #[test]
    fn a_smaller_question_is_answered_the_same_inside_a_larger_one(facts in facts(2)) {
        let large = told(&table(&facts), RULE);
        for keep in 0..2 {
            let fewer: Vec<Fact> =
                facts.iter().map(|(who, at)| (*who, vec![at[keep]])).collect();
            let Ok(large) = &large else { continue };
            let small = told(&table(&fewer), RULE).unwrap();
            let inside: BTreeSet<Place> = large
                .iter()
                .filter(|place| place[1 - keep].is_none())
                .map(|place| vec![place[keep]])
                .collect();
            prop_assert_eq!(&small, &inside);
        }
    }
}

/// The leaking control: with the gate alone the same attacker recovers groups, and with covers
/// none; and enough is still told.
#[test]
fn without_covers_the_attacker_recovers_groups_and_with_them_none() {
    let mut runner = TestRunner::deterministic();
    let (mut leaks, mut answers, mut kept, mut all) = (0, 0, 0, 0);
    for _ in 0..200 {
        let table = table(&facts(2).new_tree(&mut runner).unwrap().current());
        leaks += u32::from(!recovered(&table, &primary(&table)).is_empty());
        if let Ok(told) = told(&table, RULE) {
            assert!(recovered(&table, &told).is_empty());
            answers += 1;
            kept += told.len();
            all += primary(&table).len();
        }
    }
    assert!(leaks > 50, "{leaks}");
    assert!(answers > 150, "{answers}");
    assert!(kept * 2 > all, "{kept} of {all}");
}

fn at(place: &[i32]) -> Place {
    place.iter().copied().map(Some).collect()
}

/// `count` principals from `first` on, one row each.
fn rows_of(first: u32, count: u32, place: &[i32]) -> Vec<Fact> {
    (first..first + count).map(|who| (who, place.to_vec())).collect()
}

#[test]
fn the_smallest_group_covers_one_that_is_withheld() {
    let facts = [rows_of(0, 40, &[1]), rows_of(40, 30, &[2]), rows_of(70, 5, &[3])].concat();
    let told = told(&table(&facts), RULE).unwrap();
    assert_eq!(told, BTreeSet::from([vec![None], at(&[1])]));
}

#[test]
fn few_in_several_groups_are_few_together() {
    // Two groups of five are ten principals: the third group has to hide them.
    let facts =
        [rows_of(0, 40, &[1]), rows_of(40, 30, &[2]), rows_of(70, 5, &[3]), rows_of(75, 5, &[4])];
    let told = told(&table(&facts.concat()), RULE).unwrap();
    assert_eq!(told, BTreeSet::from([vec![None], at(&[1])]));
}

#[test]
fn where_all_may_be_told_all_is() {
    let facts = [rows_of(0, 40, &[1, 1]), rows_of(40, 30, &[1, 2]), rows_of(70, 25, &[2, 1])];
    let table = table(&facts.concat());
    assert_eq!(told(&table, RULE).unwrap(), table.keys().cloned().collect());
}

#[test]
fn nested_dimensions_that_give_a_group_back_are_not_told() {
    // The second dimension fixes the first, so its margins are the groups themselves.
    let facts = [
        rows_of(0, 40, &[1, 11]),
        rows_of(40, 30, &[1, 12]),
        rows_of(70, 5, &[1, 13]),
        rows_of(80, 25, &[2, 21]),
    ];
    assert_eq!(told(&table(&facts.concat()), RULE), Err(Unprotected));
}

/// By week and by date are two questions: a week less its told dates is what is withheld of it. The control decides the
/// dates without the weeks.
#[test]
fn a_finer_dimension_is_decided_beside_the_totals_of_its_coarser_one() {
    let facts = [
        rows_of(0, 25, &[1, 11]),
        rows_of(0, 40, &[2, 21]),
        rows_of(0, 30, &[2, 22]),
        rows_of(0, 5, &[2, 23]),
    ];
    let facts = facts.concat();
    let alone = |at: usize| -> Groups {
        let facts: Vec<Fact> = facts.iter().map(|(who, place)| (*who, vec![place[at]])).collect();
        table(&facts)
    };
    assert!(told(&alone(0), RULE).unwrap().contains(&at(&[2])));
    let left = |told: &dyn Fn(i32) -> bool| -> Vec<i32> {
        [21, 22, 23].into_iter().filter(|date| !told(*date)).collect()
    };
    let control = told(&alone(1), RULE).unwrap();
    assert_eq!(left(&|date| control.contains(&at(&[date]))), [23], "five principals follow");
    let both = told(&nested(&facts), RULE).unwrap();
    assert_eq!(left(&|date| both.contains(&at(&[2, date]))), [22, 23]);
    assert!(both.contains(&at(&[1, 11])) && both.contains(&vec![Some(2), None]));
}

/// Each line hides at least two groups that pass together, and yet one follows: the rows of the
/// first ring less its columns are the one group that joins it to the second.
#[test]
fn a_group_that_follows_only_from_all_lines_together_is_hidden_too() {
    let few = [(1, 1), (1, 3), (3, 3)];
    let smaller = [(1, 2), (2, 1), (2, 2), (3, 4), (4, 3), (4, 4)];
    let mut facts = Vec::new();
    for place in (1..5).flat_map(|row| (1..5).map(move |column| (row, column))) {
        let count = match place {
            place if few.contains(&place) => 5,
            place if smaller.contains(&place) => 30,
            _ => 60,
        };
        let first = u32::try_from(facts.len()).unwrap();
        facts.extend(rows_of(first, count, &[place.0, place.1]));
    }
    let table = table(&facts);
    let ring = |place: &Place| {
        let [Some(row), Some(column)] = place[..] else { return true };
        !few.contains(&(row, column)) && !smaller.contains(&(row, column))
    };
    let lines_only: BTreeSet<Place> = table.keys().filter(|place| ring(place)).cloned().collect();
    assert_eq!(recovered(&table, &lines_only), [at(&[1, 3])]);
    let told = told(&table, RULE).unwrap();
    assert!(attack(&table, &told).is_empty() && told.len() > 9, "{told:?}");
    assert!(told.is_subset(&lines_only));
}
