//! Dimensions of which one fixes another: firmware, model and technology; date and week.

use super::*;

/// Day rows of `count` principals from `first` on, with a model.
fn days(fleet: &mut Fleet, first: u8, count: u8, model: u32) {
    let machine = [("machine_model", model), ("machine_firmware", 3)];
    let all = first..first + count;
    all.for_each(|number| fleet.tell(RecordKind::Day, number, "2026-11-21", &machine));
}

fn told(answer: &Answer, dimension: Dimension) -> BTreeMap<String, u64> {
    let place = |cell: &Cell| cell.dimensions[&dimension].clone();
    answer.cells.iter().map(|cell| (place(cell), cell.rows)).collect()
}

fn map<const N: usize>(pairs: [(&str, u64); N]) -> BTreeMap<String, u64> {
    pairs.map(|(name, rows)| (name.to_owned(), rows)).into()
}

/// Extrusion 60 in two models, light 30, a model that is not listed 25, no day 30, not shared 20.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new();
    fleet.prints(165, "2026-11-21", &[DONE]);
    days(&mut fleet, 1, 30, 1);
    days(&mut fleet, 31, 30, 12);
    days(&mut fleet, 61, 30, 131);
    days(&mut fleet, 91, 25, 255);
    for number in 116..=135 {
        fleet.tell(RecordKind::Day, number, "2026-11-21", &[("status_observed", 4)]);
    }
    fleet
}

#[tokio::test]
async fn a_technology_is_that_of_the_model_of_the_day() {
    let mut fleet = fleet();
    let answer = fleet.ask("print_count", "technology", "").await.unwrap();
    // Of prints a day without the section, and no day, are unknown, and so is a model that may be any machine.
    let expected = map([("extrusion", 60), ("light", 30), ("unknown", 75)]);
    assert_eq!(told(&answer, Dimension::Technology), expected, "{answer}");
    let answer = fleet.ask("print_count", "", "technology=light").await.unwrap();
    assert_eq!(answer.cells[0].rows, 30);
    // Of days the section is their own.
    let answer = fleet.ask("observed", "technology", "").await;
    let answer = answer.unwrap();
    assert_eq!(told(&answer, Dimension::Technology), map([("not_shared", 20)]), "{answer}");
}

#[tokio::test]
async fn a_withdrawn_machine_section_is_no_technology_any_more() {
    let mut fleet = fleet();
    for number in 61..=90 {
        let (subject, category) = (pseudonym(1, number, 202_611), Category::Machine);
        fleet.catalogue.excluded.insert(Exclusion { subject, category, up_to: u64::MAX });
    }
    let answer = fleet.ask("print_count", "technology", "").await.unwrap();
    assert_eq!(told(&answer, Dimension::Technology), map([("extrusion", 60), ("unknown", 105)]));
    is_withheld(&fleet.ask("print_count", "", "technology=light").await);
}

#[tokio::test]
async fn models_and_firmwares_are_picked_by_their_technology() {
    let mut fleet = fleet();
    let light = fleet.ask("print_count", "model", "technology=light").await.unwrap();
    assert_eq!(told(&light, Dimension::Model), map([("131", 30)]));
    let both = "technology=extrusion,technology=light";
    let models = fleet.ask("print_count", "model", both).await.unwrap();
    assert_eq!(told(&models, Dimension::Model), map([("1", 30), ("12", 30), ("131", 30)]));
    let firmwares = fleet.ask("print_count", "firmware", "technology=extrusion").await.unwrap();
    assert_eq!(told(&firmwares, Dimension::Firmware), map([("1.3", 30), ("12.3", 30)]));
    // What the model implies is no dimension more, and what does not is one.
    let three = fleet.ask("print_count", "model,outcome,week", "technology=light").await;
    assert!(!matches!(three, Err(QueryError::TooFine)), "{three:?}");
    let four = fleet.ask("print_count", "technology,outcome,week", "material_family=pla").await;
    assert!(matches!(four, Err(QueryError::TooFine)), "{four:?}");
}

/// A firmware that changed is one of its model, so that models are the sums of their firmwares.
#[tokio::test]
async fn a_changed_firmware_is_unknown_of_its_model() {
    let mut fleet = Fleet::new();
    let machine = [("machine_model", 12), ("machine_firmware", 3), ("machine_firmware_change", 1)];
    (1..=35).for_each(|one| fleet.tell(RecordKind::Day, one, "2026-11-21", &machine[..2]));
    (36..=60).for_each(|one| fleet.tell(RecordKind::Day, one, "2026-11-21", &machine));
    let answer = fleet.ask("printer_count", "firmware", "").await.unwrap();
    assert_eq!(told(&answer, Dimension::Firmware), map([("12.3", 35), ("12.unknown", 25)]));
    let answer = fleet.ask("printer_count", "", "firmware=12.unknown").await.unwrap();
    assert_eq!(answer.cells[0].rows, 25);
}

/// The total of a technology, less its models that are told, and of a week, less its dates.
#[tokio::test]
async fn what_is_withheld_of_a_model_or_date_does_not_follow_from_technology_or_week() {
    let mut fleet = Fleet::new();
    fleet.prints(100, "2026-11-21", &[DONE]);
    days(&mut fleet, 1, 40, 1);
    days(&mut fleet, 41, 30, 12);
    days(&mut fleet, 71, 5, 13);
    days(&mut fleet, 76, 25, 131);
    let by = fleet.ask("print_count", "technology", "").await.unwrap();
    assert_eq!(told(&by, Dimension::Technology), map([("extrusion", 75), ("light", 25)]));
    let by = fleet.ask("print_count", "model", "").await.unwrap();
    assert_eq!(told(&by, Dimension::Model), map([("1", 40), ("131", 25)]), "{by}");
    let mut fleet = Fleet::new();
    fleet.prints(25, "2026-11-03", &[DONE]);
    fleet.prints(40, "2026-11-17", &[DONE]);
    fleet.prints(30, "2026-11-18", &[DONE]);
    fleet.prints(5, "2026-11-19", &[DONE]);
    let weeks = fleet.ask("print_count", "week", "").await.unwrap();
    let weeks = told(&weeks, Dimension::Week);
    assert_eq!(weeks.len(), 2, "{weeks:?}");
    for by in ["date", "week,date"] {
        let dates = fleet.ask("print_count", by, "").await.unwrap();
        let expected = map([("2026-11-03", 25), ("2026-11-17", 40)]);
        assert_eq!(told(&dates, Dimension::Date), expected, "{dates}");
    }
}
