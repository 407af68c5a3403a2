//! The implementations of others agree: ct-merkle on the tree, Cloudflare's on notes and tiles.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use imprimatur_log::proof::{to_bytes, verify_consistency, verify_inclusion};
use imprimatur_log::{Checkpoint, NoteError, Origin, tree};
use proptest::prelude::*;
use signed_note::{Note, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{Hash, Tile, TileHashReader};

use crate::support::{checkpoint, entry_of, key, log_of, publish};

#[test]
fn ct_merkle_computes_the_same_roots_and_proofs() {
    let mut theirs: MemoryBackedTree<sha2::Sha256, Vec<u8>> = MemoryBackedTree::new();
    let ours = log_of(90);
    for size in 1..=90_u64 {
        theirs.push(entry_of(size - 1));
        let root = theirs.root();
        assert_eq!(root.as_bytes().as_slice(), tree::root(size, &ours).unwrap().0);
        for index in 0..size {
            let their_proof = theirs.prove_inclusion(usize::try_from(index).unwrap());
            let our_proof = tree::inclusion(index, size, &ours).unwrap();
            assert_eq!(their_proof.as_bytes(), to_bytes(&our_proof));
            root.verify_inclusion(&entry_of(index), index, &their_proof).unwrap();
        }
        for old in 1..size {
            let added = usize::try_from(size - old).unwrap();
            let our_proof = tree::consistency(old, size, &ours).unwrap();
            assert_eq!(theirs.prove_consistency(added).as_bytes(), to_bytes(&our_proof));
        }
    }
}

proptest! {
    /// Both verifiers give the same verdict on sizes and indices that may be wrong.
    #[test]
    fn ct_merkle_gives_the_same_verdicts(
        size in 1_u64..40, a in 0_u64..40, claimed_index in 0_u64..40, claimed_size in 1_u64..40
    ) {
        let log = log_of(40);
        let index = a % size;
        let proof = tree::inclusion(index, size, &log).unwrap();
        let root = tree::root(size, &log).unwrap();
        let leaf = tree::leaf_hash(&entry_of(index));
        let ours = verify_inclusion(leaf, claimed_index, claimed_size, root, &proof);
        let theirs = ct_merkle::RootHash::<sha2::Sha256>::new(root.0.into(), claimed_size);
        let bytes = ct_merkle::InclusionProof::try_from_bytes(to_bytes(&proof)).unwrap();
        let verdict = theirs.verify_inclusion(&entry_of(index), claimed_index, &bytes);
        prop_assert_eq!(ours.is_ok(), verdict.is_ok());

        let old = index + 1;
        let proof = tree::consistency(old, size, &log).unwrap();
        let old_root = tree::root(old, &log).unwrap();
        let claimed_old = claimed_index + 1;
        let ours = verify_consistency(claimed_old, old_root, claimed_size, root, &proof);
        let bytes = ct_merkle::ConsistencyProof::try_from_bytes(to_bytes(&proof)).unwrap();
        let old_root = ct_merkle::RootHash::new(old_root.0.into(), claimed_old);
        prop_assert_eq!(ours.is_ok(), theirs.verify_consistency(&old_root, &bytes).is_ok());
    }
}

fn verifiers(public_key: [u8; 32]) -> VerifierList {
    let name = Origin::of(&public_key).to_string();
    let bytes = [&[1], &public_key[..]].concat();
    let id = signed_note::key_id(&name, &bytes);
    let verifier = format!("{name}+{id:08x}+{}", STANDARD.encode(bytes));
    VerifierList::new(vec![Box::new(StandardVerifier::new(&verifier).unwrap())])
}

#[test]
fn signed_note_verifies_our_checkpoint_and_refuses_a_changed_one() {
    let text = checkpoint(&log_of(12), 12).sign(&key());
    let note = Note::from_bytes(text.as_bytes()).unwrap();
    let (signed, unknown) = note.verify(&verifiers(key().public())).unwrap();
    assert_eq!((signed.len(), unknown.len()), (1, 0));
    let changed = Note::from_bytes(text.replacen("\n12\n", "\n13\n", 1).as_bytes()).unwrap();
    assert!(changed.verify(&verifiers(key().public())).is_err());
}

#[test]
fn a_checkpoint_signed_by_signed_note_opens() {
    let name = Origin::of(&key().public()).to_string();
    let id = signed_note::key_id(&name, &[&[1], &key().public()[..]].concat());
    let secret = STANDARD.encode([&[1][..], &[7; 32]].concat());
    let signer = StandardSigner::new(&format!("PRIVATE+KEY+{name}+{id:08x}+{secret}")).unwrap();
    let expected = checkpoint(&log_of(12), 12);
    let body = format!("{name}\n12\n{}\n", STANDARD.encode(expected.root.0));
    let mut note = Note::new(body.as_bytes(), &[]).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    let text = String::from_utf8(note.to_bytes()).unwrap();
    assert_eq!(text, expected.sign(&key()));
    assert_eq!(Checkpoint::open(&text, &key().public()), Ok(expected));
    let changed = text.replacen("\n12\n", "\n13\n", 1);
    assert_eq!(Checkpoint::open(&changed, &key().public()), Err(NoteError::BadSignature));
}

/// Cloudflare's reader over our files.
struct Files(PathBuf);

impl tlog_tiles::TileReader for Files {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let paths = tiles.iter().map(|tile| tile.path().replacen("tile/8/", "tile/", 1));
        paths
            .map(|path| {
                fs::read(self.0.join(path)).map_err(|_unread| tlog_tiles::Error::InvalidTile)
            })
            .collect()
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

#[test]
fn tlog_tiles_proves_every_entry_from_our_files_and_finds_a_changed_one() {
    let folder = tempfile::tempdir().unwrap();
    let size = 70_000;
    let log = log_of(size);
    publish(folder.path(), &log, size);
    let root = Hash(checkpoint(&log, size).root.0);
    let files = Files(folder.path().to_owned());
    let reader = TileHashReader::new(size, root, &files);
    for index in (0..size).step_by(4_999) {
        let proof = tlog_tiles::prove_record(size, index, &reader).unwrap();
        let ours: Vec<Hash> =
            tree::inclusion(index, size, &log).unwrap().iter().map(|hash| Hash(hash.0)).collect();
        assert_eq!(proof, ours);
        let leaf = tlog_tiles::record_hash(&entry_of(index));
        tlog_tiles::check_record(&proof, size, root, index, leaf).unwrap();
    }
    let path = folder.path().join("tile/0/000");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    let leaf = tlog_tiles::record_hash(&entry_of(0));
    let verdict = tlog_tiles::prove_record(size, 0, &reader)
        .and_then(|proof| tlog_tiles::check_record(&proof, size, root, 0, leaf));
    assert!(verdict.is_err());
}
