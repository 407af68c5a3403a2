//! What agents say they sent and what the collector says it got, to the unit.
//!
//! No wire loses anything here and nobody withdraws or gives a connection up, which would drop what is
//! queued. The collector stands still while the agents' uplinks start anew, so that much is sent twice.

use std::collections::BTreeSet;
use std::time::Duration;

use imprimatur_agent::core::{Agent, Counts};
use imprimatur_agent::uplink::{self, UplinkSettings};
use imprimatur_testkit::mqtt::{Published, published};
use imprimatur_testkit::oracle::{History, Seen};
use imprimatur_testkit::tap::Direction;
use imprimatur_testkit::wait;
use rustix::process::Signal;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::load::{DRAINED, GRANTED, fresh, impatient, open};
use super::{history, report};
use crate::agent;
use crate::rig::{Rig, SOON};

/// Owners; what each has under way, sent twice, is below the bridge's window of 64: beyond it the
/// bridge answers busy by itself, and the collector never hears of that frame.
const OWNERS: u64 = 12;

/// Prints of each, and how many of them a date may tell.
const PRINTS: (u32, u64) = (12, 10);

/// Batches of one owner that may be under way.
const WINDOW: usize = 2;

/// How long agents wait for a verdict: longer than this test takes on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_of_all_agents_and_of_the_collector_agree_to_the_unit() {
    let (mut rig, mut all) = (Rig::start("info").await, History::default());
    let mut agents = Vec::new();
    for number in 0..OWNERS {
        let folder = rig.folder().join("owners").join(number.to_string());
        let agent = open(&folder, rig.verifying_key());
        agent.grant(&GRANTED, None).unwrap();
        (1..=PRINTS.0).for_each(|print| agent::record(&agent, print));
        agents.push(agent);
    }
    let settings = UplinkSettings {
        answer_within: PATIENCE,
        window: WINDOW,
        ..impatient(rig.agents.address())
    };
    let counts = || agents.iter().map(|agent| agent.show().unwrap().counts).collect::<Vec<_>>();
    let sum = |of: fn(&Counts) -> u64| counts().iter().map(of).sum::<u64>();
    let before = Uplinks::start(&agents, &settings);
    wait::until(SOON, "batches on their way", async || {
        let sent = sum(|counts| counts.sent);
        if sent >= OWNERS { Ok(()) } else { Err(sent) }
    })
    .await
    .unwrap();
    rig.collector().signal(Signal::STOP).unwrap();
    wait::until(SOON * 2, "all that may be under way on the wire", async || {
        let (told, frames) = (counts(), batches(&rig).len());
        let full = |of: &Counts| {
            let window = u64::try_from(WINDOW).unwrap();
            of.sent - of.stored == window.min(PRINTS.1 - of.stored)
        };
        let sent = told.iter().map(|counts| counts.sent).sum::<u64>();
        let written = u64::try_from(frames).unwrap() == sent;
        if written && told.iter().all(full) { Ok(()) } else { Err(format!("{frames} of {sent}")) }
    })
    .await
    .unwrap();
    before.end().await;
    let after = Uplinks::start(&agents, &settings);
    sent_again(&rig).await;
    rig.collector().signal(Signal::CONT).unwrap();
    wait::until(DRAINED, "nothing that waits", async || {
        let waiting: u64 = agents.iter().map(|agent| agent.show().unwrap().batches_waiting).sum();
        if waiting == 0 { Ok(()) } else { Err(waiting) }
    })
    .await
    .unwrap();
    after.end().await;
    settled(&rig, sum(|counts| counts.sent)).await;
    let of_agents = counts();
    all.fresh = fresh(&rig).await;
    // Each frame that went out has its outcome at the collector: judged as I11.
    all.quiet = true;
    let frames = batches(&rig).len();
    let all = history::ended(&mut rig, all).await;
    let figures = json!({ "agents": of_agents, "collector": all.counts, "on_the_wire": frames });
    let least = Seen { acknowledged: OWNERS * PRINTS.1, repeats: 1, ..Seen::default() };
    report::verdict("counts", &all, least, &figures);
    // All but the one of the fresh installation.
    let sent: u64 = of_agents.iter().map(|counts| counts.sent).sum();
    assert_eq!(sent + 1, u64::try_from(frames).unwrap(), "{figures}");
    assert_eq!(OWNERS * PRINTS.1 + 1, all.counts["stored"], "{figures}");
    for counts in &of_agents {
        let told = (counts.collected, counts.beyond_date, counts.sealed, counts.stored);
        let prints = u64::from(PRINTS.0);
        assert_eq!(told, (prints, prints - PRINTS.1, PRINTS.1, PRINTS.1), "{figures}");
        assert_eq!((counts.refused, counts.purged, counts.dropped), (0, 0, 0), "{figures}");
    }
}

/// The uplinks of all agents.
struct Uplinks {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Uplinks {
    fn start(agents: &[Agent], settings: &UplinkSettings) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        for agent in agents {
            tasks.spawn(uplink::run(agent.clone(), settings.clone(), stop.clone()));
        }
        Self { tasks, stop }
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The batches on the wire between agents and broker.
fn batches(rig: &Rig) -> Vec<Published> {
    let mut messages = published(&rig.agents, Direction::ToServer);
    messages.retain(|message| message.topic.ends_with("/batch"));
    messages
}

/// Waits until a batch was on the wire twice.
async fn sent_again(rig: &Rig) {
    wait::until(SOON * 2, "a batch that is sent again", async || {
        let frames = batches(rig);
        let different: BTreeSet<_> = frames.iter().map(|message| &message.payload).collect();
        if different.len() < frames.len() { Ok(()) } else { Err(frames.len()) }
    })
    .await
    .unwrap();
}

/// Waits until the collector has an outcome for each of so many frames: what was sent twice may
/// still be on its way when its first one is answered.
async fn settled(rig: &Rig, sent: u64) {
    wait::until(SOON * 2, "an outcome for each frame", async || {
        let counts = rig.counts().await;
        let of = |name: &str| counts.get(name).copied().unwrap_or(0);
        let counted = of("stored") + of("repeated") + of("busy.batch");
        if counted == sent { Ok(()) } else { Err(format!("{counted} of {sent}: {counts:?}")) }
    })
    .await
    .unwrap();
}
