//! A collector in one thread: from the same seed and the same script come the same bytes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use std::collections::BTreeMap;
use std::path::Path;

use imprimatur_consent::Digest;
use imprimatur_proto::consent::v1::Decision;
use imprimatur_proto::ingest::v1::{Outcome, RefusalReason};
use imprimatur_runtime::entropy::seed_this_thread;

use crate::rig::{GRANTED, Rig, Stopped, batch, decision, print, sealed, signed};

/// SHA-256 of every file below a folder.
fn hashes(folder: &Path, found: &mut BTreeMap<String, Digest>, prefix: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            hashes(&entry.path(), found, &name);
        } else {
            found.insert(name, Digest::of(&std::fs::read(entry.path()).unwrap()));
        }
    }
}

/// Door, writer and publisher as tasks of this thread.
async fn run(seed: u64) -> BTreeMap<String, Digest> {
    seed_this_thread(Some(seed));
    let Stopped { mut rig, writer, queue } = Rig::stopped().await;
    let frame = |number| sealed(&batch(number, vec![print()]));
    let script = async {
        let frames = [frame(1), frame(2), frame(3)];
        let verdicts =
            futures::future::join_all(frames.iter().map(|frame| rig.submit(frame))).await;
        assert!(verdicts.iter().all(|verdict| verdict.outcome() == Outcome::Stored));
        rig.tell(&signed(&decision(2, Decision::Withdrawn, &GRANTED))).await;
        assert_eq!(rig.submit(&frame(4)).await.reason(), RefusalReason::NoGrant);
        assert_eq!(rig.publish(), 3);
    };
    tokio::select! {
        biased;
        ended = writer.work(queue) => ended.unwrap(),
        () = script => {}
    }
    let mut found = BTreeMap::new();
    for name in ["evidence", "log", "lake", "keys"] {
        hashes(&rig.data().join(name), &mut found, name);
    }
    found
}

#[tokio::test]
async fn a_run_from_the_same_seed_is_the_same_and_from_another_is_not() {
    let first = run(7).await;
    assert!(first.len() > 8);
    assert_eq!(run(7).await, first);
    let other = run(8).await;
    assert_ne!(other["keys/keyring"], first["keys/keyring"]);
    seed_this_thread(None);
}
