//! A stand-in for the broker and both ways to it: it loses, doubles, delays, reorders and forges.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use imprimatur_agent::uplink::wire::{Answer, Dial, Topic, Wire, WireError};
use imprimatur_bridge::link::{Broker, Fit, Full, Heard, Message};
use imprimatur_consent::SubjectId;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::plan::Faults;
use crate::trace::Trace;

/// Messages that wait for one bridge beyond those it may hold; past it they vanish, as with Mosquitto.
const QUEUE: usize = 1000;

/// Answers that wait for one agent; past it they vanish.
const ANSWERS: usize = 1024;

/// How long a message is under way at most, unless it is late.
const QUICK: Duration = Duration::from_millis(400);

/// How late a late one is.
const LATE: Duration = Duration::from_mins(1);

/// The stand-in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SimBroker(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    rng: fastrand::Rng,
    faults: Faults,
    up: bool,
    trace: Trace,
    next: u64,
    agents: BTreeMap<SubjectId, (u64, mpsc::Sender<Answer>)>,
    seats: BTreeMap<u64, Seat>,
    turn: u64,
    doubled: u64,
}

/// A bridge's place in the shared subscription.
#[derive(Debug)]
struct Seat {
    heard: mpsc::Sender<Heard>,
    in_flight: usize,
    most: usize,
    next: u16,
    waiting: VecDeque<(Bytes, Bytes)>,
    open: bool,
}

impl SimBroker {
    /// A broker that is up.
    pub fn new(rng: fastrand::Rng, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            rng,
            faults: Faults::NONE,
            up: true,
            trace,
            next: 1,
            agents: BTreeMap::new(),
            seats: BTreeMap::new(),
            turn: 0,
            doubled: 0,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how unreliable the ways are.
    pub fn set_faults(&self, faults: Faults) {
        self.inner().faults = faults;
    }

    /// Ends it; all sessions are lost, with all that waits in them.
    pub fn crash(&self) {
        let mut inner = self.inner();
        inner.up = false;
        inner.agents.clear();
        inner.seats.clear();
    }

    /// Starts it again, empty.
    pub fn restart(&self) {
        self.inner().up = true;
    }

    /// Messages that were doubled so far.
    pub fn doubled(&self) -> u64 {
        self.inner().doubled
    }

    /// A bridge takes its seat; `window` as it would announce half its receive maximum.
    pub fn seat(&self, window: u16) -> Option<(SimSeat, mpsc::Receiver<Heard>)> {
        let mut inner = self.inner();
        if !inner.up {
            return None;
        }
        let most = 2 * usize::from(window);
        let (heard, hears) = mpsc::channel(most + 2);
        heard.try_send(Heard::Ready(Fit::default())).ok()?;
        let number = inner.number();
        let waiting = VecDeque::new();
        inner
            .seats
            .insert(number, Seat { heard, in_flight: 0, most, next: 0, waiting, open: true });
        Some((SimSeat { broker: self.clone(), number }, hears))
    }

    /// Sends something on its way, as the faults have it: not at all, once or twice, soon or late.
    fn send(&self, arrive: impl Fn(&Self) + Clone + 'static) {
        let (copies, delays) = {
            let mut inner = self.inner();
            let Faults { lost, doubled, late, .. } = inner.faults;
            let mut copies = 1;
            if inner.chance(lost) {
                copies = 0;
            } else if inner.chance(doubled) {
                copies = 2;
                inner.doubled += 1;
            }
            let delays: Vec<Duration> = (0..copies).map(|_| inner.delay(late)).collect();
            (copies, delays)
        };
        for delay in delays.into_iter().take(copies) {
            let (broker, arrive) = (self.clone(), arrive.clone());
            tokio::task::spawn_local(async move {
                sleep(delay).await;
                arrive(&broker);
            });
        }
    }

    /// An agent's message is there.
    fn up(&self, subject: SubjectId, kind: &'static str, bytes: &Bytes) {
        let mut inner = self.inner();
        if !inner.up {
            return;
        }
        let open: Vec<u64> =
            inner.seats.iter().filter(|(_, seat)| seat.open).map(|(number, _)| *number).collect();
        inner.turn = inner.turn.wrapping_add(1);
        let count = u64::try_from(open.len()).unwrap_or(0);
        let chosen = inner.turn.checked_rem(count).and_then(|place| usize::try_from(place).ok());
        let Some(&number) = chosen.and_then(|place| open.get(place)) else {
            inner.trace.note("broker", "nobody");
            inner.down(subject, Answer::Nobody);
            return;
        };
        inner.trace.note("broker", kind);
        let topic = Bytes::from(format!("imprimatur/v1/{subject}/{kind}"));
        if let Some(seat) = inner.seats.get_mut(&number) {
            if seat.waiting.len() < QUEUE {
                seat.waiting.push_back((topic, bytes.clone()));
            }
            seat.bring();
        }
    }

    /// An answer of a bridge is there.
    fn answer(&self, topic: &str, payload: &[u8]) {
        let mut inner = self.inner();
        let mut parts = topic.rsplit('/');
        let (kind, subject) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let Ok(subject) = subject.parse::<SubjectId>() else { return };
        let mut payload = payload.to_vec();
        let forged = inner.faults.forged;
        if !payload.is_empty() && inner.chance(forged) {
            let place = inner.rng.usize(0..payload.len());
            if let Some(byte) = payload.get_mut(place) {
                *byte ^= 1 << inner.rng.u8(0..8);
            }
        }
        let payload = Bytes::from(payload);
        let answer = match kind {
            "verdict" => Answer::Verdict(payload),
            "receipt" => Answer::Receipt(payload),
            "answer" => Answer::Rights(payload),
            "busy" => Answer::Busy(payload),
            _ => return,
        };
        inner.trace.note("broker", kind);
        inner.down(subject, answer);
    }
}

impl Inner {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn chance(&mut self, of_1000: u32) -> bool {
        self.rng.u32(0..1000) < of_1000
    }

    fn delay(&mut self, late: u32) -> Duration {
        let quick = u64::try_from(QUICK.as_millis()).unwrap_or(1);
        let delay = Duration::from_millis(self.rng.u64(1..=quick));
        if self.chance(late) { delay + LATE } else { delay }
    }

    fn down(&self, subject: SubjectId, answer: Answer) {
        if let Some((_, hears)) = self.agents.get(&subject) {
            drop(hears.try_send(answer));
        }
    }
}

impl Seat {
    /// Brings what waits, as far as the bridge may hold it.
    fn bring(&mut self) {
        while self.in_flight < self.most {
            let Some((topic, payload)) = self.waiting.pop_front() else { return };
            self.next = self.next.checked_add(1).unwrap_or(1);
            let message = Message { id: self.next, topic, payload };
            if self.heard.try_send(Heard::Message(message)).is_err() {
                return;
            }
            self.in_flight += 1;
        }
    }
}

/// A bridge's end.
#[derive(Debug)]
pub struct SimSeat {
    broker: SimBroker,
    number: u64,
}

impl Drop for SimSeat {
    fn drop(&mut self) {
        self.broker.inner().seats.remove(&self.number);
    }
}

impl SimSeat {
    fn tell(&self, said: fn() -> Heard) {
        let (broker, number) = (self.broker.clone(), self.number);
        let delay = broker.inner().delay(0);
        tokio::task::spawn_local(async move {
            sleep(delay).await;
            let heard = broker.inner().seats.get(&number).map(|seat| seat.heard.clone());
            if let Some(heard) = heard {
                drop(heard.send(said()).await);
            }
        });
    }
}

impl Broker for SimSeat {
    fn publish(&mut self, topic: String, payload: Vec<u8>) -> Result<(), Full> {
        if !self.broker.inner().seats.contains_key(&self.number) {
            return Err(Full);
        }
        self.broker.send(move |broker| broker.answer(&topic, &payload));
        self.tell(|| Heard::Taken);
        Ok(())
    }

    fn acknowledge(&mut self, _id: u16) -> Result<(), Full> {
        let mut inner = self.broker.inner();
        let seat = inner.seats.get_mut(&self.number).ok_or(Full)?;
        seat.in_flight = seat.in_flight.saturating_sub(1);
        seat.bring();
        Ok(())
    }

    fn unsubscribe(&mut self) -> Result<(), Full> {
        self.broker.inner().seats.get_mut(&self.number).ok_or(Full)?.open = false;
        self.tell(|| Heard::Unsubscribed);
        Ok(())
    }

    fn disconnect(&mut self) -> Result<(), Full> {
        self.broker.inner().seats.remove(&self.number);
        Ok(())
    }
}

impl Dial for SimBroker {
    type Wire = SimWire;

    async fn open(&self, subject: SubjectId) -> Result<SimWire, WireError> {
        let delay = self.inner().delay(0);
        sleep(delay).await;
        let mut inner = self.inner();
        if !inner.up {
            return Err(WireError::Connection("the broker is down".into()));
        }
        let (into, hears) = mpsc::channel(ANSWERS);
        let number = inner.number();
        inner.agents.insert(subject, (number, into));
        Ok(SimWire { broker: self.clone(), subject, number, hears })
    }
}

/// An agent's connection.
#[derive(Debug)]
pub struct SimWire {
    broker: SimBroker,
    subject: SubjectId,
    number: u64,
    hears: mpsc::Receiver<Answer>,
}

impl Drop for SimWire {
    fn drop(&mut self) {
        let mut inner = self.broker.inner();
        if inner.agents.get(&self.subject).is_some_and(|(number, _)| *number == self.number) {
            inner.agents.remove(&self.subject);
        }
    }
}

impl Wire for SimWire {
    fn publish(&mut self, topic: Topic, bytes: &[u8]) -> bool {
        let kind = match topic {
            Topic::Consent => "consent",
            Topic::Batch => "batch",
            Topic::Request => "request",
        };
        let (subject, bytes) = (self.subject, Bytes::copy_from_slice(bytes));
        self.broker.send(move |broker| broker.up(subject, kind, &bytes));
        true
    }

    async fn next(&mut self) -> Result<Answer, WireError> {
        self.hears.recv().await.ok_or(WireError::Ended)
    }

    async fn close(self) {}
}
