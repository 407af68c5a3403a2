//! Where a record has its sections and values, read from the contract: every place is tried, also
//! one that a later contract adds.

use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::{FieldRule, Role, Shape};

use crate::wire;

/// One section of a record.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Whose record it is part of.
    pub(crate) kind: RecordKind,
    /// Its number in the record.
    pub(crate) number: u64,
    /// Its values.
    pub(crate) values: Vec<&'static FieldRule>,
}

/// All sections of both kinds of records.
pub(crate) fn sections() -> Vec<Section> {
    RecordKind::ALL.into_iter().flat_map(of_kind).collect()
}

/// The sections of a kind of record.
pub(crate) fn of_kind(kind: RecordKind) -> Vec<Section> {
    let rules = contract().rules();
    let record = match kind {
        RecordKind::Print => "PrintReport",
        RecordKind::Day => "DayReport",
    };
    let holders = rules.fields.iter().filter(|field| field.message == record);
    let section = |holder: &FieldRule| match holder.shape {
        Shape::Message(place) if holder.role == Role::Section => {
            let values = rules.messages.get(place)?.by_number.iter().flatten();
            let values = values.filter_map(|&field| rules.fields.get(field)).collect();
            Some(Section { kind, number: u64::from(holder.number), values })
        }
        _ => None,
    };
    holders.filter_map(section).collect()
}

/// A record of a date with these sections, by number.
pub(crate) fn record(date: u32, sections: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let inside = sections.iter().flat_map(|(number, inside)| wire::bytes(*number, inside));
    wire::number(1, u64::from(date)).into_iter().chain(inside).collect()
}

impl Section {
    /// Its first value with the lowest index: a valid section.
    pub(crate) fn valid(&self) -> Vec<u8> {
        self.values.first().map_or_else(Vec::new, |field| wire::number(u64::from(field.number), 1))
    }

    /// The number of the first field that it does not have.
    pub(crate) fn beyond(&self) -> u64 {
        self.values.iter().map(|field| u64::from(field.number) + 1).max().unwrap_or(1)
    }

    /// A batch's bytes that hold one record with this section alone.
    pub(crate) fn batch(&self, header: &[u8], date: u32, inside: Vec<u8>) -> Vec<u8> {
        let record = record(date, &[(self.number, inside)]);
        self.holding(header, record)
    }

    /// A batch's bytes that hold this record.
    pub(crate) fn holding(&self, header: &[u8], record: Vec<u8>) -> Vec<u8> {
        match self.kind {
            RecordKind::Print => wire::batch(header, &[record], &[]),
            RecordKind::Day => wire::batch(header, &[], &[record]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_of_the_contract_is_there_and_valid() {
        let sections = sections();
        assert_eq!(sections.len(), 18);
        for section in sections {
            let bytes = record(20_778, &[(section.number, section.valid())]);
            let read = contract().record(section.kind, &bytes).unwrap();
            assert_eq!(read.sections.len(), 1);
            let more = [section.valid(), wire::number(section.beyond(), 1)].concat();
            assert!(
                contract().record(section.kind, &record(1, &[(section.number, more)])).is_err()
            );
        }
    }
}
