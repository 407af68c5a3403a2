//! The keyring: secrets that can be destroyed, each in a slot of its own, overwritten in place.
//!
//! `keys/keyring` is a run of 32-byte slots. Slot 0 is the header, `imprimatur keyring 1` and zeros.
//! Every other slot is a random secret, or zeros once it was destroyed. Destroying writes zeros over
//! the slot and waits for the disk, so that no free page of a database keeps a copy. A number is
//! never used twice: the next one is the length of the file. The folder never goes into a backup;
//! what is sealed under a destroyed slot is gone everywhere.
//!
//! A file system that copies on write, or a flash drive that remaps, may keep the old block out of
//! reach of any program: encrypt the disk below it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use imprimatur_runtime::durable;
use imprimatur_runtime::entropy::{self, NoEntropy};

/// Length of a slot, bytes.
const SLOT: u64 = 32;

/// What slot 0 holds.
#[doc(hidden)]
pub const HEADER: [u8; 32] = *b"imprimatur keyring 1\0\0\0\0\0\0\0\0\0\0\0\0";

/// What holds the bytes: the file, or in tests a disk that forgets what was not synced.
#[doc(hidden)]
pub trait Medium: std::fmt::Debug + Send + Sync {
    /// Length, bytes.
    ///
    /// # Errors
    /// The I/O error.
    fn length(&self) -> io::Result<u64>;
    /// Reads exactly this much.
    ///
    /// # Errors
    /// The I/O error; `UnexpectedEof` beyond the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of it.
    ///
    /// # Errors
    /// The I/O error.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Waits for the disk.
    ///
    /// # Errors
    /// The I/O error.
    fn sync(&self) -> io::Result<()>;
}

impl Medium for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        durable::confirmed(self.sync_all())
    }
}

/// The keyring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Reading or writing failed. End the process: nothing that was not answered was done.
    #[error("cannot use the keyring `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is none of this program's. Put the right one back.
    #[error("`{}` is no keyring of this version", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or change it. Nothing is served until it is private.
    #[error("`{}` is open to others; run `chmod 600` on it and `chmod 700` on its folder", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// A write or an fsync failed before: what the disk holds is unknown. End the process.
    #[error("the keyring `{}` failed before; restart, which reads what the disk holds", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
    },
    /// No randomness for a secret.
    #[error("the keyring cannot draw a secret")]
    Entropy(#[from] NoEntropy),
}

/// 32 secret bytes. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(crate) [u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The open file. One process owns it, with the book.
#[derive(Debug)]
pub struct Keyring {
    path: PathBuf,
    file: Box<dyn Medium>,
    /// The next slot.
    next: Mutex<u64>,
    /// Whether drawn slots wait for the disk.
    unsynced: AtomicBool,
    /// Whether a write or an fsync failed: then none is tried again.
    broken: AtomicBool,
}

impl Keyring {
    /// Opens the keyring of a folder, or makes both.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn open(folder: &Path) -> Result<Self, KeyringError> {
        let path = folder.join("keyring");
        let failed = |source| KeyringError::Io { path: path.clone(), source };
        durable::private_folder(folder).map_err(failed)?;
        if !path.exists() {
            durable::write(&path, &HEADER).map_err(failed)?;
        }
        Self::of(path.clone(), OpenOptions::new().read(true).write(true).mode(0o600), true)
    }

    /// Opens an existing keyring to read from it alone.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn read_only(folder: &Path) -> Result<Self, KeyringError> {
        Self::of(folder.join("keyring"), OpenOptions::new().read(true), false)
    }

    fn of(path: PathBuf, options: &OpenOptions, owned: bool) -> Result<Self, KeyringError> {
        let failed = |source| KeyringError::Io { path: path.clone(), source };
        let file = options.open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if owned && metadata.permissions().mode() & 0o077 != 0 {
            return Err(KeyringError::Open { path });
        }
        Self::over(path, Box::new(file))
    }

    /// The keyring that this medium holds.
    ///
    /// # Errors
    /// [`KeyringError`].
    #[doc(hidden)]
    pub fn over(path: PathBuf, file: Box<dyn Medium>) -> Result<Self, KeyringError> {
        let length = file.length();
        let length = length.map_err(|source| KeyringError::Io { path: path.clone(), source })?;
        let mut header = [0; 32];
        if file.read_at(&mut header, 0).is_err() || header != HEADER {
            return Err(KeyringError::Foreign { path });
        }
        let (slot, bytes) = (length / SLOT, length % SLOT);
        let next = if bytes == 0 {
            slot
        } else {
            let path = path.display();
            tracing::warn!(%path, slot, bytes, "a torn slot at the end of a file is skipped");
            // It was never used: so is its number.
            slot + 1
        };
        let next = Mutex::new(next);
        let (unsynced, broken) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { path, file, next, unsynced, broken })
    }

    /// The next slot: all that were drawn are below it.
    pub fn slots(&self) -> u64 {
        *self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Draws a secret into the next slot. It counts once [`Keyring::sync`] returned.
    ///
    /// # Errors
    /// [`KeyringError`]; the slot may be used up.
    pub fn draw(&self) -> Result<u64, KeyringError> {
        let secret = entropy::bytes::<32>()?;
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let slot = *next;
        *next += 1;
        self.unsynced.store(true, Ordering::SeqCst);
        self.once(|| self.file.write_at(&secret, slot * SLOT))?;
        Ok(slot)
    }

    /// Waits until all drawn slots are on the disk.
    ///
    /// # Errors
    /// [`KeyringError::Io`].
    pub fn sync(&self) -> Result<(), KeyringError> {
        if self.unsynced.swap(false, Ordering::SeqCst) {
            self.once(|| self.file.sync())?;
        }
        if self.broken.load(Ordering::SeqCst) { Err(self.spent()) } else { Ok(()) }
    }

    /// The secret of a slot; `None` when it was destroyed or never drawn.
    ///
    /// # Errors
    /// [`KeyringError::Io`].
    pub fn secret(&self, slot: u64) -> Result<Option<Secret>, KeyringError> {
        if slot == 0 || slot >= self.slots() {
            return Ok(None);
        }
        let mut secret = [0; 32];
        match self.file.read_at(&mut secret, slot * SLOT) {
            Ok(()) => Ok(Some(Secret(secret)).filter(|secret| secret.0 != [0; 32])),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Overwrites slots with zeros and waits for the disk. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`KeyringError::Io`]; the next start does it.
    pub fn destroy(&self, slots: &[u64]) -> Result<(), KeyringError> {
        let next = self.slots();
        for &slot in slots.iter().filter(|&&slot| slot > 0 && slot < next) {
            self.once(|| self.file.write_at(&[0; 32], slot * SLOT))?;
        }
        self.once(|| self.file.sync())
    }

    /// Whether every slot of these holds a secret; gives those that do not.
    ///
    /// # Errors
    /// [`KeyringError::Io`].
    pub(crate) fn missing(
        &self,
        slots: impl Iterator<Item = u64>,
    ) -> Result<Vec<u64>, KeyringError> {
        let mut missing = Vec::new();
        for slot in slots {
            if self.secret(slot)?.is_none() {
                missing.push(slot);
            }
        }
        Ok(missing)
    }

    /// Writes or syncs, unless that failed before: an fsync that is tried again says that all is
    /// well although what it should have written is lost.
    fn once(&self, act: impl FnOnce() -> io::Result<()>) -> Result<(), KeyringError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(self.spent());
        }
        act().map_err(|source| {
            self.broken.store(true, Ordering::SeqCst);
            self.failed(source)
        })
    }

    fn spent(&self) -> KeyringError {
        KeyringError::Failed { path: self.path.clone() }
    }

    fn failed(&self, source: io::Error) -> KeyringError {
        KeyringError::Io { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destroyed_secret_is_gone_from_the_file_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(folder.path()).unwrap();
        let slots: Vec<u64> = (0..3).map(|_| keyring.draw().unwrap()).collect();
        keyring.sync().unwrap();
        assert_eq!(slots, [1, 2, 3]);
        let secrets: Vec<Secret> =
            slots.iter().map(|&slot| keyring.secret(slot).unwrap().unwrap()).collect();
        let bytes = || std::fs::read(folder.path().join("keyring")).unwrap();
        let held = |secret: &Secret| bytes().windows(32).any(|part| part == secret.0);
        assert!(secrets.iter().all(held));
        keyring.destroy(&[2]).unwrap();
        drop(keyring);
        let keyring = Keyring::open(folder.path()).unwrap();
        assert!(held(&secrets[0]) && !held(&secrets[1]) && held(&secrets[2]));
        assert_eq!(keyring.secret(2).unwrap(), None);
        assert_eq!(keyring.secret(3).unwrap().as_ref(), Some(&secrets[2]));
        assert_eq!(keyring.draw().unwrap(), 4, "no number is used twice");
        assert_eq!((keyring.secret(0).unwrap(), keyring.secret(9).unwrap()), (None, None));
    }

    #[test]
    fn a_torn_slot_is_skipped_and_a_foreign_or_open_file_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyring");
        drop(Keyring::open(folder.path()).unwrap());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &[7; 5]].concat()).unwrap();
        let keyring = Keyring::open(folder.path()).unwrap();
        assert_eq!((keyring.secret(1).unwrap(), keyring.draw().unwrap()), (None, 2));
        drop(keyring);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let open = Keyring::open(folder.path());
        assert!(matches!(open, Err(KeyringError::Open { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for foreign in [&b"short"[..], &[7; 64]] {
            std::fs::write(&path, foreign).unwrap();
            assert!(matches!(Keyring::open(folder.path()), Err(KeyringError::Foreign { .. })));
        }
    }

    #[test]
    fn only_what_was_drawn_is_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(folder.path()).unwrap();
        keyring.draw().unwrap();
        let bytes = || std::fs::read(folder.path().join("keyring")).unwrap();
        let before = bytes();
        keyring.destroy(&[0, 2, 9]).unwrap();
        assert_eq!(bytes(), before);
    }

    /// A file with one slot, which cannot be read for this reason.
    #[derive(Debug)]
    struct Unreadable(io::ErrorKind);

    impl Medium for Unreadable {
        fn length(&self) -> io::Result<u64> {
            Ok(2 * SLOT)
        }

        fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
            bytes.copy_from_slice(&HEADER);
            if offset == 0 { Ok(()) } else { Err(self.0.into()) }
        }

        fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_not_taken_for_a_destroyed_one() {
        let secret = |why| {
            let keyring = Keyring::over(PathBuf::from("keyring"), Box::new(Unreadable(why)));
            keyring.unwrap().secret(1)
        };
        assert!(matches!(secret(io::ErrorKind::Other), Err(KeyringError::Io { .. })));
        assert_eq!(secret(io::ErrorKind::UnexpectedEof).unwrap(), None);
    }
}
