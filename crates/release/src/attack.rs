//! Attackers: who knows everybody else's rows tries to learn from releases whether one principal is in.
//!
//! Each attack runs against the noise of a release, against too little of it, and against none; the
//! same bound must hold for the first and fail for the others.

use dashu::integer::IBig;
use dashu::rational::RBig;

use crate::limits::MicroEpsilon;
use crate::noise::Laplace;
use crate::question::tests::question;
use crate::question::{Exact, Measure, Question};
use crate::settle::Plan;

/// Worlds that are looked at, half of them with the victim.
const TRIALS: usize = 20_000;

/// Everybody but the victim: principals, rows, and rows with a fault.
const OTHERS: [i64; 3] = [5_000, 90_000, 4_000];

/// All that the victim can add to a release with a bound of 30 rows.
const VICTIM: [i64; 3] = [1, 30, 30];

/// A release that costs so much that an attacker gains something to be seen.
fn release() -> Question {
    let mut release = question(Measure::Rate, 1, 1, 30);
    release.epsilon = MicroEpsilon(1_000_000);
    release
}

const EPSILON: f64 = 1.0;

/// How the noise is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Drawn {
    AsReleased,
    /// Scales divided by so much.
    TooLittle(u32),
    Not,
}

/// What many worlds are told: principals, rows and rows with a fault of each.
fn told(drawn: Drawn, with_victim: bool) -> Vec<[f64; 3]> {
    let of = |at: usize| OTHERS[at] + if with_victim { VICTIM[at] } else { 0 };
    let plan = Plan::of(&release());
    let noise = [Some(plan.principals), plan.rows, plan.values].map(Option::unwrap);
    let lists: Vec<Vec<f64>> = (0..3)
        .map(|at| {
            let exact = vec![IBig::from(of(at)); TRIALS / 2];
            let list = match drawn {
                Drawn::Not => exact,
                Drawn::AsReleased => noise[at].add(&exact).unwrap(),
                Drawn::TooLittle(by) => {
                    let by = RBig::from(1) / RBig::from(by);
                    noise[at].clone().scaled(&by).add_unchecked(&exact)
                }
            };
            list.iter().map(|number| number.to_f64().value()).collect()
        })
        .collect();
    (0..TRIALS / 2).map(|trial| [lists[0][trial], lists[1][trial], lists[2][trial]]).collect()
}

/// Whether the numbers are likelier with the victim than without it.
fn likelier_with(told: &[f64; 3]) -> f64 {
    let term = |at: usize| {
        let without = told[at] - f64::from(i32::try_from(OTHERS[at]).unwrap());
        let change = f64::from(i32::try_from(VICTIM[at]).unwrap());
        (without.abs() - (without - change).abs()) / change
    };
    (0..3).map(term).sum()
}

/// Share of right guesses.
fn right(with: &[bool], without: &[bool]) -> f64 {
    let right = with.iter().filter(|guess| **guess).count()
        + without.iter().filter(|guess| !**guess).count();
    f64::from(u32::try_from(right).unwrap()) / f64::from(u32::try_from(TRIALS).unwrap())
}

/// What nobody can exceed who sees releases of so much epsilon: `e^epsilon / (1 + e^epsilon)`, and six
/// standard deviations of so many trials.
fn bound(epsilon: f64) -> f64 {
    let trials = f64::from(u32::try_from(TRIALS).unwrap());
    epsilon.exp() / (1.0 + epsilon.exp()) + 6.0 * (0.25 / trials).sqrt()
}

/// From one release.
fn once(drawn: Drawn) -> f64 {
    let guess = |with| -> Vec<bool> {
        told(drawn, with).iter().map(|told| likelier_with(told) > 0.0).collect()
    };
    right(&guess(true), &guess(false))
}

/// The victim withdraws: a release before, and its reissue after. In the other worlds somebody else
/// was the reason, and the victim never there. The attacker knows nobody's rows and sees by how much
/// the numbers fell.
fn before_and_after(drawn: Drawn) -> f64 {
    let guess = |with| -> Vec<bool> {
        let (before, after) = (told(drawn, with), told(drawn, false));
        let fell = |(before, after): (&[f64; 3], &[f64; 3])| {
            let share = |at: usize| {
                let change = f64::from(i32::try_from(VICTIM[at]).unwrap());
                (before[at] - after[at]) / change - 0.5
            };
            (0..3).map(share).sum::<f64>() > 0.0
        };
        before.iter().zip(&after).map(fell).collect()
    };
    right(&guess(true), &guess(false))
}

#[test]
fn a_release_tells_of_a_member_no_more_than_its_epsilon() {
    let found = once(Drawn::AsReleased);
    assert!(found <= bound(EPSILON), "right in {found}");
    assert!(found > 0.55, "an attacker who learns nothing ({found}) shows nothing");
    let little = once(Drawn::TooLittle(8));
    assert!(little > bound(EPSILON), "too little noise is not seen: {little}");
    assert!(once(Drawn::Not) > 0.999_999, "without noise nobody can be wrong");
}

#[test]
fn a_release_and_its_reissue_tell_no_more_than_both_epsilons() {
    let found = before_and_after(Drawn::AsReleased);
    assert!(found <= bound(2.0 * EPSILON), "right in {found}");
    let little = before_and_after(Drawn::TooLittle(16));
    assert!(little > bound(2.0 * EPSILON), "too little noise is not seen: {little}");
    assert!(before_and_after(Drawn::Not) > 0.999_999, "without noise nobody can be wrong");
}

#[test]
fn the_budget_of_a_real_release_leaves_an_attacker_little_more_than_a_coin() {
    let real = MicroEpsilon::RELEASE.0;
    let epsilon = f64::from(u32::try_from(real).unwrap()) / 1e6;
    assert!((epsilon.exp() / (1.0 + epsilon.exp()) - 0.525).abs() < 0.001);
}

/// Shares of worlds in which all three numbers are at least those with the victim.
fn all_high(drawn: Drawn, with_victim: bool) -> f64 {
    let high = |told: &&[f64; 3]| {
        (0..3).all(|at| told[at] >= f64::from(i32::try_from(OTHERS[at] + VICTIM[at]).unwrap()))
    };
    let found = told(drawn, with_victim).iter().filter(high).count();
    f64::from(u32::try_from(found).unwrap()) / f64::from(u32::try_from(TRIALS / 2).unwrap())
}

/// By how many standard deviations an event is likelier with the victim than epsilon allows.
fn excess(drawn: Drawn) -> f64 {
    let worlds = f64::from(u32::try_from(TRIALS / 2).unwrap());
    let (with, without) = (all_high(drawn, true), all_high(drawn, false));
    let allowed = EPSILON.exp() * without;
    let deviation = ((with + EPSILON.exp() * allowed) / worlds).sqrt();
    (with - allowed) / deviation
}

#[test]
fn neighbours_are_as_alike_as_epsilon_says_and_half_the_sensitivity_is_seen() {
    let found = excess(Drawn::AsReleased);
    assert!(found < 6.0, "{found} standard deviations");
    // The event is the worst there is: it must use up nearly all that is allowed.
    assert!(found > -6.0, "{found} standard deviations");
    let half = excess(Drawn::TooLittle(2));
    assert!(half > 6.0, "half the sensitivity is not seen: {half}");
}

#[test]
fn a_plan_draws_what_the_attacks_look_at() {
    let plan = Plan::of(&release());
    let exact = |at: usize| vec![IBig::from(OTHERS[at])];
    let numbers = Exact { principals: exact(0), rows: exact(1), values: exact(2) };
    assert!(plan.draw(&numbers).is_ok());
    let sensitivities = |noise: &Laplace| noise.sensitivity().to_string();
    let all = [Some(plan.principals), plan.rows, plan.values].map(Option::unwrap);
    assert_eq!(all.each_ref().map(sensitivities), VICTIM.map(|most| most.to_string()));
}
