//! Wires that are cut, stall, crawl or lag at random under load, on each of the three links.

use std::time::Duration;

use imprimatur_testkit::chance::Chance;
use imprimatur_testkit::oracle::{History, Seen};
use imprimatur_testkit::tap::Weather;
use imprimatur_testkit::wait;
use serde_json::json;

use super::kills::somewhere;
use super::load::{Load, fresh};
use super::{history, report, sizes};
use crate::rig::Rig;

const OWNERS: u32 = 4;

/// The longest fault: longer than agents wait for an answer.
const FAULT: Duration = Duration::from_secs(4);

/// Bytes a second of a wire that crawls: a frame in a quarter of a second.
const CRAWL: u32 = 2048;

/// A wire that lags: two ways are longer than an agent's patience now and then.
const LAG: Duration = Duration::from_millis(800);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wires_that_fail_under_load_lose_and_double_nothing() {
    let (mut chance, faults) = (Chance::of(sizes::seed()), sizes::cuts());
    let (mut rig, mut history) = (Rig::start("info").await, History::default());
    for tap in [&rig.bridges, &rig.grpc] {
        tap.forget();
    }
    let mut load = Load::start(&rig, OWNERS, &mut chance);
    let mut played = [0_u64; 5];
    for _ in 0..faults {
        somewhere(&rig, &mut chance).await;
        history.crashes += u64::from(load.waiting() > 0);
        let (link, kind, lasts) = (chance.below(3), chance.below(5), chance.within(FAULT));
        let link = [&rig.agents, &rig.bridges, &rig.grpc][usize::try_from(link).unwrap()];
        played[usize::try_from(kind).unwrap()] += 1;
        match kind {
            0 => link.sever(),
            1 => link.close(),
            2 => link.set_weather(Weather::Stalled),
            3 => link.set_weather(Weather::Slow(CRAWL)),
            _ => link.set_weather(Weather::Late(LAG)),
        }
        // A fault lasts for a time of its own, whatever happens meanwhile.
        wait::throughout(lasts, "the fault", async || Ok::<(), &str>(())).await.unwrap();
        link.open();
        link.set_weather(Weather::Clear);
    }
    history.waiting = load.drain().await;
    history.fresh = fresh(&rig).await;
    load.end(&mut history).await;
    let history = history::ended(&mut rig, history).await;
    let least = Seen {
        acknowledged: faults * 2,
        crashes: faults / 2,
        repeats: faults / 4,
        withdrawals: faults / 4,
    };
    let [cut, away, stalled, slow, late] = played;
    let played = json!({"cut": cut, "away": away, "stalled": stalled, "slow": slow, "late": late});
    report::verdict("network", &history, least, &json!({ "faults": played }));
}
