//! Reads a log's folder as its checkpoint says it is; never writes.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use imprimatur_consent::Digest;

use super::{CHECKPOINT, Holds, TILE_WIDTH, Tile, TileError, unbundle};
use crate::entry::MAX_ENTRY_BYTES;
use crate::note::{Checkpoint, MAX_NOTE_BYTES};
use crate::tree::{Entries, Frontier, Nodes};

/// Bytes of one hash.
const HASH_BYTES: u64 = 32;

/// A log's folder at one checkpoint. What is written later is not seen; open it again.
#[derive(Clone, Debug)]
pub struct TileReader {
    folder: PathBuf,
    note: String,
    checkpoint: Checkpoint,
}

impl TileReader {
    /// Reads and verifies the checkpoint of a log that this key signs.
    ///
    /// # Errors
    /// [`TileError`].
    pub fn open(folder: &Path, public_key: &[u8; 32]) -> Result<Self, TileError> {
        let path = folder.join(CHECKPOINT);
        let limit = u64::try_from(MAX_NOTE_BYTES).unwrap_or(u64::MAX);
        let bytes = read(&path, limit)?;
        let failed = |source| TileError::Io { path: path.clone(), source };
        let note = String::from_utf8(bytes)
            .map_err(|source| failed(io::Error::new(io::ErrorKind::InvalidData, source)))?;
        let checkpoint = Checkpoint::open(&note, public_key)
            .map_err(|source| TileError::Note { path: path.clone(), source })?;
        Ok(Self { folder: folder.to_owned(), note, checkpoint })
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The checkpoint as it was signed.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// All entries in their order, read one tile at a time. Not compared with any hash.
    pub fn entries(&self) -> impl Iterator<Item = Result<Vec<u8>, TileError>> {
        (0..).map_while(|index| self.tile(Holds::Entries, index)).flat_map(|tile| {
            let (read, failed) = match self.bundle(tile) {
                Ok(entries) => (entries, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            read.into_iter().map(Ok).chain(failed)
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn tile(&self, holds: Holds, index: u64) -> Option<Tile> {
        Tile::of(holds, index, self.checkpoint.size)
    }

    /// The entries of a tile.
    pub(crate) fn bundle(&self, tile: Tile) -> Result<Vec<Vec<u8>>, TileError> {
        let entry = u64::try_from(MAX_ENTRY_BYTES + 2).unwrap_or(u64::MAX);
        let (path, bytes) = self.read_tile(tile, entry)?;
        let malformed = TileError::Malformed { path, width: tile.width };
        let Some(mut entries) = unbundle(&bytes) else { return Err(malformed) };
        let width = small(tile.width);
        if entries.len() < width {
            return Err(malformed);
        }
        entries.truncate(width);
        Ok(entries)
    }

    /// The hashes of a tile.
    pub(crate) fn hashes(&self, tile: Tile) -> Result<Vec<Digest>, TileError> {
        let (path, bytes) = self.read_tile(tile, HASH_BYTES)?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        match hashes.get(..small(tile.width)) {
            Some(hashes) if rest.is_empty() => Ok(hashes.iter().copied().map(Digest).collect()),
            _ => Err(TileError::Malformed { path, width: tile.width }),
        }
    }

    /// The tile's file, or the full one that took its place.
    fn read_tile(&self, tile: Tile, each: u64) -> Result<(PathBuf, Vec<u8>), TileError> {
        let path = tile.path(&self.folder);
        match read(&path, tile.width * each) {
            Err(TileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let full = tile.full().path(&self.folder);
                match read(&full, TILE_WIDTH * each) {
                    Ok(bytes) => Ok((full, bytes)),
                    Err(_also_missing) => Err(TileError::Io { path, source }),
                }
            }
            other => other.map(|bytes| (path, bytes)),
        }
    }
}

impl Nodes for TileReader {
    type Error = TileError;

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, TileError> {
        let count = self.checkpoint.size.checked_shr(u32::from(level)).unwrap_or(0);
        if index >= count {
            return Ok(None);
        }
        let (tiles, below) = (level / 8, level % 8);
        let first = index << below;
        let Some(tile) = self.tile(Holds::Hashes(tiles), first / TILE_WIDTH) else {
            return Ok(None);
        };
        let hashes = self.hashes(tile)?;
        let mut subtree = Frontier::default();
        for hash in hashes.iter().skip(small(first % TILE_WIDTH)).take(1 << below) {
            subtree.push(*hash);
        }
        Ok(Some(subtree.root()))
    }
}

impl Entries for TileReader {
    fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, TileError> {
        let Some(tile) = self.tile(Holds::Entries, index / TILE_WIDTH) else { return Ok(None) };
        Ok(self.bundle(tile)?.into_iter().nth(small(index % TILE_WIDTH)))
    }
}

/// Numbers of at most [`TILE_WIDTH`] as sizes in memory.
fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, TileError> {
    let failed = |source| TileError::Io { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let length = file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length > limit) {
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "longer than it can be")));
    }
    Ok(bytes)
}
