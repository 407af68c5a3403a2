//! The spool: frames that wait for their verdicts, each under its number with a checksum.
//!
//! A value of the space `spool`, whose key is the number as u64, all integers big-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 | 1 when it was offered to the wire, 0 when not; any other is damage |
//! | 1 | how many records are in the batch |
//! | 2..6 | CRC-32C of number, byte 1 and frame |
//! | 6.. | the frame |
//!
//! Keeps true: a damaged frame is never sent, shown or stripped: it is deleted, counted and said.
//! When a new frame does not fit, the oldest go, and each is counted and told by the header of a
//! later batch. Before form 3 of the state a value was the first byte and the frame; such values
//! are written anew when the store is opened.

use std::collections::VecDeque;

use crc::{CRC_32_ISCSI, Crc};
use imprimatur_proto::telemetry::v1::Batch;

use super::counts::Fate;
use super::seal::opened;
use super::state::{Draft, State, number};
use super::{AgentError, Core, Noted};
use crate::store::{Change, Entry, Space, Store, StoreError};

const CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Bytes before the frame.
const HEAD: usize = 6;

/// Most drops that one header tells: `max` of the contract.
const TOLD_MAX: u64 = 255;

/// A spooled frame whose checksum holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spooled<'a> {
    /// Whether it was offered to the wire: then it may be stored.
    pub(super) offered: bool,
    /// Records in it.
    pub(super) records: u64,
    /// The frame.
    pub(super) frame: &'a [u8],
}

/// The value of a frame.
pub(super) fn wrap(sequence: u64, offered: bool, records: u64, frame: &[u8]) -> Vec<u8> {
    let records = u8::try_from(records).unwrap_or(u8::MAX);
    let checksum = checksum(sequence, records, frame).to_be_bytes();
    [&[u8::from(offered), records], &checksum[..], frame].concat()
}

/// Reads a value; `None` when it is damaged.
pub(super) fn unwrap(sequence: u64, value: &[u8]) -> Option<Spooled<'_>> {
    let (&[offered, records, ref written @ ..], frame) = value.split_first_chunk::<HEAD>()?;
    let intact = offered <= 1 && *written == checksum(sequence, records, frame).to_be_bytes();
    let (offered, records) = (offered == 1, u64::from(records));
    intact.then_some(Spooled { offered, records, frame })
}

fn checksum(sequence: u64, records: u8, frame: &[u8]) -> u32 {
    let mut digest = CRC_32C.digest();
    digest.update(&sequence.to_be_bytes());
    digest.update(&[records]);
    digest.update(frame);
    digest.finalize()
}

/// Bytes of the frame in a value.
pub(super) fn frame_bytes(value: &[u8]) -> u64 {
    u64::try_from(value.len().saturating_sub(HEAD)).unwrap_or(u64::MAX)
}

/// How many records a batch holds.
pub(super) fn records(batch: &Batch) -> u64 {
    u64::try_from(batch.prints.len() + batch.days.len()).unwrap_or(u64::MAX)
}

/// The drops that a frame tells; none when it cannot be read.
fn told(frame: &[u8]) -> u64 {
    let header = opened(frame).ok().and_then(|batch| batch.header);
    header.map_or(0, |header| u64::from(header.dropped))
}

/// Writes the values of form 2 anew, and begins to count.
///
/// # Errors
/// The disk's.
pub(super) fn upgrade(
    store: &Store,
    state: &mut State,
    change: &mut Change,
) -> Result<(), StoreError> {
    let pending = store.scan(Space::Pending, b"")?.len();
    for (key, value) in store.scan(Space::Spool, b"")? {
        let sequence = number("spool key", &key)?;
        let (&offered, frame) =
            value.split_first().ok_or(StoreError::Unreadable("spooled frame"))?;
        // What cannot be read is dealt with like all such frames, once it is wrapped.
        let held = opened(frame).map_or(0, |batch| records(&batch));
        change.put(Space::Spool, &key, &wrap(sequence, offered != 0, held, frame));
        state.counts.sealed += 1;
        state.counts.records.waiting += held;
    }
    let pending = u64::try_from(pending).unwrap_or(u64::MAX);
    state.counts.collected = state.counts.records.waiting.saturating_add(pending);
    Ok(())
}

impl Draft {
    /// Puts a frame into the spool.
    pub(super) fn spool(&mut self, sequence: u64, frame: &[u8], records: u64) -> Vec<u8> {
        let value = wrap(sequence, false, records, frame);
        self.state.spool_bytes += frame_bytes(&value);
        self.state.spool_frames += 1;
        self.state.counts.records.waiting += records;
        self.change.put(Space::Spool, &sequence.to_be_bytes(), &value);
        value
    }

    /// Takes an intact frame out, of which so many records go on under another number, and counts
    /// what became of it. The drops that it told are told again, unless they arrived or go on.
    pub(super) fn free(&mut self, sequence: u64, value: &[u8], fate: Fate, kept: u64) {
        let State { spool_bytes, spool_frames, counts, identity, .. } = &mut self.state;
        *spool_bytes = spool_bytes.saturating_sub(frame_bytes(value));
        *spool_frames = spool_frames.saturating_sub(1);
        let held = unwrap(sequence, value);
        let records = held.map_or(0, |held| held.records);
        counts.records.waiting = counts.records.waiting.saturating_sub(records);
        counts.leave(fate, records.saturating_sub(kept));
        if let Some(identity) = identity
            && fate != Fate::Stored
            && kept == 0
        {
            identity.untold += held.map_or(0, |held| told(held.frame));
            identity.untold += u64::from(fate == Fate::Dropped);
        }
        self.change.remove(Space::Spool, &sequence.to_be_bytes());
    }

    /// Counts a batch that is larger than the whole spool.
    pub(super) fn dropped_unspooled(&mut self, records: u64) {
        self.state.counts.leave(Fate::Dropped, records);
        if let Some(identity) = &mut self.state.identity {
            identity.untold += 1;
        }
    }

    /// The drops that the next header tells.
    pub(super) fn to_tell(&self) -> u32 {
        let untold = self.state.identity.as_ref().map_or(0, |identity| identity.untold);
        u32::try_from(untold.min(TOLD_MAX)).unwrap_or_default()
    }

    /// Counts drops as told: the number of the header that tells them is durable with this change.
    pub(super) fn told(&mut self, dropped: u32) {
        if let Some(identity) = &mut self.state.identity {
            identity.untold = identity.untold.saturating_sub(u64::from(dropped));
        }
    }
}

/// What may go to make room: what is stored, oldest first, then what this change adds.
pub(super) struct Oldest<I> {
    pub(super) stored: I,
    pub(super) added: VecDeque<(u64, Vec<u8>)>,
}

impl<I: Iterator<Item = Result<Entry, StoreError>>> Oldest<I> {
    /// Drops the oldest until so many bytes fit under the bound; tells how many went.
    pub(super) fn make_room(
        &mut self,
        draft: &mut Draft,
        bytes: u64,
        bound: u64,
    ) -> Result<u64, StoreError> {
        let mut dropped = 0;
        while draft.state.spool_bytes.saturating_add(bytes) > bound {
            let (sequence, value) = match self.stored.next().transpose()? {
                Some((key, value)) => (number("spool key", &key)?, value),
                None => match self.added.pop_front() {
                    Some(added) => added,
                    None => break,
                },
            };
            draft.free(sequence, &value, Fate::Dropped, 0);
            dropped += 1;
        }
        Ok(dropped)
    }
}

impl Core {
    /// Deletes frames whose checksum does not hold.
    pub(super) fn purge_damaged(&mut self) -> Result<(), AgentError> {
        let mut draft = self.draft();
        let (mut damaged, mut bytes, mut intact) = (0_u64, 0, 0);
        for entry in self.store.entries(Space::Spool, b"")? {
            let (key, value) = entry?;
            if let Some(held) = unwrap(number("spool key", &key)?, &value) {
                bytes += frame_bytes(&value);
                intact += held.records;
            } else {
                draft.change.remove(Space::Spool, &key);
                damaged += 1;
            }
        }
        if damaged == 0 {
            return Ok(());
        }
        let State { spool_bytes, spool_frames, counts, .. } = &mut draft.state;
        *spool_bytes = bytes;
        *spool_frames = spool_frames.saturating_sub(damaged);
        counts.purged += damaged;
        counts.damaged += damaged;
        // Nobody can say what was in them but by what is left.
        counts.records.purged += counts.records.waiting.saturating_sub(intact);
        counts.records.waiting = intact;
        draft.note(Noted::Damaged { purged: damaged });
        self.commit(draft)?;
        tracing::error!(
            batches = damaged,
            "batches were damaged in the store and were deleted unsent: check this device's disk \
             or memory card, and replace it if this is said again"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_changed_bit_but_the_mark_is_damage() {
        let value = wrap(7, false, 3, b"a frame");
        let held = Spooled { offered: false, records: 3, frame: b"a frame" };
        assert_eq!(unwrap(7, &value), Some(held));
        assert_eq!(unwrap(8, &value), None, "under another number");
        for bit in 1..value.len() * 8 {
            let mut changed = value.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unwrap(7, &changed), None, "bit {bit}");
        }
        for length in 0..value.len() {
            assert_eq!(unwrap(7, &value[..length]), None, "cut to {length}");
        }
        let offered = wrap(7, true, 3, b"a frame");
        assert_eq!(offered[1..], value[1..], "the checksum does not know the mark");
        assert!(unwrap(7, &offered).unwrap().offered);
    }

    #[test]
    fn the_checksum_is_that_of_castagnoli() {
        assert_eq!(CRC_32C.checksum(b"123456789"), 0xe306_9283);
    }
}
