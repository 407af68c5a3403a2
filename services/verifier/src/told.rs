//! What a date has told: the ceilings of the capacity, counted anew.

use std::collections::BTreeMap;
use std::fmt;

use imprimatur_ledger::DAYS_A_DATE;
use imprimatur_proto::capacity::PRINTS_A_DAY;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;

use crate::report::Check;

/// Prints and day reports by teller and date.
#[derive(Debug)]
pub(crate) struct Told<K>(BTreeMap<(K, UtcDate), [u32; 2]>);

impl<K> Default for Told<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + fmt::Display> Told<K> {
    pub(crate) fn count(&mut self, of: K, kind: RecordKind, date: UtcDate) {
        let [prints, days] = self.0.entry((of, date)).or_default();
        match kind {
            RecordKind::Print => *prints += 1,
            RecordKind::Day => *days += 1,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&(K, UtcDate), &[u32; 2])> {
        self.0.iter()
    }

    /// No date of anybody has told more than it may.
    pub(crate) fn within(&self, whose: &str, geometry: &mut Check) {
        for ((of, date), [prints, days]) in &self.0 {
            let fine = *prints <= PRINTS_A_DAY && *days <= DAYS_A_DATE;
            let problem = format!(
                "tells {prints} prints and {days} day reports, and may tell {PRINTS_A_DAY} and \
                 {DAYS_A_DATE}"
            );
            geometry.expect(fine, &format!("{date} of {whose} {of}"), &problem);
        }
    }
}
