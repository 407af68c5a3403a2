//! Whether the agent's folder can be believed: nobody else may have written what lies in it.
//!
//! Looks at folder, sled's folder and every file in them, without following links. A mode that only
//! lets others read is tightened when the store opens; one that lets others write is refused,
//! because it cannot be known who said yes.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::{STORE, StoreError};

/// Why a file or folder is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// Group or others may write it. Report it with the place and stop.
    Writable,
    /// It belongs to another user. Report it with the place and stop.
    Foreign,
    /// It is a link, or no file or folder where one should be. Report it with the place and stop.
    Link,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writable => "others may write the agent's store: what it says is not believed",
            Self::Foreign => {
                "the agent's store belongs to another user: what it says is not believed"
            }
            Self::Link => "the agent's store is a link, or no folder: it is not followed",
        })
    }
}

/// Looks at the folder and all that the store keeps in it.
///
/// # Errors
/// [`StoreError::Distrusted`], [`StoreError::Folder`].
pub(super) fn trusted(folder: &Path) -> Result<(), StoreError> {
    believed(folder)?;
    for entry in read(folder)? {
        let entry = entry?;
        believed(&entry)?;
        if entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with(STORE)) {
            read(&entry)?.into_iter().try_for_each(|file| believed(&file?))?;
        }
    }
    Ok(())
}

/// Looks at one file; one that does not exist is fine.
///
/// # Errors
/// As [`trusted`].
pub(crate) fn trusted_file(file: &Path) -> Result<(), StoreError> {
    believed(file)
}

type Entries = Vec<Result<std::path::PathBuf, StoreError>>;

fn read(folder: &Path) -> Result<Entries, StoreError> {
    let refuse = |cause| StoreError::Folder { folder: folder.to_owned(), cause };
    let entries = fs::read_dir(folder).map_err(refuse)?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path()).map_err(refuse)).collect())
}

fn believed(place: &Path) -> Result<(), StoreError> {
    let seen = match fs::symlink_metadata(place) {
        Ok(seen) => seen,
        // sled removes files of its own meanwhile.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(StoreError::Folder { folder: place.to_owned(), cause }),
    };
    let me = rustix::process::geteuid().as_raw();
    match distrust(seen.is_symlink(), seen.uid() == me, seen.permissions().mode()) {
        None => Ok(()),
        Some(why) => Err(StoreError::Distrusted { place: place.to_owned(), why }),
    }
}

fn distrust(link: bool, mine: bool, mode: u32) -> Option<Distrust> {
    if link {
        return Some(Distrust::Link);
    }
    if !mine {
        return Some(Distrust::Foreign);
    }
    (mode & 0o022 != 0).then_some(Distrust::Writable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_have_written_is_not_believed() {
        assert_eq!(distrust(false, true, 0o100_600), None);
        assert_eq!(distrust(false, true, 0o040_755), None, "others may read: it is tightened");
        assert_eq!(distrust(false, true, 0o100_602), Some(Distrust::Writable));
        assert_eq!(distrust(false, true, 0o100_620), Some(Distrust::Writable));
        assert_eq!(distrust(false, false, 0o100_600), Some(Distrust::Foreign));
        assert_eq!(distrust(true, true, 0o100_777), Some(Distrust::Link));
    }
}
