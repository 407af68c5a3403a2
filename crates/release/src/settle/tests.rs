//! Whether intervals hold what they say, which groups are told, and how numbers are written.

use super::*;
use crate::question::tests::{mean, question};
use crate::question::{Sums, Table};

const K: NonZeroU32 = NonZeroU32::new(50).unwrap();

/// What is told of many draws of the same exact numbers.
fn told(question: &Question, exact: [u64; 3], draws: usize) -> Vec<Told> {
    let plan = Plan::of(question);
    told_with(&plan, &plan, question, exact, draws)
}

/// The same, with noise that is not the one of the intervals.
fn told_with(
    plan: &Plan,
    drawn: &Plan,
    question: &Question,
    exact: [u64; 3],
    draws: usize,
) -> Vec<Told> {
    let [principals, rows, values] = exact.map(|number| vec![IBig::from(number); draws]);
    let add = |noise: &Option<Laplace>, exact: Vec<IBig>| match noise {
        Some(noise) => noise.add_unchecked(&exact),
        None => Vec::new(),
    };
    let noisy = Noisy {
        principals: drawn.principals.add_unchecked(&principals),
        rows: add(&drawn.rows, rows),
        values: add(&drawn.values, values),
    };
    let many = Question { groups: vec![vec!["all".to_owned()]; draws], ..question.clone() };
    plan.settle(&many, K, &noisy).groups
}

/// Six standard deviations above 5 % of so many.
fn misses_most(of: usize) -> usize {
    let of = f64::from(u32::try_from(of).unwrap());
    let most = (0.05 * of + 6.0 * (0.05 * 0.95 * of).sqrt()).ceil();
    format!("{most:.0}").parse().unwrap()
}

#[track_caller]
fn covers(told: &[Told], holds: impl Fn(&Told) -> bool) {
    assert!(told.len() > 300, "only {} are told", told.len());
    let missed = told.iter().filter(|one| !holds(one)).count();
    assert!(missed <= misses_most(told.len()), "{missed} of {} are missed", told.len());
}

fn holds(counted: &Counted, exact: u64) -> bool {
    (counted.low..=counted.high).contains(&exact)
}

fn rows_of(told: &Told) -> Counted {
    match told.number {
        Number::Rows { rows } | Number::Mean { rows, .. } | Number::Rate { rows, .. } => rows,
        _ => panic!("no rows"),
    }
}

fn share_of(told: &Told) -> (Option<f64>, f64, f64) {
    match told.number {
        Number::Rate { rate, low, high, .. } => (rate, low, high),
        Number::Mean { mean, low, high, .. } => (mean, low, high),
        _ => panic!("no share"),
    }
}

#[test]
fn nineteen_of_twenty_intervals_of_counts_hold() {
    let rows = question(Measure::Rows, 1, 1, 30);
    for exact in [20_000, 100_000] {
        covers(&told(&rows, [9_000, exact, 0], 4_000), |one| holds(&rows_of(one), exact));
    }
    let printers = question(Measure::Printers, 1, 1, 30);
    covers(
        &told(&printers, [9_000, 0, 31_000], 4_000),
        |one| matches!(&one.number, Number::Printers { printers } if holds(printers, 31_000)),
    );
}

#[test]
fn intervals_of_principals_hold_for_the_groups_that_are_told() {
    let rows = question(Measure::Rows, 1, 1, 30);
    let plan = Plan::of(&rows);
    let threshold = 50 + u64::try_from(plan.margin()).unwrap();
    // The scale is 20: from far below the threshold, where only luck tells a group, to far above.
    for exact in [threshold - 45, threshold - 20, threshold, threshold + 30, threshold + 500] {
        let draws = if exact < threshold { 20_000 } else { 4_000 };
        covers(&told(&rows, [exact, 0, 0], draws), |one| holds(&one.principals, exact));
    }
}

#[test]
fn nineteen_of_twenty_intervals_of_means_and_shares_hold() {
    let rates = question(Measure::Rate, 1, 1, 30);
    let means = question(mean(250_000_000), 1, 1, 30);
    for (rows, done) in [(60_000, 55_800), (3_000, 30), (400, 400), (9_000, 0)] {
        let exact =
            f64::from(u32::try_from(done).unwrap()) / f64::from(u32::try_from(rows).unwrap());
        let within = |one: &Told, exact: f64| {
            let (value, low, high) = share_of(one);
            let is_inside = value.is_none_or(|value| (low..=high).contains(&value));
            assert!(is_inside && low >= 0.0, "{one:?}");
            (low..=high).contains(&exact)
        };
        covers(&told(&rates, [9_000, rows, done], 4_000), |one| within(one, exact));
        let sum = done * 250_000_000;
        covers(&told(&means, [9_000, rows, sum], 4_000), |one| within(one, exact * 250.0));
    }
}

#[test]
fn intervals_that_are_too_narrow_are_seen() {
    let rows = question(Measure::Rows, 1, 1, 30);
    let plan = Plan::of(&rows);
    let wider =
        Plan { rows: plan.rows.clone().map(|one| one.scaled(&RBig::from(2))), ..plan.clone() };
    let told = told_with(&plan, &wider, &rows, [9_000, 20_000, 0], 4_000);
    let missed = told.iter().filter(|one| !holds(&rows_of(one), 20_000)).count();
    assert!(missed > misses_most(told.len()), "{missed} of {}", told.len());
}

#[test]
fn a_group_of_fewer_than_k_is_told_less_than_once_in_a_million() {
    for groups in [1, 7, 300] {
        let plan = Plan::of(&question(Measure::Rate, groups, 1, 300));
        let x = (-plan.principals.scale().to_f64().value().recip()).exp();
        // From k - 1 the noise has to make up 1 + margin.
        let share = |margin: f64| x.powf(margin + 1.0) / (1.0 + x);
        let margin = plan.margin().to_f64().value();
        assert!(share(margin) < 1e-6 && share(margin - 1.0) > 1e-6, "{groups}: {margin}");
    }
    let rows = question(Measure::Rows, 1, 1, 30);
    // One in a million each: four among ten thousand are rarer than one in a thousand million.
    assert!(told(&rows, [49, 0, 0], 10_000).len() < 4);
}

#[test]
fn the_threshold_and_the_lower_end_are_exact() {
    let plan = Plan::of(&question(Measure::Rows, 1, 1, 30));
    let threshold = plan.margin() + IBig::from(50);
    let far = &threshold + plan.principals.excess(OUTSIDE_HALF);
    let low = |noisy: &IBig| plan.enough(K, noisy).map(|told| told.low);
    assert_eq!(low(&(&threshold - IBig::ONE)), None);
    assert_eq!((low(&threshold), low(&(&far - IBig::ONE))), (Some(50), Some(50)));
    assert_eq!(low(&far), Some(natural(&(&far - plan.principals.beyond(OUTSIDE_HALF)))));
}

#[test]
fn groups_of_the_public_domain_are_told_or_counted_as_withheld() {
    let asked = question(Measure::Rate, 4, 2, 30);
    let sums = |principals: u64| Sums {
        principals,
        rows: principals * 20,
        value_millionths: u128::from(principals) * 5_000_000,
        bins: Vec::new(),
    };
    // The second is missing in one epoch; nobody is in the third.
    let table = Table::from([
        ((0, 202_601), sums(90_000)),
        ((0, 202_602), sums(80_000)),
        ((1, 202_602), sums(90_000)),
        ((3, 202_601), sums(70_000)),
        ((3, 202_602), sums(90_000)),
    ]);
    let plan = Plan::of(&asked);
    let noisy = plan.draw(&asked.exact(&table).unwrap()).unwrap();
    let settled = plan.settle(&asked, K, &noisy);
    let labels: Vec<&str> = settled.groups.iter().map(|one| one.group[0].as_str()).collect();
    assert_eq!((labels, settled.withheld), (vec!["model 0", "model 3"], 2));
    let near = |counted: &Counted, exact: u64| counted.value.abs_diff(exact) < 50_000;
    assert!(
        near(&settled.groups[1].principals, 70_000)
            && near(&rows_of(&settled.groups[1]), 3_200_000)
    );
    assert!((share_of(&settled.groups[0]).0.unwrap() - 0.25).abs() < 0.05);
}

#[test]
fn the_parts_of_epsilon_add_up_to_no_more_than_the_release_costs() {
    let measures = [
        Measure::Rows,
        Measure::Printers,
        Measure::Rate,
        mean(9),
        Measure::Histogram { bins: vec![String::new()] },
    ];
    for (measure, parts) in measures.into_iter().zip([2, 2, 3, 3, 2]) {
        let mut asked = question(measure, 3, 1, 30);
        asked.epsilon = MicroEpsilon(99_999);
        let privacy = Plan::of(&asked).privacy(&asked, K);
        assert_eq!(privacy.noise.len(), parts);
        let parts = privacy.noise.iter().map(|one| one.epsilon.parse::<RBig>().unwrap());
        let sum = parts.fold(RBig::ZERO, |sum, part| sum + part);
        assert_eq!(sum, RBig::from(99_999) / RBig::from(MILLIONTHS));
        for one in &privacy.noise {
            let [sensitivity, epsilon, scale] = [&one.sensitivity, &one.epsilon, &one.scale]
                .map(|text| text.parse::<RBig>().unwrap());
            assert_eq!(scale * epsilon, sensitivity);
        }
    }
}

#[test]
fn numbers_have_two_digits_of_their_uncertainty_and_intervals_only_grow() {
    let ratio = |value, low, high| Ratio { value: Some(value), low, high };
    let cases = [
        (ratio(0.123_456, 0.101_234, 0.145_678), ratio(0.123, 0.101, 0.146)),
        (ratio(0.5, 0.0, 1.0), ratio(0.5, 0.0, 1.0)),
        (ratio(123.456, 23.01, 223.9), ratio(123.0, 23.0, 224.0)),
        (ratio(0.999_99, 0.999_985, 1.0), ratio(0.999_99, 0.999_985, 1.0)),
    ];
    for (exact, expected) in cases {
        assert_eq!(rounded(&exact, 1_000.0), expected);
    }
    // What cannot be reached is not told, whatever is rounded.
    let near = rounded(&ratio(0.95, 0.9, 0.96), 0.954);
    assert!(near.high <= 0.954 && near.value.unwrap() <= near.high, "{near:?}");
    let near = rounded(&ratio(0.957, 0.9, 0.957), 0.957);
    assert!(near.high <= 0.957 && near.value.unwrap() <= near.high, "{near:?}");
    assert_eq!(natural(&(-3).into()), 0);
}
