//! The lanes into the writer: what ends or changes consent overtakes batches, and a full lane says
//! when to come again.
//!
//! Each group of the writer takes what waits in the lane of consent and rights first, at most
//! [`URGENT`], then batches until the group is full. So a withdrawal never waits behind a flood of
//! batches, and a flood of consent events leaves three quarters of each group to batches. Half of
//! the first lane is for those whom the book knows: strangers can fill the other half only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::time::Instant;

use crate::writer::Job;

/// Jobs of one group, and batches that may wait: 256 frames of 2 KiB are half a megabyte, and one
/// fsync for so many is as good as for more. A full lane is answered, not waited for.
pub const GROUP: usize = 256;

/// Consent events and rights requests that may wait, and that one group takes before batches.
pub const URGENT: usize = 64;

/// Places of the first lane that strangers leave free.
const KNOWN_ONLY: usize = URGENT / 2;

/// Shortest and longest wait that is asked for, milliseconds. Below a second a client that comes
/// again costs more than what it brings; after a minute the reason is another one.
const RETRY_MS: (u64, u64) = (1_000, 60_000);

/// A lane has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// Come again after so many milliseconds.
    Busy(u32),
    /// The writer ended.
    Gone,
}

/// The door's end of the lanes. Cheap to clone; the writer ends when all are gone.
#[derive(Clone, Debug)]
pub struct Lanes {
    urgent: mpsc::Sender<Job>,
    batches: mpsc::Sender<Job>,
    pace: Arc<Pace>,
}

/// The writer's end of the lanes.
#[derive(Debug)]
pub struct Queue {
    urgent: mpsc::Receiver<Job>,
    batches: mpsc::Receiver<Job>,
    pace: Arc<Pace>,
}

/// How long a group takes lately, microseconds.
#[derive(Debug, Default)]
struct Pace(AtomicU64);

/// A place in the lane of batches, held while the signature is checked.
#[derive(Debug)]
pub struct Place(OwnedPermit<Job>);

/// Both ends of new lanes.
pub fn lanes() -> (Lanes, Queue) {
    let (urgent, urgent_queue) = mpsc::channel(URGENT);
    let (batches, batch_queue) = mpsc::channel(GROUP);
    let pace = Arc::new(Pace::default());
    let queue = Queue { urgent: urgent_queue, batches: batch_queue, pace: Arc::clone(&pace) };
    (Lanes { urgent, batches, pace }, queue)
}

impl Lanes {
    /// Takes a place for a batch.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub fn place(&self) -> Result<Place, NoPlace> {
        match self.batches.clone().try_reserve_owned() {
            Ok(place) => Ok(Place(place)),
            Err(TrySendError::Full(_)) => Err(NoPlace::Busy(self.retry_after_ms())),
            Err(TrySendError::Closed(_)) => Err(NoPlace::Gone),
        }
    }

    /// Whether a consent event or a rights request would find a place now; `known` when the book
    /// knows whose it is.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub fn urgent_place(&self, known: bool) -> Result<(), NoPlace> {
        let kept = if known { 0 } else { KNOWN_ONLY };
        match self.urgent.capacity() {
            _ if self.urgent.is_closed() => Err(NoPlace::Gone),
            free if free > kept => Ok(()),
            _ => Err(NoPlace::Busy(self.retry_after_ms())),
        }
    }

    /// Whether a consent event or a rights request waits.
    pub fn has_urgent(&self) -> bool {
        self.urgent.capacity() < self.urgent.max_capacity()
    }

    /// Queues a consent event or a rights request.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub fn send_urgent(&self, job: Job, known: bool) -> Result<(), NoPlace> {
        self.urgent_place(known)?;
        self.urgent.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => NoPlace::Busy(self.retry_after_ms()),
            TrySendError::Closed(_) => NoPlace::Gone,
        })
    }

    /// When to come again, milliseconds: after what waits and the group under way, at the pace of
    /// the last groups.
    pub fn retry_after_ms(&self) -> u32 {
        let waiting = self.batches.max_capacity().saturating_sub(self.batches.capacity());
        let groups = u64::try_from(waiting.div_ceil(GROUP)).unwrap_or(1).saturating_add(1);
        let wait = self.pace.0.load(Ordering::Relaxed).saturating_mul(groups) / 1_000;
        u32::try_from(wait.clamp(RETRY_MS.0, RETRY_MS.1)).unwrap_or(u32::MAX)
    }
}

impl Place {
    /// Queues a batch at its place.
    pub fn send(self, job: Job) {
        drop(self.0.send(job));
    }
}

impl Queue {
    /// The next group: waits for one job, then takes what is there. `None` when all doors are gone
    /// and nothing waits.
    pub async fn group(&mut self) -> Option<Vec<Job>> {
        let Self { urgent, batches, .. } = self;
        let first = tokio::select! {
            biased;
            Some(job) = urgent.recv() => job,
            Some(job) = batches.recv() => job,
            else => return None,
        };
        let mut later = Vec::new();
        let mut group = match first {
            first @ Job::Batch(..) => {
                later.push(first);
                Vec::new()
            }
            first => vec![first],
        };
        while group.len() < URGENT
            && let Ok(next) = urgent.try_recv()
        {
            group.push(next);
        }
        group.append(&mut later);
        while group.len() < GROUP
            && let Ok(next) = batches.try_recv()
        {
            group.push(next);
        }
        Some(group)
    }

    /// Notes how long a group took: the smoothed time follows by an eighth.
    pub(crate) fn took(&self, began: Instant) {
        self.pace.note(began.elapsed());
    }
}

impl Pace {
    fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / 8);
        let before = self.0.load(Ordering::Relaxed);
        let after = if before == 0 { took } else { before - before / 8 + took / 8 };
        self.0.store(after, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::record_consent::Verified;

    fn consent() -> Job {
        let verified = Verified {
            event: imprimatur_proto::consent::v1::ConsentEvent::default(),
            subject: imprimatur_consent::SubjectId([1; 16]),
            hash: imprimatur_consent::Digest([1; 32]),
            signed: Vec::new(),
            signature: Vec::new(),
        };
        Job::Consent(Box::new(verified), oneshot::channel().0)
    }

    #[test]
    fn strangers_fill_half_of_the_first_lane_and_the_known_the_rest() {
        let (lanes, mut queue) = lanes();
        let sent = |known| {
            let more = |_: &usize| lanes.send_urgent(consent(), known).is_ok();
            (0..2 * URGENT).take_while(more).count()
        };
        assert_eq!((sent(false), sent(true)), (URGENT - KNOWN_ONLY, KNOWN_ONLY));
        assert_eq!(lanes.urgent_place(true), Err(NoPlace::Busy(1_000)));
        let group = futures::executor::block_on(queue.group()).unwrap();
        assert_eq!(group.len(), URGENT);
        drop(queue);
        assert_eq!(lanes.send_urgent(consent(), true), Err(NoPlace::Gone));
        assert_eq!(lanes.place().err(), Some(NoPlace::Gone));
    }

    #[test]
    fn batches_have_their_own_places_and_the_hint_follows_the_pace() {
        let (lanes, queue) = lanes();
        let places: Vec<_> = (0..GROUP).map(|_| lanes.place().unwrap()).collect();
        assert_eq!(lanes.place().err(), Some(NoPlace::Busy(1_000)), "a quick writer");
        queue.pace.note(Duration::from_secs(4));
        assert_eq!(lanes.place().err(), Some(NoPlace::Busy(8_000)));
        queue.pace.note(Duration::from_secs(4 + 80));
        assert_eq!(lanes.place().err(), Some(NoPlace::Busy(28_000)));
        (0..40).for_each(|_| queue.pace.note(Duration::from_mins(15)));
        assert_eq!(lanes.place().err(), Some(NoPlace::Busy(60_000)));
        assert_eq!(lanes.urgent_place(false), Ok(()));
        drop(places);
        assert!(lanes.place().is_ok());
    }
}
