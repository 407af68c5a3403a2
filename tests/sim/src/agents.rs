//! An agent as a process that can be killed: its store stays, all else is gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use imprimatur_agent::core::{Overview, Recorded};
use imprimatur_agent::uplink::{Broker, UplinkSettings, run_over};
use imprimatur_agent::{Agent, AgentSettings};
use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::{Category, Policy, VerifyingKey};
use imprimatur_proto::telemetry::v1::{PrintMaterial, PrintReport, PrintTemperature, PrintTime};
use imprimatur_runtime::Clock;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::SimBroker;
use crate::collector::{Failed, scratch};
use crate::oracle::Issued;

/// Prints of one date: all that a date may tell.
const PRINTS: u32 = 10;

/// Grants of one agent that its prints can tell apart.
const GRANTS: u32 = 7;

/// What an agent is asked to consent to.
const GRANTED: [Category; 3] = [Category::PrintTime, Category::Temperature, Category::Material];

/// An agent, running or not, and what it was told.
#[derive(Debug)]
pub struct Actor {
    /// Its place among the agents, from 0.
    pub number: u32,
    folder: TempDir,
    settings: AgentSettings,
    clock: Arc<dyn Clock>,
    broker: SimBroker,
    running: Option<Running>,
    /// Grants so far; the newest stands while `granted`.
    pub grants: u32,
    /// Whether its owner says yes.
    pub granted: bool,
    /// Whether its owner never took anything back.
    pub steadfast: bool,
    dates: BTreeMap<u32, u32>,
    /// Every print that it kept.
    pub issued: Vec<Issued>,
}

#[derive(Debug)]
struct Running {
    agent: Agent,
    stop: CancellationToken,
    uplink: JoinHandle<()>,
}

impl Actor {
    /// An agent with an empty store, running.
    ///
    /// # Errors
    /// Its folder's.
    pub fn start(
        number: u32,
        collector: VerifyingKey,
        clock: &Arc<dyn Clock>,
        broker: &SimBroker,
    ) -> Result<Self, Failed> {
        let folder = scratch()?;
        let policy = Policy::read(STRICTEST)?;
        let data = folder.path().join("agent");
        let settings = AgentSettings {
            hardware_root: folder.path().join("hardware"),
            ..AgentSettings::new(data, policy, collector)
        };
        let mut actor = Self {
            number,
            folder,
            settings,
            clock: Arc::clone(clock),
            broker: broker.clone(),
            running: None,
            grants: 0,
            granted: false,
            steadfast: true,
            dates: BTreeMap::new(),
            issued: Vec::new(),
        };
        actor.restart()?;
        Ok(actor)
    }

    /// The folder of its store.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Takes it away.
    pub async fn kill(&mut self) {
        if let Some(Running { agent, uplink, stop }) = self.running.take() {
            drop(agent);
            uplink.abort();
            drop(uplink.await);
            drop(stop);
        }
    }

    /// Starts it over its store.
    ///
    /// # Errors
    /// The store's.
    pub fn restart(&mut self) -> Result<(), Failed> {
        if self.running.is_none() {
            let agent = Agent::open(self.settings.clone(), Arc::clone(&self.clock))?;
            let settings = UplinkSettings::new(Broker { host: String::new(), port: 1 });
            let stop = CancellationToken::new();
            let over = run_over(self.broker.clone(), agent.clone(), settings, stop.clone());
            let uplink = tokio::task::spawn_local(over);
            self.running = Some(Running { agent, stop, uplink });
        }
        Ok(())
    }

    /// Its owner says yes.
    ///
    /// # Errors
    /// The agent's.
    pub fn grant(&mut self) -> Result<(), Failed> {
        let Some(Running { agent, .. }) = &self.running else { return Ok(()) };
        if !self.granted && self.grants < GRANTS {
            agent.grant(&GRANTED, None)?;
            self.grants += 1;
            self.granted = true;
        }
        Ok(())
    }

    /// Its owner takes all of it back; tells whether something was under way.
    ///
    /// # Errors
    /// The agent's.
    pub fn withdraw(&mut self) -> Result<Option<bool>, Failed> {
        let Some(Running { agent, .. }) = &self.running else { return Ok(None) };
        if !self.granted {
            return Ok(None);
        }
        let under_way = agent.show()?.batches_waiting > 0;
        agent.withdraw(None)?;
        (self.granted, self.steadfast) = (false, false);
        Ok(Some(under_way))
    }

    /// Its owner takes the temperatures back. The rest stays, but a frame that was offered goes whole:
    /// the collector may have it, and the rest under another number would count twice.
    ///
    /// # Errors
    /// The agent's.
    pub fn withdraw_temperature(&mut self) -> Result<(), Failed> {
        if let Some(Running { agent, .. }) = &self.running {
            agent.withdraw(Some(&[Category::Temperature]))?;
            self.steadfast = false;
        }
        Ok(())
    }

    /// A print ends that began now; tells whether it was kept.
    ///
    /// # Errors
    /// The agent's.
    pub fn print(&mut self) -> Result<bool, Failed> {
        let Some(Running { agent, .. }) = &self.running else { return Ok(false) };
        let now = self.clock.now();
        let date = now.date().0;
        let count = self.dates.entry(date).or_default();
        if !self.granted || *count >= PRINTS {
            return Ok(false);
        }
        // The duration tells which print of the date, the material whose and under which grant.
        let amount = self.number * GRANTS + self.grants;
        let print = PrintReport {
            start_date: date,
            print_time: Some(PrintTime { completed_duration: *count + 1, ..Default::default() }),
            material: Some(PrintMaterial { amount, ..Default::default() }),
            temperature: Some(PrintTemperature { nozzle_set_point: 8, ..Default::default() }),
            ..Default::default()
        };
        if agent.record_print(&print, now)? != Recorded::Kept {
            return Ok(false);
        }
        *count += 1;
        let (duration, grant) = (*count, self.grants);
        self.issued.push(Issued { agent: self.number, grant, date, duration, amount });
        Ok(true)
    }

    /// Seals what is pending.
    ///
    /// # Errors
    /// The agent's.
    pub fn seal(&self) -> Result<(), Failed> {
        if let Some(Running { agent, .. }) = &self.running {
            agent.seal_all()?;
        }
        Ok(())
    }

    /// What its owner sees.
    ///
    /// # Errors
    /// The agent's.
    pub fn show(&self) -> Result<Option<Overview>, Failed> {
        Ok(match &self.running {
            Some(Running { agent, .. }) => Some(agent.show()?),
            None => None,
        })
    }

    /// What waits, and what it logged last, for a person.
    ///
    /// # Errors
    /// The agent's.
    pub fn story(&self) -> Result<String, Failed> {
        let Some(Running { agent, .. }) = &self.running else { return Ok("down".to_owned()) };
        let shown = agent.show()?;
        let log = agent.log()?;
        let last: Vec<_> = log.iter().rev().take(12).rev().map(|line| &line.noted).collect();
        let (batches, events) = (shown.batches_waiting, shown.events_waiting);
        Ok(format!("{batches} batches and {events} events wait; {last:?}"))
    }

    /// Whether all is said and answered.
    ///
    /// # Errors
    /// The agent's.
    pub fn settled(&self) -> Result<bool, Failed> {
        let Some(Running { agent, .. }) = &self.running else { return Ok(false) };
        let shown = agent.show()?;
        Ok(agent.errand()?.is_none()
            && shown.batches_waiting == 0
            && shown.reports_pending == 0
            && shown.events_waiting == 0)
    }
}
