//! Outages: one log line when one begins, one when it is over, and the waits between attempts.

use std::time::Duration;

use imprimatur_runtime::entropy::Backoff;

use crate::config::BridgeSettings;
use crate::counters::Counters;
use crate::error::{Lost, Poor, Side};

/// What the bridge knows of its two sides.
#[derive(Debug)]
pub(crate) struct Outage {
    state: State,
    backoff: Backoff,
    /// What was warned of last.
    poor: Vec<Poor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Carrying,
    Out(Side),
}

impl Outage {
    pub(crate) fn new(settings: &BridgeSettings) -> Self {
        Self {
            state: State::Starting,
            backoff: Backoff::new(settings.retry_first, settings.retry_last),
            poor: Vec::new(),
        }
    }

    /// A session has both sides. At the start that is told at once; after an outage it must prove
    /// itself first, or a side that comes and goes would fill the log.
    /// What works badly is told when it was not told before.
    pub(crate) fn subscribed(&mut self, poor: Vec<Poor>) {
        for one in poor.iter().filter(|one| !self.poor.contains(one)) {
            tracing::warn!("{one}");
        }
        self.poor = poor;
        if self.state == State::Starting {
            self.over();
        }
    }

    /// A session proved itself: it answered a message or lasted a while.
    pub(crate) fn over(&mut self) {
        match self.state {
            State::Carrying => return,
            State::Starting => tracing::info!("bridge is connected to broker and collector"),
            State::Out(_) => tracing::info!("bridge is connected again"),
        }
        self.state = State::Carrying;
        self.backoff.reset();
    }

    /// A session could not be made or was lost. Gives the wait until the next attempt. A loss of the
    /// same side, before any session proved itself, is the same outage and makes no second line.
    pub(crate) fn lost(&mut self, lost: &Lost, counters: &Counters) -> Duration {
        let side = lost.side();
        if self.state != State::Out(side) {
            counters.cells().outages.up();
            tracing::warn!(cause = lost.cause(), "{lost}; {}", lost.advice());
        }
        self.state = State::Out(side);
        self.backoff.wait()
    }
}
