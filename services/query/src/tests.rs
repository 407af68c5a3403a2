//! Questions to small lakes: who counts, what is withheld, what is refused, what an answer shows.

mod editions;
mod nested;
mod quarters;
mod questions;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use imprimatur_consent::{Category, Pseudonym};
use imprimatur_lake::{Catalogue, Exclusion, Lake, Row};
use imprimatur_proto::contract;
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_runtime::{UnixSeconds, UtcDate};
use tempfile::TempDir;

use crate::{
    Answer, Cell, Dimension, Engine, EngineSettings, QueryError, Request, Threshold, Value,
};

/// A column and its index.
pub(crate) type Told = (&'static str, u32);
pub(crate) const DONE: Told = ("status_outcome", 1);
const CANCELLED: Told = ("status_outcome", 2);
pub(crate) const FAULT: Told = ("status_outcome", 3);
pub(crate) const PLA: Told = ("material_family", 1);
pub(crate) const PETG: Told = ("material_family", 2);
const TPU: Told = ("material_family", 5);

/// A lake under construction: one subject a principal.
pub(crate) struct Fleet {
    pub(crate) folder: TempDir,
    rows: Vec<Row>,
    pub(crate) catalogue: Catalogue,
}

fn date(text: &str) -> UtcDate {
    text.parse().unwrap()
}

/// The pseudonym of subject (1) or principal (2) number `number` in an epoch.
fn pseudonym(what: u8, number: u8, epoch: u32) -> Pseudonym {
    let month = u8::try_from(epoch % 100).unwrap();
    Pseudonym([what, number, month, 0xab, 0xcd, 0xef, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let catalogue = Catalogue::empty(UnixSeconds(1_800_000_000));
        Self { folder: tempfile::tempdir().unwrap(), rows: Vec::new(), catalogue }
    }

    pub(crate) fn tell(&mut self, kind: RecordKind, number: u8, day: &str, values: &[Told]) {
        let mut sections: BTreeMap<Category, Section> = BTreeMap::new();
        for (column, index) in values {
            let field = contract().column(kind, column).unwrap();
            let category = contract().rule(field).category.unwrap();
            let section = sections.entry(category);
            let section = section.or_insert(Section { category, values: Vec::new() });
            section.values.push((field, *index));
        }
        let epoch = date(day).month();
        let commit = u64::try_from(self.rows.len()).unwrap();
        self.rows.push(Row {
            kind,
            date: date(day),
            epoch,
            commit,
            ordinal: 0,
            subject: pseudonym(1, number, epoch),
            principal: pseudonym(2, number, epoch),
            sections: sections.into_values().collect(),
        });
        self.catalogue.enrolled.insert(pseudonym(2, number, epoch));
    }

    fn print(&mut self, number: u8, day: &str, values: &[Told]) {
        self.tell(RecordKind::Print, number, day, values);
    }

    /// The same print of so many further principals, whose numbers have two bytes.
    pub(crate) fn crowd(&mut self, count: u16, day: &str, values: &[Told]) {
        for number in 0..count {
            self.print(255, day, values);
            let epoch = date(day).month();
            self.catalogue.enrolled.remove(&pseudonym(2, 255, epoch));
            let row = self.rows.last_mut().unwrap();
            let [high, low] = number.to_be_bytes();
            for one in [&mut row.subject, &mut row.principal] {
                one.0[14..].copy_from_slice(&[high + 100, low]);
            }
            self.catalogue.enrolled.insert(row.principal);
        }
    }

    /// The same print of each of the principals 1 to `count`.
    pub(crate) fn prints(&mut self, count: u8, day: &str, values: &[Told]) {
        (1..=count).for_each(|number| self.print(number, day, values));
    }

    pub(crate) fn publish(&mut self) -> Engine {
        let folder = self.folder.path();
        self.catalogue.files = Lake::open(folder).unwrap().write(&self.rows).unwrap();
        self.catalogue.store(folder).unwrap();
        Engine::open(folder, EngineSettings::default()).unwrap()
    }

    async fn ask(&mut self, metric: &str, by: &str, filters: &str) -> Result<Answer, QueryError> {
        let request = Request::parse(metric, Some(by), Some(filters), None).unwrap();
        self.publish().answer(&request).await
    }
}

fn cell<'a>(answer: &'a Answer, dimension: Dimension, value: &str) -> &'a Cell {
    let place = |cell: &&Cell| cell.dimensions.get(&dimension).is_some_and(|one| one == value);
    answer.cells.iter().find(place).unwrap()
}

#[track_caller]
fn is_withheld(result: &Result<Answer, QueryError>) {
    assert!(matches!(result, Err(QueryError::BelowThreshold { .. })), "{result:?}");
}

#[tokio::test]
async fn below_k_is_refused_and_at_k_is_answered() {
    let mut fleet = Fleet::new();
    fleet.prints(19, "2026-11-21", &[DONE]);
    is_withheld(&fleet.ask("print_count", "", "").await);
    fleet.print(20, "2026-11-21", &[DONE]);
    let answer = fleet.ask("print_count", "", "").await.unwrap();
    assert_eq!(answer.cells[0].value, Value::Count { count: 20 });
    assert_eq!(answer.cells[0].principals, 20);
}

#[tokio::test]
async fn principals_that_are_not_enrolled_count_zero() {
    let mut fleet = Fleet::new();
    fleet.prints(25, "2026-11-21", &[DONE]);
    for stranger in 21..=25 {
        fleet.catalogue.enrolled.remove(&pseudonym(2, stranger, 202_611));
    }
    let answer = fleet.ask("print_count", "", "").await.unwrap();
    assert_eq!((answer.cells[0].principals, answer.cells[0].rows), (20, 20));
    fleet.catalogue.enrolled.remove(&pseudonym(2, 20, 202_611));
    is_withheld(&fleet.ask("print_count", "", "").await);
}

#[tokio::test]
async fn an_excluded_category_leaves_its_subject_out_and_no_other_category_does() {
    let mut fleet = Fleet::new();
    fleet.prints(45, "2026-11-21", &[DONE, PLA]);
    let exclude = |fleet: &mut Fleet, category, up_to: &dyn Fn(u64) -> u64| {
        fleet.catalogue.excluded.clear();
        for row in &fleet.rows[20..] {
            let up_to = up_to(row.commit);
            let subject = row.subject;
            fleet.catalogue.excluded.insert(Exclusion { subject, category, up_to });
        }
    };
    let rows = |answer: Answer| answer.cells[0].rows;
    let pla = "material_family=pla";
    exclude(&mut fleet, Category::Material, &|_| u64::MAX);
    assert_eq!(rows(fleet.ask("print_count", "", "").await.unwrap()), 45);
    assert_eq!(rows(fleet.ask("print_count", "", pla).await.unwrap()), 20);
    // Who does not share a section is a group, so that groups are all of their total.
    let by = fleet.ask("print_count", "material_family", "").await.unwrap();
    let material = "material_family".parse().unwrap();
    assert_eq!([cell(&by, material, "pla").rows, cell(&by, material, "not_shared").rows], [20, 25]);
    // Granted again: what was committed after the withdrawal counts, what was before does not.
    exclude(&mut fleet, Category::Material, &|commit| commit);
    assert_eq!(rows(fleet.ask("print_count", "", pla).await.unwrap()), 20);
    exclude(&mut fleet, Category::Material, &|commit| commit - 1);
    assert_eq!(rows(fleet.ask("print_count", "", pla).await.unwrap()), 45);
    exclude(&mut fleet, Category::Status, &|_| u64::MAX);
    assert_eq!(rows(fleet.ask("print_count", "", "").await.unwrap()), 20);
}

/// The total less its parts would tell what the few print who do not share their material.
#[tokio::test]
async fn few_who_do_not_share_a_section_are_no_difference_of_two_answers() {
    let mut fleet = Fleet::new();
    fleet.prints(60, "2026-11-21", &[DONE, PLA]);
    fleet.prints(40, "2026-11-21", &[DONE, PETG]);
    fleet.print(61, "2026-11-21", &[FAULT]);
    assert_eq!(fleet.ask("print_count", "", "").await.unwrap().cells[0].principals, 60);
    let by = fleet.ask("print_count", "material_family", "").await.unwrap();
    assert_eq!((by.cells.len(), by.suppressed_cells), (1, 2), "{by}");
    is_withheld(&fleet.ask("print_count", "", "material_family=petg").await);
    is_withheld(&fleet.ask("print_count", "", "material_family=not_shared").await);
}

#[tokio::test]
async fn each_epoch_needs_k_and_principals_are_never_summed() {
    let mut fleet = Fleet::new();
    fleet.prints(20, "2026-10-20", &[DONE]);
    fleet.prints(25, "2026-11-21", &[DONE]);
    let answer = fleet.ask("print_count", "", "").await.unwrap();
    assert_eq!((answer.cells[0].principals, answer.cells[0].rows), (25, 50));
    let mut fleet = Fleet::new();
    fleet.prints(19, "2026-10-20", &[DONE]);
    fleet.prints(25, "2026-11-21", &[DONE]);
    is_withheld(&fleet.ask("print_count", "", "").await);
    let request = Request::parse("print_count", None, None, Some("2026-11-01")).unwrap();
    let answer = fleet.publish().answer(&request).await.unwrap();
    assert_eq!(answer.cells[0].rows, 25);
}

#[tokio::test]
async fn groups_below_k_are_counted_and_not_shown() {
    let mut fleet = Fleet::new();
    fleet.prints(25, "2026-11-21", &[DONE, PLA]);
    fleet.prints(30, "2026-11-21", &[DONE, TPU]);
    fleet.prints(19, "2026-11-21", &[DONE, PETG]);
    let answer = fleet.ask("print_count", "material_family", "").await.unwrap();
    // The total is 75, so the smallest other group goes, too.
    assert_eq!(answer.cells.len(), 1);
    assert_eq!(answer.suppressed_cells, 2);
    assert!(!answer.to_string().contains("petg") && answer.to_string().contains("tpu"));
    let total = fleet.ask("print_count", "", "").await.unwrap();
    assert_eq!(total.cells[0].rows, 80);
}

#[tokio::test]
async fn one_principal_can_neither_fill_nor_flood_a_group() {
    let mut fleet = Fleet::new();
    fleet.prints(20, "2026-11-21", &[DONE]);
    (0..20).for_each(|_| fleet.print(1, "2026-11-21", &[FAULT]));
    is_withheld(&fleet.ask("print_count", "", "").await);
    let mut fleet = Fleet::new();
    for number in 1..=20 {
        (0..310).for_each(|_| fleet.print(number, "2026-11-21", &[DONE]));
    }
    fleet.print(21, "2026-11-21", &[DONE]);
    let answer = fleet.ask("print_count", "", "").await.unwrap();
    assert_eq!(answer.cells[0].rows, 20 * 300);
}

#[tokio::test]
async fn rows_without_the_section_are_left_out() {
    let mut fleet = Fleet::new();
    fleet.prints(25, "2026-11-21", &[DONE]);
    let none = fleet.ask("print_count", "material_family", "").await.unwrap();
    assert_eq!(none.cells.len(), 1);
    assert_eq!(none.cells[0].dimensions.values().next().unwrap(), "not_shared");
    is_withheld(&fleet.ask("material_used", "", "").await);
}

#[tokio::test]
async fn cancelled_prints_are_neither_failures_nor_successes() {
    let mut fleet = Fleet::new();
    fleet.prints(40, "2026-11-21", &[DONE, PLA]);
    fleet.prints(40, "2026-11-21", &[DONE, PLA]);
    fleet.prints(40, "2026-11-22", &[CANCELLED, PLA]);
    fleet.prints(20, "2026-11-22", &[FAULT, PLA]);
    let answer = fleet.ask("failure_rate", "", "").await.unwrap();
    let Value::Rate { rate, low, high } = answer.cells[0].value else { panic!("{answer:?}") };
    assert!((rate - 0.2).abs() < 1e-9, "{rate}");
    assert!(low > 0.05 && low < rate && high > rate && high < 0.45, "{low} {high}");
    assert_eq!(answer.cells[0].rows, 100);
}

#[tokio::test]
async fn a_print_has_the_model_of_its_day_and_unknown_without_one() {
    let mut fleet = Fleet::new();
    fleet.prints(60, "2026-11-21", &[DONE]);
    fleet.prints(60, "2026-11-20", &[DONE]);
    let machine = |model| [("machine_model", model), ("machine_firmware", 3)];
    (1..=25).for_each(|number| fleet.tell(RecordKind::Day, number, "2026-11-21", &machine(12)));
    (26..=50).for_each(|number| fleet.tell(RecordKind::Day, number, "2026-11-21", &machine(13)));
    let answer = fleet.ask("print_count", "model", "").await.unwrap();
    assert_eq!(cell(&answer, Dimension::Model, "12").rows, 25);
    assert_eq!(cell(&answer, Dimension::Model, "unknown").rows, 70);
    let answer = fleet.ask("print_count", "", "firmware=12.3").await.unwrap();
    assert_eq!(answer.cells[0].rows, 25);
    let answer = fleet.ask("printer_count", "model", "").await.unwrap();
    assert_eq!(cell(&answer, Dimension::Model, "12").value, Value::Count { count: 25 });
    for number in 1..=10 {
        fleet.catalogue.excluded.insert(Exclusion {
            subject: pseudonym(1, number, 202_611),
            category: Category::Machine,
            up_to: u64::MAX,
        });
    }
    let answer = fleet.ask("print_count", "model", "").await.unwrap();
    assert_eq!(answer.suppressed_cells, 2);
    assert_eq!(cell(&answer, Dimension::Model, "unknown").rows, 80);
}

#[tokio::test]
async fn means_use_the_middle_of_each_bin_in_the_metrics_unit() {
    let mut fleet = Fleet::new();
    for number in 1..=25 {
        fleet.tell(RecordKind::Day, number, "2026-11-21", &[("laser_on_time", 3)]);
    }
    let answer = fleet.ask("laser_hours", "week", "").await.unwrap();
    let found = cell(&answer, Dimension::Week, "2026-11-16");
    let Value::Mean { mean, total, .. } = found.value else { panic!("{answer:?}") };
    // The geometric middle of one and two hours, to a hundredth.
    assert!((mean - 1.41).abs() < 1e-9 && (total - 25.0 * 1.41).abs() < 1e-9, "{mean} {total}");
}

#[tokio::test]
async fn a_bin_below_k_is_withheld_and_missing_from_the_sum() {
    let mut fleet = Fleet::new();
    fleet.prints(40, "2026-11-21", &[("print_time_completed_duration", 4)]);
    fleet.prints(30, "2026-11-21", &[("print_time_completed_duration", 5)]);
    fleet.prints(25, "2026-11-21", &[("print_time_completed_duration", 6)]);
    fleet.prints(8, "2026-11-21", &[("print_time_completed_duration", 9)]);
    let answer = fleet.ask("print_duration", "", "").await.unwrap();
    let Value::Histogram { bins, withheld, .. } = &answer.cells[0].value else {
        panic!("{answer:?}")
    };
    let told: Vec<(u32, u64)> =
        bins.iter().filter_map(|bin| Some((bin.index, bin.rows?))).collect();
    assert_eq!(told, [(4, 40), (5, 30)]);
    assert_eq!((answer.cells[0].rows, *withheld), (70, bins.len() - 2));
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_what_can() {
    let mut fleet = Fleet::new();
    fleet.prints(25, "2026-11-21", &[DONE]);
    let engine = fleet.publish();
    let error = |result: Result<Answer, QueryError>| result.unwrap_err().to_string();
    let ask = |metric: &str, by| Request { metric: metric.to_owned(), by, ..Request::default() };
    let unknown = error(engine.answer(&ask("subjects", vec![])).await);
    assert!(unknown.contains("`subjects`") && unknown.contains("failure_rate"), "{unknown}");
    let denied = error(engine.answer(&ask("busy_hours", vec!["outcome".parse().unwrap()])).await);
    assert!(denied.contains("it allows technology, model, firmware"), "{denied}");
    let parse = |by, filters, since| Request::parse("outcome", by, filters, since).unwrap_err();
    assert!(
        parse(Some("serial"), None, None)
            .to_string()
            .contains("the dimensions are print_time_completed_duration")
    );
    assert!(parse(None, Some("outcome"), None).to_string().contains("DIMENSION=VALUE"));
    assert!(matches!(parse(None, None, Some("soon")), QueryError::Since(_)));
    let wrong = fleet.ask("outcome", "", "model=x").await;
    assert!(matches!(wrong, Err(QueryError::UnknownValue { .. })));
    let several = fleet.ask("print_count", "", "outcome=done,outcome=fault").await;
    assert!(matches!(several, Err(QueryError::SeveralValues { .. })), "{several:?}");
    let filters = "outcome=done,material_family=pla,model=1,week=2026-11-16";
    assert!(matches!(fleet.ask("print_count", "", filters).await, Err(QueryError::TooFine)));
    let request = Request::parse("outcome", None, None, Some("2026-11-02")).unwrap();
    let middle = engine.answer(&request).await;
    assert!(matches!(middle, Err(QueryError::SinceMidMonth { .. })), "{middle:?}");
}

#[tokio::test]
async fn nothing_published_a_corrupt_file_and_a_forged_one_are_errors() {
    let mut fleet = Fleet::new();
    let request = Request { metric: "print_count".to_owned(), ..Request::default() };
    let engine = Engine::open(fleet.folder.path(), EngineSettings::default()).unwrap();
    assert!(matches!(engine.answer(&request).await, Err(QueryError::Catalogue(_))));
    fleet.prints(25, "2026-11-21", &[DONE]);
    let engine = fleet.publish();
    assert!(engine.answer(&request).await.is_ok());
    let path = fleet.folder.path().join(&fleet.catalogue.files[0].path);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let fresh = Engine::open(fleet.folder.path(), EngineSettings::default()).unwrap();
    assert!(matches!(fresh.answer(&request).await, Err(QueryError::File { .. })));
    let noise = vec![0x5a; bytes.len()];
    fs::write(&path, &noise).unwrap();
    fleet.catalogue.files[0].sha256 = imprimatur_consent::Digest::of(&noise);
    fleet.catalogue.store(fleet.folder.path()).unwrap();
    assert!(matches!(fresh.answer(&request).await, Err(QueryError::Engine(_))));
}

#[tokio::test]
async fn a_question_over_its_memory_is_refused() {
    let mut fleet = Fleet::new();
    fleet.prints(25, "2026-11-21", &[DONE]);
    fleet.publish();
    let settings = EngineSettings { memory_bytes: 1024, ..EngineSettings::default() };
    let engine = Engine::open(fleet.folder.path(), settings).unwrap();
    let request = Request { metric: "print_count".to_owned(), ..Request::default() };
    let result = engine.answer(&request).await;
    assert!(matches!(result, Err(QueryError::TooLarge { memory_bytes: 1024 })), "{result:?}");
}

#[tokio::test]
async fn an_answer_reads_well_and_holds_no_pseudonym() {
    let mut fleet = Fleet::new();
    fleet.prints(40, "2026-11-21", &[DONE, PLA]);
    fleet.prints(40, "2026-11-22", &[DONE, PLA]);
    fleet.prints(25, "2026-11-22", &[FAULT, PLA]);
    fleet.prints(35, "2026-11-22", &[DONE, PETG]);
    fleet.catalogue.synthetic = true;
    let answer = fleet.ask("outcome", "material_family", "").await.unwrap();
    let table = "\
Outcome of prints [prints]
Synthetic fleet: no printer told any of this.

material_family  principals  rows  value
pla                      40   105  █·▃··  mostly done
petg                     35    35  █····  mostly done

Distribution of known outcomes, per print.
Each group has at least 20 enrolled principals in each month that it covers; none of them counts \
with more than 300 rows a month or holds more than 30 % of it, no two hold more than 50 %. Groups \
withheld, with those that would give them back: 0. Counts have steps of at least 5 principals' \
mean share, means and shares of at most half their interval; the same rows give the same answer.
";
    assert_eq!(answer.to_string(), table);
    let csv = "\
material_family,principals,rows,bin,low,high,bin_rows
pla,40,105,done,,,80
pla,40,105,stopped_by_user,,,
pla,40,105,fault,,,25
";
    let as_csv = |answer: &Answer| String::from_utf8(answer.to_csv().unwrap()).unwrap();
    assert!(as_csv(&answer).starts_with(csv), "{}", as_csv(&answer));
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["cells"][1]["dimensions"]["material_family"], "petg");
    assert_eq!(json["cells"][0]["value"]["kind"], "histogram");
    assert_eq!(json["cells"][0]["value"]["bins"][1]["rows"], serde_json::Value::Null);
    for text in [answer.to_string(), as_csv(&answer), json.to_string()] {
        for pseudonym in fleet.rows.iter().flat_map(|row| [row.subject, row.principal]) {
            assert!(!text.contains(&pseudonym.to_string()));
        }
    }
    let one = fleet.ask("failure_rate", "", "material_family=pla").await.unwrap();
    assert!(one.to_string().contains("25.0 % ("), "{one}");
    assert!(as_csv(&one).starts_with("principals,rows,rate,low,high\n40,100,0.25,"));
}

/// Sums are of whole numbers, so that neither threads nor the order of files show in an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_rows_give_the_same_bytes_however_often_they_are_asked_for() {
    let mut fleet = Fleet::new();
    for day in 1..=20_u8 {
        let duration = ("print_time_completed_duration", 3 + u32::from(day % 5));
        fleet.prints(20 + day, &format!("2026-11-{day:02}"), &[duration]);
    }
    let engine = fleet.publish();
    for metric in ["print_duration_mean", "print_duration"] {
        let request = Request::parse(metric, None, None, None).unwrap();
        let mut answers = BTreeSet::new();
        for _ in 0..20 {
            let answer = engine.answer(&request).await.unwrap();
            answers.insert(serde_json::to_string(&answer).unwrap());
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
}

#[tokio::test]
async fn a_farm_is_one_principal_and_does_not_dominate_by_its_printers() {
    let day: &[Told] = &[("machine_model", 12), ("print_time_prints_started", 2)];
    let mut fleet = Fleet::new();
    // Thirty printers of one principal, and no other.
    for printer in 101..=130 {
        fleet.tell(RecordKind::Day, printer, "2026-11-21", day);
    }
    for row in &mut fleet.rows {
        row.principal = pseudonym(2, 100, row.epoch);
        fleet.catalogue.enrolled.insert(row.principal);
    }
    is_withheld(&fleet.ask("printer_count", "", "").await);
    // Twenty more with a printer each: the farm has 30 of 130 rows, and 30 of 50 printers.
    for date in ["2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21"] {
        (1..=20).for_each(|number| fleet.tell(RecordKind::Day, number, date, day));
    }
    assert_eq!(fleet.ask("prints_started", "", "").await.unwrap().cells[0].principals, 20);
    is_withheld(&fleet.ask("printer_count", "", "").await);
}

#[tokio::test]
async fn too_many_dimensions_are_refused() {
    let mut fleet = Fleet::new();
    fleet.prints(25, "2026-11-21", &[DONE, PLA]);
    let four = fleet.ask("print_count", "material_family,outcome,model,week", "").await;
    assert!(matches!(four, Err(QueryError::TooFine)), "{four:?}");
}

#[tokio::test]
async fn an_operator_alone_is_told_the_exact_numbers() {
    let mut fleet = Fleet::new();
    fleet.prints(1, "2026-11-21", &[DONE]);
    fleet.prints(1, "2026-11-22", &[FAULT]);
    fleet.publish();
    let settings = EngineSettings { k: Threshold::ALONE, ..EngineSettings::default() };
    let engine = Engine::open(fleet.folder.path(), settings).unwrap();
    let request = Request::parse("print_count", Some("date"), None, None).unwrap();
    let answer = engine.answer(&request).await.unwrap();
    let told: Vec<(u64, u64)> =
        answer.cells.iter().map(|cell| (cell.principals, cell.rows)).collect();
    assert_eq!(told, [(1, 1), (1, 1)]);
    assert!(answer.privacy.contains("nobody is protected"), "{}", answer.privacy);
}
