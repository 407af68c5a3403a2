//! Columns of each table, made from the contract; nothing else lists them.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::Alternative;
use imprimatur_proto::{Category, FieldId, contract};

/// Columns before the values.
pub(crate) const FIXED: usize = 6;

/// Bytes of a pseudonym.
pub(crate) const PSEUDONYM: i32 = 16;

/// The values of one row in column order: `None` where the section is absent.
pub(crate) type Cells = Vec<Option<u16>>;

/// One value column.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) field: FieldId,
    pub(crate) name: String,
    /// Number of states, the unknown one included.
    pub(crate) domain: u32,
    only: Option<Alternative>,
}

/// The columns of one section.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) category: Category,
    pub(crate) range: Range<usize>,
}

/// One table.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<Column>,
    pub(crate) groups: Vec<Group>,
    pub(crate) schema: SchemaRef,
}

static PRINT: LazyLock<Layout> = LazyLock::new(|| Layout::new(RecordKind::Print));
static DAY: LazyLock<Layout> = LazyLock::new(|| Layout::new(RecordKind::Day));

/// The Arrow schema of a table, as it stands in every file of it.
pub fn schema(kind: RecordKind) -> SchemaRef {
    Arc::clone(&Layout::of(kind).schema)
}

impl Layout {
    pub(crate) fn of(kind: RecordKind) -> &'static Self {
        match kind {
            RecordKind::Print => &PRINT,
            RecordKind::Day => &DAY,
        }
    }

    fn new(kind: RecordKind) -> Self {
        let mut fields = vec![
            Field::new("commit", DataType::UInt64, false),
            Field::new("ordinal", DataType::UInt32, false),
            Field::new("epoch", DataType::UInt32, false),
            Field::new("subject", DataType::FixedSizeBinary(PSEUDONYM), false),
            Field::new("principal", DataType::FixedSizeBinary(PSEUDONYM), false),
            Field::new("date", DataType::Date32, false),
        ];
        let mut columns = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        for (at, field) in contract().columns(kind).into_iter().enumerate() {
            let rule = contract().rule(field);
            let Some(category) = rule.category else { continue };
            let column =
                Column { field, name: rule.column.clone(), domain: rule.domain(), only: rule.only };
            fields.push(Field::new(&column.name, column.data_type(), true));
            columns.push(column);
            match groups.last_mut() {
                Some(group) if group.category == category => group.range.end = at + 1,
                _ => groups.push(Group { category, range: at..at + 1 }),
            }
        }
        Self { columns, groups, schema: Arc::new(Schema::new(fields)) }
    }

    /// Two columns that are both known although a record tells at most one of them.
    pub(crate) fn conflict(&self, cells: &[Option<u16>]) -> Option<[&str; 2]> {
        let known = |alternative| {
            let told = self.columns.iter().zip(cells);
            let told = told.filter(|(_, cell)| cell.is_some_and(|index| index > 0));
            told.filter(|(column, _)| column.only == Some(alternative))
                .map(|(column, _)| column.name.as_str())
                .next()
        };
        let mut axes = Alternative::AXES.into_iter();
        axes.find_map(|[one, other]| Some([known(one)?, known(other)?]))
    }
}

impl Column {
    /// The narrowest integer that holds every index.
    pub(crate) fn data_type(&self) -> DataType {
        if self.is_wide() { DataType::UInt16 } else { DataType::UInt8 }
    }

    pub(crate) fn is_wide(&self) -> bool {
        self.domain > 256
    }
}
