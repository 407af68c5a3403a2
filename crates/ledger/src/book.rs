//! Opening the book: the store, the keys beside it, the index in memory, and what may be read of it
//! without a transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use imprimatur_consent::{Digest, Policy, SubjectId, Terms};
use imprimatur_log::note::LogKey;
use imprimatur_runtime::{durable, entropy};
use redb::{ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _};

use crate::error::{BookError, LabelError};
use crate::index::{Index, Known};
use crate::keyring::Keyring;
use crate::subject::Held;
use crate::tables::{
    BACKUPS, Bytes, COMMITS, CONDEMNED, COUNTS, COUNTS_BY_DAY, ENTRIES, EPOCHS, EVENTS, FILES,
    JOURNAL, NODES, NUMBERS, PEPPERS, POLICIES, RECEIPTS, REGISTER, RESTORING, SEGMENTS, SUBJECTS,
    SYNTHETIC, TASKS, TOKENS, TOLD, TOMB_KEYS, TOMBS, VERDICTS, WINDOWS,
};
use crate::txn::Txn;

/// redb's cache, bytes. Its default is 1 GiB.
const CACHE_BYTES: usize = 32 << 20;

/// The store. One process owns it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Book(pub(crate) Arc<Inner>);

/// What a book holds, for its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Label {
    /// What printers told.
    #[default]
    Real,
    /// What a program made up.
    Synthetic,
    /// What a load test made up: no date is ever full.
    Load,
}

impl Label {
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Real => 0,
            Self::Synthetic => 1,
            Self::Load => 2,
        }
    }

    pub(crate) fn of(number: u64) -> Self {
        let all = [Self::Synthetic, Self::Load];
        all.into_iter().find(|label| label.number() == number).unwrap_or_default()
    }

    /// Whether a program made it up.
    pub fn is_synthetic(self) -> bool {
        self != Self::Real
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Synthetic => "synthetic",
            Self::Load => "load-test",
        })
    }
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) db: redb::Database,
    pub(crate) data: PathBuf,
    pub(crate) keyring: Keyring,
    pub(crate) log_key: LogKey,
    pub(crate) index: RwLock<Index>,
    /// Held from a commit until the index has followed it.
    following: Mutex<()>,
    pub(crate) terms: RwLock<Arc<Terms>>,
    /// Whether a commit failed: then nothing more is written.
    pub(crate) failed: AtomicBool,
}

impl Inner {
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the index has followed the last commit, and holds back those who would read it.
    pub(crate) fn following(&self) -> MutexGuard<'_, ()> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Book {
    /// Opens `book.redb`, `keys/` and `log.key` in a data folder, or makes new ones that only their
    /// owner may read; finishes what a crash left behind.
    ///
    /// # Errors
    /// [`BookError`]; [`BookError::Behind`] and [`BookError::Forked`] when `log/` holds another log
    /// than the book, and [`BookError::Restoring`] after a restore that broke off: then nothing is served.
    pub fn open(data: &Path) -> Result<Self, BookError> {
        let book = Self::open_unchecked(data)?;
        if book.number(RESTORING)? != 0 {
            return Err(BookError::Restoring);
        }
        book.agrees_with_log()?;
        book.has_its_keys()?;
        Ok(book)
    }

    /// As [`Book::open`] for a copy that is to be brought up to the published log.
    pub(crate) fn open_unchecked(data: &Path) -> Result<Self, BookError> {
        let path = data.join("book.redb");
        let failed = |source| BookError::File { path: path.clone(), source };
        durable::private_folder(data).map_err(failed)?;
        if !path.try_exists().map_err(failed)? {
            bear(&path)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        durable::sync_folder(data).map_err(failed)?;
        let keyring = Keyring::open(&data.join("keys"))?;
        Self::of(data, redb::backends::FileBackend::new(file)?, keyring)
    }

    /// As [`Book::open`] over parts that a test brings: a disk that forgets, a clock that jumps.
    ///
    /// # Errors
    /// [`BookError`].
    #[doc(hidden)]
    pub fn over(
        data: &Path,
        store: impl redb::StorageBackend,
        keyring: Keyring,
    ) -> Result<Self, BookError> {
        let book = Self::of(data, store, keyring)?;
        book.agrees_with_log()?;
        book.has_its_keys()?;
        Ok(book)
    }

    fn of(
        data: &Path,
        store: impl redb::StorageBackend,
        keyring: Keyring,
    ) -> Result<Self, BookError> {
        let db = redb::Database::builder()
            .set_cache_size(CACHE_BYTES)
            // A file that something else damaged is told as such; otherwise the first look at a bad page
            // would end the process without a word.
            .set_check_integrity_on_open(true)
            .create_with_backend(store)?;
        let book = Self(Arc::new(Inner {
            db,
            data: data.to_owned(),
            keyring,
            log_key: log_key(&data.join("log.key"))?,
            index: RwLock::default(),
            following: Mutex::default(),
            terms: RwLock::new(Arc::new(Terms::of(&[]))),
            failed: AtomicBool::new(false),
        }));
        book.make_tables()?;
        book.finish_destroying()?;
        book.load_terms()?;
        book.load_index()?;
        Ok(book)
    }

    /// Everything that is sealed must have its key: a keyring that was cut, overwritten or left
    /// behind would make subjects unknown without a word.
    fn has_its_keys(&self) -> Result<(), BookError> {
        let txn = self.0.db.begin_read()?;
        let mut slots = BTreeSet::new();
        for entry in txn.open_table(SUBJECTS)?.iter()? {
            slots.insert(entry?.0.value());
        }
        for entry in txn.open_table(PEPPERS)?.iter()? {
            slots.insert(entry?.1.value());
        }
        let missing = self.0.keyring.missing(slots.into_iter())?.len();
        if missing == 0 { Ok(()) } else { Err(BookError::KeysLost { missing }) }
    }

    /// Whether the book can still be written. After a commit that failed it cannot: what the disk
    /// holds is known only after a restart.
    ///
    /// # Errors
    /// [`BookError::Failed`]: end the process.
    pub fn usable(&self) -> Result<(), BookError> {
        if self.0.failed.load(Ordering::SeqCst) { Err(BookError::Failed) } else { Ok(()) }
    }

    /// All tables exist from the start, so that a reader never meets one that does not.
    fn make_tables(&self) -> Result<(), BookError> {
        let txn = self.begin()?;
        for table in [SUBJECTS, EVENTS, COMMITS, JOURNAL, TASKS, REGISTER, ENTRIES, TOLD] {
            txn.raw.open_table(table)?;
        }
        for table in [RECEIPTS, VERDICTS] {
            txn.raw.open_table(table)?;
        }
        for table in [FILES, SEGMENTS, BACKUPS] {
            txn.raw.open_table(table)?;
        }
        txn.raw.open_table(WINDOWS)?;
        txn.raw.open_table(EPOCHS)?;
        txn.raw.open_table(TOKENS)?;
        txn.raw.open_table(PEPPERS)?;
        txn.raw.open_table(CONDEMNED)?;
        txn.raw.open_table(TOMB_KEYS)?;
        txn.raw.open_table(TOMBS)?;
        txn.raw.open_table(POLICIES)?;
        txn.raw.open_table(NODES)?;
        txn.raw.open_table(COUNTS)?;
        txn.raw.open_table(COUNTS_BY_DAY)?;
        txn.raw.open_table(NUMBERS)?;
        txn.begin_marks()?;
        txn.commit()
    }

    /// Destroys the keys that a committed transaction condemned, also after a crash.
    pub(crate) fn finish_destroying(&self) -> Result<(), BookError> {
        let txn = self.begin()?;
        let mut table = txn.raw.open_table(CONDEMNED)?;
        let slots: Result<Vec<u64>, _> =
            table.iter()?.map(|entry| entry.map(|(slot, _)| slot.value())).collect();
        let slots = slots?;
        if slots.is_empty() {
            return Ok(());
        }
        self.0.keyring.destroy(&slots)?;
        for slot in slots {
            table.remove(slot)?;
        }
        drop(table);
        txn.commit()
    }

    /// Makes the terms of all policies that the book archived.
    pub(crate) fn load_terms(&self) -> Result<(), BookError> {
        let texts = self.policies()?;
        let read = |text: &String| Policy::read(text).map_err(|_unusable| unreadable(POLICIES));
        let policies: Vec<Policy> = texts.values().map(read).collect::<Result<_, _>>()?;
        let terms = Arc::new(Terms::of(&policies));
        self.0.index.write().unwrap_or_else(PoisonError::into_inner).heed(&terms);
        *self.0.terms.write().unwrap_or_else(PoisonError::into_inner) = terms;
        Ok(())
    }

    /// Opens every subject once. A subject whose key is gone is none.
    pub(crate) fn load_index(&self) -> Result<(), BookError> {
        let table = self.0.db.begin_read()?.open_table(SUBJECTS)?;
        let subjects = usize::try_from(table.len()?).unwrap_or(0);
        let (mut index, terms) = (Index::with_capacity(subjects), self.terms());
        for entry in table.iter()? {
            let (slot, sealed) = entry?;
            if let Some(held) = Held::open(&self.0.keyring, slot.value(), sealed.value())? {
                index.put(slot.value(), &held.standing, &terms);
                if held.enrolled {
                    index.enrol(slot.value());
                }
            }
        }
        *self.0.index.write().unwrap_or_else(PoisonError::into_inner) = index;
        Ok(())
    }

    /// Begins the one write transaction; waits for another to end, and for the index to follow it: a
    /// transaction never decides by an index that is older than its tables.
    ///
    /// # Errors
    /// [`BookError::Storage`]; [`BookError::Failed`] after a commit that failed.
    pub fn begin(&self) -> Result<Txn, BookError> {
        self.usable()?;
        let raw = self.0.db.begin_write()?;
        drop(self.0.following());
        Ok(Txn::of(raw, Arc::clone(&self.0)))
    }

    /// The keys, for reading evidence.
    pub fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    /// The public key that signs checkpoints of the log.
    pub fn log_public_key(&self) -> [u8; 32] {
        self.0.log_key.public()
    }

    /// What decisions need of all archived policies.
    pub fn terms(&self) -> Arc<Terms> {
        self.0.terms()
    }

    /// What is known of a subject, from memory: for the door.
    pub fn known(&self, subject: SubjectId) -> Option<Known> {
        self.0.index().known(subject)
    }

    /// Number of subjects.
    pub fn subjects(&self) -> usize {
        self.0.index().len()
    }

    /// Says what all that comes is, for the life of the book.
    ///
    /// # Errors
    /// [`LabelError::Other`] when the book says something else: synthetic and real rows never mix.
    pub fn label(&self, label: Label) -> Result<(), LabelError> {
        let txn = self.begin()?;
        let wanted = label.number();
        let table = txn.raw.open_table(NUMBERS).map_err(BookError::from)?;
        let known = table.get(SYNTHETIC).map_err(BookError::from)?.map(|label| label.value());
        drop(table);
        if let Some(known) = known.filter(|&known| known != wanted) {
            return Err(LabelError::Other { held: Label::of(known), wanted: label });
        }
        txn.set_number(SYNTHETIC, wanted)?;
        Ok(txn.commit()?)
    }

    /// A single number of the book; 0 when it was never set.
    pub(crate) fn number(&self, key: &str) -> Result<u64, BookError> {
        let table = self.0.db.begin_read()?.open_table(NUMBERS)?;
        Ok(table.get(key)?.map_or(0, |number| number.value()))
    }

    /// The texts of all archived policies, by hash.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn policies(&self) -> Result<BTreeMap<Digest, String>, BookError> {
        let table = self.0.db.begin_read()?.open_table(POLICIES)?;
        let mut policies = BTreeMap::new();
        for entry in table.iter()? {
            let (hash, text) = entry?;
            let text = String::from_utf8(text.value().to_vec());
            policies.insert(Digest(hash.value()), text.map_err(|_no_text| unreadable(POLICIES))?);
        }
        Ok(policies)
    }
}

/// Makes an empty book under another name and then gives it its own: a crash meanwhile leaves nothing
/// that looks like a book and is none.
fn bear(path: &Path) -> Result<(), BookError> {
    let failed = |source| BookError::File { path: path.to_owned(), source };
    let unfinished = path.with_extension("tmp");
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600);
    let file = file.open(&unfinished).map_err(failed)?;
    let store = redb::backends::FileBackend::new(file)?;
    drop(redb::Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(store)?);
    durable::rename(&unfinished, path).map_err(failed)
}

/// The key that signs checkpoints: read from its file, or drawn once.
pub(crate) fn log_key(path: &Path) -> Result<LogKey, BookError> {
    let failed = |source| BookError::File { path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let foreign = |_no_hex| failed(std::io::ErrorKind::InvalidData.into());
            let seed: Digest = text.trim().parse().map_err(foreign)?;
            Ok(LogKey::from_seed(&seed.0))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let seed = entropy::bytes()?;
            durable::write(path, format!("{}\n", Digest(seed)).as_bytes()).map_err(failed)?;
            Ok(LogKey::from_seed(&seed))
        }
        Err(error) => Err(failed(error)),
    }
}

/// An entry of this table is not what this program wrote.
pub(crate) fn unreadable<K: redb::Key + 'static>(table: Bytes<K>) -> BookError {
    BookError::Unreadable { table: redb::TableHandle::name(&table).to_owned() }
}

pub(crate) fn decode<K: redb::Key + 'static, V: serde::de::DeserializeOwned>(
    table: Bytes<K>,
    bytes: &[u8],
) -> Result<V, BookError> {
    serde_json::from_slice(bytes).map_err(|_other_form| unreadable(table))
}
