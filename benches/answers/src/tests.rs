//! The ten questions over a small lake, told as a plain loop over the same rows counts them.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::{Category, Pseudonym};
use imprimatur_lake::{Catalogue, Exclusion, Lake, Row};
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_query::{Answer, Engine, EngineSettings, Measure, Request, Threshold, Value};
use imprimatur_runtime::UtcDate;
use tempfile::TempDir;

use crate::asked::{self, Asked, Grouped};
use crate::lake::{self, Made};

const MADE: Made = Made { rows: 20_000, days: 35, file_rows: 200, seed: 8 };

/// Rows and sum in millionths of each group, by its labels and, of a histogram, its bin.
type Counted = BTreeMap<(Vec<String>, u32), (u64, i64)>;

/// A rule that a recount may leave out, to see that the lake has rows on which it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    Enrolment,
    Exclusion,
    Bound,
}

struct World {
    folder: TempDir,
    catalogue: Catalogue,
    rows: Vec<Row>,
    /// Places of the day's rows of a printer and date.
    days: BTreeMap<(Pseudonym, UtcDate), Vec<usize>>,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    lake::make(folder.path(), MADE).unwrap();
    let catalogue = Catalogue::load(folder.path()).unwrap();
    let lake = Lake::open(folder.path()).unwrap();
    let mut rows: Vec<Row> =
        catalogue.files.iter().flat_map(|entry| lake.read(entry).unwrap()).collect();
    rows.sort_by_key(|row| (row.commit, row.ordinal, row.subject));
    let mut days: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.kind == RecordKind::Day) {
        days.entry((row.subject, row.date)).or_default().push(at);
    }
    World { folder, catalogue, rows, days }
}

/// A column of a row; `None` where its section is absent.
fn cell(row: &Row, column: &str) -> Option<u32> {
    let field = contract().column(row.kind, column)?;
    let category = contract().rule(field).category?;
    let section = row.sections.iter().find(|section| section.category == category)?;
    Some(section.values.iter().find(|(own, _)| *own == field).map_or(0, |(_, index)| *index))
}

impl World {
    fn is_excluded(&self, row: &Row, looked_at: impl Fn(Category) -> bool) -> bool {
        let of_it = |one: &&Exclusion| {
            one.subject == row.subject && looked_at(one.category) && row.commit <= one.up_to
        };
        self.catalogue.excluded.iter().any(|one| of_it(&one))
    }

    /// What the day's rows of the same printer and date tell, the highest of several; 0 for nothing.
    fn of_day(&self, asked: &Asked, row: &Row, dimension: &Grouped) -> u32 {
        let joined: BTreeSet<_> = asked
            .dimensions
            .iter()
            .filter(|one| one.joined)
            .filter_map(|one| one.category)
            .collect();
        let same = self.days.get(&(row.subject, row.date)).into_iter().flatten();
        let days = same.map(|at| &self.rows[*at]);
        let days = days.filter(|day| !self.is_excluded(day, |one| joined.contains(&one)));
        days.map(|day| told_by_day(day, dimension)).max().unwrap_or(0)
    }

    fn label(&self, asked: &Asked, row: &Row, dimension: &Grouped) -> String {
        let named = |index: u32| match &dimension.labels {
            Some(labels) => labels[usize::try_from(index).unwrap()].clone(),
            None if index == 0 => "unknown".to_owned(),
            None if dimension.name == "firmware" && index.is_multiple_of(64) => {
                format!("{}.unknown", index / 64)
            }
            None if dimension.name == "firmware" => format!("{}.{}", index / 64, index % 64),
            None => index.to_string(),
        };
        if dimension.name == "week" {
            return UtcDate(row.date.0 - (row.date.0 + 3) % 7).to_string();
        }
        if dimension.joined {
            return named(self.of_day(asked, row, dimension));
        }
        let left_out = self.is_excluded(row, |one| dimension.category == Some(one));
        let own = match &dimension.column {
            _ if left_out => None,
            Some(column) => cell(row, column),
            None => cell(row, "machine_model").map(|_| told_by_day(row, dimension)),
        };
        own.map_or("not_shared".to_owned(), named)
    }

    fn recount(&self, asked: &Asked, without: Without) -> Counted {
        let since: Option<UtcDate> = asked.since.as_ref().map(|since| since.parse().unwrap());
        let (mut counted, mut of_one) = (Counted::new(), BTreeMap::new());
        for row in self.rows.iter().filter(|row| row.kind == asked.table) {
            let Some(value) = cell(row, &asked.field) else { continue };
            let looked_at = match &asked.measure {
                Measure::Count { .. } => true,
                Measure::Histogram | Measure::Mean { .. } => value > 0,
                Measure::Rate { denominator, .. } => denominator.contains(&value),
            };
            let enrolled = self.catalogue.enrolled.contains(&row.principal);
            let excluded = self.is_excluded(row, |one| asked.categories.contains(&one));
            if !looked_at
                || since.is_some_and(|since| row.date < since)
                || !enrolled && without != Without::Enrolment
                || excluded && without != Without::Exclusion
            {
                continue;
            }
            let before: &mut u32 = of_one.entry((row.principal, row.epoch)).or_default();
            *before += 1;
            if *before > asked.bound && without != Without::Bound {
                continue;
            }
            let labels: Vec<String> =
                asked.dimensions.iter().map(|one| self.label(asked, row, one)).collect();
            if let Some((_, model)) = asked.filters.split_once('=')
                && labels.iter().all(|label| label.split('.').next() != Some(model))
            {
                continue;
            }
            let (bin, adds) = match &asked.measure {
                Measure::Histogram => (value, 0),
                Measure::Count { .. } => (0, 0),
                Measure::Rate { numerator, .. } => {
                    (0, i64::from(numerator.contains(&value)) * 1_000_000)
                }
                Measure::Mean { .. } => (0, asked.micros[usize::try_from(value).unwrap()]),
            };
            let group = counted.entry((labels, bin)).or_default();
            *group = (group.0 + 1, group.1 + adds);
        }
        counted
    }
}

/// A dimension's value of a day's row.
fn told_by_day(day: &Row, dimension: &Grouped) -> u32 {
    let of = |column| cell(day, column).unwrap_or(0);
    match (&dimension.column, dimension.name) {
        (Some(column), _) => of(column),
        (None, "model") => of("machine_model"),
        (None, _) => {
            let (model, firmware) = (of("machine_model"), of("machine_firmware"));
            let known = model > 0 && firmware > 0 && of("machine_firmware_change") == 0;
            model * 64 + if known { firmware } else { 0 }
        }
    }
}

/// An answer's groups as [`Counted`], means and shares multiplied out.
fn told(asked: &Asked, answer: &Answer) -> Counted {
    let mut told = Counted::new();
    for cell in &answer.cells {
        let label = |one: &Grouped| {
            let of = cell.dimensions.iter().find(|(dimension, _)| dimension.name() == one.name);
            of.unwrap().1.clone()
        };
        let labels: Vec<String> = asked.dimensions.iter().map(label).collect();
        let rows = u32::try_from(cell.rows).unwrap();
        let sum = |each: f64| format!("{:.0}", each * f64::from(rows) * 1e6).parse().unwrap();
        match &cell.value {
            Value::Count { count } => drop(told.insert((labels, 0), (*count, 0))),
            Value::Mean { mean, .. } => drop(told.insert((labels, 0), (cell.rows, sum(*mean)))),
            Value::Rate { rate, .. } => drop(told.insert((labels, 0), (cell.rows, sum(*rate)))),
            Value::Histogram { bins, .. } => {
                let bins = bins.iter().filter_map(|bin| Some((bin.index, bin.rows?)));
                told.extend(bins.map(|(bin, rows)| ((labels.clone(), bin), (rows, 0))));
            }
        }
    }
    told
}

#[tokio::test]
async fn the_ten_questions_are_answered_as_a_plain_loop_counts() {
    let world = world();
    // Nobody is protected from the others then: every group is told, and nothing is rounded.
    let settings = EngineSettings { k: Threshold::ALONE, ..EngineSettings::default() };
    let engine = Engine::open(world.folder.path(), settings).unwrap();
    let ten = asked::ten(&world.catalogue).unwrap();
    let mut rules_that_matter = BTreeSet::new();
    for asked in &ten {
        let (by, filters) = (Some(asked.by), Some(asked.filters));
        let request = Request::parse(asked.metric, by, filters, asked.since.as_deref()).unwrap();
        let answer = engine.answer(&request).await.unwrap();
        let told = told(asked, &answer);
        assert!(!told.is_empty(), "{}", asked.name);
        assert_eq!(told, world.recount(asked, Without::Nothing), "{}", asked.name);
        for without in [Without::Enrolment, Without::Exclusion, Without::Bound] {
            if told != world.recount(asked, without) {
                rules_that_matter.insert(format!("{without:?}"));
            }
        }
    }
    let all = ["Bound", "Enrolment", "Exclusion"];
    let found: Vec<&str> = rules_that_matter.iter().map(String::as_str).collect();
    assert_eq!(found, all, "each rule has rows on which it matters");
    assert!(ten.iter().any(|asked| asked.since.is_some()));
}

#[test]
fn the_same_seed_makes_the_same_lake_and_it_is_made_once() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = Made { rows: 2_000, days: 3, file_rows: 200, seed: 7 };
    let (first, rows) = lake::write(one.path(), made).unwrap();
    assert!((1_600..2_400).contains(&rows), "{rows}");
    assert_eq!(lake::write(other.path(), made).unwrap().0, first);
    let another = Made { seed: 8, ..made };
    assert_ne!(lake::write(other.path(), another).unwrap().0, first);
    lake::make(one.path(), made).unwrap();
    lake::make(one.path(), made).unwrap();
    assert!(lake::make(one.path(), another).is_err(), "one folder, one lake");
}
