//! A producer's side of the oracle: which ids exist, what they carry, and which are still to be offered.
//!
//! Keeps true: an id is claimed before it is offered, and offered again until it is acknowledged, as
//! any client with a spool would.

use std::collections::VecDeque;

use imprimatur_testkit::obligations::{Findings, Obligations, content};

/// Bytes of a broker's message.
const PAYLOAD_BYTES: usize = 256;

/// How far a producer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Until this many more acknowledgements came; new messages are made.
    Acknowledged(usize),
    /// Until nothing that was made is unanswered; no new ones.
    Settled,
}

/// One run over one store.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) obligations: Obligations,
    last: u64,
    waiting: VecDeque<u64>,
}

impl Book {
    /// Claims the next id for what `content_of` makes of it.
    pub(crate) fn claim(&mut self, content_of: impl FnOnce(u64) -> [u8; 32]) -> u64 {
        self.last += 1;
        self.obligations.issue(self.last, content_of(self.last));
        self.last
    }

    /// What is to be offered again, oldest first.
    pub(crate) fn waiting(&mut self) -> Option<u64> {
        self.waiting.pop_front()
    }

    /// A connection is gone, and with it whatever was under way: all that is unanswered waits.
    pub(crate) fn offer_again(&mut self) {
        self.waiting = self.obligations.unanswered().collect();
    }

    pub(crate) fn judge(&self) -> Findings {
        self.obligations.judge()
    }
}

/// What a broker is given under an id: the id, then bytes that only this id has.
pub(crate) fn payload(id: u64) -> Vec<u8> {
    let mut random = Random(id);
    let mut bytes = id.to_be_bytes().to_vec();
    while bytes.len() < PAYLOAD_BYTES {
        bytes.extend(random.next().to_be_bytes());
    }
    bytes
}

/// The id that a payload claims; 0, which is never issued, when it is too short.
pub(crate) fn id_of(payload: &[u8]) -> u64 {
    payload.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The content of a broker's message.
pub(crate) fn content_of(id: u64) -> [u8; 32] {
    content(&payload(id))
}

/// Splitmix64: small, seeded, and good enough to choose moments.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `from..to`, which must not be empty.
    pub fn within(&mut self, from: usize, to: usize) -> usize {
        let width = u64::try_from(to.saturating_sub(from)).unwrap_or(u64::MAX).max(1);
        from + usize::try_from(self.next() % width).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_tells_its_id_and_is_like_no_other() {
        assert_eq!(id_of(&payload(77)), 77);
        assert_eq!(payload(77).len(), PAYLOAD_BYTES);
        assert_ne!(content_of(77), content_of(78));
        assert_eq!(id_of(b"short"), 0);
    }

    #[test]
    fn what_is_unanswered_is_offered_again_oldest_first() {
        let mut book = Book::default();
        let ids = [(); 3].map(|()| book.claim(content_of));
        assert_eq!(ids, [1, 2, 3]);
        assert_eq!(book.waiting(), None);
        book.obligations.acknowledge(2);
        book.offer_again();
        assert_eq!([book.waiting(), book.waiting(), book.waiting()], [Some(1), Some(3), None]);
    }

    #[test]
    fn random_moments_stay_within_and_repeat_with_their_seed() {
        let draw = |seed| {
            let mut random = Random(seed);
            (0..100).map(|_| random.within(50, 900)).collect::<Vec<_>>()
        };
        assert!(draw(1).iter().all(|moment| (50..900).contains(moment)));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
