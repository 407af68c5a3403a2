//! The uplink: one MQTT connection at a time, opened when there is something to say and closed after.
//!
//! Keeps true: no connection and no name resolved without an errand; consent events and the owner's
//! requests are answered before a batch leaves; a frame is freed by a verdict, never by a PUBACK; at most `window` frames
//! wait for verdicts; a withdrawal cuts the connection, so that what is queued in it is not sent.
//! A broker or collector that does not answer costs one log line and a growing, jittered wait.
//! Never decides what may be said: that is [`crate::core`].
//!
//! ```text
//! Silent -> Connecting -> Announcing <-> Asking <-> Sending -> Draining -> Silent
//! ```

mod asking;
mod link;

use std::time::Duration;

use imprimatur_runtime::entropy::Backoff;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use self::link::{Answer, Link, LinkError, Topic};
use crate::core::{Agent, AgentError, Changes, Errand, Heard, Ignored, Says};
use crate::told::chain;

/// How long nothing happens before a look whether a new day allows what the old one did not.
const LOOK_EVERY: Duration = Duration::from_mins(10);

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// How the uplink behaves.
#[derive(Clone, Debug)]
pub struct UplinkSettings {
    /// Where the broker is.
    pub broker: Broker,
    /// How long an answer may take before everything is sent again over a new connection.
    pub answer_within: Duration,
    /// How long a connection without an errand stays.
    pub idle: Duration,
    /// Frames that may wait for their verdicts at once.
    pub window: usize,
    /// First wait after a failure; doubled at each.
    pub wait_first: Duration,
    /// Longest wait after a failure.
    pub wait_last: Duration,
}

impl UplinkSettings {
    /// The settings of an agent in the field: 20 s for an answer, 3 s idle, 8 frames, waits from
    /// 1 s to 5 minutes.
    pub fn new(broker: Broker) -> Self {
        Self {
            broker,
            answer_within: Duration::from_secs(20),
            idle: Duration::from_secs(3),
            window: 8,
            wait_first: Duration::from_secs(1),
            wait_last: Duration::from_mins(5),
        }
    }
}

/// What the uplink is doing; a state owns its connection.
enum State {
    /// Nothing to say, or not yet.
    Silent { not_before: Option<Instant> },
    /// There is something to say.
    Connecting(Errand),
    /// Consent events go out, one at a time.
    Announcing(Errand, Link),
    /// A rights request goes out, step by step.
    Asking(Errand, Link),
    /// Frames go out.
    Sending(Errand, Link),
    /// All is said; the next thing to say may come at once.
    Draining(Errand, Link),
    /// The end.
    Stopped,
}

/// Why a state was left early.
enum Left {
    /// The process ends.
    Stop,
    /// The owner withdrew: the connection must go, with all that is queued in it.
    Withdrawn,
    /// Something gave the uplink something to say.
    News,
    /// Time is up.
    Late,
    /// The connection ended.
    Broken(LinkError),
}

struct Uplink {
    agent: Agent,
    settings: UplinkSettings,
    stop: CancellationToken,
    changes: watch::Receiver<Changes>,
    withdrawals: u64,
    backoff: Backoff,
    warned: bool,
}

/// Says what the agent has to say until `stop` is cancelled. Any number may run in one process.
pub async fn run(agent: Agent, settings: UplinkSettings, stop: CancellationToken) {
    let mut changes = agent.changes();
    let withdrawals = changes.borrow_and_update().withdrawals;
    let backoff = Backoff::new(settings.wait_first, settings.wait_last);
    let mut uplink = Uplink { agent, settings, stop, changes, withdrawals, backoff, warned: false };
    let mut state = State::Silent { not_before: None };
    loop {
        state = match state {
            State::Silent { not_before } => uplink.silent(not_before).await,
            State::Connecting(errand) => Box::pin(uplink.connecting(errand)).await,
            State::Announcing(errand, link) => uplink.announcing(errand, link).await,
            State::Asking(errand, link) => uplink.asking(errand, link).await,
            State::Sending(errand, link) => uplink.sending(errand, link).await,
            State::Draining(errand, link) => uplink.draining(errand, link).await,
            State::Stopped => return,
        };
    }
}

impl Uplink {
    async fn silent(&mut self, not_before: Option<Instant>) -> State {
        if let Some(until) = not_before {
            tokio::select! {
                () = self.stop.cancelled() => return State::Stopped,
                () = sleep_until(until) => {}
            }
        }
        loop {
            self.settle();
            match self.agent.errand() {
                Ok(Some(errand)) => return State::Connecting(errand),
                Ok(None) => {}
                Err(error) => return self.store_failed(&error),
            }
            tokio::select! {
                () = self.stop.cancelled() => return State::Stopped,
                changed = self.changes.changed() => if changed.is_err() { return State::Stopped },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn connecting(&mut self, errand: Errand) -> State {
        let opened = {
            let open = Link::open(&self.settings.broker, errand.subject);
            let (stop, within) = (self.stop.clone(), self.settings.answer_within);
            tokio::select! {
                () = stop.cancelled() => return State::Stopped,
                () = withdrawn(&mut self.changes, self.withdrawals) => None,
                opened = tokio::time::timeout(within, open) => Some(opened),
            }
        };
        match opened {
            None => State::Silent { not_before: None },
            Some(Err(_elapsed)) => self.failed("the broker does not answer", None),
            Some(Ok(Err(error))) => self.failed("the broker cannot be used", Some(&error)),
            Some(Ok(Ok(link))) => {
                self.agent.begin_talk();
                saying(errand, link)
            }
        }
    }

    async fn announcing(&mut self, errand: Errand, mut link: Link) -> State {
        let queue = |event: &crate::core::OfferedEvent| link.publish(Topic::Consent, &event.bytes);
        match self.agent.offer_event(&errand, queue) {
            Err(error) => return self.store_failed(&error),
            Ok(None) => return self.turn(errand, link, Said::Nothing).await,
            Ok(Some(_queued)) => {}
        }
        let until = Instant::now() + self.settings.answer_within;
        loop {
            match self.hear(&mut link, until).await {
                Ok(Answer::Receipt(bytes)) => match self.agent.on_receipt(&bytes) {
                    Err(error) => return self.store_failed(&error),
                    Ok(Heard::Receipt(_)) => {
                        self.answered();
                        return self.turn(errand, link, Said::Something).await;
                    }
                    // Not to be believed: the event waits, others may be said.
                    Ok(Heard::Ignored(Ignored::Rollback | Ignored::Unproven)) => {
                        return self.turn(errand, link, Said::Something).await;
                    }
                    Ok(_) => {}
                },
                Ok(other) => {
                    if let Err(error) = self.take(&other) {
                        return self.store_failed(&error);
                    }
                }
                Err(Left::News) => {}
                Err(left) => return self.leave(left, link).await,
            }
        }
    }

    /// Takes an answer that nobody waits for just now.
    fn take(&self, answer: &Answer) -> Result<Heard, AgentError> {
        match answer {
            Answer::Receipt(bytes) => self.agent.on_receipt(bytes),
            Answer::Verdict(bytes) => self.agent.on_verdict(bytes),
            Answer::Rights(bytes) => self.agent.on_answer(bytes),
        }
    }

    async fn sending(&mut self, errand: Errand, mut link: Link) -> State {
        let mut in_flight: Vec<(u64, Instant)> = Vec::new();
        let mut said = Said::Nothing;
        loop {
            let held: Vec<u64> = in_flight.iter().map(|(sequence, _)| *sequence).collect();
            let room = self.settings.window.saturating_sub(held.len());
            let queue =
                |frame: &crate::core::OfferedFrame| link.publish(Topic::Batch, &frame.bytes);
            let queued = match self.agent.offer_frames(&errand, &held, room, queue) {
                Ok(queued) => queued,
                Err(error) => return self.store_failed(&error),
            };
            let until = Instant::now() + self.settings.answer_within;
            in_flight.extend(queued.into_iter().map(|sequence| (sequence, until)));
            let Some(first) = in_flight.iter().map(|(_, until)| *until).min() else {
                return self.turn(errand, link, said).await;
            };
            match self.hear(&mut link, first).await {
                Ok(Answer::Verdict(bytes)) => match self.agent.on_verdict(&bytes) {
                    Err(error) => return self.store_failed(&error),
                    Ok(Heard::Stored(number) | Heard::Refused(number, _)) => {
                        in_flight.retain(|(sequence, _)| *sequence != number);
                        said = Said::Something;
                        self.answered();
                    }
                    Ok(_) => {}
                },
                Ok(other) => {
                    if let Err(error) = self.take(&other) {
                        return self.store_failed(&error);
                    }
                }
                Err(Left::News) => {}
                Err(left) => return self.leave(left, link).await,
            }
        }
    }

    async fn draining(&mut self, errand: Errand, mut link: Link) -> State {
        let until = Instant::now() + self.settings.idle;
        loop {
            match self.hear(&mut link, until).await {
                Ok(answer) => {
                    if let Err(error) = self.take(&answer) {
                        return self.store_failed(&error);
                    }
                }
                Err(Left::News) => match self.agent.errand() {
                    Ok(None) => {}
                    Ok(Some(_)) => return self.turn(errand, link, Said::Something).await,
                    Err(error) => return self.store_failed(&error),
                },
                Err(Left::Late | Left::Broken(_)) => {
                    link.close().await;
                    return State::Silent { not_before: None };
                }
                Err(left) => return self.leave(left, link).await,
            }
        }
    }

    /// The next state of a connection, by what is left to say.
    async fn turn(&mut self, errand: Errand, link: Link, said: Said) -> State {
        match self.agent.errand() {
            Err(error) => self.store_failed(&error),
            Ok(Some(next)) if next == errand && said == Said::Nothing => {
                self.failed("the connection takes nothing", None)
            }
            Ok(Some(next)) if next.subject == errand.subject => saying(next, link),
            Ok(Some(next)) => {
                link.close().await;
                State::Connecting(next)
            }
            Ok(None) if errand.retired => {
                link.close().await;
                State::Silent { not_before: None }
            }
            Ok(None) => State::Draining(errand, link),
        }
    }

    /// The next answer, or why none came.
    async fn hear(&mut self, link: &mut Link, until: Instant) -> Result<Answer, Left> {
        if self.changes.borrow().withdrawals != self.withdrawals {
            return Err(Left::Withdrawn);
        }
        tokio::select! {
            () = self.stop.cancelled() => Err(Left::Stop),
            changed = self.changes.changed() => {
                let withdrawn = self.changes.borrow_and_update().withdrawals != self.withdrawals;
                match changed {
                    Err(_closed) => Err(Left::Stop),
                    Ok(()) if withdrawn => Err(Left::Withdrawn),
                    Ok(()) => Err(Left::News),
                }
            }
            heard = timeout_at(until, link.next()) => match heard {
                Err(_elapsed) => Err(Left::Late),
                Ok(Err(error)) => Err(Left::Broken(error)),
                Ok(Ok(answer)) => Ok(answer),
            },
        }
    }

    async fn leave(&mut self, left: Left, link: Link) -> State {
        match left {
            Left::Stop => {
                link.close().await;
                State::Stopped
            }
            // Dropped, not closed: a close would send what is queued before it.
            Left::Withdrawn | Left::News => State::Silent { not_before: None },
            Left::Late => self.failed("the collector does not answer", None),
            Left::Broken(error) => self.failed("the connection to the broker ended", Some(&error)),
        }
    }

    /// What was withdrawn up to now needs no interruption any more.
    fn settle(&mut self) {
        self.withdrawals = self.changes.borrow_and_update().withdrawals;
    }

    fn answered(&mut self) {
        self.backoff.reset();
        if std::mem::take(&mut self.warned) {
            tracing::info!("the collector answers again");
        }
    }

    fn store_failed(&mut self, error: &AgentError) -> State {
        self.failed("the store failed", Some(error))
    }

    /// One line for any number of failures in a row, and a wait.
    fn failed(&mut self, what: &str, error: Option<&dyn std::error::Error>) -> State {
        let wait = self.backoff.wait();
        let cause = error.map(chain).unwrap_or_default();
        if std::mem::replace(&mut self.warned, true) {
            tracing::debug!(cause, wait_ms = wait.as_millis(), "{what}");
        } else {
            tracing::warn!(cause, "{what}: batches wait; trying again until it does");
        }
        State::Silent { not_before: Some(Instant::now() + wait) }
    }
}

/// The state that says what an errand is for.
fn saying(errand: Errand, link: Link) -> State {
    match errand.says {
        Says::Event => State::Announcing(errand, link),
        Says::Request => State::Asking(errand, link),
        Says::Batches => State::Sending(errand, link),
    }
}

/// Whether anything was said since the last turn; a turn without it must not be repeated at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Something,
}

/// Waits for a withdrawal beyond these.
async fn withdrawn(changes: &mut watch::Receiver<Changes>, known: u64) {
    let closed = changes.wait_for(|changes| changes.withdrawals != known).await.is_err();
    if closed {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
