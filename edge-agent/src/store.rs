//! The store: everything the agent keeps, in one sled tree, changed in whole batches only.
//!
//! A key is one byte for the [`Space`], then the key inside it; numbers are big-endian, so that
//! keys sort by number. A [`Change`] is applied whole or not at all, also when the process dies.
//! sled's own flush is `sync_file_range`, which a power cut outlives, so each commit ends with a
//! real `fsync` of sled's file. The folder is 0700, files are 0600. After an I/O error sled refuses
//! all work until it is opened anew: the caller calls [`Store::reopen`] and reads again.
//! Deleted values are unreachable at once; their bytes stay in sled's file until it reuses them.
//!
//! | space | key | value |
//! | --- | --- | --- |
//! | state | empty | JSON: flags, identity, counters |
//! | outbox | subject 16, sequence u64 | JSON: a signed consent event without a receipt |
//! | receipt | subject 16, sequence u64 | a `SignedReceipt` as it came |
//! | retired | subject 16 | JSON: a key that may only repeat its withdrawal |
//! | pending | date u32, kind u8, number u64 | start u64, then a stripped report |
//! | date | date u32 | prints taken u32, days taken u8 |
//! | spool | sequence u64 | offered u8 (0 or 1), then the frame |
//! | log | number u64 | JSON: one line of the log |

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_runtime::durable;

/// sled's page cache, bytes. What the agent keeps is small and read seldom; a printer's host has
/// other work for its memory (sled's default is 1 GiB).
const CACHE_BYTES: u64 = 1024 * 1024;

/// How often and how long to wait for a lock that is about to go.
const LOCK_TRIES: u32 = 25;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// A store that did not do what it was asked. No text of it names a path: that may hold a person's
/// name, and these texts are logged.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open. Ask that process through its socket.
    #[error("the store is in use by a running agent")]
    InUse,
    /// The folder cannot be made or entered. Report it and stop.
    #[error("cannot use the folder of the store")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The disk is full. Nothing was lost; try again when there is room.
    #[error("the disk is full; free some space, nothing is lost")]
    Full(#[source] io::Error),
    /// Reading or writing failed. Reopen and try again.
    #[error("cannot read or write the store")]
    Io(#[source] sled::Error),
    /// Writing sled's file to the disk failed. Reopen and try again.
    #[error("cannot make the store durable")]
    Sync(#[source] io::Error),
    /// A value is not of the form that this program writes. Stop: nothing may be sent from it.
    #[error("the store holds a `{0}` that cannot be read")]
    Unreadable(&'static str),
}

impl StoreError {
    /// The folder that cannot be used, for the owner's own eyes.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder { folder, .. } => Some(folder),
            _ => None,
        }
    }
}

/// What a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Space {
    /// Flags, identity, counters.
    State,
    /// Consent events without a receipt.
    Outbox,
    /// Receipts.
    Receipt,
    /// Keys that may only repeat their withdrawal.
    Retired,
    /// Reports that are not sealed yet.
    Pending,
    /// What was taken of each date.
    Date,
    /// Frames without a verdict.
    Spool,
    /// What was sent and what came back.
    Log,
}

impl Space {
    fn tag(self) -> u8 {
        match self {
            Self::State => b's',
            Self::Outbox => b'o',
            Self::Receipt => b'r',
            Self::Retired => b'x',
            Self::Pending => b'p',
            Self::Date => b'd',
            Self::Spool => b'f',
            Self::Log => b'l',
        }
    }

    fn key(self, key: &[u8]) -> Vec<u8> {
        [&[self.tag()], key].concat()
    }
}

/// A key inside its space, and a value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Changes that happen together.
#[derive(Debug, Default)]
pub struct Change {
    batch: sled::Batch,
}

impl Change {
    /// Sets a value.
    pub fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.batch.insert(space.key(key), value);
    }

    /// Removes a value, if there is one.
    pub fn remove(&mut self, space: Space, key: &[u8]) {
        self.batch.remove(space.key(key));
    }
}

/// An open store; one per process and folder.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    open: Option<Open>,
    #[cfg(test)]
    commits: std::cell::Cell<u64>,
}

#[derive(Debug)]
struct Open {
    db: sled::Db,
    file: File,
}

impl Store {
    /// Opens the store of a folder, which is made if it does not exist.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it; [`StoreError::Folder`]; the disk's errors.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = folder.to_owned();
        let refuse = |cause| StoreError::Folder { folder: folder.clone(), cause };
        durable::private_folder(&folder).map_err(refuse)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(refuse)?;
        let open = Some(open(&folder)?);
        Ok(Self {
            folder,
            open,
            #[cfg(test)]
            commits: std::cell::Cell::default(),
        })
    }

    /// Closes and opens again, after an error.
    ///
    /// # Errors
    /// As [`Store::open`]; it stays closed then.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.open = None;
        self.open = Some(open(&self.folder)?);
        Ok(())
    }

    /// Closes it, as a failure does.
    #[cfg(test)]
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// How many changes were made.
    #[cfg(test)]
    pub(crate) fn commits(&self) -> u64 {
        self.commits.get()
    }

    /// One value.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.db()?.get(space.key(key)).map_err(failed)?;
        Ok(value.map(|value| value.to_vec()))
    }

    /// All entries of a space whose key begins like this, by key.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn scan(&self, space: Space, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        self.entries(space, prefix)?.collect()
    }

    /// As [`Store::scan`], one at a time and from both ends.
    ///
    /// # Errors
    /// [`StoreError::Io`], here and for each entry.
    pub fn entries(
        &self,
        space: Space,
        prefix: &[u8],
    ) -> Result<impl DoubleEndedIterator<Item = Result<Entry, StoreError>> + use<>, StoreError>
    {
        let entries = self.db()?.scan_prefix(space.key(prefix));
        Ok(entries.map(|entry| {
            let (key, value) = entry.map_err(failed)?;
            Ok((key.get(1..).unwrap_or_default().to_vec(), value.to_vec()))
        }))
    }

    /// Makes a change, durably.
    ///
    /// # Errors
    /// The disk's. Whether the change happened is known only after [`Store::reopen`].
    pub fn commit(&self, change: Change) -> Result<(), StoreError> {
        let open = self.open.as_ref().ok_or_else(closed)?;
        #[cfg(test)]
        self.commits.set(self.commits.get() + 1);
        open.db.apply_batch(change.batch).map_err(failed)?;
        open.db.flush().map_err(failed)?;
        open.file.sync_all().map_err(StoreError::Sync)
    }

    fn db(&self) -> Result<&sled::Db, StoreError> {
        self.open.as_ref().map(|open| &open.db).ok_or_else(closed)
    }
}

/// sled gives up its lock from a thread of its own, some milliseconds after it was dropped.
fn patiently(config: &sled::Config) -> Result<sled::Db, StoreError> {
    for _ in 0..LOCK_TRIES {
        match config.open().map_err(failed) {
            Err(StoreError::InUse) => {}
            opened => return opened,
        }
        #[expect(clippy::disallowed_methods, reason = "nothing tells when sled gave up its lock")]
        std::thread::sleep(LOCK_WAIT);
    }
    config.open().map_err(failed)
}

fn open(folder: &Path) -> Result<Open, StoreError> {
    let place = folder.join("store");
    let config = sled::Config::new().path(&place).cache_capacity(CACHE_BYTES);
    let db = patiently(&config.flush_every_ms(None))?;
    let refuse = |cause| StoreError::Folder { folder: place.clone(), cause };
    fs::set_permissions(&place, Permissions::from_mode(0o700)).map_err(refuse)?;
    for entry in fs::read_dir(&place).map_err(refuse)? {
        let entry = entry.map_err(refuse)?;
        let mode = if entry.path().is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(entry.path(), Permissions::from_mode(mode)).map_err(refuse)?;
    }
    let file = File::open(place.join("db")).map_err(refuse)?;
    Ok(Open { db, file })
}

fn closed() -> StoreError {
    StoreError::Io(sled::Error::Unsupported("the store is closed after an error".to_owned()))
}

fn failed(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(cause) if cause.kind() == io::ErrorKind::StorageFull => {
            StoreError::Full(cause)
        }
        sled::Error::Io(cause) if cause.to_string().contains("could not acquire lock") => {
            StoreError::InUse
        }
        // sled writes paths into some of its causes: only the kind or the system's text is kept.
        sled::Error::Io(cause) => {
            let bare = match cause.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::from(cause.kind()),
            };
            StoreError::Io(sled::Error::Io(bare))
        }
        other => StoreError::Io(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_is_there_after_reopening_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("data");
        let mut store = Store::open(&place).unwrap();
        let mut change = Change::default();
        change.put(Space::Spool, &7_u64.to_be_bytes(), b"frame");
        change.put(Space::Log, &7_u64.to_be_bytes(), b"line");
        store.commit(change).unwrap();
        store.reopen().unwrap();
        let spool = store.scan(Space::Spool, b"").unwrap();
        assert_eq!(spool, [(7_u64.to_be_bytes().to_vec(), b"frame".to_vec())]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&place), 0o700);
        assert_eq!(mode(&place.join("store/db")), 0o600);
    }

    #[test]
    fn no_error_names_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("jane");
        fs::write(&place, "no folder").unwrap();
        let error = Store::open(&place).unwrap_err();
        assert_eq!(error.folder(), Some(place.as_path()));
        let io = failed(sled::Error::Io(io::Error::other("cannot read /home/jane/store")));
        for error in [&error, &io] {
            let text = crate::told::chain(error);
            assert!(!text.contains("jane"), "{text}");
        }
    }

    #[test]
    fn a_second_opener_is_told_that_an_agent_runs() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path()).unwrap();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::InUse)));
    }
}
