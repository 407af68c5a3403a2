//! From what a peer shows at one moment to readings: one print counts once, whatever is asked how often.
//!
//! For peers that show a state and send no events. What ends a print between two looks is told by the
//! state after it; a print that ran before the first look has no known start and is never told. Pure:
//! no connection, no clock.

use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome};

use crate::catalogue;
use crate::reading::{Ended, Heaters, Said, Sliced};

/// A count of seconds that goes back by more belongs to another print.
const COUNT_JITTER: f64 = 5.0;

/// What a peer does, as far as prints go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// It does not say, or in a word that is not listed: nothing follows from it.
    #[default]
    Unknown,
    /// No print, and nothing about the one before.
    Idle,
    /// A print runs; heating up and ending are part of it.
    Printing,
    /// A print waits.
    Paused {
        /// Whether the peer says that material ran out.
        by_run_out: bool,
    },
    /// No print runs any more, and this is how the last one ended.
    Ended(Outcome),
    /// The peer lost its printer.
    Closed {
        /// Whether it calls that an error.
        by_error: bool,
    },
}

/// What a peer shows at one moment. What it does not show is `None`, never zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// What it does.
    pub activity: Activity,
    /// What tells this print from the next, such as a hash of the peer's own number; stays here.
    pub job: Option<u64>,
    /// Printing time so far, seconds.
    pub seconds: Option<f64>,
    /// Material used so far, grams or millilitres.
    pub amount: Option<f64>,
    /// Heaters.
    pub heaters: Heaters,
    /// Light source, percent of full scale, 0 to 100.
    pub laser: Option<f64>,
    /// A fault that the peer shows now.
    pub fault: Option<FaultFamily>,
    /// What the file of the print says of itself.
    pub plan: Option<Sliced>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Unseen,
    Idle,
    Active { paused: bool },
}

/// One peer and its print.
#[derive(Clone, Debug)]
pub struct Watch {
    phase: Phase,
    job: Option<u64>,
    seconds: Option<f64>,
    amount: Option<f64>,
    material: Option<MaterialFamily>,
    plan_told: bool,
    fault: Option<FaultFamily>,
    laser: Option<f64>,
}

impl Watch {
    /// Starts with what the owner says is loaded.
    pub fn new(material: Option<MaterialFamily>) -> Self {
        Self {
            phase: Phase::Unseen,
            job: None,
            seconds: None,
            amount: None,
            material,
            plan_told: false,
            fault: None,
            laser: None,
        }
    }

    /// Whether a print runs or waits.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active { .. })
    }

    /// Takes what is shown now; gives what is new, in order.
    pub fn see(&mut self, shown: &Snapshot) -> Vec<Said> {
        // What ended a print belongs to it: it is told before the end.
        let ends = !matches!(shown.activity, Activity::Printing | Activity::Paused { .. });
        let mut said: Vec<Said> = if ends { self.fault(shown) } else { None }.into_iter().collect();
        said.extend(self.follow(shown));
        if let Phase::Active { .. } = self.phase {
            self.job = shown.job.or(self.job);
            self.seconds = count(shown.seconds).or(self.seconds);
            self.amount = count(shown.amount).or(self.amount);
            said.extend(self.plan(shown.plan));
        }
        said.extend(self.fault(shown));
        if shown.heaters != Heaters::default() {
            said.push(Said::Heaters(shown.heaters));
        }
        let laser = shown.laser.filter(|percent| (0.0..=100.0).contains(percent));
        if laser != self.laser {
            self.laser = laser;
            said.extend(laser.map(Said::Laser));
        }
        said
    }

    /// A fault, once while it is shown.
    fn fault(&mut self, shown: &Snapshot) -> Option<Said> {
        let before = std::mem::replace(&mut self.fault, shown.fault);
        shown.fault.filter(|fault| Some(*fault) != before).map(Said::Fault)
    }

    fn follow(&mut self, shown: &Snapshot) -> Vec<Said> {
        let active = self.is_active();
        match shown.activity {
            Activity::Unknown => Vec::new(),
            Activity::Printing | Activity::Paused { .. } if active && self.is_another(shown) => {
                self.begun_unseen(shown)
            }
            Activity::Printing => self.running(None),
            Activity::Paused { by_run_out } => self.running(Some(by_run_out)),
            Activity::Idle => self.over(Outcome::Unspecified, shown),
            Activity::Ended(outcome) => self.over(outcome, shown),
            Activity::Closed { by_error: true } => self.over(Outcome::Fault, shown),
            Activity::Closed { by_error: false } => self.over(Outcome::HostLost, shown),
        }
    }

    /// Whether a print runs that is not the one before: between two looks one ended and one began.
    fn is_another(&self, shown: &Snapshot) -> bool {
        let marked = shown.job.zip(self.job).is_some_and(|(now, before)| now != before);
        let fewer = |(now, before): (f64, f64)| now + COUNT_JITTER < before;
        marked || shown.seconds.zip(self.seconds).is_some_and(fewer)
    }

    /// The one before ended in a way that nobody saw, and nobody saw this one begin.
    fn begun_unseen(&mut self, shown: &Snapshot) -> Vec<Said> {
        let mut said = self.end(Outcome::Unspecified, None, None);
        self.phase = Phase::Unseen;
        let paused = match shown.activity {
            Activity::Paused { by_run_out } => Some(by_run_out),
            _ => None,
        };
        said.extend(self.running(paused));
        said
    }

    /// A print runs, or waits when `paused` says why.
    fn running(&mut self, paused: Option<bool>) -> Vec<Said> {
        let before = std::mem::replace(&mut self.phase, Phase::Active { paused: paused.is_some() });
        let mut said = Vec::new();
        let was_paused = match before {
            Phase::Unseen => {
                said.push(Said::AlreadyRunning);
                false
            }
            Phase::Idle => {
                said.push(Said::Started);
                let family = self.material;
                let loaded = family.map(|_| Sliced { family, ..Sliced::default() });
                said.extend(loaded.map(Said::Sliced));
                false
            }
            Phase::Active { paused } => paused,
        };
        match paused {
            Some(by_run_out) if !was_paused => said.push(Said::Paused { by_run_out }),
            None if was_paused => said.push(Said::Resumed),
            _ => {}
        }
        said
    }

    fn over(&mut self, outcome: Outcome, shown: &Snapshot) -> Vec<Said> {
        let seconds = count(shown.seconds).or(self.seconds);
        let amount = count(shown.amount).or(self.amount);
        match self.phase {
            Phase::Active { .. } => {
                // A count that ran out belongs to a whole print only.
                let seconds = seconds.filter(|_| outcome == Outcome::Done);
                self.end(outcome, seconds, amount)
            }
            Phase::Unseen | Phase::Idle => {
                self.phase = Phase::Idle;
                Vec::new()
            }
        }
    }

    fn end(&mut self, outcome: Outcome, seconds: Option<f64>, amount: Option<f64>) -> Vec<Said> {
        *self = Self {
            phase: Phase::Idle,
            fault: self.fault,
            laser: self.laser,
            ..Self::new(self.material)
        };
        vec![Said::Ended(Ended { outcome, seconds, amount, phase: None })]
    }

    /// What the print plans, once it is known; what the owner says is loaded stands in for a family.
    fn plan(&mut self, plan: Option<Sliced>) -> Option<Said> {
        if self.plan_told {
            return None;
        }
        let plan = plan.filter(|plan| *plan != Sliced::default())?;
        self.plan_told = true;
        Some(Said::Sliced(Sliced { family: plan.family.or(self.material), ..plan }))
    }
}

/// A number that something was counted to.
fn count(shown: Option<f64>) -> Option<f64> {
    shown.filter(|number| number.is_finite() && *number >= 0.0)
}

/// Grams of a volume of filament.
///
/// `volume` is in cubic centimetres; `None` when the family's density is not known.
pub(crate) fn grams(volume: f64, family: Option<MaterialFamily>) -> Option<f64> {
    family.and_then(catalogue::density).map(|density| volume * density)
}

#[cfg(test)]
mod tests;
