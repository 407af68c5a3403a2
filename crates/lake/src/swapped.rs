//! Small JSON files that are swapped whole: readers see the old one or the new one, also after a power cut.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imprimatur_runtime::durable;

/// The catalogue, or another file beside it that is swapped whole, cannot be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// There is none. Wait for the collector's first publication.
    #[error("nothing was published yet: `{}` does not exist", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It cannot be read or written. Report the path.
    #[error("cannot access `{}`", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not of this version. Let the collector publish again.
    #[error("cannot understand `{}`; let the collector publish anew", path.display())]
    Malformed {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads a file of the lake's folder.
pub(crate) fn load<T: serde::de::DeserializeOwned>(
    folder: &Path,
    name: &str,
) -> Result<T, CatalogueError> {
    parse(folder, name, &bytes(folder, name)?)
}

/// The bytes of a file of the lake's folder.
pub(crate) fn bytes(folder: &Path, name: &str) -> Result<Vec<u8>, CatalogueError> {
    let path = folder.join(name);
    fs::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => CatalogueError::Absent { path },
        _ => CatalogueError::Io { path, source },
    })
}

/// What bytes of a file of the lake's folder say.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(
    folder: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<T, CatalogueError> {
    let path = folder.join(name);
    serde_json::from_slice(bytes).map_err(|source| CatalogueError::Malformed { path, source })
}

/// Puts it in the place of the older one.
pub(crate) fn store<T: serde::Serialize>(
    folder: &Path,
    name: &str,
    value: &T,
) -> Result<(), CatalogueError> {
    let path = folder.join(name);
    let bytes = match serde_json::to_vec_pretty(value) {
        Ok(bytes) => bytes,
        Err(source) => return Err(CatalogueError::Malformed { path, source }),
    };
    durable::write(&path, &bytes).map_err(|source| CatalogueError::Io { path, source })
}
