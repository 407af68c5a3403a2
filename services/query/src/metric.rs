//! The registered metrics: `metrics.toml`, checked against the contract.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::FieldRule;
use imprimatur_proto::{Category, FieldId, contract};

use crate::dimension::Dimension;
use crate::error::MetricsError;

const BUILT_IN: &str = include_str!("../metrics.toml");

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
        /// Classes that are looked at; the others and unknown are left out.
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
    metric: Vec<RawMetric>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetric {
    name: String,
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
    rows_per_principal_and_epoch: NonZeroU32,
    estimand: String,
    dimensions: Vec<Dimension>,
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
    let mut names = BTreeSet::new();
    for raw in &file.metric {
        if !names.insert(raw.name.as_str()) {
            return Err(raw.wrong("name", "is taken by another metric"));
        }
    }
    file.metric.iter().map(RawMetric::check).collect()
}

impl RawMetric {
    fn wrong(&self, key: &'static str, problem: impl Into<String>) -> MetricsError {
        MetricsError::Invalid { metric: self.name.clone(), key, problem: problem.into() }
    }

    fn check(&self) -> Result<Metric, MetricsError> {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(self.wrong("name", "takes lower-case letters and underscores"));
        }
        let texts = [("title", &self.title), ("question", &self.question), ("unit", &self.unit)];
        for (key, text) in texts.into_iter().chain([("estimand", &self.estimand)]) {
            if text.trim().is_empty() {
                return Err(self.wrong(key, "is empty"));
            }
        }
        let field_id = contract().column(self.table, &self.field).ok_or_else(|| {
            let problem = format!("`{}` is no column of `{}`", self.field, self.table.table());
            self.wrong("field", problem)
        })?;
        if let Some(stranger) = self.dimensions.iter().find(|one| !one.is_of(self.table)) {
            let problem = format!("`{stranger}` is no dimension of `{}`", self.table.table());
            return Err(self.wrong("dimensions", problem));
        }
        let rule = contract().rule(field_id);
        Ok(Metric {
            name: self.name.clone(),
            title: self.title.clone(),
            question: self.question.clone(),
            table: self.table,
            measure: self.measure(field_id, rule)?,
            field: self.field.clone(),
            unit: self.unit.clone(),
            rows_per_principal_and_epoch: self.rows_per_principal_and_epoch,
            estimand: self.estimand.clone(),
            dimensions: self.dimensions.clone(),
            categories: rule.category.into_iter().collect(),
            field_id,
        })
    }

    fn measure(&self, field: FieldId, rule: &FieldRule) -> Result<Measure, MetricsError> {
        let surplus = |key, is_there: bool, only: bool| {
            if is_there && !only {
                Err(self.wrong(key, "does not go with this measure"))
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
                Err(self.wrong("field", "has classes, of which there is no mean"))
            }
            RawMeasure::Mean => {
                Ok(Measure::Mean { divide_by: self.divide_by.unwrap_or(NonZeroU32::MIN) })
            }
            RawMeasure::Rate => {
                let numerator = self.classes("numerator", field, self.numerator.as_deref())?;
                let denominator =
                    self.classes("denominator", field, self.denominator.as_deref())?;
                if numerator.iter().all(|class| denominator.contains(class)) {
                    Ok(Measure::Rate { numerator, denominator })
                } else {
                    Err(self.wrong("numerator", "holds a class that `denominator` lacks"))
                }
            }
        }
    }

    fn classes(
        &self,
        key: &'static str,
        field: FieldId,
        names: Option<&[String]>,
    ) -> Result<Vec<u32>, MetricsError> {
        let names = names.unwrap_or_default();
        if names.is_empty() {
            return Err(self.wrong(key, "names no class"));
        }
        let domain = contract().rule(field).domain();
        let class = |name: &String| {
            let found = (1..domain)
                .find(|index| contract().class_name(field, *index).as_ref() == Some(name));
            found
                .ok_or_else(|| self.wrong(key, format!("`{name}` is no class of `{}`", self.field)))
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

    #[track_caller]
    fn refuses(from: &str, to: &str, expected: &str) {
        let first = BUILT_IN.split_inclusive("[[metric]]\n").collect::<Vec<_>>();
        let text = format!("[[metric]]\n{}", first[3].replace("[[metric]]\n", ""));
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        let error = read(&changed).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let message = format!("{error} {}", source.unwrap_or_default());
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn a_metric_that_does_not_fit_is_named_with_its_key() {
        refuses("\"status_outcome\"", "\"status_mood\"", "`failure_rate`, key `field`");
        refuses("[\"fault\"", "[\"stopped_by_user\"", "`denominator` lacks");
        refuses("[\"fault\"", "[\"boom\"", "key `numerator`: `boom` is no class");
        refuses("\"rate\"", "\"mean\"", "key `numerator`: does not go with");
        refuses("\"print\"", "\"day\"", "`status_outcome` is no column of `day`");
        refuses("= 300", "= 0", "rows_per_principal_and_epoch");
        refuses("unit =", "units =", "unknown field `units`");
    }
}
