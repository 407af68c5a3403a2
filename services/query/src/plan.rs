//! The plan: from the files of a question to the rows that count.
//!
//! In this order: rows with the metric's section, enrolled principals, nobody excluded, the day's
//! row joined, dimensions, the bound on each principal's rows. What follows is in `sums`.
//!
//! A dimension takes no row away: who does not share its section is in a group of their own. So the
//! groups of a table are all of its total, whatever it is grouped by.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, FixedSizeBinaryArray, RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{JoinType, ScalarValue};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{ExprFunctionExt as _, cast, when};
use datafusion::prelude::{Expr, SessionContext, col, lit};
use imprimatur_consent::{Category, Pseudonym};
use imprimatur_lake::{Catalogue, schema};
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;

use crate::dimension::{Dimension, FIRMWARES, NOT_SHARED};
use crate::metric::{Measure, Metric};
use crate::request::Question;
use crate::sums::MICROS;

/// Where the lake's folder is mounted for the engine.
pub(crate) const STORE: &str = "lake://files";

/// Everything that a plan is made of.
pub(crate) struct Plan<'a> {
    pub(crate) context: &'a SessionContext,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) question: &'a Question,
    /// The last commit that counts.
    pub(crate) cut: u64,
    /// Paths of the metric's own table; not empty.
    pub(crate) files: Vec<String>,
    /// Paths of the day table, for what prints are joined to.
    pub(crate) days: Vec<String>,
}

impl Plan<'_> {
    /// The rows that are looked at, before the bound: `commit`, `ordinal`, `epoch`, `subject`, `principal`, `value` and one column a dimension.
    pub(crate) fn rows(&self) -> Result<DataFrame> {
        let metric = &self.question.metric;
        let dimensions = &self.question.dimensions;
        let mut rows = self.scan(metric.table, &self.files)?;
        rows = rows.filter(col(&metric.field).is_not_null())?;
        for (dimension, values) in &metric.only {
            let values = values.iter().map(|value| lit(*value)).collect();
            rows = rows.filter(own_value(*dimension)?.in_list(values, false))?;
        }
        if let Some(since) = self.question.since {
            let days = i32::try_from(since.0).unwrap_or(i32::MAX);
            rows = rows.filter(col("date").gt_eq(lit(ScalarValue::Date32(Some(days)))))?;
        }
        rows = self.only_counted(rows)?;
        let joined: Vec<Dimension> =
            dimensions.iter().copied().filter(|one| self.is_joined(*one)).collect();
        if !joined.is_empty() && !self.days.is_empty() {
            rows = self.with_day(rows, &joined)?;
        }
        let mut columns: Vec<Expr> =
            ["commit", "ordinal", "epoch", "subject", "principal"].map(col).to_vec();
        columns.push(cast(col(&metric.field), DataType::Int32).alias("value"));
        for (at, dimension) in dimensions.iter().enumerate() {
            let value = match joined.iter().position(|one| one == dimension) {
                Some(_) if self.days.is_empty() => lit(0_i32),
                Some(place) => or_else(col(joined_column(place)), 0)?,
                None => {
                    let value = or_else(own_value(*dimension)?, NOT_SHARED)?;
                    match self.excluded(&at.to_string(), |one| dimension.category() == Some(one))? {
                        Some(excluded) => {
                            let name = format!("excluded_{at}");
                            rows =
                                beside_excluded(rows, excluded, JoinType::Left, &at.to_string())?;
                            when(col(&name).is_not_null(), lit(NOT_SHARED)).otherwise(value)?
                        }
                        None => value,
                    }
                }
            };
            columns.push(value.alias(dimension_column(at)));
        }
        rows = rows.select(columns)?;
        if let Some(known) = known(&metric.measure) {
            rows = rows.filter(known)?;
        }
        Ok(rows)
    }

    /// The principals and epochs with more rows than the metric's bound; their `principal` first.
    pub(crate) fn heavy(&self, rows: DataFrame) -> Result<DataFrame> {
        let bound = i64::from(self.question.metric.rows_per_principal_and_epoch.get());
        let group = vec![col("principal"), col("epoch")];
        rows.aggregate(group, vec![count(lit(1_i64)).alias("n")])?
            .filter(col("n").gt(lit(bound)))?
            .select(vec![col("principal").alias("heavy")])
    }

    /// Of each heavy principal and epoch the earliest rows, up to the metric's bound. Only their
    /// rows are sorted; those of all others pass as they are.
    pub(crate) fn bounded(&self, rows: DataFrame, heavy: Vec<RecordBatch>) -> Result<DataFrame> {
        if heavy.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(rows);
        }
        let heavy = self.context.read_batches(heavy)?;
        let join = |rows: DataFrame, kind| {
            rows.join(heavy.clone(), kind, &["principal"], &["heavy"], None)
        };
        let columns: Vec<Expr> = rows.schema().columns().into_iter().map(Expr::Column).collect();
        let order = ["commit", "ordinal", "subject"].map(|column| col(column).sort(true, false));
        let place = row_number()
            .partition_by(vec![col("principal"), col("epoch")])
            .order_by(order.to_vec())
            .build()?;
        let bound = u64::from(self.question.metric.rows_per_principal_and_epoch.get());
        let first = join(rows.clone(), JoinType::LeftSemi)?
            .window(vec![place.alias("place")])?
            .filter(col("place").lt_eq(lit(bound)))?
            .select(columns)?;
        join(rows, JoinType::LeftAnti)?.union(first)
    }

    fn scan(&self, table: RecordKind, paths: &[String]) -> Result<DataFrame> {
        let urls = paths.iter().map(|path| ListingTableUrl::parse(format!("{STORE}/{path}")));
        let options =
            ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
        let config = ListingTableConfig::new_with_multi_paths(urls.collect::<Result<_>>()?)
            .with_listing_options(options)
            .with_schema(schema(table));
        let rows = self.context.read_table(Arc::new(ListingTable::try_new(config)?))?;
        rows.filter(col("commit").lt_eq(lit(self.cut)))
    }

    /// Only rows of enrolled principals, and none of a subject that is excluded from a category
    /// that the metric uses.
    fn only_counted(&self, rows: DataFrame) -> Result<DataFrame> {
        let enrolled = self.pseudonyms("enrolled", self.catalogue.enrolled.iter().copied())?;
        let rows = rows.join(enrolled, JoinType::LeftSemi, &["principal"], &["enrolled"], None)?;
        self.not_excluded(rows, |category| self.question.metric.categories.contains(&category))
    }

    /// No rows that were committed before a category that is looked at was withdrawn.
    fn not_excluded(
        &self,
        rows: DataFrame,
        looked_at: impl Fn(Category) -> bool,
    ) -> Result<DataFrame> {
        match self.excluded("all", looked_at)? {
            Some(excluded) => beside_excluded(rows, excluded, JoinType::LeftAnti, "all"),
            None => Ok(rows),
        }
    }

    /// The subjects that withdrew a category that is looked at, as `excluded_NAME`, and the last commit
    /// for which that holds, as `up_to_NAME`; `None` when nobody did.
    fn excluded(
        &self,
        name: &str,
        looked_at: impl Fn(Category) -> bool,
    ) -> Result<Option<DataFrame>> {
        let mut up_to: BTreeMap<Pseudonym, u64> = BTreeMap::new();
        for one in self.catalogue.excluded.iter().filter(|one| looked_at(one.category)) {
            let latest = up_to.entry(one.subject).or_default();
            *latest = one.up_to.max(*latest);
        }
        if up_to.is_empty() {
            return Ok(None);
        }
        let subjects = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
            up_to.keys().map(|subject| Some(subject.0)),
            16,
        )?;
        let fields = vec![
            Field::new(format!("excluded_{name}"), DataType::FixedSizeBinary(16), true),
            Field::new(format!("up_to_{name}"), DataType::UInt64, true),
        ];
        let columns: Vec<ArrayRef> =
            vec![Arc::new(subjects), Arc::new(UInt64Array::from_iter_values(up_to.into_values()))];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        self.context.read_batch(batch).map(Some)
    }

    fn pseudonyms(&self, name: &str, all: impl Iterator<Item = Pseudonym>) -> Result<DataFrame> {
        let all = all.map(|pseudonym| Some(pseudonym.0));
        let column = FixedSizeBinaryArray::try_from_sparse_iter_with_size(all, 16)?;
        let field = Field::new(name, DataType::FixedSizeBinary(16), true);
        let column: ArrayRef = Arc::new(column);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column])?;
        self.context.read_batch(batch)
    }

    /// Whether a row of the metric's table gets a dimension from the day's row.
    fn is_joined(&self, dimension: Dimension) -> bool {
        self.question.metric.table == RecordKind::Print && dimension.is_of_day()
    }

    /// Adds to prints what the day of the same subject and date tells, null where there is none; of
    /// several rows of one day the highest index counts. Nothing of a day counts whose subject
    /// is excluded from a category that is looked at.
    fn with_day(&self, rows: DataFrame, joined: &[Dimension]) -> Result<DataFrame> {
        let days = self.scan(RecordKind::Day, &self.days)?;
        let looked_at = |category| joined.iter().any(|one| one.category() == Some(category));
        let days = self.not_excluded(days, looked_at)?;
        let mut columns = vec![col("subject").alias("day_subject"), col("date").alias("day_date")];
        let mut highest = Vec::new();
        for (place, dimension) in joined.iter().enumerate() {
            let name = joined_column(place);
            columns.push(or_else(own_value(*dimension)?, 0)?.alias(&name));
            highest.push(max(col(&name)).alias(&name));
        }
        let group = ["day_subject", "day_date"];
        let days = days.select(columns)?.aggregate(group.map(col).to_vec(), highest)?;
        rows.join(days, JoinType::Left, &["subject", "date"], &group, None)
    }
}

/// Name of a dimension's column in a plan, by its place.
pub(crate) fn dimension_column(at: usize) -> String {
    format!("dimension_{at}")
}

/// Name of the column of a joined dimension, by its place among them.
fn joined_column(place: usize) -> String {
    format!("joined_{place}")
}

/// A dimension's value of a row of its own table; null where a section of the contract is absent.
fn own_value(dimension: Dimension) -> Result<Expr> {
    let days = || cast(col("date"), DataType::Int32);
    match (dimension, dimension.column()) {
        (_, Some(column)) => Ok(cast(col(column), DataType::Int32)),
        (Dimension::Model, _) => model(),
        (Dimension::Firmware, _) => firmware(),
        (Dimension::Week, _) => Ok((days() + lit(3_i32)) / lit(7_i32)),
        _ => Ok(days()),
    }
}

/// Rows beside [`Plan::excluded`] of the same name.
fn beside_excluded(
    rows: DataFrame,
    excluded: DataFrame,
    kind: JoinType,
    name: &str,
) -> Result<DataFrame> {
    let before = col("commit").lt_eq(col(format!("up_to_{name}")));
    rows.join(excluded, kind, &["subject"], &[&format!("excluded_{name}")], Some(before))
}

/// A value, another one where it is null.
fn or_else(value: Expr, otherwise: i32) -> Result<Expr> {
    when(value.clone().is_null(), lit(otherwise)).otherwise(value)
}

/// Model of a day's row; 0 where unknown.
fn model() -> Result<Expr> {
    let model = col("machine_model");
    when(model.clone().is_null(), lit(0_i32)).otherwise(cast(model, DataType::Int32))
}

/// Model and firmware of a day's row as one number; 0 where either is unknown or it changed.
fn firmware() -> Result<Expr> {
    let (model, firmware) = (col("machine_model"), col("machine_firmware"));
    let known = model.clone().gt(lit(0_u8)).and(firmware.clone().gt(lit(0_u8)));
    let known = known.and(col("machine_firmware_change").eq(lit(0_u8)));
    let both = cast(model, DataType::Int32) * lit(FIRMWARES) + cast(firmware, DataType::Int32);
    when(known, both).otherwise(lit(0_i32))
}

/// Which rows a measure looks at; `None` for all.
fn known(measure: &Measure) -> Option<Expr> {
    match measure {
        Measure::Count { .. } => None,
        Measure::Histogram | Measure::Mean { .. } => Some(col("value").gt(lit(0_i32))),
        Measure::Rate { denominator, .. } => Some(is_one_of(denominator)),
    }
}

fn is_one_of(classes: &[u32]) -> Expr {
    let classes = classes.iter().filter_map(|class| i32::try_from(*class).ok());
    col("value").in_list(classes.map(lit).collect(), false)
}

/// What a row adds to a sum, in [`MICROS`]: what its index stands for, or whether it counts.
pub(crate) fn value(metric: &Metric) -> Result<Expr> {
    match &metric.measure {
        Measure::Count { .. } | Measure::Histogram => Ok(lit(0_i64)),
        Measure::Rate { numerator, .. } => {
            when(is_one_of(numerator), lit(MICROS)).otherwise(lit(0_i64))
        }
        Measure::Mean { .. } => {
            let domain = contract().rule(metric.field_id).domain();
            let mut cases = when(col("value").eq(lit(0_i32)), lit(0_i64));
            for index in 1..domain {
                let number = metric.micros(index);
                let index = i32::try_from(index).unwrap_or(i32::MAX);
                cases = cases.when(col("value").eq(lit(index)), lit(number));
            }
            cases.otherwise(lit(0_i64))
        }
    }
}
