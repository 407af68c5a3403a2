//! What can go wrong with the store, and whether trying again helps.

use std::io;
use std::path::{Path, PathBuf};

use super::Distrust;

/// A store that did not do what it was asked. No text of it names a path: that may hold a person's
/// name, and these texts are logged.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open. Ask that process through its socket.
    #[error("the store is in use by a running agent")]
    InUse,
    /// The folder cannot be made or entered. Report it and stop.
    #[error("cannot use the folder of the store")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The disk is full. Nothing was lost; try again when there is room.
    #[error("the disk is full; free some space, nothing is lost")]
    Full(#[source] io::Error),
    /// Reading or writing failed. Reopen and try again.
    #[error("cannot read or write the store")]
    Io(#[source] sled::Error),
    /// Writing sled's file to the disk failed. Reopen and try again.
    #[error("cannot make the store durable")]
    Sync(#[source] io::Error),
    /// A value is not of the form that this program writes. Stop: nothing may be sent from it.
    #[error("the store holds a `{0}` that cannot be read")]
    Unreadable(&'static str),
    /// Written by another version of this program. Stop; that version reads it.
    #[error("the store was written by another version of this program (form {0})")]
    Version(u32),
    /// sled's file is damaged. Stop: nothing may be sent from it.
    #[error("the store's file is damaged")]
    Corrupt(#[source] sled::Error),
    /// Changes that were made durable are not in the store, or it is gone: a shortened file, or an
    /// older copy. Stop: what was withdrawn may seem granted in it.
    #[error("the store has lost changes that were made before: it is shortened, old or missing")]
    Lost,
    /// Somebody else may have written it. Stop until its owner says otherwise.
    #[error("{why}")]
    Distrusted {
        /// The file or folder.
        place: PathBuf,
        /// Why.
        why: Distrust,
    },
}

impl StoreError {
    /// The place that cannot be used, for the owner's own eyes.
    pub fn place(&self) -> Option<&Path> {
        match self {
            Self::Folder { folder: place, .. } | Self::Distrusted { place, .. } => Some(place),
            _ => None,
        }
    }

    /// Whether only the owner can make the store usable again; trying again cannot.
    pub fn unusable(&self) -> bool {
        match self {
            Self::InUse | Self::Full(_) | Self::Io(_) | Self::Sync(_) => false,
            Self::Folder { .. }
            | Self::Unreadable(_)
            | Self::Version(_)
            | Self::Corrupt(_)
            | Self::Lost
            | Self::Distrusted { .. } => true,
        }
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Io(sled::Error::Io(io::Error::other("the store is closed after an error")))
}

pub(super) fn failed(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(cause) if cause.kind() == io::ErrorKind::StorageFull => {
            StoreError::Full(cause)
        }
        sled::Error::Io(cause) if cause.to_string().contains("could not acquire lock") => {
            StoreError::InUse
        }
        // sled writes paths into some of its causes: only the kind or the system's text is kept.
        sled::Error::Io(cause) => {
            let bare = match cause.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::from(cause.kind()),
            };
            StoreError::Io(sled::Error::Io(bare))
        }
        other @ (sled::Error::Corruption { .. } | sled::Error::Unsupported(_)) => {
            StoreError::Corrupt(other)
        }
        other => StoreError::Io(other),
    }
}
