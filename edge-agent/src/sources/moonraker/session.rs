//! From Moonraker's messages to readings: changes merged into one state, transitions told once.
//!
//! The host's state goes before the print's: after an emergency stop or a lost controller the print
//! still says `paused`, and only the host says `shutdown`. Pure: no connection, no clock.

mod gap;

use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome};

use self::gap::{Held, InHistory};
use super::wire::{
    Answer, Call, CallId, Frame, HeaterChange, HostState, Metadata, PrintState, Status,
};
use crate::reading::{Ended, Heater, Heaters, Said, Sliced, UnixSeconds};

/// Without a change the heaters are told again after this many seconds, so that time is counted.
const HEARTBEAT_SECONDS: u64 = 30;

/// Moonraker 0.11 gives a refused key the JSON-RPC code of invalid parameters; those of the agent's
/// own calls are valid.
const UNAUTHORIZED: i64 = -32602;

/// The host's count of seconds goes back by fractions around a pause; a new print's by more.
const COUNT_JITTER: f64 = 5.0;

/// What follows from a message.
#[derive(Debug, Default)]
pub struct Step {
    /// Readings, in order.
    pub said: Vec<Said>,
    /// What to ask next.
    pub ask: Option<Call>,
    /// Why the connection is of no use.
    pub obstacle: Option<Obstacle>,
}

/// Why a connection is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The key is refused, or one is needed.
    Refused,
    /// The printer host does not answer yet; it will say when it does.
    HostAway,
}

/// What is known of the print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Unseen,
    Idle,
    Active { paused: bool },
}

/// One Moonraker and its print.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    status: Status,
    job: InHistory,
    was_away: bool,
    held: Option<Held>,
    plan: Metadata,
    material: Option<MaterialFamily>,
    host_down: bool,
    heaters_told: Option<(Heaters, UnixSeconds)>,
    laser_told: Option<f64>,
    every: u64,
}

impl Session {
    /// Starts with what the owner says is loaded, and the shortest time between two tellings of the
    /// heaters in seconds.
    pub fn new(material: Option<MaterialFamily>, every: u64) -> Self {
        Self {
            phase: Phase::Unseen,
            status: Status::default(),
            job: InHistory::NotAsked,
            was_away: false,
            held: None,
            plan: Metadata::default(),
            material,
            host_down: false,
            heaters_told: None,
            laser_told: None,
            every,
        }
    }

    /// A new connection: what is told next is complete.
    pub fn connected(&mut self) {
        self.heaters_told = None;
        self.laser_told = None;
        self.was_away = true;
        self.held = None;
    }

    /// Takes a message.
    pub fn on_frame(&mut self, frame: Frame, at: UnixSeconds) -> Step {
        match frame {
            Frame::Answer(id, answer) => self.on_answer(id, answer, at),
            Frame::Update(change) => match self.hold(change) {
                Some(change) => self.on_status(&change, at),
                None => Step::default(),
            },
            Frame::HostReady => {
                let said = self.host_up();
                Step { said, ask: Some(Call::Subscribe), obstacle: None }
            }
            Frame::HostShutdown => self.only(Self::host_shut_down),
            Frame::HostGone => self.only(Self::host_gone),
            Frame::Nothing => Step::default(),
        }
    }

    /// Time passes without a message.
    pub fn on_tick(&mut self, at: UnixSeconds) -> Step {
        if let Some(step) = self.still_held(at) {
            return step;
        }
        let said = if self.host_down { Vec::new() } else { self.measured(at) };
        Step { said, ..Step::default() }
    }

    fn on_answer(&mut self, id: CallId, answer: Answer, at: UnixSeconds) -> Step {
        match (id, answer) {
            (CallId::Identify, Answer::Done) => {
                Step { ask: Some(Call::Subscribe), ..Step::default() }
            }
            (CallId::Identify | CallId::Subscribe, Answer::Failed(401 | 403 | UNAUTHORIZED)) => {
                Step { obstacle: Some(Obstacle::Refused), ..Step::default() }
            }
            (CallId::Identify | CallId::Subscribe, Answer::Failed(_)) => {
                Step { obstacle: Some(Obstacle::HostAway), ..Step::default() }
            }
            (CallId::Subscribe, Answer::Status(status)) => self.on_complete(status, at),
            (CallId::CurrentFile, Answer::File(Some(name))) if self.is_active() => {
                Step { ask: Some(Call::Metadata(name)), ..Step::default() }
            }
            (CallId::CurrentFile, _) => Step { ask: self.which_job(), ..Step::default() },
            (CallId::Metadata, answer) => {
                let said = match answer {
                    Answer::Metadata(plan) if self.is_active() => {
                        self.plan = plan;
                        vec![Said::Sliced(self.plan.sliced)]
                    }
                    _ => Vec::new(),
                };
                Step { said, ask: self.which_job(), ..Step::default() }
            }
            (CallId::History, Answer::History(jobs)) => self.on_history(&jobs, at),
            (CallId::History, _) => self.on_history(&[], at),
            _ => Step::default(),
        }
    }

    /// Merges a change and tells what it means: the end of a print before its heaters go off.
    fn on_status(&mut self, change: &Status, at: UnixSeconds) -> Step {
        let before = self.status;
        self.status = merged(before, change);
        let mut step = Step::default();
        match change.host {
            Some(HostState::Ready) => step.said.extend(self.host_up()),
            Some(HostState::Shutdown | HostState::Error) => {
                step.said.extend(self.host_shut_down());
            }
            Some(HostState::Startup | HostState::Unnamed) | None => {}
        }
        if !self.host_down && (change.print.is_some() || change.seconds.is_some()) {
            self.on_print_state(&before, &mut step);
        }
        step.said.extend(self.light());
        step.said.extend(self.measured(at));
        step
    }

    fn on_print_state(&mut self, before: &Status, step: &mut Step) {
        let Some(print) = self.status.print else { return };
        let first_look = self.phase == Phase::Unseen;
        match print {
            PrintState::Printing | PrintState::Paused => {
                let paused = print == PrintState::Paused;
                let count_began_anew = self.is_active()
                    && before
                        .seconds
                        .zip(self.status.seconds)
                        .is_some_and(|(old, new)| new + COUNT_JITTER < old);
                if count_began_anew {
                    // An end was missed: the print that runs now has no known start.
                    step.said.extend(self.end(Outcome::Unspecified, None, None));
                }
                match self.phase {
                    Phase::Active { paused: was } if was != paused => {
                        step.said.push(if paused { self.pause() } else { Said::Resumed });
                    }
                    Phase::Active { .. } => {}
                    Phase::Unseen | Phase::Idle => {
                        let unknown_start = first_look || count_began_anew;
                        self.job =
                            if unknown_start { InHistory::NotAsked } else { InHistory::Wanted };
                        self.plan = Metadata::default();
                        step.said.push(if unknown_start {
                            Said::AlreadyRunning
                        } else {
                            Said::Started
                        });
                        step.said.extend(self.loaded());
                        if paused {
                            step.said.push(self.pause());
                        }
                        step.ask = Some(Call::CurrentFile);
                    }
                }
                self.phase = Phase::Active { paused };
            }
            PrintState::Complete => step.said.extend(self.end_counted(Outcome::Done)),
            PrintState::Cancelled => step.said.extend(self.end_counted(Outcome::StoppedByUser)),
            PrintState::Error => {
                if self.is_active() {
                    step.said.push(Said::Fault(FaultFamily::Other));
                }
                step.said.extend(self.end_counted(Outcome::Fault));
            }
            // The host forgot the print: it was restarted meanwhile.
            PrintState::Standby => step.said.extend(self.end(Outcome::HostLost, None, None)),
            PrintState::Unnamed => {}
        }
    }

    fn pause(&self) -> Said {
        Said::Paused { by_run_out: self.status.material_there == Some(false) }
    }

    fn only(&mut self, act: fn(&mut Self) -> Vec<Said>) -> Step {
        Step { said: act(self), ..Step::default() }
    }

    /// The host is ready: after a shutdown that is a restart of the controller.
    fn host_up(&mut self) -> Vec<Said> {
        if std::mem::take(&mut self.host_down) { vec![Said::Restarted] } else { Vec::new() }
    }

    /// The host shut the controller down. Why is told only in words, which are not read, so that
    /// the family is `Other`.
    fn host_shut_down(&mut self) -> Vec<Said> {
        if std::mem::replace(&mut self.host_down, true) {
            return Vec::new();
        }
        if self.phase == Phase::Unseen {
            // It happened before the agent looked.
            return Vec::new();
        }
        let mut said = vec![Said::Fault(FaultFamily::Other)];
        said.extend(self.end_counted(Outcome::Fault));
        said
    }

    /// The host program ended.
    fn host_gone(&mut self) -> Vec<Said> {
        self.host_down = true;
        self.end_counted(Outcome::HostLost).into_iter().collect()
    }

    /// Ends the print, once, while the counters still are this print's.
    fn end_counted(&mut self, outcome: Outcome) -> Option<Said> {
        self.end(outcome, self.status.seconds, self.status.filament_mm)
    }

    /// Ends the print, once, with its own seconds and millimetres.
    fn end(
        &mut self,
        outcome: Outcome,
        seconds: Option<f64>,
        filament_mm: Option<f64>,
    ) -> Option<Said> {
        let was = std::mem::replace(&mut self.phase, Phase::Idle);
        self.job = InHistory::NotAsked;
        if !matches!(was, Phase::Active { .. }) {
            return None;
        }
        let amount = self.grams(filament_mm);
        Some(Said::Ended(Ended { outcome, seconds, amount, phase: None }))
    }

    /// What the owner says is loaded; the file may know better, and is asked.
    fn loaded(&self) -> Option<Said> {
        self.material
            .map(|family| Said::Sliced(Sliced { family: Some(family), ..Sliced::default() }))
    }

    /// Grams of so many millimetres, by what the file says of both.
    fn grams(&self, filament_mm: Option<f64>) -> Option<f64> {
        let (grams, planned) = self.plan.sliced.amount.zip(self.plan.filament_mm)?;
        Some(filament_mm? * grams / planned)
    }

    fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active { .. })
    }

    /// The light source, when it changed.
    fn light(&mut self) -> Option<Said> {
        let percent = (self.status.laser? * 100.0).clamp(0.0, 100.0);
        if self.laser_told == Some(percent) {
            return None;
        }
        self.laser_told = Some(percent);
        Some(Said::Laser(percent))
    }

    /// The heaters, when a set-point changed, when the time has come, or as a heartbeat.
    fn measured(&mut self, at: UnixSeconds) -> Vec<Said> {
        let now = Heaters {
            nozzle: heater(self.status.nozzle),
            bed: heater(self.status.bed),
            process: heater(self.status.process),
            electronics: self.status.electronics,
        };
        if now == Heaters::default() {
            return Vec::new();
        }
        let due = self.heaters_told.is_none_or(|(told, then)| {
            let passed = at.0.saturating_sub(then.0);
            targets(&told) != targets(&now)
                || (told != now && passed >= self.every)
                || passed >= HEARTBEAT_SECONDS
        });
        if !due {
            return Vec::new();
        }
        self.heaters_told = Some((now, at));
        vec![Said::Heaters(now)]
    }
}

fn merged(old: Status, change: &Status) -> Status {
    let heater = |old: HeaterChange, change: HeaterChange| HeaterChange {
        actual: change.actual.or(old.actual),
        target: change.target.or(old.target),
    };
    Status {
        host: change.host.or(old.host),
        print: change.print.or(old.print),
        seconds: change.seconds.or(old.seconds),
        filament_mm: change.filament_mm.or(old.filament_mm),
        nozzle: heater(old.nozzle, change.nozzle),
        bed: heater(old.bed, change.bed),
        process: heater(old.process, change.process),
        electronics: change.electronics.or(old.electronics),
        laser: change.laser.or(old.laser),
        material_there: change.material_there.or(old.material_there),
    }
}

fn heater(state: HeaterChange) -> Option<Heater> {
    Some(Heater { actual: state.actual?, target: state.target.unwrap_or(0.0) })
}

fn targets(heaters: &Heaters) -> [Option<f64>; 3] {
    [heaters.nozzle, heaters.bed, heaters.process].map(|heater| Some(heater?.target))
}
