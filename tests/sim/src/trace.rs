//! What happened in a run, in order: two runs of one seed must tell the same.

use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// A run's record. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    hash: Sha256,
    lines: Vec<String>,
    kept: bool,
}

impl Trace {
    /// An empty record that begins now; `kept` keeps its lines and not only their hash.
    pub fn new(kept: bool) -> Self {
        let inner = Inner { start: Instant::now(), hash: Sha256::new(), lines: Vec::new(), kept };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Adds a line: when, who and what.
    pub fn note(&self, who: &str, what: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{:>9} ms  {who}: {what}", inner.start.elapsed().as_millis());
        inner.hash.update(line.as_bytes());
        inner.hash.update([b'\n']);
        if inner.kept {
            inner.lines.push(line);
        }
    }

    /// SHA-256 of all lines.
    pub fn hash(&self) -> [u8; 32] {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.hash.clone().finalize().into()
    }

    /// The lines, if they were kept.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }
}
