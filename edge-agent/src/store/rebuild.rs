//! Rebuilding: the live entries move to a new file, the old one goes with all that was deleted.
//!
//! Whatever moment the process dies at, one whole store is there at the next start:
//!
//! | found | means | done |
//! | --- | --- | --- |
//! | `store`, `store.new` | the copy was not finished | `store.new` goes |
//! | `store.new`, no `store` | the copy was durable before `store` moved away | it becomes `store` |
//! | `store`, `store.old` | the swap was done | `store.old` goes |
//!
//! The caller keeps in the state that a rebuild is owed, so an unfinished one is begun again.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::error::{closed, failed};
use super::tally::TALLY;
use super::{LOCK, LOCK_TRIES, LOCK_WAIT, Open, STORE, Store, StoreError, open, sled_in};

const NEW: &str = "store.new";
const OLD: &str = "store.old";

impl Store {
    /// Copies what is live into a new file and removes the old one.
    ///
    /// # Errors
    /// The disk's; call [`Store::reopen`], and then this again.
    pub fn rebuild(&mut self) -> Result<(), StoreError> {
        let Some(Open { db, file }) = self.open.take() else { return Err(closed()) };
        let folder = self.folder.clone();
        let refuse = |cause| StoreError::Folder { folder: folder.clone(), cause };
        remove(&folder.join(NEW)).map_err(refuse)?;
        copy(&db, &folder.join(NEW))?;
        // sled ends in a thread of its own and may write until it gave up its lock.
        drop(db);
        released(&file).map_err(refuse)?;
        fs::rename(folder.join(STORE), folder.join(OLD)).map_err(refuse)?;
        finish(&folder).map_err(refuse)?;
        self.open = Some(open(&folder)?);
        Ok(())
    }
}

/// Ends a rebuild that was interrupted.
pub(super) fn finish(folder: &Path) -> io::Result<()> {
    let [store, new, old] = [STORE, NEW, OLD].map(|name| folder.join(name));
    if store.exists() {
        remove(&new)?;
    } else if new.exists() {
        fs::rename(&new, &store)?;
        File::open(folder)?.sync_all()?;
    }
    remove(&old)?;
    File::open(folder)?.sync_all()
}

/// Removes what the store keeps in its folder, and the folder when nothing else is in it.
///
/// # Errors
/// [`StoreError::InUse`] when an agent runs; [`StoreError::Folder`].
pub fn wipe(folder: &Path) -> Result<(), StoreError> {
    let refuse = |cause| StoreError::Folder { folder: folder.to_owned(), cause };
    let seen = match fs::symlink_metadata(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        seen => seen.map_err(refuse)?,
    };
    if !seen.is_dir() {
        let (place, why) = (folder.to_owned(), super::Distrust::Link);
        return Err(StoreError::Distrusted { place, why });
    }
    let _lock = super::lock(folder)?;
    for name in [STORE, NEW, OLD, TALLY, crate::control::SOCKET, LOCK] {
        remove(&folder.join(name)).map_err(refuse)?;
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(refuse)?;
    match fs::remove_dir(folder) {
        // Files of others are left alone.
        Err(cause) if cause.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed.map_err(refuse),
    }
}

/// Removes a file, a folder or a link, if it is there.
fn remove(place: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(place) {
        Ok(seen) if seen.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
        Err(cause) => Err(cause),
    };
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Writes all live entries of one sled into a new one, durably.
fn copy(from: &sled::Db, place: &Path) -> Result<(), StoreError> {
    let to = sled_in(place)?;
    let mut batch = sled::Batch::default();
    for entry in from.iter() {
        let (key, value) = entry.map_err(failed)?;
        batch.insert(key, value);
    }
    to.apply_batch(batch).map_err(failed)?;
    to.flush().map_err(failed)?;
    let file = File::open(place.join("db")).map_err(StoreError::Sync)?;
    drop(to);
    released(&file).and_then(|()| sync(place)).map_err(StoreError::Sync)
}

/// Makes a folder durable with all that is in it.
fn sync(place: &Path) -> io::Result<()> {
    if place.is_dir() {
        for entry in fs::read_dir(place)? {
            sync(&entry?.path())?;
        }
    }
    File::open(place)?.sync_all()
}

/// Waits until sled gave up its file.
fn released(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        if file.try_lock().is_ok() {
            return file.unlock();
        }
        #[expect(clippy::disallowed_methods, reason = "nothing tells when sled gave up its lock")]
        std::thread::sleep(LOCK_WAIT);
    }
    Err(io::Error::from(io::ErrorKind::WouldBlock))
}
