//! The writer: rows in, whole durable files out, the same bytes for the same rows.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, FixedSizeBinaryArray, RecordBatch, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::error::ArrowError;
use imprimatur_consent::{Category, Digest, Pseudonym};
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::{UtcDate, durable};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::layout::{Cells, Column, Layout, PSEUDONYM};
use crate::{FileEntry, Lake, Row};

/// What every file says of its maker.
const CREATED_BY: &str = "imprimatur lake 1";

/// Rows could not be written. Files written before the failure are named by no catalogue and are
/// removed by the next sweep.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A section that the table does not have, or twice. A bug of the caller; stop publishing.
    #[error(
        "a row of `{table}` holds section `{category}` twice, empty, or without a place for it"
    )]
    Section {
        /// The table.
        table: &'static str,
        /// The section's category.
        category: Category,
    },
    /// A value outside its field's domain, of another section, or twice. A bug of the caller.
    #[error("`{column}` cannot be {index} in a row of `{table}`")]
    Value {
        /// The table.
        table: &'static str,
        /// The field's column.
        column: String,
        /// The index that was given.
        index: u32,
    },
    /// Values of two alternatives of which a record tells one. A bug of the caller.
    #[error("a row of `{table}` tells both `{one}` and `{other}`")]
    Alternatives {
        /// The table.
        table: &'static str,
        /// A column of one alternative.
        one: &'static str,
        /// A column of the other.
        other: &'static str,
    },
    /// A date that Parquet cannot hold. A bug of the caller.
    #[error("the date {0} is out of range")]
    Date(UtcDate),
    /// Arrow refused the columns. A bug; stop publishing.
    #[error("cannot lay out the columns")]
    Arrow(#[source] ArrowError),
    /// Parquet refused the columns. A bug; stop publishing.
    #[error("cannot encode the file")]
    Parquet(#[source] ParquetError),
    /// The file system failed. Try again.
    #[error("cannot write `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A row with its sections as cells.
struct Encoded<'a> {
    row: &'a Row,
    cells: Cells,
}

impl Lake {
    /// Writes rows as whole, durable files, one for each table and date, and returns them in the
    /// order of table and date. The order of `rows` does not matter; repeating the call after a
    /// crash replaces each file by the same bytes. A row without sections has nothing to say and is
    /// left out. The files are data only once a catalogue names them.
    ///
    /// # Errors
    /// [`WriteError`]; no catalogue names what was written before it.
    pub fn write(&self, rows: &[Row]) -> Result<Vec<FileEntry>, WriteError> {
        let mut groups: BTreeMap<(RecordKind, UtcDate), Vec<Encoded<'_>>> = BTreeMap::new();
        for row in rows.iter().filter(|row| !row.sections.is_empty()) {
            let encoded = Encoded { row, cells: encode(row)? };
            groups.entry((row.kind, row.date)).or_default().push(encoded);
        }
        let files = groups.into_iter();
        files.map(|((kind, date), rows)| self.write_file(kind, date, rows)).collect()
    }

    /// Whether writing the rows again gives exactly the file: then its bytes hold nothing else. A
    /// file of another version of the Parquet or zstd library may differ without fault.
    ///
    /// # Errors
    /// [`WriteError`] when the rows are none of this contract.
    pub fn reproduces(&self, entry: &FileEntry, rows: &[Row]) -> Result<bool, WriteError> {
        let encoded = rows.iter().map(|row| Ok(Encoded { row, cells: encode(row)? }));
        let bytes = file_bytes(entry.table, entry.date, encoded.collect::<Result<_, _>>()?)?;
        Ok(Digest::of(&bytes) == entry.sha256)
    }

    fn write_file(
        &self,
        kind: RecordKind,
        date: UtcDate,
        rows: Vec<Encoded<'_>>,
    ) -> Result<FileEntry, WriteError> {
        let commits = || rows.iter().map(|encoded| encoded.row.commit);
        let (first_commit, last_commit) =
            (commits().min().unwrap_or(0), commits().max().unwrap_or(0));
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let bytes = file_bytes(kind, date, rows)?;
        let sha256 = Digest::of(&bytes);
        let hash: String = sha256.to_string().chars().take(16).collect();
        let name = format!("{first_commit:020}-{last_commit:020}-{hash}.parquet");
        let path = format!("{}/date={date}/{name}", kind.table());
        let file = self.folder().join(&path);
        if let Some(folder) = file.parent() {
            let failed = |source| WriteError::Io { path: folder.to_owned(), source };
            durable::private_folder(folder).map_err(failed)?;
        }
        durable::write(&file, &bytes).map_err(|source| WriteError::Io { path: file, source })?;
        Ok(FileEntry {
            path,
            table: kind,
            date,
            rows: count,
            first_commit,
            last_commit,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            sha256,
        })
    }
}

/// A row's sections as cells in column order.
fn encode(row: &Row) -> Result<Cells, WriteError> {
    let layout = Layout::of(row.kind);
    let table = row.kind.table();
    let mut cells: Cells = vec![None; layout.columns.len()];
    for section in &row.sections {
        let refused = || WriteError::Section { table, category: section.category };
        let group = layout.groups.iter().find(|group| group.category == section.category);
        let range = group.ok_or_else(refused)?.range.clone();
        let columns = layout.columns.get(range.clone()).ok_or_else(refused)?;
        let cells = cells.get_mut(range).ok_or_else(refused)?;
        if section.values.is_empty() || cells.iter().any(Option::is_some) {
            return Err(refused());
        }
        cells.fill(Some(0));
        for &(field, index) in &section.values {
            let place = columns.iter().zip(cells.iter_mut()).find(|(one, _)| one.field == field);
            let known = u16::try_from(index).ok().filter(|index| *index > 0);
            match (place, known) {
                (Some((column, cell)), Some(index))
                    if u32::from(index) < column.domain && *cell == Some(0) =>
                {
                    *cell = Some(index);
                }
                _ => {
                    let column = contract().rule(field).column.clone();
                    return Err(WriteError::Value { table, column, index });
                }
            }
        }
    }
    match layout.conflict(&cells) {
        Some([one, other]) => Err(WriteError::Alternatives { table, one, other }),
        None => Ok(cells),
    }
}

/// The bytes of one file.
fn file_bytes(
    kind: RecordKind,
    date: UtcDate,
    mut rows: Vec<Encoded<'_>>,
) -> Result<Vec<u8>, WriteError> {
    rows.sort_by(|a, b| order(a).cmp(&order(b)));
    let layout = Layout::of(kind);
    let batch = RecordBatch::try_new(Arc::clone(&layout.schema), arrays(layout, date, &rows)?)
        .map_err(WriteError::Arrow)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(CREATED_BY.to_owned())
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build();
    let options =
        ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let schema = Arc::clone(&layout.schema);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options)
        .map_err(WriteError::Parquet)?;
    writer.write(&batch).map_err(WriteError::Parquet)?;
    writer.into_inner().map_err(WriteError::Parquet)
}

fn order<'a>(encoded: &'a Encoded<'_>) -> (u64, u32, Pseudonym, Pseudonym, u32, &'a [Option<u16>]) {
    let row = encoded.row;
    (row.commit, row.ordinal, row.subject, row.principal, row.epoch, &encoded.cells)
}

fn arrays(
    layout: &Layout,
    date: UtcDate,
    rows: &[Encoded<'_>],
) -> Result<Vec<ArrayRef>, WriteError> {
    let day = i32::try_from(date.0).map_err(|_too_late| WriteError::Date(date))?;
    let each = || rows.iter().map(|encoded| encoded.row);
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(each().map(|row| row.commit))),
        Arc::new(UInt32Array::from_iter_values(each().map(|row| row.ordinal))),
        Arc::new(UInt32Array::from_iter_values(each().map(|row| row.epoch))),
        pseudonyms(each().map(|row| row.subject))?,
        pseudonyms(each().map(|row| row.principal))?,
        Arc::new(Date32Array::from_iter_values(each().map(|_| day))),
    ];
    for (at, column) in layout.columns.iter().enumerate() {
        let cells = rows.iter().map(|encoded| encoded.cells.get(at).copied().flatten());
        arrays.push(values(column, cells));
    }
    Ok(arrays)
}

fn values(column: &Column, cells: impl Iterator<Item = Option<u16>>) -> ArrayRef {
    if column.is_wide() {
        return Arc::new(cells.collect::<UInt16Array>());
    }
    // `encode` let nothing past the domain, which fits a byte.
    let narrow = cells.map(|cell| cell.and_then(|index| u8::try_from(index).ok()));
    Arc::new(narrow.collect::<UInt8Array>())
}

fn pseudonyms(each: impl Iterator<Item = Pseudonym>) -> Result<ArrayRef, WriteError> {
    let each = each.map(|pseudonym| Some(pseudonym.0));
    let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(each, PSEUDONYM);
    Ok(Arc::new(array.map_err(WriteError::Arrow)?))
}
