//! What is read of a Bambu Lab printer's reports, and nothing else.
//!
//! Only `print` messages with the command `push_status` have a place; log lines (`mc_print`), answers
//! to other clients' commands and version lists have none. No struct has a field for a name, a path,
//! an address, a serial number, a radio tag, a camera or a network. Some firmware sends numbers as
//! texts; what is no number is unknown.

use std::collections::BTreeMap;

use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome};
use serde::Deserialize;

use super::faults;
use super::values::{Family, Number};
use crate::reading::{Heater, Heaters, Sliced};
use crate::sources::mark::Mark;
use crate::sources::snapshot::{Activity, Snapshot};

/// No sensor of these printers shows more, degrees Celsius.
const CELSIUS: std::ops::RangeInclusive<f64> = -50.0..=600.0;

/// Material units and faults that are kept: no printer has more units than eight.
const KEPT_MAX: usize = 16;

/// The spool beside the units.
const OUTSIDE: u64 = 254;

/// Trays of a unit.
const TRAYS: u64 = 4;

/// One report: what it holds replaces what is known.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    print: Option<Report>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    command: Option<Command>,
    gcode_state: Option<State>,
    nozzle_temper: Number,
    nozzle_target_temper: Number,
    bed_temper: Number,
    bed_target_temper: Number,
    print_error: Number,
    mc_percent: Number,
    #[serde(rename = "mc_remaining_time")]
    remaining_minutes: Number,
    nozzle_diameter: Number,
    hms: Option<Vec<Health>>,
    task_id: Option<Mark>,
    subtask_id: Option<Mark>,
    ams: Option<Units>,
    vt_tray: Option<Tray>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    PushStatus,
    #[serde(other)]
    Unnamed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum State {
    Idle,
    Prepare,
    Slicing,
    Running,
    Pause,
    Finish,
    Failed,
    #[serde(other)]
    Unnamed,
}

/// A health message: two numbers.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Health {
    attr: Number,
    code: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Units {
    ams: Option<Vec<Unit>>,
    tray_now: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Unit {
    id: Number,
    tray: Option<Vec<Tray>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tray {
    id: Number,
    tray_type: Option<Family>,
}

/// One printer as its reports add up.
#[derive(Clone, Debug, Default)]
pub struct Known {
    state: Option<State>,
    nozzle: (Option<f64>, Option<f64>),
    bed: (Option<f64>, Option<f64>),
    error: Option<u64>,
    percent: Option<f64>,
    remaining: Option<f64>,
    diameter: Option<f64>,
    health: Vec<(u64, u64)>,
    task: Option<Mark>,
    subtask: Option<Mark>,
    tray_now: Option<u64>,
    trays: BTreeMap<u64, MaterialFamily>,
}

impl Known {
    /// Takes a message; gives what is known now, or `None` when it was no report.
    ///
    /// # Errors
    /// When it is no message of a printer's at all.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Snapshot>, NotAReport> {
        let message: Message = serde_json::from_slice(bytes).map_err(|_other| NotAReport)?;
        let Some(report) = message.print.filter(|r| r.command == Some(Command::PushStatus)) else {
            return Ok(None);
        };
        self.merge(report);
        Ok(Some(self.shown()))
    }

    fn merge(&mut self, report: Report) {
        let put = |known: &mut Option<f64>, told: Number| *known = told.0.or(*known);
        put(&mut self.nozzle.0, report.nozzle_temper);
        put(&mut self.nozzle.1, report.nozzle_target_temper);
        put(&mut self.bed.0, report.bed_temper);
        put(&mut self.bed.1, report.bed_target_temper);
        put(&mut self.percent, report.mc_percent);
        put(&mut self.remaining, report.remaining_minutes);
        put(&mut self.diameter, report.nozzle_diameter);
        self.state = report.gcode_state.or(self.state);
        self.error = report.print_error.whole().or(self.error);
        self.task = report.task_id.or(self.task);
        self.subtask = report.subtask_id.or(self.subtask);
        if let Some(health) = report.hms {
            let codes = health.iter().filter_map(|one| one.attr.whole().zip(one.code.whole()));
            self.health = codes.take(KEPT_MAX).collect();
        }
        if let Some(units) = report.ams {
            self.tray_now = units.tray_now.whole().or(self.tray_now);
            for unit in units.ams.unwrap_or_default().into_iter().take(KEPT_MAX) {
                let Some(first) = unit.id.whole().and_then(|id| id.checked_mul(TRAYS)) else {
                    continue;
                };
                for tray in unit.tray.unwrap_or_default() {
                    let at = tray.id.whole().filter(|id| *id < TRAYS);
                    self.load(at.and_then(|id| first.checked_add(id)), tray.tray_type);
                }
            }
        }
        if let Some(tray) = report.vt_tray {
            self.load(Some(OUTSIDE), tray.tray_type);
        }
    }

    fn load(&mut self, at: Option<u64>, told: Option<Family>) {
        let (Some(at), Some(Family(family))) = (at, told) else { return };
        self.trays.remove(&at);
        if let Some(family) = family.filter(|_| self.trays.len() < KEPT_MAX) {
            self.trays.insert(at, family);
        }
    }

    fn shown(&self) -> Snapshot {
        Snapshot {
            activity: self.activity(),
            job: self.job(),
            heaters: Heaters {
                nozzle: heater(self.nozzle),
                bed: heater(self.bed),
                ..Heaters::default()
            },
            fault: self.fault(),
            plan: self.plan(),
            ..Snapshot::default()
        }
    }

    fn activity(&self) -> Activity {
        match self.state {
            Some(State::Prepare | State::Running) => Activity::Printing,
            Some(State::Pause) => {
                Activity::Paused { by_run_out: self.fault() == Some(FaultFamily::RunOut) }
            }
            Some(State::Finish) => Activity::Ended(Outcome::Done),
            Some(State::Failed) => Activity::Ended(match self.error {
                None | Some(0) => Outcome::Unspecified,
                Some(faults::CANCELLED) => Outcome::StoppedByUser,
                Some(_) => Outcome::Fault,
            }),
            Some(State::Idle) => Activity::Idle,
            // Slicing goes before a print, and a print may not follow.
            Some(State::Slicing | State::Unnamed) | None => Activity::Unknown,
        }
    }

    /// Prints from the local network have the numbers 0, which tell nothing.
    fn job(&self) -> Option<u64> {
        let none = [Mark::of(""), Mark::of("0"), Mark::of(&0_u64)];
        let telling = |mark: &Mark| !none.contains(mark);
        [self.task, self.subtask].into_iter().flatten().find(telling).map(Mark::number)
    }

    fn fault(&self) -> Option<FaultFamily> {
        let error = self.error.and_then(faults::of_error);
        error
            .or_else(|| self.health.iter().find_map(|(attr, code)| faults::of_health(*attr, *code)))
    }

    /// What a print plans: its whole time is known before any of it is printed, in minutes.
    fn plan(&self) -> Option<Sliced> {
        let begins = self.state == Some(State::Running) && self.percent == Some(0.0);
        let minutes = self.remaining.filter(|minutes| begins && *minutes > 0.0)?;
        Some(Sliced {
            seconds: Some(minutes * 60.0),
            family: self.tray_now.and_then(|at| self.trays.get(&at).copied()),
            nozzle: self.diameter.filter(|millimetres| *millimetres > 0.0),
            ..Sliced::default()
        })
    }
}

/// It is no message of a printer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAReport;

fn heater((actual, target): (Option<f64>, Option<f64>)) -> Option<Heater> {
    let sane = |celsius: &f64| CELSIUS.contains(celsius);
    let target = target.filter(|celsius| *celsius >= 0.0 && sane(celsius))?;
    Some(Heater { actual: actual.filter(sane)?, target })
}
