//! One moment of a collector's folders: catalogue, manifest and evidence that belong together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use imprimatur_consent::Digest;
use imprimatur_lake::Catalogue;
use imprimatur_ledger::segments::{Manifest, SegmentError, read_policies};
use imprimatur_ledger::{CommitEvidence, ConsentEvidence, Keyring, KeyringError};

use crate::report::Report;

/// How often one looks whether anything changes: 40 times, 50 ms apart.
const TRIES: u32 = 40;

/// How often one looks again at folders that change and do not hold.
const LOOKS: u32 = 20;

/// Waits before another look.
fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the collector swaps its files one after the other; there is no condition to wait \
                  for in a folder that may be a copy"
    )]
    std::thread::sleep(Duration::from_millis(50));
}

/// Looks until everything holds, or until what does not hold changes no more: a collector that
/// publishes just now swaps catalogue, log and manifest one after the other.
pub(crate) fn settled(
    data: &Path,
    look: impl Fn() -> Result<Report, SnapshotError>,
) -> Result<Report, SnapshotError> {
    for _ in 1..LOOKS {
        let before = moment(data);
        let found = look();
        let holds = found.as_ref().is_ok_and(|report| report.holds);
        let changes = || {
            (0..TRIES).any(|_| {
                let changed = moment(data) != before;
                if !changed {
                    pause();
                }
                changed
            })
        };
        if holds || !changes() {
            return found;
        }
    }
    look()
}

/// Lengths and times of the files that a collector changes.
fn moment(data: &Path) -> Vec<Option<(u64, SystemTime)>> {
    let of = |path: &str| {
        let metadata = std::fs::metadata(data.join(path)).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    let paths = [
        "lake/catalogue.json",
        "lake/overview.json",
        "keys/keyring",
        "log/checkpoint",
        "evidence/manifest.json",
    ];
    paths.map(of).to_vec()
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
    /// The keys cannot be read: without them the evidence says nothing.
    #[error("the keys cannot be read")]
    Keys(#[source] KeyringError),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// So much cannot be searched for at once.
    #[error("nothing can be searched")]
    Search(#[from] crate::SearchError),
    /// The manifest names another catalogue than the one that is there.
    #[error(
        "the evidence is about another catalogue than the lake's: one of them was replaced, or a \
         publication broke off; then let the collector publish again"
    )]
    Apart,
}

/// Evidence and keys, as they lie in the folders.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) log: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) events: Vec<ConsentEvidence>,
    pub(crate) commits: Vec<CommitEvidence>,
    pub(crate) policies: BTreeMap<Digest, String>,
    pub(crate) keyring: Keyring,
}

impl Evidence {
    /// Reads evidence, policies and keyring of a collector's folder.
    pub(crate) fn load(data: &Path) -> Result<Self, SnapshotError> {
        Self::of(data, Manifest::load(&data.join("evidence"))?)
    }

    fn of(data: &Path, manifest: Manifest) -> Result<Self, SnapshotError> {
        let folder = data.join("evidence");
        Ok(Self {
            log: data.join("log"),
            events: manifest.consent(&folder)?,
            commits: manifest.commits(&folder)?,
            policies: read_policies(&folder)?,
            keyring: Keyring::read_only(&data.join("keys")).map_err(SnapshotError::Keys)?,
            manifest,
        })
    }
}

/// What is verified.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) catalogue: Catalogue,
    pub(crate) ledger: Evidence,
}

impl Snapshot {
    /// Reads the folders; catalogue and manifest must belong together.
    pub(crate) fn load(data: &Path) -> Result<Self, SnapshotError> {
        let lake = data.join("lake");
        let manifest = Manifest::load(&data.join("evidence"))?;
        let catalogue = Catalogue::load(&lake).map_err(SnapshotError::Catalogue)?;
        let path = lake.join("catalogue.json");
        let bytes = std::fs::read(&path).map_err(|source| SnapshotError::Io { path, source })?;
        if Digest::of(&bytes) != manifest.catalogue {
            return Err(SnapshotError::Apart);
        }
        Ok(Self { catalogue, ledger: Evidence::of(data, manifest)? })
    }
}
