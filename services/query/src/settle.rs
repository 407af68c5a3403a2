//! From sums to an answer: groups through the gate, numbers with their intervals, bins withheld.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use datafusion::arrow::array::{Array as _, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type, UInt32Type};
use imprimatur_lake::Catalogue;
use imprimatur_proto::contract;

use crate::answer::{Answer, Bin, Cell, Value};
use crate::error::QueryError;
use crate::estimate;
use crate::gate::{self, Stat, Sums};
use crate::metric::{Counted, Measure, Metric};
use crate::request::Question;

/// A group's place in each dimension, and for bins its index.
type Key = Vec<i32>;

/// Sums of each group by epoch.
pub(crate) type Groups = BTreeMap<Key, Vec<Stat>>;

/// What the plans of one question gave.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) cells: Groups,
    /// For histograms: keys are those of the cells and the index.
    pub(crate) bins: Groups,
    /// For counts of printers: `principals` are subjects.
    pub(crate) printers: Groups,
}

/// Reads the batches of a plan whose groups have `width` columns before the epoch. `None` when a
/// column is not what the plan asked for.
pub(crate) fn groups(batches: &[RecordBatch], width: usize) -> Option<Groups> {
    let mut groups = Groups::new();
    for batch in batches {
        let column = |at: usize| batch.columns().get(at);
        for row in 0..batch.num_rows() {
            let key = |at| {
                let array = column(at)?.as_primitive_opt::<Int32Type>()?;
                Some(if array.is_valid(row) { array.value(row) } else { 0 })
            };
            let whole = |at| {
                let array = column(at)?.as_primitive_opt::<Int64Type>()?;
                u64::try_from(array.value(row)).ok()
            };
            let float = |at| Some(column(at)?.as_primitive_opt::<Float64Type>()?.value(row));
            let principals = whole(width + 1)?;
            let stat = Stat {
                epoch: column(width)?.as_primitive_opt::<UInt32Type>()?.value(row),
                principals,
                rows: whole(width + 2)?,
                largest: whole(width + 3)?,
                sums: Sums {
                    n: float(width + 4)?,
                    s: float(width + 5)?,
                    ss: float(width + 6)?,
                    sn: float(width + 7)?,
                    nn: float(width + 8)?,
                    clusters: u32::try_from(principals).map_or(f64::INFINITY, f64::from),
                },
            };
            let key: Key = (0..width).map(key).collect::<Option<_>>()?;
            groups.entry(key).or_default().push(stat);
        }
    }
    Some(groups)
}

/// The answer, or that no group may be told.
pub(crate) fn answer(
    question: &Question,
    catalogue: &Catalogue,
    k: NonZeroU32,
    found: &Found,
) -> Result<Answer, QueryError> {
    let metric = &question.metric;
    let cells: Vec<Cell> = found
        .cells
        .iter()
        .filter_map(|(key, epochs)| cell(question, k, found, key, epochs))
        .collect();
    let suppressed = found.cells.len().saturating_sub(cells.len());
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
        "Each group has at least {k} enrolled principals in each month that it covers, none of \
         them holds more than half of it or counts with more than {bound} rows a month; groups \
         withheld: {suppressed}."
    )
}

fn cell(
    question: &Question,
    k: NonZeroU32,
    found: &Found,
    key: &Key,
    epochs: &[Stat],
) -> Option<Cell> {
    if !gate::may_tell(k, epochs) {
        return None;
    }
    let sums = gate::sums(epochs);
    let mut rows = gate::rows(epochs);
    let value = match &question.metric.measure {
        Measure::Count { of: Counted::Rows } => Value::Count { count: rows },
        Measure::Count { of: Counted::Printers } => {
            Value::Count { count: gate::principals(found.printers.get(key)?) }
        }
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
            let bins = bins(question, k, found, key);
            let told = bins.iter().filter_map(|bin| bin.rows);
            rows = told.clone().sum();
            let withheld = bins.len() - told.count();
            if withheld == bins.len() {
                return None;
            }
            Value::Histogram { bins, withheld }
        }
    };
    let labels = question.by.iter().zip(key);
    let dimensions = labels.map(|(one, value)| (*one, one.label(*value))).collect();
    Some(Cell { dimensions, principals: gate::principals(epochs), rows, value })
}

/// All bins of the contract; the rows of one are told only if it passes the gate itself. An empty
/// bin is not told apart from one with too few principals.
fn bins(question: &Question, k: NonZeroU32, found: &Found, key: &Key) -> Vec<Bin> {
    let field = question.metric.field_id;
    let bin = |index: u32| {
        let mut place = key.clone();
        place.push(i32::try_from(index).unwrap_or(i32::MAX));
        let epochs = found.bins.get(&place).map(Vec::as_slice).unwrap_or_default();
        let told = gate::may_tell(k, epochs);
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
