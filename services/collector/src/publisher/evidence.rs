//! Evidence for readers: segments, then the log that commits to them, then the manifest that names
//! both. So a reader never sees evidence that the log does not hold (INV-9).

use imprimatur_consent::Digest;
use imprimatur_ledger::segments::{Holds, Manifest, write_policy, write_segment};
use imprimatur_proto::contract;
use imprimatur_runtime::UtcDate;

use super::{Publisher, Step};
use crate::error::CollectorError;

impl Publisher {
    /// Writes the evidence that is new, the log's new tiles and checkpoint, and the manifest that
    /// binds them to the catalogue; gives the checkpoint.
    pub(super) fn publish_evidence(&mut self, today: UtcDate) -> Result<String, CollectorError> {
        let book = &self.stores.book;
        let path = self.lake.folder().join("catalogue.json");
        let catalogue = std::fs::read(&path)
            .map_err(|source| CollectorError::Path { path: path.clone(), source })?;
        let (_, published) = book.positions()?;
        let counts = book.counts()?;
        // While this one is open nobody writes: evidence and log end at the same event.
        let txn = book.begin()?;
        let commits = book.commits_after(book.in_segments(Holds::Commits)?)?;
        let events = book.events_after(book.in_segments(Holds::Consent)?)?;
        let commits =
            write_segment(&self.evidence, Holds::Commits, &commits, |entry| entry.position)?;
        let events =
            write_segment(&self.evidence, Holds::Consent, &events, |entry| entry.position)?;
        self.reached(Step::Segmented)?;
        for segment in events.iter().chain(&commits) {
            txn.name_segment(segment, &counts, today)?;
        }
        let log_size = txn.log_size()?;
        txn.commit()?;
        self.reached(Step::Named)?;
        for (hash, text) in book.policies()? {
            write_policy(&self.evidence, hash, &text)?;
        }
        let checkpoint = self.publish_log(log_size)?;
        self.reached(Step::Logged)?;
        let manifest = Manifest {
            collector_key: self.collector_key(),
            log_key: Digest(self.stores.book.log_public_key()),
            log_size,
            contract_hash: Digest(contract().hash()),
            catalogue: Digest::of(&catalogue),
            published,
            kept_since: self.stores.book.kept_since()?,
            counts,
            segments: self.stores.book.segments()?,
        };
        manifest.store(&self.evidence)?;
        Ok(checkpoint)
    }

    /// Brings the log's folder to its first entries; gives the signed checkpoint.
    fn publish_log(&mut self, size: u64) -> Result<String, CollectorError> {
        let (note, view) = self.stores.book.log_view(size)?;
        let published = self.log.publish(&note, &view);
        published.map_err(|error| CollectorError::Log(Box::new(error)))?;
        Ok(note)
    }
}
