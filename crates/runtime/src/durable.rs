//! Files that are whole or not there, also after a power cut.
//!
//! After an fsync that failed nobody knows what the disk holds, and the next one says nothing of
//! what was lost (Linux reports it once). So a failed fsync is never repeated on the same file: it
//! is marked [`NotDurable`], the file is removed, and whoever sees the mark ends the process.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Extension of a file that is being written.
const UNFINISHED: &str = "tmp";

/// The disk did not confirm what was written. End the process; a restart finds the state before.
#[derive(Debug, thiserror::Error)]
#[error("the disk did not confirm what was written; what it holds is unknown until a restart")]
pub struct NotDurable(#[source] io::Error);

/// A file that a crash left half written, and that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Which.
    pub path: PathBuf,
    /// How many bytes it held.
    pub bytes: u64,
}

/// Writes a file whole: a temporary neighbour, fsync, rename, fsync of the folder. Mode 0600.
///
/// # Errors
/// The I/O error, [`NotDurable`] inside when an fsync failed; the old file, if any, is still there
/// unless the rename was done and only its fsync failed.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(UNFINISHED);
    let written = write_new(&temporary, bytes).and_then(|()| rename(&temporary, path));
    if written.is_err()
        && let Err(error) = fs::remove_file(&temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %temporary.display(), "a half written file stays");
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Never into a file that a failed fsync may have left.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    confirmed(file.sync_all())
}

/// Renames a file that is already durable and makes the new name durable.
///
/// # Errors
/// The I/O error.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The I/O error.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    confirmed(File::open(folder)?.sync_all())
}

/// Creates a folder, with its parents, that only its owner may enter; each new name is durable.
///
/// # Errors
/// The I/O error.
pub fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    if path.is_dir() || path.as_os_str().is_empty() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        private_folder(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ if !path.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
        _ => {}
    }
    path.parent().map_or(Ok(()), sync_folder)
}

/// Removes what a crash left half written in a folder and, with `deep`, below it; nothing ever
/// reads such a file.
///
/// # Errors
/// The I/O error; a folder that is not there holds nothing.
pub fn remove_unfinished(folder: &Path, deep: bool) -> io::Result<Vec<Leftover>> {
    let mut removed = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(removed),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (path, metadata) = (entry.path(), entry.metadata()?);
        if metadata.is_dir() {
            if deep {
                removed.extend(remove_unfinished(&path, true)?);
            }
        } else if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            fs::remove_file(&path)?;
            removed.push(Leftover { path, bytes: metadata.len() });
        }
    }
    removed.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(removed)
}

/// Marks the error of an fsync.
///
/// # Errors
/// The same error, with [`NotDurable`] inside.
pub fn confirmed(synced: io::Result<()>) -> io::Result<()> {
    synced.map_err(|error| io::Error::new(error.kind(), NotDurable(error)))
}

/// Whether an fsync failed somewhere below this error.
pub fn is_not_durable(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let marked = match inner {
            Some(inner) => inner.is::<NotDurable>(),
            None => error.is::<NotDurable>(),
        };
        if marked {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_failed_fsync_is_told_from_a_failed_write() {
        let failed = || io::Error::from(io::ErrorKind::StorageFull);
        let marked = confirmed(Err(failed())).unwrap_err();
        assert_eq!(marked.kind(), io::ErrorKind::StorageFull);
        assert!(is_not_durable(&marked) && is_not_durable(&Outer(marked)));
        assert!(!is_not_durable(&Outer(failed())));
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file.json");
        private_folder(path.parent().unwrap()).unwrap();
        write(&path, b"old").unwrap();
        // A folder in the place of the temporary file: writing cannot begin.
        fs::create_dir(path.with_extension(UNFINISHED)).unwrap();
        assert!(write(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        fs::remove_dir(path.with_extension(UNFINISHED)).unwrap();
        fs::write(path.with_extension(UNFINISHED), b"ha").unwrap();
        let left = remove_unfinished(folder.path(), true).unwrap();
        assert_eq!(left, [Leftover { path: path.with_extension(UNFINISHED), bytes: 2 }]);
        write(&path, b"new").unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(private_folder(&path).is_err(), "a file is no folder");
    }
}
