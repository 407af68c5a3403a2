//! The publisher: moves committed records from the journal into the lake, and evidence beside it.
//!
//! Files are written whole and durable before one transaction takes the records out of the journal
//! and the files into the catalogue. A crash in between leaves files that no catalogue names; the
//! next start sweeps them and publishes the same records again. The publisher's only input is
//! committed rows.

use std::sync::Arc;

use imprimatur_consent::Digest;
use imprimatur_lake::{Catalogue, Exclusion, FileEntry, Lake, Row};
use imprimatur_ledger::segments::{Manifest, Segments};
use imprimatur_ledger::{Book, JournalRecord};
use imprimatur_runtime::Clock;

use crate::answer::Signer;
use crate::config::CollectorSettings;
use crate::error::CollectorError;
use crate::tally::Tally;

/// Batches moved in one publication; bounds its memory.
const BATCHES: usize = 4096;

/// Moves committed records into the lake.
#[derive(Debug)]
pub struct Publisher {
    book: Arc<Book>,
    lake: Lake,
    segments: Segments,
    tally: Arc<Tally>,
    clock: Arc<dyn Clock>,
    collector_key: Digest,
    synthetic: bool,
    /// Newest position in the last publication.
    told: Option<u64>,
    /// Whether the last publication broke off; it may have left files.
    unfinished: bool,
}

impl Publisher {
    /// Opens lake and evidence. The first publication removes what a crash left behind.
    ///
    /// # Errors
    /// [`CollectorError`] names the file or folder.
    pub fn open(
        settings: &CollectorSettings,
        book: Arc<Book>,
        signer: &Signer,
        tally: Arc<Tally>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CollectorError> {
        let lake = Lake::open(settings.lake()).map_err(lake_error)?;
        let segments = Segments::open(&settings.evidence())?;
        let (collector_key, synthetic) = (Digest(signer.public()), settings.synthetic);
        let (told, unfinished) = (None, true);
        Ok(Self { book, lake, segments, tally, clock, collector_key, synthetic, told, unfinished })
    }

    /// Removes lake files that the book does not name.
    fn sweep(&self) -> Result<(), CollectorError> {
        let files: Vec<FileEntry> = self.book.files()?;
        let known = Catalogue { files, ..Catalogue::empty(self.clock.now()) };
        let swept = self.lake.sweep(&known).map_err(lake_error)?;
        if swept > 0 {
            tracing::warn!(files = swept, "removed lake files of an unfinished publication");
        }
        Ok(())
    }

    /// Publishes what was committed since the last time; gives the number of rows.
    ///
    /// # Errors
    /// [`CollectorError`]: nothing is lost; the next call tries again.
    pub fn publish(&mut self) -> Result<usize, CollectorError> {
        let batches = self.book.journal(BATCHES)?;
        let (position, _) = self.book.positions()?;
        let quiet = batches.is_empty() && self.tally.is_empty() && !self.unfinished;
        if quiet && self.told == Some(position) {
            return Ok(0);
        }
        if std::mem::replace(&mut self.unfinished, true) {
            self.sweep()?;
        }
        let positions: Vec<u64> = batches.iter().map(|(position, _)| *position).collect();
        let rows: Vec<Row> = batches.iter().flat_map(rows).collect();
        let files = self.lake.write(&rows).map_err(lake_error)?;
        let named: Vec<(&str, &FileEntry)> =
            files.iter().map(|file| (file.path.as_str(), file)).collect();
        let txn = self.book.begin()?;
        txn.publish(&positions, &named)?;
        self.tally.settle(&txn)?;
        let (enrolled, withdrawn) = txn.population()?;
        txn.commit()?;

        let exclusion = |out: imprimatur_ledger::Withdrawn| Exclusion {
            subject: out.subject,
            category: out.category,
            up_to: out.up_to,
        };
        let catalogue = Catalogue {
            files: self.book.files()?,
            enrolled,
            excluded: withdrawn.into_iter().map(exclusion).collect(),
            synthetic: self.synthetic,
            ..Catalogue::empty(self.clock.now())
        };
        catalogue.store(self.lake.folder()).map_err(lake_error)?;
        self.publish_evidence()?;
        (self.told, self.unfinished) = (Some(position), false);
        Ok(rows.len())
    }

    /// Writes the evidence that is new, then the manifest that binds it to the catalogue.
    fn publish_evidence(&mut self) -> Result<(), CollectorError> {
        let path = self.lake.folder().join("catalogue.json");
        let catalogue = std::fs::read(&path)
            .map_err(|source| CollectorError::Path { path: path.clone(), source })?;
        let (consented, committed) = self.segments.newest();
        // Commits first: a grant that is recorded meanwhile must not be missing beside its commit.
        let commits = self.book.commits_after(committed)?;
        let consent = self.book.consent_after(consented)?;
        let (_, published) = self.book.positions()?;
        self.segments.append(&consent, &commits)?;
        self.segments.store(Manifest {
            collector_key: self.collector_key,
            contract_hash: Digest(imprimatur_proto::contract().hash()),
            catalogue: Digest::of(&catalogue),
            published,
            counts: self.book.counts()?,
            segments: Vec::new(),
        })?;
        Ok(())
    }
}

fn rows((position, records): &(u64, Vec<JournalRecord>)) -> Vec<Row> {
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

fn lake_error(error: impl std::error::Error + Send + Sync + 'static) -> CollectorError {
    CollectorError::Lake(Box::new(error))
}
