//! The made-up clock: an instant plus what tokio's paused clock says has passed.

use std::time::Duration;

use imprimatur_runtime::{Clock, UnixSeconds};
use tokio::time::Instant;

/// Gives the time of a run. Use it inside the run's tokio runtime only.
#[derive(Debug)]
pub struct SimClock {
    base: UnixSeconds,
    start: Instant,
}

impl SimClock {
    /// A clock that reads `base` now.
    pub fn at(base: UnixSeconds) -> Self {
        Self { base, start: Instant::now() }
    }
}

impl Clock for SimClock {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.base.0.saturating_add(self.start.elapsed().as_secs()))
    }

    fn steady(&self) -> Duration {
        self.start.elapsed()
    }
}
