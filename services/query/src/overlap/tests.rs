//! The planner against rows themselves, and against attackers who ask twice.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;

const K: u32 = 20;
const FIRST_DAY: u32 = 20_742; // 2026-10-16, so that thirty days are in two epochs.

/// One print.
#[derive(Clone, Debug)]
struct Print {
    principal: u32,
    material: i32,
    model: i32,
    day: u32,
    fault: bool,
}

/// A question: values of two dimensions, and a first day.
#[derive(Clone, Debug, Default)]
struct Asked {
    materials: Option<BTreeSet<i32>>,
    models: Option<BTreeSet<i32>>,
    since: Option<u32>,
}

/// Not secret, and in a test that is enough.
fn digest(parts: [u64; 2]) -> u128 {
    let [a, b] = parts.map(|part| u128::from(part) + 0x9e37_79b9_7f4a_7c15);
    let mixed = a.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).rotate_left(61) ^ b;
    let mixed = mixed.wrapping_mul(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f);
    (mixed ^ mixed >> 64).wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
}

fn epoch(print: &Print) -> u32 {
    UtcDate(print.day).month()
}

impl Asked {
    fn takes(&self, print: &Print) -> bool {
        let of =
            |values: &Option<BTreeSet<i32>>, one| values.as_ref().is_none_or(|v| v.contains(&one));
        of(&self.materials, print.material)
            && of(&self.models, print.model)
            && self.since.is_none_or(|since| print.day >= since)
    }

    fn rows(&self, world: &[Print]) -> BTreeSet<usize> {
        (0..world.len()).filter(|at| self.takes(&world[*at])).collect()
    }

    fn population(&self, world: &[Print]) -> Population {
        let mut members: BTreeMap<Member, Rows> = BTreeMap::new();
        for at in self.rows(world) {
            let print = &world[at];
            let of = [u64::from(print.principal), u64::from(epoch(print))];
            let member = Member { epoch: epoch(print), digest: digest(of) };
            let rows = members.entry(member).or_default();
            let row = digest([u64::try_from(at).unwrap(), 7]);
            *rows = Rows(rows.0.wrapping_add(row));
        }
        let materials =
            self.materials.clone().map(|values| ("material_family".parse().unwrap(), values));
        let models = self.models.clone().map(|values| (Dimension::Model, values));
        Population {
            family: Family { table: RecordKind::Print, field: "status_outcome".to_owned() },
            predicate: Predicate {
                classes: None,
                values: materials.into_iter().chain(models).collect(),
                since: self.since.map(UtcDate),
            },
            members,
        }
    }

    /// What the answer would say without any rounding.
    fn faults(&self, world: &[Print]) -> usize {
        self.rows(world).into_iter().filter(|at| world[*at].fault).count()
    }
}

fn worlds() -> impl Strategy<Value = Vec<Print>> {
    let print = (0..90_u32, 0..5_i32, 0..4_i32, 0..30_u32, any::<bool>());
    let print = print.prop_map(|(principal, material, model, day, fault)| Print {
        principal,
        material: [1, 1, 1, 2, 3][usize::try_from(material).unwrap()],
        // Some models are rare: whoever has them is a handful.
        model: if principal < 4 { 9 } else { 1 + model / 2 },
        day: FIRST_DAY + day,
        fault,
    });
    prop::collection::vec(print, 60..400)
}

fn questions() -> impl Strategy<Value = Vec<Asked>> {
    let materials = prop::option::of(prop::collection::btree_set(1..4_i32, 1..3));
    let models =
        prop::option::of(prop::collection::btree_set(prop_oneof![1..3_i32, Just(9)], 1..3));
    let since = prop::option::weighted(0.3, (0..30_u32).prop_map(|day| FIRST_DAY + day));
    let one = (materials, models, since);
    let one = one.prop_map(|(materials, models, since)| Asked { materials, models, since });
    prop::collection::vec(one, 2..8)
}

/// Principals by epoch of whom two sets of rows have other rows.
fn differing(world: &[Print], a: &BTreeSet<usize>, b: &BTreeSet<usize>) -> BTreeMap<u32, u32> {
    let who = a.symmetric_difference(b).map(|at| (epoch(&world[*at]), world[*at].principal));
    let who: BTreeSet<(u32, u32)> = who.collect();
    who.into_iter().fold(BTreeMap::new(), |mut count, (epoch, _)| {
        *count.entry(epoch).or_default() += 1;
        count
    })
}

/// The questions that were permitted.
fn permitted(register: &mut Register, world: &[Print], asked: &[Asked]) -> Vec<Asked> {
    let may = |one: &&Asked| register.permit(one.population(world), Threshold::INSIDE).is_ok();
    asked.iter().filter(may).cloned().collect()
}

/// Whether two answers may stand beside each other, by their rows.
fn stand(world: &[Print], a: &Asked, b: &Asked) -> bool {
    let (a, b) = (a.rows(world), b.rows(world));
    a.is_disjoint(&b) || differing(world, &a, &b).values().all(|count| *count >= K)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_two_answers_are_equal_disjoint_or_k_apart(world in worlds(), asked in questions()) {
        let permitted = permitted(&mut Register::default(), &world, &asked);
        for (at, a) in permitted.iter().enumerate() {
            for b in &permitted[..at] {
                prop_assert!(stand(&world, a, b), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn a_refusal_changes_nothing_and_a_repeat_is_a_repeat(world in worlds(), asked in questions()) {
        let mut register = Register::default();
        for one in &asked {
            let before = register.len();
            let first = register.permit(one.population(&world), Threshold::INSIDE);
            let second = register.permit(one.population(&world), Threshold::INSIDE);
            match first {
                Ok(_) => prop_assert_eq!(second, Ok(Permit::Repeat)),
                Err(refusal) => {
                    prop_assert_eq!(second, Err(refusal));
                    prop_assert_eq!(register.len(), before);
                }
            }
        }
    }
}

/// The leaking control: without a planner the first property is broken, and with one enough is
/// still permitted.
#[test]
fn without_a_planner_answers_stand_too_near() {
    let mut runner = TestRunner::deterministic();
    let (mut near, mut pairs, mut allowed, mut all) = (0, 0, 0, 0);
    for _ in 0..200 {
        let world = worlds().new_tree(&mut runner).unwrap().current();
        let asked = questions().new_tree(&mut runner).unwrap().current();
        allowed += permitted(&mut Register::default(), &world, &asked).len();
        all += asked.len();
        for (at, a) in asked.iter().enumerate() {
            pairs += at;
            near += asked[..at].iter().filter(|b| !stand(&world, a, b)).count();
        }
    }
    assert!(near * 20 > pairs, "{near} of {pairs}");
    assert!(allowed * 3 > all, "{allowed} of {all}");
}

/// Two questions that differ in one principal.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// All, and all but a model that only the victim has.
    Filter,
    /// From the day on which only the victim printed, and from the next.
    Week,
    /// The total, and all its parts but the victim's.
    Children,
}

/// Sixty principals who print each day, and the victim, who printed once: the last row.
fn victims_world(fault: bool) -> Vec<Print> {
    let print = |principal, day| Print {
        principal,
        material: 1 + i32::try_from(principal % 2).unwrap(),
        model: 1,
        day,
        fault: principal % 7 == 0,
    };
    let mut world: Vec<Print> =
        (0..60).flat_map(|who| (1..5).map(move |day| print(who, FIRST_DAY + day))).collect();
    world.push(Print { principal: 99, material: 3, model: 9, day: FIRST_DAY, fault });
    world
}

fn steps(attack: Attack) -> Vec<Asked> {
    let only = |values: &[i32]| Some(values.iter().copied().collect());
    let all = Asked::default();
    match attack {
        Attack::Filter => vec![all.clone(), Asked { models: only(&[1, 2, 3]), ..all }],
        Attack::Week => {
            let since = |day| Asked { since: Some(day), ..Asked::default() };
            vec![since(FIRST_DAY), since(FIRST_DAY + 1)]
        }
        Attack::Children => {
            let part = |one| Asked { materials: only(&[one]), ..Asked::default() };
            vec![all, part(1), part(2)]
        }
    }
}

/// The attacker's word on whether the victim's print failed: the first answer less the others, and
/// by `coin` where one is missing.
fn says(world: &[Print], attack: Attack, coin: bool, planner: Option<&mut Register>) -> bool {
    let mut answers = Vec::new();
    let steps = steps(attack);
    let all = steps.len();
    let mut planner = planner;
    for step in steps {
        let may = planner.as_mut().is_none_or(|register| {
            register.permit(step.population(world), Threshold::INSIDE).is_ok()
        });
        if may {
            answers.push(step.faults(world));
        }
    }
    let Some((first, rest)) = answers.split_first().filter(|_| answers.len() == all) else {
        return coin;
    };
    first - rest.iter().sum::<usize>() == 1
}

#[test]
fn asking_twice_tells_no_more_of_one_principal_than_a_coin() {
    let mut runner = TestRunner::deterministic();
    let trials = 400;
    for attack in [Attack::Filter, Attack::Week, Attack::Children] {
        let (mut without, mut with) = (0, 0);
        for _ in 0..trials {
            let (fault, coin) = any::<(bool, bool)>().new_tree(&mut runner).unwrap().current();
            let world = victims_world(fault);
            without += u32::from(says(&world, attack, coin, None) == fault);
            let mut register = Register::default();
            with += u32::from(says(&world, attack, coin, Some(&mut register)) == fault);
        }
        assert_eq!(without, trials, "{attack:?}: the attack works where nothing is refused");
        let chance = trials * 2 / 5..=trials * 3 / 5;
        assert!(chance.contains(&with), "{attack:?}: {with} of {trials}");
    }
}

/// Nor does the refusal: it is the same where there is no victim at all.
#[test]
fn a_refusal_does_not_tell_whether_there_is_anybody() {
    for attack in [Attack::Filter, Attack::Week] {
        let with = victims_world(true);
        let without = with[..with.len() - 1].to_vec();
        let verdicts = |world: &[Print]| {
            let mut register = Register::default();
            let ask = |one: &Asked| register.permit(one.population(world), Threshold::INSIDE);
            steps(attack).iter().map(ask).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&with), verdicts(&without), "{attack:?}");
        assert_eq!(verdicts(&with)[1], Err(Refusal::TooNear));
    }
}

#[test]
fn other_families_and_an_operator_alone_are_not_held_to_each_other() {
    let world = victims_world(true);
    let [all, most] = [0, 1].map(|at| steps(Attack::Filter)[at].population(&world));
    let mut register = Register::default();
    assert!(register.is_empty());
    assert_eq!(register.permit(all.clone(), Threshold::INSIDE), Ok(Permit::New));
    let family = Family { table: RecordKind::Print, field: "material_amount".to_owned() };
    let other = Population { family, ..most.clone() };
    assert_eq!(register.permit(other, Threshold::INSIDE), Ok(Permit::New));
    let mut alone = Register::default();
    for one in [all, most] {
        assert_eq!(alone.permit(one, Threshold::ALONE), Ok(Permit::New));
    }
}

#[test]
fn the_same_question_after_a_withdrawal_is_not_answered_beside_the_old_one() {
    let world = victims_world(true);
    let all = Asked::default();
    let mut register = Register::default();
    register.permit(all.population(&world), Threshold::INSIDE).unwrap();
    let one_less = &world[..world.len() - 1];
    let again = register.permit(all.population(one_less), Threshold::INSIDE);
    assert_eq!(again, Err(Refusal::TooNear));
    let many_less: Vec<Print> =
        world.iter().filter(|print| print.principal % 2 == 0).cloned().collect();
    let again = register.permit(all.population(&many_less), Threshold::INSIDE);
    assert_eq!(again, Ok(Permit::New));
}

/// Not who is in both, but who has other rows: all sixty printed on the day between.
#[test]
fn questions_that_differ_in_the_rows_of_many_are_both_answered() {
    let world = victims_world(true);
    let mut register = Register::default();
    for day in [1, 2] {
        let asked = Asked { since: Some(FIRST_DAY + day), ..Asked::default() };
        let permit = register.permit(asked.population(&world), Threshold::INSIDE);
        assert_eq!(permit, Ok(Permit::New));
    }
    assert_eq!(register.len(), 2);
}
