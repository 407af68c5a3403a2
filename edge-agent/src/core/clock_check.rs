//! Whether the wall clock is credible, and what time it is while it is not: hold, do not guess.
//!
//! A printer's board may start in 1970, or at the time at which it was switched off, and be set right
//! later. Each look compares the wall with the steady clock, which only measures how much time went
//! by. A wall is *possible* when it is not before [`FLOOR`] and not more than an hour before the
//! newest instant that this agent durably saw. It is *even* when it advanced like the steady clock,
//! within ten minutes, since it jumped last.
//!
//! | trusted since the start | the wall | is |
//! | --- | --- | --- |
//! | any | not possible | doubtful |
//! | never | possible at the first look | credible |
//! | never | possible after a jump | credible: the jump is the correction |
//! | never | possible without a jump, even for less than an hour | doubtful |
//! | yes | within ten minutes of the last trusted wall and the time since | credible |
//! | yes | elsewhere, even for less than an hour | doubtful |
//! | any | possible, even for an hour | credible |
//!
//! While the wall is doubtful the agent's clock goes on from the last trusted wall by the steady
//! clock; before the first trust it goes on from the newest instant seen, which is a guess. So what
//! is measured is never torn by a jump. What was measured on one [`Base`] is moved as a whole when
//! another is found. Jumps of less than ten minutes are believed: they are not told from a slow clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use imprimatur_runtime::{Clock, UnixSeconds, UtcDate};

/// No agent of this kind ran before 2026-01-01.
const FLOOR: UtcDate = UtcDate(20_454);

/// How far wall and steady clock may differ.
const SLACK: Duration = Duration::from_mins(10);

/// How far before the newest instant seen a wall may be: a clock that was an hour fast for a while,
/// or set to local time by mistake, is not doubted for ever.
const BACK_MAX: u64 = 3600;

/// How long a wall that jumped must be even.
const EVEN_FOR: Duration = Duration::from_hours(1);

/// Where the steady clock's zero is on the agent's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// Seconds since 1970.
    zero: i64,
    /// Whether no wall was trusted yet.
    guessed: bool,
}

impl Base {
    /// By how many seconds what was measured on this base is to be moved to stand on another; `None`
    /// when they are the same within ten minutes.
    pub(crate) fn moved_to(self, other: Self) -> Option<i64> {
        let by = other.zero.saturating_sub(self.zero);
        let found = self.guessed && !other.guessed;
        (found || by.unsigned_abs() > SLACK.as_secs()).then_some(by)
    }
}

/// An instant so many seconds later, or earlier.
pub(crate) fn moved(at: UnixSeconds, by: i64) -> UnixSeconds {
    UnixSeconds(at.0.saturating_add_signed(by))
}

/// What one look at the clocks told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The best time known.
    pub(crate) now: UnixSeconds,
    /// What it stands on.
    pub(crate) base: Base,
    /// Whether the wall is not credible: nothing may be dated.
    pub(crate) doubtful: bool,
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Point {
    wall: UnixSeconds,
    steady: Duration,
}

impl Point {
    /// The wall that an even clock shows later.
    fn later(self, steady: Duration) -> UnixSeconds {
        let passed = steady.saturating_sub(self.steady).as_secs();
        UnixSeconds(self.wall.0.saturating_add(passed))
    }

    fn agrees(self, now: Self) -> bool {
        self.later(now.steady).0.abs_diff(now.wall.0) <= SLACK.as_secs()
    }
}

/// The rules.
#[derive(Debug)]
struct Check {
    /// The newest instant durably seen.
    latest: UnixSeconds,
    /// The first look, and each jump after it.
    even_since: Option<Point>,
    /// The last look whose wall was credible.
    trusted: Option<Point>,
    /// Where the guess began.
    guess: Option<Point>,
}

impl Check {
    fn look(&mut self, now: Point) -> Look {
        let first = self.even_since.is_none();
        let even = self.even_since.is_some_and(|since| since.agrees(now));
        let since = *self.even_since.get_or_insert(now);
        let since = if even { since } else { now };
        self.even_since = Some(since);
        let lasts = now.steady.saturating_sub(since.steady) >= EVEN_FOR;
        let believed = self.trusted.map_or(first || !even, |trusted| trusted.agrees(now));
        let credible = self.possible(now.wall) && (believed || lasts);
        if credible {
            self.trusted = Some(now);
        }
        let guess = Point { wall: self.latest.max(FLOOR.start()), steady: now.steady };
        let guess = *self.guess.get_or_insert(guess);
        let wall = self.trusted.unwrap_or(guess).later(now.steady);
        let seconds = |seconds| i64::try_from(seconds).unwrap_or(i64::MAX);
        let zero = seconds(wall.0).saturating_sub(seconds(now.steady.as_secs()));
        let guessed = self.trusted.is_none();
        Look { now: wall, base: Base { zero, guessed }, doubtful: !credible }
    }

    fn possible(&self, wall: UnixSeconds) -> bool {
        wall >= FLOOR.start() && wall.0 >= self.latest.0.saturating_sub(BACK_MAX)
    }
}

/// A clock that gives the best time known, and says when that may not be written down.
#[derive(Debug)]
pub(crate) struct TrustedClock {
    clock: Arc<dyn Clock>,
    check: Mutex<Check>,
}

impl TrustedClock {
    /// A clock over another; `latest` is the newest instant that was durably seen.
    pub(crate) fn new(clock: Arc<dyn Clock>, latest: UnixSeconds) -> Self {
        let check = Check { latest, even_since: None, trusted: None, guess: None };
        Self { clock, check: Mutex::new(check) }
    }

    /// Looks at both clocks.
    pub(crate) fn look(&self) -> Look {
        let mut check = self.check.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: the looks are in the order of time.
        check.look(Point { wall: self.clock.now(), steady: self.clock.steady() })
    }

    /// Takes note that an instant was durably seen.
    pub(crate) fn saw(&self, latest: UnixSeconds) {
        let mut check = self.check.lock().unwrap_or_else(PoisonError::into_inner);
        check.latest = check.latest.max(latest);
    }

    /// The best time known.
    pub(crate) fn now(&self) -> UnixSeconds {
        self.look().now
    }

    /// The date of the best time known.
    pub(crate) fn today(&self) -> UtcDate {
        self.now().date()
    }
}

#[cfg(test)]
mod tests;
