//! A disk that can lose its power: ext4 in a loop-mounted file, and a copy of that file.
//!
//! Keeps true: the copy holds what had reached the disk at that moment and nothing of what the
//! kernel only remembered to write; the processes on it stand still meanwhile. Mounts are taken down
//! with their handle.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use imprimatur_testkit::wait;

use crate::error::RunError;
use crate::program;

/// Larger than any store here; sparse.
const BYTES: u64 = 512 * 1024 * 1024;
/// Until a killed process has let go of its files.
const LET_GO: Duration = Duration::from_secs(20);

/// Whether this process may mount.
///
/// # Errors
/// [`RunError::NotRoot`].
pub(crate) fn may_mount() -> Result<(), RunError> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(RunError::NotRoot { command: "sudo --preserve-env cargo run -p imprimatur-peers" })
}

/// A mounted image.
#[derive(Debug)]
pub(crate) struct Disk {
    image: PathBuf,
    mount: PathBuf,
    mounted: bool,
}

impl Disk {
    /// A new, empty disk; its files are in `folder`.
    pub(crate) fn new(folder: &Path, name: &str) -> Result<Self, RunError> {
        let image = folder.join(format!("{name}.img"));
        let made = File::create(&image).and_then(|file| file.set_len(BYTES));
        made.map_err(|source| RunError::file(&image, source))?;
        // Inode tables are written now, not by a kernel thread that competes with what is measured.
        let options = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"].map(Path::new);
        program::run("mkfs.ext4", &[&options[..], &[image.as_path()]].concat())?;
        Self::of(image, folder, name)
    }

    fn of(image: PathBuf, folder: &Path, name: &str) -> Result<Self, RunError> {
        let mount = folder.join(name);
        std::fs::create_dir_all(&mount).map_err(|source| RunError::file(&mount, source))?;
        program::run("mount", &[Path::new("-o"), Path::new("loop"), &image, &mount])?;
        Ok(Self { image, mount, mounted: true })
    }

    /// The folder for a store.
    pub(crate) fn store(&self) -> PathBuf {
        self.mount.join("store")
    }

    /// Everything that was written so far reaches the disk.
    pub(crate) fn sync(&self) -> Result<(), RunError> {
        program::run("sync", &[Path::new("-f"), &self.mount])
    }

    /// What would be left if the power went now, as another disk.
    pub(crate) fn as_the_power_goes(&self, folder: &Path, name: &str) -> Result<Cut, RunError> {
        let image = folder.join(format!("{name}.img"));
        program::run("cp", &[Path::new("--sparse=always"), &self.image, &image])?;
        Ok(Cut { image, folder: folder.to_owned(), name: name.to_owned() })
    }

    /// Unmounts, once nobody uses it any more.
    pub(crate) async fn unmount(mut self) -> Result<(), RunError> {
        let mount = self.mount.clone();
        let waited = wait::until(LET_GO, "an unused mount", async || {
            program::run("umount", &[&mount]).map_err(|error| error.to_string())
        });
        waited.await.map_err(|waited| RunError::late(waited, ""))?;
        self.mounted = false;
        std::fs::remove_file(&self.image).map_err(|source| RunError::file(&self.image, source))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: whoever still has files open keeps them until it ends.
            let ended = Command::new("umount").arg("-l").arg(&self.mount).status();
            drop(ended);
        }
    }
}

/// A disk after its power cut, not mounted yet.
#[derive(Debug)]
pub(crate) struct Cut {
    image: PathBuf,
    folder: PathBuf,
    name: String,
}

impl Cut {
    /// The power is back: the journal is replayed.
    pub(crate) fn mount(self) -> Result<Disk, RunError> {
        Disk::of(self.image, &self.folder, &self.name)
    }
}
