//! The strict reader: any bytes in, rows of the contract or a typed error out, never a panic.
//!
//! In this order: path, length, SHA-256, file structure, schema, then each row. Nothing is decoded
//! before the SHA-256 fits.

use std::fs::File;
use std::io::{self, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use arrow::datatypes::{DataType, Fields};
use bytes::Bytes;
use imprimatur_consent::Digest;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::layout::Layout;
use crate::{FileEntry, Lake, Row, decode};

/// What a file is not. The verifier reports each as a finding; a publisher stops.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The path leaves the lake, or is not in the folder of its table and date.
    #[error("`{path}` is no place for a file of this table and date")]
    Misplaced {
        /// The path in the catalogue.
        path: String,
    },
    /// The file cannot be read; perhaps it is gone.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is longer or shorter than the catalogue says.
    #[error("the file has {found} bytes, the catalogue says {expected}")]
    Length {
        /// Bytes in the catalogue.
        expected: u64,
        /// Bytes on disk.
        found: u64,
    },
    /// The bytes are not the ones that were published.
    #[error("the file's SHA-256 is {found}, the catalogue says {expected}")]
    HashMismatch {
        /// SHA-256 in the catalogue.
        expected: Digest,
        /// SHA-256 of the bytes.
        found: Digest,
    },
    /// The bytes are no Parquet file that can be decoded.
    #[error("the file is no readable Parquet")]
    Unreadable {
        /// The library's words; `None` when it gave up without any.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The file has room beside its columns: metadata, indexes or gaps.
    #[error("the file holds bytes outside its columns: {what}")]
    HiddenBytes {
        /// What was found.
        what: &'static str,
    },
    /// A column that the contract does not have.
    #[error("`{column}` ({data_type}) is no column of the contract")]
    UnknownColumn {
        /// Its name.
        column: String,
        /// Its Arrow type.
        data_type: DataType,
    },
    /// A column of the contract is not there, or not in its place.
    #[error("column `{column}` is missing or out of place")]
    MissingColumn {
        /// Its name.
        column: String,
    },
    /// A column of another type, for example text.
    #[error("column `{column}` is {found}, the contract says {expected}")]
    WrongType {
        /// Its name.
        column: String,
        /// Type in the contract.
        expected: DataType,
        /// Type in the file.
        found: DataType,
    },
    /// A fixed column without a value.
    #[error("column `{column}` has no value in row {row}")]
    Absent {
        /// The column.
        column: String,
        /// The row, from 0.
        row: u64,
    },
    /// A value that the contract does not know.
    #[error("`{column}` is {value} in row {row}; the contract knows 0 to {last}")]
    OutOfRange {
        /// The column.
        column: String,
        /// The row, from 0.
        row: u64,
        /// The value found.
        value: u32,
        /// The highest index of the contract.
        last: u32,
    },
    /// Some columns of a section are null and others are not.
    #[error("the section of `{column}` is only partly absent in row {row}")]
    TornSection {
        /// The section's first column.
        column: String,
        /// The row, from 0.
        row: u64,
    },
    /// A section that is present and knows nothing.
    #[error("the section of `{column}` knows nothing in row {row}")]
    EmptySection {
        /// The section's first column.
        column: String,
        /// The row, from 0.
        row: u64,
    },
    /// A row without any section.
    #[error("row {row} has no section")]
    EmptyRow {
        /// The row, from 0.
        row: u64,
    },
    /// A row that tells two alternatives of which a record tells one.
    #[error("row {row} tells both `{one}` and `{other}`")]
    Alternatives {
        /// The row, from 0.
        row: u64,
        /// A column of one alternative.
        one: &'static str,
        /// A column of the other.
        other: &'static str,
    },
    /// A row that the catalogue's entry does not cover: another date, or another commit.
    #[error("row {row} does not belong into this file: its `{column}` differs")]
    Misfiled {
        /// The row, from 0.
        row: u64,
        /// Which column differs.
        column: &'static str,
    },
    /// More or fewer rows than the catalogue says.
    #[error("the file has {found} rows, the catalogue says {expected}")]
    RowCount {
        /// Rows in the catalogue.
        expected: u64,
        /// Rows in the file.
        found: u64,
    },
}

impl Lake {
    /// Checks that a file is there, in its place, and is byte for byte what was published.
    ///
    /// # Errors
    /// [`ReadError::Misplaced`], [`ReadError::Io`], [`ReadError::Length`] or
    /// [`ReadError::HashMismatch`].
    pub fn check(&self, entry: &FileEntry) -> Result<(), ReadError> {
        self.bytes(entry).map(drop)
    }

    /// Reads a file back, trusting nothing in it; its rows are in the order of commit and ordinal.
    ///
    /// # Errors
    /// The first [`ReadError`].
    pub fn read(&self, entry: &FileEntry) -> Result<Vec<Row>, ReadError> {
        let bytes = Bytes::from(self.bytes(entry)?);
        // The decoder is foreign code on bytes that may be hostile: a panic there is a bad file.
        let rows = catch_unwind(AssertUnwindSafe(|| rows(entry, &bytes)));
        rows.unwrap_or(Err(ReadError::Unreadable { source: None }))
    }

    fn bytes(&self, entry: &FileEntry) -> Result<Vec<u8>, ReadError> {
        let folder = format!("{}/date={}/", entry.table.table(), entry.date);
        let placed = entry.path.strip_prefix(&folder).is_some_and(|name| !name.contains('/'));
        let path = self.locate(entry).filter(|_| placed);
        let path = path.ok_or_else(|| ReadError::Misplaced { path: entry.path.clone() })?;
        let failed = |source| ReadError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        let expected = entry.bytes;
        let mut bytes = Vec::new();
        if found == expected {
            file.take(expected).read_to_end(&mut bytes).map_err(failed)?;
        }
        if u64::try_from(bytes.len()) != Ok(expected) {
            return Err(ReadError::Length { expected, found });
        }
        let found = Digest::of(&bytes);
        if found == entry.sha256 {
            Ok(bytes)
        } else {
            Err(ReadError::HashMismatch { expected: entry.sha256, found })
        }
    }
}

fn unreadable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ReadError {
    ReadError::Unreadable { source: Some(source.into()) }
}

fn rows(entry: &FileEntry, bytes: &Bytes) -> Result<Vec<Row>, ReadError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options)
        .map_err(unreadable)?;
    let layout = Layout::of(entry.table);
    same_schema(layout, &builder.schema().fields)?;
    nothing_hidden(builder.metadata(), bytes)?;
    let mut rows = Vec::new();
    for batch in builder.build().map_err(unreadable)? {
        decode::batch(entry, layout, &batch.map_err(unreadable)?, &mut rows)?;
    }
    let found = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    if found == entry.rows {
        Ok(rows)
    } else {
        Err(ReadError::RowCount { expected: entry.rows, found })
    }
}

fn same_schema(layout: &Layout, found: &Fields) -> Result<(), ReadError> {
    for field in found {
        if layout.schema.field_with_name(field.name()).is_err() {
            let (column, data_type) = (field.name().clone(), field.data_type().clone());
            return Err(ReadError::UnknownColumn { column, data_type });
        }
    }
    if let Some(surplus) = found.get(layout.schema.fields.len()) {
        let (column, data_type) = (surplus.name().clone(), surplus.data_type().clone());
        return Err(ReadError::UnknownColumn { column, data_type });
    }
    for (at, expected) in layout.schema.fields.iter().enumerate() {
        let column = expected.name().clone();
        match found.get(at) {
            Some(field) if field.name() != expected.name() => {
                return Err(ReadError::MissingColumn { column });
            }
            None => return Err(ReadError::MissingColumn { column }),
            Some(field) if field.data_type() != expected.data_type() => {
                let (expected, found) = (expected.data_type().clone(), field.data_type().clone());
                return Err(ReadError::WrongType { column, expected, found });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Every byte between the two magic words belongs to a column chunk or to the footer.
fn nothing_hidden(metadata: &ParquetMetaData, bytes: &Bytes) -> Result<(), ReadError> {
    let hidden = |what| Err(ReadError::HiddenBytes { what });
    if metadata.file_metadata().key_value_metadata().is_some_and(|all| !all.is_empty()) {
        return hidden("key-value metadata");
    }
    let mut end: u64 = 4;
    for chunk in metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let (start, length) = chunk.byte_range();
        if start != end {
            return hidden("a gap between column chunks");
        }
        end = start.saturating_add(length);
    }
    let tail = bytes.len().checked_sub(8).and_then(|at| bytes.get(at..)?.first_chunk::<4>());
    let footer = u64::from(tail.copied().map_or(0, u32::from_le_bytes));
    let total = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if end.saturating_add(footer).saturating_add(8) == total {
        Ok(())
    } else {
        hidden("a gap before the footer")
    }
}
