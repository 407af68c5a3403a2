//! The columns of a batch, each of its type, as [`crate::plan`] asks for them.

use datafusion::arrow::array::{
    Array as _, AsArray as _, FixedSizeBinaryArray, Int32Array, PrimitiveArray, RecordBatch,
    UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, Int32Type, UInt32Type, UInt64Type};

use crate::people::{Number, number};

/// Columns of a batch; those that were not asked for are absent, and so are their values.
pub(crate) struct Columns<'a> {
    length: usize,
    commit: Option<&'a UInt64Array>,
    ordinal: Option<&'a UInt32Array>,
    epoch: Option<&'a UInt32Array>,
    subject: Option<&'a FixedSizeBinaryArray>,
    principal: Option<&'a FixedSizeBinaryArray>,
    date: Option<&'a Int32Array>,
    value: Option<&'a Int32Array>,
    own: Vec<&'a Int32Array>,
}

/// Name of the column of a dimension that rows have themselves, by its place among these.
pub(crate) fn own_column(place: usize) -> String {
    format!("own_{place}")
}

impl<'a> Columns<'a> {
    pub(crate) fn of(batch: &'a RecordBatch) -> Self {
        let bytes =
            |name| batch.column_by_name(name).and_then(|one| one.as_fixed_size_binary_opt());
        let own = (0..).map_while(|place| numbers::<Int32Type>(batch, &own_column(place)));
        Self {
            length: batch.num_rows(),
            commit: numbers::<UInt64Type>(batch, "commit"),
            ordinal: numbers::<UInt32Type>(batch, "ordinal"),
            epoch: numbers::<UInt32Type>(batch, "epoch"),
            subject: bytes("subject"),
            principal: bytes("principal"),
            date: numbers::<Int32Type>(batch, "date"),
            value: numbers::<Int32Type>(batch, "value"),
            own: own.collect(),
        }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn commit(&self, row: usize) -> Option<u64> {
        self.commit?.values().get(row).copied()
    }

    pub(crate) fn ordinal(&self, row: usize) -> Option<u32> {
        self.ordinal?.values().get(row).copied()
    }

    pub(crate) fn epoch(&self, row: usize) -> Option<u32> {
        self.epoch?.values().get(row).copied()
    }

    pub(crate) fn subject(&self, row: usize) -> Option<Number> {
        self.subject.filter(|_| row < self.length).and_then(|array| number(array.value(row)))
    }

    pub(crate) fn principal(&self, row: usize) -> Option<Number> {
        self.principal.filter(|_| row < self.length).and_then(|array| number(array.value(row)))
    }

    /// UTC date, in days since 1970.
    pub(crate) fn date(&self, row: usize) -> Option<i32> {
        self.date?.values().get(row).copied()
    }

    /// Index of the metric's field.
    pub(crate) fn value(&self, row: usize) -> Option<i32> {
        self.value?.values().get(row).copied()
    }

    /// Value of a dimension that the row has itself; `None` where its section is absent.
    pub(crate) fn own(&self, place: usize, row: usize) -> Option<i32> {
        let array = self.own.get(place)?;
        array.values().get(row).copied().filter(|_| array.is_valid(row))
    }
}

fn numbers<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Option<&'a PrimitiveArray<T>> {
    batch.column_by_name(name)?.as_primitive_opt()
}
