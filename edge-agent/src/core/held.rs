//! Reports without a date: held in memory while the clock is doubtful, dated and kept when it is not.
//!
//! A report is dated by the steady clock: what was measured on a base that turned out to be wrong is
//! moved to the right one before anything else looks at it, so that grants, the ten prints of a date
//! and the order of days are those of its true start. Nothing held is written: what a stopped agent
//! still held is gone, and counted.

use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{DayReport, PrintReport};
use imprimatur_proto::{canonical, contract};
use imprimatur_runtime::UnixSeconds;

use super::clock_check::{Base, moved};
use super::{Agent, AgentError, Core, Recorded};
use crate::told::chain;

/// Reports that are held; the oldest beyond go. Days of a busy printer.
const HELD_MAX: usize = 64;

/// How old the newest instant in the store may become, seconds: a write an hour.
const SEEN_EVERY: u64 = 3600;

/// A report as it was measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// What it is.
    pub(crate) kind: RecordKind,
    /// The canonical report, of the date of `started`.
    pub(crate) bytes: Vec<u8>,
    /// When it began, on the base.
    pub(crate) started: UnixSeconds,
    /// What the time of its start and its date stand on.
    pub(crate) base: Base,
}

impl Measured {
    /// The same on the base of now: with another start and date, if that was found since.
    fn on(self, base: Base) -> Result<Self, AgentError> {
        let Some(by) = self.base.moved_to(base) else { return Ok(self) };
        let started = moved(self.started, by);
        let date = started.date().0;
        let bytes = match self.kind {
            RecordKind::Print => {
                let print = contract().decode::<PrintReport>(&self.bytes);
                let print = print.map_err(AgentError::Report)?;
                canonical::encode(&PrintReport { start_date: date, ..print })
            }
            RecordKind::Day => {
                let day = contract().decode::<DayReport>(&self.bytes);
                let day = day.map_err(AgentError::Report)?;
                canonical::encode(&DayReport { date, ..day })
            }
        };
        Ok(Self { bytes, started, base, ..self })
    }
}

impl Agent {
    /// As [`Agent::record`], of what was measured on a base.
    pub(crate) fn record_measured(&self, measured: &Measured) -> Result<Recorded, AgentError> {
        self.with(|core| core.take(measured.clone()))
    }

    /// Gives up what is held without a date, because the process ends.
    ///
    /// # Errors
    /// [`AgentError::Store`]; it is gone all the same, uncounted.
    pub(crate) fn give_up_held(&self) -> Result<(), AgentError> {
        self.with(|core| {
            let reports = core.held.len();
            if reports == 0 {
                return Ok(());
            }
            tracing::warn!(reports, "reports that never got a date are gone");
            core.held.clear();
            let mut draft = core.draft();
            draft.state.counts.undated += u64::try_from(reports).unwrap_or(u64::MAX);
            core.commit(draft)
        })
    }
}

impl Core {
    /// Keeps what is allowed of a report; holds it while nobody knows its date.
    pub(super) fn take(&mut self, measured: Measured) -> Result<Recorded, AgentError> {
        let look = self.clock.look();
        if look.doubtful { self.hold(measured) } else { self.keep(measured, look.base) }
    }

    fn keep(&mut self, measured: Measured, base: Base) -> Result<Recorded, AgentError> {
        let Measured { kind, bytes, started, .. } = measured.on(base)?;
        self.record(kind, &bytes, started)
    }

    fn hold(&mut self, measured: Measured) -> Result<Recorded, AgentError> {
        let whole = contract().strip(measured.kind, &measured.bytes, |_| true);
        whole.map_err(AgentError::Report)?;
        if self.state.flags.silent() {
            return Ok(Recorded::NothingAllowed);
        }
        if self.held.len() >= HELD_MAX {
            self.held.pop_front();
            // Durable with the next change.
            self.state.counts.undated += 1;
        }
        self.held.push_back(measured);
        Ok(Recorded::Held)
    }

    /// Looks whether the clock is credible; then what is held gets its date.
    ///
    /// # Errors
    /// [`AgentError::Store`]; what could not be kept is still held.
    pub(super) fn follow_clock(&mut self) -> Result<(), AgentError> {
        let look = self.clock.look();
        if look.doubtful {
            if !std::mem::replace(&mut self.told.clock, true) {
                tracing::warn!(
                    "this device's clock cannot be believed: what is measured is held in memory, \
                     and nothing is sent, until it is right; set the clock, or let it synchronise \
                     (`timedatectl` tells whether it does)"
                );
            }
            return Ok(());
        }
        if std::mem::replace(&mut self.told.clock, false) {
            tracing::info!(held = self.held.len(), "the clock is credible");
            self.changes.clock += 1;
            self.changes.news += 1;
        }
        while let Some(held) = self.held.pop_front() {
            match self.keep(held.clone(), look.base) {
                Ok(_) => {}
                Err(error @ AgentError::Store(_)) => {
                    self.held.push_front(held);
                    return Err(error);
                }
                Err(error) => tracing::error!(error = %chain(&error), "a report was dropped"),
            }
        }
        Ok(())
    }

    /// Writes down how late it is, now and then, where consent depends on it: no clock may go back
    /// behind that.
    pub(super) fn see(&mut self) -> Result<(), AgentError> {
        let look = self.clock.look();
        let unseen = look.now.0.saturating_sub(self.state.latest.0);
        if look.doubtful || unseen < SEEN_EVERY || self.state.identity.is_none() {
            return Ok(());
        }
        let draft = self.draft();
        self.commit(draft)
    }

    /// Whether a yes may name today's date.
    pub(super) fn may_date(&self) -> Result<(), AgentError> {
        if self.clock.look().doubtful { Err(AgentError::ClockDoubtful) } else { Ok(()) }
    }
}
