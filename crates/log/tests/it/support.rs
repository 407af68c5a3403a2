//! Logs to work on, and folders to keep them in.

use std::fs;
use std::path::{Path, PathBuf};

use imprimatur_log::{Checkpoint, LogKey, MemoryLog, Origin, TileWriter, entry, tree};

/// The log's key.
pub(crate) fn key() -> LogKey {
    LogKey::from_seed(&[7; 32])
}

/// The first entries of one fixed log: every tenth public, the rest blinded.
pub(crate) fn log_of(size: u64) -> MemoryLog {
    let mut log = MemoryLog::new();
    (0..size).for_each(|index| log.push(entry_of(index)));
    log
}

/// One of them.
pub(crate) fn entry_of(index: u64) -> Vec<u8> {
    if index % 10 == 3 {
        entry::public(format!("{{\"event\":\"counts\",\"last\":{index}}}").as_bytes()).unwrap()
    } else {
        let nonce = imprimatur_consent::Digest::of(&index.to_be_bytes());
        entry::blinded(&nonce.0, b"consent")
    }
}

/// The checkpoint of a log's first entries.
pub(crate) fn checkpoint(log: &MemoryLog, size: u64) -> Checkpoint {
    let origin = Origin::of(&key().public());
    Checkpoint { origin, size, root: tree::root(size, log).unwrap() }
}

/// Publishes a log up to this size.
pub(crate) fn publish(folder: &Path, log: &MemoryLog, size: u64) {
    let mut writer = TileWriter::open(folder, &key().public()).unwrap();
    writer.publish(&checkpoint(log, size).sign(&key()), log).unwrap();
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&file), target).unwrap();
    }
}

/// All files below a folder, by their paths in it.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    fn collect(folder: &Path, below: &Path, all: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder.join(below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                collect(folder, &path, all);
            } else {
                all.push(path);
            }
        }
    }
    let mut all = Vec::new();
    collect(folder, Path::new(""), &mut all);
    all.sort();
    all
}
