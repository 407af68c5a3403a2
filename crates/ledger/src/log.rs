//! The log inside the book: entries, the hashes of complete subtrees, proofs and checkpoints.
//!
//! An entry is appended in the transaction of what it tells, so that no crash can separate the two
//! (INV-9). [`imprimatur_log`] holds the rules of the tree; the publisher brings entries to the
//! folder `log/`.

use imprimatur_consent::Digest;
use imprimatur_consent::event::Public;
use imprimatur_log::tree::{self, Entries, Nodes, TreeError};
use imprimatur_log::{Checkpoint, Origin, entry, proof};
use redb::{ReadableDatabase as _, ReadableTable};

use crate::book::{Book, unreadable};
use crate::error::BookError;
use crate::tables::{ENTRIES, LOG_SIZE, NODES};
use crate::txn::Txn;

/// Proof that an entry is in the log, and that the log is the one that was seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The checkpoint: a signed note.
    pub checkpoint: String,
    /// Inclusion of the entry, 32 bytes a hash.
    pub inclusion: Vec<u8>,
    /// Consistency with the older size, 32 bytes a hash; empty when none was asked for, or when
    /// the log was never that large.
    pub consistency: Vec<u8>,
}

/// The hashes of one table, as a tree reads them.
struct Hashes<'a, T>(&'a T);

impl<T: ReadableTable<(u8, u64), [u8; 32]>> Nodes for Hashes<'_, T> {
    type Error = redb::StorageError;

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Self::Error> {
        hash_at(self.0, level, index)
    }
}

/// The hash of a complete subtree in a table.
pub(crate) fn hash_at(
    table: &impl ReadableTable<(u8, u64), [u8; 32]>,
    level: u8,
    index: u64,
) -> Result<Option<Digest>, redb::StorageError> {
    Ok(table.get((level, index))?.map(|hash| Digest(hash.value())))
}

fn broken(error: TreeError<redb::StorageError>) -> BookError {
    match error {
        TreeError::Store(error) => error.into(),
        _ => unreadable(ENTRIES),
    }
}

impl Txn {
    /// Appends an entry; gives its number, from 0.
    pub(crate) fn append(&self, entry: &[u8]) -> Result<u64, BookError> {
        let leaf = self.number(LOG_SIZE)?;
        let mut nodes = self.raw.open_table(NODES)?;
        let added = tree::append(leaf, tree::leaf_hash(entry), &Hashes(&nodes)).map_err(broken)?;
        for (level, index, hash) in added {
            nodes.insert((level, index), hash.0)?;
        }
        drop(nodes);
        self.raw.open_table(ENTRIES)?.insert(leaf, entry)?;
        self.set_number(LOG_SIZE, leaf + 1)?;
        Ok(leaf)
    }

    /// Appends a public event; gives the number of its entry.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn log_public(&self, event: &Public) -> Result<u64, BookError> {
        let json = serde_json::to_vec(event).map_err(|_no_json| unreadable(ENTRIES))?;
        self.append(&entry::public(&json).map_err(|_too_long| unreadable(ENTRIES))?)
    }

    /// Proves an entry, and that a log of `seen` entries is the beginning of this one.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn proof(&self, leaf: u64, seen: u64) -> Result<Proof, BookError> {
        let size = self.number(LOG_SIZE)?;
        let table = self.raw.open_table(NODES)?;
        let nodes = Hashes(&table);
        let inclusion = tree::inclusion(leaf, size, &nodes).map_err(broken)?;
        let known = seen > 0 && seen <= size;
        let consistency = known.then(|| tree::consistency(seen, size, &nodes).map_err(broken));
        let root = tree::root(size, &nodes).map_err(broken)?;
        Ok(Proof {
            checkpoint: self.note(size, root),
            inclusion: proof::to_bytes(&inclusion),
            consistency: proof::to_bytes(&consistency.transpose()?.unwrap_or_default()),
        })
    }

    /// Number of entries of the log as it stands in this transaction.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn log_size(&self) -> Result<u64, BookError> {
        self.number(LOG_SIZE)
    }

    fn note(&self, size: u64, root: Digest) -> String {
        let origin = Origin::of(&self.book.log_key.public());
        Checkpoint { origin, size, root }.sign(&self.book.log_key)
    }
}

/// Entries and hashes of the committed log, as the publisher reads them.
#[derive(Debug)]
pub struct LogView {
    nodes: redb::ReadOnlyTable<(u8, u64), [u8; 32]>,
    entries: redb::ReadOnlyTable<u64, &'static [u8]>,
}

impl Nodes for LogView {
    type Error = redb::StorageError;

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Self::Error> {
        Hashes(&self.nodes).node(level, index)
    }
}

impl Entries for LogView {
    fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.entries.get(index)?.map(|entry| entry.value().to_vec()))
    }
}

impl Book {
    /// The committed log with the checkpoint of its first entries, for the publisher of tiles.
    ///
    /// # Errors
    /// [`BookError`]; also when there are not so many entries.
    pub fn log_view(&self, size: u64) -> Result<(String, LogView), BookError> {
        let txn = self.0.db.begin_read()?;
        let (nodes, entries) = (txn.open_table(NODES)?, txn.open_table(ENTRIES)?);
        let root = tree::root(size, &Hashes(&nodes)).map_err(broken)?;
        let origin = Origin::of(&self.log_public_key());
        let note = Checkpoint { origin, size, root }.sign(&self.0.log_key);
        Ok((note, LogView { nodes, entries }))
    }

    /// Number of entries of the log.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn log_size(&self) -> Result<u64, BookError> {
        self.number(LOG_SIZE)
    }

    /// The root of the first entries of the log.
    pub(crate) fn log_root(&self, size: u64) -> Result<Digest, BookError> {
        let table = self.0.db.begin_read()?.open_table(NODES)?;
        tree::root(size, &Hashes(&table)).map_err(broken)
    }

    /// The published log must be the beginning of the book's: a longer one was published by a
    /// newer book, another one by another.
    pub(crate) fn agrees_with_log(&self) -> Result<(), BookError> {
        let path = self.0.data.join("log").join("checkpoint");
        let note = match std::fs::read_to_string(&path) {
            Ok(note) => note,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // Cut inside a character.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(BookError::Forked);
            }
            Err(source) => return Err(BookError::File { path, source }),
        };
        let published = Checkpoint::open(&note, &self.log_public_key());
        let published = published.map_err(|_foreign| BookError::Forked)?;
        let book = self.log_size()?;
        if published.size > book {
            return Err(BookError::Behind { book, log: published.size });
        }
        let same = self.log_root(published.size)? == published.root;
        if same { Ok(()) } else { Err(BookError::Forked) }
    }
}
