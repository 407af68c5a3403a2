//! Measuring: from readings to reports that the core may keep, and the end of each day.
//!
//! Starts anew at the first grant, so that nothing from before it can be told. Prints in progress
//! when the agent stops are forgotten; the day so far is handed over. A report that the store could
//! not take waits here and is tried again. While another principal uses the printer nothing is
//! measured, and a print that ran at any change between principals is never told. When the clock turns
//! out to have been wrong, what runs is moved to the right time and the day so far ends: a report of
//! it knows on what its date stands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use imprimatur_proto::canonical;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{DayReport, ReadingSource};
use imprimatur_runtime::{UnixSeconds, UtcDate, entropy};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::accumulate::report::{DayContext, PrintContext, day_report, print_report};
use crate::accumulate::{Accumulator, FaultLog, Finished, FinishedDay};
use crate::active::Active;
use crate::config::{Machine, SealAfter};
use crate::core::clock_check::{Base, TrustedClock, moved};
use crate::core::held::Measured;
use crate::core::{Agent, AgentError, Changes, Sealed};
use crate::reading::{Reading, Said};
use crate::told::chain;

/// How often time passes without a reading: a day is closed at most this late.
const TICK: Duration = Duration::from_secs(20);

/// Within this time after midnight the batches of the days before are made, at a moment that is drawn anew each day:
/// when they come tells nothing of printer or owner, and agents do not come all at once.
const SEAL_WITHIN: Duration = Duration::from_hours(1);

/// Reports that wait for the store: more than a bad day makes. Beyond it the oldest goes.
const WAITING_MAX: usize = 64;

/// What the owner said, and when batches are made.
#[derive(Clone, Debug)]
pub struct MeasureSettings {
    /// The machine.
    pub machine: Machine,
    /// When a batch is made.
    pub seal_after: SealAfter,
    /// Who uses the printer, when several may.
    pub active: Option<Active>,
}

struct Measure {
    agent: Agent,
    settings: MeasureSettings,
    clock: Arc<TrustedClock>,
    /// What all instants here stand on.
    base: Base,
    changes: watch::Receiver<Changes>,
    identities: u64,
    fault_grants: u64,
    accumulator: Accumulator,
    /// Since when the accumulator measures.
    since: UnixSeconds,
    online: Option<ReadingSource>,
    /// Whether this agent's owner uses the printer.
    active: bool,
    /// Whether a print runs that was begun while somebody else did.
    theirs: bool,
    waiting: VecDeque<Measured>,
    failing: bool,
    /// From when on batches are made on a day.
    seal_from: (UtcDate, UnixSeconds),
}

/// Takes readings until `stop` is cancelled or all sources ended.
pub async fn run(
    agent: Agent,
    settings: MeasureSettings,
    mut readings: mpsc::Receiver<Reading>,
    stop: CancellationToken,
) {
    let changes = agent.changes();
    let Changes { identities, fault_grants, .. } = *changes.borrow();
    let clock = agent.clock();
    let look = clock.look();
    let mut measure = Measure {
        agent,
        settings,
        clock,
        base: look.base,
        changes,
        identities,
        fault_grants,
        accumulator: Accumulator::default(),
        since: look.now,
        online: None,
        active: true,
        theirs: false,
        waiting: VecDeque::new(),
        failing: false,
        seal_from: seal_from(look.now.date()),
    };
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            // Without sources time goes on: what is pending is still sealed.
            Some(reading) = readings.recv() => measure.read(reading),
            _ = tick.tick() => measure.pass(),
        }
    }
    measure.end();
}

impl Measure {
    /// The time; moves everything when it turns out to have been another.
    fn now(&mut self) -> UnixSeconds {
        let look = self.clock.look();
        let before = std::mem::replace(&mut self.base, look.base);
        let Some(by) = before.moved_to(look.base) else { return look.now };
        let finished = self.accumulator.advance(moved(look.now, by.saturating_neg()));
        let finished = finished.into_iter().map(|finished| self.report(finished, before));
        let mut reports: Vec<_> = finished.collect();
        let day = self.accumulator.move_by(|at| moved(at, by));
        let day = day.map(|day| Finished::Day(Box::new(day)));
        reports.extend(day.map(|day| self.report(day, before)));
        self.since = look.now;
        self.wait(reports);
        look.now
    }

    fn read(&mut self, mut reading: Reading) {
        self.follow_consent();
        // It may have been stamped before the clock was set right.
        reading.at = reading.at.min(self.now());
        match reading.said {
            Said::Online(source) => self.online = Some(source),
            Said::Offline => self.online = None,
            _ => {}
        }
        if self.follow_active() {
            let finished = self.accumulator.observe(reading);
            self.take(finished);
        } else {
            match reading.said {
                Said::Started | Said::AlreadyRunning => self.theirs = true,
                Said::Ended(_) => self.theirs = false,
                _ => {}
            }
        }
        self.show_so_far();
    }

    /// Whether this agent's owner uses the printer now; forgets what must not be told when that
    /// changes.
    fn follow_active(&mut self) -> bool {
        let active = self.settings.active.as_ref().is_none_or(Active::is_this);
        let before = std::mem::replace(&mut self.active, active);
        let at = self.now();
        let mut observe = |said| self.accumulator.observe(Reading { at, said });
        let mut finished = Vec::new();
        match (before, active) {
            (true, false) => {
                finished.extend(observe(Said::Offline));
                self.theirs = self.accumulator.is_printing();
                self.accumulator.forget_print();
            }
            (false, true) => {
                let online = self.online.map(Said::Online);
                let runs = std::mem::take(&mut self.theirs).then_some(Said::AlreadyRunning);
                for said in online.into_iter().chain(runs) {
                    finished.extend(observe(said));
                }
            }
            _ => {}
        }
        self.take(finished);
        active
    }

    fn pass(&mut self) {
        self.follow_consent();
        self.follow_active();
        let now = self.now();
        let finished = self.accumulator.advance(now);
        self.take(finished);
        self.hand_over();
        self.seal();
        self.show_so_far();
    }

    /// The day that is not over, for the owner's eyes only.
    fn show_so_far(&self) {
        let day = self.accumulator.day();
        let report = day.map(|day| (self.since_of(day.date), self.day_report(day)));
        match report {
            Some((since, report)) => self.agent.show_so_far(Some(&report), since),
            None => self.agent.show_so_far(None, self.since),
        }
    }

    fn end(&mut self) {
        self.follow_consent();
        let now = self.now();
        let finished = self.accumulator.advance(now);
        self.take(finished);
        let day = self.accumulator.close_day();
        self.take(day.map(|day| Finished::Day(Box::new(day))).into_iter().collect());
        self.hand_over();
        self.seal();
        if !self.waiting.is_empty() {
            tracing::warn!(
                reports = self.waiting.len(),
                "reports could not be stored and are gone"
            );
        }
        if let Err(error) = self.agent.give_up_held() {
            tracing::error!(error = %chain(&error), "what had no date is gone and not counted");
        }
    }

    /// A key was drawn: what was measured before is forgotten; what the source is, is not.
    fn follow_consent(&mut self) {
        let Changes { identities, fault_grants, .. } = *self.changes.borrow_and_update();
        let at = self.now();
        if std::mem::replace(&mut self.fault_grants, fault_grants) != fault_grants {
            self.accumulator.faults_granted(at);
        }
        if std::mem::replace(&mut self.identities, identities) == identities {
            return;
        }
        let printing = self.accumulator.is_printing();
        self.since = at;
        self.waiting.clear();
        self.accumulator = Accumulator::new(FaultLog::from_grant(at));
        let again = self.online.map(Said::Online);
        let again = again.into_iter().chain(printing.then_some(Said::AlreadyRunning));
        // Somebody else's time is not measured.
        let again = again.chain((!self.active).then_some(Said::Offline));
        for said in again {
            self.accumulator.observe(Reading { at, said });
        }
    }

    fn take(&mut self, finished: Vec<Finished>) {
        if finished.is_empty() {
            return;
        }
        let base = self.base;
        let reports: Vec<_> = finished.into_iter().map(|f| self.report(f, base)).collect();
        self.wait(reports);
        self.hand_over();
        self.seal();
    }

    fn wait(&mut self, reports: Vec<Measured>) {
        for report in reports {
            if self.waiting.len() >= WAITING_MAX {
                self.waiting.pop_front();
                tracing::warn!("a report was dropped: the store does not take any");
            }
            self.waiting.push_back(report);
        }
    }

    fn report(&self, finished: Finished, base: Base) -> Measured {
        let machine = self.settings.machine;
        match finished {
            Finished::Print(print) => {
                let technology = machine.model.map(|model| model.technology).unwrap_or_default();
                let context = PrintContext { technology, ..PrintContext::default() };
                let bytes = canonical::encode(&print_report(&print, context));
                Measured { kind: RecordKind::Print, bytes, started: print.started, base }
            }
            Finished::Day(day) => {
                let started = self.since_of(day.date);
                let bytes = canonical::encode(&self.day_report(*day));
                Measured { kind: RecordKind::Day, bytes, started, base }
            }
        }
    }

    fn day_report(&self, mut day: FinishedDay) -> DayReport {
        let machine = self.settings.machine;
        day.nozzle = day.nozzle.or(machine.nozzle);
        // What the owner says counts before what files were sliced for.
        let model = machine.model.map(|model| model.number).or(day.model);
        let firmware = machine.firmware;
        day_report(&day, &DayContext { model, firmware, ..DayContext::default() })
    }

    /// Since when a day was measured.
    fn since_of(&self, date: UtcDate) -> UnixSeconds {
        if date == self.since.date() { self.since } else { date.start() }
    }

    fn hand_over(&mut self) {
        while let Some(report) = self.waiting.front() {
            match self.agent.record_measured(report) {
                Err(error @ AgentError::Store(_)) => return self.failed(&error),
                Err(error) => tracing::error!(error = %chain(&error), "a report was dropped"),
                Ok(_) => self.failing = false,
            }
            self.waiting.pop_front();
        }
    }

    fn seal(&mut self) {
        let now = self.now();
        let today = now.date();
        if self.seal_from.0 != today {
            self.seal_from = seal_from(today);
        }
        let due = now >= self.seal_from.1;
        let past = if due { self.agent.seal_before(today) } else { Ok(Sealed::default()) };
        let prints = match self.settings.seal_after {
            SealAfter::Day => Ok(()),
            SealAfter::Print => self.agent.seal_prints().map(|_sealed| ()),
        };
        if let Err(error) = past.map(|_sealed| ()).and(prints) {
            self.failed(&error);
        }
    }

    /// One line for any number of failures in a row.
    fn failed(&mut self, error: &AgentError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(error = %chain(error), "cannot store; trying again");
        }
    }
}

/// The moment of a day from which on batches are made; midnight where no chance can be had.
fn seal_from(date: UtcDate) -> (UtcDate, UnixSeconds) {
    let share = entropy::bytes().map_or(0, u16::from_be_bytes);
    let after = SEAL_WITHIN.as_secs().saturating_mul(share.into()) >> 16;
    (date, UnixSeconds(date.start().0.saturating_add(after)))
}

#[cfg(test)]
mod tests;
