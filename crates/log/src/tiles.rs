//! A log as files: the C2SP tlog-tiles layout, readable by other tools and servable as it is.
//!
//! ```text
//! checkpoint               the signed note; swapped whole, after everything that it covers
//! tile/<L>/<N>             256 hashes, 32 bytes each: nodes of level 8 * L from index 256 * N
//! tile/entries/<N>         256 entries, each after its length in 16 bits, big-endian
//! tile/<..>/<N>.p/<W>      the first W of them, while there are no more
//! ```
//!
//! N is written in groups of three digits, all but the last after an `x`: `x001/x234/067`. A full
//! tile is never changed. A partial one stays until the full one is there; files beyond the
//! checkpoint, left by a crash, mean nothing.

mod reader;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use imprimatur_consent::Digest;

use crate::note::NoteError;

pub use reader::TileReader;
pub(crate) use reader::read;
pub use writer::{PublishError, TileWriter};

/// Hashes or entries of a full tile.
pub const TILE_WIDTH: u64 = 256;
/// Levels of tiles: 8 levels of the tree each, for sizes of 64 bits.
pub(crate) const TILE_LEVELS: u8 = 8;
/// Name of the file with the signed checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// A file of the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TileError {
    /// It cannot be read or written. If it is missing, the log was cut or damaged.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its length or form is not that of a tile. It is damaged: restore it.
    #[error("`{}` is not a tile of {width} hashes or entries", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// How many it should hold.
        width: u64,
    },
    /// The checkpoint is not the log's. Trust nothing in the folder.
    #[error("`{}` is not this log's checkpoint", path.display())]
    Note {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: NoteError,
    },
}

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Entries.
    Entries,
    /// Hashes of this level of tiles.
    Hashes(u8),
}

/// One tile of a log of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) holds: Holds,
    pub(crate) index: u64,
    /// From 1 to [`TILE_WIDTH`].
    pub(crate) width: u64,
}

impl Tile {
    /// The tile with this index in a log of `size` entries, or `None` if it has none.
    pub(crate) fn of(holds: Holds, index: u64, size: u64) -> Option<Self> {
        let count = holds.count(size);
        let width = count.saturating_sub(index.checked_mul(TILE_WIDTH)?).min(TILE_WIDTH);
        (width > 0).then_some(Self { holds, index, width })
    }

    /// Index of its first hash or entry in its level.
    pub(crate) fn first(self) -> u64 {
        self.index * TILE_WIDTH
    }

    /// The same place, full.
    pub(crate) fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// Its file in the log's folder.
    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        let mut path = match self.width {
            TILE_WIDTH => self.stem(),
            width => format!("{}.p/{width}", self.stem()),
        };
        path.insert_str(0, "tile/");
        folder.join(path)
    }

    /// The folder of its partial forms.
    pub(crate) fn partials(self, folder: &Path) -> PathBuf {
        folder.join(format!("tile/{}.p", self.stem()))
    }

    fn stem(self) -> String {
        let mut path = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            path = format!("x{:03}/{path}", rest % 1000);
            rest /= 1000;
        }
        match self.holds {
            Holds::Entries => format!("entries/{path}"),
            Holds::Hashes(level) => format!("{level}/{path}"),
        }
    }
}

impl Holds {
    /// Everything that a log has, the entries first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [Self::Entries].into_iter().chain((0..TILE_LEVELS).map(Self::Hashes))
    }

    /// How many hashes or entries of this kind a log of `size` entries has.
    pub(crate) fn count(self, size: u64) -> u64 {
        match self {
            Self::Entries => size,
            Self::Hashes(level) => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
        }
    }
}

/// The tiles of a log of `new` entries that one of `old` entries lacks.
pub(crate) fn lacking(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    Holds::all().filter(move |holds| holds.count(old) < holds.count(new)).flat_map(move |holds| {
        let first = holds.count(old) / TILE_WIDTH;
        (first..).map_while(move |index| Tile::of(holds, index, new))
    })
}

/// Hashes as the bytes of a tile.
pub(crate) fn hash_tile(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Entries as the bytes of a tile, or `None` if one is too long.
pub(crate) fn bundle(entries: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Some(bytes)
}

/// The entries of a tile, or `None` if the bytes are no whole entries.
pub(crate) fn unbundle(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry.to_vec());
        bytes = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests;
