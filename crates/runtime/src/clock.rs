//! Time: instants in whole seconds, UTC dates, and the one place that reads the wall clock.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Day 0.
const EPOCH: time::Date = time::macros::date!(1970 - 01 - 01);

/// Seconds in a UTC day.
const DAY: u64 = 86_400;

/// Seconds since 1970-01-01 UTC.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// The UTC date.
    pub fn date(self) -> UtcDate {
        UtcDate(u32::try_from(self.0 / DAY).unwrap_or(u32::MAX))
    }
}

/// A UTC date: whole days since 1970-01-01. Written `2026-11-21`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct UtcDate(pub u32);

/// A text that is no date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no date; write it as YYYY-MM-DD")]
pub struct NotADate(pub String);

impl UtcDate {
    /// The month of the date, `year * 100 + month`, for example 202611: the pseudonym epoch.
    pub fn month(self) -> u32 {
        let date = self.calendar();
        u32::try_from(date.year()).unwrap_or(0) * 100 + u32::from(u8::from(date.month()))
    }

    /// The instant at which the date begins.
    pub fn start(self) -> UnixSeconds {
        UnixSeconds(u64::from(self.0) * DAY)
    }

    fn calendar(self) -> time::Date {
        let days = i64::from(self.0);
        EPOCH.checked_add(time::Duration::days(days)).unwrap_or(time::Date::MAX)
    }
}

impl fmt::Display for UtcDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.calendar();
        write!(f, "{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
    }
}

impl FromStr for UtcDate {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        let refuse = || NotADate(text.to_owned());
        let date = time::Date::parse(text, format).map_err(|_unparsable| refuse())?;
        let days = (date - EPOCH).whole_days();
        u32::try_from(days).map(UtcDate).map_err(|_before_1970| refuse())
    }
}

/// Gives the time. Everything takes one of these; only [`SystemClock`] reads the wall.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present.
    fn now(&self) -> UnixSeconds;

    /// Time since some moment before this process began; grows evenly, also while the host sleeps,
    /// whatever the wall clock is set to.
    fn steady(&self) -> Duration;

    /// Today's UTC date.
    fn today(&self) -> UtcDate {
        self.now().date()
    }
}

/// The wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The wall clock, ready to be shared.
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixSeconds {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH);
        UnixSeconds(since.map_or(0, |since| since.as_secs()))
    }

    fn steady(&self) -> Duration {
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // The kernel gives no time before its own start.
        Duration::try_from(since).unwrap_or_default()
    }
}

/// A clock that stands where a test puts it.
#[derive(Debug, Default)]
pub struct ManualClock {
    /// Seconds since 1970-01-01 UTC.
    wall: AtomicU64,
    /// Milliseconds.
    steady: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at the given instant.
    pub fn at(now: UnixSeconds) -> Arc<Self> {
        Arc::new(Self { wall: AtomicU64::new(now.0), steady: AtomicU64::default() })
    }

    /// Puts the wall to another instant: a jump, which the steady clock knows nothing of.
    pub fn set(&self, now: UnixSeconds) {
        self.wall.store(now.0, Ordering::SeqCst);
    }

    /// Lets time pass; the wall moves by whole seconds.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let before = self.steady.fetch_add(millis, Ordering::SeqCst);
        let seconds = before.wrapping_add(millis) / 1000 - before / 1000;
        self.wall.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.wall.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(self.steady.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read_alike() {
        let date: UtcDate = "2026-11-21".parse().unwrap();
        assert_eq!((date.to_string(), date.month()), ("2026-11-21".to_owned(), 202_611));
        assert_eq!(date.start().date(), date);
        assert!("2026-02-30".parse::<UtcDate>().is_err());
        assert!("1969-12-31".parse::<UtcDate>().is_err());
    }

    #[test]
    fn time_that_passes_moves_both_clocks_and_a_jump_the_wall_alone() {
        let clock = ManualClock::at(UnixSeconds(100));
        clock.advance(Duration::from_millis(2500));
        clock.advance(Duration::from_millis(500));
        assert_eq!((clock.now(), clock.steady()), (UnixSeconds(103), Duration::from_secs(3)));
        clock.set(UnixSeconds(7));
        assert_eq!((clock.now(), clock.steady()), (UnixSeconds(7), Duration::from_secs(3)));
        let before = SystemClock.steady();
        assert!(before > Duration::ZERO && SystemClock.steady() >= before);
    }
}
