//! What the publisher takes out of the book: evidence since the last time, and the segments that
//! hold it.

use std::collections::BTreeMap;

use imprimatur_consent::event::Public;
use imprimatur_runtime::UtcDate;
use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::book::{Book, decode};
use crate::error::BookError;
use crate::evidence::{CommitEvidence, ConsentEvidence};
use crate::segments::{Holds, Segment};
use crate::tables::{COMMITS, EVENTS, KEPT_SINCE, NUMBERS, POSITION, PUBLISHED, SEGMENTS};
use crate::txn::Txn;

impl Book {
    /// Recorded events after a position, in order.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn events_after(&self, position: u64) -> Result<Vec<ConsentEvidence>, BookError> {
        let table = self.0.db.begin_read()?.open_table(EVENTS)?;
        let later = table.range(position.saturating_add(1)..)?;
        later.map(|entry| decode(EVENTS, entry?.1.value())).collect()
    }

    /// Evidence of commits after a position, in order.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn commits_after(&self, position: u64) -> Result<Vec<CommitEvidence>, BookError> {
        let table = self.0.db.begin_read()?.open_table(COMMITS)?;
        let later = table.range(position.saturating_add(1)..)?;
        later.map(|entry| decode(COMMITS, entry?.1.value())).collect()
    }

    /// The newest position, and the newest whose records are in the lake.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn positions(&self) -> Result<(u64, u64), BookError> {
        Ok((self.number(POSITION)?, self.number(PUBLISHED)?))
    }

    /// The first date whose rows are kept, by table; empty while nothing expired.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn kept_since(&self) -> Result<BTreeMap<String, UtcDate>, BookError> {
        let table = self.0.db.begin_read()?.open_table(NUMBERS)?;
        let mut kept = BTreeMap::new();
        for entry in table.iter()? {
            let (key, day) = entry?;
            if let Some(name) = key.value().strip_prefix(KEPT_SINCE) {
                kept.insert(name.to_owned(), UtcDate(u32::try_from(day.value()).unwrap_or(0)));
            }
        }
        Ok(kept)
    }

    /// The segments of the evidence, in the order of their positions.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn segments(&self) -> Result<Vec<Segment>, BookError> {
        let table = self.0.db.begin_read()?.open_table(SEGMENTS)?;
        let entries = table.iter()?.map(|entry| decode(SEGMENTS, entry?.1.value()));
        let mut segments: Vec<Segment> = entries.collect::<Result<_, BookError>>()?;
        segments.sort_by_key(|segment| (segment.first, segment.last));
        Ok(segments)
    }

    /// The newest position of this kind that a segment holds.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn in_segments(&self, holds: Holds) -> Result<u64, BookError> {
        let segments = self.segments()?;
        let of_it = segments.iter().filter(|segment| segment.holds == holds);
        Ok(of_it.map(|segment| segment.last).max().unwrap_or(0))
    }
}

impl Txn {
    /// Says from which date on the rows of a table are kept. What expired stays expired, also when
    /// the clock goes back.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn keep_since(&self, table: &str, first: UtcDate) -> Result<(), BookError> {
        let key = format!("{KEPT_SINCE}{table}");
        let before = self.number(&key)?;
        self.set_number(&key, before.max(u64::from(first.0)))
    }

    /// Names a segment that is durable, here and in the log with the counts of answers. So neither
    /// what is written beside a seal (place, slot, time) nor how much was refused can be told
    /// differently later.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn name_segment(
        &self,
        segment: &Segment,
        counts: &BTreeMap<String, u64>,
        on: UtcDate,
    ) -> Result<(), BookError> {
        self.put(SEGMENTS, segment.file.as_str(), segment)?;
        let (first, last, hash) = (segment.first, segment.last, Some(segment.sha256));
        let counts = counts.clone();
        self.log_public(&Public::Counts { first, last, segment: hash, counts, on })?;
        Ok(())
    }
}
