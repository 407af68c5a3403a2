//! The Merkle tree of RFC 6962: hashes, roots and proofs over any store of complete subtrees.
//!
//! A node is named by its level and its index in it: node (0, i) is the hash of leaf i, node
//! (l, i) covers the leaves from i * 2^l to (i + 1) * 2^l. Only complete subtrees are stored; they
//! never change. Leaves and nodes are hashed under different prefixes, so neither can stand for
//! the other.

use imprimatur_consent::Digest;
use sha2::{Digest as _, Sha256};

/// The root of a tree without leaves: SHA-256 of nothing (RFC 6962, section 2.1).
pub const EMPTY: Digest = Digest([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// The hash of a leaf: SHA-256 of `0x00 || entry`.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
}

/// The hash of a node: SHA-256 of `0x01 || left || right`.
pub fn node_hash(left: Digest, right: Digest) -> Digest {
    let hash = Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0);
    Digest(hash.finalize().into())
}

/// A node to be stored: its level, its index in the level, its hash.
pub type Node = (u8, u64, Digest);

/// A store of complete subtrees.
pub trait Nodes {
    /// Why the store cannot be read.
    type Error;

    /// The hash of a complete subtree, or `None` if the store does not hold it.
    ///
    /// # Errors
    /// The store's own.
    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Self::Error>;
}

/// A store of entries beside their tree.
pub trait Entries: Nodes {
    /// The entry of a leaf, or `None` if the store does not hold it.
    ///
    /// # Errors
    /// The store's own.
    fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// Nothing can be computed from this store.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError<E> {
    /// The store cannot be read. Report its error.
    #[error("cannot read the log's nodes")]
    Store(#[source] E),
    /// The store lacks a node that a tree of this size has. It is damaged: restore it.
    #[error("node {index} of level {level} is missing")]
    Missing {
        /// Its level; 0 is the leaves'.
        level: u8,
        /// Its index in the level.
        index: u64,
    },
    /// No such leaf, or an old tree larger than the new one. Ask for less.
    #[error("{asked} is beyond the tree's {size} leaves")]
    OutOfRange {
        /// The leaf or the old size.
        asked: u64,
        /// Leaves of the tree.
        size: u64,
    },
}

/// The nodes that a leaf completes when it is appended to a tree of `size` leaves, its own first.
/// Store all of them.
///
/// # Errors
/// [`TreeError`].
pub fn append<N: Nodes>(
    size: u64,
    leaf: Digest,
    nodes: &N,
) -> Result<Vec<Node>, TreeError<N::Error>> {
    let (mut level, mut index, mut hash) = (0, size, leaf);
    let mut completed = vec![(level, index, hash)];
    while index & 1 == 1 {
        hash = node_hash(read(nodes, level, index - 1)?, hash);
        (level, index) = (level + 1, index >> 1);
        completed.push((level, index, hash));
    }
    Ok(completed)
}

/// The root of the first `size` leaves.
///
/// # Errors
/// [`TreeError`].
pub fn root<N: Nodes>(size: u64, nodes: &N) -> Result<Digest, TreeError<N::Error>> {
    range(0, size, nodes)
}

/// The proof that leaf `index` is in the tree of the first `size` leaves, from the leaf upwards
/// (RFC 9162, section 2.1.3.1).
///
/// # Errors
/// [`TreeError`].
pub fn inclusion<N: Nodes>(
    index: u64,
    size: u64,
    nodes: &N,
) -> Result<Vec<Digest>, TreeError<N::Error>> {
    if index >= size {
        return Err(TreeError::OutOfRange { asked: index, size });
    }
    let mut proof = Vec::new();
    let (mut start, mut count) = (0, size);
    while count > 1 {
        let left = split(count);
        if index - start < left {
            proof.push(range(start + left, count - left, nodes)?);
            count = left;
        } else {
            proof.push(range(start, left, nodes)?);
            (start, count) = (start + left, count - left);
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the first `old` leaves is the beginning of the tree of the first
/// `new` ones (RFC 9162, section 2.1.4.1). Empty if `old` is 0 or `new`.
///
/// # Errors
/// [`TreeError`].
pub fn consistency<N: Nodes>(
    old: u64,
    new: u64,
    nodes: &N,
) -> Result<Vec<Digest>, TreeError<N::Error>> {
    if old > new {
        return Err(TreeError::OutOfRange { asked: old, size: new });
    }
    let mut proof = Vec::new();
    if old == 0 {
        return Ok(proof);
    }
    let (mut start, mut count) = (0, new);
    while old - start < count {
        let left = split(count);
        if old - start <= left {
            proof.push(range(start + left, count - left, nodes)?);
            count = left;
        } else {
            proof.push(range(start, left, nodes)?);
            (start, count) = (start + left, count - left);
        }
    }
    // The verifier knows the old root; it needs the last common subtree only if that is another.
    if start > 0 {
        proof.push(range(start, count, nodes)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The right edge of a growing tree: all that is needed to append and to know the root.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees, the largest first.
    complete: Vec<Digest>,
}

impl Frontier {
    /// Appends a leaf's hash.
    pub fn push(&mut self, leaf: Digest) {
        let (mut rest, mut hash) = (self.size, leaf);
        while rest & 1 == 1
            && let Some(left) = self.complete.pop()
        {
            (rest, hash) = (rest >> 1, node_hash(left, hash));
        }
        self.complete.push(hash);
        self.size += 1;
    }

    /// How many leaves were appended.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of what was appended.
    pub fn root(&self) -> Digest {
        fold(&self.complete)
    }
}

/// The root of the `count` leaves from `start`, which a subtree of the log begins with.
fn range<N: Nodes>(start: u64, count: u64, nodes: &N) -> Result<Digest, TreeError<N::Error>> {
    let mut complete = Vec::new();
    let mut at = start;
    for level in (0..64).rev().filter(|level| (count >> level) & 1 == 1) {
        complete.push(read(nodes, level, at >> level)?);
        at += 1 << level;
    }
    Ok(fold(&complete))
}

/// The root over complete subtrees, the largest first.
fn fold(complete: &[Digest]) -> Digest {
    let roots = complete.iter().rev().copied();
    roots.reduce(|right, left| node_hash(left, right)).unwrap_or(EMPTY)
}

fn read<N: Nodes>(nodes: &N, level: u8, index: u64) -> Result<Digest, TreeError<N::Error>> {
    let node = nodes.node(level, index).map_err(TreeError::Store)?;
    node.ok_or(TreeError::Missing { level, index })
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests;
