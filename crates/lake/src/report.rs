//! The last report of the verifier in brief, beside the catalogue: what the console shows of a proof.
//!
//! Whoever verified puts it there on request; the whole report with its findings, which name places, stays
//! with them.

use std::path::Path;

use imprimatur_consent::Invariant;
use imprimatur_runtime::UnixSeconds;

use crate::swapped::{self, CatalogueError};

/// Name of the file in the lake's folder.
const NAME: &str = "report.json";

/// What a proof comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything was checked, and all of it holds.
    Holds,
    /// What was checked holds, and the book was not checked. That is no proof of the whole.
    NotAllChecked,
    /// Something does not hold.
    Fails,
}

impl Verdict {
    /// In capital words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "HOLDS",
            Self::NotAllChecked => "NOT ALL CHECKED",
            Self::Fails => "DOES NOT HOLD",
        }
    }
}

/// What was checked of one invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// Which.
    pub invariant: Invariant,
    /// Whether all of it holds.
    pub holds: bool,
    /// Number of single checks.
    pub checked: u64,
    /// Number of those that found something.
    pub failed: u64,
}

impl Checked {
    /// The check's name: what the invariant says.
    pub fn name(&self) -> &'static str {
        self.invariant.sentence()
    }
}

/// A report without findings, paths and names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// When it was made.
    pub made: UnixSeconds,
    /// What it comes to.
    pub verdict: Verdict,
    /// Whether the rows come from a synthetic fleet.
    pub synthetic: bool,
    /// Rows that were matched with their evidence.
    pub rows: u64,
    /// Entries of the log that the evidence reaches.
    pub log_size: u64,
    /// The checks.
    pub checks: Vec<Checked>,
}

impl Report {
    /// Reads the last report of a lake.
    ///
    /// # Errors
    /// [`CatalogueError::Absent`] when none was put there; otherwise what is wrong.
    pub fn load(folder: &Path) -> Result<Self, CatalogueError> {
        swapped::load(folder, NAME)
    }

    /// Puts it in the place of the older one.
    ///
    /// # Errors
    /// [`CatalogueError::Io`]; the old one still stands.
    pub fn store(&self, folder: &Path) -> Result<(), CatalogueError> {
        swapped::store(folder, NAME, self)
    }
}
