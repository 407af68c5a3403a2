//! The catalogue: which files are data, who counts, who is left out. One JSON file, swapped whole.
//!
//! It is all that the query service and the verifier read besides the files it names. It holds
//! pseudonyms only, never a subject, a principal or a pepper.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use imprimatur_consent::{Category, Digest, Pseudonym};
use imprimatur_proto::contract;
use imprimatur_runtime::UnixSeconds;

use crate::FileEntry;
use crate::rules::Rules;
use crate::swapped::{self, CatalogueError};

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
    /// By category, the position of the newest event by which somebody's rows of it stopped being used:
    /// withdrawn, restricted, objected, lapsed or erased. It only grows, and names nobody.
    pub excluded_at: BTreeMap<Category, u64>,
    /// The newest position of the book's one order of events and commits that all this knows of.
    pub position: u64,
    /// The limits of the policies that rows were told under.
    pub rules: Rules,
    /// Whether rows come from a synthetic fleet.
    pub synthetic: bool,
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
            excluded_at: Category::ALL.into_iter().map(|category| (category, 0)).collect(),
            position: 0,
            rules: Rules::ceilings(),
            synthetic: false,
        }
    }

    /// Reads the catalogue of a lake.
    ///
    /// # Errors
    /// [`CatalogueError::Absent`] before the first publication; otherwise what is wrong.
    pub fn load(folder: &Path) -> Result<Self, CatalogueError> {
        swapped::load(folder, NAME)
    }

    /// The bytes of a lake's catalogue, for [`Self::parse`]: while they are the same nothing was published.
    ///
    /// # Errors
    /// [`CatalogueError::Absent`] before the first publication; otherwise the disk's.
    pub fn bytes(folder: &Path) -> Result<Vec<u8>, CatalogueError> {
        swapped::bytes(folder, NAME)
    }

    /// What the bytes of a lake's catalogue say.
    ///
    /// # Errors
    /// [`CatalogueError::Malformed`].
    pub fn parse(folder: &Path, bytes: &[u8]) -> Result<Self, CatalogueError> {
        swapped::parse(folder, NAME, bytes)
    }

    /// Publishes it: readers see the old one or this one, whole, also after a power cut.
    ///
    /// # Errors
    /// [`CatalogueError::Io`]; the old catalogue still holds.
    pub fn store(&self, folder: &Path) -> Result<(), CatalogueError> {
        swapped::store(folder, NAME, self)
    }
}
