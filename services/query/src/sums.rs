//! From bounded rows to one row of whole numbers for each group and epoch.
//!
//! First by principal, then by group, and beside each group its margins: the same question with
//! fewer dimensions. Pseudonyms go no further than the last but one step. Everything is added as
//! whole numbers, whose sum does not depend on the order of threads, so that the same rows
//! give the same answer to the last bit.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int32Type, Int64Type, UInt32Type};
use datafusion::common::ScalarValue;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, max, sum};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, GroupingSet, Volatility, cast, create_udaf,
};
use datafusion::prelude::{Expr, col, lit};

use crate::gate::{Squares, Stat, Weight};
use crate::metric::{Counted, Measure};
use crate::plan::{dimension_column, value};
use crate::request::Question;
use crate::settle::Groups;

/// A value's unit in a sum: millionths of the metric's unit.
pub(crate) const MICROS: i64 = 1_000_000;

/// How many columns of numbers follow a group's columns and the epoch.
const NUMBERS: usize = 10;

/// Names of the columns that tell a group's place: its dimensions, and of a histogram the index.
pub(crate) fn coordinates(question: &Question) -> Vec<String> {
    let mut names: Vec<String> = (0..question.dimensions.len()).map(dimension_column).collect();
    if question.metric.measure == Measure::Histogram {
        names.push("value".to_owned());
    }
    names
}

/// One row a group or margin and epoch: the coordinates, null where a margin takes all; `epoch`,
/// then `principals`; of the rows and then of the values `total`, `largest`, `two largest`; then
/// the sums of products.
pub(crate) fn sums(rows: DataFrame, question: &Question) -> Result<DataFrame> {
    let place: Vec<Expr> = coordinates(question).iter().map(col).collect();
    let counts_printers = question.metric.measure == Measure::Count { of: Counted::Printers };
    let mut member = vec![col("epoch"), col("principal")];
    let of_one = [place.clone(), member.clone()].concat();
    if counts_printers {
        member.push(col("subject"));
    }
    let n = || count(lit(1_i64));
    let s = sum(value(&question.metric)?);
    let finest = [place.clone(), member.clone()].concat();
    let mut each = rows.aggregate(finest, vec![n().alias("n"), s.alias("s")])?;
    if !place.is_empty() {
        // Of a margin a principal is one, in however many of its groups.
        let sets = subsets(&place).into_iter().map(|set| [set, member.clone()].concat());
        let sets = Expr::GroupingSet(GroupingSet::GroupingSets(sets.collect()));
        let sums = vec![sum(col("n")).alias("n"), sum(col("s")).alias("s")];
        each = each.aggregate(vec![sets], sums)?;
    }
    if counts_printers {
        // What a principal adds to this measure is its printers.
        let sums = vec![sum(col("n")).alias("n"), n().alias("printers")];
        each = each.aggregate(of_one, sums)?;
        each = each.with_column("s", col("printers") * lit(MICROS))?;
    }
    let two = top_two();
    let whole = |name: &str| cast(col(name), DataType::Decimal128(18, 0));
    let product = |a: &str, b: &str| sum(whole(a) * whole(b)).alias(format!("{a}{b}"));
    let top = |name: &str| two.call(vec![col(name)]).alias(format!("{name}_two"));
    each.aggregate(
        [place, vec![col("epoch")]].concat(),
        vec![
            n().alias("principals"),
            sum(whole("n")).alias("n_total"),
            max(col("n")).alias("n_largest"),
            top("n"),
            sum(whole("s")).alias("s_total"),
            max(col("s")).alias("s_largest"),
            top("s"),
            product("s", "s"),
            product("s", "n"),
            product("n", "n"),
        ],
    )
}

/// All subsets, the whole first.
fn subsets(all: &[Expr]) -> Vec<Vec<Expr>> {
    let Some((first, rest)) = all.split_first() else { return vec![Vec::new()] };
    let rest = subsets(rest);
    let with_first = rest.iter().map(|set| [vec![first.clone()], set.clone()].concat());
    with_first.chain(rest.iter().cloned()).collect()
}

/// Reads the batches of [`sums`], whose groups have `width` coordinates. `None` when a column is
/// not what was asked for.
pub(crate) fn groups(batches: &[RecordBatch], width: usize) -> Option<Groups> {
    let mut groups = Groups::new();
    for batch in batches {
        let numbers: Vec<Vec<u128>> = (0..NUMBERS)
            .map(|at| numbers(batch.columns().get(width + 1 + at)?))
            .collect::<Option<_>>()?;
        for row in 0..batch.num_rows() {
            let key = |at| {
                let array: &ArrayRef = batch.columns().get(at)?;
                let array = array.as_primitive_opt::<Int32Type>()?;
                Some(array.is_valid(row).then(|| array.value(row)))
            };
            let number = |at: usize| numbers.get(at)?.get(row).copied();
            let weight = |at| {
                Some(Weight {
                    total: number(at)?,
                    largest: number(at + 1)?,
                    two_largest: number(at + 2)?,
                })
            };
            let stat = Stat {
                epoch: batch.columns().get(width)?.as_primitive_opt::<UInt32Type>()?.value(row),
                principals: u64::try_from(number(0)?).ok()?,
                rows: weight(1)?,
                value: weight(4)?,
                squares: Squares { ss: number(7)?, sn: number(8)?, nn: number(9)? },
            };
            let key = (0..width).map(key).collect::<Option<_>>()?;
            groups.entry(key).or_default().push(stat);
        }
    }
    // Epochs in their order, so that what is made of them is the same each time.
    for epochs in groups.values_mut() {
        epochs.sort_by_key(|stat| stat.epoch);
    }
    Some(groups)
}

/// A column of whole numbers from 0.
fn numbers(column: &ArrayRef) -> Option<Vec<u128>> {
    if column.null_count() > 0 {
        return None;
    }
    let wide = |number: i128| u128::try_from(number).ok();
    if let Some(array) = column.as_primitive_opt::<Int64Type>() {
        return array.values().iter().map(|number| wide(i128::from(*number))).collect();
    }
    let array = column.as_primitive_opt::<Decimal128Type>()?;
    array.values().iter().map(|number| wide(*number)).collect()
}

/// The sum of the two largest numbers of a group; numbers below 0 count as 0.
fn top_two() -> AggregateUDF {
    let long = Arc::new(DataType::Int64);
    create_udaf(
        "top_two",
        vec![DataType::Int64],
        Arc::clone(&long),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::<TopTwo>::default())),
        Arc::new(vec![DataType::Int64, DataType::Int64]),
    )
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TopTwo {
    first: i64,
    second: i64,
}

impl TopTwo {
    fn take(&mut self, number: i64) {
        let smaller = number.min(self.first);
        self.first = self.first.max(number);
        self.second = self.second.max(smaller);
    }
}

impl Accumulator for TopTwo {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for column in values {
            column
                .as_primitive::<Int64Type>()
                .iter()
                .flatten()
                .for_each(|number| self.take(number));
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.first.saturating_add(self.second))))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok([self.first, self.second].map(|number| ScalarValue::Int64(Some(number))).to_vec())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_two_largest_are_found_however_the_numbers_are_split(
            parts in prop::collection::vec(prop::collection::vec(0_i64..50, 0..6), 0..5),
        ) {
            let mut all: Vec<i64> = parts.concat();
            let mut merged = TopTwo::default();
            for part in parts {
                let mut one = TopTwo::default();
                one.update_batch(&[Arc::new(Int64Array::from(part))]).unwrap();
                let state = one.state().unwrap();
                let state: Vec<ArrayRef> =
                    state.iter().map(|value| value.to_array().unwrap()).collect();
                merged.merge_batch(&state).unwrap();
            }
            all.sort_unstable_by(|a, b| b.cmp(a));
            let expected: i64 = all.iter().take(2).sum();
            prop_assert_eq!(merged.evaluate().unwrap(), ScalarValue::Int64(Some(expected)));
        }
    }
}
