//! All tables together, against an attacker who asks everything that can be asked and is not rounded for.
//!
//! Tables with other dimensions, filters and first days are decided one by one. What they tell is
//! put into one system of sums over the finest parts; no part of a month that fails the gate may follow.

use super::linear::Sign;
use super::*;

/// Dimensions of a print; a table has at most three of them.
const WIDTH: usize = 4;

const MONTHS: [u32; 2] = [202_610, 202_611];

/// Worlds that are tried.
const WORLDS: usize = 30;

/// A print: its principal, its month and its place in each dimension.
#[derive(Clone, Debug)]
struct Print {
    principal: u32,
    month: u32,
    at: Vec<i32>,
}

/// A table: which dimensions it has, and its first month.
type Asked = (Vec<bool>, u32);

fn prints() -> impl Strategy<Value = Vec<Print>> {
    (60..240_u32, 200..900_usize).prop_flat_map(|(principals, count)| {
        let value = || prop_oneof![6 => Just(0), 5 => Just(1), 1 => Just(2)];
        let month = prop::sample::select(MONTHS.to_vec());
        let print = (0..principals, month, prop::collection::vec(value(), WIDTH));
        let print = print.prop_map(|(principal, month, at)| Print { principal, month, at });
        prop::collection::vec(print, count)
    })
}

fn tables() -> Vec<Asked> {
    let few = |set: &Vec<bool>| set.iter().filter(|has| **has).count() < WIDTH;
    let sets = subsets(WIDTH).filter(few);
    sets.flat_map(|set| MONTHS.map(|since| (set.clone(), since))).collect()
}

fn place(print: &Print, set: &[bool]) -> Place {
    print.at.iter().zip(set).map(|(one, has)| has.then_some(*one)).collect()
}

fn holds(place: &Place, at: &[i32]) -> bool {
    place.iter().zip(at).all(|(one, of)| one.is_none_or(|one| one == *of))
}

/// The groups and margins of a table.
fn groups(world: &[Print], (set, since): &Asked) -> Groups {
    let mut members: BTreeMap<Place, BTreeMap<u32, BTreeMap<u32, u128>>> = BTreeMap::new();
    for print in world.iter().filter(|print| print.month >= *since) {
        for below in subsets(WIDTH) {
            if below.iter().zip(set).all(|(below, of)| *of || !below) {
                let epochs = members.entry(place(print, &below)).or_default();
                let of = epochs.entry(print.month).or_default();
                *of.entry(print.principal).or_default() += 1;
            }
        }
    }
    let stats = |epochs: BTreeMap<u32, BTreeMap<u32, u128>>| {
        epochs.iter().map(|(epoch, of)| stat_of(*epoch, of)).collect()
    };
    members.into_iter().map(|(place, epochs)| (place, stats(epochs))).collect()
}

/// How many parts of a month that fail the gate follow from what `decide` lets all tables tell, and
/// how many groups are told.
fn recovered(world: &[Print], decide: impl Fn(&Groups) -> BTreeSet<Place>) -> (usize, usize) {
    let finest: BTreeSet<(u32, &[i32])> =
        world.iter().map(|print| (print.month, print.at.as_slice())).collect();
    let finest: Vec<(u32, &[i32])> = finest.into_iter().collect();
    let sum = |place: &Place, months: &dyn Fn(u32) -> bool| -> Vec<(usize, Sign)> {
        let of = |(_, (month, at)): &(usize, &(u32, &[i32]))| months(*month) && holds(place, at);
        finest.iter().enumerate().filter(of).map(|(index, _)| (index, Sign::Plus)).collect()
    };
    let (mut equations, mut count) = (Vec::new(), 0);
    let mut secret: BTreeSet<(Place, u32)> = BTreeSet::new();
    for asked in tables() {
        let table = groups(world, &asked);
        let told = decide(&table);
        count += told.len();
        equations.extend(told.iter().map(|place| sum(place, &|month| month >= asked.1)));
        for (place, epochs) in &table {
            let fails = epochs.iter().filter(|stat| !RULE.may_tell(&[**stat]));
            secret.extend(fails.map(|stat| (place.clone(), stat.epoch)));
        }
    }
    for (index, (place, month)) in secret.iter().enumerate() {
        let mut equation = sum(place, &|one| one == *month);
        equation.push((finest.len() + index, Sign::Minus));
        equations.push(equation);
    }
    let found = linear::determined(&equations, &mut u64::MAX.clone()).unwrap();
    (found.into_iter().filter(|unknown| *unknown >= finest.len()).count(), count)
}

#[test]
fn nothing_follows_from_all_tables_filters_and_first_days_together() {
    let mut runner = TestRunner::deterministic();
    let (mut without, mut with, mut told_without, mut told_with) = (0, 0, 0, 0);
    for _ in 0..WORLDS {
        let world = prints().new_tree(&mut runner).unwrap().current();
        let covered = |table: &Groups| told(table, RULE).unwrap_or_default();
        let (found, told) = recovered(&world, primary);
        without += usize::from(found > 0);
        told_without += told;
        let (found, told) = recovered(&world, covered);
        with += usize::from(found > 0);
        told_with += told;
    }
    assert!(
        without * 2 > WORLDS,
        "the attack finds something in {without} worlds of {WORLDS} only"
    );
    assert!(told_with * 2 > told_without, "{told_with} of {told_without} groups are told");
    assert_eq!(
        with, 0,
        "{told_with} of {told_without} groups are told, {without} worlds without covers"
    );
}
