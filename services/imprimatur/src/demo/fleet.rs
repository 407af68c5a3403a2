//! The fleet: real agents under mixed consent, each with its own store, key and principal.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use imprimatur_agent::uplink::{self, Broker, UplinkSettings};
use imprimatur_agent::{Agent, AgentError, AgentSettings};
use imprimatur_consent::{Category, Policy, VerifyingKey};
use imprimatur_ledger::Token;
use imprimatur_runtime::{Clock, SystemClock, entropy};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::prints::{self, Dice};
use super::rogue;
use crate::error::CommandError;
use crate::up::Server;

/// Agents in the fleet.
pub(super) const AGENTS: u32 = 60;

/// Prints that each agent tells; a day may tell ten.
const PRINTS: u32 = 10;

/// Mean time between two synthetic prints of one agent.
const PAUSE: Duration = Duration::from_secs(2);

/// How an owner answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Yes to all that a print tells.
    Open,
    /// Yes to print times only.
    TimesOnly,
    /// No; the agent stays silent.
    Refuses,
    /// Yes, and no again after the third print.
    Withdraws,
}

impl Owner {
    fn of(number: u32) -> Self {
        match number % 12 {
            3 => Self::Refuses,
            5 => Self::TimesOnly,
            7 => Self::Withdraws,
            _ => Self::Open,
        }
    }

    fn categories(self) -> &'static [Category] {
        match self {
            Self::Refuses => &[],
            Self::TimesOnly => &[Category::PrintTime],
            Self::Open | Self::Withdraws => &[
                Category::Machine,
                Category::PrintTime,
                Category::Temperature,
                Category::Material,
                Category::Laser,
                Category::Status,
                Category::Faults,
            ],
        }
    }
}

/// How many agents do what just now.
#[derive(Debug, Default)]
pub(super) struct Mood {
    pub(super) granted: AtomicU32,
    pub(super) refused: AtomicU32,
    pub(super) withdrawn: AtomicU32,
    done: AtomicU32,
}

/// The running fleet.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) mood: Arc<Mood>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Fleet {
    /// Starts the agents, each enrolled as a principal of its own, and one rogue.
    pub(super) fn start(
        server: &Server,
        policy: &Policy,
        folder: &Path,
        stop: &CancellationToken,
    ) -> Result<Self, CommandError> {
        let tokens = server.collector.issue_tokens(AGENTS)?;
        let key = VerifyingKey::from_bytes(&server.collector.public_key);
        let key = key.map_err(|error| CommandError::Fleet(Box::new(error)))?;
        let (mood, tasks, stop) =
            (Arc::new(Mood::default()), TaskTracker::new(), stop.child_token());
        for (number, token) in (0..AGENTS).zip(tokens) {
            let data = folder.join("agents").join(number.to_string());
            let settings = AgentSettings::new(data, policy.clone(), key);
            let agent = Agent::open(settings, SystemClock::shared()).map_err(agent_failed)?;
            let broker = Broker { host: server.mqtt.ip().to_string(), port: server.mqtt.port() };
            tasks.spawn(uplink::run(agent.clone(), UplinkSettings::new(broker), stop.clone()));
            tasks.spawn(live(agent, number, token, Arc::clone(&mood), stop.clone()));
        }
        tasks.spawn(rogue::run(server.mqtt, policy.hash, stop.clone()));
        tasks.close();
        Ok(Self { mood, tasks, stop })
    }

    /// Whether all agents have told their day.
    pub(super) fn is_done(&self) -> bool {
        self.mood.done.load(Ordering::Relaxed) == AGENTS
    }

    /// Waits until all agents have ended.
    pub(super) async fn ended(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// One owner's day. An error ends only this agent.
async fn live(agent: Agent, number: u32, token: Token, mood: Arc<Mood>, stop: CancellationToken) {
    tokio::select! {
        lived = day(&agent, number, token, &mood) => {
            if let Err(error) = lived {
                tracing::error!(%error, "a synthetic agent failed");
            }
        }
        () = stop.cancelled() => {}
    }
    mood.done.fetch_add(1, Ordering::Relaxed);
}

async fn day(agent: &Agent, number: u32, token: Token, mood: &Mood) -> Result<(), AgentError> {
    let (owner, laser, clock) = (Owner::of(number), number % 6 == 4, SystemClock);
    if owner == Owner::Refuses {
        mood.refused.fetch_add(1, Ordering::Relaxed);
        agent.refuse(&Category::ALL)?;
        return Ok(());
    }
    agent.grant(owner.categories(), Some(token.0))?;
    mood.granted.fetch_add(1, Ordering::Relaxed);
    let (began, mut dice) = (clock.now(), Dice::new(u64::from(number)));
    // The day is told first, so that the prints that follow have a model.
    agent.record_day(&prints::day(clock.today(), laser, PRINTS), began)?;
    for told in 0..PRINTS {
        tokio::time::sleep(entropy::jitter(PAUSE)).await;
        if owner == Owner::Withdraws && told == 3 {
            agent.withdraw(None)?;
            mood.granted.fetch_sub(1, Ordering::Relaxed);
            mood.withdrawn.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let now = clock.now();
        agent.record_print(&prints::print(now.date(), laser, &mut dice), now)?;
        agent.seal_all()?;
    }
    Ok(())
}

fn agent_failed(error: AgentError) -> CommandError {
    CommandError::Fleet(Box::new(error))
}
