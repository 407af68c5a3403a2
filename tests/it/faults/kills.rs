//! Processes killed at random points under load, again and again.

use std::time::Duration;

use imprimatur_testkit::chance::Chance;
use imprimatur_testkit::oracle::{History, Seen};
use imprimatur_testkit::wait;
use serde_json::json;

use super::load::{DRAINED, GRANTED, Load, fresh, subject};
use super::{history, report, sizes};
use crate::agent::{Host, record};
use crate::rig::Rig;

const OWNERS: u32 = 6;

/// The next kill comes after at most so many bytes between agents and broker: some twenty batches.
const BYTES: u64 = 40_000;

/// A wire that is quiet is not waited for any longer.
const QUIET: Duration = Duration::from_secs(3);

/// Prints that an installation may tell of a date.
const PRINTS: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_under_load_nothing_is_lost_doubled_or_shown() {
    let (mut chance, kills) = (Chance::of(sizes::seed()), sizes::kills());
    let (mut rig, mut history) = (Rig::start("info").await, History::default());
    for tap in [&rig.bridges, &rig.grpc] {
        tap.forget();
    }
    let mut load = Load::start(&rig, OWNERS, &mut chance);
    let mut program = Program::start(&rig).await;
    let mut killed = [0_u64; 4];
    for _ in 0..kills {
        somewhere(&rig, &mut chance).await;
        history.crashes += u64::from(load.waiting() > 0);
        let victim = chance.below(4);
        killed[usize::try_from(victim).unwrap()] += 1;
        match victim {
            0 => {
                rig.kill_collector().await;
                rig.start_collector().await;
            }
            1 => {
                rig.kill_bridge().await;
                rig.start_bridge().await;
            }
            2 => rig.kill_broker().await,
            _ => program.kill(&mut chance, &mut history).await,
        }
    }
    history.waiting = load.drain().await + program.drain().await;
    history.fresh = fresh(&rig).await;
    load.end(&mut history).await;
    program.end(&mut history).await;
    let history = history::ended(&mut rig, history).await;
    let least = Seen {
        acknowledged: kills,
        crashes: kills / 2,
        repeats: kills / 4,
        withdrawals: kills / 2,
    };
    let [collector, bridge, broker, agent] = killed;
    let killed =
        json!({"collector": collector, "bridge": bridge, "broker": broker, "agent": agent});
    report::verdict("kills", &history, least, &json!({ "killed": killed }));
}

/// Waits until a random amount of bytes has passed.
pub(super) async fn somewhere(rig: &Rig, chance: &mut Chance) {
    let until = rig.agents.passed() + chance.below(BYTES);
    // A wire that carries nothing just now is a point like any other.
    let passed = wait::until(QUIET, "bytes", async || {
        let passed = rig.agents.passed();
        if passed >= until { Ok(()) } else { Err(passed) }
    });
    drop(passed.await);
}

/// The agent as a process, with prints put into its store while it does not run.
struct Program {
    host: Host,
    told: u64,
}

impl Program {
    async fn start(rig: &Rig) -> Self {
        let mut host = Host::of(rig, "agent", "");
        let agent = host.open();
        agent.grant(&GRANTED, None).unwrap();
        record(&agent, 1);
        drop(agent);
        host.run().await;
        Self { host, told: 1 }
    }

    /// Kills it, has it print more, as another installation where the date is told, and runs it.
    async fn kill(&mut self, chance: &mut Chance, history: &mut History) {
        self.host.kill().await;
        let agent = self.host.open();
        if self.told == PRINTS {
            let waiting = agent.show().unwrap().batches_waiting;
            if waiting == 0 {
                history.kept.insert(subject(&agent), self.told);
            } else {
                history.withdrawals += 1;
            }
            agent.withdraw(None).unwrap();
            agent.grant(&GRANTED, None).unwrap();
            self.told = 0;
        }
        for _ in 0..=chance.below(PRINTS - self.told) {
            self.told += 1;
            record(&agent, u32::try_from(self.told).unwrap());
        }
        drop(agent);
        self.host.run().await;
    }

    /// Runs it anew, so that it does not pause any more, until nothing waits.
    async fn drain(&mut self) -> u64 {
        assert_eq!(self.host.end().await, Some(0));
        self.host.run().await;
        let batches = ["consent", "show"];
        self.host.until(&batches, "/events_waiting", DRAINED, |left| *left == 0).await;
        self.host.until(&batches, "/batches_waiting", DRAINED, |left| *left == 0).await;
        0
    }

    async fn end(mut self, history: &mut History) {
        assert_eq!(self.host.end().await, Some(0));
        history.kept.insert(subject(&self.host.open()), self.told);
    }
}
