//! Why a collector cannot start or go on.

use std::path::PathBuf;

use crate::region::Region;
use imprimatur_ledger::{BackupError, BookError, PublishError};
use imprimatur_runtime::durable;

/// A collector that cannot start or go on. Report it and end the process.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// A file or folder cannot be used.
    #[error("cannot use `{path}`")]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key file does not hold a key.
    #[error("`{0}` does not hold 64 hex digits; restore it from a backup, for agents pin this key")]
    Key(PathBuf),
    /// No randomness for a new key.
    #[error("cannot draw a key")]
    Entropy(#[from] imprimatur_runtime::entropy::NoEntropy),
    /// The book failed.
    #[error("the book failed")]
    Book(#[from] BookError),
    /// The folder holds synthetic rows and real ones were to come, or the other way round.
    #[error("this folder is not for these rows")]
    Label(#[from] imprimatur_ledger::LabelError),
    /// The lake cannot be written.
    #[error("the lake cannot be written")]
    Lake(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Evidence cannot be written.
    #[error("evidence cannot be written")]
    Evidence(#[from] imprimatur_ledger::segments::SegmentError),
    /// A policy cannot be offered. Correct it, or start without it.
    #[error("`{}` cannot be offered", path.display())]
    Policy {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: PublishError,
    },
    /// A policy promises that data stays in regions in which this collector does not stand.
    #[error(
        "policy `{policy}` promises data in {promised}, and this collector stands in {region}; run it \
         there and say so with `--region`, or offer a policy that names this region"
    )]
    Region {
        /// Name of the policy.
        policy: String,
        /// What it promises.
        promised: String,
        /// Where the collector stands.
        region: Region,
    },
    /// The log's folder cannot be written.
    #[error("the log cannot be published")]
    Log(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A backup cannot be restored.
    #[error("the backup was not restored; let no collector start in this folder")]
    Restore(#[from] BackupError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; is another process using it?")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// gRPC failed.
    #[error("the gRPC server failed")]
    Serve(#[source] tonic::transport::Error),
    /// Reflection could not be built from the contract.
    #[error("the contract cannot be served by reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The writer thread ended.
    #[error("the writer ended; see the error before this one")]
    WriterGone,
}

impl CollectorError {
    /// Whether trying again is wrong: the book failed, or an fsync did, and only a restart finds what
    /// the disk holds. A disk that is full or a folder that cannot be entered may be mended meanwhile.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Book(_) | Self::WriterGone) || durable::is_not_durable(self)
    }
}
