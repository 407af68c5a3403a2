//! One checkpoint and one proof, checked by a script that shares no code with us.

use std::fs;
use std::path::Path;
use std::process::Command;

use imprimatur_log::tree::Entries as _;
use imprimatur_log::{TileReader, proof, tree};

use crate::support::{key, log_of, publish};

const INDEX: u64 = 300;

/// Writes what the script reads, from the log's files.
fn prepare(folder: &Path) {
    publish(folder, &log_of(600), 600);
    let log = TileReader::open(folder, &key().public()).unwrap();
    let proof = tree::inclusion(INDEX, 600, &log).unwrap();
    fs::write(folder.join("proof"), proof::to_bytes(&proof)).unwrap();
    fs::write(folder.join("entry"), log.entry(INDEX).unwrap().unwrap()).unwrap();
}

/// Runs the script; its last line if it refuses.
fn check(folder: &Path, public_key: [u8; 32], index: u64) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check.py");
    let hex = hex::encode(public_key);
    let output = Command::new("python3")
        .arg(script)
        .arg(hex)
        .args([folder.join("checkpoint"), folder.join("entry")])
        .arg(index.to_string())
        .arg(folder.join("proof"))
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(errors.lines().last().unwrap_or_default().to_owned())
    }
}

#[track_caller]
fn refuses(folder: &Path, public_key: [u8; 32], index: u64, expected: &str) {
    let refusal = check(folder, public_key, index).unwrap_err();
    assert!(refusal.contains(expected), "{refusal}");
}

#[test]
fn an_independent_script_confirms_a_checkpoint_and_a_proof() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    check(folder.path(), key().public(), INDEX).unwrap();
}

#[test]
fn the_script_refuses_what_was_tampered_with() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let public = key().public();
    refuses(folder.path(), public, INDEX + 1, "not in the log");
    refuses(folder.path(), public, 600, "no such leaf");
    let other = imprimatur_log::LogKey::from_seed(&[8; 32]).public();
    refuses(folder.path(), other, INDEX, "another log");
    let alter = |file: &str, change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let path = folder.path().join(file);
        let honest = fs::read(&path).unwrap();
        let mut changed = honest.clone();
        change(&mut changed);
        fs::write(&path, changed).unwrap();
        refuses(folder.path(), public, INDEX, expected);
        fs::write(&path, honest).unwrap();
    };
    alter("entry", &|bytes| bytes[5] ^= 1, "not in the log");
    alter("proof", &|bytes| bytes[70] ^= 1, "not in the log");
    alter("proof", &|bytes| bytes.truncate(bytes.len() - 32), "too short");
    alter("proof", &|bytes| bytes.extend([0; 32]), "too long");
    let size = "imprimatur/0123456789abcdef\n".len();
    alter("checkpoint", &|bytes| bytes[size] = b'7', "false signature");
    alter("checkpoint", &|bytes| bytes[size + 10] ^= 1, "false signature");
    check(folder.path(), public, INDEX).unwrap();
}
