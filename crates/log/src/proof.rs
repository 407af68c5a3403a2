//! The verification of proofs, strict: exact length, and nothing but hashes that are given.
//!
//! A root alone does not say how many leaves it has, so size and root must come from one signed
//! checkpoint.

use imprimatur_consent::Digest;

use crate::tree::{EMPTY, node_hash};

/// A proof that proves nothing. Do not trust what came with it; report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf lies beyond the tree, or the new tree is smaller than the old one: a rollback.
    #[error("{asked} is beyond the tree's {size} leaves")]
    OutOfRange {
        /// The leaf or the old size.
        asked: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The proof has too few or too many hashes, or its bytes are no whole hashes.
    #[error("the proof has the wrong length")]
    Length,
    /// The proof does not lead to the old root: the log was changed, or the proof is another's.
    #[error("the proof does not lead to the old root")]
    OldRoot,
    /// The proof does not lead to the root: the log was changed, or the proof is another's.
    #[error("the proof does not lead to the root")]
    Root,
}

/// Checks that the leaf with this hash is leaf `index` of the tree (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`ProofError`].
pub fn verify_inclusion(
    leaf: Digest,
    index: u64,
    size: u64,
    root: Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { asked: index, size });
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(*sibling, hash);
            (at, last) = skip(at, last);
        } else {
            hash = node_hash(hash, *sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, hash == root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// Checks that the old tree is the beginning of the new one (RFC 9162, section 2.1.4.2). The empty
/// tree is the beginning of every tree, and its root is [`EMPTY`].
///
/// # Errors
/// [`ProofError`].
pub fn verify_consistency(
    old_size: u64,
    old_root: Digest,
    new_size: u64,
    new_root: Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::OutOfRange { asked: old_size, size: new_size });
    }
    if old_size == 0 || old_size == new_size {
        return verify_trivial(old_size, old_root, new_size, new_root, proof);
    }
    let mut proof = proof.iter().copied();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { proof.next() };
    let first = first.ok_or(ProofError::Length)?;
    let common = (old_size - 1).trailing_ones();
    let (mut at, mut last) = ((old_size - 1) >> common, (new_size - 1) >> common);
    let (mut old, mut new) = (first, first);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            (old, new) = (node_hash(sibling, old), node_hash(sibling, new));
            (at, last) = skip(at, last);
        } else {
            new = node_hash(new, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, old == old_root, new == new_root) {
        (0, true, true) => Ok(()),
        (0, false, _) => Err(ProofError::OldRoot),
        (0, true, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// From nothing, or to itself: there is nothing to prove but the roots.
fn verify_trivial(
    old_size: u64,
    old_root: Digest,
    new_size: u64,
    new_root: Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    if !proof.is_empty() {
        return Err(ProofError::Length);
    }
    if old_size == 0 && old_root != EMPTY {
        return Err(ProofError::OldRoot);
    }
    if old_size == new_size && old_root != new_root { Err(ProofError::Root) } else { Ok(()) }
}

/// A node without a right sibling is its own parent: on up to the level where it is a right child.
fn skip(at: u64, last: u64) -> (u64, u64) {
    let levels = if at == 0 { 0 } else { at.trailing_zeros() };
    (at >> levels, last >> levels)
}

/// A proof as bytes: its hashes, one after another.
pub fn to_bytes(proof: &[Digest]) -> Vec<u8> {
    proof.iter().flat_map(|hash| hash.0).collect()
}

/// Reads a proof from bytes. At most 64 hashes: no tree of 64-bit sizes needs more.
///
/// # Errors
/// [`ProofError::Length`].
pub fn from_bytes(bytes: &[u8]) -> Result<Vec<Digest>, ProofError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() > 64 {
        return Err(ProofError::Length);
    }
    Ok(hashes.iter().copied().map(Digest).collect())
}

#[cfg(test)]
mod tests;
