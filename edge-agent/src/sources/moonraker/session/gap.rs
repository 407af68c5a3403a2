//! After a lost connection: whether the print that is shown is the one before, and how that one ended.
//!
//! The state that is told first waits for the history's answer. Without a history, without an answer,
//! or for a print that nobody saw begin, the state alone decides, as it does while a connection holds.

use super::{Phase, Session, Step, merged};
use crate::reading::{Said, UnixSeconds};
use crate::sources::mark::Mark;
use crate::sources::moonraker::history::{self, JOBS, Job, Told};
use crate::sources::moonraker::wire::{Call, Status};

/// The history is answered within one tick; without an answer the state is taken as it is.
const HELD_TICKS_MAX: u32 = 3;

/// Which job of the history the print is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InHistory {
    /// Nobody saw the print begin: nothing is asked of it.
    NotAsked,
    /// To be asked.
    Wanted,
    /// This one.
    Known(Mark),
}

/// A state that waits, after a connection was lost, for what the history says of the print before.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) status: Status,
    ticks: u32,
}

impl Session {
    /// Takes a complete state. One that comes after a lost connection does not tell whether the print
    /// that is shown is the one before: the history is asked first.
    pub(super) fn on_complete(&mut self, status: Status, at: UnixSeconds) -> Step {
        let was_away = std::mem::take(&mut self.was_away);
        if was_away && self.is_active() && matches!(self.job, InHistory::Known(_)) {
            self.held = Some(Held { status, ticks: 0 });
            return Step { ask: Some(Call::History { jobs: JOBS }), ..Step::default() };
        }
        self.on_status(&status, at)
    }

    /// Asks for the job of a print that was seen to begin: once, after its file's numbers, when the
    /// history has it.
    pub(super) fn which_job(&self) -> Option<Call> {
        let wanted = self.is_active() && self.job == InHistory::Wanted;
        wanted.then_some(Call::History { jobs: 1 })
    }

    /// Takes the newest jobs; none where there is no history, and then the state alone decides.
    pub(super) fn on_history(&mut self, jobs: &[Job], at: UnixSeconds) -> Step {
        let Some(held) = self.held.take() else {
            if self.is_active() && self.job == InHistory::Wanted {
                self.job = history::running(jobs).map_or(InHistory::NotAsked, InHistory::Known);
            }
            return Step::default();
        };
        let before = self.ended_meanwhile(jobs);
        let mut step = self.on_status(&held.status, at);
        step.said.splice(0..0, before);
        step
    }

    /// The end of a print that ended while the connection was lost. What runs now is another one,
    /// which nobody saw begin.
    fn ended_meanwhile(&mut self, jobs: &[Job]) -> Vec<Said> {
        let InHistory::Known(mark) = self.job else { return Vec::new() };
        let (outcome, fault, seconds, filament_mm) = match history::told(jobs, mark) {
            Told::Runs => return Vec::new(),
            Told::Nothing => {
                self.job = InHistory::NotAsked;
                return Vec::new();
            }
            Told::Ended { outcome, fault, seconds, filament_mm } => {
                (outcome, fault, seconds, filament_mm)
            }
        };
        let end = self.end(outcome, seconds, filament_mm);
        self.phase = Phase::Unseen;
        fault.map(Said::Fault).into_iter().chain(end).collect()
    }

    /// What a tick means while a state waits; `None` when none does.
    pub(super) fn still_held(&mut self, at: UnixSeconds) -> Option<Step> {
        let held = self.held.as_mut()?;
        held.ticks = held.ticks.saturating_add(1);
        if held.ticks > HELD_TICKS_MAX {
            return Some(self.on_history(&[], at));
        }
        Some(Step::default())
    }

    /// Adds a change to a state that waits; gives it back when none does.
    pub(super) fn hold(&mut self, change: Status) -> Option<Status> {
        let Some(held) = &mut self.held else { return Some(change) };
        held.status = merged(held.status, &change);
        None
    }
}
