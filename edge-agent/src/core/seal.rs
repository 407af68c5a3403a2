//! Sealing: from pending reports to signed frames, and again without categories that went.
//!
//! A batch holds the records of one date, sorted by their bytes. Its number is durable before it is
//! signed. The agent refuses to sign what its own contract would refuse.

use std::collections::VecDeque;

use hmac::{Hmac, KeyInit as _, Mac as _};
use imprimatur_consent::{Category, Domain};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{Batch, BatchHeader, DayReport, PrintReport};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::UtcDate;
use sha2::Sha256;

use super::consent::next;
use super::counts::Fate;
use super::identity::Identity;
use super::record::Pending;
use super::spool::{Oldest, unwrap};
use super::state::{Draft, number};
use super::{AgentError, Core, Noted};
use crate::store::Space;

/// Records of a kind in one batch: `max_items` of the contract.
const RECORDS_MAX: usize = 10;

/// What sealing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Batches in the spool now that were not before.
    pub batches: u64,
    /// Batches that the full spool dropped, oldest first; their records are gone.
    pub dropped: u64,
}

/// Which pending reports are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    All,
    /// Those of the dates before this one.
    Before(UtcDate),
    /// All prints, no days.
    Prints,
}

/// The records of a batch, each canonical.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) prints: Vec<Vec<u8>>,
    pub(super) days: Vec<Vec<u8>>,
    pub(super) tag: Vec<u8>,
    /// Drops that its header tells.
    pub(super) dropped: u32,
}

impl Core {
    pub(super) fn seal(&mut self, which: Which) -> Result<Sealed, AgentError> {
        if self.may_date().is_err() {
            return Ok(Sealed::default());
        }
        let mut pending = self.pending()?;
        pending.retain(|pending| match which {
            Which::All => true,
            Which::Before(date) => pending.date < date,
            Which::Prints => pending.kind == RecordKind::Print,
        });
        let Some(mut identity) = self.state.identity.clone() else { return Ok(Sealed::default()) };
        let groups = groups(&pending);
        if groups.is_empty() {
            return Ok(Sealed::default());
        }
        let mut sequence = identity.next_batch;
        identity.next_batch = sequence.saturating_add(u64::try_from(groups.len()).unwrap_or(0));
        let mut reserved = self.draft();
        reserved.state.identity = Some(identity.clone());
        self.commit(reserved)?;

        let (mut draft, mut sealed) = (self.draft(), Sealed::default());
        let bound = self.settings.spool_bytes_max;
        let stored = self.store.entries(Space::Spool, b"")?;
        let mut oldest = Oldest { stored, added: VecDeque::new() };
        for group in groups {
            let mut contents = self.contents(&identity, &group);
            contents.dropped = draft.to_tell();
            let (records, dropped) = (contents.len(), contents.dropped);
            let number = next(&mut sequence);
            let frame = sign(&identity, number, contents)?;
            for taken in &group {
                draft.change.remove(Space::Pending, &taken.key);
            }
            let bytes = u64::try_from(frame.len()).unwrap_or(u64::MAX);
            draft.state.counts.sealed += 1;
            if bytes > bound {
                draft.dropped_unspooled(records);
                sealed.dropped += 1;
                continue;
            }
            draft.told(dropped);
            sealed.dropped += oldest.make_room(&mut draft, bytes, bound)?;
            let value = draft.spool(number, &frame, records);
            oldest.added.push_back((number, value));
            draft.note(Noted::Sealed { sequence: number, bytes });
            sealed.batches += 1;
        }
        if sealed.dropped > 0 {
            draft.note(Noted::Dropped { batches: sealed.dropped });
        }
        self.commit(draft)?;
        self.say_dropped(sealed.dropped);
        self.changes.news += u64::from(sealed.batches > 0);
        Ok(sealed)
    }

    /// One line for any number of drops in a row.
    fn say_dropped(&mut self, batches: u64) {
        if batches > 0 && !std::mem::replace(&mut self.told.dropping, true) {
            tracing::warn!(
                batches,
                spool_bytes = self.state.spool_bytes,
                "the spool is full: the oldest batches are dropped, and the collector is told how \
                 many; reach the collector or raise `spool_bytes_max`"
            );
        }
    }

    /// Pending reports, by date, prints first.
    pub(super) fn pending(&self) -> Result<Vec<Pending>, AgentError> {
        let entries = self.store.scan(Space::Pending, b"")?;
        let read = entries.into_iter().map(|(key, value)| Ok(Pending::read(key, &value)?));
        read.collect()
    }

    /// The records of a group. The identity tag comes only with records that all began after its
    /// grant.
    pub(super) fn contents(&self, identity: &Identity, group: &[&Pending]) -> Contents {
        let of = |kind| {
            let of_kind = group.iter().filter(move |pending| pending.kind == kind);
            of_kind.map(|pending| pending.report.clone()).collect()
        };
        let began = |pending: &&Pending| self.covers(Category::Identity, pending.started);
        let tagged = group.iter().all(began);
        Contents {
            prints: of(RecordKind::Print),
            days: of(RecordKind::Day),
            tag: if tagged { self.identity_tag(identity) } else { Vec::new() },
            dropped: 0,
        }
    }

    /// HMAC-SHA256 of subject and purpose under a key that only this device holds, 16 bytes.
    fn identity_tag(&self, identity: &Identity) -> Vec<u8> {
        let purpose = self.settings.policy.purposes.get(&Category::Identity);
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(identity.tag_key.bytes()) else {
            return Vec::new();
        };
        mac.update(&identity.subject().0);
        mac.update(purpose.map_or("", |purpose| purpose.key.as_str()).as_bytes());
        mac.finalize().into_bytes().iter().take(16).copied().collect()
    }

    /// Takes categories out of the pending reports; tells how many were deleted whole.
    pub(super) fn strip_pending(
        &self,
        draft: &mut Draft,
        gone: &[Category],
    ) -> Result<u64, AgentError> {
        let mut purged = 0;
        for mut pending in self.pending()? {
            // What cannot be read may hold what is withdrawn.
            match strip(pending.kind, &pending.report, gone).unwrap_or(None) {
                Some(kept) if kept == pending.report => {}
                Some(kept) => {
                    pending.report = kept;
                    draft.change.put(Space::Pending, &pending.key, &pending.value());
                }
                None => {
                    draft.change.remove(Space::Pending, &pending.key);
                    purged += 1;
                }
            }
        }
        draft.state.counts.records.purged += purged;
        Ok(purged)
    }
}

/// Takes categories out of one spooled frame; what is left gets the next number. Tells how many
/// frames were deleted whole.
///
/// A frame that was offered and lost a section is deleted whole: the collector may have stored
/// it before the withdrawal, and then the rest under another number would count twice.
pub(super) fn strip_frame(
    draft: &mut Draft,
    identity: &Identity,
    (key, value): (&[u8], &[u8]),
    gone: &[Category],
    sequence: &mut u64,
) -> Result<u64, AgentError> {
    let place = number("spool key", key)?;
    let held = unwrap(place, value);
    let kept = match held.map(|held| stripped(held.frame, gone)) {
        Some(Ok(None)) => return Ok(0),
        Some(Ok(Some(kept))) => Some(kept),
        // Nobody can say what is in it, so it may hold what is withdrawn.
        Some(Err(_)) | None => None,
    };
    let offered = held.is_none_or(|held| held.offered);
    let Some(kept) = kept.filter(|kept| !offered && !kept.empty()) else {
        draft.free(place, value, Fate::Purged, 0);
        return Ok(1);
    };
    draft.free(place, value, Fate::Again, kept.len());
    spool_again(draft, identity, kept, next(sequence))?;
    Ok(0)
}

/// Signs and spools what is left of a frame. It is smaller than what it replaces.
pub(super) fn spool_again(
    draft: &mut Draft,
    identity: &Identity,
    contents: Contents,
    sequence: u64,
) -> Result<(), AgentError> {
    let records = contents.len();
    let frame = sign(identity, sequence, contents)?;
    draft.spool(sequence, &frame, records);
    let bytes = u64::try_from(frame.len()).unwrap_or(u64::MAX);
    draft.note(Noted::Sealed { sequence, bytes });
    Ok(())
}

/// Whether a batch names the contract of this build.
pub(super) fn of_this_contract(batch: &Batch) -> bool {
    let named = batch.header.as_ref().map(|header| header.contract_hash.as_slice());
    named == Some(contract().hash().as_slice())
}

impl Contents {
    /// All that a batch tells.
    pub(super) fn of(batch: &Batch) -> Self {
        Self {
            prints: batch.prints.iter().map(canonical::encode).collect(),
            days: batch.days.iter().map(canonical::encode).collect(),
            tag: batch.header.as_ref().map(|h| h.identity_tag.clone()).unwrap_or_default(),
            dropped: batch.header.as_ref().map_or(0, |header| header.dropped),
        }
    }

    pub(super) fn empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records it holds.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.prints.len() + self.days.len()).unwrap_or(u64::MAX)
    }

    /// Puts the records into the one order that the contract allows.
    pub(super) fn batch(mut self, header: Option<BatchHeader>) -> Result<Batch, AgentError> {
        self.prints.sort();
        self.days.sort();
        let contract = contract();
        let prints = self.prints.iter().map(|bytes| contract.decode::<PrintReport>(bytes));
        let days = self.days.iter().map(|bytes| contract.decode::<DayReport>(bytes));
        Ok(Batch {
            header,
            prints: prints.collect::<Result<_, _>>().map_err(AgentError::Batch)?,
            days: days.collect::<Result<_, _>>().map_err(AgentError::Batch)?,
        })
    }
}

/// The header of a batch.
pub(super) fn header(identity: &Identity, sequence: u64, contents: &Contents) -> BatchHeader {
    BatchHeader {
        subject: identity.subject().0.to_vec(),
        sequence,
        policy_hash: identity.policy.0.to_vec(),
        contract_hash: contract().hash().to_vec(),
        identity_tag: contents.tag.clone(),
        dropped: contents.dropped,
    }
}

/// Builds, checks, signs and pads a batch whose number is durable.
fn sign(identity: &Identity, sequence: u64, contents: Contents) -> Result<Vec<u8>, AgentError> {
    let header = header(identity, sequence, &contents);
    let batch = canonical::encode(&contents.batch(Some(header))?);
    contract().decode::<Batch>(&batch).map_err(AgentError::Batch)?;
    let signature = identity.key().sign(Domain::Batch, &batch);
    Ok(frame::seal(batch, signature)?)
}

/// A group for each date and each ten records of a kind.
fn groups(pending: &[Pending]) -> Vec<Vec<&Pending>> {
    let mut groups = Vec::new();
    for date in pending.chunk_by(|a, b| a.date == b.date) {
        let of = |kind| {
            let of_kind = date.iter().filter(move |p| p.kind == kind).collect::<Vec<_>>();
            of_kind.chunks(RECORDS_MAX).map(<[&Pending]>::to_vec).collect::<Vec<_>>()
        };
        let (mut prints, mut days) = (of(RecordKind::Print), of(RecordKind::Day));
        let length = prints.len().max(days.len());
        prints.resize(length, Vec::new());
        days.resize(length, Vec::new());
        groups.extend(prints.into_iter().zip(days).map(|(prints, days)| [prints, days].concat()));
    }
    groups
}

pub(super) fn strip(
    kind: RecordKind,
    report: &[u8],
    gone: &[Category],
) -> Result<Option<Vec<u8>>, AgentError> {
    let kept = contract().strip(kind, report, |category| !gone.contains(&category));
    kept.map_err(AgentError::Report)
}

/// The records of a frame.
pub(super) fn opened(frame: &[u8]) -> Result<Batch, AgentError> {
    let signed = frame::open(contract(), frame).map_err(AgentError::Batch)?;
    contract().decode(&signed.batch).map_err(AgentError::Batch)
}

/// What is left of a frame without these categories; `None` when none of them was in it.
pub(super) fn stripped(frame: &[u8], gone: &[Category]) -> Result<Option<Contents>, AgentError> {
    let batch = opened(frame)?;
    let mut changed = false;
    let mut keep = |kind, bytes: Vec<u8>| -> Result<Option<Vec<u8>>, AgentError> {
        let kept = strip(kind, &bytes, gone)?;
        changed |= kept.as_ref() != Some(&bytes);
        Ok(kept)
    };
    let mut contents = Contents::default();
    for print in &batch.prints {
        contents.prints.extend(keep(RecordKind::Print, canonical::encode(print))?);
    }
    for day in &batch.days {
        contents.days.extend(keep(RecordKind::Day, canonical::encode(day))?);
    }
    let header = batch.header.unwrap_or_default();
    (contents.tag, contents.dropped) = (header.identity_tag, header.dropped);
    if gone.contains(&Category::Identity) && !contents.tag.is_empty() {
        contents.tag.clear();
        changed = true;
    }
    Ok(changed.then_some(contents))
}
