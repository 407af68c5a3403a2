//! Ten times what comes otherwise: memory stays bounded, nothing that was answered is lost, and afterwards all flows again.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use imprimatur_consent::Category;
use imprimatur_proto::consent::v1::Decision;
use imprimatur_testkit::chance::Chance;
use imprimatur_testkit::oracle::{Bound, History, Seen};
use imprimatur_testkit::process::running_with;
use imprimatur_testkit::wait;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::direct::{Word, batch};
use super::load::{Load, fresh};
use super::{history, report, sizes};
use crate::rig::{Rig, SOON};
use crate::wire::{Device, Voice, topic};

/// Devices that flood.
const FLOODS: u8 = 4;

/// How long the steady state is looked at.
const STEADY: Duration = Duration::from_secs(5);

/// Batches a second of a machine that does nothing, at least.
const LEAST: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_too_much_for_a_while_leaves_nothing_behind() {
    let mut chance = Chance::of(sizes::seed());
    let (mut rig, mut all) = (Rig::start("info").await, History::default());
    for tap in [&rig.bridges, &rig.grpc] {
        tap.forget();
    }
    let mut load = Load::start(&rig, 2, &mut chance);
    let devices = enrolled(&rig).await;
    let before = stored(&rig).await;
    let steady = watched(&rig, STEADY).await;
    let rate = ((stored(&rig).await - before) / STEADY.as_secs()).max(LEAST);
    let offered = Arc::new(AtomicU64::new(0));
    let (mut floods, stop) = (JoinSet::new(), CancellationToken::new());
    for voice in devices {
        let each = rate * 10 / u64::from(FLOODS);
        floods.spawn(flood(rig.broker.port(), voice, each, Arc::clone(&offered), stop.clone()));
    }
    let flooded = watched(&rig, sizes::overload()).await;
    stop.cancel();
    while let Some(part) = floods.join_next().await {
        let mut part = part.unwrap();
        all.issued.append(&mut part.issued);
        all.answered.append(&mut part.answered);
    }
    all.waiting = load.drain().await;
    all.fresh = fresh(&rig).await;
    all.withdrawals = load.withdrawals();
    load.end(&mut all).await;
    let mut memory = BTreeMap::new();
    for (name, steady) in steady {
        let seen = flooded[name];
        memory.insert(name, json!({ "steady_kib": steady, "overload_kib": seen }));
        if sizes::judges_memory() {
            let what = format!("memory of the {name}, KiB");
            all.bounds.push(Bound { what, seen, most: steady * 12 / 10 });
        }
    }
    let all = history::ended(&mut rig, all).await;
    let figures = json!({
        "steady_per_second": rate,
        "offered": offered.load(Ordering::SeqCst),
        "memory": memory,
        "counts": all.counts,
    });
    let least = Seen { acknowledged: LEAST, ..Seen::default() };
    report::verdict("overload", &all, least, &figures);
}

/// Devices with a grant.
async fn enrolled(rig: &Rig) -> Vec<Voice> {
    let mut voices = Vec::new();
    for seed in 1..=FLOODS {
        let mut device = Device::connect(rig, seed).await;
        let both = [Category::PrintTime, Category::Temperature];
        let grant = device.event(1, Decision::Granted, &both);
        device.tell(grant).await;
        voices.push(Voice::of(seed));
    }
    voices
}

async fn stored(rig: &Rig) -> u64 {
    rig.counts().await.get("stored").copied().unwrap_or(0)
}

/// The most memory of each process over a while, in KiB.
async fn watched(rig: &Rig, window: Duration) -> BTreeMap<&'static str, u64> {
    let broker = running_with(&rig.folder().join("mosquitto").display().to_string()).unwrap();
    let processes =
        [("collector", rig.collector().id()), ("bridge", rig.bridge().id()), ("broker", broker[0])];
    let mut most = BTreeMap::new();
    wait::throughout(window, "processes that run", async || {
        for (name, process) in processes {
            let resident = resident(process).ok_or_else(|| format!("the {name} is gone"))?;
            let seen = most.entry(name).or_insert(0);
            *seen = resident.max(*seen);
        }
        Ok::<(), String>(())
    })
    .await
    .unwrap();
    most
}

/// Memory of a process, KiB.
fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Publishes new batches at a rate, whatever becomes of them, and notes what is answered.
async fn flood(
    port: u16,
    voice: Voice,
    rate: u64,
    offered: Arc<AtomicU64>,
    stop: CancellationToken,
) -> History {
    let subject = voice.key.subject().to_string();
    let mut options = MqttOptions::new(&subject, "127.0.0.1", port);
    options.set_clean_start(true).set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = AsyncClient::new(options, 64);
    let ended = CancellationToken::new();
    let (over, to) = (ended.clone(), topic(&subject, "verdict"));
    let hearing = tokio::spawn(async move {
        let mut history = History::default();
        loop {
            let event = tokio::select! {
                () = over.cancelled() => return history,
                event = events.poll() => event,
            };
            match event {
                Ok(Event::Incoming(Packet::Publish(message))) if message.topic == *to => {
                    history::add_verdict(&mut history, &message.payload);
                }
                // A broker that ends the connection is a way of refusing, too.
                Ok(_) | Err(_) => {}
            }
        }
    });
    client.subscribe(topic(&subject, "verdict"), QoS::AtLeastOnce).await.unwrap();
    let (mut issued, mut sequence, to) = (History::default(), 0, topic(&subject, "batch"));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
    while !stop.is_cancelled() {
        ticks.tick().await;
        sequence += 1;
        let Word::Batch(frame) = batch(&voice, sequence) else { break };
        issued.issued.extend(history::issued(&frame));
        let published = client.publish(&to, QoS::AtLeastOnce, false, frame);
        if tokio::time::timeout(SOON, published).await.is_ok() {
            offered.fetch_add(1, Ordering::SeqCst);
        }
    }
    ended.cancel();
    let heard = hearing.await.unwrap();
    History { answered: heard.answered, ..issued }
}
