//! Backups: a copy of book and lake without the keys, with an end, and an inventory in the book.
//!
//! A backup is a folder: `backup.json`, `book.redb` and `lake/`. What it holds of a subject is
//! sealed under a key that only the live keyring has, and its lake rows say nothing but pseudonyms;
//! so a destroyed key is destroyed in every backup. It must be gone after the days that the policies
//! allow, and is refused from then on.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _};
use std::path::{Path, PathBuf};

use imprimatur_consent::Digest;
use imprimatur_consent::event::Public;
use imprimatur_runtime::{UnixSeconds, UtcDate, durable, entropy};
use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::book::{Book, decode};
use crate::error::BookError;
use crate::tables::{BACKUPS, FILES};

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// A random name.
    pub id: String,
    /// When it was made.
    pub made: UtcDate,
    /// From when it is refused; by then it must be gone.
    pub expires: UtcDate,
    /// Entries of the log that its book knows.
    pub log_size: u64,
    /// Its files and their SHA-256.
    pub files: BTreeMap<String, Digest>,
}

/// A backup that was not made or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or folder cannot be used.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is something already. Name an empty or new folder.
    #[error("`{}` is not empty; name a new folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// No backup of this program.
    #[error("`{}` is no backup of this version", path.display())]
    Malformed {
        /// Its description.
        path: PathBuf,
    },
    /// A file is not the one that was backed up.
    #[error("`{}` was changed after the backup was made", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// It is too old: it should be gone.
    #[error("the backup expired on {0}; destroy it")]
    Expired(UtcDate),
    /// What a restore needs beside the backup is not there.
    #[error(
        "`{}` is missing: a backup is restored beside the live `keys`, `log` and `evidence`, which \
         know what was withdrawn and erased since", path.display()
    )]
    NoLedger {
        /// What is missing.
        path: PathBuf,
    },
    /// The live ledger is not a continuation of the backup's, or is damaged.
    #[error("the live ledger does not continue the backup's: {0}")]
    Apart(String),
    /// The book failed.
    #[error("the book failed")]
    Book(#[from] BookError),
}

impl Backup {
    /// Reads the description of a backup.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn load(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join("backup.json");
        let bytes = fs::read(&path).map_err(|source| io_error(&path, source))?;
        serde_json::from_slice(&bytes).map_err(|_other_form| BackupError::Malformed { path })
    }

    /// Whether every file is the one that was backed up, and the backup may still be used.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn check(&self, folder: &Path, today: UtcDate) -> Result<(), BackupError> {
        if today >= self.expires {
            return Err(BackupError::Expired(self.expires));
        }
        for (name, hash) in &self.files {
            let path = folder.join(name);
            let plain = Path::new(name)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !plain || digest(&path)? != *hash {
                return Err(BackupError::Changed { path });
            }
        }
        Ok(())
    }
}

impl Book {
    /// Copies book and lake into a new folder while nothing is written, and enters the backup in
    /// log and inventory.
    ///
    /// # Errors
    /// [`BackupError`]; the folder may be incomplete then: remove it.
    pub fn back_up(&self, to: &Path, now: UnixSeconds) -> Result<Backup, BackupError> {
        let lake = to.join("lake");
        let empty = fs::read_dir(to).map_or(true, |mut entries| entries.next().is_none());
        if !empty {
            return Err(BackupError::NotEmpty { path: to.to_owned() });
        }
        durable::private_folder(&lake).map_err(|source| io_error(&lake, source))?;
        let made = now.date();
        let expires = UtcDate(made.0.saturating_add(self.terms().deadlines().backup_days));
        let id = hex::encode(entropy::bytes::<8>().map_err(BookError::from)?);
        let mut backup = Backup { id, made, expires, log_size: 0, files: BTreeMap::new() };
        let txn = self.begin()?;
        let log_size = self.log_size()? + 1;
        backup.log_size = log_size;
        let event = Public::BackupMade { id: backup.id.clone(), expires, log_size, on: made };
        txn.log_public(&event)?;
        txn.put(BACKUPS, backup.id.as_str(), &(made, expires))?;
        txn.commit()?;
        // While this one is open nobody writes, and it writes nothing.
        let still = self.begin()?;
        backup.log_size = self.log_size()?;
        let data = self.0.data.clone();
        backup.files.insert("book.redb".to_owned(), copy(&data, to, "book.redb")?);
        for path in self.lake_paths()? {
            let name = format!("lake/{path}");
            backup.files.insert(name.clone(), copy(&data, to, &name)?);
        }
        drop(still);
        let path = to.join("backup.json");
        let text = serde_json::to_vec_pretty(&backup).unwrap_or_default();
        durable::write(&path, &text).map_err(|source| io_error(&path, source))?;
        Ok(backup)
    }

    /// All backups that were made: id, when, and when each must be gone.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn backups(&self) -> Result<BTreeMap<String, (UtcDate, UtcDate)>, BookError> {
        let table = self.0.db.begin_read()?.open_table(BACKUPS)?;
        let entry =
            |entry: Result<(redb::AccessGuard<'_, &str>, redb::AccessGuard<'_, &[u8]>), _>| {
                let (id, dates) = entry?;
                Ok((id.value().to_owned(), decode(BACKUPS, dates.value())?))
            };
        table.iter()?.map(entry).collect()
    }

    pub(crate) fn lake_paths(&self) -> Result<Vec<String>, BookError> {
        let table = self.0.db.begin_read()?.open_table(FILES)?;
        table.iter()?.map(|entry| Ok(entry?.0.value().to_owned())).collect()
    }
}

/// Copies a file by its name below both folders; gives its SHA-256.
pub(crate) fn copy(from: &Path, to: &Path, name: &str) -> Result<Digest, BackupError> {
    let (source, target) = (from.join(name), to.join(name));
    if let Some(folder) = target.parent() {
        durable::private_folder(folder).map_err(|source| io_error(folder, source))?;
    }
    fs::copy(&source, &target).map_err(|error| io_error(&source, error))?;
    let synced = File::open(&target).and_then(|file| durable::confirmed(file.sync_all()));
    synced.map_err(|error| io_error(&target, error))?;
    digest(&target)
}

fn digest(path: &Path) -> Result<Digest, BackupError> {
    use sha2::Digest as _;

    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let (mut file, mut hash) = (io::BufReader::new(file), sha2::Sha256::new());
    loop {
        let part = file.fill_buf().map_err(|source| io_error(path, source))?;
        if part.is_empty() {
            return Ok(Digest(hash.finalize().into()));
        }
        hash.update(part);
        let length = part.len();
        file.consume(length);
    }
}

pub(crate) fn io_error(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io { path: path.to_owned(), source }
}
