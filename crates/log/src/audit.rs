//! The audit of a log's folder: every entry, every tile and the root are computed anew.
//!
//! Without an anchor it proves that the folder is the log that was signed; only an anchor, a
//! checkpoint that somebody else kept, proves that the log was not rewritten and signed again.

use std::fs;
use std::path::{Path, PathBuf};

use imprimatur_consent::Digest;

use crate::entry::{Entry, EntryError};
use crate::note::Checkpoint;
use crate::tiles::{
    Holds, TILE_LEVELS, TILE_WIDTH, Tile, TileError, TileReader, bundle, hash_tile, read,
};
use crate::tree::{Entries as _, Frontier, leaf_hash};

/// A log that is not what it should be. Keep the folder as it is: it is evidence.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file is missing or damaged, or the checkpoint is not signed by the log.
    #[error("cannot read the log")]
    Read(#[source] TileError),
    /// The log is shorter than one that was seen: its tail was cut off, or all of it.
    #[error("the log has {found} entries, {anchored} were seen earlier")]
    CutTail {
        /// Entries of the anchor.
        anchored: u64,
        /// Entries in the folder.
        found: u64,
    },
    /// The first entries are others than those that were seen: there are two histories.
    #[error("the first {size} entries are not those that were seen earlier")]
    Fork {
        /// Entries of the anchor.
        size: u64,
    },
    /// The anchor is another log's. Compare with the right one.
    #[error("the checkpoint to compare with is another log's")]
    ForeignAnchor,
    /// An entry was changed: neither its leaf nor the signed root fits it.
    #[error("entry {index} in `{}` was changed", path.display())]
    ChangedEntry {
        /// Which.
        index: u64,
        /// Its file.
        path: PathBuf,
    },
    /// A tile was changed; the entries still have the signed root.
    #[error("`{}` does not fit the entries", path.display())]
    ChangedTile {
        /// Its file.
        path: PathBuf,
    },
    /// Entries and tiles fit each other, but not the signed root: entries were changed, added or
    /// removed and the tiles computed anew.
    #[error("the {size} entries do not have the signed root")]
    Root {
        /// Entries in the folder.
        size: u64,
    },
    /// An entry that no log may hold, such as the hashes of a node.
    #[error("entry {index} is no entry")]
    Unusable {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        source: EntryError,
    },
    /// One commitment stands twice: two events may claim one leaf's proof.
    #[error("entries {first} and {second} are the same commitment")]
    Repeated {
        /// The first of them.
        first: u64,
        /// The other.
        second: u64,
    },
}

/// A log that was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
    /// How many entries were read. The caller decides whether none is enough.
    pub entries: u64,
}

/// Proves the log in this folder, signed by this key; with an anchor, also that it continues it.
///
/// # Errors
/// [`AuditError`].
pub fn audit(
    folder: &Path,
    public_key: &[u8; 32],
    anchor: Option<&Checkpoint>,
) -> Result<Audited, AuditError> {
    audit_each(folder, public_key, anchor, |_, _| {})
}

/// As [`audit`], and shows each entry with its index. What was shown means nothing if the audit
/// then fails.
///
/// # Errors
/// [`AuditError`].
pub fn audit_each(
    folder: &Path,
    public_key: &[u8; 32],
    anchor: Option<&Checkpoint>,
    mut show: impl FnMut(u64, Entry<'_>),
) -> Result<Audited, AuditError> {
    let log = TileReader::open(folder, public_key).map_err(AuditError::Read)?;
    check_anchor(log.checkpoint(), anchor)?;
    let mut audit = Audit::new(&log, anchor);
    for tile in (0..).map_while(|index| log.tile(Holds::Entries, index)) {
        let entries = log.bundle(tile).map_err(AuditError::Read)?;
        for entry in &entries {
            audit.entry(entry, &mut show)?;
        }
        audit.partials(tile, |width| bundle(entries.get(..width)?))?;
    }
    audit.finish()
}

fn check_anchor(found: &Checkpoint, anchor: Option<&Checkpoint>) -> Result<(), AuditError> {
    let Some(anchor) = anchor else { return Ok(()) };
    if anchor.origin != found.origin {
        return Err(AuditError::ForeignAnchor);
    }
    if anchor.size > found.size {
        return Err(AuditError::CutTail { anchored: anchor.size, found: found.size });
    }
    Ok(())
}

/// The state of an audit after some entries.
struct Audit<'a> {
    log: &'a TileReader,
    anchor: Option<&'a Checkpoint>,
    frontier: Frontier,
    /// By level of tiles: the hashes since the last full tile.
    pending: Vec<Vec<Digest>>,
    /// The first 8 bytes and the index of each commitment.
    commitments: Vec<(u64, u64)>,
    /// The first entry whose leaf is another in its tile.
    misfit: Option<u64>,
    /// The first file that does not fit the entries.
    misfit_file: Option<PathBuf>,
    forked: bool,
}

impl<'a> Audit<'a> {
    fn new(log: &'a TileReader, anchor: Option<&'a Checkpoint>) -> Self {
        let frontier = Frontier::default();
        let forked = anchor.is_some_and(|seen| seen.size == 0 && seen.root != frontier.root());
        let pending = vec![Vec::new(); usize::from(TILE_LEVELS)];
        Self {
            log,
            anchor,
            frontier,
            pending,
            commitments: Vec::new(),
            misfit: None,
            misfit_file: None,
            forked,
        }
    }

    fn entry(
        &mut self,
        bytes: &[u8],
        show: &mut impl FnMut(u64, Entry<'_>),
    ) -> Result<(), AuditError> {
        let index = self.frontier.size();
        let entry = Entry::read(bytes).map_err(|source| AuditError::Unusable { index, source })?;
        if let Entry::Blinded(Digest([a, b, c, d, e, f, g, h, ..])) = entry {
            self.commitments.push((u64::from_be_bytes([a, b, c, d, e, f, g, h]), index));
        }
        show(index, entry);
        let mut hash = leaf_hash(bytes);
        self.frontier.push(hash);
        let seen = self.anchor.filter(|anchor| anchor.size == self.frontier.size());
        self.forked |= seen.is_some_and(|anchor| anchor.root != self.frontier.root());
        for level in 0..TILE_LEVELS {
            let Some(pending) = self.pending.get_mut(usize::from(level)) else { break };
            pending.push(hash);
            if pending.len() < usize::try_from(TILE_WIDTH).unwrap_or(usize::MAX) {
                break;
            }
            let full = std::mem::take(pending);
            self.tile(level, &full)?;
            let mut subtree = Frontier::default();
            for hash in full {
                subtree.push(hash);
            }
            hash = subtree.root();
        }
        Ok(())
    }

    /// Compares a tile of hashes, the last of which was just computed.
    fn tile(&mut self, level: u8, expected: &[Digest]) -> Result<(), AuditError> {
        let holds = Holds::Hashes(level);
        let index = (holds.count(self.frontier.size()) - 1) / TILE_WIDTH;
        let Some(tile) = self.log.tile(holds, index) else { return Ok(()) };
        let found = self.log.hashes(tile).map_err(AuditError::Read)?;
        let misfit = (tile.first()..).zip(expected.iter().zip(&found)).find(|(_, (a, b))| a != b);
        if let Some((place, _)) = misfit {
            self.misfit = self.misfit.or((level == 0).then_some(place));
            self.misfit_file.get_or_insert_with(|| tile.path(self.log.folder()));
        }
        self.partials(tile, |width| Some(hash_tile(expected.get(..width)?)))
    }

    /// Compares the older, partial forms of a tile.
    fn partials(
        &mut self,
        tile: Tile,
        expected: impl Fn(usize) -> Option<Vec<u8>>,
    ) -> Result<(), AuditError> {
        let Ok(files) = fs::read_dir(tile.partials(self.log.folder())) else { return Ok(()) };
        for file in files.flatten() {
            let width = file.file_name().to_str().and_then(|name| name.parse::<usize>().ok());
            let Some(expected) = width.and_then(&expected) else { continue };
            let path = file.path();
            let limit = u64::try_from(expected.len()).unwrap_or(u64::MAX);
            if read(&path, limit).map_err(AuditError::Read)? != expected {
                self.misfit_file.get_or_insert(path);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Audited, AuditError> {
        for level in 0..TILE_LEVELS {
            let Some(pending) = self.pending.get_mut(usize::from(level)) else { break };
            let rest = std::mem::take(pending);
            if !rest.is_empty() {
                self.tile(level, &rest)?;
            }
        }
        let checkpoint = self.log.checkpoint().clone();
        let size = checkpoint.size;
        let signed = self.frontier.size() == size && self.frontier.root() == checkpoint.root;
        match (signed, self.misfit, self.misfit_file.take()) {
            (true, _, None) => {}
            (true, _, Some(path)) => return Err(AuditError::ChangedTile { path }),
            (false, Some(index), _) => {
                let tile = self.log.tile(Holds::Entries, index / TILE_WIDTH);
                let path = tile.map(|tile| tile.path(self.log.folder())).unwrap_or_default();
                return Err(AuditError::ChangedEntry { index, path });
            }
            (false, None, _) => return Err(AuditError::Root { size }),
        }
        if self.forked {
            return Err(AuditError::Fork { size: self.anchor.map_or(0, |anchor| anchor.size) });
        }
        self.repeated()?;
        Ok(Audited { checkpoint, entries: size })
    }

    /// Finds a commitment that stands twice.
    fn repeated(&mut self) -> Result<(), AuditError> {
        self.commitments.sort_unstable();
        for pair in self.commitments.windows(2) {
            let [(one, first), (other, second)] = *pair else { continue };
            if one == other
                && self.log.entry(first).map_err(AuditError::Read)?
                    == self.log.entry(second).map_err(AuditError::Read)?
            {
                return Err(AuditError::Repeated { first, second });
            }
        }
        Ok(())
    }
}
