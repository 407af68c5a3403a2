//! A question as it is asked, and its check against the registered metrics.

//!
//! A filter selects groups of a table, never rows: what it names is grouped by, and the answer tells
//! the groups with the named values. So two filters are two parts of one table, in which nothing that
//! is withheld can be computed from what is told, and their difference tells nothing more. For the same
//! reason a first day is the first of a month: each month of a group passes the gate by itself. And a table by
//! dates, firmwares or models has the totals of weeks, models and technologies, which may be asked for by themselves.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_runtime::UtcDate;

use crate::dimension::{Dimension, names};
use crate::error::QueryError;
use crate::metric::Metric;
use crate::nearest;
use crate::settle::Place;

/// Most dimensions of a table, those of filters included: each one more doubles the margins, and
/// three make small groups.
pub const DIMENSIONS_MOST: usize = 3;

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Name of a registered metric.
    pub metric: String,
    /// Dimensions to group by, in the order of the answer's columns; one named twice counts once.
    pub by: Vec<Dimension>,
    /// Only groups with these values: several of a dimension that is grouped by, one of another.
    pub filters: Vec<(Dimension, String)>,
    /// Only rows of this UTC date and later, the first of a month.
    pub since: Option<UtcDate>,
}

/// A question that can be answered: a table, and which of its groups are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) metric: Metric,
    /// Dimensions of the groups, in the order of the answer's columns.
    pub(crate) by: Vec<Dimension>,
    /// Dimensions of the table: `by`, those of filters, and the coarser of each; in one order however they were asked for.
    pub(crate) dimensions: Vec<Dimension>,
    /// Of some dimensions the values that are asked for.
    picks: BTreeMap<Dimension, BTreeSet<i32>>,
    pub(crate) since: Option<UtcDate>,
    /// The last date that is looked at; of releases alone, so no answer can be taken from another's.
    pub(crate) until: Option<UtcDate>,
}

impl Request {
    /// Reads a question as it is typed: `by` is `DIM,..`, `filters` is `DIM=VALUE,..`, `since` is a
    /// date.
    ///
    /// # Errors
    /// [`QueryError`] that names what may be written.
    pub fn parse(
        metric: &str,
        by: Option<&str>,
        filters: Option<&str>,
        since: Option<&str>,
    ) -> Result<Self, QueryError> {
        let parts = |text: Option<&str>| -> Vec<String> {
            let parts = text.unwrap_or_default().split(',').map(str::trim);
            parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let filter = |text: String| match text.split_once('=') {
            Some((dimension, value)) => Ok((dimension.trim().parse()?, value.trim().to_owned())),
            None => Err(QueryError::NotAFilter { text }),
        };
        Ok(Self {
            metric: metric.to_owned(),
            by: parts(by).iter().map(|part| part.parse()).collect::<Result<_, _>>()?,
            filters: parts(filters).into_iter().map(filter).collect::<Result<_, _>>()?,
            since: since.map(str::parse).transpose().map_err(QueryError::Since)?,
        })
    }

    /// The question as a command.
    pub fn command(&self) -> String {
        let listed = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join(","));
        let by = listed(self.by.iter().map(ToString::to_string).collect());
        let filters = self.filters.iter().map(|(one, value)| format!("{one}={value}"));
        let (filters, since) = (listed(filters.collect()), self.since.map(|date| date.to_string()));
        command(&self.metric, by.as_deref(), filters.as_deref(), since.as_deref())
    }

    pub(crate) fn check(&self, metrics: &[Metric]) -> Result<Question, QueryError> {
        let metric = metrics.iter().find(|metric| metric.name == self.metric).ok_or_else(|| {
            let allowed: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
            QueryError::UnknownMetric {
                name: self.metric.clone(),
                hint: nearest::hint(&self.metric, allowed.iter().copied()),
                allowed: allowed.join(", "),
            }
        })?;
        let allow = |dimension: Dimension| {
            if metric.dimensions.contains(&dimension) {
                return Ok(dimension);
            }
            let (metric, allowed) = (metric.name.clone(), names(&metric.dimensions));
            Err(QueryError::DimensionNotAllowed { metric, dimension, allowed })
        };
        let mut by = Vec::new();
        for &dimension in &self.by {
            if !by.contains(&allow(dimension)?) {
                by.push(dimension);
            }
        }
        let mut picks: BTreeMap<Dimension, BTreeSet<i32>> = BTreeMap::new();
        for (dimension, text) in &self.filters {
            let value = allow(*dimension)?.value(text)?;
            picks.entry(*dimension).or_default().insert(value);
        }
        let mut dimensions = by.iter().copied().collect();
        with_coarser(&mut dimensions);
        for (&dimension, values) in &picks {
            if dimensions.insert(dimension) && values.len() > 1 {
                return Err(QueryError::SeveralValues { dimension });
            }
        }
        with_coarser(&mut dimensions);
        let implied: BTreeSet<Dimension> =
            dimensions.iter().filter_map(|dimension| dimension.coarser()).collect();
        if dimensions.difference(&implied).count() > DIMENSIONS_MOST {
            return Err(QueryError::TooFine);
        }
        if let Some(since) = self.since.filter(|since| !is_first_of_month(*since)) {
            return Err(QueryError::SinceMidMonth { since });
        }
        let dimensions = dimensions.into_iter().collect();
        Ok(Question {
            metric: metric.clone(),
            by,
            dimensions,
            picks,
            since: self.since,
            until: None,
        })
    }
}

/// Adds to dimensions those that follow from them: a firmware is one of a model, which has a technology.
fn with_coarser(dimensions: &mut BTreeSet<Dimension>) {
    let all: Vec<Dimension> = dimensions.iter().copied().collect();
    for dimension in all {
        dimensions.extend(std::iter::successors(dimension.coarser(), |one| one.coarser()));
    }
}

fn is_first_of_month(date: UtcDate) -> bool {
    date.0.checked_sub(1).is_none_or(|before| UtcDate(before).month() != date.month())
}

/// A question as a command, quoted for a shell where it must be.
pub(crate) fn command(
    metric: &str,
    by: Option<&str>,
    filters: Option<&str>,
    since: Option<&str>,
) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.,=".contains(letter);
    let quoted = |text: &str| {
        if text.chars().all(is_plain) {
            return text.to_owned();
        }
        format!("'{}'", text.replace('\'', "'\\''"))
    };
    let mut command = format!("imprimatur query {}", quoted(metric));
    for (option, value) in [("--by", by), ("--where", filters), ("--since", since)] {
        if let Some(value) = value {
            command = format!("{command} {option} {}", quoted(value));
        }
    }
    command
}

impl Question {
    /// A dimension's value of a group of the table; `None` of a margin.
    pub(crate) fn value(&self, place: &Place, dimension: Dimension) -> Option<i32> {
        let at = self.dimensions.iter().position(|one| *one == dimension)?;
        place.get(at).copied().flatten()
    }

    /// The dimensions of which the others of the table follow, in its order.
    pub(crate) fn finest(&self) -> impl Iterator<Item = Dimension> {
        let implied = |one: &Dimension| self.dimensions.iter().any(|of| of.coarser() == Some(*one));
        self.dimensions.iter().copied().filter(move |one| !implied(one))
    }

    /// Whether a group of the table is asked for.
    pub(crate) fn asks_for(&self, place: &Place) -> bool {
        self.picks.iter().all(|(dimension, values)| {
            self.value(place, *dimension).is_some_and(|value| values.contains(&value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_asks_the_same_question() {
        let text = "machine_age=8000 h and more,outcome=done";
        let request =
            Request::parse("failure_rate", Some("model, week"), Some(text), Some("2026-11-01"));
        let expected = "imprimatur query failure_rate --by model,week \
                        --where 'machine_age=8000 h and more,outcome=done' --since 2026-11-01";
        assert_eq!(request.unwrap().command(), expected);
        assert_eq!(command("a'; b", None, None, None), "imprimatur query 'a'\\''; b'");
        assert_eq!(command("outcome", None, None, None), "imprimatur query outcome");
    }
}
