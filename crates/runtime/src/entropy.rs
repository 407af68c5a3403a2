//! Randomness from the operating system: keys, ids, tokens, jitter.
//!
//! With the feature `simulation` a thread may draw from a seed instead ([`seed_this_thread`]), so
//! that a run can be repeated byte by byte. No crate that ships enables it; only tests do.

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
    #[cfg(feature = "simulation")]
    if seeded::fill(&mut bytes) {
        return Ok(bytes);
    }
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

#[cfg(feature = "simulation")]
pub use seeded::seed_this_thread;

#[cfg(feature = "simulation")]
mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on this thread draws what follows from the seed; `None` for the operating system.
    /// Secrets drawn so are none.
    pub fn seed_this_thread(seed: Option<u64>) {
        STATE.set(seed);
    }

    /// Fills the bytes from the seed, if there is one: `SplitMix64`.
    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        let Some(mut state) = STATE.get() else { return false };
        for part in bytes.chunks_mut(8) {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            for (to, from) in part.iter_mut().zip((mixed ^ (mixed >> 31)).to_le_bytes()) {
                *to = from;
            }
        }
        STATE.set(Some(state));
        true
    }

    #[cfg(test)]
    mod tests {
        use super::super::bytes;
        use super::*;

        #[test]
        fn a_seed_repeats_and_its_end_does_not() {
            let draw = || (bytes::<32>().unwrap(), bytes::<5>().unwrap());
            seed_this_thread(Some(7));
            let first = draw();
            seed_this_thread(Some(7));
            assert_eq!(draw(), first);
            assert_ne!(draw(), first);
            seed_this_thread(None);
            assert_ne!(draw(), draw());
        }
    }
}
