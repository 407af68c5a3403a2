//! The registered metrics: `metrics.toml`, checked against the contract.
//!
//! What does not fit is named with its line, its key and the nearest name that there is.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::FieldRule;
use imprimatur_proto::{Category, FieldId, contract};
use toml::Spanned;

use crate::dimension::Dimension;
use crate::error::{MetricsError, QueryError};
use crate::nearest;

const BUILT_IN: &str = include_str!("../metrics.toml");

/// Stands for all known classes in a numerator, and for these and `unknown` in a denominator.
const ALL_CLASSES: &str = "*";

/// One question that can be asked.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Metric {
    /// Name in commands.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// What an engineer asks.
    pub question: String,
    /// The table that is counted.
    pub table: RecordKind,
    /// How it is computed.
    pub measure: Measure,
    /// Column of the lake that it is about.
    pub field: String,
    /// Unit of the number, or what is counted.
    pub unit: String,
    /// Only rows with one of these values in each of these columns of their own.
    pub only: BTreeMap<Dimension, BTreeSet<i32>>,
    /// Each principal contributes at most this many rows in an epoch.
    pub rows_per_principal_and_epoch: NonZeroU32,
    /// What the number estimates.
    pub estimand: String,
    /// By what it may be grouped and filtered.
    pub dimensions: Vec<Dimension>,
    /// Categories that it uses without any dimension.
    pub categories: BTreeSet<Category>,
    #[serde(skip)]
    pub(crate) field_id: FieldId,
}

/// How a metric is computed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Measure {
    /// How many.
    Count {
        /// Of what.
        of: Counted,
    },
    /// Rows by index of the field; unknown values are left out.
    Histogram,
    /// Mean of the representatives of the known values.
    Mean {
        /// From the field's unit to the metric's.
        divide_by: NonZeroU32,
    },
    /// Share of rows with one of some classes.
    Rate {
        /// Classes that count.
        numerator: Vec<u32>,
        /// Classes that are looked at, 0 for `unknown`; the others are left out.
        denominator: Vec<u32>,
    },
}

/// What a count counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Rows of the table.
    #[default]
    Rows,
    /// Distinct subjects, the largest number within one epoch.
    Printers,
}

impl Metric {
    /// What an index of the field stands for in a mean, in millionths of the metric's unit.
    pub(crate) fn micros(&self, index: u32) -> i64 {
        let Measure::Mean { divide_by } = &self.measure else { return 0 };
        let stands_for = contract().representative(self.field_id, index).unwrap_or(0.0);
        let micros = stands_for / f64::from(divide_by.get()) * 1e6;
        // The way from a float to a whole number that fails instead of wrapping.
        format!("{micros:.0}").parse().unwrap_or(0)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    dimensions: RawDimensions,
    metric: Vec<RawMetric>,
}

/// By what the metrics of a table may be grouped and filtered.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDimensions {
    print: Vec<Spanned<String>>,
    day: Vec<Spanned<String>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetric {
    name: Spanned<String>,
    title: String,
    question: String,
    table: RecordKind,
    measure: RawMeasure,
    field: String,
    unit: String,
    of: Option<Counted>,
    divide_by: Option<NonZeroU32>,
    numerator: Option<Vec<String>>,
    denominator: Option<Vec<String>>,
    #[serde(default)]
    only: Vec<String>,
    rows_per_principal_and_epoch: NonZeroU32,
    estimand: String,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawMeasure {
    Count,
    Histogram,
    Mean,
    Rate,
}

/// The metrics that this program was built with, in the order of their file.
///
/// # Errors
/// [`MetricsError`] when they do not fit the contract.
pub fn metrics() -> Result<Vec<Metric>, MetricsError> {
    read(BUILT_IN)
}

fn read(text: &str) -> Result<Vec<Metric>, MetricsError> {
    let file: RawFile = toml::from_str(text).map_err(MetricsError::Parse)?;
    let print = dimensions(text, RecordKind::Print, &file.dimensions.print)?;
    let day = dimensions(text, RecordKind::Day, &file.dimensions.day)?;
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for raw in &file.metric {
        let dimensions = match raw.table {
            RecordKind::Print => &print,
            RecordKind::Day => &day,
        };
        let is_new = names.insert(raw.name.get_ref());
        let checked = if is_new {
            raw.check(dimensions)
        } else {
            Err(wrong("name", "is taken by another metric"))
        };
        all.push(checked.map_err(|Wrong { key, problem }| MetricsError::Invalid {
            line: line(text, &raw.name),
            metric: raw.name.get_ref().clone(),
            key,
            problem,
        })?);
    }
    Ok(all)
}

/// The line in which a text is, from 1.
fn line(text: &str, place: &Spanned<String>) -> usize {
    text.bytes().take(place.span().start).filter(|byte| *byte == b'\n').count() + 1
}

fn dimensions(
    text: &str,
    table: RecordKind,
    names: &[Spanned<String>],
) -> Result<Vec<Dimension>, MetricsError> {
    let own: Vec<Dimension> = Dimension::all().into_iter().filter(|one| one.is_of(table)).collect();
    let known = |name: &Spanned<String>| {
        let found = own.iter().find(|one| one.name() == name.get_ref()).copied();
        found.ok_or_else(|| MetricsError::Dimension {
            line: line(text, name),
            name: name.get_ref().clone(),
            table: table.table(),
            hint: nearest::hint(name.get_ref(), own.iter().map(|one| one.name())),
        })
    };
    names.iter().map(known).collect()
}

/// What is wrong with a metric.
struct Wrong {
    key: &'static str,
    problem: String,
}

fn wrong(key: &'static str, problem: impl Into<String>) -> Wrong {
    Wrong { key, problem: problem.into() }
}

impl RawMetric {
    fn check(&self, dimensions: &[Dimension]) -> Result<Metric, Wrong> {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let name = self.name.get_ref();
        if name.is_empty() || !name.chars().all(plain) {
            return Err(wrong("name", "takes lower-case letters and underscores"));
        }
        let texts = [("title", &self.title), ("question", &self.question), ("unit", &self.unit)];
        for (key, text) in texts.into_iter().chain([("estimand", &self.estimand)]) {
            if text.trim().is_empty() {
                return Err(wrong(key, "is empty"));
            }
        }
        let field_id = contract().column(self.table, &self.field).ok_or_else(|| {
            let columns = contract().columns(self.table).into_iter();
            let columns = columns.map(|field| contract().rule(field).column.as_str());
            let (field, hint) = (&self.field, nearest::hint(&self.field, columns));
            wrong("field", format!("`{field}` is no column of `{}`{hint}", self.table.table()))
        })?;
        let rule = contract().rule(field_id);
        let only = self.only()?;
        let looked_at = only.keys().filter_map(|dimension| dimension.category());
        Ok(Metric {
            name: name.clone(),
            title: self.title.clone(),
            question: self.question.clone(),
            table: self.table,
            measure: self.measure(field_id, rule)?,
            field: self.field.clone(),
            unit: self.unit.clone(),
            rows_per_principal_and_epoch: self.rows_per_principal_and_epoch,
            estimand: self.estimand.clone(),
            dimensions: dimensions.to_vec(),
            categories: rule.category.into_iter().chain(looked_at).collect(),
            only,
            field_id,
        })
    }

    /// The values of `only`, each written as `column=value`.
    fn only(&self) -> Result<BTreeMap<Dimension, BTreeSet<i32>>, Wrong> {
        let mut only: BTreeMap<Dimension, BTreeSet<i32>> = BTreeMap::new();
        for text in &self.only {
            let said = |error: QueryError| wrong("only", error.to_string());
            let (name, value) =
                text.split_once('=').ok_or_else(|| wrong("only", "takes `column=value`"))?;
            let dimension: Dimension = name.parse().map_err(said)?;
            let is_own = match dimension {
                Dimension::Print(_) => self.table == RecordKind::Print,
                Dimension::Day(_) => self.table == RecordKind::Day,
                _ => false,
            };
            if !is_own {
                return Err(wrong("only", format!("`{name}` is no column of this table's own")));
            }
            let value = dimension.value(value).map_err(said)?;
            only.entry(dimension).or_default().insert(value);
        }
        Ok(only)
    }

    fn measure(&self, field: FieldId, rule: &FieldRule) -> Result<Measure, Wrong> {
        let surplus = |key, is_there: bool, only: bool| {
            if is_there && !only {
                Err(wrong(key, "does not go with this measure"))
            } else {
                Ok(())
            }
        };
        surplus("of", self.of.is_some(), self.measure == RawMeasure::Count)?;
        surplus("divide_by", self.divide_by.is_some(), self.measure == RawMeasure::Mean)?;
        let rate = self.measure == RawMeasure::Rate;
        surplus("numerator", self.numerator.is_some(), rate)?;
        surplus("denominator", self.denominator.is_some(), rate)?;
        match self.measure {
            RawMeasure::Count => Ok(Measure::Count { of: self.of.unwrap_or_default() }),
            RawMeasure::Histogram => Ok(Measure::Histogram),
            RawMeasure::Mean if rule.unit.is_none() => {
                Err(wrong("field", "has classes, of which there is no mean"))
            }
            RawMeasure::Mean => {
                Ok(Measure::Mean { divide_by: self.divide_by.unwrap_or(NonZeroU32::MIN) })
            }
            RawMeasure::Rate => {
                let numerator = self.classes("numerator", field, self.numerator.as_deref(), 1)?;
                let denominator =
                    self.classes("denominator", field, self.denominator.as_deref(), 0)?;
                if numerator.iter().all(|class| denominator.contains(class)) {
                    Ok(Measure::Rate { numerator, denominator })
                } else {
                    Err(wrong("numerator", "holds a class that `denominator` lacks"))
                }
            }
        }
    }

    /// Indices of named classes, of which `first` is the lowest that there is.
    fn classes(
        &self,
        key: &'static str,
        field: FieldId,
        names: Option<&[String]>,
        first: u32,
    ) -> Result<Vec<u32>, Wrong> {
        let names = names.unwrap_or_default();
        if names.is_empty() {
            return Err(wrong(key, "names no class"));
        }
        let domain = contract().rule(field).domain();
        let all: Vec<String> =
            (first..domain).map(|index| contract().meaning(field, index)).collect();
        if names == [ALL_CLASSES] {
            return Ok((first..domain).collect());
        }
        let class = |name: &String| {
            let found = (first..domain).zip(&all).find(|(_, class)| *class == name);
            found.map(|(index, _)| index).ok_or_else(|| {
                let hint = nearest::hint(name, all.iter().map(String::as_str));
                wrong(key, format!("`{name}` is no class of `{}`{hint}", self.field))
            })
        };
        names.iter().map(class).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_metrics_fit_the_contract() {
        let all = metrics().unwrap();
        let names: Vec<&str> = all.iter().map(|metric| metric.name.as_str()).collect();
        for name in
            ["print_count", "failure_rate", "print_duration", "laser_hours", "printer_count"]
        {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(all.iter().all(|metric| !metric.categories.is_empty()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let wrong = BUILT_IN.replacen("field = \"print_time_busy_time\"", "field = \"busy\"", 1);
        let name = "name = \"busy_hours\"";
        let expected = BUILT_IN.lines().position(|line| line == name).unwrap() + 1;
        let error = read(&wrong).unwrap_err().to_string();
        assert!(error.starts_with(&format!("metrics.toml, line {expected}, metric")), "{error}");
    }

    #[track_caller]
    fn refuses(from: &str, to: &str, expected: &str) {
        let first = BUILT_IN.split_inclusive("[[metric]]\n").collect::<Vec<_>>();
        let text = format!("{}{}", first[0], first[3].replace("[[metric]]\n", ""));
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        let error = read(&changed).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let message = format!("{error} {}", source.unwrap_or_default());
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn a_metric_that_does_not_fit_is_named_with_its_key() {
        refuses(
            "\"status_outcome\"",
            "\"status_outcom\"",
            "metric `failure_rate`, key `field`: `status_outcom` is no column of `print`; \
             did you mean `status_outcome`?",
        );
        refuses("name = \"failure_rate\"", "name = \"Rate\"", "`Rate`, key `name`: takes lower");
        refuses(
            "\"fault\", \"host",
            "\"unknown\", \"host",
            "key `numerator`: `unknown` is no class",
        );
        refuses("\"layer_height\"", "\"layer_hight\"", "did you mean `layer_height`?");
        refuses("day = [\n", "day = [\"outcome\", ", "`outcome` is no dimension of `day`");
        refuses("[\"fault\"", "[\"stopped_by_user\"", "`denominator` lacks");
        refuses("[\"fault\"", "[\"boom\"", "key `numerator`: `boom` is no class");
        refuses("\"rate\"", "\"mean\"", "key `numerator`: does not go with");
        refuses("\"print\"", "\"day\"", "`status_outcome` is no column of `day`");
        refuses("= 300", "= 0", "rows_per_principal_and_epoch");
        refuses("unit =", "units =", "unknown field `units`");
    }
}
