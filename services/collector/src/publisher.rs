//! The publisher: moves committed records from the journal into the lake, finishes erasures and
//! rectifications, lets what is too old go, and writes the evidence of all of it.
//!
//! The order of every change: files are written whole and durable, one transaction takes them into
//! the book's catalogue and the old ones out, `catalogue.json` is swapped, old files are swept, evidence
//! and log are written, and `overview.json` is swapped. A crash in between leaves files that no catalogue
//! names; the next publication sweeps them and does the rest again. Its only input is committed rows.

mod compaction;
mod evidence;
mod overview;
mod tasks;
mod upkeep;

use std::sync::Arc;

use imprimatur_consent::Digest;
use imprimatur_lake::{Catalogue, Exclusion, FileEntry, Lake, Row, Rules};
use imprimatur_ledger::{Book, JournalRecord};
use imprimatur_log::TileWriter;
use imprimatur_runtime::{Clock, UtcDate, durable};

use crate::answer::Signer;
use crate::config::CollectorSettings;
use crate::error::CollectorError;
use crate::rights::reading::Readings;
use crate::tally::Tally;

/// Batches moved in one publication; bounds its memory.
const BATCHES: usize = 4096;

/// What a publisher works with.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The book.
    pub book: Book,
    /// The collector's key.
    pub signer: Arc<Signer>,
    /// Pages that were read, which an erasure forgets.
    pub readings: Arc<Readings>,
    /// Counters.
    pub tally: Arc<Tally>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The boundaries of a publication at which a test lets it end, as a kill would.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The clock's duties are committed.
    Kept,
    /// New rows lie in files that nothing names.
    Written,
    /// The book names the files, and the journal is empty.
    Moved,
    /// Rewritten files lie beside the old ones.
    Rewritten,
    /// The book names the rewritten files, and keys of the erased are destroyed.
    WorkedOff,
    /// A merged file lies beside its parts.
    Merged,
    /// The book names the merged file.
    Compacted,
    /// The catalogue names the new files, and the old ones are still there.
    Catalogued,
    /// The old files are gone.
    Swept,
    /// Segments lie in the evidence that nothing names.
    Segmented,
    /// The book and its log name the segments.
    Named,
    /// The log is published, and the manifest is the old one.
    Logged,
    /// The manifest is the new one, and the overview the old one.
    Manifested,
    /// All is published.
    Overviewed,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Kept,
        Self::Written,
        Self::Moved,
        Self::Rewritten,
        Self::WorkedOff,
        Self::Merged,
        Self::Compacted,
        Self::Catalogued,
        Self::Swept,
        Self::Segmented,
        Self::Named,
        Self::Logged,
        Self::Manifested,
        Self::Overviewed,
    ];
}

/// Moves committed records into the lake.
#[derive(Debug)]
pub struct Publisher {
    stores: Stores,
    lake: Lake,
    log: TileWriter,
    evidence: std::path::PathBuf,
    synthetic: bool,
    /// What the last publication told.
    told: Option<Told>,
    /// The last day of which the clock's duties are done.
    kept: Option<UtcDate>,
    /// Whether the last publication broke off; it may have left files.
    unfinished: bool,
    /// All requests before this one are told no more.
    requests_from: u64,
    /// Where a test lets it end.
    ends_at: Option<Step>,
}

/// The state that a publication tells: while it stays the same there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    position: u64,
    log_size: u64,
    /// All answers that the book counts: also a request that leaves no event is one.
    answers: u64,
    /// Policies, whose limits the catalogue tells.
    policies: usize,
    on: UtcDate,
}

impl Publisher {
    /// Opens lake, evidence and log. The first publication removes what a crash left behind.
    ///
    /// # Errors
    /// [`CollectorError`] names the file or folder.
    pub fn open(settings: &CollectorSettings, stores: Stores) -> Result<Self, CollectorError> {
        let folders = [
            (settings.evidence(), true),
            (settings.log(), true),
            (settings.lake(), false),
            (settings.published(), false),
            (settings.data.clone(), false),
        ];
        for (folder, deep) in folders {
            let removed = durable::remove_unfinished(&folder, deep);
            for left in removed.map_err(|source| CollectorError::Path { path: folder, source })? {
                let (path, bytes) = (left.path.display(), left.bytes);
                tracing::warn!(%path, bytes, "removed a file that a crash left half written");
            }
        }
        let lake = Lake::open(settings.lake()).map_err(lake_error)?;
        let log = TileWriter::open(&settings.log(), &stores.book.log_public_key());
        let log = log.map_err(|error| CollectorError::Log(Box::new(error)))?;
        let (evidence, synthetic) = (settings.evidence(), settings.label.is_synthetic());
        Ok(Self {
            stores,
            lake,
            log,
            evidence,
            synthetic,
            told: None,
            kept: None,
            unfinished: true,
            requests_from: 0,
            ends_at: None,
        })
    }

    /// Lets the next publication end at a step, as a kill would: for tests.
    #[doc(hidden)]
    pub fn end_at(&mut self, step: Step) {
        self.ends_at = Some(step);
    }

    fn reached(&self, step: Step) -> Result<(), CollectorError> {
        if self.ends_at == Some(step) { Err(CollectorError::WriterGone) } else { Ok(()) }
    }

    /// Publishes what changed since the last time; gives the number of new rows.
    ///
    /// # Errors
    /// [`CollectorError`]: nothing is lost; the next call tries again.
    pub fn publish(&mut self) -> Result<usize, CollectorError> {
        let Stores { book, tally, clock, .. } = &self.stores;
        book.usable()?;
        let today = clock.today();
        let batches = book.journal(BATCHES)?;
        let quiet = batches.is_empty() && tally.is_empty() && !self.unfinished;
        if quiet && self.told == Some(self.state(today)?) {
            return Ok(0);
        }
        if std::mem::replace(&mut self.unfinished, true) {
            self.sweep("of an unfinished publication")?;
        }
        if self.kept != Some(today) {
            self.keep_time(today)?;
            self.kept = Some(today);
        }
        self.reached(Step::Kept)?;
        let rows = self.move_journal(&batches, today)?;
        let told = self.state(today)?;
        self.reached(Step::Moved)?;
        let replaced = self.work_off(today)? + self.expire_files(today)?;
        self.reached(Step::WorkedOff)?;
        let replaced = replaced + self.compact(today)?;
        self.reached(Step::Compacted)?;
        self.store_catalogue(today)?;
        self.reached(Step::Catalogued)?;
        if replaced > 0 {
            self.sweep("that were rewritten, merged or expired")?;
        }
        self.reached(Step::Swept)?;
        let checkpoint = self.publish_evidence(today)?;
        self.reached(Step::Manifested)?;
        self.store_overview(checkpoint)?;
        self.reached(Step::Overviewed)?;
        // What was logged meanwhile, by whomever, is not published yet: then there is more to do.
        let log_size = self.log.published().map_or(0, |checkpoint| checkpoint.size);
        self.told = Some(Told { log_size, ..told });
        self.unfinished = false;
        Ok(rows)
    }

    fn state(&self, on: UtcDate) -> Result<Told, CollectorError> {
        let book = &self.stores.book;
        let (position, _) = book.positions()?;
        let answers = book.counts()?.into_values().fold(0, u64::saturating_add);
        let policies = book.terms().policies().count();
        Ok(Told { position, log_size: book.log_size()?, answers, policies, on })
    }

    /// Writes the rows of these batches and takes them out of the journal.
    fn move_journal(
        &self,
        batches: &[(u64, Vec<JournalRecord>)],
        today: UtcDate,
    ) -> Result<usize, CollectorError> {
        let positions: Vec<u64> = batches.iter().map(|(position, _)| *position).collect();
        let rows: Vec<Row> = batches.iter().flat_map(rows).collect();
        let files = self.lake.write(&rows).map_err(lake_error)?;
        self.reached(Step::Written)?;
        let named: Vec<(&str, &FileEntry)> =
            files.iter().map(|file| (file.path.as_str(), file)).collect();
        let txn = self.stores.book.begin()?;
        txn.publish(&positions, &named)?;
        self.stores.tally.settle(&txn, today)?;
        txn.commit()?;
        Ok(rows.len())
    }

    /// Tells readers which files are data, who counts, and what is used no more.
    fn store_catalogue(&self, today: UtcDate) -> Result<(), CollectorError> {
        let txn = self.stores.book.begin()?;
        let (enrolled, withdrawn) = txn.population(today)?;
        let (excluded_at, position) = txn.excluded_at()?;
        let rules = Rules::of(txn.terms().policies());
        let files = self.stores.book.files()?;
        drop(txn);
        let exclusion = |out: imprimatur_ledger::Withdrawn| Exclusion {
            subject: out.subject,
            category: out.category,
            up_to: out.up_to,
        };
        let catalogue = Catalogue {
            files,
            enrolled,
            excluded: withdrawn.into_iter().map(exclusion).collect(),
            excluded_at,
            position,
            rules,
            synthetic: self.synthetic,
            ..Catalogue::empty(self.stores.clock.now())
        };
        catalogue.store(self.lake.folder()).map_err(lake_error)
    }

    /// Removes lake files that the book does not name.
    fn sweep(&self, which: &'static str) -> Result<(), CollectorError> {
        let files: Vec<FileEntry> = self.stores.book.files()?;
        let known = Catalogue { files, ..Catalogue::empty(self.stores.clock.now()) };
        let swept = self.lake.sweep(&known).map_err(lake_error)?;
        if swept > 0 {
            tracing::info!(files = swept, "removed lake files {which}");
        }
        Ok(())
    }

    fn collector_key(&self) -> Digest {
        Digest(self.stores.signer.public())
    }
}

/// The rows of a committed batch.
pub(crate) fn rows((position, records): &(u64, Vec<JournalRecord>)) -> Vec<Row> {
    let row = |(ordinal, record): (u32, &JournalRecord)| Row {
        kind: record.kind,
        date: record.date,
        epoch: record.epoch,
        commit: *position,
        ordinal,
        subject: record.subject,
        principal: record.principal,
        sections: record.sections(),
    };
    (0..).zip(records).map(row).collect()
}

pub(crate) fn lake_error(error: impl std::error::Error + Send + Sync + 'static) -> CollectorError {
    CollectorError::Lake(Box::new(error))
}
