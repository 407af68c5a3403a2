//! The tree against the published vectors and against RFC 6962 written down naively.

use super::*;
use crate::MemoryLog;

/// The inputs of the Certificate Transparency project's test vectors.
const INPUTS: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
/// The roots of the first 1 to 8 of them.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn vectors() -> MemoryLog {
    let mut log = MemoryLog::new();
    for input in INPUTS {
        log.push(hex::decode(input).unwrap());
    }
    log
}

pub(crate) fn log_of(size: u64) -> MemoryLog {
    let mut log = MemoryLog::new();
    (0..size).for_each(|index| log.push(index.to_be_bytes().to_vec()));
    log
}

#[track_caller]
fn check(found: &[Digest], expected: &[&str]) {
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    let log = vectors();
    assert_eq!(EMPTY, Digest::of(b""));
    assert_eq!(root(0, &log), Ok(EMPTY));
    for (size, expected) in (1..).zip(ROOTS) {
        check(&[root(size, &log).unwrap()], &[expected]);
    }
}

#[test]
fn proofs_are_those_of_certificate_transparency() {
    const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
    const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
    const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
    const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    const F: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    let log = vectors();
    check(&inclusion(0, 1, &log).unwrap(), &[]);
    check(&inclusion(0, 8, &log).unwrap(), &[A, B, C]);
    check(&inclusion(5, 8, &log).unwrap(), &[D, E, ROOTS[3]]);
    check(&inclusion(2, 3, &log).unwrap(), &[ROOTS[1]]);
    check(&inclusion(1, 5, &log).unwrap(), &[ROOTS[0], B, D]);
    check(&consistency(1, 1, &log).unwrap(), &[]);
    check(&consistency(1, 8, &log).unwrap(), &[A, B, C]);
    check(&consistency(6, 8, &log).unwrap(), &[F, E, ROOTS[3]]);
    check(&consistency(2, 5, &log).unwrap(), &[B, D]);
}

/// MTH of RFC 6962, section 2.1.
fn naive_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => EMPTY,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(naive_split(leaves.len()));
            node_hash(naive_root(left), naive_root(right))
        }
    }
}

/// PATH of RFC 6962, section 2.1.1.
fn naive_path(m: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = naive_split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, other) = if m < k {
        (naive_path(m, left), naive_root(right))
    } else {
        (naive_path(m - k, right), naive_root(left))
    };
    path.push(other);
    path
}

/// SUBPROOF of RFC 6962, section 2.1.2.
fn naive_subproof(m: usize, leaves: &[Digest], known: bool) -> Vec<Digest> {
    if m == leaves.len() {
        return if known { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let k = naive_split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, other) = if m <= k {
        (naive_subproof(m, left, known), naive_root(right))
    } else {
        (naive_subproof(m - k, right, false), naive_root(left))
    };
    proof.push(other);
    proof
}

fn naive_split(count: usize) -> usize {
    (0..32).map(|power| 1 << power).rfind(|k| *k < count).unwrap()
}

#[test]
fn every_root_and_proof_is_the_one_that_the_rfc_defines() {
    let log = log_of(70);
    let leaves: Vec<Digest> = (0..70).map(|i| log.node(0, i).unwrap().unwrap()).collect();
    let mut frontier = Frontier::default();
    for new in 0..=70_usize {
        let (size, leaves) = (u64::try_from(new).unwrap(), &leaves[..new]);
        assert_eq!(root(size, &log).unwrap(), naive_root(leaves));
        assert_eq!((frontier.size(), frontier.root()), (size, naive_root(leaves)));
        for m in 0..new {
            let at = u64::try_from(m).unwrap();
            assert_eq!(inclusion(at, size, &log).unwrap(), naive_path(m, leaves));
            if m > 0 {
                assert_eq!(consistency(at, size, &log).unwrap(), naive_subproof(m, leaves, true));
            }
        }
        frontier.push(log_of(size + 1).node(0, size).unwrap().unwrap());
    }
}

#[test]
fn appending_completes_exactly_the_nodes_of_the_larger_tree() {
    for size in 0..300 {
        let (before, after) = (log_of(size), log_of(size + 1));
        let leaf = after.node(0, size).unwrap().unwrap();
        let completed = append(size, leaf, &before).unwrap();
        for (level, index, hash) in &completed {
            assert_eq!(after.node(*level, *index), Ok(Some(*hash)));
            assert_eq!(before.node(*level, *index), Ok(None));
        }
        assert_eq!(completed.len(), usize::try_from(size.trailing_ones() + 1).unwrap());
    }
}

#[test]
fn what_cannot_be_computed_is_refused_by_name() {
    let log = log_of(5);
    assert_eq!(inclusion(5, 5, &log), Err(TreeError::OutOfRange { asked: 5, size: 5 }));
    assert_eq!(inclusion(0, 0, &log), Err(TreeError::OutOfRange { asked: 0, size: 0 }));
    assert_eq!(consistency(6, 5, &log), Err(TreeError::OutOfRange { asked: 6, size: 5 }));
    assert_eq!(root(6, &log), Err(TreeError::Missing { level: 1, index: 2 }));
    assert_eq!(root(u64::MAX, &log), Err(TreeError::Missing { level: 63, index: 0 }));
    assert_eq!(append(7, EMPTY, &log), Err(TreeError::Missing { level: 0, index: 6 }));
}

#[test]
fn a_node_is_no_leaf() {
    let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
    assert_ne!(leaf_hash(&[left.0, right.0].concat()), node_hash(left, right));
}
