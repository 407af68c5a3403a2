//! Records as sections of plain numbers: what gate, book, lake and verifier handle instead of types.
//!
//! A record here is a kind, a UTC date and, for each section, its category and its known values.
//! It is read from canonical bytes with the contract's own tables, so that a new field needs no
//! new code.

use crate::canonical::{Fault, varint};
use crate::rules::{FieldRule, Role, Shape};
use crate::{Category, Contract, FieldId};

/// The kinds of record; each has its own table in the lake.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// One print.
    Print,
    /// One UTC day of one printer.
    Day,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Print, Self::Day];

    /// Name of the table in the lake.
    pub fn table(self) -> &'static str {
        match self {
            Self::Print => "print",
            Self::Day => "day",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Print => "PrintReport",
            Self::Day => "DayReport",
        }
    }
}

/// One section of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The unit of consent that covers it.
    pub category: Category,
    /// Its known values: field and index, by field number; never empty.
    pub values: Vec<(FieldId, u32)>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its kind.
    pub kind: RecordKind,
    /// Its UTC date, days since 1970-01-01.
    pub date: u32,
    /// Its sections, by field number.
    pub sections: Vec<Section>,
}

impl Contract {
    /// The value fields of a kind of record, in column order.
    pub fn columns(&self, kind: RecordKind) -> Vec<FieldId> {
        let rules = self.rules();
        let sections = rules.fields.iter().filter(|field| field.message == kind.message());
        sections
            .filter_map(|field| match field.shape {
                Shape::Message(place) if field.role == Role::Section => rules.messages.get(place),
                _ => None,
            })
            .flat_map(|section| section.by_number.iter().flatten().map(|&at| FieldId(at)))
            .collect()
    }

    /// The field of a column name such as `status_outcome`.
    pub fn column(&self, kind: RecordKind, name: &str) -> Option<FieldId> {
        self.columns(kind).into_iter().find(|&field| self.rule(field).column == name)
    }

    /// Reads one canonical `PrintReport` or `DayReport`.
    ///
    /// # Errors
    /// The bytes' first [`Fault`]; [`Fault::Malformed`] without a date or without any section.
    pub fn record(&self, kind: RecordKind, bytes: &[u8]) -> Result<Record, Fault> {
        let full_name = format!("imprimatur.telemetry.v1.{}", kind.message());
        self.check(&full_name, bytes)?;
        let mut record = Record { kind, date: 0, sections: Vec::new() };
        for (rule, _, value) in self.walk(&full_name, bytes)? {
            match (rule.role, value) {
                (Role::Date, Part::Number(date)) => record.date = date,
                (Role::Section, Part::Inside(bytes)) => {
                    record.sections.push(self.section(rule, bytes)?);
                }
                _ => return Err(Fault::Malformed),
            }
        }
        let whole = record.date > 0 && !record.sections.is_empty();
        if whole { Ok(record) } else { Err(Fault::Malformed) }
    }

    fn section(&self, holder: &FieldRule, bytes: &[u8]) -> Result<Section, Fault> {
        let Shape::Message(place) = holder.shape else { return Err(Fault::Malformed) };
        let message = self.rules().messages.get(place).ok_or(Fault::Malformed)?;
        let mut category = None;
        let mut values = Vec::new();
        for (rule, field, value) in self.walk(&message.full_name, bytes)? {
            let Part::Number(index) = value else { return Err(Fault::Malformed) };
            category = rule.category;
            values.push((field, index));
        }
        Ok(Section { category: category.ok_or(Fault::NonCanonical)?, values })
    }

    /// The fields of a message whose bytes were checked before.
    fn walk<'a>(
        &'a self,
        full_name: &str,
        mut bytes: &'a [u8],
    ) -> Result<Vec<(&'a FieldRule, FieldId, Part<'a>)>, Fault> {
        let message = self.rules().messages.iter().find(|message| message.full_name == full_name);
        let message = message.ok_or(Fault::UnknownField)?;
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let number = usize::try_from(key >> 3).map_err(|_too_large| Fault::UnknownField)?;
            let place = message.by_number.get(number).copied().flatten();
            let field = FieldId(place.ok_or(Fault::UnknownField)?);
            let number = varint(&mut bytes)?;
            let wire_type = key & 0b111;
            let part = if wire_type == 0 {
                Part::Number(u32::try_from(number).map_err(|_too_large| Fault::OutOfRange)?)
            } else {
                let length = usize::try_from(number).map_err(|_too_large| Fault::Malformed)?;
                let (inside, rest) = bytes.split_at_checked(length).ok_or(Fault::Malformed)?;
                bytes = rest;
                Part::Inside(inside)
            };
            parts.push((self.rule(field), field, part));
        }
        Ok(parts)
    }

    /// Keeps only the sections whose category is allowed; the bytes stay canonical. `None` when no
    /// section is left. This is the agent's stripper.
    ///
    /// # Errors
    /// The bytes' first [`Fault`].
    pub fn strip(
        &self,
        kind: RecordKind,
        bytes: &[u8],
        allowed: impl Fn(Category) -> bool,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let full_name = format!("imprimatur.telemetry.v1.{}", kind.message());
        self.check(&full_name, bytes)?;
        let (mut kept, mut sections) = (Vec::with_capacity(bytes.len()), 0);
        let mut rest = bytes;
        for (rule, _, part) in self.walk(&full_name, bytes)? {
            let length = field_length(rest, &part)?;
            let (field, after) = rest.split_at_checked(length).ok_or(Fault::Malformed)?;
            rest = after;
            let Part::Inside(inside) = part else {
                kept.extend_from_slice(field);
                continue;
            };
            if allowed(self.section(rule, inside)?.category) {
                sections += 1;
                kept.extend_from_slice(field);
            }
        }
        Ok((sections > 0).then_some(kept))
    }
}

/// The bytes of a field from its key to its end.
fn field_length(bytes: &[u8], part: &Part<'_>) -> Result<usize, Fault> {
    let mut rest = bytes;
    varint(&mut rest)?;
    varint(&mut rest)?;
    let inside = match part {
        Part::Number(_) => 0,
        Part::Inside(inside) => inside.len(),
    };
    Ok(bytes.len() - rest.len() + inside)
}

enum Part<'a> {
    Number(u32),
    Inside(&'a [u8]),
}
