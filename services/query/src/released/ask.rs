//! What a release asks, from a registered metric and a month: everything of it is public before a row is read.
//!
//! Its groups are all that the contract knows, its epochs those that the policies' epoch lengths give the
//! month, its period is over. So neither that it was made nor its shape tells of anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroU64};

use imprimatur_consent::policy::epoch_last_day;
use imprimatur_lake::Rules;
use imprimatur_proto::Category;
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_release::{Measure, MicroEpsilon};
use imprimatur_runtime::UtcDate;

use super::error::MakeError;
use crate::dimension::{Dimension, NOT_SHARED, names};
use crate::metric::{Counted, Measure as Asked, Metric};
use crate::request::{Question, Request};

/// Rows of one principal that count in an epoch, unless a release says otherwise: one print a day.
///
/// Source: noise grows with them, and three of four owners print less in a month.
pub const ROWS_DEFAULT: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);

/// A release, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRequest {
    /// Name of a registered metric.
    pub metric: String,
    /// The calendar month, `YYYY-MM`; it must be over.
    pub month: String,
    /// The dimension of the groups, if any.
    pub by: Option<String>,
    /// `DIM=VALUE,..` of that dimension: only these groups.
    pub filter: Option<String>,
    /// What it costs; the most that the policies allow unless it is given.
    pub epsilon: Option<MicroEpsilon>,
    /// Rows of one principal that count in an epoch, at most; no more than the metric's bound.
    pub rows: NonZeroU32,
}

/// A question that can be put to the engine and released.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) question: Question,
    /// Values of the dimension that are groups, in the contract's order; none without a dimension.
    pub(crate) values: Vec<i32>,
    pub(crate) first: UtcDate,
    pub(crate) last: UtcDate,
}

impl ReleaseRequest {
    /// Checks it against metrics, contract and clock.
    pub(crate) fn check(&self, metrics: &[Metric], today: UtcDate) -> Result<Checked, MakeError> {
        let (by, filter) = (self.by.as_deref(), self.filter.as_deref());
        let request = Request::parse(&self.metric, by, filter, None)?;
        let asks = Request { filters: Vec::new(), ..request.clone() };
        let mut question = asks.check(metrics)?;
        let by = match question.by.as_slice() {
            [] => None,
            [one] => Some(*one),
            _ => return Err(MakeError::SeveralDimensions),
        };
        let mut picked = BTreeSet::new();
        for (dimension, text) in &request.filters {
            if by != Some(*dimension) {
                return Err(MakeError::Filter { dimension: *dimension });
            }
            picked.insert(dimension.value(text)?);
        }
        let mut values = match by {
            Some(dimension) => closed(dimension, &question.metric)?,
            None => Vec::new(),
        };
        values.retain(|value| picked.is_empty() || picked.contains(value));
        if by.is_some() && values.len() < picked.len().max(1) {
            return Err(MakeError::NoGroup);
        }
        let (first, last) = month(&self.month)?;
        if today <= last {
            return Err(MakeError::NotOver { month: self.month.clone(), last });
        }
        (question.since, question.until) = (Some(first), Some(last));
        let bound = question.metric.rows_per_principal_and_epoch.min(self.rows);
        question.metric.rows_per_principal_and_epoch = bound;
        Ok(Checked { question, values, first, last })
    }
}

impl Checked {
    fn by(&self) -> Option<Dimension> {
        self.question.by.first().copied()
    }

    /// The categories whose rows it is made of.
    pub(crate) fn categories(&self) -> BTreeSet<Category> {
        let own = self.question.metric.categories.iter().copied();
        own.chain(self.by().and_then(Dimension::category)).collect()
    }

    /// As it is released.
    pub(crate) fn released(
        &self,
        rules: &Rules,
        epsilon: MicroEpsilon,
        synthetic: bool,
    ) -> Result<imprimatur_release::Question, MakeError> {
        let metric = &self.question.metric;
        let label = |value: &i32| self.by().map(|by| vec![by.label(*value)]);
        let mut groups: Vec<Vec<String>> = self.values.iter().filter_map(label).collect();
        if groups.is_empty() {
            groups.push(Vec::new());
        }
        let asked = imprimatur_release::Question {
            metric: metric.name.clone(),
            title: metric.title.clone(),
            unit: metric.unit.clone(),
            estimand: metric.estimand.clone(),
            measure: measure(metric)?,
            first: self.first,
            last: self.last,
            epochs: self.epochs(rules),
            filters: BTreeMap::new(),
            by: self.by().map(|by| by.name().to_owned()).into_iter().collect(),
            groups,
            rows_per_principal_and_epoch: metric.rows_per_principal_and_epoch,
            epsilon,
            synthetic,
        };
        asked.check().map_err(imprimatur_release::ReleaseError::from)?;
        Ok(asked)
    }

    fn epochs(&self, rules: &Rules) -> Vec<u32> {
        let days = || (self.first.0..=self.last.0).map(UtcDate);
        let of = |length: &imprimatur_consent::policy::EpochLength| {
            let length = *length;
            days().map(move |day| length.epoch(day)).collect::<BTreeSet<u32>>()
        };
        let epochs: BTreeSet<u32> = rules.epochs.iter().flat_map(of).collect();
        epochs.into_iter().collect()
    }
}

/// First and last day of `YYYY-MM`.
fn month(text: &str) -> Result<(UtcDate, UtcDate), MakeError> {
    let refused = || MakeError::NotAMonth { text: text.to_owned() };
    let first: UtcDate = format!("{text}-01").parse().map_err(|_no_date| refused())?;
    let last = epoch_last_day(first.month()).ok_or_else(refused)?;
    Ok((first, last))
}

/// All values that rows can have of a dimension, by the contract alone.
fn closed(dimension: Dimension, metric: &Metric) -> Result<Vec<i32>, MakeError> {
    let domain = match dimension {
        Dimension::Model => Some(256),
        _ => dimension.domain(),
    };
    let Some(domain) = domain else {
        let is_closed = |one: &&Dimension| one.domain().is_some() || **one == Dimension::Model;
        let closed: Vec<Dimension> = metric.dimensions.iter().filter(is_closed).copied().collect();
        return Err(MakeError::Open { dimension, allowed: names(&closed) });
    };
    // A print has the columns of its day, and `unknown` where none tells them.
    let is_joined = metric.table == RecordKind::Print && dimension.is_of_day();
    let not_shared = (!is_joined).then_some(NOT_SHARED);
    Ok((0..domain).filter_map(|index| i32::try_from(index).ok()).chain(not_shared).collect())
}

fn measure(metric: &Metric) -> Result<Measure, MakeError> {
    let indices = 1..contract().rule(metric.field_id).domain();
    Ok(match &metric.measure {
        Asked::Count { of: Counted::Rows } => Measure::Rows,
        Asked::Count { of: Counted::Printers } => Measure::Printers,
        Asked::Rate { .. } => Measure::Rate,
        Asked::Histogram => Measure::Histogram {
            bins: indices.map(|index| contract().meaning(metric.field_id, index)).collect(),
        },
        Asked::Mean { .. } => {
            let largest = indices.map(|index| metric.micros(index)).max().unwrap_or(0);
            let largest = u64::try_from(largest).ok().and_then(NonZeroU64::new);
            let unusable = || MakeError::Unbounded { metric: metric.name.clone() };
            Measure::Mean { largest_millionths: largest.ok_or_else(unusable)? }
        }
    })
}
