//! Cells back to rows: every value within its domain, every section whole or absent.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use imprimatur_consent::Pseudonym;
use imprimatur_proto::record::Section;
use imprimatur_runtime::UtcDate;

use crate::layout::{Cells, FIXED, Layout};
use crate::{FileEntry, ReadError, Row};

/// Appends the rows of a batch whose schema was checked.
pub(crate) fn batch(
    entry: &FileEntry,
    layout: &'static Layout,
    batch: &RecordBatch,
    rows: &mut Vec<Row>,
) -> Result<(), ReadError> {
    let first = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    for at in 0..batch.num_rows() {
        let place = first.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
        let fixed = Fixed { batch, at, place };
        let cells = cells(layout, &fixed)?;
        let row = Row {
            kind: entry.table,
            date: fixed.date()?,
            epoch: fixed.number::<UInt32Type>(2)?,
            commit: fixed.number::<UInt64Type>(0)?,
            ordinal: fixed.number::<UInt32Type>(1)?,
            subject: fixed.pseudonym(3)?,
            principal: fixed.pseudonym(4)?,
            sections: sections(layout, &cells, place)?,
        };
        let covered = (entry.first_commit..=entry.last_commit).contains(&row.commit);
        if !covered {
            return Err(ReadError::Misfiled { row: place, column: "commit" });
        }
        if row.date != entry.date {
            return Err(ReadError::Misfiled { row: place, column: "date" });
        }
        rows.push(row);
    }
    Ok(())
}

/// One row of a batch whose schema was checked.
struct Fixed<'a> {
    batch: &'a RecordBatch,
    at: usize,
    place: u64,
}

impl Fixed<'_> {
    fn absent(&self, column: usize) -> ReadError {
        let schema = self.batch.schema();
        let column = schema.fields.get(column).map_or("", |field| field.name()).to_owned();
        ReadError::Absent { column, row: self.place }
    }

    fn value<T: ArrowPrimitiveType>(&self, column: usize) -> Option<T::Native> {
        let array = self.batch.columns().get(column)?.as_primitive_opt::<T>()?;
        array.is_valid(self.at).then(|| array.value(self.at))
    }

    fn number<T: ArrowPrimitiveType>(&self, column: usize) -> Result<T::Native, ReadError> {
        self.value::<T>(column).ok_or_else(|| self.absent(column))
    }

    fn date(&self) -> Result<UtcDate, ReadError> {
        let day = u32::try_from(self.number::<Date32Type>(5)?);
        day.map(UtcDate)
            .map_err(|_before_1970| ReadError::Misfiled { row: self.place, column: "date" })
    }

    fn pseudonym(&self, column: usize) -> Result<Pseudonym, ReadError> {
        let array = self.batch.columns().get(column).and_then(|one| one.as_fixed_size_binary_opt());
        let bytes = array.filter(|array| array.is_valid(self.at)).map(|array| array.value(self.at));
        let read = bytes.and_then(|bytes| Pseudonym::try_from(bytes).ok());
        read.ok_or_else(|| self.absent(column))
    }
}

fn cells(layout: &Layout, fixed: &Fixed<'_>) -> Result<Cells, ReadError> {
    let mut cells = Cells::with_capacity(layout.columns.len());
    for (at, column) in layout.columns.iter().enumerate() {
        let cell = if column.is_wide() {
            fixed.value::<UInt16Type>(FIXED + at)
        } else {
            fixed.value::<UInt8Type>(FIXED + at).map(u16::from)
        };
        if let Some(value) = cell.map(u32::from).filter(|value| *value >= column.domain) {
            let (column, last) = (column.name.clone(), column.domain.saturating_sub(1));
            return Err(ReadError::OutOfRange { column, row: fixed.place, value, last });
        }
        cells.push(cell);
    }
    Ok(cells)
}

fn sections(layout: &'static Layout, cells: &Cells, row: u64) -> Result<Vec<Section>, ReadError> {
    if let Some([one, other]) = layout.conflict(cells) {
        return Err(ReadError::Alternatives { row, one, other });
    }
    let mut sections = Vec::new();
    for group in &layout.groups {
        let columns = layout.columns.get(group.range.clone()).unwrap_or_default();
        let cells = cells.get(group.range.clone()).unwrap_or_default();
        let first = || columns.first().map(|column| column.name.clone()).unwrap_or_default();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        if cells.iter().any(Option::is_none) {
            return Err(ReadError::TornSection { column: first(), row });
        }
        let known = columns.iter().zip(cells.iter().copied().flatten());
        let known = known.filter(|(_, index)| *index > 0);
        let values: Vec<_> =
            known.map(|(column, index)| (column.field, u32::from(index))).collect();
        if values.is_empty() {
            return Err(ReadError::EmptySection { column: first(), row });
        }
        sections.push(Section { category: group.category, values });
    }
    if sections.is_empty() { Err(ReadError::EmptyRow { row }) } else { Ok(sections) }
}
