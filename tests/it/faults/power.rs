//! Power that goes: what was not written back to the disk at that instant is missing afterwards.
//!
//! The data lies on ext4 in an image file. Pages that the kernel has not written back to the image
//! are not in a copy of it, so the copy is the disk after the cut. A control shows that the copy
//! loses what nobody synced, and another that it loses nothing that was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use imprimatur_testkit::chance::Chance;
use imprimatur_testkit::oracle::{History, Seen};
use serde_json::json;

use super::kills::somewhere;
use super::load::{GRANTED, Load, fresh, open};
use super::{history, report, sizes};
use crate::agent::record;
use crate::rig::Rig;

/// Room for a short run, in mebibytes; the image is sparse.
const IMAGE: u64 = 256;

/// A mounted file system; dropping it unmounts.
pub(super) struct Mounted {
    pub(super) at: PathBuf,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // At once or as soon as its last file is closed.
        if let Err(error) = Command::new("umount").arg("-l").arg(&self.at).status() {
            println!("{} stays mounted: {error}", self.at.display());
        }
    }
}

/// Mounts; a missing right fails with the command to type.
pub(super) fn mount(options: &[&str], what: &Path, at: PathBuf) -> Mounted {
    fs::create_dir_all(&at).unwrap();
    let output = Command::new("mount").args(options).arg(what).arg(&at).output().unwrap();
    assert!(
        output.status.success(),
        "mounting needs the right to: sudo -E cargo xtask faults ({})",
        String::from_utf8_lossy(&output.stderr)
    );
    Mounted { at }
}

/// An ext4 file system in a file.
fn image(path: &Path) {
    fs::File::create(path).unwrap().set_len(IMAGE << 20).unwrap();
    let made = Command::new("/usr/sbin/mkfs.ext4").args(["-q", "-F"]).arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "`mkfs.ext4` is missing: cargo xtask peers");
}

/// The disk as it is at this instant.
fn copied(image: &Path, to: &Path) {
    let copied = Command::new("cp").arg("--sparse=always").arg(image).arg(to).status();
    assert!(copied.unwrap().success());
}

/// The file system of a file, as a machine finds it that starts again.
fn mount_image(image: &Path, at: PathBuf) -> Mounted {
    mount(&["-o", "loop"], image, at)
}

#[tokio::test]
async fn a_cut_loses_what_nobody_synced_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    image(&path("disk"));
    let disk = mount_image(&path("disk"), path("mounted"));
    let file = fs::File::create(disk.at.join("synced")).unwrap();
    fs::write(disk.at.join("synced"), "synced").unwrap();
    file.sync_all().unwrap();
    fs::File::open(&disk.at).unwrap().sync_all().unwrap();
    fs::write(disk.at.join("unsynced"), "unsynced").unwrap();
    copied(&path("disk"), &path("cut"));
    // The control: the same file, once it is written back.
    assert!(Command::new("sync").status().unwrap().success());
    copied(&path("disk"), &path("control"));
    let read = |at: &Mounted, name: &str| fs::read_to_string(at.at.join(name)).unwrap_or_default();
    let cut = mount_image(&path("cut"), path("after-cut"));
    assert_eq!((read(&cut, "synced"), read(&cut, "unsynced")), ("synced".into(), String::new()));
    let control = mount_image(&path("control"), path("after-sync"));
    assert_eq!(read(&control, "unsynced"), "unsynced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_that_goes_takes_nothing_that_a_collector_answered() {
    let (mut chance, cuts) = (Chance::of(sizes::seed()), sizes::power_cuts());
    let root = tempfile::tempdir().unwrap();
    let path = |name: String| root.path().join(name);
    image(&path("disk-0".into()));
    let mut disk = mount_image(&path("disk-0".into()), path("mounted-0".into()));
    let mut rig = Rig::start_at("info", Some(disk.at.join("data"))).await;
    for tap in [&rig.bridges, &rig.grpc] {
        tap.forget();
    }
    let mut history = History::default();
    let mut load = Load::start(&rig, 4, &mut chance);
    for cut in 1..=cuts {
        somewhere(&rig, &mut chance).await;
        history.crashes += u64::from(load.waiting() > 0);
        // No answer may pass between copy and kill: after the copy it would promise what is gone.
        rig.grpc.close();
        let (old, new) = (path(format!("disk-{}", cut - 1)), path(format!("disk-{cut}")));
        copied(&old, &new);
        rig.kill_collector().await;
        let after = mount_image(&new, path(format!("mounted-{cut}")));
        rig.set_data(after.at.join("data"));
        drop(std::mem::replace(&mut disk, after));
        fs::remove_file(&old).unwrap();
        rig.grpc.open();
        rig.start_collector().await;
    }
    history.waiting = load.drain().await;
    history.fresh = fresh(&rig).await;
    load.end(&mut history).await;
    let history = history::ended(&mut rig, history).await;
    let least = Seen {
        acknowledged: cuts * 2,
        crashes: cuts / 2,
        repeats: cuts / 2,
        withdrawals: cuts / 2,
    };
    report::verdict("power", &history, least, &json!({ "cuts": cuts }));
    drop(rig);
}

/// The agent's promise: what `record` kept is there, and no number is used twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_that_goes_takes_nothing_that_an_agent_kept() {
    let mut chance = Chance::of(sizes::seed());
    let root = tempfile::tempdir().unwrap();
    let path = |name: String| root.path().join(name);
    image(&path("disk-0".into()));
    let mut disk = mount_image(&path("disk-0".into()), path("mounted-0".into()));
    let key = imprimatur_consent::SigningSeed::from_seed(&[7; 32]).public();
    let key: imprimatur_consent::VerifyingKey = hex::encode(key).parse().unwrap();
    let agent = open(&disk.at.join("agent"), key);
    agent.grant(&GRANTED, None).unwrap();
    drop(agent);
    let (mut kept, mut sealed) = (0, Vec::new());
    for cut in 1..=sizes::power_cuts() {
        let agent = open(&disk.at.join("agent"), key);
        assert_eq!(agent.show().unwrap().batches_waiting, kept, "a kept batch is lost");
        // Ten prints are all that a date may tell.
        for _ in 0..chance.below(4).min(10 - kept) {
            kept += 1;
            record(&agent, u32::try_from(kept).unwrap());
        }
        sealed = numbers(&agent);
        let (old, new) = (path(format!("disk-{}", cut - 1)), path(format!("disk-{cut}")));
        copied(&old, &new);
        drop(agent);
        disk = mount_image(&new, path(format!("mounted-{cut}")));
        fs::remove_file(&old).unwrap();
    }
    let agent = open(&disk.at.join("agent"), key);
    assert_eq!((agent.show().unwrap().batches_waiting, numbers(&agent)), (kept, sealed.clone()));
    let once: std::collections::BTreeSet<_> = sealed.iter().collect();
    assert_eq!(once.len(), sealed.len(), "a number was used twice: {sealed:?}");
}

/// The numbers that an agent has sealed batches under, oldest first.
fn numbers(agent: &imprimatur_agent::Agent) -> Vec<u64> {
    let lines = agent.log().unwrap();
    let sealed = lines.iter().filter_map(|line| match &line.noted {
        imprimatur_agent::core::Noted::Sealed { sequence, .. } => Some(*sequence),
        _ => None,
    });
    sealed.collect()
}
