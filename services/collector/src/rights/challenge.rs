//! Challenges: fresh bytes that a rights request must sign, so that none can be made beforehand or
//! used twice.
//!
//! A challenge is 16 random bytes, its salt, and the first 16 bytes of HMAC-SHA256 under a key that
//! this process drew, over requester, number of the five minutes, salt. Nothing is kept of one that
//! is given: everybody gets one. It is good for the five minutes in which it was given and the next,
//! for its requester, once. Only what a known key has signed is kept as used, so that strangers
//! cannot fill the memory. A restart forgets the key, and with it every challenge.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use imprimatur_consent::SubjectId;
use imprimatur_runtime::UnixSeconds;
use imprimatur_runtime::entropy::{self, NoEntropy};
use sha2::Sha256;

/// Length of a challenge, bytes.
pub const CHALLENGE_BYTES: usize = 32;

/// How long a number lasts, seconds; a challenge is good for one to two of these.
const WINDOW_SECONDS: u64 = 300;

/// Used challenges remembered for each five minutes: 2 MiB. Full means refuse.
const USED_MAX: usize = 65_536;

/// Gives challenges and takes each back once.
pub struct Challenges {
    key: [u8; 32],
    used: Mutex<Used>,
    used_max: usize,
}

/// The salts of used challenges, by the number under which they were given.
#[derive(Default)]
struct Used {
    number: u64,
    now: BTreeSet<[u8; 16]>,
    before: BTreeSet<[u8; 16]>,
}

/// A challenge of this process, for this requester, in its time; whether it was used is not known
/// before [`Challenges::spend`].
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    salt: [u8; 16],
    number: u64,
}

impl std::fmt::Debug for Challenges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Challenges(..)")
    }
}

impl Challenges {
    /// Draws a key.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn new() -> Result<Self, NoEntropy> {
        Ok(Self { key: entropy::bytes()?, used: Mutex::default(), used_max: USED_MAX })
    }

    /// A challenge for whoever asks.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn give(
        &self,
        requester: SubjectId,
        now: UnixSeconds,
    ) -> Result<[u8; CHALLENGE_BYTES], NoEntropy> {
        let salt: [u8; 16] = entropy::bytes()?;
        let tag: [u8; 32] = self.mac(requester, number(now), &salt).finalize().into_bytes().into();
        let mut challenge = [0; CHALLENGE_BYTES];
        for (to, from) in challenge.iter_mut().zip(salt.iter().chain(&tag)) {
            *to = *from;
        }
        Ok(challenge)
    }

    /// Whether this is a challenge that this process gave to the requester within the last ten
    /// minutes. Its time does not tell how much of it was right.
    pub fn recognise(
        &self,
        requester: SubjectId,
        challenge: &[u8],
        now: UnixSeconds,
    ) -> Option<Fresh> {
        let (salt, tag) = challenge.split_at_checked(16)?;
        let salt: [u8; 16] = salt.try_into().ok()?;
        let now = number(now);
        let given = |number: u64| {
            let mac = self.mac(requester, number, &salt);
            tag.len() == 16 && mac.verify_truncated_left(tag).is_ok()
        };
        let (current, previous) = (given(now), given(now.saturating_sub(1)));
        let number = if current { now } else { now.saturating_sub(1) };
        (current || previous).then_some(Fresh { salt, number })
    }

    /// Uses a challenge; `false` when it was used before, is too old by now, or no more can be
    /// remembered.
    pub fn spend(&self, fresh: Fresh, now: UnixSeconds) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.move_on(number(now));
        let place = match used.number.checked_sub(fresh.number) {
            Some(0) => &mut used.now,
            Some(1) => &mut used.before,
            // Too old, or a clock that went back.
            _ => return false,
        };
        place.len() < self.used_max && place.insert(fresh.salt)
    }

    fn mac(&self, requester: SubjectId, number: u64, salt: &[u8; 16]) -> Hmac<Sha256> {
        // HMAC takes a key of any length; a block of 64 bytes always fits.
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(self.key) {
            *to = from;
        }
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(&requester.0);
        mac.update(&number.to_be_bytes());
        mac.update(salt);
        mac
    }
}

impl Used {
    /// Forgets what is too old to be recognised.
    fn move_on(&mut self, number: u64) {
        if number <= self.number {
            return;
        }
        let now = std::mem::take(&mut self.now);
        self.before = if number == self.number + 1 { now } else { BTreeSet::new() };
        self.number = number;
    }
}

fn number(now: UnixSeconds) -> u64 {
    now.0 / WINDOW_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: SubjectId = SubjectId([1; 16]);
    const START: UnixSeconds = UnixSeconds(1_795_000_200);

    fn later(seconds: u64) -> UnixSeconds {
        UnixSeconds(START.0 + seconds)
    }

    #[test]
    fn a_challenge_is_for_its_requester_and_its_time() {
        let challenges = Challenges::new().unwrap();
        let given = challenges.give(MINE, START).unwrap();
        let known =
            |requester, bytes: &[u8], now| challenges.recognise(requester, bytes, now).is_some();
        assert!(known(MINE, &given, START));
        assert!(known(MINE, &given, later(299)), "the same five minutes");
        assert!(known(MINE, &given, later(599)), "the next five minutes");
        assert!(!known(MINE, &given, later(600)), "after ten minutes");
        assert!(!known(MINE, &given, UnixSeconds(START.0 - 1)), "before it was given");
        assert!(!known(SubjectId([2; 16]), &given, START), "another requester");
        let other = Challenges::new().unwrap();
        assert!(other.recognise(MINE, &given, START).is_none(), "another process");
        for place in 0..given.len() {
            let mut wrong = given;
            wrong[place] ^= 1;
            assert!(!known(MINE, &wrong, START), "byte {place}");
        }
        for short in [&given[..31], &given[..16], &[]] {
            assert!(!known(MINE, short, START), "{} bytes", short.len());
        }
        assert!(!known(MINE, &[&given[..], &[0]].concat(), START));
    }

    #[test]
    fn a_challenge_is_good_once_and_the_next_one_is_another() {
        let challenges = Challenges::new().unwrap();
        let first = challenges.give(MINE, START).unwrap();
        let second = challenges.give(MINE, START).unwrap();
        assert_ne!(first, second);
        let fresh = |bytes: &[u8], now| challenges.recognise(MINE, bytes, now).unwrap();
        assert!(challenges.spend(fresh(&first, START), START));
        assert!(!challenges.spend(fresh(&first, START), START));
        // Used in its own five minutes, it stays used in the next.
        assert!(!challenges.spend(fresh(&first, later(300)), later(300)));
        assert!(challenges.spend(fresh(&second, later(300)), later(300)));
        assert!(!challenges.spend(fresh(&second, later(599)), later(599)));
        // Recognised in time, spent too late.
        let third = challenges.give(MINE, later(300)).unwrap();
        let late = fresh(&third, later(899));
        assert!(!challenges.spend(late, later(900)));
    }

    #[test]
    fn a_full_memory_refuses_until_it_forgets() {
        let challenges = Challenges { used_max: 2, ..Challenges::new().unwrap() };
        let spend = |now| {
            let given = challenges.give(MINE, now).unwrap();
            challenges.spend(challenges.recognise(MINE, &given, now).unwrap(), now)
        };
        assert!(spend(START) && spend(START));
        assert!(!spend(START), "full");
        assert!(spend(later(300)), "the next five minutes have their own");
        assert!(spend(later(900)), "long after");
        assert!(!format!("{challenges:?}").contains("key"));
    }
}
