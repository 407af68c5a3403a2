//! Rate limits: so many requests at once and so many a second, of each token and of each address without one.
//!
//! The generic cell rate algorithm (ITU-T I.371): one instant is kept for each key, that at which its bucket is
//! full again. Keys whose bucket is full are forgotten, and there are never more than a stated number; when all
//! places are taken by keys that ask, a new one waits.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use imprimatur_runtime::Clock;

/// How much one key may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests at once.
    pub burst: u32,
    /// One more after each of these.
    pub every: Duration,
    /// Keys that are remembered, some 60 bytes each.
    pub keys: usize,
}

/// The buckets of one kind of key.
#[derive(Debug)]
pub(crate) struct Rates<K> {
    rate: Rate,
    clock: Arc<dyn Clock>,
    full_at: Mutex<HashMap<K, Duration>>,
}

impl<K: Copy + Eq + Hash> Rates<K> {
    pub(crate) fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        Self { rate, clock, full_at: Mutex::default() }
    }

    /// Takes one request from a key's bucket, or says after how long there is one.
    pub(crate) fn take(&self, key: K) -> Result<(), Duration> {
        let now = self.clock.steady();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= self.rate.keys && !full_at.contains_key(&key) {
            full_at.retain(|_, full| *full > now);
            if full_at.len() >= self.rate.keys {
                return Err(self.rate.every);
            }
        }
        let full = full_at.entry(key).or_insert(now);
        let after = (*full).max(now).saturating_add(self.rate.every);
        let allowed = now.saturating_add(self.rate.every.saturating_mul(self.rate.burst));
        if after > allowed {
            return Err(after.saturating_sub(allowed));
        }
        *full = after;
        Ok(())
    }
}

/// An address as a key: all of an IPv4 address, and of an IPv6 address the network, which one peer has whole.
pub(crate) fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(whole) => u64::from(whole.to_bits()),
        IpAddr::V6(whole) => u64::try_from(whole.to_bits() >> 64).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use imprimatur_runtime::UnixSeconds;
    use imprimatur_runtime::clock::ManualClock;

    use super::*;

    const RATE: Rate = Rate { burst: 3, every: Duration::from_secs(2), keys: 2 };

    #[test]
    fn a_burst_is_taken_and_comes_back_one_by_one() {
        let clock = ManualClock::at(UnixSeconds(0));
        let rates = Rates::new(RATE, Arc::<ManualClock>::clone(&clock));
        for _ in 0..3 {
            assert_eq!(rates.take(1), Ok(()));
        }
        assert_eq!(rates.take(1), Err(Duration::from_secs(2)));
        assert_eq!(rates.take(2), Ok(()), "another key has its own");
        clock.advance(Duration::from_millis(1500));
        assert_eq!(rates.take(1), Err(Duration::from_millis(500)));
        clock.advance(Duration::from_millis(500));
        assert_eq!(rates.take(1), Ok(()));
        assert_eq!(rates.take(1), Err(Duration::from_secs(2)), "one came back, not all");
        clock.advance(Duration::from_hours(1));
        for _ in 0..3 {
            assert_eq!(rates.take(1), Ok(()), "never more than the burst");
        }
        assert!(rates.take(1).is_err());
    }

    #[test]
    fn no_more_keys_than_places_are_remembered() {
        let clock = ManualClock::at(UnixSeconds(0));
        let rates = Rates::new(RATE, Arc::<ManualClock>::clone(&clock));
        assert_eq!((rates.take(1), rates.take(2)), (Ok(()), Ok(())));
        assert!(rates.take(3).is_err(), "both places are taken");
        assert_eq!(rates.take(2), Ok(()), "who has a place goes on");
        clock.advance(Duration::from_secs(2));
        assert_eq!(rates.take(3), Ok(()), "a full bucket is forgotten");
        assert_eq!(rates.full_at.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_peer_has_one_key_in_its_network() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
