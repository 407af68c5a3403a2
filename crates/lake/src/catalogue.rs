//! The catalogue: which files are data, who counts, who is left out. One JSON file, swapped whole.
//!
//! It is all that the query service and the verifier read besides the files it names. It holds
//! pseudonyms only, never a subject, a principal or a pepper.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imprimatur_consent::{Category, Digest, Pseudonym};
use imprimatur_proto::contract;
use imprimatur_runtime::{UnixSeconds, durable};

use crate::FileEntry;

/// Name of the file in the lake's folder.
const NAME: &str = "catalogue.json";

/// A subject's category that may no longer be used: withdrawn, restricted or being erased.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// The subject's pseudonym; one exclusion for each epoch.
    pub subject: Pseudonym,
    /// What of it is left out.
    pub category: Category,
    /// Only rows of commits up to this one; the largest number for all.
    pub up_to: u64,
}

/// One published state of the lake.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// SHA-256 of the contract that the files were written under; hex in JSON.
    pub contract_hash: Digest,
    /// When it was published.
    pub published: UnixSeconds,
    /// The files that are data; any other file is not.
    pub files: Vec<FileEntry>,
    /// Pseudonyms of the principals that count toward k, of every epoch.
    pub enrolled: BTreeSet<Pseudonym>,
    /// What no answer may use.
    pub excluded: BTreeSet<Exclusion>,
    /// Whether rows come from a synthetic fleet.
    pub synthetic: bool,
}

/// The catalogue cannot be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// There is none. Wait for the collector's first publication.
    #[error("nothing was published yet: `{}` does not exist", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It cannot be read or written. Report the path.
    #[error("cannot access the catalogue `{}`", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not a catalogue of this version. Let the collector publish again.
    #[error("cannot understand the catalogue `{}`", path.display())]
    Malformed {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

impl Catalogue {
    /// A catalogue without files, of the contract that this program was built with.
    pub fn empty(published: UnixSeconds) -> Self {
        Self {
            contract_hash: Digest(contract().hash()),
            published,
            files: Vec::new(),
            enrolled: BTreeSet::new(),
            excluded: BTreeSet::new(),
            synthetic: false,
        }
    }

    /// Reads the catalogue of a lake.
    ///
    /// # Errors
    /// [`CatalogueError::Absent`] before the first publication; otherwise what is wrong.
    pub fn load(folder: &Path) -> Result<Self, CatalogueError> {
        let path = folder.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(CatalogueError::Absent { path });
            }
            Err(source) => return Err(CatalogueError::Io { path, source }),
        };
        serde_json::from_slice(&bytes).map_err(|source| CatalogueError::Malformed { path, source })
    }

    /// Publishes it: readers see the old one or this one, whole, also after a power cut.
    ///
    /// # Errors
    /// [`CatalogueError::Io`]; the old catalogue still holds.
    pub fn store(&self, folder: &Path) -> Result<(), CatalogueError> {
        let path = folder.join(NAME);
        let bytes = match serde_json::to_vec_pretty(self) {
            Ok(bytes) => bytes,
            Err(source) => return Err(CatalogueError::Malformed { path, source }),
        };
        durable::write(&path, &bytes).map_err(|source| CatalogueError::Io { path, source })
    }
}
