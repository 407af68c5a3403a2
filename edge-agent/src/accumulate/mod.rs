//! The accumulator: from readings to finished prints and days, the only things that can be told.
//!
//! A state machine without clock and without I/O: time is what the readings say. It keeps values of
//! the current print and day only, drops a print whose start it did not see, counts each start
//! once, and never fills in what nobody said. Positions and progress do not enter it.

mod day;
mod faults;
mod heater;
mod print;
pub mod report;

use std::collections::BTreeMap;

use imprimatur_proto::capacity::PRINTS_A_DAY;
use imprimatur_proto::telemetry::v1::{FaultFamily, Outcome};
use imprimatur_runtime::UtcDate;

pub use self::day::FinishedDay;
use self::day::OpenDay;
pub use self::faults::FaultLog;
use self::heater::seconds_between;
pub use self::print::FinishedPrint;
use self::print::{OpenPrint, Span};
use crate::reading::{Ended, Heaters, Reading, Said, UnixSeconds};

/// A longer silence than this was not observed: the host slept, or its clock was set. Seconds.
const SILENCE_MAX: f64 = 600.0;

/// Dates whose counts of reported prints are kept; no print lasts longer than this many days.
const DATES_KEPT: usize = 32;

/// Something that is over and can be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Finished {
    /// A print.
    Print(Box<FinishedPrint>),
    /// A day.
    Day(Box<FinishedDay>),
}

/// The print as it is now.
#[derive(Clone, Debug)]
enum Running {
    /// None.
    Nothing,
    /// One whose start was not seen.
    Unseen,
    /// One whose start was seen.
    Seen(Box<OpenPrint>),
}

/// Takes readings, gives finished prints and days.
#[derive(Clone, Debug)]
pub struct Accumulator {
    last: Option<UnixSeconds>,
    online: bool,
    running: Running,
    paused: bool,
    heaters: Heaters,
    laser: f64,
    day: OpenDay,
    faults: FaultLog,
    reported: BTreeMap<UtcDate, u32>,
}

impl Default for Accumulator {
    fn default() -> Self {
        Self::new(FaultLog::default())
    }
}

impl Accumulator {
    /// Starts empty, with the faults that are known.
    ///
    /// Make a new one at each grant, so that nothing from before it can be told.
    pub fn new(faults: FaultLog) -> Self {
        Self {
            last: None,
            online: false,
            running: Running::Nothing,
            paused: false,
            heaters: Heaters::default(),
            laser: 0.0,
            day: OpenDay::default(),
            faults,
            reported: BTreeMap::new(),
        }
    }

    /// Takes a reading; gives what ended by it, in order of time.
    ///
    /// A reading that is older than the one before counts as simultaneous with it.
    pub fn observe(&mut self, reading: Reading) -> Vec<Finished> {
        let mut finished = self.advance(reading.at);
        let at = self.last.unwrap_or(reading.at);
        let ended = match reading.said {
            Said::Started => self.start(at),
            Said::AlreadyRunning => self.already_running(at),
            Said::Ended(how) => self.end(at, how),
            other => {
                self.note(&other, at);
                None
            }
        };
        finished.extend(ended.map(|print| Finished::Print(Box::new(print))));
        finished
    }

    /// Lets time pass without a reading; gives the days that ended meanwhile and were observed.
    pub fn advance(&mut self, now: UnixSeconds) -> Vec<Finished> {
        let Some(mut last) = self.last else {
            self.last = Some(now);
            self.day = OpenDay::new(now.date());
            self.faults.watch(now);
            return Vec::new();
        };
        let mut finished = Vec::new();
        let observed = self.online && seconds_between(last, now) <= SILENCE_MAX;
        while last < now {
            let midnight = UnixSeconds(u64::from(self.day.date().0).saturating_add(1) * 86_400);
            // Beyond the first midnight only an observed silence of minutes can go on.
            let until = now.min(midnight).max(last);
            self.pass(seconds_between(last, until), observed);
            last = until;
            if last >= midnight {
                let date = if observed { midnight.date() } else { now.date() };
                finished.extend(self.roll(date).map(|day| Finished::Day(Box::new(day))));
                if !observed {
                    self.pass(seconds_between(last, now), false);
                    last = now;
                }
            }
        }
        self.last = Some(last);
        finished
    }

    /// The current day so far; `None` before the first reading.
    pub fn day(&self) -> Option<FinishedDay> {
        self.last.map(|_| self.day.finish())
    }

    /// Ends the current day now, for an agent that stops or was asked to tell what it has; the same
    /// date goes on from zero, so that nothing is told twice. `None` when nothing came.
    pub fn close_day(&mut self) -> Option<FinishedDay> {
        let date = self.day.date();
        self.roll(date)
    }

    /// Goes on under a clock that was moved: what runs and what was noted moves with it. Ends the
    /// current day; gives it, as it was dated before, unless nothing came.
    pub fn move_by(&mut self, moved: impl Fn(UnixSeconds) -> UnixSeconds) -> Option<FinishedDay> {
        let last = moved(self.last?);
        self.last = Some(last);
        self.day.offline();
        let day = self.roll(last.date());
        self.faults.move_by(&moved);
        if let Running::Seen(print) = &mut self.running {
            print.move_by(&moved);
        }
        // Counted by dates that were none; the core counts again.
        self.reported.clear();
        day
    }

    /// Forgets the faults: they are told from a grant on.
    pub fn faults_granted(&mut self, at: UnixSeconds) {
        self.faults = FaultLog::from_grant(at);
    }

    /// Forgets the print that runs: nothing of it will be told.
    pub fn forget_print(&mut self) {
        if self.is_printing() {
            self.running = Running::Unseen;
        }
    }

    /// Whether a print runs whose start was seen.
    pub fn is_printing(&self) -> bool {
        matches!(self.running, Running::Seen(_))
    }

    /// Takes a reading that neither starts nor ends a print.
    fn note(&mut self, said: &Said, at: UnixSeconds) {
        match *said {
            Said::Online(source) => {
                self.online = true;
                self.day.online(source);
            }
            Said::Offline => {
                self.online = false;
                self.day.offline();
            }
            Said::Paused { by_run_out } => self.pause(by_run_out),
            Said::Resumed => self.paused = false,
            Said::Heaters(heaters) => {
                self.online = true;
                self.heaters = finite(heaters);
                self.day.read(&self.heaters, at);
                if let Running::Seen(print) = &mut self.running {
                    print.read(&self.heaters);
                }
            }
            Said::Laser(percent) => self.light(percent),
            Said::Fault(family) => self.fault(family, at),
            Said::Restarted => self.day.restarts = self.day.restarts.saturating_add(1),
            Said::Sliced(ref sliced) => {
                if let Running::Seen(print) = &mut self.running {
                    self.day.printed(sliced);
                    print.sliced(*sliced);
                }
            }
            Said::SlicedFile(ref sliced) => self.day.sliced(sliced),
            // Decided by `observe`.
            Said::Started | Said::AlreadyRunning | Said::Ended(_) => {}
        }
    }

    fn start(&mut self, at: UnixSeconds) -> Option<FinishedPrint> {
        let before = self.end(at, unexplained(Outcome::HostLost));
        self.online = true;
        self.day.prints_started = self.day.prints_started.saturating_add(1);
        let recent = self.faults.before(at);
        self.running = Running::Seen(Box::new(OpenPrint::new(at, recent, &self.heaters)));
        before
    }

    fn already_running(&mut self, at: UnixSeconds) -> Option<FinishedPrint> {
        let before = self.end(at, unexplained(Outcome::Unspecified));
        self.online = true;
        self.running = Running::Unseen;
        before
    }

    /// Ends the print; it is told unless ten of its date were told before.
    fn end(&mut self, at: UnixSeconds, how: Ended) -> Option<FinishedPrint> {
        self.paused = false;
        let Running::Seen(open) = std::mem::replace(&mut self.running, Running::Nothing) else {
            return None;
        };
        let date = open.started().date();
        let print = open.finish(at, how);
        if print.outcome != Outcome::Done {
            self.day.stopped(&print);
        }
        let count = self.reported.entry(date).or_default();
        if *count >= PRINTS_A_DAY {
            self.day.prints_not_reported = self.day.prints_not_reported.saturating_add(1);
            return None;
        }
        *count += 1;
        while self.reported.len() > DATES_KEPT {
            self.reported.pop_first();
        }
        Some(print)
    }

    fn pause(&mut self, by_run_out: bool) {
        if self.paused || matches!(self.running, Running::Nothing) {
            return;
        }
        self.paused = true;
        let count =
            if by_run_out { &mut self.day.pauses_by_run_out } else { &mut self.day.pauses_by_user };
        *count = count.saturating_add(1);
    }

    fn light(&mut self, percent: f64) {
        if !(0.0..=100.0).contains(&percent) {
            return;
        }
        self.online = true;
        self.laser = percent;
        self.day.light();
        if let Running::Seen(print) = &mut self.running {
            print.light(percent);
        }
    }

    fn fault(&mut self, family: FaultFamily, at: UnixSeconds) {
        self.day.fault(family);
        self.faults.add(at);
        if let Running::Seen(print) = &mut self.running {
            print.fault(family);
        }
    }

    /// Adds time to the day and the print.
    fn pass(&mut self, seconds: f64, observed: bool) {
        if seconds <= 0.0 {
            return;
        }
        let runs = !matches!(self.running, Running::Nothing);
        if observed {
            self.day.pass(seconds, runs && !self.paused, self.laser);
        }
        if let Running::Seen(print) = &mut self.running {
            if observed {
                let span =
                    Span { seconds, paused: self.paused, heaters: self.heaters, laser: self.laser };
                print.pass(&span);
            } else {
                print.miss(seconds);
            }
        }
    }

    /// Begins another day; gives the old one unless nothing came in it.
    fn roll(&mut self, date: UtcDate) -> Option<FinishedDay> {
        let next = self.day.next(date, self.online);
        let old = std::mem::replace(&mut self.day, next);
        (!old.is_empty()).then(|| old.finish())
    }
}

fn unexplained(outcome: Outcome) -> Ended {
    Ended { outcome, seconds: None, amount: None, phase: None }
}

/// Heaters without readings that are no numbers.
fn finite(heaters: Heaters) -> Heaters {
    let sane = |heater: &crate::reading::Heater| {
        heater.actual.is_finite() && heater.target.is_finite() && heater.target >= 0.0
    };
    Heaters {
        nozzle: heaters.nozzle.filter(sane),
        bed: heaters.bed.filter(sane),
        process: heaters.process.filter(sane),
        electronics: heaters.electronics.filter(|celsius| celsius.is_finite()),
    }
}
