//! Counts: what became of every record and every batch; durable, changed together with it.
//!
//! At every moment, since the store was made or the printer was handed over:
//!
//! ```text
//! batches: sealed = stored + refused + purged + dropped + waiting in the spool
//! records: collected = beyond_date + pending + waiting + stored + refused + purged + dropped
//! ```
//!
//! A batch that gets another number because a category went or the contract changed stays the same
//! batch: `resealed` tells how often. What is left of a refused batch is a new one: the refusal is
//! counted, as the collector counts it, and so is the seal. What waits in memory for its date is not
//! collected yet, and `undated` never was. `sent` counts each time a frame was
//! queued to the wire, repeats included.

/// What became of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Records that consent covered.
    pub collected: u64,
    /// Records beyond what a date may tell.
    pub beyond_date: u64,
    /// Reports that never got a date, because the clock stayed doubtful; they are not collected.
    pub undated: u64,
    /// Batches that were made.
    pub sealed: u64,
    /// Times a waiting batch got another number.
    pub resealed: u64,
    /// Times a frame was queued to the wire.
    pub sent: u64,
    /// Batches that the collector stored, by its verdict.
    pub stored: u64,
    /// Batches that the collector refused, by its verdict.
    pub refused: u64,
    /// Batches deleted by a withdrawal, an erasure, or because they cannot be sent any more.
    pub purged: u64,
    /// Of the purged: those whose bytes were damaged on this device.
    pub damaged: u64,
    /// Of the purged: those that were too old or not covered any more when they could be sent.
    pub stale: u64,
    /// Batches that the full spool dropped.
    pub dropped: u64,
    /// The records in the batches.
    pub records: RecordCounts,
}

/// What became of the records in batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct RecordCounts {
    /// In batches that wait for their verdicts.
    pub waiting: u64,
    /// Stored by the collector.
    pub stored: u64,
    /// Refused by the collector.
    pub refused: u64,
    /// Deleted, in a batch or before they were in one.
    pub purged: u64,
    /// In batches that the full spool dropped.
    pub dropped: u64,
}

/// What becomes of a batch that leaves the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The collector stored it.
    Stored,
    /// The collector refused it.
    Refused,
    /// It was deleted.
    Purged,
    /// The full spool dropped it.
    Dropped,
    /// What is left of it goes on under another number; the rest was deleted.
    Again,
}

impl Counts {
    /// Counts a batch that leaves, and those of its records that leave with it.
    pub(super) fn leave(&mut self, fate: Fate, records: u64) {
        let of = &mut self.records;
        let (batches, gone) = match fate {
            Fate::Stored => (&mut self.stored, &mut of.stored),
            Fate::Refused => (&mut self.refused, &mut of.refused),
            Fate::Purged => (&mut self.purged, &mut of.purged),
            Fate::Dropped => (&mut self.dropped, &mut of.dropped),
            Fate::Again => (&mut self.resealed, &mut of.purged),
        };
        *batches += 1;
        *gone += records;
    }

    /// Whether every batch and every record is accounted for, with so many batches in the spool and
    /// so many records not sealed yet.
    pub fn reconciles(&self, batches_waiting: u64, reports_pending: u64) -> bool {
        let batches = [self.stored, self.refused, self.purged, self.dropped, batches_waiting];
        let RecordCounts { waiting, stored, refused, purged, dropped } = self.records;
        let records =
            [self.beyond_date, reports_pending, waiting, stored, refused, purged, dropped];
        self.sealed == batches.iter().sum::<u64>() && self.collected == records.iter().sum::<u64>()
    }
}
