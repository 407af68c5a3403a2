//! How long to send an agent away for: from how long answers take and how many were sent away before.

use std::time::Duration;

/// The shortest hint: below it an agent would be back before anything changed.
pub const HINT_MIN: Duration = Duration::from_secs(1);
/// The longest hint of the bridge: what it knows is never older than that.
pub const HINT_MAX: Duration = Duration::from_mins(1);

/// What an answer is thought to take before there was one.
const FIRST_GUESS: Duration = Duration::from_millis(100);
/// Weight of what was known before against one new answer: 7 to 1, as TCP smooths its round trips.
const MEMORY: u32 = 7;

/// The pace of one kind of message.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many may be under way, at least 1.
    width: usize,
    /// Smoothed time from a message to its answer.
    takes: Duration,
    /// Messages that were sent away and, as far as can be known, come again.
    away: u32,
}

impl Pace {
    pub(super) fn new(width: usize) -> Self {
        Self { width: width.max(1), takes: FIRST_GUESS, away: 0 }
    }

    /// How many may be under way.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// An answer came after this time, and `left` are under way now.
    pub(super) fn answered(&mut self, took: Duration, left: usize) {
        self.takes = self.takes.saturating_mul(MEMORY).saturating_add(took) / (MEMORY + 1);
        // One of those who were sent away finds a place now; at half the width all do.
        self.away = if left <= self.width / 2 { 0 } else { self.away.saturating_sub(1) };
    }

    /// Sends one more away. With `width` at once an answer comes each `takes / width`, so all who were
    /// sent away are through after that, times their number. `oldest` is how long the oldest message
    /// has been under way: a collector that stands still makes no answers to measure.
    pub(super) fn turn_away(&mut self, oldest: Duration) -> Duration {
        self.away = self.away.saturating_add(1);
        let width = u32::try_from(self.width).unwrap_or(u32::MAX);
        let each = self.takes.max(oldest) / width;
        each.saturating_mul(self.away).clamp(HINT_MIN, HINT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn the_hint_grows_with_the_excess_and_the_time_an_answer_takes() {
        let mut pace = Pace::new(4);
        for _ in 0..100 {
            pace.answered(ms(400), 4);
        }
        // Four at once, each within 400 ms: one in 100 ms.
        let hints: Vec<_> = (0..30).map(|_| pace.turn_away(ms(0)).as_millis()).collect();
        assert_eq!((hints[0], hints[9]), (1000, 1000), "not below a second");
        assert!((1900..=2000).contains(&hints[19]), "{hints:?}");
        assert!((2900..=3000).contains(&hints[29]), "{hints:?}");
        // A collector that stands still.
        assert_eq!(pace.turn_away(ms(40_000)), HINT_MAX);
    }

    #[test]
    fn who_found_a_place_counts_no_more() {
        let mut pace = Pace::new(4);
        for _ in 0..100 {
            pace.answered(ms(4000), 4);
        }
        for _ in 0..9 {
            pace.turn_away(ms(0));
        }
        assert!(pace.turn_away(ms(0)) > ms(9_000));
        for _ in 0..5 {
            pace.answered(ms(4000), 3);
        }
        let hint = pace.turn_away(ms(0));
        assert!((ms(5_500)..=ms(6_000)).contains(&hint), "{hint:?}");
        pace.answered(ms(4000), 2);
        assert_eq!(pace.turn_away(ms(0)), HINT_MIN);
    }

    #[test]
    fn a_width_of_nothing_and_endless_times_do_no_harm() {
        let mut pace = Pace::new(0);
        pace.answered(Duration::MAX, 0);
        assert_eq!(pace.turn_away(Duration::MAX), HINT_MAX);
    }
}
