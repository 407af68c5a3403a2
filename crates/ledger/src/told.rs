//! What each date of a subject has told: ten prints and one day report are stored of it, and no more.
//!
//! The contract counts the capacity of a device's day; this holds it over time, in however many
//! batches a subject says it. An entry is sealed under its subject's key: for each date, ascending,
//! four big-endian bytes of the date, one of prints, one of day reports. A book for load tests counts
//! nothing: it is labelled so for its life ([`Label::Load`]).

use std::collections::BTreeMap;

use imprimatur_proto::capacity::PRINTS_A_DAY;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;
use redb::ReadableTable as _;

use crate::book::{Label, unreadable};
use crate::error::BookError;
use crate::evidence::place;
use crate::tables::{SYNTHETIC, TOLD};
use crate::txn::Txn;

/// Day reports that are stored of one date.
pub const DAYS_A_DATE: u32 = 1;

/// Dates whose counts are kept, the newest: more than records may be old.
const DATES_KEPT: usize = 64;

/// Bytes of one date.
const DATE_BYTES: usize = 6;

/// What was stored of the dates of one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told(pub(crate) BTreeMap<UtcDate, [u8; 2]>);

impl Told {
    /// Counts one record more of a date; `false`, and nothing counted, when the date has told all it
    /// may.
    pub(crate) fn take(&mut self, kind: RecordKind, date: UtcDate) -> bool {
        let [prints, days] = self.0.entry(date).or_default();
        let (count, most) = match kind {
            RecordKind::Print => (prints, PRINTS_A_DAY),
            RecordKind::Day => (days, DAYS_A_DATE),
        };
        if u32::from(*count) >= most {
            return false;
        }
        *count += 1;
        true
    }

    fn bytes(&self) -> Vec<u8> {
        let newest = self.0.iter().skip(self.0.len().saturating_sub(DATES_KEPT));
        newest.flat_map(|(date, counts)| date.0.to_be_bytes().into_iter().chain(*counts)).collect()
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let dates = bytes.chunks(DATE_BYTES).map(|date| match *date {
            [a, b, c, d, prints, days] => {
                Some((UtcDate(u32::from_be_bytes([a, b, c, d])), [prints, days]))
            }
            _ => None,
        });
        dates.collect::<Option<_>>().map(Self)
    }
}

impl Txn {
    /// What the dates of the subject in a slot have told; `None` in a book for load tests.
    pub(crate) fn told(&self, slot: u64) -> Result<Option<Told>, BookError> {
        if self.number(SYNTHETIC)? == Label::Load.number() {
            return Ok(None);
        }
        let table = self.raw.open_table(TOLD)?;
        let Some(sealed) = table.get(slot)? else { return Ok(Some(Told::default())) };
        let bytes = self.unseal(TOLD, slot, &place("told", slot), sealed.value())?;
        let told = Told::read(&bytes.unwrap_or_default());
        told.map(Some).ok_or_else(|| unreadable(TOLD))
    }

    pub(crate) fn keep_told(&self, slot: u64, told: &Told) -> Result<(), BookError> {
        let sealed = self.seal(slot, &place("told", slot), &told.bytes())?;
        self.raw.open_table(TOLD)?.insert(slot, sealed.as_slice())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_tells_ten_prints_and_one_day_and_the_next_its_own() {
        let (date, next) = (UtcDate(20_778), UtcDate(20_779));
        let mut told = Told::default();
        for _ in 0..PRINTS_A_DAY {
            assert!(told.take(RecordKind::Print, date));
        }
        assert!(!told.take(RecordKind::Print, date));
        assert!(told.take(RecordKind::Day, date));
        assert!(!told.take(RecordKind::Day, date));
        assert!(told.take(RecordKind::Print, next));
        assert_eq!(Told::read(&told.bytes()), Some(told));
        assert_eq!(Told::read(&[0; 7]), None);
    }

    #[test]
    fn the_newest_dates_are_kept() {
        let mut told = Told::default();
        for date in 0..100 {
            assert!(told.take(RecordKind::Day, UtcDate(date)));
        }
        let mut kept = Told::read(&told.bytes()).unwrap();
        assert_eq!(kept.0.len(), DATES_KEPT);
        assert!(!kept.take(RecordKind::Day, UtcDate(99)), "still counted");
        assert!(!kept.take(RecordKind::Day, UtcDate(36)), "older than any record may be");
    }
}
