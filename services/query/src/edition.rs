//! Editions: all answers of a day come from the same rows, so that nobody can watch rows arrive.
//!
//! Who asks each minute and takes the last answer from this one has what one printer told in
//! between, up to the rounding. So the first answer begins an edition, and until it is a day old
//! every answer is about the rows of its beginning. Somebody who takes a yes back is left out of it at
//! once: that cannot wait.
//!
//! The edition is one file, written before its first answer is given. It holds a time and a number and
//! nobody's pseudonym, so that there is nothing to erase in it. Several processes may share the folder;
//! whoever is second answers from the edition of the first.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_consent::Digest;
use imprimatur_lake::Catalogue;
use imprimatur_runtime::{UnixSeconds, durable};

/// Name of the edition's file.
const NAME: &str = "edition.json";

/// How long an edition lasts unless it is set otherwise: a day.
///
/// Source: rows have dates and no times of day, so that a shorter one would tell more than they do.
pub const EDITION_LENGTH: Duration = Duration::from_hours(24);

/// What is fixed for the answers of one edition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edition {
    /// When the state was published with which it began.
    began: UnixSeconds,
    /// The last commit that counts.
    cut: u64,
}

/// Where the edition is kept, and how long one lasts.
#[derive(Clone, Debug)]
pub(crate) struct Editions {
    folder: PathBuf,
    length: Duration,
}

/// The edition cannot be read or kept. No answer is given without it.
#[derive(Debug, thiserror::Error)]
pub enum EditionError {
    /// The folder or the file cannot be accessed. Report the path.
    #[error("cannot access `{}`, which says since when answers count", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no edition of this version. Remove the file: answers then begin a new edition.
    #[error("cannot understand `{}`; remove it to begin a new edition", path.display())]
    Malformed {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

impl Edition {
    /// An edition that begins with a published state.
    pub(crate) fn of(catalogue: &Catalogue) -> Self {
        Self {
            began: catalogue.published,
            cut: catalogue.files.iter().map(|file| file.last_commit).max().unwrap_or(0),
        }
    }

    /// The last commit that counts.
    pub(crate) fn cut(self) -> u64 {
        self.cut
    }

    /// SHA-256 of what fixes the rows: the text `imprimatur edition v1` and a zero byte, when it began and the
    /// last commit, 8 bytes each with the highest first, and the 32 bytes of the contract's hash.
    pub(crate) fn digest(self, contract: Digest) -> Digest {
        let mut bytes = b"imprimatur edition v1\0".to_vec();
        bytes.extend(self.began.0.to_be_bytes());
        bytes.extend(self.cut.to_be_bytes());
        bytes.extend(contract.0);
        Digest::of(&bytes)
    }

    /// Of a later published state what counts in this edition; who is excluded by now stays so.
    pub(crate) fn narrowed(self, mut catalogue: Catalogue) -> Catalogue {
        catalogue.published = self.began;
        // What comes later moves it and changes no answer of this edition.
        catalogue.position = self.cut;
        catalogue.files.retain(|file| file.first_commit <= self.cut);
        catalogue
    }

    /// Whether it lasts, seen from a published state; one from the future of that does not.
    fn lasts(self, now: UnixSeconds, length: Duration) -> bool {
        now.0.checked_sub(self.began.0).is_some_and(|age| age < length.as_secs())
    }
}

impl Editions {
    /// Editions in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`EditionError::Io`].
    pub(crate) fn open(folder: &Path, length: Duration) -> Result<Self, EditionError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| EditionError::Io { path: folder.to_owned(), source })?;
        Ok(Self { folder: folder.to_owned(), length })
    }

    /// The edition that a question about a published state belongs to, if one lasts.
    ///
    /// # Errors
    /// [`EditionError`].
    pub(crate) fn current(&self, now: UnixSeconds) -> Result<Option<Edition>, EditionError> {
        let path = self.folder.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(EditionError::Io { path, source }),
        };
        let edition: Edition = serde_json::from_slice(&bytes)
            .map_err(|source| EditionError::Malformed { path, source })?;
        Ok(Some(edition).filter(|edition| edition.lasts(now, self.length)))
    }

    /// Begins an edition with its first answer, unless another process has begun one: then that.
    ///
    /// # Errors
    /// [`EditionError`]; the answer must not be given.
    pub(crate) fn begin(&self, new: Edition) -> Result<Edition, EditionError> {
        let path = self.folder.join(NAME);
        let failed = |source| EditionError::Io { path: path.clone(), source };
        let _held = self.lock().map_err(failed)?;
        if let Some(other) = self.current(new.began)? {
            return Ok(other);
        }
        let bytes = serde_json::to_vec(&new)
            .map_err(|source| EditionError::Malformed { path: path.clone(), source })?;
        durable::write(&path, &bytes).map_err(failed)?;
        Ok(new)
    }

    /// Held until the file is dropped.
    fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(self.folder.join("lock"))?;
        file.lock()?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edition(began: u64) -> Edition {
        Edition { began: UnixSeconds(began), cut: 7 }
    }

    #[test]
    fn the_first_of_two_who_begin_is_the_edition_of_both() {
        let folder = tempfile::tempdir().unwrap();
        let one = Editions::open(folder.path(), EDITION_LENGTH).unwrap();
        let other = Editions::open(folder.path(), EDITION_LENGTH).unwrap();
        assert_eq!(one.current(UnixSeconds(1_000)).unwrap(), None);
        assert_eq!(one.begin(edition(1_000)).unwrap(), edition(1_000));
        assert_eq!(other.begin(edition(1_500)).unwrap(), edition(1_000));
        let last = UnixSeconds(1_000 + 86_399);
        assert_eq!(other.current(last).unwrap(), Some(edition(1_000)));
        assert_eq!(other.current(UnixSeconds(last.0 + 1)).unwrap(), None);
        let next = edition(last.0 + 1);
        assert_eq!(other.begin(next).unwrap(), next);
        assert_eq!(one.current(UnixSeconds(next.began.0 + 5)).unwrap(), Some(next));
    }

    #[test]
    fn what_is_no_edition_is_an_error_with_its_path_and_a_way_on() {
        let folder = tempfile::tempdir().unwrap();
        let editions = Editions::open(folder.path(), EDITION_LENGTH).unwrap();
        fs::write(folder.path().join(NAME), "{\"began\":1,\"cutt\":2}").unwrap();
        let error = editions.current(UnixSeconds(1)).unwrap_err();
        assert!(matches!(error, EditionError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains("edition.json") && error.to_string().contains("remove"));
        assert!(editions.begin(edition(5)).is_err(), "nothing is told beside it");
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Editions::open(&file, EDITION_LENGTH).is_err());
    }
}
