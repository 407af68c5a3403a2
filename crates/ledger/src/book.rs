//! Opening the book, its transactions, and the answers that it remembers.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use imprimatur_consent::{Category, Digest, Standing, SubjectId};
use imprimatur_runtime::UnixSeconds;
use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::evidence::ConsentEvidence;
use crate::tables::{
    Bytes, CONSENT, COUNTS, ENROLLED, EPOCHS, EVIDENCE, FILES, JOURNAL, NUMBERS, PEPPERS, POSITION,
    RECEIPTS, STANDING, SYNTHETIC, TOKENS, VERDICTS, WINDOWS, WITHDRAWN,
};

/// Verdicts remembered for each subject (INV-5).
pub const VERDICTS_REMEMBERED: u64 = 1024;

/// redb's cache, bytes. Its default is 1 GiB.
const CACHE_BYTES: usize = 64 << 20;

/// The book cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The store failed. End the process: what was not answered was not done, and a restart
    /// recovers.
    #[error("the book cannot be read or written")]
    Storage(#[source] Box<redb::Error>),
    /// An entry is not what this program wrote. End the process and verify the ledger.
    #[error("an entry in table `{table}` of the book is unreadable")]
    Unreadable {
        /// The table.
        table: String,
        /// What was wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// No randomness for a pepper or token.
    #[error("the book cannot draw a secret")]
    Entropy(#[from] imprimatur_runtime::entropy::NoEntropy),
}

macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for BookError {
            fn from(error: redb::$error) -> Self {
                Self::Storage(Box::new(error.into()))
            }
        }
    )*};
}

from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError);

/// A book that holds the other kind of rows.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// Synthetic rows were meant for a real book, or the other way round. Use another folder.
    #[error(
        "the folder holds {} rows, and {} ones were to come; use another folder",
        kind(!synthetic), kind(*synthetic)
    )]
    Other {
        /// What was to come.
        synthetic: bool,
    },
    /// The book failed.
    #[error("the book failed")]
    Book(#[from] BookError),
}

fn kind(synthetic: bool) -> &'static str {
    if synthetic { "synthetic" } else { "real" }
}

/// The store. One process owns it.
#[derive(Debug)]
pub struct Book {
    db: redb::Database,
}

/// What the book knows of a batch number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Not seen.
    New,
    /// Seen with the same bytes: the verdict that was given.
    Same(Vec<u8>),
    /// Seen with other bytes.
    Reused,
    /// Older than what is remembered.
    TooOld,
}

impl Book {
    /// Opens the book in this file, or makes a new one that only its owner may read.
    ///
    /// # Errors
    /// [`BookError::Storage`], also when another process has it open.
    pub fn open(path: &Path) -> Result<Self, BookError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = file.open(path).map_err(redb::StorageError::Io)?;
        let file = redb::backends::FileBackend::new(file)?;
        let db = redb::Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(file)?;
        let book = Self { db };
        // All tables exist from the start, so that a reader never meets one that does not.
        let txn = book.begin()?;
        for table in [STANDING, WITHDRAWN] {
            txn.raw.open_table(table)?;
        }
        for table in [CONSENT, EVIDENCE, JOURNAL] {
            txn.raw.open_table(table)?;
        }
        for table in [RECEIPTS, VERDICTS] {
            txn.raw.open_table(table)?;
        }
        txn.raw.open_table(WINDOWS)?;
        txn.raw.open_table(TOKENS)?;
        txn.raw.open_table(ENROLLED)?;
        txn.raw.open_table(PEPPERS)?;
        txn.raw.open_table(EPOCHS)?;
        txn.raw.open_table(FILES)?;
        txn.raw.open_table(COUNTS)?;
        txn.raw.open_table(NUMBERS)?;
        txn.commit()?;
        Ok(book)
    }

    /// Begins the one write transaction; waits for another to end.
    ///
    /// # Errors
    /// [`BookError::Storage`].
    pub fn begin(&self) -> Result<Txn, BookError> {
        Ok(Txn { raw: self.db.begin_write()? })
    }

    pub(crate) fn db(&self) -> &redb::Database {
        &self.db
    }

    /// Says that all that comes is synthetic, or that none of it is; for the life of the book.
    ///
    /// # Errors
    /// [`LabelError::Other`] when the book says the opposite: synthetic and real rows never mix.
    pub fn label(&self, synthetic: bool) -> Result<(), LabelError> {
        let txn = self.begin()?;
        let mut numbers = txn.raw.open_table(NUMBERS).map_err(BookError::from)?;
        let wanted = u64::from(synthetic);
        let known = numbers.get(SYNTHETIC).map_err(BookError::from)?.map(|label| label.value());
        if known.is_some_and(|known| known != wanted) {
            return Err(LabelError::Other { synthetic });
        }
        numbers.insert(SYNTHETIC, wanted).map_err(BookError::from)?;
        drop(numbers);
        Ok(txn.commit()?)
    }

    /// The standing of a subject as last committed.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn standing(&self, subject: SubjectId) -> Result<Option<Standing>, BookError> {
        let table = self.db.begin_read()?.open_table(STANDING)?;
        table.get(subject.0)?.map(|found| decode(STANDING, found.value())).transpose()
    }

    /// All counters: answers by outcome and reason.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn counts(&self) -> Result<BTreeMap<String, u64>, BookError> {
        let table = self.db.begin_read()?.open_table(COUNTS)?;
        let mut counts = BTreeMap::new();
        for entry in table.iter()? {
            let (name, count) = entry?;
            counts.insert(name.value().to_owned(), count.value());
        }
        Ok(counts)
    }
}

/// One write transaction. Nothing in it is true before [`Txn::commit`] returned.
pub struct Txn {
    pub(crate) raw: redb::WriteTransaction,
}

impl std::fmt::Debug for Txn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Txn(..)")
    }
}

impl Txn {
    /// Makes everything durable: redb writes and fsyncs before this returns.
    ///
    /// # Errors
    /// [`BookError::Storage`]: nothing of it happened; end the process.
    pub fn commit(self) -> Result<(), BookError> {
        Ok(self.raw.commit()?)
    }

    /// The standing of a subject, with what this transaction changed.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn standing(&self, subject: SubjectId) -> Result<Option<Standing>, BookError> {
        self.get(STANDING, subject.0)
    }

    /// Records a consent event and the standing that it makes; gives its position.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn log_consent(
        &self,
        standing: &Standing,
        signed_event: &[u8],
        recorded: UnixSeconds,
    ) -> Result<u64, BookError> {
        let subject = standing.subject();
        let before = self.standing(subject)?;
        let position = self.next_position()?;
        let signed_event = hex::encode(signed_event);
        let entry = ConsentEvidence { position, subject, recorded, signed_event };
        self.put(CONSENT, position, &entry)?;
        self.put(STANDING, subject.0, standing)?;
        let mut withdrawn: BTreeMap<Category, u64> =
            self.get(WITHDRAWN, subject.0)?.unwrap_or_default();
        let granted = before.iter().flat_map(|before| before.granted.keys());
        let gone = granted.filter(|category| !standing.granted.contains_key(category));
        withdrawn.extend(gone.map(|&category| (category, position)));
        self.put(WITHDRAWN, subject.0, &withdrawn)?;
        Ok(position)
    }

    /// The receipt given to a consent event of this number.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn receipt(
        &self,
        subject: SubjectId,
        sequence: u64,
    ) -> Result<Option<(Digest, Vec<u8>)>, BookError> {
        let table = self.raw.open_table(RECEIPTS)?;
        let found = table.get((subject.0, sequence))?;
        Ok(found.and_then(|found| split(found.value())))
    }

    /// Remembers the receipt given to a consent event.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn keep_receipt(
        &self,
        subject: SubjectId,
        sequence: u64,
        event: Digest,
        receipt: &[u8],
    ) -> Result<(), BookError> {
        let mut table = self.raw.open_table(RECEIPTS)?;
        let value = [event.0.as_slice(), receipt].concat();
        table.insert((subject.0, sequence), value.as_slice())?;
        Ok(())
    }

    /// What is known of a batch number of an authenticated subject.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn repeat(
        &self,
        subject: SubjectId,
        sequence: u64,
        frame: Digest,
    ) -> Result<Repeat, BookError> {
        let table = self.raw.open_table(VERDICTS)?;
        if let Some(found) = table.get((subject.0, sequence))? {
            return Ok(match split(found.value()) {
                Some((hash, verdict)) if hash == frame => Repeat::Same(verdict),
                _ => Repeat::Reused,
            });
        }
        let windows = self.raw.open_table(WINDOWS)?;
        let forgotten = windows.get(subject.0)?.map_or(0, |window| window.value().1);
        Ok(if sequence <= forgotten { Repeat::TooOld } else { Repeat::New })
    }

    /// Remembers the verdict given to a batch, and forgets the oldest beyond
    /// [`VERDICTS_REMEMBERED`].
    ///
    /// # Errors
    /// [`BookError`].
    pub fn keep_verdict(
        &self,
        subject: SubjectId,
        sequence: u64,
        frame: Digest,
        verdict: &[u8],
    ) -> Result<(), BookError> {
        let mut table = self.raw.open_table(VERDICTS)?;
        let mut windows = self.raw.open_table(WINDOWS)?;
        let value = [frame.0.as_slice(), verdict].concat();
        let fresh = table.insert((subject.0, sequence), value.as_slice())?.is_none();
        let (held, mut forgotten) = windows.get(subject.0)?.map_or((0, 0), |window| window.value());
        let mut held = held + u64::from(fresh);
        if held > VERDICTS_REMEMBERED {
            let oldest = {
                let mut of_subject = table.range((subject.0, 0)..=(subject.0, u64::MAX))?;
                of_subject.next().transpose()?.map(|(key, _)| key.value())
            };
            if let Some(oldest) = oldest {
                table.remove(oldest)?;
                (held, forgotten) = (held - 1, oldest.1);
            }
        }
        windows.insert(subject.0, (held, forgotten))?;
        Ok(())
    }

    /// Adds to a counter.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn count(&self, name: &str, more: u64) -> Result<(), BookError> {
        let mut table = self.raw.open_table(COUNTS)?;
        let before = table.get(name)?.map_or(0, |count| count.value());
        table.insert(name, before.saturating_add(more))?;
        Ok(())
    }

    /// The next position of the one order that consent events and commits share.
    pub(crate) fn next_position(&self) -> Result<u64, BookError> {
        let mut table = self.raw.open_table(NUMBERS)?;
        let next = table.get(POSITION)?.map_or(0, |position| position.value()) + 1;
        table.insert(POSITION, next)?;
        Ok(next)
    }

    pub(crate) fn get<K: redb::Key + 'static, V: serde::de::DeserializeOwned>(
        &self,
        table: Bytes<K>,
        key: K::SelfType<'_>,
    ) -> Result<Option<V>, BookError> {
        let opened = self.raw.open_table(table)?;
        let found = opened.get(key)?;
        found.map(|found| decode(table, found.value())).transpose()
    }

    pub(crate) fn put<K: redb::Key + 'static, V: serde::Serialize>(
        &self,
        table: Bytes<K>,
        key: K::SelfType<'_>,
        value: &V,
    ) -> Result<(), BookError> {
        let unreadable = |source| BookError::Unreadable {
            table: redb::TableHandle::name(&table).to_owned(),
            source,
        };
        let bytes = serde_json::to_vec(value).map_err(unreadable)?;
        self.raw.open_table(table)?.insert(key, bytes.as_slice())?;
        Ok(())
    }
}

pub(crate) fn decode<K: redb::Key + 'static, V: serde::de::DeserializeOwned>(
    table: Bytes<K>,
    bytes: &[u8],
) -> Result<V, BookError> {
    let name = redb::TableHandle::name(&table).to_owned();
    serde_json::from_slice(bytes).map_err(|source| BookError::Unreadable { table: name, source })
}

/// A digest and what follows it.
fn split(value: &[u8]) -> Option<(Digest, Vec<u8>)> {
    let (digest, rest) = value.split_at_checked(32)?;
    Some((Digest::try_from(digest).ok()?, rest.to_vec()))
}
