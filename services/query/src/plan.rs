//! The plan: which columns of which rows the engine reads from the files of a question.
//!
//! Rows with the metric's section and a value that it looks at. Who of them counts is decided in
//! [`crate::fold`].

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::Result;
use datafusion::logical_expr::{cast, when};
use datafusion::prelude::{Expr, SessionContext, col, lit};
use imprimatur_lake::{FileEntry, schema};
use imprimatur_proto::record::RecordKind;

use crate::columns::own_column;
use crate::dimension::{Dimension, FIRMWARES};
use crate::metric::{Measure, Metric};

/// Where the lake's folder is mounted for the engine.
pub(crate) const STORE: &str = "lake://files";

/// Everything that a plan is made of.
pub(crate) struct Plan<'a> {
    pub(crate) context: &'a SessionContext,
    /// The last commit that counts.
    pub(crate) cut: u64,
}

impl Plan<'_> {
    /// The rows of a metric: `commit`, `ordinal`, `epoch`, `subject`, `principal`, `date`, `value` and
    /// an own column for each of `dimensions`, null where the section is absent.
    pub(crate) fn rows(
        &self,
        metric: &Metric,
        dimensions: &[Dimension],
        files: &[FileEntry],
    ) -> Result<DataFrame> {
        let mut rows = self.scan(metric.table, files)?.filter(col(&metric.field).is_not_null())?;
        for (dimension, values) in &metric.only {
            let values = values.iter().map(|value| lit(*value)).collect();
            rows = rows.filter(own_value(*dimension)?.in_list(values, false))?;
        }
        let value = cast(col(&metric.field), DataType::Int32);
        if let Some(known) = known(&metric.measure, &value) {
            rows = rows.filter(known)?;
        }
        let mut columns = ["commit", "ordinal", "epoch", "subject", "principal"].map(col).to_vec();
        columns.extend([date(), value.alias("value")]);
        columns.extend(own(dimensions)?);
        rows.select(columns)
    }

    /// What days tell: `commit`, `subject`, `date` and an own column for each of `dimensions`.
    pub(crate) fn days(&self, dimensions: &[Dimension], files: &[FileEntry]) -> Result<DataFrame> {
        let mut columns = vec![col("commit"), col("subject"), date()];
        columns.extend(own(dimensions)?);
        self.scan(RecordKind::Day, files)?.select(columns)
    }

    /// Whose rows there are: `principal` alone.
    pub(crate) fn principals(&self, table: RecordKind, files: &[FileEntry]) -> Result<DataFrame> {
        self.scan(table, files)?.select(vec![col("principal")])
    }

    fn scan(&self, table: RecordKind, files: &[FileEntry]) -> Result<DataFrame> {
        let urls =
            files.iter().map(|file| ListingTableUrl::parse(format!("{STORE}/{}", file.path)));
        let options =
            ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
        let config = ListingTableConfig::new_with_multi_paths(urls.collect::<Result<_>>()?)
            .with_listing_options(options)
            .with_schema(schema(table));
        let rows = self.context.read_table(Arc::new(ListingTable::try_new(config)?))?;
        // Most files are older than the edition, whole.
        if files.iter().all(|file| file.last_commit <= self.cut) {
            return Ok(rows);
        }
        rows.filter(col("commit").lt_eq(lit(self.cut)))
    }
}

fn own(dimensions: &[Dimension]) -> Result<Vec<Expr>> {
    let each = dimensions.iter().zip(0..);
    each.map(|(dimension, place)| Ok(own_value(*dimension)?.alias(own_column(place)))).collect()
}

/// Days since 1970.
fn date() -> Expr {
    cast(col("date"), DataType::Int32).alias("date")
}

/// A dimension's value of a row of its own table, of a technology the model; null where a section of the contract is
/// absent.
fn own_value(dimension: Dimension) -> Result<Expr> {
    let days = || cast(col("date"), DataType::Int32);
    match (dimension, dimension.column()) {
        (_, Some(column)) => Ok(cast(col(column), DataType::Int32)),
        (Dimension::Technology | Dimension::Model, _) => Ok(model()),
        (Dimension::Firmware, _) => firmware(),
        (Dimension::Week, _) => Ok((days() + lit(3_i32)) / lit(7_i32)),
        _ => Ok(days()),
    }
}

/// Model of a day's row; 0 where unknown, null without the section.
fn model() -> Expr {
    cast(col("machine_model"), DataType::Int32)
}

/// Model and firmware of a day's row as one number; of a firmware that is unknown or changed that day the model's
/// alone, so that each firmware has one model.
fn firmware() -> Result<Expr> {
    let firmware = col("machine_firmware");
    let known = model().gt(lit(0_i32)).and(firmware.clone().gt(lit(0_u8)));
    let known = known.and(col("machine_firmware_change").eq(lit(0_u8)));
    let of_model = model() * lit(FIRMWARES);
    when(known, of_model.clone() + cast(firmware, DataType::Int32)).otherwise(of_model)
}

/// Which values a measure looks at; `None` for all.
fn known(measure: &Measure, value: &Expr) -> Option<Expr> {
    match measure {
        Measure::Count { .. } => None,
        Measure::Histogram | Measure::Mean { .. } => Some(value.clone().gt(lit(0_i32))),
        Measure::Rate { denominator, .. } => {
            let classes = denominator.iter().filter_map(|class| i32::try_from(*class).ok());
            Some(value.clone().in_list(classes.map(lit).collect(), false))
        }
    }
}
