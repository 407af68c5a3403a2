//! Bridges and collector stopped and started in turn under load, as an update does.

use imprimatur_testkit::chance::Chance;
use imprimatur_testkit::oracle::{History, Seen};
use serde_json::json;

use super::kills::somewhere;
use super::load::{Load, fresh};
use super::{history, report, sizes};
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_loses_and_doubles_nothing() {
    let (mut chance, rounds) = (Chance::of(sizes::seed()), sizes::rounds());
    let (mut rig, mut history) = (Rig::start("info").await, History::default());
    for tap in [&rig.bridges, &rig.grpc] {
        tap.forget();
    }
    let mut other = rig.another_bridge("other", 1).await;
    let mut load = Load::start(&rig, 4, &mut chance);
    for round in 1..=rounds {
        let started = usize::try_from(round).unwrap() + 1;
        somewhere(&rig, &mut chance).await;
        history.crashes += u64::from(load.waiting() > 0);
        assert_eq!(rig.stop_bridge().await, Some(0));
        rig.start_bridge().await;
        somewhere(&rig, &mut chance).await;
        assert_eq!(other.terminate().await.unwrap().code(), Some(0));
        other = rig.another_bridge("other", started).await;
        somewhere(&rig, &mut chance).await;
        history.crashes += u64::from(load.waiting() > 0);
        assert_eq!(rig.stop_collector().await, Some(0));
        rig.start_collector().await;
    }
    history.waiting = load.drain().await;
    history.fresh = fresh(&rig).await;
    load.end(&mut history).await;
    assert_eq!(other.terminate().await.unwrap().code(), Some(0));
    let history = history::ended(&mut rig, history).await;
    let least = Seen { acknowledged: rounds * 5, crashes: rounds, withdrawals: rounds, repeats: 0 };
    report::verdict("restart", &history, least, &json!({ "rounds": rounds }));
}
