//! An answer as a table for other programs: CSV, an Arrow stream, Parquet, all from one schema.
//!
//! One line a group, of a histogram one a bin. Dimensions are texts; `principals` and `rows` are counts; the rest depends
//! on the measure: `count`; `mean`, `low`, `high`, `total`; `rate`, `low`, `high`; `bin`, `low`, `high`, `bin_rows`, and of ordered
//! bins the edges of their quantiles on each line of a group (`p25_low`, `p25_high` to `p90_high`). What is
//! not told is null, in CSV empty. What the answer says of itself is in the schema's metadata, which CSV has not.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, StringArray, UInt64Array};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;

use crate::answer::{Answer, Bin, Cell, Quantile, Value};
use crate::error::QueryError;

/// One line of the table.
#[derive(Clone, Copy)]
struct Line<'a> {
    cell: &'a Cell,
    bin: Option<&'a Bin>,
}

/// A column under construction.
type Column = (String, ArrayRef, IsNullable);

/// Whether a column may be without a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IsNullable {
    Yes,
    No,
}

impl Answer {
    /// The answer as CSV with a header line.
    ///
    /// # Errors
    /// [`QueryError::Engine`] when the library refuses; a defect.
    pub fn to_csv(&self) -> Result<Vec<u8>, QueryError> {
        let write = || {
            let mut bytes = Vec::new();
            let mut writer = WriterBuilder::new().with_header(true).build(&mut bytes);
            writer.write(&self.batch()?)?;
            drop(writer);
            Ok(bytes)
        };
        write().map_err(|error: ArrowError| QueryError::Engine(Box::new(error)))
    }

    /// The answer as a stream of Arrow's IPC format.
    ///
    /// # Errors
    /// [`QueryError::Engine`] when the library refuses; a defect.
    pub fn to_arrow(&self) -> Result<Vec<u8>, QueryError> {
        let write = || {
            let (mut bytes, batch) = (Vec::new(), self.batch()?);
            let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema())?;
            writer.write(&batch)?;
            writer.finish()?;
            drop(writer);
            Ok(bytes)
        };
        write().map_err(|error: ArrowError| QueryError::Engine(Box::new(error)))
    }

    /// The answer as a Parquet file.
    ///
    /// # Errors
    /// [`QueryError::Engine`] when the library refuses; a defect.
    pub fn to_parquet(&self) -> Result<Vec<u8>, QueryError> {
        let write = || {
            let (mut bytes, batch) = (Vec::new(), self.batch()?);
            let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None)?;
            writer.write(&batch)?;
            writer.close()?;
            Ok(bytes)
        };
        write().map_err(|error: ArrowError| QueryError::Engine(Box::new(error)))
    }

    fn batch(&self) -> Result<RecordBatch, ArrowError> {
        let lines: Vec<Line<'_>> = self.cells.iter().flat_map(lines).collect();
        let mut columns: Vec<Column> = Vec::new();
        for dimension in &self.by {
            let place = |line: Line<'_>| line.cell.dimensions.get(dimension).cloned();
            let places = lines.iter().map(|line| place(*line).unwrap_or_default());
            let places: ArrayRef = Arc::new(StringArray::from_iter_values(places));
            columns.push((dimension.name().to_owned(), places, IsNullable::No));
        }
        let principals = lines.iter().map(|line| line.cell.principals);
        let rows = lines.iter().map(|line| line.cell.rows);
        for (name, numbers) in [
            ("principals", UInt64Array::from_iter_values(principals)),
            ("rows", UInt64Array::from_iter_values(rows)),
        ] {
            columns.push((name.to_owned(), Arc::new(numbers), IsNullable::No));
        }
        columns.extend(own_columns(self.cells.first().map(|cell| &cell.value), &lines));
        let field = |(name, array, is_nullable): &Column| {
            Field::new(name, array.data_type().clone(), *is_nullable == IsNullable::Yes)
        };
        let fields: Vec<Field> = columns.iter().map(field).collect();
        let schema = Schema::new_with_metadata(fields, self.metadata());
        let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
        RecordBatch::try_new(Arc::new(schema), arrays)
    }

    fn metadata(&self) -> HashMap<String, String> {
        let pairs = [
            ("metric", self.metric.clone()),
            ("title", self.title.clone()),
            ("unit", self.unit.clone()),
            ("estimand", self.estimand.clone()),
            ("k", self.k.to_string()),
            ("suppressed_cells", self.suppressed_cells.to_string()),
            ("synthetic", self.synthetic.to_string()),
            ("published", self.published.0.to_string()),
            ("privacy", self.privacy.clone()),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    }
}

/// The lines of a group.
fn lines(cell: &Cell) -> Vec<Line<'_>> {
    match &cell.value {
        Value::Histogram { bins, .. } => {
            bins.iter().map(|bin| Line { cell, bin: Some(bin) }).collect()
        }
        _ => vec![Line { cell, bin: None }],
    }
}

/// The columns of a measure.
fn own_columns(of: Option<&Value>, lines: &[Line<'_>]) -> Vec<Column> {
    let nullable = |name: &str, array: ArrayRef| (name.to_owned(), array, IsNullable::Yes);
    let whole = |name: &str, number: fn(&Line<'_>) -> Option<u64>| {
        nullable(name, Arc::new(lines.iter().map(number).collect::<UInt64Array>()))
    };
    let real = |name: &str, number: fn(&Line<'_>) -> Option<f64>| {
        nullable(name, Arc::new(lines.iter().map(number).collect::<Float64Array>()))
    };
    match of {
        None => Vec::new(),
        Some(Value::Count { .. }) => vec![whole("count", |line| match line.cell.value {
            Value::Count { count } => Some(count),
            _ => None,
        })],
        Some(Value::Histogram { quantiles, .. }) => {
            let meanings = lines.iter().map(|line| line.bin.map(|bin| bin.meaning.as_str()));
            let mut columns = vec![
                nullable("bin", Arc::new(meanings.collect::<StringArray>())),
                real("low", |line| line.bin?.low),
                real("high", |line| line.bin?.high),
                whole("bin_rows", |line| line.bin?.rows),
            ];
            columns.extend(quantile_columns(quantiles, lines));
            columns
        }
        Some(Value::Mean { .. } | Value::Rate { .. }) => {
            let name = if matches!(of, Some(Value::Rate { .. })) { "rate" } else { "mean" };
            let mut columns = vec![
                real(name, |line| match line.cell.value {
                    Value::Mean { mean, .. } => Some(mean),
                    Value::Rate { rate, .. } => Some(rate),
                    _ => None,
                }),
                real("low", |line| match line.cell.value {
                    Value::Mean { low, .. } => low,
                    Value::Rate { low, .. } => Some(low),
                    _ => None,
                }),
                real("high", |line| match line.cell.value {
                    Value::Mean { high, .. } => high,
                    Value::Rate { high, .. } => Some(high),
                    _ => None,
                }),
            ];
            if name == "mean" {
                columns.push(real("total", |line| match line.cell.value {
                    Value::Mean { total, .. } => Some(total),
                    _ => None,
                }));
            }
            columns
        }
    }
}

/// Two columns for each of the quantiles, the same on each line of a group.
fn quantile_columns(quantiles: &[Quantile], lines: &[Line<'_>]) -> Vec<Column> {
    let of = |line: &Line<'_>, at: usize| match &line.cell.value {
        Value::Histogram { quantiles, .. } => quantiles.get(at).cloned(),
        _ => None,
    };
    let column = |at: usize, name: &str, edge: fn(Quantile) -> Option<f64>| -> Column {
        let edges = lines.iter().map(|line| of(line, at).and_then(edge));
        (name.to_owned(), Arc::new(edges.collect::<Float64Array>()), IsNullable::Yes)
    };
    let pair = |(at, one): (usize, &Quantile)| {
        let name = format!("p{:.0}", one.share * 100.0);
        [
            column(at, &format!("{name}_low"), |one| one.low),
            column(at, &format!("{name}_high"), |one| one.high),
        ]
    };
    quantiles.iter().enumerate().flat_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use bytes::Bytes;
    use datafusion::arrow::ipc::reader::StreamReader;
    use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReader;
    use imprimatur_runtime::UnixSeconds;

    use super::*;
    use crate::Dimension;

    fn answer(values: impl IntoIterator<Item = Value>) -> Answer {
        let cell = |(at, value): (u8, Value)| Cell {
            dimensions: BTreeMap::from([(Dimension::Week, format!("2026-11-{:02}", 2 + 7 * at))]),
            principals: 25,
            rows: 80,
            value,
        };
        Answer {
            metric: "m".to_owned(),
            title: "M".to_owned(),
            unit: "h".to_owned(),
            estimand: "Of all.".to_owned(),
            k: NonZeroU32::new(20).unwrap(),
            by: vec![Dimension::Week],
            cells: (0..).zip(values).map(cell).collect(),
            difference: None,
            suppressed_cells: 1,
            synthetic: true,
            published: UnixSeconds(1),
            privacy: "Groups, \"all\".".to_owned(),
        }
    }

    /// The CSV, after the same table came back from Arrow and Parquet.
    #[track_caller]
    fn check(answer: &Answer, expected: &str) {
        let batch = answer.batch().unwrap();
        let arrow = answer.to_arrow().unwrap();
        let read = StreamReader::try_new(arrow.as_slice(), None).unwrap();
        assert_eq!(read.map(Result::unwrap).collect::<Vec<_>>(), std::slice::from_ref(&batch));
        let parquet = answer.to_parquet().unwrap();
        let read = ParquetRecordBatchReader::try_new(Bytes::from(parquet.clone()), 1024).unwrap();
        let read: Vec<RecordBatch> = read.map(Result::unwrap).collect();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].columns(), batch.columns());
        assert_eq!(read[0].schema().fields(), batch.schema().fields());
        assert_eq!(batch.schema().metadata()["privacy"], "Groups, \"all\".");
        for _ in 0..20 {
            assert_eq!(answer.to_arrow().unwrap(), arrow, "the same answer has the same bytes");
            assert_eq!(answer.to_parquet().unwrap(), parquet, "the same answer has the same bytes");
        }
        assert_eq!(String::from_utf8(answer.to_csv().unwrap()).unwrap(), expected);
    }

    #[test]
    fn every_measure_is_the_same_table_in_every_form() {
        check(
            &answer([Value::Count { count: 80 }, Value::Count { count: 5 }]),
            "week,principals,rows,count\n2026-11-02,25,80,80\n2026-11-09,25,80,5\n",
        );
        let mean = Value::Mean { mean: 1.5, low: None, high: Some(2.0), total: 120.0 };
        check(
            &answer([mean]),
            "week,principals,rows,mean,low,high,total\n2026-11-02,25,80,1.5,,2.0,120.0\n",
        );
        check(
            &answer([Value::Rate { rate: 0.25, low: 0.1, high: 0.4 }]),
            "week,principals,rows,rate,low,high\n2026-11-02,25,80,0.25,0.1,0.4\n",
        );
        let bin = |index, rows| Bin {
            index,
            meaning: format!("{index}, \"or\" so"),
            low: (index > 1).then_some(0.5),
            high: None,
            rows,
        };
        let histogram = |quantiles| {
            let bins = vec![bin(1, None), bin(2, Some(40))];
            answer([Value::Histogram { bins, withheld: 1, quantiles }])
        };
        check(
            &histogram(Vec::new()),
            "week,principals,rows,bin,low,high,bin_rows\n\
             2026-11-02,25,80,\"1, \"\"or\"\" so\",,,\n\
             2026-11-02,25,80,\"2, \"\"or\"\" so\",0.5,,40\n",
        );
        let median = Quantile { share: 0.5, first_bin: 2, last_bin: 2, low: Some(0.5), high: None };
        check(
            &histogram(vec![median]),
            "week,principals,rows,bin,low,high,bin_rows,p50_low,p50_high\n\
             2026-11-02,25,80,\"1, \"\"or\"\" so\",,,,0.5,\n\
             2026-11-02,25,80,\"2, \"\"or\"\" so\",0.5,,40,0.5,\n",
        );
    }
}
