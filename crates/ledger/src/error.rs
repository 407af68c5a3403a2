//! What can go wrong with the book.

use std::path::PathBuf;

use crate::book::Label;
use crate::keyring::KeyringError;

/// The book cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The store failed. End the process: what was not answered was not done, and a restart
    /// recovers.
    #[error("the book cannot be read or written")]
    Storage(#[source] Box<redb::Error>),
    /// What the store holds is not what it wrote: something else changed the file, or the disk did. Nothing
    /// is served. Restore a backup.
    #[error(
        "the book is damaged ({why}): something other than this program changed `book.redb`, or its \
         disk failed; keep the file, and run `imprimatur backup restore`"
    )]
    Damaged {
        /// What the store found.
        why: String,
    },
    /// An entry is not what this program wrote. End the process and verify the ledger.
    #[error("an entry in table `{table}` of the book is unreadable")]
    Unreadable {
        /// The table.
        table: String,
    },
    /// The keys failed. End the process.
    #[error("the keys cannot be used")]
    Keyring(#[from] KeyringError),
    /// A commit failed before. End the process; a restart finds what the disk holds.
    #[error("a commit failed before; restart, which finds what the disk holds")]
    Failed,
    /// The keyring is not the book's, or was cut or overwritten. Nothing is served: subjects would
    /// be unknown without a word.
    #[error(
        "the keyring lacks {missing} keys that the book uses: it was cut, overwritten or is an older \
         copy; put the right `keys/keyring` back, or run `imprimatur backup restore`, which counts \
         their subjects as erased"
    )]
    KeysLost {
        /// How many.
        missing: usize,
    },
    /// No randomness for a secret.
    #[error("the book cannot draw a secret")]
    Entropy(#[from] imprimatur_runtime::entropy::NoEntropy),
    /// Nothing can be sealed for a subject whose key is gone. End the process.
    #[error("an entry cannot be sealed")]
    Seal(#[from] crate::evidence::SealError),
    /// A file beside the book cannot be used.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The published log holds more than the book: the book is an older copy. It serves nothing,
    /// for what was withdrawn or erased since would come back.
    #[error(
        "the book knows {book} entries of its log and {log} were published: it is an older copy; \
         run `imprimatur backup restore`"
    )]
    Behind {
        /// Entries that the book knows.
        book: u64,
        /// Entries that were published.
        log: u64,
    },
    /// A restore broke off: rows of who was erased may still be in the lake. Nothing is served.
    #[error("a restore broke off; repeat `imprimatur backup restore`")]
    Restoring,
    /// The published log says something else than the book. Nothing is served.
    #[error("the published log is not the book's; verify the ledger, then restore one of them")]
    Forked,
}

macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for BookError {
            fn from(error: redb::$error) -> Self {
                match error.into() {
                    redb::Error::Corrupted(why) => Self::Damaged { why },
                    other => Self::Storage(Box::new(other)),
                }
            }
        }
    )*};
}

from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError);

/// A book that holds the other kind of rows.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// Synthetic rows were meant for a real book, or the other way round. Use another folder.
    #[error("the folder holds {held} rows, and {wanted} ones were to come; use another folder")]
    Other {
        /// What the book holds.
        held: Label,
        /// What was to come.
        wanted: Label,
    },
    /// The book failed.
    #[error("the book failed")]
    Book(#[from] BookError),
}
