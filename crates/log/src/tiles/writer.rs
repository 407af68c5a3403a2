//! Brings a log's folder from one checkpoint to the next; a crash leaves the older log whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imprimatur_runtime::durable;

use super::{
    CHECKPOINT, Holds, TILE_WIDTH, Tile, TileError, TileReader, bundle, hash_tile, lacking,
};
use crate::entry::{Entry, EntryError};
use crate::note::{Checkpoint, NoteError};
use crate::tree::{self, Entries, TreeError, leaf_hash};

/// A log was not published, and the folder still holds the log that it held; or see `Tidy`.
#[derive(Debug, thiserror::Error)]
pub enum PublishError<E> {
    /// The note is not a checkpoint of this log. Sign it with the log's key.
    #[error("the new checkpoint cannot be published")]
    Note(#[source] NoteError),
    /// A node cannot be had. Repair the store that they come from.
    #[error("cannot compute the tree to be published")]
    Tree(#[source] TreeError<E>),
    /// An entry cannot be had. Repair the store that they come from.
    #[error("cannot read entry {index}")]
    Entry {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        source: E,
    },
    /// An entry is missing. Repair the store.
    #[error("entry {index} is missing")]
    NoEntry {
        /// Which.
        index: u64,
    },
    /// An entry is not the one whose hash is in the tree. Repair the store.
    #[error("entry {index} is not the one in the tree")]
    OtherEntry {
        /// Which.
        index: u64,
    },
    /// An entry that no log may hold.
    #[error("entry {index} cannot be published")]
    Unusable {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        source: EntryError,
    },
    /// The checkpoint is not of this tree. Nothing that a reader must refuse is published.
    #[error("the new checkpoint is not of the tree of {size} leaves")]
    Root {
        /// Leaves that the checkpoint names.
        size: u64,
    },
    /// The folder holds a larger log: the store was set back. Restore it, or start a new log.
    #[error("the folder holds {published} entries, {offered} are offered")]
    Backwards {
        /// Entries in the folder.
        published: u64,
        /// Entries of the new checkpoint.
        offered: u64,
    },
    /// The folder holds another history. Restore the store, or start a new log.
    #[error("the first {size} entries are not those of the folder")]
    Fork {
        /// Entries in the folder.
        size: u64,
    },
    /// A file cannot be written. Try again once it can.
    #[error("cannot write the log")]
    File(#[source] TileError),
    /// The log is published; forms of tiles that are no longer needed could not be removed. They
    /// harm nobody: report it and go on.
    #[error("cannot remove what the published log no longer needs")]
    Tidy(#[source] TileError),
}

/// Writes a log's folder. One writer at a time.
#[derive(Debug)]
pub struct TileWriter {
    folder: PathBuf,
    public_key: [u8; 32],
    published: Option<Checkpoint>,
}

impl TileWriter {
    /// Opens the folder of the log that this key signs, or creates it.
    ///
    /// # Errors
    /// [`TileError`]: the folder cannot be used or holds another log.
    pub fn open(folder: &Path, public_key: &[u8; 32]) -> Result<Self, TileError> {
        create(folder)?;
        let published = match TileReader::open(folder, public_key) {
            Ok(reader) => Some(reader.checkpoint().clone()),
            Err(TileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { folder: folder.to_owned(), public_key: *public_key, published })
    }

    /// The checkpoint that the folder holds.
    pub fn published(&self) -> Option<&Checkpoint> {
        self.published.as_ref()
    }

    /// Writes the tiles that the checkpoint needs and the folder lacks, then the checkpoint. Until
    /// then, also after a crash, the folder holds the older log.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn publish<L: Entries>(
        &mut self,
        note: &str,
        log: &L,
    ) -> Result<(), PublishError<L::Error>> {
        let next = Checkpoint::open(note, &self.public_key).map_err(PublishError::Note)?;
        let old = self.follows(&next, log)?;
        for tile in lacking(old, next.size) {
            let bytes = contents(tile, log)?;
            let path = tile.path(&self.folder);
            create(path.parent().unwrap_or(&self.folder))
                .and_then(|()| write(&path, &bytes))
                .map_err(PublishError::File)?;
        }
        write(&self.folder.join(CHECKPOINT), note.as_bytes()).map_err(PublishError::File)?;
        let size = next.size;
        self.published = Some(next);
        self.tidy(old, size).map_err(PublishError::Tidy)
    }

    /// The published size, if the new checkpoint is of this tree and continues the published one.
    fn follows<L: Entries>(
        &self,
        next: &Checkpoint,
        log: &L,
    ) -> Result<u64, PublishError<L::Error>> {
        if tree::root(next.size, log).map_err(PublishError::Tree)? != next.root {
            return Err(PublishError::Root { size: next.size });
        }
        let Some(last) = &self.published else { return Ok(0) };
        if last.size > next.size {
            return Err(PublishError::Backwards { published: last.size, offered: next.size });
        }
        if tree::root(last.size, log).map_err(PublishError::Tree)? != last.root {
            return Err(PublishError::Fork { size: last.size });
        }
        Ok(last.size)
    }

    /// Removes the partial forms of tiles that became full.
    fn tidy(&self, old: u64, new: u64) -> Result<(), TileError> {
        for tile in lacking(old, new).filter(|tile| tile.width == TILE_WIDTH) {
            let path = tile.partials(&self.folder);
            match fs::remove_dir_all(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(TileError::Io { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The bytes of a tile; entries are compared with their leaves.
fn contents<L: Entries>(tile: Tile, log: &L) -> Result<Vec<u8>, PublishError<L::Error>> {
    let places = tile.first()..tile.first() + tile.width;
    match tile.holds {
        Holds::Hashes(level) => {
            let hashes =
                places.map(|index| node(level * 8, index, log)).collect::<Result<Vec<_>, _>>();
            Ok(hash_tile(&hashes?))
        }
        Holds::Entries => {
            let entries = places.map(|index| entry(index, log)).collect::<Result<Vec<_>, _>>()?;
            bundle(&entries).ok_or(PublishError::NoEntry { index: tile.first() })
        }
    }
}

fn node<L: Entries>(
    level: u8,
    index: u64,
    log: &L,
) -> Result<imprimatur_consent::Digest, PublishError<L::Error>> {
    let hash =
        log.node(level, index).map_err(|error| PublishError::Tree(TreeError::Store(error)))?;
    hash.ok_or(PublishError::Tree(TreeError::Missing { level, index }))
}

fn entry<L: Entries>(index: u64, log: &L) -> Result<Vec<u8>, PublishError<L::Error>> {
    let entry = log.entry(index).map_err(|source| PublishError::Entry { index, source })?;
    let entry = entry.ok_or(PublishError::NoEntry { index })?;
    Entry::read(&entry).map_err(|source| PublishError::Unusable { index, source })?;
    if leaf_hash(&entry) == node(0, index, log)? {
        Ok(entry)
    } else {
        Err(PublishError::OtherEntry { index })
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TileError> {
    durable::write(path, bytes).map_err(|source| TileError::Io { path: path.to_owned(), source })
}

/// Creates a folder with its parents; each new name is durable before anything is put in it.
fn create(folder: &Path) -> Result<(), TileError> {
    let failed = |source| TileError::Io { path: folder.to_owned(), source };
    durable::private_folder(folder).map_err(failed)
}
