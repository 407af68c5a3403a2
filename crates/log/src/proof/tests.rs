//! Every proof holds for what it proves, and for nothing that differs in one bit.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::tree::{Nodes as _, consistency, inclusion, root};
use crate::{MemoryLog, tree};

static LOG: LazyLock<MemoryLog> = LazyLock::new(|| {
    let mut log = MemoryLog::new();
    (0..5000_u64).for_each(|index| log.push(index.to_be_bytes().to_vec()));
    log
});

static SMALL_ROOTS: LazyLock<Vec<Digest>> =
    LazyLock::new(|| (0..100).map(|size| root(size, &*LOG).unwrap()).collect());

fn root_of(size: u64) -> Digest {
    let small = usize::try_from(size).ok().and_then(|size| SMALL_ROOTS.get(size));
    small.copied().unwrap_or_else(|| root(size, &*LOG).unwrap())
}

fn leaf(index: u64) -> Digest {
    LOG.node(0, index).unwrap().unwrap()
}

/// All hashes that differ from this one in one bit.
fn one_bit_off(hash: Digest) -> impl Iterator<Item = Digest> {
    (0..256).map(move |bit| {
        let mut other = hash;
        other.0[bit / 8] ^= 1 << (bit % 8);
        other
    })
}

/// All proofs that differ from this one in one bit, and those that are shorter or longer.
fn altered(proof: &[Digest]) -> Vec<Vec<Digest>> {
    let mut all = vec![[proof, &[EMPTY]].concat(), [&[EMPTY], proof].concat()];
    all.extend(proof.split_last().map(|(_, rest)| rest.to_vec()));
    all.extend(proof.split_first().map(|(_, rest)| rest.to_vec()));
    for place in 0..proof.len() {
        for hash in one_bit_off(proof[place]) {
            let mut other = proof.to_vec();
            other[place] = hash;
            all.push(other);
        }
    }
    all
}

#[test]
fn a_leaf_is_proven_and_nothing_else() {
    for size in 1..=17 {
        for index in 0..size {
            let proof = inclusion(index, size, &*LOG).unwrap();
            let check = |leaf, index, size, root, proof: &[Digest]| {
                verify_inclusion(leaf, index, size, root, proof)
            };
            let (hash, root) = (leaf(index), root_of(size));
            assert_eq!(check(hash, index, size, root, &proof), Ok(()));
            assert!(one_bit_off(hash).all(|hash| check(hash, index, size, root, &proof).is_err()));
            assert!(one_bit_off(root).all(|root| check(hash, index, size, root, &proof).is_err()));
            for proof in altered(&proof) {
                assert!(check(hash, index, size, root, &proof).is_err());
            }
            for other in (0..40).filter(|other| *other != index) {
                assert!(check(hash, other, size, root, &proof).is_err(), "{index} {size} {other}");
            }
            for other in (0..40).filter(|other| *other != size) {
                assert!(check(hash, index, other, root_of(other), &proof).is_err());
            }
        }
    }
}

#[test]
fn a_beginning_is_proven_for_all_pairs_of_small_trees() {
    for new in 0..=64 {
        for old in 0..=new {
            let proof = consistency(old, new, &*LOG).unwrap();
            let check = |old, old_root, new, new_root| {
                verify_consistency(old, old_root, new, new_root, &proof)
            };
            assert_eq!(check(old, root_of(old), new, root_of(new)), Ok(()), "{old} {new}");
            for other in (0..=70).filter(|other| *other != old) {
                assert!(check(old, root_of(other), new, root_of(new)).is_err());
            }
            for other in (0..=70).filter(|other| *other != new) {
                // Nothing is the beginning of everything.
                assert!(old == 0 || check(old, root_of(old), new, root_of(other)).is_err());
            }
            assert_eq!(
                check(new + 1, root_of(new + 1), new, root_of(new)),
                Err(ProofError::OutOfRange { asked: new + 1, size: new })
            );
        }
    }
}

#[test]
fn a_changed_proof_of_a_beginning_proves_nothing() {
    for (old, new) in [(0, 3), (1, 2), (1, 8), (3, 4), (4, 7), (6, 8), (7, 13), (11, 11)] {
        let (old_root, new_root) = (root_of(old), root_of(new));
        for proof in altered(&consistency(old, new, &*LOG).unwrap()) {
            assert!(verify_consistency(old, old_root, new, new_root, &proof).is_err());
        }
    }
    let rewritten = root_of(9);
    assert_eq!(
        verify_consistency(11, root_of(11), 11, rewritten, &[]),
        Err(ProofError::Root),
        "two roots of one size are a fork"
    );
    assert_eq!(verify_consistency(0, rewritten, 3, root_of(3), &[]), Err(ProofError::OldRoot));
}

#[test]
fn a_node_passes_for_no_entry() {
    let children = [leaf(0), leaf(1)].map(|hash| hash.0).concat();
    let proof = [tree::node_hash(leaf(2), leaf(3))];
    assert_eq!(
        verify_inclusion(tree::leaf_hash(&children), 0, 2, root_of(4), &proof),
        Err(ProofError::Root)
    );
}

#[test]
fn bytes_that_are_no_hashes_are_no_proof() {
    let proof = inclusion(3, 9, &*LOG).unwrap();
    assert_eq!(from_bytes(&to_bytes(&proof)), Ok(proof));
    assert_eq!(from_bytes(&[]), Ok(Vec::new()));
    assert_eq!(from_bytes(&[0; 33]), Err(ProofError::Length));
    assert_eq!(from_bytes(&[0; 32 * 65]), Err(ProofError::Length));
}

proptest! {
    #[test]
    fn larger_trees_obey_the_same_laws(new in 1_u64..5000, a: u64, b: u64, bit in 0_usize..256) {
        let (index, old) = (a % new, b % new);
        let path = inclusion(index, new, &*LOG).unwrap();
        prop_assert_eq!(verify_inclusion(leaf(index), index, new, root_of(new), &path), Ok(()));
        prop_assert!(verify_inclusion(leaf(old), index, new, root_of(new), &path).is_err() || old == index);
        let proof = consistency(old, new, &*LOG).unwrap();
        prop_assert_eq!(verify_consistency(old, root_of(old), new, root_of(new), &proof), Ok(()));
        for place in 0..proof.len() {
            let mut other = proof.clone();
            other[place].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_consistency(old, root_of(old), new, root_of(new), &other).is_err());
        }
    }

    #[test]
    fn no_proof_makes_the_verifier_panic(
        index: u64, size: u64, old: u64, hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..70)
    ) {
        let proof: Vec<Digest> = hashes.into_iter().map(Digest).collect();
        prop_assert!(verify_inclusion(EMPTY, index, size, leaf(0), &proof).is_err());
        prop_assert!(verify_consistency(old, leaf(1), size, leaf(0), &proof).is_err());
    }
}
