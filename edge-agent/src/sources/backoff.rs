//! How long to wait before the next attempt: doubling, with jitter, never more than a minute.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Longest wait. A printer that is switched on is seen within a minute.
pub const WAIT_MAX: Duration = Duration::from_mins(1);

/// Shortest wait, before jitter halves it.
const WAIT_MIN: Duration = Duration::from_secs(1);

/// Waits between attempts, one after another.
#[derive(Clone, Debug)]
pub struct Backoff {
    failures: u32,
    state: u64,
}

impl Backoff {
    /// Starts with a seed for the jitter.
    pub fn seeded(seed: u64) -> Self {
        Self { failures: 0, state: seed }
    }

    /// Starts with a seed that differs from process to process, so that agents do not keep step.
    pub fn new() -> Self {
        Self::seeded(RandomState::new().hash_one(0_u8))
    }

    /// An attempt succeeded: the next wait is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// An attempt failed: how long to wait; from half of the doubled time to all of it.
    pub fn next_wait(&mut self) -> Duration {
        let doubled = WAIT_MIN.saturating_mul(1_u32 << self.failures.min(6)).min(WAIT_MAX);
        self.failures = self.failures.saturating_add(1);
        let half = doubled / 2;
        half + half.mul_f64(self.unit())
    }

    /// The next number from 0 to below 1 (splitmix64).
    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let top = u32::try_from(mixed >> 32).unwrap_or(0);
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_never_beyond() {
        for seed in 0..50 {
            let mut backoff = Backoff::seeded(seed);
            let waits: Vec<Duration> = (0..12).map(|_| backoff.next_wait()).collect();
            assert!(waits.iter().all(|wait| *wait >= WAIT_MIN / 2 && *wait <= WAIT_MAX));
            assert!(waits.iter().skip(6).all(|wait| *wait >= WAIT_MAX / 2), "{waits:?}");
        }
    }

    #[test]
    fn a_success_makes_the_next_wait_short() {
        let mut backoff = Backoff::seeded(7);
        for _ in 0..9 {
            backoff.next_wait();
        }
        backoff.reset();
        assert!(backoff.next_wait() <= WAIT_MIN);
    }
}
