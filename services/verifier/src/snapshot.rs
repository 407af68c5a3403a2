//! One moment of a collector's folders: catalogue, manifest and evidence that belong together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_consent::Digest;
use imprimatur_lake::Catalogue;
use imprimatur_ledger::segments::{Manifest, SegmentError};
use imprimatur_ledger::{CommitEvidence, ConsentEvidence};

/// A collector that publishes just now is waited for: 40 times 50 ms.
pub(crate) const TRIES: u32 = 40;

/// Waits before another look.
pub(crate) fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the collector swaps two files one after the other; there is no condition to wait \
                  for in a folder that may be a copy"
    )]
    std::thread::sleep(Duration::from_millis(50));
}

/// There is nothing that can be verified.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The catalogue cannot be read, or nothing was published yet.
    #[error("the lake has no usable catalogue")]
    Catalogue(#[source] imprimatur_lake::CatalogueError),
    /// The evidence cannot be read, or was changed.
    #[error("the evidence is unusable")]
    Evidence(#[from] SegmentError),
    /// The lake's folder cannot be entered.
    #[error("the lake cannot be read")]
    Lake(#[source] imprimatur_lake::OpenError),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The manifest names another catalogue than the one that is there.
    #[error("the evidence is about another catalogue than the lake's: one of them was replaced")]
    Apart,
}

/// What is verified.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) catalogue: Catalogue,
    pub(crate) manifest: Manifest,
    pub(crate) consent: Vec<ConsentEvidence>,
    pub(crate) commits: Vec<CommitEvidence>,
}

impl Snapshot {
    /// Reads both folders until catalogue and manifest belong together.
    pub(crate) fn load(lake: &Path, evidence: &Path) -> Result<Self, SnapshotError> {
        for try_number in 0..TRIES {
            if try_number > 0 {
                pause();
            }
            let manifest = Manifest::load(evidence)?;
            let catalogue = Catalogue::load(lake).map_err(SnapshotError::Catalogue)?;
            let path = lake.join("catalogue.json");
            let bytes =
                std::fs::read(&path).map_err(|source| SnapshotError::Io { path, source })?;
            if Digest::of(&bytes) == manifest.catalogue {
                let consent = manifest.consent(evidence)?;
                let commits = manifest.commits(evidence)?;
                return Ok(Self { catalogue, manifest, consent, commits });
            }
        }
        Err(SnapshotError::Apart)
    }
}
