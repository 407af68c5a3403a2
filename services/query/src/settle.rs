//! From sums to an answer: groups through the gate, numbers with their intervals, bins withheld.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use imprimatur_lake::Catalogue;
use imprimatur_proto::contract;

use crate::answer::{Answer, Bin, Cell, Value};
use crate::error::QueryError;
use crate::estimate::{self, Sums};
use crate::gate::{self, By, Rule, Stat, TOP1_PERCENT, TOP2_PERCENT, Threshold};
use crate::metric::{Counted, Measure, Metric};
use crate::request::Question;
use crate::sums::MICROS;

/// A group's place in each dimension, and for bins its index last; `None` where a margin takes all.
pub(crate) type Place = Vec<Option<i32>>;

/// Groups and margins by epoch.
pub(crate) type Groups = BTreeMap<Place, Vec<Stat>>;

/// The answer, or that no group may be told.
pub(crate) fn answer(
    question: &Question,
    catalogue: &Catalogue,
    k: Threshold,
    found: &Groups,
) -> Result<Answer, QueryError> {
    let metric = &question.metric;
    let rule = Rule { k, by: weighed_by(&metric.measure) };
    let (k, width) = (k.get(), question.by.len());
    let is_cell = |place: &&Place| {
        let (own, bin) = place.split_at_checked(width).unwrap_or_default();
        own.iter().all(Option::is_some) && bin.iter().all(Option::is_none)
    };
    let places: Vec<&Place> = found.keys().filter(is_cell).collect();
    let cells: Vec<Cell> =
        places.iter().filter_map(|place| cell(question, rule, found, place)).collect();
    let suppressed = places.len().saturating_sub(cells.len());
    if cells.is_empty() {
        return Err(QueryError::BelowThreshold { k, suppressed: suppressed.max(1) });
    }
    Ok(Answer {
        metric: metric.name.clone(),
        title: metric.title.clone(),
        unit: metric.unit.clone(),
        estimand: metric.estimand.clone(),
        k,
        by: question.by.clone(),
        cells,
        suppressed_cells: suppressed,
        synthetic: catalogue.synthetic,
        published: catalogue.published,
        privacy: privacy(metric, k, suppressed),
    })
}

fn privacy(metric: &Metric, k: NonZeroU32, suppressed: usize) -> String {
    let bound = metric.rows_per_principal_and_epoch;
    format!(
        "Each group has at least {k} enrolled principals in each month that it covers; none of \
         them counts with more than {bound} rows a month or holds more than {TOP1_PERCENT} % of it, \
         no two hold more than {TOP2_PERCENT} %; groups withheld: {suppressed}."
    )
}

/// By what dominance is looked at: an amount can be one principal's although its rows are not.
fn weighed_by(measure: &Measure) -> By {
    match measure {
        Measure::Mean { .. } | Measure::Count { of: Counted::Printers } => By::RowsAndValue,
        Measure::Histogram | Measure::Rate { .. } | Measure::Count { of: Counted::Rows } => {
            By::Rows
        }
    }
}

fn cell(question: &Question, rule: Rule, found: &Groups, place: &Place) -> Option<Cell> {
    let epochs = found.get(place)?.as_slice();
    if !rule.may_tell(epochs) {
        return None;
    }
    let sums = Sums::of(epochs);
    let mut rows = gate::rows(epochs);
    let value = match &question.metric.measure {
        Measure::Count { of: Counted::Rows } => Value::Count { count: rows },
        Measure::Count { of: Counted::Printers } => Value::Count { count: printers(epochs) },
        Measure::Mean { .. } => {
            let mean = estimate::mean(&sums);
            let (low, high) = mean.interval.unzip();
            Value::Mean { mean: mean.value, low, high, total: sums.s }
        }
        Measure::Rate { .. } => {
            let rate = estimate::rate(&sums);
            let (low, high) = rate.interval?;
            Value::Rate { rate: rate.value, low, high }
        }
        Measure::Histogram => {
            let bins = bins(question, rule, found, place);
            let told = bins.iter().filter_map(|bin| bin.rows);
            rows = told.clone().sum();
            let withheld = bins.len() - told.count();
            if withheld == bins.len() {
                return None;
            }
            Value::Histogram { bins, withheld }
        }
    };
    let labels = question.by.iter().zip(place.iter().flatten());
    let dimensions = labels.map(|(one, value)| (*one, one.label(*value))).collect();
    Some(Cell { dimensions, principals: gate::principals(epochs), rows, value })
}

/// Printers of a group: the most within one epoch.
fn printers(epochs: &[Stat]) -> u64 {
    let most = epochs.iter().map(|stat| stat.value.total).max().unwrap_or(0);
    u64::try_from(most / u128::from(MICROS.unsigned_abs())).unwrap_or(u64::MAX)
}

/// All bins of the contract; the rows of one are told only if it passes the gate itself. An empty
/// bin is not told apart from one with too few principals.
fn bins(question: &Question, rule: Rule, found: &Groups, cell: &Place) -> Vec<Bin> {
    let field = question.metric.field_id;
    let bin = |index: u32| {
        let mut place = cell.clone();
        if let Some(bin) = place.last_mut() {
            *bin = i32::try_from(index).ok();
        }
        let epochs = found.get(&place).map(Vec::as_slice).unwrap_or_default();
        let told = rule.may_tell(epochs);
        let (low, high) = contract().bounds(field, index).unzip();
        let finite = |bound: Option<f64>| bound.filter(|bound| bound.is_finite());
        Bin {
            index,
            meaning: contract().meaning(field, index),
            low: finite(low),
            high: finite(high),
            rows: told.then(|| gate::rows(epochs)),
        }
    };
    (1..contract().rule(field).domain()).map(bin).collect()
}
