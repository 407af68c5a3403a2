//! Erasure, restriction and recovery as owners and operators ask for them: who was erased is in no
//! store, no answer and no restored backup.

mod canaries;
mod places;
mod scene;

use std::fs;

use imprimatur_proto::consent::v1::ReceiptStatus;
use imprimatur_proto::ingest::v1::Outcome;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::{Clock as _, SystemClock, UtcDate};
use imprimatur_testkit::ports;

use self::canaries::Canaries;
use self::places::{at_rest, backed_up, knows};
use self::scene::{NEIGHBOURS, Scene, device, print};
use crate::agent::Host;
use crate::program::{Answer, imprimatur};
use crate::wire::Device;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_erasure_no_store_holds_a_canary_and_no_answer_counts_it() {
    let mut scene = Scene::start().await;
    scene.rest().await;
    let canaries = Canaries::of(&scene);
    let places = at_rest(&scene);
    assert!(knows(&scene.rig.data(), canaries.key.subject()));
    assert!(scene.catalogue().enrolled.contains(&canaries.principal));
    scene.go_on().await;
    canaries.are_where_they_must_be(&places);
    scene.back_up().await;

    scene.erase().await;
    scene.counts(NEIGHBOURS).await;
    scene.verifies().await;
    // Asked again, the collector knows nobody: then the last key goes.
    scene.host.ask(&["erase"]).await;
    let mut thief = a_batch_of_the_erased_key_is_refused(&scene, &canaries).await;
    // Nor is the first yes, sent again as it was recorded on the wire.
    let receipt = thief.tell(canaries.grant.clone()).await;
    assert_ne!(receipt.status(), ReceiptStatus::Recorded, "an erased key came back");
    scene.counts(NEIGHBOURS).await;
    scene.rest().await;
    canaries.are_nowhere(&at_rest(&scene));
    assert!(!knows(&scene.rig.data(), canaries.key.subject()));
    let catalogue = scene.catalogue();
    assert!(!catalogue.enrolled.contains(&canaries.principal) && scene.row().is_none());
    assert!(catalogue.excluded.iter().all(|one| one.subject != canaries.subject));
    assert_eq!(scene.rig.rows(RecordKind::Print).len(), NEIGHBOURS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_brings_nobody_back() {
    let mut scene = Scene::start().await;
    scene.rest().await;
    let canaries = Canaries::of(&scene);
    scene.go_on().await;
    scene.back_up().await;
    canaries.are_sealed_in(&backed_up(&scene));
    scene.erase().await;
    scene.host.ask(&["erase"]).await;

    scene.rest().await;
    let from = scene.backup().display().to_string();
    let restored = scene.rig.ask(&["backup", "restore", "--from", &from, "--json"]).await;
    assert_eq!(restored.exits(0).json()["erased_rows"], 1, "the backup had the owner's row");
    scene.go_on().await;
    scene.counts(NEIGHBOURS).await;
    scene.verifies().await;
    assert!(scene.row().is_none());
    assert_eq!(scene.rig.rows(RecordKind::Print).len(), NEIGHBOURS);
    a_batch_of_the_erased_key_is_refused(&scene, &canaries).await;
    scene.counts(NEIGHBOURS).await;
    scene.rest().await;
    canaries.are_nowhere(&at_rest(&scene));
    yesterdays_book_is_not_opened(&scene).await;
}

/// The owner's key, in the hands of somebody who copied it: its next batch is not taken.
async fn a_batch_of_the_erased_key_is_refused(scene: &Scene, canaries: &Canaries) -> Device {
    let mut thief = device(&scene.rig, canaries.key.clone()).await;
    let batch = thief.batch(2, vec![print()]);
    let verdict = thief.submit(thief.sealed(&batch)).await;
    assert_eq!(verdict.outcome(), Outcome::Refused, "{verdict:?}");
    thief
}

/// The opposite of a restore: the old file alone, put there by hand.
async fn yesterdays_book_is_not_opened(scene: &Scene) {
    fs::copy(scene.backup().join("book.redb"), scene.rig.data().join("book.redb")).unwrap();
    let listen = ports::loopback(scene.rig.grpc_port).to_string();
    let mut command = imprimatur(&["collector", "--listen", &listen, "--data"]);
    command.arg(scene.rig.data());
    let answer = Answer::of(command).await.exits(69);
    assert!(answer.err.contains("imprimatur backup restore"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_is_in_no_answer() {
    let scene = Scene::start().await;
    let row = scene.row().unwrap();
    let excluded = || scene.catalogue().excluded.iter().any(|one| one.subject == row.subject);
    assert!(!excluded());
    let until = UtcDate(SystemClock.today().0 + 30).to_string();
    let hold = ["subject", "restrict", &scene.subject, "--grounds", "claim", "--until", &until];
    scene.rig.ask(&hold).await.exits(0);
    scene.counts(NEIGHBOURS).await;
    assert!(excluded() && scene.row().is_some(), "kept, and used for nothing");
    scene.verifies().await;
    scene.rig.ask(&["subject", "release", &scene.subject]).await.exits(0);
    scene.counts(NEIGHBOURS + 1).await;
    assert!(!excluded());
    scene.verifies().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_code_keeps_the_rights_when_the_device_is_lost() {
    let mut scene = Scene::start().await;
    assert_eq!(scene.host.end().await, Some(0));
    fs::remove_dir_all(scene.host.data()).unwrap();
    let found = Host::of(&scene.rig, "found", "");
    // Without the code a new device has nothing to ask about.
    let stranger = Answer::of(found.command(&["explain"])).await.exits(1);
    assert!(stranger.out.is_empty(), "{stranger:?}");
    let mut slip = scene.recovery_code.clone();
    let last = if slip.ends_with('0') { "1" } else { "0" };
    slip.replace_range(slip.len() - 1.., last);
    Answer::of(found.command(&["recover", &slip])).await.exits(1);

    found.ask(&["recover", &scene.recovery_code]).await;
    let told = found.ask(&["explain", "--json"]).await;
    assert!(told.contains("temperature") && told.contains("print_time"), "{told}");
    assert!(scene.row().is_some());
    found.ask(&["erase"]).await;
    scene.erased().await;
    scene.counts(NEIGHBOURS).await;
    assert!(scene.row().is_none());
    scene.verifies().await;
}

/// Commands, questions and options: what an owner types until it binds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn withdrawing_takes_no_more_steps_than_granting() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new(folder.path(), "agent", "");
    // With nothing typed, granting asks and grants nothing: it takes a yes, at the least.
    let asked = Answer::of(host.command(&["consent", "grant", "print_time"])).await.exits(1);
    assert!(asked.out.contains("Type yes"), "{asked:?}");
    let granted = || async {
        let shown = host.json(&["consent", "show"]).await;
        let states = shown["categories"].as_array().unwrap().clone();
        states.iter().filter(|state| state["flag"] == "granted").count()
    };
    assert_eq!(granted().await, 0);
    host.grant(&["print_time", "temperature"]).await;
    assert_eq!(granted().await, 2);
    // Withdrawing one, or all, is one command that asks nothing.
    host.ask(&["consent", "withdraw", "temperature"]).await;
    assert_eq!(granted().await, 1);
    host.ask(&["consent", "withdraw"]).await;
    assert_eq!(granted().await, 0);
    // So is erasing all at once.
    host.grant(&["print_time"]).await;
    let told = host.ask(&["erase"]).await;
    assert!(told.contains("Erased here"), "{told}");
    assert_eq!(granted().await, 0);
}
