//! From `OctoPrint`'s answers and events to readings: one state, so that a print counts once.
//!
//! Events decide while the socket is up. The polled state decides when it is down, once after each
//! connection, and when it contradicts the events for several polls, because then one was lost.
//! Pure: no connection, no clock.

use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome};

use super::wire::{Activity, FaultCode, JobAnswer, Printer, Push};
use crate::reading::{Ended, Said, Sliced};
use crate::sources::snapshot::grams;

/// Polls that must contradict the events before they are believed; above the time that a
/// `PrintDone` can wait in the socket's queue.
const CONTRADICTIONS: u32 = 4;

/// What is known of the print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was read yet.
    Unseen,
    /// No print runs.
    Idle,
    /// A print runs or waits.
    Active {
        /// Whether it waits.
        paused: bool,
        /// Whether an event announced it, so that a further announcement is a new print.
        announced: bool,
    },
}

/// One `OctoPrint` and its print.
#[derive(Clone, Debug)]
pub struct Session {
    phase: Phase,
    socket_up: bool,
    must_sync: bool,
    contradictions: u32,
    seconds: f64,
    material: Option<MaterialFamily>,
    plan_told: bool,
}

impl Session {
    /// Starts with what the owner says is loaded.
    pub fn new(material: Option<MaterialFamily>) -> Self {
        Self {
            phase: Phase::Unseen,
            socket_up: false,
            must_sync: true,
            contradictions: 0,
            seconds: 0.0,
            material,
            plan_told: false,
        }
    }

    /// The push socket is up: events decide from now on.
    pub fn socket_opened(&mut self) {
        self.socket_up = true;
        self.must_sync = true;
    }

    /// The push socket is down: the polled state decides from now on.
    pub fn socket_closed(&mut self) {
        self.socket_up = false;
    }

    /// Takes an event.
    pub fn on_push(&mut self, push: Push) -> Vec<Said> {
        match push {
            Push::Started => self.on_started(),
            Push::Paused => self.set_paused(true),
            Push::Resumed => self.set_paused(false),
            Push::Done(seconds) => self.end(Outcome::Done, seconds),
            Push::Cancelled(seconds) => self.end(Outcome::StoppedByUser, seconds),
            Push::Failed(seconds) => self.end(Outcome::Fault, seconds),
            Push::Lost(seconds) => self.end(Outcome::HostLost, seconds),
            Push::Ended(seconds) => self.end(Outcome::Unspecified, seconds),
            Push::Fault(code) => vec![Said::Fault(family(code))],
            Push::Reauthenticate | Push::Nothing => Vec::new(),
        }
    }

    /// Takes a polled state: `printer` is `None` when `OctoPrint` has no printer (status 409).
    pub fn on_poll(&mut self, printer: Option<&Printer>, job: &JobAnswer) -> Vec<Said> {
        let activity = printer.map_or(Activity::Closed { by_error: false }, Printer::activity);
        let mut said = self.reconcile(activity, job);
        if matches!(self.phase, Phase::Active { .. }) {
            if let Some(seconds) = job.seconds() {
                self.seconds = self.seconds.max(seconds);
            }
            said.extend(self.plan(job));
        }
        said.extend(printer.and_then(Printer::heaters).map(Said::Heaters));
        said
    }

    fn on_started(&mut self) -> Vec<Said> {
        let known = matches!(self.phase, Phase::Active { announced: false, .. });
        self.phase = Phase::Active { paused: false, announced: true };
        self.contradictions = 0;
        if known {
            return Vec::new();
        }
        self.seconds = 0.0;
        self.plan_told = false;
        let loaded = self
            .material
            .map(|family| Said::Sliced(Sliced { family: Some(family), ..Sliced::default() }));
        [Some(Said::Started), loaded].into_iter().flatten().collect()
    }

    fn set_paused(&mut self, pause: bool) -> Vec<Said> {
        match self.phase {
            Phase::Active { paused, announced } if paused != pause => {
                self.phase = Phase::Active { paused: pause, announced };
                vec![if pause { Said::Paused { by_run_out: false } } else { Said::Resumed }]
            }
            _ => Vec::new(),
        }
    }

    /// Ends the print, once: a cancelled print is announced twice.
    fn end(&mut self, outcome: Outcome, seconds: Option<f64>) -> Vec<Said> {
        let was = std::mem::replace(&mut self.phase, Phase::Idle);
        self.contradictions = 0;
        match was {
            Phase::Active { .. } => {
                vec![Said::Ended(Ended { outcome, seconds, amount: None, phase: None })]
            }
            Phase::Idle | Phase::Unseen => Vec::new(),
        }
    }

    fn reconcile(&mut self, activity: Activity, job: &JobAnswer) -> Vec<Said> {
        if self.phase == Phase::Unseen {
            self.must_sync = false;
            return self.first_look(activity);
        }
        let agrees = match self.phase {
            Phase::Active { paused, .. } => match activity {
                Activity::Printing => !paused,
                Activity::Paused => paused,
                Activity::Idle | Activity::Closed { .. } => false,
            },
            Phase::Idle | Phase::Unseen => {
                matches!(activity, Activity::Idle | Activity::Closed { .. })
            }
        };
        let restarted_count = matches!(self.phase, Phase::Active { .. })
            && job.seconds().is_some_and(|seconds| seconds + 5.0 < self.seconds);
        if agrees && !restarted_count {
            self.must_sync = false;
            self.contradictions = 0;
            return Vec::new();
        }
        self.contradictions = self.contradictions.saturating_add(1);
        let believed = !self.socket_up
            || std::mem::take(&mut self.must_sync)
            || self.contradictions >= CONTRADICTIONS;
        if !believed {
            return Vec::new();
        }
        self.contradictions = 0;
        self.must_sync = false;
        self.believe(activity, job, restarted_count)
    }

    /// A print that runs at the first look has no known start.
    fn first_look(&mut self, activity: Activity) -> Vec<Said> {
        match activity {
            Activity::Idle | Activity::Closed { .. } => {
                self.phase = Phase::Idle;
                Vec::new()
            }
            Activity::Printing | Activity::Paused => self.already_running(activity),
        }
    }

    /// A print runs or waits whose start nobody saw.
    fn already_running(&mut self, activity: Activity) -> Vec<Said> {
        let mut said = vec![Said::AlreadyRunning];
        self.phase = Phase::Active { paused: false, announced: false };
        if activity == Activity::Paused {
            said.extend(self.set_paused(true));
        }
        said
    }

    /// Takes the polled state as it is.
    fn believe(&mut self, activity: Activity, job: &JobAnswer, new_count: bool) -> Vec<Said> {
        match (self.phase, activity) {
            (Phase::Active { .. }, Activity::Idle) => {
                let outcome = if job.is_complete() {
                    Outcome::Done
                } else if job.has_file() {
                    // Cancelled or failed: the polled state does not tell which.
                    Outcome::Unspecified
                } else {
                    Outcome::HostLost
                };
                let seconds = job.seconds().filter(|_| job.is_complete());
                self.end(outcome, seconds)
            }
            (Phase::Active { .. }, Activity::Closed { by_error }) => {
                self.end(if by_error { Outcome::Fault } else { Outcome::HostLost }, None)
            }
            (Phase::Active { .. }, Activity::Printing | Activity::Paused) if new_count => {
                // The count of seconds began anew: another print, whose start nobody saw.
                let mut said = self.end(Outcome::Unspecified, None);
                self.seconds = 0.0;
                self.plan_told = false;
                said.extend(self.already_running(activity));
                said
            }
            (Phase::Active { .. }, Activity::Printing) => self.set_paused(false),
            (Phase::Active { .. }, Activity::Paused) => self.set_paused(true),
            (_, Activity::Printing | Activity::Paused) => {
                let mut said = self.on_started();
                self.phase = Phase::Active { paused: false, announced: false };
                if activity == Activity::Paused {
                    said.extend(self.set_paused(true));
                }
                said
            }
            (Phase::Idle | Phase::Unseen, Activity::Idle | Activity::Closed { .. }) => Vec::new(),
        }
    }

    /// What the job plans, once, when `OctoPrint`'s analysis is there.
    fn plan(&mut self, job: &JobAnswer) -> Option<Said> {
        if self.plan_told {
            return None;
        }
        let seconds = job.planned_seconds();
        let volume = job.planned_volume();
        if seconds.is_none() && volume.is_none() {
            return None;
        }
        self.plan_told = true;
        Some(Said::Sliced(Sliced {
            seconds,
            amount: volume.and_then(|volume| grams(volume, self.material)),
            family: self.material,
            ..Sliced::default()
        }))
    }
}

/// The family of a code.
fn family(code: FaultCode) -> FaultFamily {
    match code {
        FaultCode::Heater => FaultFamily::Heater,
        FaultCode::Probing => FaultFamily::Levelling,
        FaultCode::Link => FaultFamily::Communication,
        FaultCode::Firmware => FaultFamily::Firmware,
        FaultCode::Other => FaultFamily::Other,
    }
}
