//! Load: owners who grant, print and withdraw without end, each with an agent of its own on a real disk.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use imprimatur_agent::uplink::{self, Broker, UplinkSettings};
use imprimatur_agent::{Agent, AgentSettings};
use imprimatur_consent::{Category, VerifyingKey};
use imprimatur_runtime::SystemClock;
use imprimatur_testkit::chance::Chance;
use imprimatur_testkit::oracle::{History, Subject};
use imprimatur_testkit::wait;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent;
use crate::rig::{Rig, SOON};
use crate::wire::policy;

/// What every owner grants; the second is what some take back alone.
pub(super) const GRANTED: [Category; 2] = [Category::PrintTime, Category::Temperature];

/// All that a date may tell.
const PRINTS: u32 = 10;

/// Withdrawals of one owner that may wait for their receipts.
const EVENTS_WAITING: usize = 4;

/// The longest way to nothing that waits: agents and bridge have paused meanwhile.
pub(super) const DRAINED: Duration = Duration::from_mins(3);

/// What owners know that the wire does not tell.
#[derive(Debug, Default)]
struct Told {
    kept: BTreeMap<Subject, u64>,
    withdrawals: u64,
}

/// Owners at work.
pub(super) struct Load {
    agents: Vec<Agent>,
    told: Arc<Mutex<Told>>,
    issue: watch::Sender<bool>,
    issuing: TaskTracker,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// An impatient uplink, so that much is sent twice and nothing pauses for long.
pub(super) fn impatient(at: SocketAddr) -> UplinkSettings {
    UplinkSettings {
        answer_within: Duration::from_secs(2),
        wait_first: Duration::from_millis(100),
        wait_last: Duration::from_secs(1),
        window: 4,
        ..UplinkSettings::new(Broker { host: at.ip().to_string(), port: at.port() })
    }
}

/// An agent with its store in `folder`.
pub(super) fn open(folder: &Path, key: VerifyingKey) -> Agent {
    let settings = AgentSettings::new(folder.to_owned(), policy(), key);
    Agent::open(settings, SystemClock::shared()).unwrap()
}

/// The id under which an agent speaks now.
pub(super) fn subject(agent: &Agent) -> Subject {
    agent.show().unwrap().subject.unwrap().0
}

impl Load {
    /// Starts owners against a rig.
    pub(super) fn start(rig: &Rig, owners: u32, chance: &mut Chance) -> Self {
        let (tasks, issuing, stop) =
            (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let (told, (issue, wanted)) = (Arc::<Mutex<Told>>::default(), watch::channel(true));
        let mut agents = Vec::new();
        for number in 0..owners {
            let folder = rig.folder().join("owners").join(number.to_string());
            let agent = open(&folder, rig.verifying_key());
            let settings = impatient(rig.agents.address());
            tasks.spawn(uplink::run(agent.clone(), settings, stop.clone()));
            let owner = Owner {
                agent: agent.clone(),
                chance: chance.split(),
                told: Arc::clone(&told),
                wanted: wanted.clone(),
            };
            // Its store blocks: a thread of its own.
            let here = Handle::current();
            issuing.spawn_blocking(move || here.block_on(owner.live()));
            agents.push(agent);
        }
        Self { agents, told, issue, issuing, tasks, stop }
    }

    /// Batches that wait for a verdict.
    pub(super) fn waiting(&self) -> u64 {
        self.agents.iter().map(|agent| agent.show().unwrap().batches_waiting).sum()
    }

    /// Withdrawals so far that came while batches waited.
    pub(super) fn withdrawals(&self) -> u64 {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).withdrawals
    }

    /// Lets owners say nothing new, and waits until nothing waits; tells what still does.
    pub(super) async fn drain(&mut self) -> u64 {
        self.issue.send_replace(false);
        self.issuing.close();
        self.issuing.wait().await;
        let drained = wait::until(DRAINED, "nothing that waits", async || {
            let shown = self.agents.iter().map(|agent| agent.show().unwrap());
            let left: Vec<_> = shown
                .map(|shown| (shown.batches_waiting, shown.events_waiting, shown.counts))
                .filter(|(batches, events, _)| *batches > 0 || *events > 0)
                .collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
        if let Err(error) = drained {
            println!("{error}");
        }
        self.waiting()
    }

    /// Ends all uplinks and tells the history what owners know.
    pub(super) async fn end(self, history: &mut History) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        history.kept.append(&mut told.kept);
        history.withdrawals += told.withdrawals;
    }
}

/// One owner.
struct Owner {
    agent: Agent,
    chance: Chance,
    told: Arc<Mutex<Told>>,
    wanted: watch::Receiver<bool>,
}

impl Owner {
    fn goes_on(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Grants, prints, withdraws, as a new installation each time.
    async fn live(mut self) {
        while self.goes_on() {
            self.agent.grant(&GRANTED, None).unwrap();
            let subject = subject(&self.agent);
            let ends = self.chance.below(3);
            let prints = 1 + self.chance.below(u64::from(PRINTS));
            for print in 1..=u32::try_from(prints).unwrap() {
                agent::record(&self.agent, print);
                *self.told().kept.entry(subject).or_default() += 1;
                if !self.goes_on() {
                    return;
                }
            }
            match ends {
                // In flight, in part, then all of it.
                0 => {
                    self.withdraw(subject, Some(&[Category::Temperature]));
                    self.withdraw(subject, None);
                }
                // After some verdicts.
                1 => {
                    let most = self.chance.below(prints);
                    self.until(|batches, _| batches <= most).await;
                    self.withdraw(subject, None);
                }
                // After all of them.
                _ => {
                    self.until(|batches, _| batches == 0).await;
                    if !self.goes_on() {
                        return;
                    }
                    self.withdraw(subject, None);
                }
            }
            self.until(|_, events| events < EVENTS_WAITING).await;
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Withdraws; what waited need not be stored any more.
    fn withdraw(&self, subject: Subject, what: Option<&[Category]>) {
        let waiting = self.agent.show().unwrap().batches_waiting;
        self.agent.withdraw(what).unwrap();
        if waiting > 0 {
            let mut told = self.told();
            told.kept.remove(&subject);
            told.withdrawals += 1;
        }
    }

    /// Waits until batches and events that wait are as few as this, or nothing new is wanted.
    async fn until(&self, few: impl Fn(u64, usize) -> bool) {
        wait::until(Duration::from_hours(1), "few that wait", async || {
            let shown = self.agent.show().unwrap();
            let few = few(shown.batches_waiting, shown.events_waiting);
            if few || !self.goes_on() { Ok(()) } else { Err("too many") }
        })
        .await
        .unwrap();
    }
}

/// Whether a new installation gets its first batch through.
pub(super) async fn fresh(rig: &Rig) -> bool {
    let agent = open(&rig.folder().join("owners/fresh"), rig.verifying_key());
    agent.grant(&GRANTED, None).unwrap();
    agent::record(&agent, 1);
    let (stop, settings) = (CancellationToken::new(), impatient(rig.agents.address()));
    let uplink = tokio::spawn(uplink::run(agent.clone(), settings, stop.clone()));
    let flowed = wait::until(SOON * 2, "a fresh batch", async || {
        let shown = agent.show().unwrap();
        if shown.batches_waiting == 0 { Ok(()) } else { Err("it waits") }
    });
    let flowed = flowed.await.is_ok();
    stop.cancel();
    uplink.await.unwrap();
    flowed
}
