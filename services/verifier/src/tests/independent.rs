//! The log and one receipt's proof, checked by a script that shares no code with us.

use std::fs;
use std::path::Path;
use std::process::Command;

use imprimatur_log::entry;

use super::collector::TODAY;
use super::collector::{Collector, said};
use imprimatur_consent::Category;
use imprimatur_proto::consent::v1::Decision;

/// Runs the script; its last line if it refuses.
fn check(folder: &Path, key: &[u8; 32], checkpoint: &Path, leaf: u64) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/log/tests/check.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(hex::encode(key))
        .args([checkpoint, &folder.join("entry")])
        .arg(leaf.to_string())
        .arg(folder.join("proof"))
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let last = errors.lines().last().unwrap_or_default().to_owned();
    if output.status.success() { Ok(()) } else { Err(last) }
}

#[test]
fn a_receipt_and_the_published_log_are_confirmed_by_an_independent_script() {
    let (data, receipt) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let collector = Collector::open(data.path());
    for seed in 2..9 {
        collector.grant(seed, 1);
    }
    // What an agent has: its own event, and from the receipt nonce, leaf, proof and checkpoint.
    let what = said(1, (1, TODAY), Decision::Granted, &[Category::PrintTime]);
    let txn = collector.book.begin().unwrap();
    let subject = super::collector::key(1).subject();
    let logged = txn.record(subject, &what, TODAY.start()).unwrap().unwrap();
    let proof = txn.proof(logged.leaf, 0).unwrap();
    txn.commit().unwrap();
    let (key, folder) = (collector.book.log_public_key(), receipt.path());
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let entry = entry::blinded(&logged.nonce.0, &what.payload());
    write("entry", &entry);
    write("proof", &proof.inclusion);
    write("checkpoint", proof.checkpoint.as_bytes());
    let note = folder.join("checkpoint");
    check(folder, &key, &note, logged.leaf).unwrap();

    // The published log of the same collector, later and larger.
    collector.store(1, 1);
    collector.publish();
    let log = data.path().join("log");
    let published = imprimatur_log::TileReader::open(&log, &key).unwrap();
    let size = published.checkpoint().size;
    assert!(size > logged.leaf + 1);
    let path = imprimatur_log::tree::inclusion(logged.leaf, size, &published).unwrap();
    write("proof", &imprimatur_log::proof::to_bytes(&path));
    check(folder, &key, &log.join("checkpoint"), logged.leaf).unwrap();

    // Neither fits the other, and no byte may change.
    let refused = check(folder, &key, &note, logged.leaf).unwrap_err();
    assert!(refused.contains("the proof is too long") || refused.contains("not in the log"));
    write("proof", &proof.inclusion);
    check(folder, &key, &note, logged.leaf).unwrap();
    for (name, bytes) in [("entry", &entry), ("proof", &proof.inclusion)] {
        for at in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            write(name, &changed);
            let refused = check(folder, &key, &note, logged.leaf).unwrap_err();
            assert!(refused.contains("not in the log"), "{name} {at}: {refused}");
        }
        write(name, bytes);
    }
    let other = entry::blinded(&[0; 32], &what.payload());
    write("entry", &other);
    assert!(check(folder, &key, &note, logged.leaf).is_err(), "another nonce");
}
