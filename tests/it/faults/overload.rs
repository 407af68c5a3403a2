//! Ten times what can be taken: memory stays bounded, the excess is told to come again, nothing that
//! was answered is lost, and afterwards the backlog drains.
//!
//! First devices have a few batches under way each: what is stored then in a second is the capacity,
//! and the memory then is the steady state. Then they offer ten times as many, most of them again.

use std::collections::BTreeMap;
use std::time::Duration;

use imprimatur_proto::consent::v1::Decision;
use imprimatur_testkit::chance::Chance;
use imprimatur_testkit::oracle::{Bound, History, Seen};
use imprimatur_testkit::process::running_with;
use imprimatur_testkit::wait;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::flood::{Flood, Offer};
use super::load::{DRAINED, GRANTED, Load, fresh};
use super::{history, report, sizes};
use crate::rig::Rig;
use crate::wire::{Device, Voice};

/// Devices that flood.
const FLOODS: u8 = 4;

/// Batches under way of a device that does not flood: all devices together fill the bridge's window.
const PATIENT: usize = 16;

/// How many times the capacity is offered.
const TIMES: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_too_much_for_a_while_leaves_nothing_behind() {
    let mut chance = Chance::of(sizes::seed());
    let (mut rig, mut all) = (Rig::start_for_load("info").await, History::default());
    for tap in [&rig.bridges, &rig.grpc] {
        tap.forget();
    }
    let mut load = Load::start(&rig, 2, &mut chance);
    let (offer, wanted) = watch::channel(Offer::Answered { under_way: PATIENT });
    let mut floods = JoinSet::new();
    for voice in enrolled(&rig).await {
        floods.spawn(Flood::start(rig.broker.port(), voice, wanted.clone()).await.run());
    }
    let steady = watched(&rig, sizes::steady()).await;
    let capacity = steady.stored / sizes::steady().as_secs();
    offer.send_replace(Offer::Regardless { a_second: capacity * TIMES / u64::from(FLOODS) });
    let overload = watched(&rig, sizes::overload()).await;
    offer.send_replace(Offer::Rest);
    let draining = Instant::now();
    let (mut offered, mut busy) = (0, 0);
    while let Some(part) = floods.join_next().await {
        let mut part = part.unwrap();
        all.issued.append(&mut part.history.issued);
        all.answered.append(&mut part.history.answered);
        all.waiting += part.history.waiting;
        (offered, busy) = (offered + part.offered, busy + part.busy);
    }
    all.waiting += load.drain().await;
    all.bounds.push(bound("seconds to drain", draining.elapsed().as_secs(), DRAINED.as_secs()));
    all.fresh = fresh(&rig).await;
    all.withdrawals = load.withdrawals();
    load.end(&mut all).await;
    for (name, &most) in steady.memory.iter().filter(|_| sizes::judges_memory()) {
        let what = format!("memory of the {name}, KiB");
        all.bounds.push(bound(&what, overload.memory[name], most * 12 / 10));
    }
    let all = history::ended(&mut rig, all).await;
    let figures = json!({
        "capacity_a_second": capacity,
        "stored_a_second": overload.stored / sizes::overload().as_secs(),
        "offered": offered,
        "offered_a_second": offered / sizes::overload().as_secs(),
        "told_busy": busy,
        "memory_steady_kib": steady.memory,
        "memory_overload_kib": overload.memory,
        "drained_after_seconds": draining.elapsed().as_secs(),
        "counts": all.counts,
    });
    let least = Seen { acknowledged: capacity, ..Seen::default() };
    report::verdict("overload", &all, least, &figures);
    assert!(busy > 0, "nobody was told to come again: {figures}");
    assert!(offered > 2 * overload.stored, "that was no overload: {figures}");
}

fn bound(what: &str, seen: u64, most: u64) -> Bound {
    Bound { what: what.to_owned(), seen, most }
}

/// Devices with a grant.
async fn enrolled(rig: &Rig) -> Vec<Voice> {
    let mut voices = Vec::new();
    for seed in 1..=FLOODS {
        let mut device = Device::connect(rig, seed).await;
        let grant = device.event(1, Decision::Granted, &GRANTED);
        device.tell(grant).await;
        voices.push(Voice::of(seed));
    }
    voices
}

/// What was seen over a while.
struct Watched {
    /// The most memory of each process, KiB.
    memory: BTreeMap<&'static str, u64>,
    /// Batches stored.
    stored: u64,
}

async fn watched(rig: &Rig, window: Duration) -> Watched {
    let broker = running_with(&rig.folder().join("mosquitto").display().to_string()).unwrap();
    let processes =
        [("collector", rig.collector().id()), ("bridge", rig.bridge().id()), ("broker", broker[0])];
    let mut memory = BTreeMap::new();
    let before = stored(rig).await;
    wait::throughout(window, "processes that run", async || {
        for (name, process) in processes {
            let resident = resident(process).ok_or_else(|| format!("the {name} is gone"))?;
            let seen = memory.entry(name).or_insert(0);
            *seen = resident.max(*seen);
        }
        Ok::<(), String>(())
    })
    .await
    .unwrap();
    Watched { memory, stored: stored(rig).await - before }
}

async fn stored(rig: &Rig) -> u64 {
    rig.counts().await.get("stored").copied().unwrap_or(0)
}

/// Memory of a process, KiB.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
