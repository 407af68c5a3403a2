//! `compliance verify` with what lies elsewhere: a copy of the book, a kept checkpoint and those who cosigned it.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::{ports, wait};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::agent::Host;
use crate::program::{Answer, imprimatur, said};
use crate::rig::{BOOK_HELD, Rig, SOON};

/// Type of timestamped Ed25519 cosignatures (C2SP tlog-cosignature).
const COSIGNATURE: u8 = 4;

/// When the witness says that it signed, seconds since 1970.
const TIME: u64 = 1_795_000_000;

/// A server that runs in a folder.
async fn up(folder: &Path) -> Guarded {
    let address = || ports::loopback(ports::free().unwrap()).to_string();
    let mut command = imprimatur(&["up", "--mqtt", &address(), "--grpc", &address()]);
    command.args(["--http", "127.0.0.1:0", "--data"]).arg(folder.join("data"));
    let up = Guarded::spawn("up", command, folder).unwrap();
    said(&up, "imprimatur compliance verify", 1, SOON).await;
    up
}

async fn ends(mut up: Guarded) {
    up.signal(rustix::process::Signal::TERM).unwrap();
    assert_eq!(up.wait(SOON).await.unwrap().code(), Some(0), "{}", up.log_text());
}

/// A command about the data of a folder.
async fn says(folder: &Path, arguments: &[&str]) -> Answer {
    let mut command = imprimatur(arguments);
    command.arg("--data").arg(folder.join("data"));
    Answer::of(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_server_a_copy_of_the_book_proves_the_rest_and_the_brief_is_published() {
    let (rig, other) = (Rig::start("info").await, tempfile::tempdir().unwrap());
    let mut host = Host::of(&rig, "agent", "");
    host.run().await;
    host.grant(&["status"]).await;
    wait::until(SOON, "the yes in the evidence", async || {
        let answer = rig.ask(&["compliance", "verify"]).await;
        if answer.out.contains("read 1 events") { Ok(()) } else { Err(answer.out) }
    })
    .await
    .unwrap();
    let path = |name: &str| other.path().join(name).display().to_string();
    let brief = || -> Value {
        let text = fs::read_to_string(rig.data().join("lake/report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    rig.ask(&["compliance", "verify", "--publish"]).await.exits(BOOK_HELD);
    assert_eq!(brief()["verdict"], "not_all_checked");
    let (copy, book) = (path("copy"), path("copy/book.redb"));
    rig.ask(&["backup", "create", "--to", &copy]).await.exits(0);
    rig.ask(&["compliance", "verify", "--book", &book, "--publish"]).await.exits(0);
    assert_eq!(brief()["verdict"], "holds");
    // The controls: no book, and one beside the evidence of another collector, which has none of its events.
    let absent = path("absent.redb");
    rig.ask(&["compliance", "verify", "--book", &absent]).await.exits(BOOK_HELD);
    ends(up(other.path()).await).await;
    let says_other = says(other.path(), &["compliance", "verify", "--book", &book]).await;
    assert!(says_other.exits(1).out.contains("book"));
}

/// A witness, as another program than ours would be one.
struct Cosigner {
    name: &'static str,
    key: SigningKey,
}

impl Cosigner {
    fn new(name: &'static str, seed: u8) -> Self {
        Self { name, key: SigningKey::from_bytes(&[seed; 32]) }
    }

    fn id(&self) -> Vec<u8> {
        let public = self.key.verifying_key().to_bytes();
        let named = [self.name.as_bytes(), &[b'\n', COSIGNATURE], &public].concat();
        Sha256::digest(named)[..4].to_vec()
    }

    fn verifier_key(&self) -> String {
        let public = self.key.verifying_key().to_bytes();
        let key = STANDARD.encode([&[COSIGNATURE][..], &public].concat());
        format!("{}+{}+{key}", self.name, hex::encode(self.id()))
    }

    fn cosigns(&self, note: &str) -> String {
        let (body, _) = note.split_once("\n\n").unwrap();
        let signed = format!("cosignature/v1\ntime {TIME}\n{body}\n");
        let signature = self.key.sign(signed.as_bytes()).to_bytes();
        let line = [&self.id()[..], &TIME.to_be_bytes(), &signature].concat();
        format!("{note}\u{2014} {} {}\n", self.name, STANDARD.encode(line))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_checkpoint_bears_the_witness_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ends(up(folder).await).await;
    let told = says(folder, &["ledger", "checkpoint", "--json"]).await.exits(0).json();
    let note = told["note"].as_str().unwrap();
    let manifest = fs::read_to_string(folder.join("data/evidence/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let key = manifest["log_key"].as_str().unwrap();
    let (one, another) = (Cosigner::new("witness.example/w1", 1), Cosigner::new("w2", 2));
    let kept = folder.join("checkpoint");
    let path = kept.display().to_string();
    for (note, witness, code) in [
        (one.cosigns(note), &one, 0),
        (another.cosigns(&one.cosigns(note)), &one, 0),
        (note.to_owned(), &one, 1),
        (another.cosigns(note), &one, 1),
        (one.cosigns(note).replacen("w1 ", "w9 ", 1), &one, 1),
    ] {
        fs::write(&kept, &note).unwrap();
        let witness = witness.verifier_key();
        let trusted = ["--log-key", key, "--checkpoint", &path, "--witness", &witness];
        for command in [["compliance", "verify"], ["ledger", "verify"]] {
            let answer = says(folder, &[&command[..], &trusted].concat()).await.exits(code);
            assert!(code == 0 || answer.err.contains("witness"), "{note}: {answer:?}");
        }
    }
}
