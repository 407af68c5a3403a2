//! From sums to an answer: groups that may be told, numbers with their intervals, rounded.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_lake::Catalogue;
use imprimatur_proto::contract;
use imprimatur_proto::rules::Unit;

use crate::answer::{Answer, Bin, Cell, Quantile, Value};
use crate::difference;
use crate::dimension::Dimension;
use crate::error::QueryError;
use crate::estimate::{self, Estimate, Sums};
use crate::gate::{self, By, Guard, Rule, Stat, Threshold};
use crate::metric::{Counted, Measure, Metric};
use crate::quantile;
use crate::request::Question;
use crate::round::{self, Rounded, STEP_PRINCIPALS};
use crate::suppress;
use crate::tally::MICROS;

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
    let guard = Guard::of(k, &catalogue.rules);
    let rule = Rule { guard, by: weighed_by(&metric.measure) };
    let width = question.dimensions.len();
    let told = suppress::told(found, rule).map_err(|suppress::Unprotected| QueryError::TooFine)?;
    let is_cell = |place: &&Place| {
        let (own, bin) = place.split_at_checked(width).unwrap_or_default();
        own.iter().all(Option::is_some) && bin.iter().all(Option::is_none)
    };
    let mut places: Vec<&Place> =
        found.keys().filter(is_cell).filter(|place| question.asks_for(place)).collect();
    let in_columns = |place: &Place| -> Vec<Option<i32>> {
        question.by.iter().map(|dimension| question.value(place, *dimension)).collect()
    };
    places.sort_by_key(|place| in_columns(place));
    let cells: Vec<Cell> =
        places.iter().filter_map(|place| cell(question, rule, (found, &told), place)).collect();
    let suppressed = places.len().saturating_sub(cells.len());
    if cells.is_empty() {
        return Err(QueryError::BelowThreshold {
            k: guard.k.get(),
            top1_percent: guard.top1_percent,
            top2_percent: guard.top2_percent,
            suppressed: suppressed.max(1),
        });
    }
    Ok(Answer {
        difference: difference::of(&question.by, &cells),
        metric: metric.name.clone(),
        title: metric.title.clone(),
        unit: metric.unit.clone(),
        estimand: metric.estimand.clone(),
        k: guard.k.get(),
        by: question.by.clone(),
        cells,
        suppressed_cells: suppressed,
        synthetic: catalogue.synthetic,
        published: catalogue.published,
        privacy: privacy(metric, guard, suppressed),
    })
}

fn privacy(metric: &Metric, guard: Guard, suppressed: usize) -> String {
    let Guard { k, top1_percent, top2_percent } = guard;
    if !k.protects() {
        return "The operator is the only principal: nobody is protected from the others, and \
                nothing is rounded or withheld."
            .to_owned();
    }
    let (k, bound) = (k.get(), metric.rows_per_principal_and_epoch);
    format!(
        "Each group has at least {k} enrolled principals in each month that it covers; none of \
         them counts with more than {bound} rows a month or holds more than {top1_percent} % of it, \
         no two hold more than {top2_percent} %. Groups withheld, with those that would give them \
         back: {suppressed}. Counts have steps of at least {STEP_PRINCIPALS} principals' mean share, means \
         and shares of at most half their interval; the same rows give the same answer."
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

/// Groups and margins, and which of them may be told.
type Table<'a> = (&'a Groups, &'a BTreeSet<Place>);

fn cell(question: &Question, rule: Rule, table: Table<'_>, place: &Place) -> Option<Cell> {
    let (found, told) = table;
    let epochs = found.get(place)?.as_slice();
    if !told.contains(place) {
        return None;
    }
    let count = |exact| count(rule, exact, epochs);
    let estimate = |exact: &Estimate| estimate(rule, exact);
    let sums = Sums::of(epochs);
    let mut rows = count(gate::rows(epochs));
    let value = match &question.metric.measure {
        Measure::Count { of: Counted::Rows } => Value::Count { count: rows },
        Measure::Count { of: Counted::Printers } => Value::Count { count: count(printers(epochs)) },
        Measure::Mean { .. } => {
            let mean = estimate(&estimate::mean(&sums));
            let (low, high) = mean.interval.unzip();
            let total = mean.value * u32::try_from(rows).map_or(f64::INFINITY, f64::from);
            Value::Mean { mean: mean.value, low, high, total }
        }
        Measure::Rate { .. } => {
            let rate = estimate(&estimate::rate(&sums));
            let (low, high) = rate.interval?;
            Value::Rate { rate: rate.value, low: low.max(0.0), high: high.min(1.0) }
        }
        Measure::Histogram => {
            let bins = bins(question, rule, table, place);
            let told = bins.iter().filter_map(|bin| bin.rows);
            rows = told.clone().sum();
            let withheld = bins.len() - told.count();
            if withheld == bins.len() {
                return None;
            }
            let quantiles = quantiles(question, rule, &bins);
            Value::Histogram { bins, withheld, quantiles }
        }
    };
    let label = |dimension: &Dimension| {
        Some((*dimension, dimension.label(question.value(place, *dimension)?)))
    };
    let dimensions = question.by.iter().filter_map(label).collect();
    Some(Cell { dimensions, principals: count(gate::principals(epochs)), rows, value })
}

/// A count as it is told.
fn count(rule: Rule, exact: u64, epochs: &[Stat]) -> u64 {
    if rule.guard.k.protects() { round::count(exact, gate::principals(epochs)) } else { exact }
}

/// A mean or share as it is told.
fn estimate(rule: Rule, exact: &Estimate) -> Rounded {
    if rule.guard.k.protects() {
        round::estimate(exact)
    } else {
        Rounded { value: exact.value, interval: exact.interval }
    }
}

/// Printers of a group: the most within one epoch.
fn printers(epochs: &[Stat]) -> u64 {
    let most = epochs.iter().map(|stat| stat.value.total).max().unwrap_or(0);
    u64::try_from(most / u128::from(MICROS.unsigned_abs())).unwrap_or(u64::MAX)
}

/// All bins of the contract; the rows of one are told only if it is told itself. An empty bin is
/// not told apart from one that is withheld.
fn bins(question: &Question, rule: Rule, (found, told): Table<'_>, cell: &Place) -> Vec<Bin> {
    let field = question.metric.field_id;
    let bin = |index: u32| {
        let mut place = cell.clone();
        if let Some(bin) = place.last_mut() {
            *bin = i32::try_from(index).ok();
        }
        let epochs = found.get(&place).filter(|_| told.contains(&place));
        let (low, high) = contract().bounds(field, index).unzip();
        let finite = |bound: Option<f64>| bound.filter(|bound| bound.is_finite());
        Bin {
            index,
            meaning: contract().meaning(field, index),
            low: finite(low),
            high: finite(high),
            rows: epochs.map(|epochs| count(rule, gate::rows(epochs), epochs)),
        }
    };
    (1..contract().rule(field).domain()).map(bin).collect()
}

/// Of ordered bins the quarters of what is told; of classes none.
fn quantiles(question: &Question, rule: Rule, bins: &[Bin]) -> Vec<Quantile> {
    match contract().rule(question.metric.field_id).unit {
        None | Some(Unit::Catalogue) => Vec::new(),
        Some(_) if rule.guard.k.protects() => {
            quantile::of(bins, |told| round::could_be(told, rule.guard.k.get()))
        }
        Some(_) => quantile::of(bins, |told| (told, told)),
    }
}
