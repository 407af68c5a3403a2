//! The folder of a host with several printers: `printers/NAME` is the store of each, one lock is for
//! all of them, one socket beside it.
//!
//! Whoever opens a store of several holds the folder, so that a command and a starting agent never
//! have some of the printers each. The store of a file for one printer lies in the folder itself; it
//! is never taken for one of several, because its consent was given for one printer.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use imprimatur_runtime::durable;

use crate::config::Config;
use crate::printer::Name;
use crate::store::{self, StoreError};

/// Folder of the printers' stores in the agent's folder.
const PRINTERS: &str = "printers";

/// A folder that cannot be used for several printers.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// As of a store. Another agent may run.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store of a file for one printer lies in it. Report it and stop: its key and what waits in it
    /// would be forgotten without a word.
    #[error(
        "`data_dir` holds the store of one printer, and the settings name several: to go on with it \
         as one of them, move its `store` and `tally` into `printers/NAME`; to end it, withdraw and \
         wipe it with the settings that it was made with"
    )]
    OfOne,
}

/// The agent's folder, held for this process until it is dropped.
#[derive(Debug)]
pub struct Host {
    _lock: Option<File>,
}

impl Host {
    /// Takes the folder of several printers. The folder of one is its store, which holds itself.
    ///
    /// # Errors
    /// [`HostError::OfOne`]; [`StoreError::InUse`] when another process has it; the disk's.
    pub fn hold(config: &Config) -> Result<Self, HostError> {
        if !config.several() {
            return Ok(Self { _lock: None });
        }
        let folder = &config.data_dir;
        let lock = store::claim(folder)?;
        if is_of_one(config) {
            return Err(HostError::OfOne);
        }
        let place = folder.join(PRINTERS);
        let refuse = |cause| StoreError::Folder { folder: place.clone(), cause };
        durable::private_folder(&place).map_err(refuse)?;
        fs::set_permissions(&place, Permissions::from_mode(0o700)).map_err(refuse)?;
        Ok(Self { _lock: Some(lock) })
    }
}

/// Whether the store of a file for one printer lies where several are named.
pub fn is_of_one(config: &Config) -> bool {
    config.several() && store::is_in(&config.data_dir)
}

/// Where the store of one of several printers lies.
pub fn folder(data_dir: &Path, name: &Name) -> PathBuf {
    data_dir.join(PRINTERS).join(name.to_string())
}

/// Stores of printers that the settings do not name, by name. Nothing is collected for them, and what
/// waits in them is not delivered.
pub fn strays(config: &Config) -> BTreeSet<Name> {
    let entries = fs::read_dir(config.data_dir.join(PRINTERS)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<Name>().ok());
    let named = |name: &Name| config.printers.iter().any(|p| p.name.as_ref() == Some(name));
    names.filter(|name| !named(name)).collect()
}
