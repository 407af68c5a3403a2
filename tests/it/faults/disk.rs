//! Disks without room: a small file system that is full, for the collector's data and for the agent's folder.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use imprimatur_runtime::{Clock as _, SystemClock};
use imprimatur_testkit::oracle::{History, Seen};
use imprimatur_testkit::wait;
use serde_json::json;

use super::direct::{Alone, Word, batch, folder, grant, recovered};
use super::load::{GRANTED, open};
use super::power::mount;
use super::report;
use crate::agent::{print, record};
use crate::rig::SOON;
use crate::silence::NOBODY;
use crate::wire::Voice;

/// What the kernel says of it.
const FULL: &str = "No space left on device";

/// The collector's exit code when its book cannot be written.
const NO_ROOM: i32 = 69;

/// Fills a file system with a file; gives its path.
fn filled(at: &Path) -> PathBuf {
    let path = at.join("ballast");
    let mut file = fs::File::create(&path).unwrap();
    let piece = [0; 4096];
    while file.write_all(&piece).is_ok() {}
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_without_room_says_so_and_recovers_when_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    let disk = mount(&["-t", "tmpfs", "-o", "size=8m"], Path::new("tmpfs"), root.path().join("m"));
    let (data, logs) = (disk.at.join("data"), folder(root.path(), "logs"));
    let mut history = History::default();
    let voice = Voice::of(1);
    let mut collector = Alone::spawn("collector", None, &data, &logs);
    let mut wire = collector.connect().await.unwrap();
    wire.insist(&mut history, &[grant(&voice), batch(&voice, 1)]).await;
    let ballast = filled(&disk.at);
    let (mut sequence, mut words): (u64, Vec<Word>) = (1, Vec::new());
    wait::until(SOON * 2, "a word about the full disk", async || {
        sequence += 1;
        let word = batch(&voice, sequence);
        wire.say(&mut history, &word).await;
        words.push(word);
        if collector.log().contains(FULL) { Ok(()) } else { Err(collector.log()) }
    })
    .await
    .unwrap();
    let log = collector.log();
    assert!(!log.contains("panicked"), "{log}");
    fs::remove_file(ballast).unwrap();
    let (code, alone) = collector.end().await;
    // It may be about to end by itself when it is told to.
    let alone = alone || code == Some(NO_ROOM);
    assert!(alone || code == Some(0), "with room it ends in order: {code:?}\n{}", collector.log());
    history.crashes += u64::from(alone);
    let history = recovered(history, &words, &data, &logs).await;
    let least = Seen { acknowledged: 2, ..Seen::default() };
    let ended = if alone { "ended" } else { "went on" };
    report::verdict("full_disk", &history, least, &json!({ "collector": ended }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_room_says_so_and_recovers_when_there_is_room() {
    let root = tempfile::tempdir().unwrap();
    let disk = mount(&["-t", "tmpfs", "-o", "size=8m"], Path::new("tmpfs"), root.path().join("m"));
    let agent = open(&disk.at.join("agent"), NOBODY.parse().unwrap());
    agent.grant(&GRANTED, None).unwrap();
    record(&agent, 1);
    let ballast = filled(&disk.at);
    let mut refused = None;
    for number in 2..10 {
        let kept = agent.record_print(&print(number), SystemClock.now());
        if let Err(error) = kept.map(drop).and_then(|()| agent.seal_prints().map(drop)) {
            refused = Some(error);
            break;
        }
    }
    fs::remove_file(ballast).unwrap();
    println!("{refused:?}");
    let before = agent.show().unwrap();
    assert!(before.batches_waiting >= 1, "what was kept is kept: {before:?}");
    // Nothing was started anew: the same agent goes on.
    agent.record_print(&print(20), SystemClock.now()).unwrap();
    agent.seal_prints().unwrap();
    let after = agent.show().unwrap().batches_waiting;
    assert!(after > before.batches_waiting, "{after}");
    drop(agent);
    let agent = open(&disk.at.join("agent"), NOBODY.parse().unwrap());
    assert_eq!(agent.show().unwrap().batches_waiting, after);
}
