//! Evidence on disk: append-only segments and the manifest that names them, for offline proof.
//!
//! The folder holds `consent-FIRST-LAST.jsonl` and `commits-FIRST-LAST.jsonl`, one JSON object a
//! line in the order of positions, and `manifest.json`, swapped whole. The manifest carries the
//! SHA-256 of every segment and of the lake's catalogue at the same moment. A segment is never
//! changed once the manifest names it; `policies/HASH.toml` are the policies that were published.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use imprimatur_consent::Digest;
use imprimatur_runtime::{UtcDate, durable};

use crate::evidence::{CommitEvidence, ConsentEvidence};

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// [`ConsentEvidence`].
    Consent,
    /// [`CommitEvidence`].
    Commits,
}

impl Holds {
    /// The name of a segment of these positions.
    fn file(self, first: u64, last: u64) -> String {
        let name = match self {
            Self::Consent => "consent",
            Self::Commits => "commits",
        };
        format!("{name}-{first}-{last}.jsonl")
    }
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// File name in the evidence folder.
    pub file: String,
    /// What it holds.
    pub holds: Holds,
    /// First position.
    pub first: u64,
    /// Last position.
    pub last: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

/// What the evidence folder holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The collector's public key.
    pub collector_key: Digest,
    /// The public key that signs checkpoints of the log.
    pub log_key: Digest,
    /// Entries of the published log when this was written: all evidence here is in them.
    pub log_size: u64,
    /// The contract under which it commits.
    pub contract_hash: Digest,
    /// SHA-256 of the lake's `catalogue.json` that belongs to this manifest.
    pub catalogue: Digest,
    /// Newest commit whose records are in the lake.
    pub published: u64,
    /// Rows of earlier dates than these are expired, by table.
    pub kept_since: BTreeMap<String, UtcDate>,
    /// Answers given, by outcome and reason.
    pub counts: BTreeMap<String, u64>,
    /// The segments, in the order in which they were written.
    pub segments: Vec<Segment>,
}

/// The evidence cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A file or folder cannot be used.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is not what this program wrote.
    #[error("`{}` is not understood", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A segment's bytes are not those that the manifest names.
    #[error("`{}` was changed after it was written", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
}

/// Writes a segment of the evidence folder, whole and durable; `None` without entries. It counts
/// once the book names it.
///
/// # Errors
/// [`SegmentError`].
pub fn write_segment<T: serde::Serialize>(
    folder: &Path,
    holds: Holds,
    entries: &[T],
    position: impl Fn(&T) -> u64,
) -> Result<Option<Segment>, SegmentError> {
    let ends = entries.first().map(&position).zip(entries.last().map(&position));
    let Some((first, last)) = ends else { return Ok(None) };
    durable::private_folder(folder).map_err(|source| io_error(folder, source))?;
    let file = holds.file(first, last);
    let path = folder.join(&file);
    let mut bytes = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut bytes, entry)
            .map_err(|source| SegmentError::Malformed { path: path.clone(), source })?;
        bytes.push(b'\n');
    }
    durable::write(&path, &bytes).map_err(|source| io_error(&path, source))?;
    Ok(Some(Segment { file, holds, first, last, sha256: Digest::of(&bytes) }))
}

/// A segment of these positions and this hash; `None` when there is none.
///
/// # Errors
/// [`SegmentError::Io`].
pub fn find_segment(
    folder: &Path,
    (first, last): (u64, u64),
    sha256: Digest,
) -> Result<Option<Segment>, SegmentError> {
    for holds in [Holds::Consent, Holds::Commits] {
        let file = holds.file(first, last);
        let path = folder.join(&file);
        match fs::read(&path) {
            Ok(bytes) if Digest::of(&bytes) == sha256 => {
                return Ok(Some(Segment { file, holds, first, last, sha256 }));
            }
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&path, source));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Writes the text of a policy into the evidence folder, under its hash.
///
/// # Errors
/// [`SegmentError`].
pub fn write_policy(folder: &Path, hash: Digest, text: &str) -> Result<(), SegmentError> {
    let folder = folder.join("policies");
    durable::private_folder(&folder).map_err(|source| io_error(&folder, source))?;
    let path = folder.join(format!("{hash}.toml"));
    if path.exists() {
        return Ok(());
    }
    durable::write(&path, text.as_bytes()).map_err(|source| io_error(&path, source))
}

/// The texts of the policies in an evidence folder, by hash.
///
/// # Errors
/// [`SegmentError::Changed`] when a text is not the one of its name.
pub fn read_policies(folder: &Path) -> Result<BTreeMap<Digest, String>, SegmentError> {
    let folder = folder.join("policies");
    let mut policies = BTreeMap::new();
    for entry in fs::read_dir(&folder).map_err(|source| io_error(&folder, source))? {
        let path = entry.map_err(|source| io_error(&folder, source))?.path();
        let text = fs::read_to_string(&path).map_err(|source| io_error(&path, source))?;
        let hash = Digest::of(text.as_bytes());
        if path.file_stem().and_then(|stem| stem.to_str()) != Some(&hash.to_string()) {
            return Err(SegmentError::Changed { path });
        }
        policies.insert(hash, text);
    }
    Ok(policies)
}

impl Manifest {
    /// Swaps the manifest of an evidence folder.
    ///
    /// # Errors
    /// [`SegmentError`]; the old manifest still holds.
    pub fn store(&self, folder: &Path) -> Result<(), SegmentError> {
        let path = folder.join("manifest.json");
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|source| SegmentError::Malformed { path: path.clone(), source })?;
        durable::write(&path, &bytes).map_err(|source| io_error(&path, source))
    }

    /// Reads the manifest of an evidence folder.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn load(folder: &Path) -> Result<Self, SegmentError> {
        let path = folder.join("manifest.json");
        let bytes = fs::read(&path).map_err(|source| io_error(&path, source))?;
        serde_json::from_slice(&bytes).map_err(|source| SegmentError::Malformed { path, source })
    }

    /// All recorded consent events, in order.
    ///
    /// # Errors
    /// [`SegmentError`], also when a segment was changed.
    pub fn consent(&self, folder: &Path) -> Result<Vec<ConsentEvidence>, SegmentError> {
        self.entries(folder, Holds::Consent)
    }

    /// The evidence of all commits, in order.
    ///
    /// # Errors
    /// [`SegmentError`], also when a segment was changed.
    pub fn commits(&self, folder: &Path) -> Result<Vec<CommitEvidence>, SegmentError> {
        self.entries(folder, Holds::Commits)
    }

    fn entries<T: serde::de::DeserializeOwned>(
        &self,
        folder: &Path,
        holds: Holds,
    ) -> Result<Vec<T>, SegmentError> {
        let mut entries = Vec::new();
        for segment in self.segments.iter().filter(|segment| segment.holds == holds) {
            // A manifest that was tampered with must not lead out of its folder.
            let name = Path::new(&segment.file).file_name().unwrap_or_default();
            let path = folder.join(name);
            let bytes = fs::read(&path).map_err(|source| io_error(&path, source))?;
            if Digest::of(&bytes) != segment.sha256 {
                return Err(SegmentError::Changed { path });
            }
            for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                let entry = serde_json::from_slice(line);
                let entry = entry
                    .map_err(|source| SegmentError::Malformed { path: path.clone(), source })?;
                entries.push(entry);
            }
        }
        Ok(entries)
    }
}

fn io_error(path: &Path, source: io::Error) -> SegmentError {
    SegmentError::Io { path: path.to_owned(), source }
}
