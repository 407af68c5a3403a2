//! The uplink: one MQTT connection at a time, opened when there is something to say and closed after.
//!
//! Keeps true: no connection and no name resolved without an errand; consent events and the owner's
//! requests are answered before a batch leaves; a frame is freed by a verdict, never by a PUBACK; at most `window` frames
//! wait for verdicts; a withdrawal cuts the connection, so that what is queued in it is not sent.
//! A frame is sent again when its verdict is late, never before, and each time after a longer wait:
//! over the same connection while others are answered, over a new one when nobody answers. A broker
//! or collector that does not answer, that is busy, or that nobody carries to, costs one log line
//! and a growing, jittered wait, which only a withdrawal cuts short.
//! Never decides what may be said: that is [`crate::core`].
//!
//! ```text
//! Silent -> Connecting -> Announcing <-> Asking <-> Sending -> Draining -> Silent
//! ```

mod asking;
mod link;
mod sending;
mod settings;
pub mod wire;

use std::time::Duration;

use imprimatur_proto::contract;
use imprimatur_proto::ingest::v1::Busy;
use imprimatur_runtime::entropy::{Backoff, jitter};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::settings::{Broker, UplinkSettings};
use self::wire::{Answer, Dial, Topic, Wire, WireError};
use crate::core::{Agent, AgentError, Changes, Errand, Heard, Ignored, Says};
use crate::told::chain;

/// How long nothing happens before a look whether a new day allows what the old one did not.
const LOOK_EVERY: Duration = Duration::from_mins(10);

/// Shortest and longest wait that a busy collector may ask for: the answer is not signed.
const BUSY_FIRST: Duration = Duration::from_secs(1);
const BUSY_LAST: Duration = Duration::from_mins(10);

/// What the uplink is doing; a state owns its connection.
enum State<W> {
    /// Nothing to say, or not yet.
    Silent { not_before: Option<Instant> },
    /// There is something to say.
    Connecting(Errand),
    /// Consent events go out, one at a time.
    Announcing(Errand, W),
    /// A rights request goes out, step by step.
    Asking(Errand, W),
    /// Frames go out.
    Sending(Errand, W),
    /// All is said; the next thing to say may come at once.
    Draining(Errand, W),
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
    /// The collector is busy: when to come again.
    Busy(Duration),
    /// Nobody carries what is published to the collector.
    Nobody,
    /// The connection ended.
    Broken(WireError),
}

struct Uplink<D> {
    dial: D,
    agent: Agent,
    settings: UplinkSettings,
    stop: CancellationToken,
    changes: watch::Receiver<Changes>,
    withdrawals: u64,
    /// Waits between connections that could not be opened.
    dialling: Backoff,
    /// Waits between connections over which nobody answered.
    backoff: Backoff,
    warned: bool,
}

/// Says what the agent has to say over MQTT until `stop` is cancelled. Any number may run in one
/// process.
pub async fn run(agent: Agent, settings: UplinkSettings, stop: CancellationToken) {
    run_over(settings.broker.clone(), agent, settings, stop).await;
}

/// [`run`] over any wire. All waiting is tokio's and all randomness [`imprimatur_runtime::entropy`]'s.
pub async fn run_over<D: Dial>(
    dial: D,
    agent: Agent,
    settings: UplinkSettings,
    stop: CancellationToken,
) {
    let mut changes = agent.changes();
    let withdrawals = changes.borrow_and_update().withdrawals;
    let backoff = Backoff::new(settings.wait_first, settings.wait_last);
    let (dialling, warned) = (backoff, false);
    let mut uplink =
        Uplink { dial, agent, settings, stop, changes, withdrawals, dialling, backoff, warned };
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

impl<D: Dial> Uplink<D> {
    async fn silent(&mut self, not_before: Option<Instant>) -> State<D::Wire> {
        if let Some(until) = not_before {
            tokio::select! {
                () = self.stop.cancelled() => return State::Stopped,
                () = withdrawn(&mut self.changes, self.withdrawals) => {}
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

    async fn connecting(&mut self, errand: Errand) -> State<D::Wire> {
        let opened = {
            let open = self.dial.open(errand.subject);
            let (stop, within) = (self.stop.clone(), self.settings.answer_within);
            tokio::select! {
                () = stop.cancelled() => return State::Stopped,
                () = withdrawn(&mut self.changes, self.withdrawals) => None,
                opened = tokio::time::timeout(within, open) => Some(opened),
            }
        };
        match opened {
            None => State::Silent { not_before: None },
            Some(Err(_elapsed)) => self.unreached("the broker does not answer", None),
            Some(Ok(Err(error))) => self.unreached("the broker cannot be used", Some(&error)),
            Some(Ok(Ok(link))) => {
                self.dialling.reset();
                self.agent.begin_talk();
                saying(errand, link)
            }
        }
    }

    async fn announcing(&mut self, errand: Errand, mut link: D::Wire) -> State<D::Wire> {
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
            // These end a connection where they are heard, if it waits for anything.
            Answer::Busy(_) | Answer::Nobody => Ok(Heard::Ignored(Ignored::Unmatched)),
        }
    }

    async fn draining(&mut self, errand: Errand, mut link: D::Wire) -> State<D::Wire> {
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
                // What has its answer does not wait for another.
                Err(Left::Busy(_) | Left::Nobody) => {}
                Err(Left::Late | Left::Broken(_)) => {
                    link.close().await;
                    return State::Silent { not_before: None };
                }
                Err(left) => return self.leave(left, link).await,
            }
        }
    }

    /// The next state of a connection, by what is left to say.
    async fn turn(&mut self, errand: Errand, link: D::Wire, said: Said) -> State<D::Wire> {
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
    async fn hear(&mut self, link: &mut D::Wire, until: Instant) -> Result<Answer, Left> {
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
                Ok(Ok(Answer::Nobody)) => Err(Left::Nobody),
                Ok(Ok(Answer::Busy(bytes))) => Err(busy(&bytes)),
                Ok(Ok(answer)) => Ok(answer),
            },
        }
    }

    async fn leave(&mut self, left: Left, link: D::Wire) -> State<D::Wire> {
        match left {
            Left::Stop => {
                link.close().await;
                State::Stopped
            }
            // Dropped, not closed: a close would send what is queued before it.
            Left::Withdrawn | Left::News => State::Silent { not_before: None },
            Left::Late => self.failed("the collector does not answer", None),
            Left::Nobody => self.failed("the broker reaches no collector", None),
            Left::Busy(wait) => {
                link.close().await;
                // It works as it should: no failure, and no warning.
                let wait_ms = wait.as_millis();
                tracing::info!(wait_ms, "the collector is busy: batches wait as long as it says");
                State::Silent { not_before: Some(Instant::now() + wait) }
            }
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

    fn store_failed(&mut self, error: &AgentError) -> State<D::Wire> {
        self.failed("the store failed", Some(error))
    }

    fn failed(&mut self, what: &str, error: Option<&dyn std::error::Error>) -> State<D::Wire> {
        let wait = self.backoff.wait();
        self.complain(what, error, wait)
    }

    fn unreached(&mut self, what: &str, error: Option<&dyn std::error::Error>) -> State<D::Wire> {
        let wait = self.dialling.wait();
        self.complain(what, error, wait)
    }

    /// One line for any number of failures in a row, and a wait.
    fn complain(
        &mut self,
        what: &str,
        error: Option<&dyn std::error::Error>,
        wait: Duration,
    ) -> State<D::Wire> {
        let cause = error.map(chain);
        if std::mem::replace(&mut self.warned, true) {
            tracing::debug!(cause, wait_ms = wait.as_millis(), "{what}");
        } else {
            tracing::warn!(cause, "{what}: batches wait; trying again until it does");
        }
        State::Silent { not_before: Some(Instant::now() + wait) }
    }
}

/// How long a busy collector asks to be left alone, within bounds, and up to half of that more, so
/// that many agents do not come back at once.
fn busy(bytes: &[u8]) -> Left {
    let told = contract().decode::<Busy>(bytes).unwrap_or_default().retry_after_ms;
    let wait = Duration::from_millis(u64::from(told)).clamp(BUSY_FIRST, BUSY_LAST);
    Left::Busy(wait + wait.saturating_sub(jitter(wait)))
}

/// The state that says what an errand is for.
fn saying<W>(errand: Errand, link: W) -> State<W> {
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
pub(crate) mod tests;
