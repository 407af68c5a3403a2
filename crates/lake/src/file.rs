//! The folder of the lake: files in, files out, leftovers swept.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use imprimatur_consent::Digest;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::{UtcDate, durable};

use crate::{Catalogue, ReadError, Row, WriteError};

/// One file of the lake, as the catalogue names it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Path from the lake's folder, with `/`.
    pub path: String,
    /// Its table.
    pub table: RecordKind,
    /// UTC date of all its rows.
    pub date: UtcDate,
    /// Number of rows, at least 1.
    pub rows: u64,
    /// Lowest commit number.
    pub first_commit: u64,
    /// Highest commit number.
    pub last_commit: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole file; hex in JSON.
    pub sha256: Digest,
}

/// A lake: one folder with one writer and any number of readers.
#[derive(Clone, Debug)]
pub struct Lake {
    folder: PathBuf,
}

/// The folder cannot be made or entered. Stop and report the path.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the lake at `{}`", folder.display())]
pub struct OpenError {
    /// The lake's folder.
    pub folder: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Leftover files could not all be removed. Try again; what was erased may still be on disk.
#[derive(Debug, thiserror::Error)]
#[error("cannot sweep `{}`", path.display())]
pub struct SweepError {
    /// Where it failed.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A file could not be rewritten. The old file is untouched; try again.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The old file cannot be read.
    #[error("cannot read the file to rewrite")]
    Read(#[source] ReadError),
    /// The new file cannot be written.
    #[error("cannot write the file anew")]
    Write(#[source] WriteError),
}

impl Lake {
    /// Opens the lake in a folder, which is made when absent.
    ///
    /// # Errors
    /// [`OpenError`] when the folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let folder = folder.into();
        match durable::private_folder(&folder) {
            Ok(()) => Ok(Self { folder }),
            Err(source) => Err(OpenError { folder, source }),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a catalogue's file is; `None` when its path would leave the lake.
    pub fn locate(&self, entry: &FileEntry) -> Option<PathBuf> {
        let inside = Path::new(&entry.path);
        let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
        (plain && !entry.path.is_empty()).then(|| self.folder.join(inside))
    }

    /// Writes a file again with each row as `change` gives it back, without those it does not: how
    /// erasure and rectification reach a file. `None` when no row is left, the same entry when none
    /// changed. The old file stays until a catalogue without it is stored and [`Lake::sweep`] ran.
    ///
    /// # Errors
    /// [`RewriteError`]; nothing that a catalogue names has changed.
    pub fn rewrite(
        &self,
        entry: &FileEntry,
        change: impl FnMut(Row) -> Option<Row>,
    ) -> Result<Option<FileEntry>, RewriteError> {
        let rows = self.read(entry).map_err(RewriteError::Read)?;
        let changed: Vec<Row> = rows.iter().cloned().filter_map(change).collect();
        if changed == rows {
            return Ok(Some(entry.clone()));
        }
        let written = self.write(&changed).map_err(RewriteError::Write)?;
        Ok(written.into_iter().next())
    }

    /// Removes the files of the tables that the catalogue does not name, left by a crash, by
    /// retention or by erasure, and returns how many. Only the one writer calls it, between writes.
    ///
    /// # Errors
    /// [`SweepError`] at the first file that stays.
    pub fn sweep(&self, catalogue: &Catalogue) -> Result<usize, SweepError> {
        let named = catalogue.files.iter().filter_map(|entry| self.locate(entry));
        let named: BTreeSet<PathBuf> = named.collect();
        let mut removed = 0;
        for kind in RecordKind::ALL {
            let table = self.folder.join(kind.table());
            if table.exists() {
                removed += sweep_folder(&table, &named)?;
            }
        }
        Ok(removed)
    }
}

/// Removes unnamed files below a folder, then the folders that became empty.
fn sweep_folder(folder: &Path, named: &BTreeSet<PathBuf>) -> Result<usize, SweepError> {
    let failed = |source| SweepError { path: folder.to_owned(), source };
    let (mut removed, mut changed) = (0, false);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            removed += sweep_folder(&path, named)?;
            if fs::read_dir(&path).map_err(failed)?.next().is_none() {
                fs::remove_dir(&path).map_err(failed)?;
                changed = true;
            }
        } else if !named.contains(&path) {
            fs::remove_file(&path).map_err(failed)?;
            (removed, changed) = (removed + 1, true);
        }
    }
    if changed {
        durable::sync_folder(folder).map_err(failed)?;
    }
    Ok(removed)
}
