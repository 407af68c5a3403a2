//! A crash at any write leaves a readable older log, and the next publication completes it.

use std::fs;
use std::path::Path;

use imprimatur_log::tiles::PublishError;
use imprimatur_log::{
    AuditError, Entries, MemoryLog, TileError, TileReader, TileWriter, audit, tree,
};

use crate::support::{checkpoint, copy, entry_of, files, key, log_of, publish};

#[track_caller]
fn holds(folder: &Path, log: &MemoryLog, size: u64) {
    let audited = audit(folder, &key().public(), Some(&checkpoint(log, size))).unwrap();
    assert_eq!((audited.checkpoint, audited.entries), (checkpoint(log, size), size));
    let reader = TileReader::open(folder, &key().public()).unwrap();
    assert_eq!(tree::root(size, &reader).unwrap(), tree::root(size, log).unwrap());
    for index in (0..size).step_by(7) {
        assert_eq!(reader.entry(index).unwrap(), log.entry(index).unwrap());
        assert_eq!(
            tree::inclusion(index, size, &reader).unwrap(),
            tree::inclusion(index, size, log).unwrap()
        );
    }
    assert!(reader.entry(size).unwrap().is_none());
}

#[test]
fn a_log_grows_from_checkpoint_to_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(66_000);
    for size in [0, 0, 1, 2, 255, 256, 257, 511, 600, 65_535, 65_536, 66_000] {
        publish(folder.path(), &log, size);
        let reader = TileReader::open(folder.path(), &key().public()).unwrap();
        assert_eq!(reader.checkpoint(), &checkpoint(&log, size));
        assert!(
            (0..).zip(reader.entries()).all(|(index, entry)| entry.unwrap() == entry_of(index))
        );
        if size < 1000 {
            holds(folder.path(), &log, size);
        }
    }
    let audited = audit(folder.path(), &key().public(), Some(&checkpoint(&log, 600))).unwrap();
    assert_eq!(audited.entries, 66_000);
    let partial = files(folder.path())
        .into_iter()
        .filter(|file| file.parent().and_then(Path::extension).is_some_and(|ending| ending == "p"));
    let partial: Vec<String> = partial.map(|file| file.to_str().unwrap().to_owned()).collect();
    let expected =
        ["tile/0/257.p/208", "tile/1/001.p/1", "tile/2/000.p/1", "tile/entries/257.p/208"];
    assert_eq!(partial, expected, "only of tiles that are not full yet");
}

#[test]
fn a_write_that_fails_leaves_the_older_log() {
    let log = log_of(600);
    for (old, new) in [(1, 2), (100, 300), (255, 256), (256, 600)] {
        let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        publish(before.path(), &log, old);
        copy(before.path(), after.path());
        publish(after.path(), &log, new);
        let written: Vec<_> = files(after.path())
            .into_iter()
            .filter(|file| {
                fs::read(after.path().join(file)).ok() != fs::read(before.path().join(file)).ok()
            })
            .collect();
        assert!(written.len() >= 3, "{written:?}");
        for file in written {
            let folder = tempfile::tempdir().unwrap();
            copy(before.path(), folder.path());
            // A folder where the file's temporary form would be: it cannot be written.
            let obstacle = folder.path().join(&file).with_extension("tmp");
            fs::create_dir_all(&obstacle).unwrap();
            let mut writer = TileWriter::open(folder.path(), &key().public()).unwrap();
            let note = checkpoint(&log, new).sign(&key());
            let failure = writer.publish(&note, &log).unwrap_err();
            assert!(matches!(failure, PublishError::File(TileError::Io { .. })), "{failure:?}");
            assert_eq!(writer.published(), Some(&checkpoint(&log, old)));
            holds(folder.path(), &log, old);
            fs::remove_dir(&obstacle).unwrap();
            // A torn temporary file of the crash is in nobody's way.
            fs::write(&obstacle, [0; 5]).unwrap();
            holds(folder.path(), &log, old);
            writer.publish(&note, &log).unwrap();
            holds(folder.path(), &log, new);
        }
    }
}

#[test]
fn a_reader_of_an_older_checkpoint_reads_on_while_the_log_grows() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(600);
    publish(folder.path(), &log, 100);
    let reader = TileReader::open(folder.path(), &key().public()).unwrap();
    publish(folder.path(), &log, 600);
    assert_eq!(tree::root(100, &reader).unwrap(), tree::root(100, &log).unwrap());
    assert_eq!(reader.entries().count(), 100);
    assert!(reader.entries().all(|entry| entry.is_ok()));
}

#[test]
fn what_readers_would_refuse_is_not_published() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(20);
    publish(folder.path(), &log, 10);
    let mut writer = TileWriter::open(folder.path(), &key().public()).unwrap();
    let mut publish = |checkpoint: imprimatur_log::Checkpoint, log: &MemoryLog| {
        writer.publish(&checkpoint.sign(&key()), log).unwrap_err()
    };
    let smaller = publish(checkpoint(&log, 9), &log);
    assert!(matches!(smaller, PublishError::Backwards { published: 10, offered: 9 }));
    let wrong_root = imprimatur_log::Checkpoint { size: 12, ..checkpoint(&log, 11) };
    assert!(matches!(publish(wrong_root, &log), PublishError::Root { size: 12 }));
    let mut other = log_of(4);
    (5..20).for_each(|index| other.push(entry_of(index)));
    let fork = publish(checkpoint(&other, 15), &other);
    assert!(matches!(fork, PublishError::Fork { size: 10 }));
    let mut unusable = log_of(10);
    unusable.push(vec![9; 64]);
    let failure = publish(checkpoint(&unusable, 11), &unusable);
    assert!(matches!(failure, PublishError::Unusable { index: 10, .. }));
    let note = checkpoint(&log, 11).sign(&imprimatur_log::LogKey::from_seed(&[8; 32]));
    assert!(matches!(writer.publish(&note, &log), Err(PublishError::Note(_))));
    holds(folder.path(), &log, 10);
}

#[test]
fn a_folder_of_another_log_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), &log_of(3), 3);
    let other = imprimatur_log::LogKey::from_seed(&[8; 32]).public();
    assert!(matches!(TileWriter::open(folder.path(), &other), Err(TileError::Note { .. })));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(audit(empty.path(), &other, None), Err(AuditError::Read(_))));
}
