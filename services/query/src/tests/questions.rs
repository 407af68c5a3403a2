//! The twenty questions, each of a small lake with an effect put in, and of one without it but for the seventh.

use super::*;
use crate::metric::{Counted, Measure};
use crate::{Asked, Difference, Metric, metrics, questions};

/// Principals of each of two groups, and rows of each principal.
const PRINCIPALS: u8 = 60;
const ROWS: u8 = 5;

/// What one group's rows and days hold beside the effect.
type Group = [&'static [Told]; 2];

/// What differs between a row with the effect and one without, and between the two groups.
struct Planted {
    number: u8,
    metric: &'static str,
    kind: RecordKind,
    /// Of a row without the effect, and of one with it.
    rows: [&'static [Told]; 2],
    /// Of the rows of a group, and of its days where the rows are prints.
    groups: [Group; 2],
    /// How many of a hundred rows have it, in the first group and in the second.
    percent: [u32; 2],
}

const FAILS: [&[Told]; 2] = [&[DONE], &[FAULT]];
const STOPS: [&[Told]; 2] = [&[DONE], &[FAULT, ("status_stop_phase", 2)]];
const RARE: [u32; 2] = [5, 25];

/// Prints whose groups differ in the print itself.
const fn by_print(
    number: u8,
    metric: &'static str,
    rows: [&'static [Told]; 2],
    groups: [&'static [Told]; 2],
) -> Planted {
    let groups = [[groups[0], &[]], [groups[1], &[]]];
    Planted { number, metric, kind: RecordKind::Print, rows, groups, percent: RARE }
}

/// Prints whose groups differ in their printer's day, and hold `print` all.
const fn by_day(
    number: u8,
    metric: &'static str,
    rows: [&'static [Told]; 2],
    print: &'static [Told],
    days: [&'static [Told]; 2],
) -> Planted {
    let groups = [[print, days[0]], [print, days[1]]];
    Planted { number, metric, kind: RecordKind::Print, rows, groups, percent: RARE }
}

/// Days.
const fn day(
    number: u8,
    metric: &'static str,
    rows: [&'static [Told]; 2],
    groups: [&'static [Told]; 2],
    percent: [u32; 2],
) -> Planted {
    let groups = [[groups[0], &[]], [groups[1], &[]]];
    Planted { number, metric, kind: RecordKind::Day, rows, groups, percent }
}

const FIRMWARES: [&[Told]; 2] = [
    &[("machine_model", 12), ("machine_firmware", 3)],
    &[("machine_model", 12), ("machine_firmware", 4)],
];
const MODELS: [&[Told]; 2] = [&[("machine_model", 12)], &[("machine_model", 13)]];
const AGES: [&[Told]; 2] = [&[("machine_age", 1)], &[("machine_age", 7)]];
const NO_FAULT: Told = ("faults_recent", 1);
const FAULTY: Told = ("faults_recent", 3);

/// All but the seventh, which has no two groups.
const PLANTED: [Planted; 20] = [
    by_day(1, "first_layer_failure_rate", STOPS, &[PETG], FIRMWARES),
    by_day(2, "failure_rate", FAILS, &[], MODELS),
    by_day(
        3,
        "print_duration_mean",
        [&[("print_time_completed_duration", 8)], &[("print_time_completed_duration", 11)]],
        &[],
        FIRMWARES,
    ),
    day(
        4,
        "laser_output",
        [&[("laser_calibration_ratio", 11)], &[("laser_calibration_ratio", 6)]],
        [&[("laser_life_hours", 2)], &[("laser_life_hours", 8)]],
        [10, 80],
    ),
    by_print(5, "failure_rate", FAILS, [&[NO_FAULT], &[FAULTY]]),
    day(
        6,
        "nozzle_heat_up",
        [&[("temperature_nozzle_heat_up", 3)], &[("temperature_nozzle_heat_up", 5)]],
        AGES,
        [10, 60],
    ),
    by_print(
        8,
        "failure_rate",
        FAILS,
        [&[("temperature_nozzle_excursion", 1)], &[("temperature_nozzle_excursion", 3)]],
    ),
    by_day(
        9,
        "clog_rate",
        [&[NO_FAULT], &[NO_FAULT, ("faults_family", 3)]],
        &[],
        [&[("machine_nozzle", 1)], &[("machine_nozzle", 2)]],
    ),
    day(
        10,
        "user_pause_rate",
        [&[("status_observed", 4)], &[("status_observed", 4), ("status_pauses_by_user", 1)]],
        MODELS,
        RARE,
    ),
    day(
        10,
        "run_out_pause_rate",
        [&[("status_observed", 4)], &[("status_observed", 4), ("status_pauses_by_run_out", 2)]],
        MODELS,
        RARE,
    ),
    by_day(
        11,
        "fault_rate",
        [&[NO_FAULT], &[NO_FAULT, ("faults_family", 6)]],
        &[],
        [&[("print_time_busy_time", 2)], &[("print_time_busy_time", 5)]],
    ),
    by_day(12, "failure_rate", FAILS, &[], AGES),
    by_day(
        13,
        "peel_rate",
        [&[NO_FAULT], &[NO_FAULT, ("faults_family", 5)]],
        &[],
        [&[("material_consumable_age", 1)], &[("material_consumable_age", 4)]],
    ),
    by_print(
        14,
        "failure_rate",
        FAILS,
        [&[("temperature_process_excursion", 1)], &[("temperature_process_excursion", 3)]],
    ),
    by_day(
        15,
        "failure_rate",
        FAILS,
        &[],
        [&[("material_own_brand", 1)], &[("material_own_brand", 3)]],
    ),
    by_print(
        16,
        "first_layer_failure_rate",
        STOPS,
        [&[("settings_adhesion_aid", 1)], &[("settings_adhesion_aid", 2)]],
    ),
    by_print(
        17,
        "failure_rate",
        FAILS,
        [&[("settings_layer_height", 1)], &[("settings_layer_height", 5)]],
    ),
    day(
        18,
        "prints_started",
        [&[("print_time_prints_started", 1)], &[("print_time_prints_started", 5)]],
        MODELS,
        [10, 60],
    ),
    by_day(
        19,
        "failure_rate_after_faults",
        FAILS,
        &[FAULTY],
        [&[("experience_satisfaction", 1)], &[("experience_replaced_part", 1)]],
    ),
    by_day(20, "failure_rate", FAILS, &[], [&[("slicing_slicer", 3)], &[("slicing_slicer", 4)]]),
];

/// A number from 0 to 99 that depends on all of its parts; the same each time.
fn draw(parts: [u32; 3]) -> u32 {
    let mix = |seed: u64, part: u32| {
        let mixed = (seed ^ u64::from(part)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ mixed >> 32
    };
    let mixed = parts.into_iter().fold(0x5eed_u64, mix);
    u32::try_from((mixed >> 11) % 100).unwrap()
}

impl Planted {
    fn fleet(&self, percent: [u32; 2]) -> Fleet {
        let mut fleet = Fleet::new();
        for (group, ([rows, days], percent)) in self.groups.iter().zip(percent).enumerate() {
            let first = 1 + PRINCIPALS * u8::try_from(group).unwrap();
            for number in first..first + PRINCIPALS {
                for at in 0..ROWS {
                    let drawn = draw([self.number.into(), number.into(), at.into()]);
                    let own = self.rows[usize::from(drawn < percent)];
                    let date = match self.kind {
                        RecordKind::Print => "2026-11-21".to_owned(),
                        RecordKind::Day => format!("2026-11-{}", 10 + at),
                    };
                    fleet.tell(self.kind, number, &date, &[own, rows].concat());
                }
                if !days.is_empty() {
                    fleet.tell(RecordKind::Day, number, "2026-11-21", days);
                }
            }
        }
        fleet
    }

    /// What a row with the effect has more than one without, in the metric's unit.
    fn effect(&self, metric: &Metric) -> f64 {
        let Measure::Mean { divide_by } = &metric.measure else { return 1.0 };
        let field = contract().column(self.kind, &metric.field).unwrap();
        let [without, with] = self.rows.map(|row| {
            let index = row.iter().find(|(column, _)| *column == metric.field).unwrap().1;
            contract().representative(field, index).unwrap()
        });
        (with - without) / f64::from(divide_by.get())
    }

    async fn ask(&self, asked: &Asked, percent: [u32; 2]) -> Difference {
        let answer = self.fleet(percent).publish().answer(&asked.request().unwrap()).await;
        let answer = answer.unwrap_or_else(|error| panic!("question {}: {error}", self.number));
        answer.difference.clone().unwrap_or_else(|| panic!("question {}: {answer}", self.number))
    }
}

#[tokio::test]
async fn each_question_finds_what_was_put_in_and_nothing_where_nothing_was() {
    let metrics = metrics().unwrap();
    let questions = questions(&metrics).unwrap();
    let (mut missed, mut found_nothing) = (0, 0);
    for planted in &PLANTED {
        let is_it = |one: &&Asked| one.number == planted.number && one.metric == planted.metric;
        let asked = questions.iter().find(is_it).unwrap();
        let metric = metrics.iter().find(|metric| metric.name == planted.metric).unwrap();
        let effect = planted.effect(metric);
        let [less, more] = planted.percent.map(f64::from);
        let truth = effect * (more - less) / 100.0;
        let with = planted.ask(asked, planted.percent).await;
        assert!(with.low * with.high > 0.0 && with.low * truth > 0.0, "{}: {with:?}", asked.number);
        missed += u32::from(!(with.low..=with.high).contains(&truth));
        // The same share in both groups: drawn anew for each row, so that they are not equal.
        let without = planted.ask(asked, [planted.percent[0]; 2]).await;
        found_nothing += u32::from((without.low..=without.high).contains(&0.0));
    }
    // Of twenty intervals of 95 % more than three miss once in sixty times.
    assert!(missed <= 3, "{missed} intervals miss what was put in");
    assert!(found_nothing >= 17, "{} controls show an effect", 20 - found_nothing);
}

/// Four and six percent are not told apart by three hundred prints a group, and the answer says so.
#[tokio::test]
async fn a_small_sample_does_not_show_a_small_effect() {
    let asked = questions(&metrics().unwrap()).unwrap().remove(0);
    let found = PLANTED[0].ask(&asked, [4, 6]).await;
    assert!(found.low < 0.0 && found.high > 0.02, "{found:?}");
}

#[tokio::test]
async fn a_set_point_is_found_where_prints_have_it() {
    let asked = questions(&metrics().unwrap()).unwrap();
    let asked = asked.iter().find(|asked| asked.number == 7).unwrap();
    let mut fleet = Fleet::new();
    for number in 1..=PRINCIPALS {
        let petg = if draw([7, number.into(), 0]) < 40 { 9 } else { 8 };
        fleet.print(number, "2026-11-21", &[PETG, ("temperature_nozzle_set_point", petg)]);
        fleet.print(number, "2026-11-21", &[PLA, ("temperature_nozzle_set_point", 5)]);
    }
    let answer = fleet.publish().answer(&asked.request().unwrap()).await.unwrap();
    let Value::Histogram { bins, .. } = &answer.cells[0].value else { panic!("{answer}") };
    let most = bins.iter().max_by_key(|bin| bin.rows).unwrap();
    assert_eq!((most.index, most.low), (8, Some(225.0)), "{answer}");
    assert!(bins.iter().all(|bin| bin.index != 5 || bin.rows.is_none()));
}

#[test]
fn all_twenty_are_asked() {
    let asked: BTreeSet<u8> =
        questions(&metrics().unwrap()).unwrap().iter().map(|asked| asked.number).collect();
    assert_eq!(asked, (1..=20).collect());
    let planted: BTreeSet<u8> = PLANTED.iter().map(|planted| planted.number).collect();
    assert_eq!(asked.difference(&planted).collect::<Vec<_>>(), [&7]);
}

/// A joined column is its section's, and a print that has no day, or whose owner withdrew the
/// section, is `unknown`; a print whose own section is missing is left out.
#[tokio::test]
async fn a_print_has_the_columns_of_its_day_while_they_may_be_used() {
    let mut fleet = Fleet::new();
    fleet.prints(90, "2026-11-21", &[DONE]);
    let nozzle = |fleet: &mut Fleet, number, index| {
        fleet.tell(RecordKind::Day, number, "2026-11-21", &[("machine_nozzle", index)]);
    };
    (1..=30).for_each(|number| nozzle(&mut fleet, number, 1));
    (31..=60).for_each(|number| nozzle(&mut fleet, number, 2));
    let dimension: Dimension = "machine_nozzle".parse().unwrap();
    let answer = fleet.ask("print_count", "machine_nozzle", "").await.unwrap();
    let rows = |value| cell(&answer, dimension, value).rows;
    assert_eq!([rows("fine"), rows("standard"), rows("unknown")], [30, 30, 30]);
    let fine = fleet.ask("print_count", "", "machine_nozzle=fine").await.unwrap();
    assert_eq!(fine.cells[0].rows, 30);
    let exclude = |fleet: &mut Fleet, category| {
        for number in 1..=15 {
            let subject = pseudonym(1, number, 202_611);
            fleet.catalogue.excluded.insert(Exclusion { subject, category, up_to: u64::MAX });
        }
    };
    exclude(&mut fleet, Category::Laser);
    let same = fleet.ask("print_count", "machine_nozzle", "").await.unwrap();
    assert_eq!(same.cells, answer.cells);
    exclude(&mut fleet, Category::Machine);
    is_withheld(&fleet.ask("print_count", "", "machine_nozzle=fine").await);
}

/// Each metric with each of its dimensions, of an empty and of a small lake: never an engine's error.
#[tokio::test]
async fn every_metric_can_be_asked_by_each_of_its_dimensions() {
    let mut fleet = Fleet::new();
    fleet.prints(25, "2026-11-21", &[DONE, PLA]);
    (1..=25).for_each(|one| fleet.tell(RecordKind::Day, one, "2026-11-21", MODELS[0]));
    let engine = fleet.publish();
    for metric in engine.metrics() {
        let counts = matches!(metric.measure, Measure::Count { of: Counted::Rows });
        let all = if counts { metric.dimensions.as_slice() } else { &metric.dimensions[..1] };
        for dimension in all {
            let request =
                Request { metric: metric.name.clone(), by: vec![*dimension], ..Request::default() };
            let answer = engine.answer(&request).await;
            let is_fine = matches!(answer, Ok(_) | Err(QueryError::BelowThreshold { .. }));
            assert!(is_fine, "{} by {dimension}: {answer:?}", metric.name);
        }
    }
}
