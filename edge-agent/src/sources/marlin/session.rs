//! From the lines of one port to readings, and what to ask next. Pure: no port, no clock.

use imprimatur_proto::telemetry::v1::{MaterialFamily, Outcome};

use super::wire::{Heard, Line, Query};
use crate::reading::Said;
use crate::sources::snapshot::{Activity, Snapshot, Watch};

/// Questions after which one that was not answered is given up: a firmware that heats with a
/// blocking command answers after minutes, and its buffer holds some 20 lines.
const LOOKS_UNANSWERED: u32 = 10;

/// Why a print waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// The firmware waits for a person; over with the next answer.
    Waits,
    /// It was announced; over when its end is.
    Announced { by_run_out: bool },
}

/// One board and its print.
#[derive(Clone, Debug)]
pub struct Session {
    watch: Watch,
    printing: bool,
    pause: Option<Pause>,
    seconds: Option<f64>,
    /// What is asked once after a start of the board.
    once: Option<Query>,
    /// Whether heaters were told since the port was opened.
    known: bool,
    heaters_due: bool,
    unanswered: Option<u32>,
    due: Vec<Query>,
}

impl Session {
    /// Starts with what the owner says is loaded.
    pub fn new(material: Option<MaterialFamily>) -> Self {
        Self {
            watch: Watch::new(material),
            printing: false,
            pause: None,
            seconds: None,
            once: None,
            known: false,
            heaters_due: true,
            unanswered: None,
            due: Vec::new(),
        }
    }

    /// The port was opened, by which many boards restart: a start that follows is the agent's own.
    pub fn opened(&mut self) {
        self.known = false;
        self.begin();
    }

    /// Whether heaters were told since the port was opened.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// It is time to look; gives what is to be sent now.
    pub fn look(&mut self) -> Option<Query> {
        if let Some(looks) = &mut self.unanswered {
            *looks += 1;
            if *looks < LOOKS_UNANSWERED {
                return None;
            }
            self.unanswered = None;
        }
        // The last of these is asked first.
        self.due.clear();
        if self.printing {
            self.due.push(Query::Time);
        }
        self.due.push(Query::Card);
        if std::mem::replace(&mut self.heaters_due, true) {
            self.due.push(Query::Temperatures);
        }
        self.due.extend(self.once.take());
        self.next_query()
    }

    /// Takes a line; gives what is new.
    pub fn on_line(&mut self, heard: Heard) -> Vec<Said> {
        if heard.ready {
            self.unanswered = None;
        }
        let mut shown = Snapshot::default();
        let mut said = Vec::new();
        match heard.line {
            Line::Heaters(heaters) => {
                self.known = true;
                self.heaters_due = false;
                shown.heaters = heaters;
            }
            Line::Printing => {
                self.printing = true;
                self.pause = self.pause.filter(|pause| *pause != Pause::Waits);
                shown.activity = self.activity();
            }
            Line::NotPrinting => {
                // Firmware says so of a paused print, too.
                if !matches!(self.pause, Some(Pause::Announced { .. })) {
                    shown.activity = self.over(Activity::Idle);
                }
            }
            Line::Done => shown.activity = self.over(Activity::Ended(Outcome::Done)),
            Line::Stopped => shown.activity = self.over(Activity::Ended(Outcome::StoppedByUser)),
            Line::Seconds(seconds) if self.printing => self.seconds = Some(seconds),
            Line::Waits => shown.activity = self.pause(Pause::Waits),
            Line::Paused => {
                let by_run_out = matches!(self.pause, Some(Pause::Announced { by_run_out: true }));
                shown.activity = self.pause(Pause::Announced { by_run_out });
            }
            Line::RanOut => shown.activity = self.pause(Pause::Announced { by_run_out: true }),
            Line::Resumed => {
                self.pause = None;
                shown.activity = self.activity();
            }
            Line::Fault(family) => said.push(Said::Fault(family)),
            Line::Halted => shown.activity = self.over(Activity::Closed { by_error: true }),
            Line::Started => {
                shown.activity = self.over(Activity::Ended(Outcome::Unspecified));
                said.extend(self.known.then_some(Said::Restarted));
                self.begin();
            }
            Line::Seconds(_) | Line::Busy | Line::Nothing => {}
        }
        shown.seconds = self.seconds;
        said.extend(self.watch.see(&shown));
        if !self.printing {
            self.seconds = None;
        }
        said
    }

    /// What is to be sent now, when the firmware is ready for it.
    pub fn next_query(&mut self) -> Option<Query> {
        if self.unanswered.is_some() {
            return None;
        }
        let next = self.due.pop()?;
        self.unanswered = Some(0);
        Some(next)
    }

    /// The board begins anew and knows nothing of what it was asked.
    fn begin(&mut self) {
        self.once = Some(Query::Report);
        self.heaters_due = true;
        self.unanswered = None;
        self.due.clear();
    }

    fn over(&mut self, how: Activity) -> Activity {
        self.printing = false;
        self.pause = None;
        how
    }

    fn pause(&mut self, pause: Pause) -> Activity {
        let announced = matches!(self.pause, Some(Pause::Announced { .. }));
        if !(announced && pause == Pause::Waits) {
            self.pause = Some(pause);
        }
        self.activity()
    }

    fn activity(&self) -> Activity {
        match self.pause {
            _ if !self.printing => Activity::Unknown,
            None => Activity::Printing,
            Some(Pause::Waits) => Activity::Paused { by_run_out: false },
            Some(Pause::Announced { by_run_out }) => Activity::Paused { by_run_out },
        }
    }
}
