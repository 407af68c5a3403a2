//! A copy of the book, for reading alone: table by table, in the order of the keys, for offline proof.
//!
//! It follows no rule of the book: it gives what is there, opens what has a key, and says of an entry
//! that it cannot read that it cannot. The file is never written; a book that was not closed is repaired
//! in memory (`overlay`). A book that a collector holds open is not read, for its pages change meanwhile.

mod overlay;
mod sealed;

use std::collections::BTreeMap;
use std::fs::{File, Metadata, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use imprimatur_consent::Digest;
use imprimatur_log::Nodes;
use imprimatur_runtime::UtcDate;
use redb::{ReadableDatabase as _, TableDefinition};

use crate::book::{Label, decode, unreadable};
use crate::error::BookError;
use crate::evidence::{CommitEvidence, ConsentEvidence};
use crate::log::hash_at;
use crate::register::Entry;
use crate::tables::{
    BACKUPS, Bytes, COMMITS, COUNTS, ENTRIES, EPOCHS, EVENTS, LOG_SIZE, NODES, NUMBERS, PEPPERS,
    POLICIES, POSITION, PUBLISHED, REGISTER, REQUESTS, SYNTHETIC, TASKS, TOMB_KEYS, WINDOWS,
};
use overlay::Overlay;
pub use sealed::{Answer, Batch, Dates, Subject, pseudonyms};

/// redb's cache, bytes.
const CACHE_BYTES: usize = 16 << 20;

/// A book that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none. Bring a copy.
    #[error("there is no book `{}`", .0.display())]
    Absent(PathBuf),
    /// A collector holds it open, or opened it meanwhile. Read a copy.
    #[error("a collector holds `{}` open", .0.display())]
    Held(PathBuf),
    /// The file cannot be used.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no book, or a damaged one.
    #[error("the copy is no whole book: it was changed, or copied while a collector wrote it")]
    Damaged(#[source] Box<BookError>),
}

/// The entries of a table; one that cannot be read does not end them.
pub type Each<'a, T> = Box<dyn Iterator<Item = Result<T, BookError>> + 'a>;

/// An open copy.
#[derive(Debug)]
pub struct Reader {
    db: redb::Database,
    path: PathBuf,
    file: File,
    /// Length and time of the file when it was opened.
    moment: (u64, Option<SystemTime>),
}

impl Reader {
    /// Opens a copy, and checks that it is whole: reads all of it once.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Io { path: path.to_owned(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ReadError::Absent(path.to_owned()));
            }
            opened => opened.map_err(failed)?,
        };
        free(&file, path)?;
        let moment = moment(&file.metadata().map_err(failed)?);
        let damaged = |error: BookError| ReadError::Damaged(Box::new(error));
        if moment.0 == 0 {
            return Err(damaged(BookError::Damaged { why: "it is empty".to_owned() }));
        }
        let overlay = Overlay::of(file.try_clone().map_err(failed)?).map_err(failed)?;
        let db = redb::Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(overlay)
            .map_err(|error| damaged(error.into()))?;
        Ok(Self { db, path: path.to_owned(), file, moment })
    }

    /// Whether nobody opened or changed the file since it was opened here: else what was read of it
    /// proves nothing.
    ///
    /// # Errors
    /// [`ReadError::Held`].
    pub fn still(&self) -> Result<(), ReadError> {
        free(&self.file, &self.path)?;
        let now = std::fs::metadata(&self.path).ok().map(|metadata| moment(&metadata));
        if now == Some(self.moment) { Ok(()) } else { Err(ReadError::Held(self.path.clone())) }
    }

    fn each<K: redb::Key + 'static, V: redb::Value + 'static, T: 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
        read: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> Result<T, BookError> + 'static,
    ) -> Result<Each<'static, T>, BookError> {
        let table = self.db.begin_read()?.open_table(table)?;
        let entries = table.range::<K::SelfType<'_>>(..)?;
        Ok(Box::new(entries.map(move |entry| {
            let (key, value) = entry?;
            read(key.value(), value.value())
        })))
    }

    fn at<K: redb::Key + 'static>(
        &self,
        table: Bytes<K>,
        key: K::SelfType<'_>,
    ) -> Result<Option<Vec<u8>>, BookError> {
        let table = self.db.begin_read()?.open_table(table)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn number(&self, key: &str) -> Result<u64, BookError> {
        let table = self.db.begin_read()?.open_table(NUMBERS)?;
        Ok(table.get(key)?.map_or(0, |number| number.value()))
    }

    /// The newest position that was given.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn position(&self) -> Result<u64, BookError> {
        self.number(POSITION)
    }

    /// The newest position whose records are in the lake.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn published(&self) -> Result<u64, BookError> {
        self.number(PUBLISHED)
    }

    /// Number of entries of the log.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn log_size(&self) -> Result<u64, BookError> {
        self.number(LOG_SIZE)
    }

    /// The newest number of the register.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn requests(&self) -> Result<u64, BookError> {
        self.number(REQUESTS)
    }

    /// What the book holds for its life.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn label(&self) -> Result<Label, BookError> {
        Ok(Label::of(self.number(SYNTHETIC)?))
    }

    /// Answers given, by outcome and reason.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn counts(&self) -> Result<BTreeMap<String, u64>, BookError> {
        self.each(COUNTS, |name, count| Ok((name.to_owned(), count)))?.collect()
    }

    /// Recorded events with the positions at which they lie.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn events(&self) -> Result<Each<'static, (u64, ConsentEvidence)>, BookError> {
        self.each(EVENTS, |position, event| Ok((position, decode(EVENTS, event)?)))
    }

    /// Evidence of commits with the positions at which it lies.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn commits(&self) -> Result<Each<'static, (u64, CommitEvidence)>, BookError> {
        self.each(COMMITS, |position, commit| Ok((position, decode(COMMITS, commit)?)))
    }

    /// The evidence of one commit.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn commit(&self, position: u64) -> Result<Option<CommitEvidence>, BookError> {
        let found = self.at(COMMITS, position)?;
        found.map(|commit| decode(COMMITS, &commit)).transpose()
    }

    /// Entries of the log with their numbers.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn entries(&self) -> Result<Each<'static, (u64, Vec<u8>)>, BookError> {
        self.each(ENTRIES, |number, entry| Ok((number, entry.to_vec())))
    }

    /// One entry of the log.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn entry(&self, number: u64) -> Result<Option<Vec<u8>>, BookError> {
        self.at(ENTRIES, number)
    }

    /// The hashes of complete subtrees of the log: level, index, hash.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn nodes(&self) -> Result<Each<'static, (u8, u64, Digest)>, BookError> {
        self.each(NODES, |(level, index), hash| Ok((level, index, Digest(hash))))
    }

    /// Texts of policies, by the hash under which they lie.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn policies(&self) -> Result<Each<'static, (Digest, String)>, BookError> {
        self.each(POLICIES, |hash, text| {
            let text = String::from_utf8(text.to_vec());
            Ok((Digest(hash), text.map_err(|_no_text| unreadable(POLICIES))?))
        })
    }

    /// Requests of owners with the numbers at which they lie.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn register(&self) -> Result<Each<'static, (u64, Entry)>, BookError> {
        self.each(REGISTER, |number, entry| Ok((number, decode(REGISTER, entry)?)))
    }

    /// Backups: when each was made, and when it must be gone.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn backups(&self) -> Result<Each<'static, (String, UtcDate, UtcDate)>, BookError> {
        self.each(BACKUPS, |id, dates| {
            let (made, expires) = decode(BACKUPS, dates)?;
            Ok((id.to_owned(), made, expires))
        })
    }

    /// Epochs and the slots of their peppers.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn peppers(&self) -> Result<Each<'static, (u32, u64)>, BookError> {
        self.each(PEPPERS, |epoch, slot| Ok((epoch, slot)))
    }

    /// Days of erasures and the slots of the secrets of their marks.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn tomb_keys(&self) -> Result<Each<'static, (UtcDate, u64)>, BookError> {
        self.each(TOMB_KEYS, |day, slot| Ok((UtcDate(day), slot)))
    }

    /// How many verdicts of a slot are remembered, and the highest number that was forgotten.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn windows(&self) -> Result<Each<'static, (u64, u64, u64)>, BookError> {
        self.each(WINDOWS, |slot, (held, forgotten)| Ok((slot, held, forgotten)))
    }

    /// The slots that epochs and tasks name.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn loose_slots(&self) -> Result<Each<'static, u64>, BookError> {
        let epochs = self.each(EPOCHS, |(slot, _), ()| Ok(slot))?;
        let tasks = self.each(TASKS, |_, value| {
            let slot = value.first_chunk().ok_or_else(|| unreadable(TASKS))?;
            Ok(u64::from_be_bytes(*slot))
        })?;
        Ok(Box::new(epochs.chain(tasks)))
    }
}

impl Nodes for Reader {
    type Error = BookError;

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, BookError> {
        let table = self.db.begin_read()?.open_table(NODES)?;
        Ok(hash_at(&table, level, index)?)
    }
}

/// A shared lock is had only while no collector has its own. It is given back at once, so that a
/// collector may start meanwhile.
fn free(file: &File, path: &Path) -> Result<(), ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map_err(failed),
        Err(TryLockError::WouldBlock) => Err(ReadError::Held(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn moment(metadata: &Metadata) -> (u64, Option<SystemTime>) {
    (metadata.len(), metadata.modified().ok())
}
