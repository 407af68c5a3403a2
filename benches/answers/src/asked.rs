//! The ten questions that a quality engineer's board asks most, and what a peer needs to ask them in SQL.
//!
//! They are taken from `questions.toml` and the overview's panels, and chosen so that each kind is there: a table's own
//! columns, the day's columns joined to prints, the table of days, one month of several, two dimensions.

use std::collections::BTreeSet;
use std::path::Path;

use imprimatur_consent::Category;
use imprimatur_lake::Catalogue;
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_query::{Dimension, Measure, Metric, Request, metrics};
use imprimatur_runtime::UtcDate;

use crate::BenchError;

/// From when on a question counts rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ever,
    LastMonth,
}

/// Name, metric, `by`, `where`, and since when.
type Ten = (&'static str, &'static str, &'static str, &'static str, Since);

const TEN: [Ten; 10] = [
    ("prints by week", "print_count", "week", "", Since::Ever),
    ("how prints end", "outcome", "", "", Since::Ever),
    ("failure rate by model", "failure_rate", "model", "", Since::Ever),
    ("failure rate by firmware of model 12", "failure_rate", "firmware", "model=12", Since::Ever),
    ("print duration by material", "print_duration_mean", "material_family", "", Since::Ever),
    ("nozzle set-point by material", "nozzle_set_point", "material_family", "", Since::Ever),
    (
        "material by own brand and material",
        "material_used_mean",
        "material_own_brand,material_family",
        "",
        Since::Ever,
    ),
    (
        "failure rate by material, last month",
        "failure_rate",
        "material_family",
        "",
        Since::LastMonth,
    ),
    ("busy hours by model", "busy_hours", "model", "", Since::Ever),
    ("commonest fault by model", "commonest_fault", "model", "", Since::Ever),
];

/// A question, as `ask` and a peer take it.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Asked {
    /// For a reader.
    pub(crate) name: &'static str,
    /// As it is typed.
    pub(crate) metric: &'static str,
    pub(crate) by: &'static str,
    #[serde(rename = "where")]
    pub(crate) filters: &'static str,
    /// The first day, as it is typed.
    pub(crate) since: Option<String>,
    pub(crate) table: RecordKind,
    pub(crate) measure: Measure,
    /// The measured column.
    pub(crate) field: String,
    /// Of each principal and epoch the first so many rows.
    pub(crate) bound: u32,
    /// Categories of which nothing may be excluded.
    pub(crate) categories: BTreeSet<Category>,
    /// What each index of the column stands for, in millionths of the metric's unit; of a mean.
    pub(crate) micros: Vec<i64>,
    pub(crate) dimensions: Vec<Grouped>,
}

/// A dimension that is grouped by.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Grouped {
    pub(crate) name: &'static str,
    /// Its column; `None` of what is computed.
    pub(crate) column: Option<String>,
    pub(crate) category: Option<Category>,
    /// Whether prints are joined to the day for it.
    pub(crate) joined: bool,
    /// What its indices are called, from 0, and last `not_shared`; `None` of what has too many.
    pub(crate) labels: Option<Vec<String>>,
}

/// The ten questions of a lake.
pub(crate) fn ten(catalogue: &Catalogue) -> Result<Vec<Asked>, BenchError> {
    let metrics = metrics().map_err(|error| BenchError::Query(Box::new(error.into())))?;
    let last = catalogue.files.iter().map(|file| file.date).max().unwrap_or_default();
    let first_of_month = (0..31_u32)
        .filter_map(|back| Some(UtcDate(last.0.checked_sub(back)?)))
        .take_while(|date| date.month() == last.month())
        .last();
    TEN.iter().map(|one| asked(one, &metrics, first_of_month)).collect()
}

fn asked(one: &Ten, metrics: &[Metric], month: Option<UtcDate>) -> Result<Asked, BenchError> {
    let (name, metric, by, filters, since) = *one;
    let request = Request::parse(metric, Some(by), Some(filters), None)
        .map_err(|error| BenchError::Query(Box::new(error)))?;
    let found = metrics.iter().find(|one| one.name == metric);
    let found = found.ok_or_else(|| BenchError::Wrong(format!("there is no metric `{metric}`")))?;
    let grouped = |dimension: &Dimension| {
        let field = match dimension {
            Dimension::Print(field) | Dimension::Day(field) => Some(*field),
            _ => None,
        };
        let of_day = !matches!(dimension, Dimension::Print(_) | Dimension::Week | Dimension::Date);
        Grouped {
            name: dimension.name(),
            column: field.map(|field| contract().rule(field).column.clone()),
            category: dimension.category(),
            joined: of_day && found.table == RecordKind::Print,
            labels: dimension.values(),
        }
    };
    Ok(Asked {
        name,
        metric,
        by,
        filters,
        since: month.filter(|_| since == Since::LastMonth).map(|date| date.to_string()),
        table: found.table,
        measure: found.measure.clone(),
        field: found.field.clone(),
        bound: found.rows_per_principal_and_epoch.get(),
        categories: found.categories.clone(),
        micros: micros(found),
        dimensions: request.by.iter().map(grouped).collect(),
    })
}

/// What the engine takes an index for, computed from the contract once more.
fn micros(metric: &Metric) -> Vec<i64> {
    let Measure::Mean { divide_by } = &metric.measure else { return Vec::new() };
    let Some(field) = contract().column(metric.table, &metric.field) else { return Vec::new() };
    let of = |index| {
        let stands_for = contract().representative(field, index).unwrap_or(0.0);
        format!("{:.0}", stands_for / f64::from(divide_by.get()) * 1e6).parse().unwrap_or(0)
    };
    (0..contract().rule(field).domain()).map(of).collect()
}

/// Prints the ten as JSON.
pub(crate) fn print(folder: &Path) -> Result<(), BenchError> {
    let catalogue = Catalogue::load(folder).map_err(|error| BenchError::Lake(Box::new(error)))?;
    let out = std::io::stdout();
    serde_json::to_writer(out.lock(), &ten(&catalogue)?)
        .map_err(|source| BenchError::Json { what: "standard output".to_owned(), source })
}
