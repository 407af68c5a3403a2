//! A log in memory: for tests, and for logs that need no files.

use std::convert::Infallible;

use imprimatur_consent::Digest;

use crate::tree::{Entries, Frontier, Nodes, leaf_hash, node_hash};

/// Entries and all complete subtrees.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    entries: Vec<Vec<u8>>,
    /// By level, then index.
    levels: Vec<Vec<Digest>>,
    frontier: Frontier,
}

impl MemoryLog {
    /// A log without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an entry.
    pub fn push(&mut self, entry: Vec<u8>) {
        let mut hash = leaf_hash(&entry);
        self.entries.push(entry);
        self.frontier.push(hash);
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(nodes) = self.levels.get_mut(level) else { break };
            nodes.push(hash);
            match nodes.as_slice() {
                [.., left, right] if nodes.len().is_multiple_of(2) => {
                    hash = node_hash(*left, *right);
                }
                _ => break,
            }
        }
    }

    /// How many entries it has.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of all entries.
    pub fn root(&self) -> Digest {
        self.frontier.root()
    }
}

impl Nodes for MemoryLog {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Infallible> {
        let nodes = self.levels.get(usize::from(level));
        Ok(nodes.and_then(|nodes| nodes.get(usize::try_from(index).ok()?)).copied())
    }
}

impl Entries for MemoryLog {
    fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(usize::try_from(index).ok().and_then(|index| self.entries.get(index)).cloned())
    }
}
