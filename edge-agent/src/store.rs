//! The store: everything the agent keeps, in one sled tree, changed in whole batches only.
//!
//! A key is one byte for the [`Space`], then the key inside it; numbers are big-endian, so that
//! keys sort by number. A [`Change`] is applied whole or not at all, also when the process dies.
//! sled's own flush is `sync_file_range`, which a power cut outlives, so each commit ends with a
//! real `fsync` of sled's file. After an I/O error sled refuses all work until it is opened anew:
//! the caller calls [`Store::reopen`] and reads again.
//!
//! Fails closed: a folder that others may write, a link, a damaged or shortened file is refused
//! (`guard`, `tally`). Deleted values are unreachable at once; their bytes stay in sled's file until
//! [`Store::rebuild`] (`rebuild`).
//!
//! | space | key | value |
//! | --- | --- | --- |
//! | state | empty | JSON: flags, identity, counters; first field: the version of this table |
//! | outbox | subject 16, sequence u64 | JSON: a signed consent event without a receipt |
//! | receipt | subject 16, sequence u64 | JSON: a `SignedReceipt` and the event that it proves |
//! | retired | subject 16 | JSON: a key that signs withdrawals and rights requests only |
//! | recovered | subject 16 | JSON: the key of a recovery code, for rights requests only |
//! | request | number u64 | JSON: a rights request and what became of it |
//! | page | request u64, page u32 | JSON lines of an answer, as they came |
//! | pending | date u32, kind u8, number u64 | start u64, then a stripped report |
//! | date | date u32 | prints taken u32, days taken u8 |
//! | spool | sequence u64 | mark, records, checksum, frame: see `core::spool` |
//! | log | number u64 | JSON: one line of the log |

mod error;
mod guard;
mod rebuild;
mod tally;

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_runtime::durable;

use self::guard::trusted;
use self::tally::{TALLY, Tally};

pub use self::error::StoreError;
use self::error::{closed, failed};
pub use self::guard::Distrust;
pub(crate) use self::guard::trusted_file;
pub use self::rebuild::wipe;

/// sled's page cache, bytes. What the agent keeps is small and read seldom; a printer's host has
/// other work for its memory (sled's default is 1 GiB).
const CACHE_BYTES: u64 = 1024 * 1024;

/// Names in the agent's folder.
const STORE: &str = "store";
const LOCK: &str = "lock";

/// How often, and with which wait between, what another holds for a moment is tried: a second in all.
const LOCK_TRIES: u32 = 25;
const LOCK_WAIT: Duration = Duration::from_millis(40);

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
    /// Keys that sign withdrawals and rights requests only.
    Retired,
    /// Keys of recovery codes.
    Recovered,
    /// Rights requests.
    Request,
    /// Answers to them.
    Page,
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
            Self::Recovered => b'c',
            Self::Request => b'q',
            Self::Page => b'g',
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
    tally: Tally,
    /// Held as long as this lives.
    _lock: File,
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
    /// [`StoreError::InUse`] when another process has it; [`StoreError::unusable`] ones; the disk's.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock = claim(folder)?;
        let folder = folder.to_owned();
        let refuse = |cause| StoreError::Folder { folder: folder.clone(), cause };
        rebuild::finish(&folder).map_err(refuse)?;
        let fresh = !folder.join(STORE).exists();
        let tally = Tally::open(&folder, fresh)?;
        let open = Some(open(&folder)?);
        Ok(Self {
            folder,
            open,
            tally,
            _lock: lock,
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
        trusted(&self.folder)?;
        let refuse = |cause| StoreError::Folder { folder: self.folder.clone(), cause };
        rebuild::finish(&self.folder).map_err(refuse)?;
        self.tally = Tally::open(&self.folder, false)?;
        self.open = Some(open(&self.folder)?);
        Ok(())
    }

    /// How many changes were made durable, whatever sled's file says.
    pub fn tally(&self) -> u64 {
        self.tally.count()
    }

    /// Closes it, as a failure does.
    #[cfg(test)]
    pub(crate) fn close(&mut self) {
        self.open = None;
    }

    /// All live entries.
    #[cfg(test)]
    pub(crate) fn dump(&self) -> Vec<Entry> {
        let entries = self.open.as_ref().unwrap().db.iter();
        entries.map(|entry| entry.unwrap()).map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
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

    /// Makes a change durable, and counts it: `count` is one more than the last.
    ///
    /// # Errors
    /// The disk's. Whether the change happened is known only after [`Store::reopen`].
    pub fn commit(&mut self, change: Change, count: u64) -> Result<(), StoreError> {
        let open = self.open.as_ref().ok_or_else(closed)?;
        #[cfg(test)]
        self.commits.set(self.commits.get() + 1);
        open.db.apply_batch(change.batch).map_err(failed)?;
        open.db.flush().map_err(failed)?;
        open.file.sync_all().map_err(StoreError::Sync)?;
        self.tally.write(count).map_err(StoreError::Sync)
    }

    fn db(&self) -> Result<&sled::Db, StoreError> {
        self.open.as_ref().map(|open| &open.db).ok_or_else(closed)
    }
}

/// Takes what may be held for a moment: by a command, which an agent that starts waits for, or by sled,
/// which gives up its lock from a thread of its own after it was dropped.
fn patiently<T>(mut take: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 0..LOCK_TRIES {
        match take() {
            Err(StoreError::InUse) => {}
            taken => return taken,
        }
        #[expect(clippy::disallowed_methods, reason = "nothing tells when a lock is free")]
        std::thread::sleep(LOCK_WAIT);
    }
    take()
}

fn sled_in(place: &Path) -> Result<sled::Db, StoreError> {
    let config = config(place);
    patiently(|| config.open().map_err(failed))
}

fn open(folder: &Path) -> Result<Open, StoreError> {
    let place = folder.join(STORE);
    let db = sled_in(&place)?;
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

fn config(place: &Path) -> sled::Config {
    sled::Config::new().path(place).cache_capacity(CACHE_BYTES).flush_every_ms(None)
}

/// Makes or looks at a folder of the agent's and takes it for this process, until the file is dropped.
///
/// # Errors
/// [`StoreError::InUse`], [`StoreError::Distrusted`], [`StoreError::Folder`].
pub(crate) fn claim(folder: &Path) -> Result<File, StoreError> {
    let refuse = |cause| StoreError::Folder { folder: folder.to_owned(), cause };
    match fs::symlink_metadata(folder) {
        Ok(_) => trusted(folder)?,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            durable::private_folder(folder).map_err(refuse)?;
        }
        Err(cause) => return Err(refuse(cause)),
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(refuse)?;
    lock(folder)
}

/// Whether a store, or what is left of one, lies in a folder.
pub(crate) fn is_in(folder: &Path) -> bool {
    [STORE, TALLY].iter().any(|name| folder.join(name).exists())
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let refuse = |cause| StoreError::Folder { folder: folder.to_owned(), cause };
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600);
    let file = file.open(folder.join(LOCK)).map_err(refuse)?;
    patiently(|| match file.try_lock() {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(fs::TryLockError::Error(cause)) => Err(refuse(cause)),
    })?;
    Ok(file)
}

#[cfg(test)]
mod tests;
