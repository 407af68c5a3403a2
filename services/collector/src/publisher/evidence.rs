//! Evidence for readers: segments, then the log that commits to them, then the manifest that names
//! both. So a reader never sees evidence that the log does not hold (INV-9).

use std::collections::BTreeMap;

use imprimatur_consent::Digest;
use imprimatur_ledger::segments::{Holds, Manifest, write_policy, write_segment};
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::UtcDate;

use super::Publisher;
use crate::error::CollectorError;

impl Publisher {
    /// Writes the evidence that is new, the log's new tiles and checkpoint, and the manifest that
    /// binds them to the catalogue.
    pub(super) fn publish_evidence(&mut self, today: UtcDate) -> Result<(), CollectorError> {
        let book = &self.stores.book;
        let path = self.lake.folder().join("catalogue.json");
        let catalogue = std::fs::read(&path)
            .map_err(|source| CollectorError::Path { path: path.clone(), source })?;
        let (_, published) = book.positions()?;
        let counts = book.counts()?;
        // Commits first: a grant that is recorded meanwhile must not be missing beside its commit.
        let commits = book.commits_after(book.in_segments(Holds::Commits)?)?;
        let events = book.events_after(book.in_segments(Holds::Consent)?)?;
        let commits =
            write_segment(&self.evidence, Holds::Commits, &commits, |entry| entry.position)?;
        let events =
            write_segment(&self.evidence, Holds::Consent, &events, |entry| entry.position)?;
        if commits.is_some() || events.is_some() {
            let txn = book.begin()?;
            for segment in events.iter().chain(&commits) {
                txn.name_segment(segment, &counts, today)?;
            }
            txn.commit()?;
        }
        for (hash, text) in book.policies()? {
            write_policy(&self.evidence, hash, &text)?;
        }
        let log_size = self.publish_log()?;
        let manifest = Manifest {
            collector_key: self.collector_key(),
            log_key: Digest(self.stores.book.log_public_key()),
            log_size,
            contract_hash: Digest(contract().hash()),
            catalogue: Digest::of(&catalogue),
            published,
            kept_since: self.kept_since(today),
            counts,
            segments: self.stores.book.segments()?,
        };
        Ok(manifest.store(&self.evidence)?)
    }

    /// Brings the log's folder to what is committed; gives its size.
    fn publish_log(&mut self) -> Result<u64, CollectorError> {
        let (note, view) = self.stores.book.log_view()?;
        let published = self.log.publish(&note, &view);
        published.map_err(|error| CollectorError::Log(Box::new(error)))?;
        Ok(self.log.published().map_or(0, |checkpoint| checkpoint.size))
    }

    /// The first dates whose rows are kept, by table.
    pub(super) fn kept_since(&self, today: UtcDate) -> BTreeMap<String, UtcDate> {
        let kept = RecordKind::ALL.into_iter();
        kept.map(|kind| (kind.table().to_owned(), self.first_kept(kind, today))).collect()
    }
}
