//! Power cuts: what was acknowledged is there afterwards, and each batch counts once.

use std::collections::BTreeSet;
use std::time::Duration;

use imprimatur_agent::uplink::{self, Broker, UplinkSettings};
use imprimatur_agent::{Agent, AgentSettings};
use imprimatur_consent::Category;
use imprimatur_proto::record::RecordKind;
use imprimatur_runtime::SystemClock;
use imprimatur_testkit::wait;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::{self, Host};
use crate::rig::{BOOK_HELD, Rig, SOON};
use crate::wire::policy;

const AGENTS: u32 = 12;
/// All that a date may tell.
const PRINTS: u32 = 10;
const ALL: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_killed_again_and_again_loses_nothing_and_counts_nothing_twice() {
    let mut rig = Rig::start("info").await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let agent = agent(&rig, number);
        let at = rig.agents.address();
        let broker = Broker { host: at.ip().to_string(), port: at.port() };
        let settings = UplinkSettings {
            // Impatient, so that much is sent twice; one at a time, so that a kill comes between.
            answer_within: Duration::from_secs(2),
            wait_last: Duration::from_secs(1),
            window: 1,
            ..UplinkSettings::new(broker)
        };
        tasks.spawn(uplink::run(agent.clone(), settings, stop.clone()));
        agents.push(agent);
    }
    for stored in [1, 30, 60] {
        wait::until(SOON, "some batches stored", async || {
            let left = left(&agents);
            if ALL - left >= stored { Ok(()) } else { Err(format!("{left} left")) }
        })
        .await
        .unwrap();
        rig.kill_collector().await;
        rig.start_collector().await;
    }
    wait::until(SOON * 2, "an answer to every batch", async || match left(&agents) {
        0 => Ok(()),
        left => Err(format!("{left} left")),
    })
    .await
    .unwrap();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let rows = rig.prints(ALL).await;
    assert_eq!(rows.len(), ALL);
    let places: BTreeSet<_> = rows.iter().map(|row| (row.commit, row.ordinal)).collect();
    assert_eq!(places.len(), ALL, "a place was given twice");
    rig.ask(&["compliance", "verify"]).await.exits(BOOK_HELD);
}

/// An agent with a whole date's prints in its spool.
fn agent(rig: &Rig, number: u32) -> Agent {
    let data = rig.folder().join("agents").join(number.to_string());
    let settings = AgentSettings::new(data, policy(), rig.verifying_key());
    let agent = Agent::open(settings, SystemClock::shared()).unwrap();
    agent.grant(&[Category::PrintTime, Category::Temperature], None).unwrap();
    for print in 1..=PRINTS {
        agent::record(&agent, print);
    }
    agent
}

/// Batches without a verdict.
fn left(agents: &[Agent]) -> usize {
    let waiting = agents.iter().map(|agent| agent.show().unwrap().batches_waiting);
    usize::try_from(waiting.sum::<u64>()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_sends_what_it_kept_once() {
    let rig = Rig::start("info").await;
    let mut host = Host::of(&rig, "agent", "");
    host.open().grant(&[Category::PrintTime, Category::Temperature], None).unwrap();
    host.spool(6);
    rig.agents.close();
    for _ in 0..3 {
        host.run().await;
        host.kill().await;
    }
    rig.agents.open();
    host.run().await;
    assert_eq!(rig.prints(6).await.len(), 6);
    host.shows("/batches_waiting", &0.into()).await;
    host.kill().await;
    host.run().await;
    host.shows("/spool_bytes", &0.into()).await;
    assert_eq!(host.end().await, Some(0));
    assert_eq!(rig.rows(RecordKind::Print).len(), 6);
}
