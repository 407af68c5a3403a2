//! Randomness from the operating system: keys, ids, tokens, jitter.

use std::time::Duration;

/// The operating system gave no randomness. Stop: nothing may be signed or named without it.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub struct NoEntropy(#[source] getrandom::Error);

/// Fresh random bytes.
///
/// # Errors
/// [`NoEntropy`].
pub fn bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoEntropy)?;
    Ok(bytes)
}

/// A waiting time between half and all of the given one, so that many clients do not call at once.
/// Without randomness it is the whole.
pub fn jitter(whole: Duration) -> Duration {
    let Ok(byte) = bytes::<1>() else { return whole };
    let share = f64::from(byte[0]) / 510.0;
    whole.mul_f64(0.5 + share)
}

/// Exponential backoff with jitter: `first`, doubled at each try, never above `last`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `first` and ends at `last`.
    pub fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, next: first }
    }

    /// How long to wait now.
    pub fn wait(&mut self) -> Duration {
        let now = self.next;
        self.next = now.saturating_mul(2).min(self.last);
        jitter(now)
    }

    /// Back to the start, after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}
