//! Each forgery that a log must reveal, planted; each beside the log that passes.

use std::fs;
use std::path::{Path, PathBuf};

use imprimatur_consent::Digest;
use imprimatur_log::{
    AuditError, Checkpoint, Entries, Entry, LogKey, MemoryLog, NoteError, Origin, TileError,
    TileWriter, audit, audit_each, entry, tree,
};

use crate::support::{checkpoint, entry_of, files, key, log_of, publish};

const SIZE: u64 = 600;

fn published() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), &log_of(300), 300);
    publish(folder.path(), &log_of(SIZE), SIZE);
    audit(folder.path(), &key().public(), Some(&checkpoint(&log_of(300), 300))).unwrap();
    folder
}

#[track_caller]
fn finds(folder: &Path, anchor: Option<&Checkpoint>) -> AuditError {
    audit(folder, &key().public(), anchor).unwrap_err()
}

/// A log like the honest one but for one entry.
fn altered(at: u64, entry: &[u8]) -> MemoryLog {
    let mut log = MemoryLog::new();
    for index in 0..SIZE {
        log.push(if index == at { entry.to_vec() } else { entry_of(index) });
    }
    log
}

#[test]
fn every_changed_byte_of_every_file_is_found() {
    let honest = published();
    for file in files(honest.path()) {
        let path = honest.path().join(&file);
        let bytes = fs::read(&path).unwrap();
        let step = (bytes.len() / 9).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            fs::write(&path, &changed).unwrap();
            finds(honest.path(), None);
        }
        for changed in [&bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat(), &[]] {
            fs::write(&path, changed).unwrap();
            finds(honest.path(), None);
        }
        fs::write(&path, &bytes).unwrap();
    }
    audit(honest.path(), &key().public(), None).unwrap();
}

#[test]
fn every_missing_file_is_found() {
    let honest = published();
    // A tile's older form may be missing once there is a newer one.
    let needed = |file: &PathBuf| file != Path::new("tile/1/000.p/1");
    for file in files(honest.path()).into_iter().filter(needed) {
        let path = honest.path().join(&file);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let found = finds(honest.path(), None);
        assert!(matches!(found, AuditError::Read(TileError::Io { .. })), "{found:?}");
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_changed_entry_is_named() {
    let folder = published();
    let path = folder.path().join("tile/entries/001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[2 + 10] ^= 1;
    fs::write(&path, bytes).unwrap();
    let found = finds(folder.path(), None);
    assert!(matches!(&found, AuditError::ChangedEntry { index: 256, path: file } if *file == path));
}

#[test]
fn a_changed_tile_is_named() {
    for tile in ["tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2"] {
        let folder = published();
        let path = folder.path().join(tile);
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        let found = finds(folder.path(), None);
        assert!(matches!(&found, AuditError::ChangedTile { path: file } if *file == path));
    }
}

/// Publishes another history; the honest note, which is of no such tree, is put in its place.
fn with_honest_note(other: &MemoryLog, size: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), other, size);
    fs::write(folder.path().join("checkpoint"), checkpoint(&log_of(size), size).sign(&key()))
        .unwrap();
    folder
}

#[test]
fn entries_and_tiles_changed_together_do_not_have_the_signed_root() {
    let folder = with_honest_note(&altered(17, &entry_of(9_999)), SIZE);
    assert!(matches!(finds(folder.path(), None), AuditError::Root { size: SIZE }));
}

#[test]
fn a_rewritten_and_signed_log_is_found_by_an_anchor_only() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), &altered(17, &entry_of(9_999)), SIZE);
    audit(folder.path(), &key().public(), None).unwrap();
    for size in [18, 300, SIZE] {
        let found = finds(folder.path(), Some(&checkpoint(&log_of(SIZE), size)));
        assert!(matches!(found, AuditError::Fork { size: at } if at == size));
    }
    let before = checkpoint(&log_of(SIZE), 17);
    audit(folder.path(), &key().public(), Some(&before)).unwrap();
}

#[test]
fn a_cut_tail_is_found_and_so_is_an_emptied_log() {
    let anchor = checkpoint(&log_of(SIZE), SIZE);
    for size in [599, 256, 0] {
        let folder = tempfile::tempdir().unwrap();
        publish(folder.path(), &log_of(SIZE), size);
        assert_eq!(audit(folder.path(), &key().public(), None).unwrap().entries, size);
        let found = finds(folder.path(), Some(&anchor));
        assert!(matches!(found, AuditError::CutTail { anchored: SIZE, found } if found == size));
    }
}

#[test]
fn the_hashes_of_a_node_are_no_entry() {
    // Without the prefixes, a log of one leaf with these 64 bytes would have the root of two.
    let honest = log_of(2);
    let leaves = [0, 1].map(|index| tree::leaf_hash(&honest.entry(index).unwrap().unwrap()).0);
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), &log_of(1), 1);
    let forged = Checkpoint { size: 1, ..checkpoint(&honest, 2) };
    fs::write(folder.path().join("checkpoint"), forged.sign(&key())).unwrap();
    let bundle = [&[0, 64][..], leaves.as_flattened()].concat();
    fs::write(folder.path().join("tile/entries/000.p/1"), bundle).unwrap();
    fs::write(folder.path().join("tile/0/000.p/1"), forged.root.0).unwrap();
    let found = finds(folder.path(), None);
    assert!(matches!(found, AuditError::Unusable { index: 0, .. }), "{found:?}");
    let node = entry::public(leaves.as_flattened()).unwrap();
    assert_ne!(tree::leaf_hash(&node), forged.root, "nor in any other dress");
}

#[test]
fn a_commitment_that_stands_twice_is_found() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), &altered(500, &entry_of(4)), SIZE);
    let found = finds(folder.path(), None);
    assert!(matches!(found, AuditError::Repeated { first: 4, second: 500 }));
    // A public event may be told twice.
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), &altered(500, &entry_of(3)), SIZE);
    audit(folder.path(), &key().public(), None).unwrap();
}

#[test]
fn another_signer_is_found() {
    let folder = published();
    let other = LogKey::from_seed(&[8; 32]);
    let honest = checkpoint(&log_of(SIZE), SIZE);
    let theirs = Checkpoint { origin: Origin::of(&other.public()), ..honest.clone() };
    for (note, expected) in
        [(honest.sign(&other), NoteError::NotSigned), (theirs.sign(&other), NoteError::Foreign)]
    {
        fs::write(folder.path().join("checkpoint"), note).unwrap();
        let found = finds(folder.path(), None);
        let AuditError::Read(TileError::Note { source, .. }) = found else { panic!("{found:?}") };
        assert_eq!(source, expected);
    }
    fs::write(folder.path().join("checkpoint"), honest.sign(&key())).unwrap();
    let found = finds(folder.path(), Some(&theirs));
    assert!(matches!(found, AuditError::ForeignAnchor));
}

#[test]
fn an_empty_log_cannot_be_signed_with_another_root() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::of(&key().public());
    let note = Checkpoint { origin, size: 0, root: Digest([1; 32]) }.sign(&key());
    let mut writer = TileWriter::open(folder.path(), &key().public()).unwrap();
    writer.publish(&note, &log_of(0)).unwrap_err();
    fs::write(folder.path().join("checkpoint"), note).unwrap();
    assert!(matches!(finds(folder.path(), None), AuditError::Root { size: 0 }));
}

#[test]
fn an_audit_shows_every_entry_in_order() {
    let folder = published();
    let mut shown = 0;
    audit_each(folder.path(), &key().public(), None, |index, entry| {
        assert_eq!(index, shown);
        assert_eq!(Entry::read(&entry_of(index)), Ok(entry));
        shown += 1;
    })
    .unwrap();
    assert_eq!(shown, SIZE);
}
