//! A run: a seed lets a schedule of faults loose on the whole path, then everything must drain.

use std::sync::Arc;
use std::time::Duration;

use imprimatur_runtime::{Clock, UtcDate, entropy};
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::agents::Actor;
use crate::bridge::{Bridge, Way};
use crate::broker::SimBroker;
use crate::clock::SimClock;
use crate::collector::{Failed as NodeFailed, Node};
use crate::oracle::{self, Replied, Said, Violation};
use crate::plan::{Faults, Plan};
use crate::trace::Trace;

/// When every run begins: 2026-11-20, 23:20.
const BASE: (UtcDate, u64) = (UtcDate(20_777), 23 * 3600 + 20 * 60);

/// How long everything may take to drain. What a collector refused for the day is said the next day.
const DRAIN: Duration = Duration::from_hours(60);

/// How often it is looked whether it did.
const LOOK: Duration = Duration::from_secs(20);

/// Longer than a publication takes to come.
const PUBLISHED: Duration = Duration::from_secs(130);

/// A run that could not be judged.
#[derive(Debug, thiserror::Error)]
#[error("the run broke off")]
pub struct Failed(#[source] pub NodeFailed);

/// What a run was.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// SHA-256 of its trace.
    pub trace: [u8; 32],
    /// The trace's lines, if the plan keeps them.
    pub lines: Vec<String>,
    /// What must never be.
    pub violations: Vec<Violation>,
    /// Prints that agents kept.
    pub issued: u64,
    /// Batches with a verdict `stored`.
    pub acknowledged: u64,
    /// Processes that were killed.
    pub crashes: u64,
    /// Messages that the networks doubled.
    pub doubled: u64,
    /// Batches that the collector saw again.
    pub repeated: u64,
    /// Withdrawals while batches were under way.
    pub withdrawn_in_flight: u64,
}

/// Runs one seed on this thread.
///
/// # Errors
/// [`Failed`]: a store, not a violation.
pub fn run(seed: u64, plan: &Plan) -> Result<Run, Failed> {
    entropy::seed_this_thread(Some(seed));
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    let done = runtime.map_err(|error| Failed(error.into())).and_then(|runtime| {
        LocalSet::new().block_on(&runtime, World::drive(seed, plan)).map_err(Failed)
    });
    entropy::seed_this_thread(None);
    done
}

struct World {
    rng: fastrand::Rng,
    trace: Trace,
    clock: Arc<dyn Clock>,
    broker: SimBroker,
    broker_up: bool,
    way: Way,
    node: Node,
    node_up: bool,
    bridges: Vec<Bridge>,
    actors: Vec<Actor>,
    replied: Vec<Replied>,
    /// Withdrawals whose reply was not heard yet.
    asked: Vec<(u32, u32)>,
    run: Run,
    plan: Plan,
}

impl World {
    async fn drive(seed: u64, plan: &Plan) -> Result<Run, NodeFailed> {
        let mut world = Self::build(seed, plan)?;
        for step in 0..plan.steps {
            if plan.forgetful && step % 8 == 0 && world.node_up {
                world.node.remember()?;
            }
            world.pause().await;
            world.step().await?;
            world.hear()?;
        }
        world.drain().await?;
        world.fresh().await?;
        world.judge().await
    }

    fn build(seed: u64, plan: &Plan) -> Result<Self, NodeFailed> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let trace = Trace::new(plan.keep_trace);
        let base = BASE.0.start().0 + BASE.1;
        let clock: Arc<dyn Clock> = Arc::new(SimClock::at(imprimatur_runtime::UnixSeconds(base)));
        let broker = SimBroker::new(rng.fork(), trace.clone());
        let way = Way::new(rng.fork());
        let node = Node::start(Arc::clone(&clock))?;
        way.lead_to(&node);
        let key = node.key()?;
        let count = u32::try_from(plan.agents).unwrap_or(1).clamp(1, 3);
        let mut actors = Vec::new();
        for number in 0..count {
            let mut actor = Actor::start(number, key, &clock, &broker)?;
            actor.grant()?;
            actors.push(actor);
        }
        let bridges = vec![Bridge::start(&broker, &way)];
        Ok(Self {
            rng,
            trace,
            clock,
            broker,
            broker_up: true,
            way,
            node,
            node_up: true,
            bridges,
            actors,
            replied: Vec::new(),
            asked: Vec::new(),
            run: Run::default(),
            plan: plan.clone(),
        })
    }

    /// Mostly seconds, sometimes long.
    async fn pause(&mut self) {
        let most = if self.rng.u8(0..10) < 7 { Duration::from_secs(20) } else { self.plan.pause };
        let most = u64::try_from(most.as_millis()).unwrap_or(1).max(1);
        sleep(Duration::from_millis(self.rng.u64(0..most))).await;
    }

    async fn step(&mut self) -> Result<(), NodeFailed> {
        let place = self.rng.usize(0..self.actors.len());
        let dice = self.rng.u32(0..100);
        match dice {
            0..45 => self.print(place)?,
            45..52 => {
                self.note("an agent dies");
                if let Some(actor) = self.actors.get_mut(place) {
                    self.run.crashes += u64::from(actor.runs());
                    actor.kill().await;
                }
            }
            52..60 => self.kill_collector()?,
            60..64 => {
                self.note("a bridge dies");
                self.run.crashes += 1;
                if let Some(bridge) = self.bridges.pop() {
                    bridge.kill();
                }
            }
            64..67 => {
                self.note("a bridge stops, another starts");
                self.bridges.push(Bridge::start(&self.broker, &self.way));
                let old = self.bridges.remove(0);
                old.stop();
                self.bridges.insert(0, old);
                self.bridges.retain(|bridge| !bridge.ended());
            }
            67..71 if self.broker_up => {
                self.note("the broker dies");
                self.run.crashes += 1;
                self.broker.crash();
                self.broker_up = false;
            }
            71..76 => {
                self.note("the way to the collector is cut");
                self.way.cut();
            }
            76..84 => {
                let faults = Faults::any(&mut self.rng);
                self.note(&format!("{faults:?}"));
                self.broker.set_faults(faults);
            }
            84..88 => self.withdraw(place)?,
            88..90 => {
                if let Some(actor) = self.actors.get_mut(place) {
                    actor.withdraw_temperature()?;
                }
            }
            90..94 => {
                if let Some(actor) = self.actors.get_mut(place) {
                    actor.grant()?;
                }
            }
            _ => self.mend()?,
        }
        Ok(())
    }

    fn note(&self, what: &str) {
        self.trace.note("world", what);
    }

    fn print(&mut self, place: usize) -> Result<(), NodeFailed> {
        let seal = self.rng.u8(0..10) < 8;
        if let Some(actor) = self.actors.get_mut(place) {
            let kept = actor.print()?;
            self.run.issued += u64::from(kept);
            if seal {
                actor.seal()?;
            }
            self.trace.note("agent", if kept { "a print" } else { "no print" });
        }
        Ok(())
    }

    fn kill_collector(&mut self) -> Result<(), NodeFailed> {
        if self.node_up {
            self.note("the collector dies");
            self.run.crashes += 1;
            self.node.kill()?;
            self.node_up = false;
            self.way.lead_to(&self.node);
        }
        Ok(())
    }

    fn withdraw(&mut self, place: usize) -> Result<(), NodeFailed> {
        let Some(actor) = self.actors.get_mut(place) else { return Ok(()) };
        if let Some(under_way) = actor.withdraw()? {
            self.run.withdrawn_in_flight += u64::from(under_way);
            self.asked.push((actor.number, actor.grants));
            self.trace.note("agent", "withdraws");
        }
        Ok(())
    }

    /// Notes the withdrawals whose receipt has come, with the newest position of that moment.
    fn hear(&mut self) -> Result<(), NodeFailed> {
        let Some((door, _)) = self.node.door() else { return Ok(()) };
        let (position, _) = door.book.positions()?;
        let mut waiting = Vec::new();
        for (agent, grant) in std::mem::take(&mut self.asked) {
            let of = self.actors.iter().find(|actor| actor.number == agent);
            let shown = of.map(Actor::show).transpose()?.flatten();
            // Events of a later grant may wait too; then it is looked at again.
            if shown.is_some_and(|shown| shown.events_waiting == 0) {
                self.replied.push(Replied { agent, grant, position });
            } else {
                waiting.push((agent, grant));
            }
        }
        self.asked = waiting;
        Ok(())
    }

    /// Starts what is down.
    fn mend(&mut self) -> Result<(), NodeFailed> {
        self.note("what is down starts");
        if !self.broker_up {
            self.broker.restart();
            self.broker_up = true;
        }
        if !self.node_up {
            self.node.restart()?;
            self.node_up = true;
            self.way.lead_to(&self.node);
        }
        if self.bridges.is_empty() {
            self.bridges.push(Bridge::start(&self.broker, &self.way));
        }
        for actor in &mut self.actors {
            actor.restart()?;
        }
        Ok(())
    }

    /// Faults stop; all must be said and answered.
    async fn drain(&mut self) -> Result<(), NodeFailed> {
        self.broker.set_faults(Faults::NONE);
        self.mend()?;
        self.bridges.push(Bridge::start(&self.broker, &self.way));
        let mut waited = Duration::ZERO;
        loop {
            let mut settled = true;
            for actor in &self.actors {
                actor.seal()?;
                settled &= actor.settled()?;
            }
            self.hear()?;
            if settled || waited > DRAIN {
                break;
            }
            sleep(LOOK).await;
            waited += LOOK;
        }
        for actor in &self.actors {
            if !actor.settled()? {
                let shown = format!("agent {}: {}", actor.number, actor.story()?);
                self.run.violations.push(Violation::Stuck(shown));
            }
        }
        Ok(())
    }

    /// After the faults a new print of each agent must come through.
    async fn fresh(&mut self) -> Result<(), NodeFailed> {
        // A day that told all it may gives no more.
        if self.clock.today() == BASE.0 {
            let midnight = UtcDate(BASE.0.0 + 1).start().0.saturating_sub(self.clock.now().0);
            sleep(Duration::from_secs(midnight + 1)).await;
        }
        for actor in &mut self.actors {
            self.run.issued += u64::from(actor.print()?);
        }
        self.drain().await
    }

    async fn judge(mut self) -> Result<Run, NodeFailed> {
        sleep(PUBLISHED).await;
        let mut said = Vec::new();
        for actor in &self.actors {
            let Some(shown) = actor.show()? else { continue };
            self.run.acknowledged += shown.counts.stored;
            said.push(Said { agent: actor.number, steadfast: actor.steadfast, shown });
        }
        if let Some((door, _)) = self.node.door() {
            let counts = door.book.counts()?;
            self.run.repeated = counts.get("repeated").copied().unwrap_or(0);
        }
        let data = self.node.data();
        let issued: Vec<_> = self.actors.iter().flat_map(|actor| actor.issued.clone()).collect();
        let held = oracle::held(&data)?;
        self.run.violations.extend(oracle::judge(&issued, &self.replied, &said, &held));
        self.run.violations.extend(oracle::verified(&data));
        self.run.doubled = self.broker.doubled();
        self.note(&format!("{} held, {:?}", held.len(), self.run.violations));
        (self.run.trace, self.run.lines) = (self.trace.hash(), self.trace.lines());
        for bridge in &self.bridges {
            bridge.kill();
        }
        for actor in &mut self.actors {
            actor.kill().await;
        }
        Ok(self.run)
    }
}
