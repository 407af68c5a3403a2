//! What is kept of a report: the sections whose category was granted before it began.
//!
//! Each category stands alone. Without one that covers, nothing is kept. Ten prints and one day a
//! date are told and no more, however often the agent restarts.

use imprimatur_consent::Category;
use imprimatur_proto::canonical::{self, Fault};
use imprimatur_proto::capacity::PRINTS_A_DAY;
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{DayReport, PrintReport};
use imprimatur_runtime::{UnixSeconds, UtcDate};

use super::consent::next;
use super::held::Measured;
use super::{Agent, AgentError, Core};
use crate::store::{Space, StoreError};

/// Dates whose counts are kept; the collector takes nothing as old as that.
const DATES_KEPT: usize = 64;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The allowed sections wait for the end of their day.
    Kept,
    /// No category covers any of it: nothing was kept.
    NothingAllowed,
    /// Its date has told all it may: nothing was kept.
    BeyondDate,
    /// The clock is doubtful: it waits in memory until its date is known.
    Held,
}

/// What a date has told.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    prints: u32,
    days: u8,
}

impl Agent {
    /// Keeps the allowed sections of one canonical report. `started` is the print's start, or the
    /// moment since which the day was measured. While the clock is doubtful the report is held, and
    /// its date is known later.
    ///
    /// # Errors
    /// [`AgentError::Report`] for bytes that are no report of this date; [`AgentError::Store`].
    pub fn record(
        &self,
        kind: RecordKind,
        report: &[u8],
        started: UnixSeconds,
    ) -> Result<Recorded, AgentError> {
        self.with(|core| {
            let base = core.clock.look().base;
            core.take(Measured { kind, bytes: report.to_vec(), started, base })
        })
    }

    /// [`Agent::record`] for a print.
    ///
    /// # Errors
    /// As [`Agent::record`].
    pub fn record_print(
        &self,
        report: &PrintReport,
        started: UnixSeconds,
    ) -> Result<Recorded, AgentError> {
        self.record(RecordKind::Print, &canonical::encode(report), started)
    }

    /// [`Agent::record`] for a day.
    ///
    /// # Errors
    /// As [`Agent::record`].
    pub fn record_day(
        &self,
        report: &DayReport,
        started: UnixSeconds,
    ) -> Result<Recorded, AgentError> {
        self.record(RecordKind::Day, &canonical::encode(report), started)
    }
}

impl Core {
    pub(super) fn record(
        &mut self,
        kind: RecordKind,
        report: &[u8],
        started: UnixSeconds,
    ) -> Result<Recorded, AgentError> {
        let covered = |category| self.covers(category, started);
        let kept = contract().strip(kind, report, covered).map_err(AgentError::Report)?;
        self.seen.insert(kind, report.to_vec());
        let Some(kept) = kept else { return Ok(Recorded::NothingAllowed) };
        let record = contract().record(kind, &kept).map_err(AgentError::Report)?;
        let date = UtcDate(record.date);
        if date != started.date() {
            return Err(AgentError::Report(Fault::OutOfRange));
        }
        let mut told = self.told(date)?;
        let full = match kind {
            RecordKind::Print => told.prints >= PRINTS_A_DAY,
            RecordKind::Day => told.days > 0 && !self.replaces(date, started)?,
        };
        let mut draft = self.draft();
        draft.state.counts.collected += 1;
        if full {
            draft.state.counts.beyond_date += 1;
            self.commit(draft)?;
            return Ok(Recorded::BeyondDate);
        }
        match kind {
            RecordKind::Print => told.prints += 1,
            RecordKind::Day => {
                // The part of the day that was pending gives way.
                draft.state.counts.beyond_date += u64::from(told.days);
                told.days = 1;
            }
        }
        let number = match kind {
            RecordKind::Print => next(&mut draft.state.next_pending),
            RecordKind::Day => 0,
        };
        let value = [&started.0.to_be_bytes()[..], &kept].concat();
        draft.change.put(Space::Pending, &pending_key(date, kind, number), &value);
        let told = [&told.prints.to_be_bytes()[..], &[told.days]].concat();
        draft.change.put(Space::Date, &date.0.to_be_bytes(), &told);
        let dates = self.store.scan(Space::Date, b"")?;
        for (old, _) in dates.iter().take(dates.len().saturating_sub(DATES_KEPT)) {
            draft.change.remove(Space::Date, old);
        }
        self.commit(draft)?;
        Ok(Recorded::Kept)
    }

    /// Whether what began then may be kept: granted before, not ended since, not restricted.
    pub(super) fn covers(&self, category: Category, began: UnixSeconds) -> bool {
        let today = self.clock.today();
        let held = self.state.identity.as_ref();
        let stopped = held.is_none_or(|held| held.restricted || held.lapsed(category, today));
        !stopped && self.state.flags.covers(category, began)
    }

    /// Whether the day's report is still pending and was not measured for longer. Two parts of a
    /// day, before and after a restart, would tell more than a day may: the one that began first
    /// stays.
    fn replaces(&self, date: UtcDate, started: UnixSeconds) -> Result<bool, AgentError> {
        let key = pending_key(date, RecordKind::Day, 0);
        let Some(value) = self.store.get(Space::Pending, &key)? else { return Ok(false) };
        Ok(started <= Pending::read(key, &value)?.started)
    }

    fn told(&self, date: UtcDate) -> Result<Told, AgentError> {
        let Some(value) = self.store.get(Space::Date, &date.0.to_be_bytes())? else {
            return Ok(Told::default());
        };
        let parts = value.first_chunk().zip(value.get(4).copied());
        let (prints, days) = parts.ok_or(StoreError::Unreadable("date"))?;
        Ok(Told { prints: u32::from_be_bytes(*prints), days })
    }
}

fn pending_key(date: UtcDate, kind: RecordKind, number: u64) -> Vec<u8> {
    let kind = match kind {
        RecordKind::Print => 0,
        RecordKind::Day => 1,
    };
    [&date.0.to_be_bytes()[..], &[kind], &number.to_be_bytes()].concat()
}

/// A pending report.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) key: Vec<u8>,
    pub(super) kind: RecordKind,
    pub(super) date: UtcDate,
    pub(super) started: UnixSeconds,
    pub(super) report: Vec<u8>,
}

impl Pending {
    /// Reads an entry of the store.
    pub(super) fn read(key: Vec<u8>, value: &[u8]) -> Result<Self, StoreError> {
        let unreadable = || StoreError::Unreadable("pending report");
        let date = u32::from_be_bytes(*key.first_chunk().ok_or_else(unreadable)?);
        let kind = match key.get(4) {
            Some(0) => RecordKind::Print,
            Some(1) => RecordKind::Day,
            _ => return Err(unreadable()),
        };
        let (started, report) = value.split_first_chunk().ok_or_else(unreadable)?;
        let started = UnixSeconds(u64::from_be_bytes(*started));
        Ok(Self { key, kind, date: UtcDate(date), started, report: report.to_vec() })
    }

    /// The entry's value.
    pub(super) fn value(&self) -> Vec<u8> {
        [&self.started.0.to_be_bytes()[..], &self.report].concat()
    }
}
