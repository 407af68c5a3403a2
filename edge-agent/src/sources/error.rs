//! Why a source does not answer, in words that tell its owner what to do next.
//!
//! No variant holds what the peer wrote: error bodies quote paths, file names and G-code.

use std::path::PathBuf;

/// A source that cannot be read just now; the reader waits and tries again.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nobody answers at the address. Retry.
    #[error("no answer: is it switched on, and is `url` right")]
    Unreachable,
    /// An answer did not come in time. Retry.
    #[error("no answer within {seconds} s")]
    Slow {
        /// The time allowed.
        seconds: u64,
    },
    /// The key is refused. Retry slowly: the owner may repair it on the other side.
    #[error("the API key is refused by {peer}: {remedy}")]
    Refused {
        /// The program.
        peer: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Something answers that is not the expected program. Retry.
    #[error("{peer} answered with status {status}: does `url` lead to it")]
    Status {
        /// The program.
        peer: &'static str,
        /// HTTP status, or JSON-RPC error code.
        status: i64,
    },
    /// An answer is not of the expected form. Retry.
    #[error("the answer is not of the form that {peer} uses: does `url` lead to it")]
    Malformed {
        /// The program.
        peer: &'static str,
    },
    /// An answer is longer than any that the reader needs. Retry.
    #[error("the answer is longer than {bytes_max} bytes")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// The connection ended. Retry.
    #[error("the connection ended")]
    Closed,
    /// The program answers, its printer host does not yet. Retry.
    #[error("{peer} runs, but its printer host does not answer yet")]
    NotReady {
        /// The program.
        peer: &'static str,
    },
    /// The file that holds the key cannot be read. Retry after the owner repaired it.
    #[error("cannot read the key from `{path}`")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key in the file cannot be sent in a header. Retry after the owner repaired it.
    #[error("the API key is empty or has characters that no key has")]
    KeyForm,
    /// The folder cannot be read. Retry after the owner repaired it.
    #[error("cannot read folder `{path}`")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Nobody takes the readings any more: the agent stops. The reader ends.
    #[error("the reader's queue is closed")]
    QueueClosed,
}

impl SourceError {
    /// The error with its causes, for the status line.
    pub fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        text
    }
}
