//! One session: a connection to each side and the messages between them.
//!
//! A session owns everything that is under way and ends as a whole: when either side is lost, both are
//! dropped, nothing that is unanswered is acknowledged, and the agents send again. So no message
//! outlives its connection, and while the collector is away the bridge is no subscriber.
//!
//! The broker brings at most `2 * window` messages without an acknowledgement. Of these at most
//! `window` are batches under way, half as many consent events, a quarter rights requests; what comes
//! beyond is answered `busy` and acknowledged at once. So there is always a free place, nothing piles
//! up in the broker, and batches never keep a withdrawal waiting.
//!
//! The logic knows its two sides as [`Broker`] and [`Collector`] only; time is tokio's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use imprimatur_proto::ingest::v1::{SubmitRequest, SubmitResponse};
use imprimatur_runtime::lifecycle::Stopped;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::leave::Leaving;
use self::pace::Pace;
pub use self::pace::{HINT_MAX, HINT_MIN};
use crate::config::{ANSWER_WITHIN, PAYLOAD_BYTES_MAX, READY_WITHIN, REQUESTS_MAX, TAKEN_WITHIN};
use crate::counters::Counters;
use crate::error::{Lost, Poor};
use crate::link::{Broker, Called, Collector, Heard, Message};
use crate::topic::{self, Kind, Subject};

mod answer;
mod leave;
mod pace;

/// A session that lasted this long counts as good even if nobody sent anything.
const PROVED_AFTER: Duration = Duration::from_secs(5);
/// How often waiting messages are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the goodbye to the broker may take to leave.
const GOODBYE_WITHIN: Duration = Duration::from_millis(500);
/// How a session ended.
#[derive(Debug)]
pub enum Ended {
    /// As asked.
    Stopped(Stopped),
    /// With the loss of a side.
    Lost(Lost),
}

/// What a session tells of itself while it lasts.
#[derive(Debug)]
pub enum Progress {
    /// Both sides are there; these things work badly.
    Ready(Vec<Poor>),
    /// It answered a message or lasted a while.
    Proved,
}

/// A message under way.
struct Asked {
    subject: Subject,
    kind: Kind,
    id: u16,
    since: Instant,
}

/// The answer to a consent event or a rights request, and what it answers.
type Calling = BoxFuture<'static, (Asked, Result<Called, Lost>)>;

struct Session<'a, B, C> {
    counters: &'a Counters,
    told: &'a mut (dyn FnMut(Progress) + Send),
    broker: B,
    collector: C,
    /// Bound: the window, which bounds what is under way too, so it is never full.
    frames: mpsc::Sender<SubmitRequest>,
    next_request: u64,
    /// Bound: the width of `batch_pace`.
    batches: BTreeMap<u64, Asked>,
    /// Consent events and rights requests; bound: the sum of their paces' widths.
    calls: FuturesUnordered<Calling>,
    consents: usize,
    requests: usize,
    batch_pace: Pace,
    consent_pace: Pace,
    request_pace: Pace,
    /// When each publish was handed over that the broker did not take yet. Bound: it holds no more than
    /// twice what the broker's channel does, which is when [`Full`] ends the session.
    untaken: VecDeque<Instant>,
    started: Instant,
    ready: Option<Instant>,
    proved: bool,
    leaving: Option<Leaving>,
}

/// Carries messages between a broker and a collector until the stop or a loss, with at most `window`
/// (1 ..= 1024) batches under way.
///
/// `heard` is what the broker's side says; its bound should be `2 * window`. `tasks` are the tasks that
/// keep the broker's side going: when one ends, the session does, with its reason. They are dropped
/// with the session; the set may be empty. `told` hears of progress.
///
/// Every wait in it has an end: 10 s until the broker is ready, 10 s until it takes a publish, 30 s for
/// an answer of the collector, 3 s to leave.
pub async fn run_over<B: Broker, C: Collector>(
    (broker, heard): (B, mpsc::Receiver<Heard>),
    collector: C,
    mut tasks: JoinSet<Lost>,
    window: u16,
    counters: &Counters,
    told: &mut (dyn FnMut(Progress) + Send),
    stop: &CancellationToken,
) -> Ended {
    let width = usize::from(window.max(1));
    let (frames, upwards) = mpsc::channel(width);
    let (downwards, answers) = mpsc::channel(width);
    tasks.spawn(collector.clone().submit(upwards, downwards));
    let mut session = Session {
        counters,
        told,
        broker,
        collector,
        frames,
        next_request: 1,
        batches: BTreeMap::new(),
        calls: FuturesUnordered::new(),
        consents: 0,
        requests: 0,
        batch_pace: Pace::new(width),
        consent_pace: Pace::new(1),
        request_pace: Pace::new(1),
        untaken: VecDeque::new(),
        started: Instant::now(),
        ready: None,
        proved: false,
        leaving: None,
    };
    session.widen(width);
    session.carry(heard, answers, tasks, stop).await
}

impl<B: Broker, C: Collector> Session<'_, B, C> {
    /// Sets the bounds of the three kinds for a window.
    fn widen(&mut self, window: usize) {
        self.batch_pace = Pace::new(window);
        self.consent_pace = Pace::new(window / 2);
        self.request_pace = Pace::new((window / 4).min(REQUESTS_MAX));
    }

    async fn carry(
        mut self,
        mut heard: mpsc::Receiver<Heard>,
        mut answers: mpsc::Receiver<SubmitResponse>,
        mut tasks: JoinSet<Lost>,
        stop: &CancellationToken,
    ) -> Ended {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let wake = self.wake();
            let step = tokio::select! {
                // Answers come first, so that the window empties before it fills.
                biased;
                () = stop.cancelled(), if self.leaving.is_none() => self.leave(),
                Some(answer) = answers.recv() => self.verdict(answer),
                Some((asked, called)) = self.calls.next() => self.called(&asked, called),
                Some(ended) = tasks.join_next() => Err(ended.unwrap_or_else(Lost::Task)),
                said = heard.recv() => match said {
                    Some(said) => self.hear(said),
                    None => Err(why(&mut tasks).await),
                },
                () = tokio::time::sleep_until(wake), if self.leaving.is_some() => Ok(()),
                now = look.tick() => self.look(now),
            };
            if let Err(lost) = step {
                self.counters.cells().left_unanswered.add(count(self.under_way()));
                // A stop is a stop, whatever broke meanwhile.
                return match self.leaving {
                    Some(_) => Ended::Stopped(self.left()),
                    None => Ended::Lost(lost),
                };
            }
            if self.may_go(Instant::now()) {
                self.counters.cells().left_unanswered.add(count(self.under_way()));
                let left = self.left();
                self.goodbye(tasks).await;
                return Ended::Stopped(left);
            }
        }
    }

    fn hear(&mut self, said: Heard) -> Result<(), Lost> {
        match said {
            Heard::Ready(fit) => {
                if let Some(in_flight) = fit.in_flight {
                    // Half for batches under way, half to say busy to.
                    let window = self.batch_pace.width().min(usize::from(in_flight) / 2);
                    self.widen(window.max(1));
                }
                self.counters.cells().sessions.up();
                self.ready = Some(Instant::now());
                (self.told)(Progress::Ready(fit.poor));
                Ok(())
            }
            Heard::Message(message) => self.forward(message),
            Heard::Taken => {
                self.untaken.pop_front();
                Ok(())
            }
            Heard::Unsubscribed => {
                if let Some(leaving) = &mut self.leaving {
                    leaving.unsubscribed = true;
                }
                Ok(())
            }
        }
    }

    /// Gives a message to the collector, says busy, or drops it when it can never be valid. Whatever it
    /// does, the message is acknowledged now, with its answer, or never by the end of the session.
    fn forward(&mut self, message: Message) -> Result<(), Lost> {
        let now = Instant::now();
        if let Some(leaving) = &mut self.leaving {
            leaving.last_message = now;
        }
        let Some((subject, kind)) = topic::parse(&message.topic) else {
            self.counters.cells().dropped_topic.up();
            return self.acknowledge(message.id);
        };
        if message.payload.len() > PAYLOAD_BYTES_MAX {
            self.counters.cells().dropped_oversize.up();
            return self.acknowledge(message.id);
        }
        let asked = Asked { subject, kind, id: message.id, since: now };
        if let Some(hint) = self.no_room(kind, now) {
            return self.busy(&asked, hint, &self.counters.cells().busy_window);
        }
        let payload = Vec::from(message.payload);
        match kind {
            Kind::Batch => {
                let request = self.next_request;
                self.next_request += 1;
                let frame = SubmitRequest { request, frame: payload };
                self.frames.try_send(frame).map_err(|_full_or_ended| Lost::StreamEnded)?;
                self.batches.insert(request, asked);
                self.counters.cells().batches_forwarded.up();
            }
            Kind::Consent => {
                let recording = within(self.collector.clone().record(payload));
                self.calls.push(Box::pin(async move { (asked, recording.await) }));
                self.consents += 1;
                self.counters.cells().consents_forwarded.up();
            }
            Kind::Request => {
                let exercising = within(self.collector.clone().exercise(payload));
                self.calls.push(Box::pin(async move { (asked, exercising.await) }));
                self.requests += 1;
                self.counters.cells().requests_forwarded.up();
            }
        }
        Ok(())
    }

    /// The hint for a message of a kind of which as many are under way as may be.
    fn no_room(&mut self, kind: Kind, now: Instant) -> Option<Duration> {
        let oldest = self.batches.values().next();
        let (pace, under_way, oldest) = match kind {
            Kind::Batch => (&mut self.batch_pace, self.batches.len(), oldest),
            Kind::Consent => (&mut self.consent_pace, self.consents, None),
            Kind::Request => (&mut self.request_pace, self.requests, None),
        };
        let waited = oldest.map_or(Duration::ZERO, |asked| now.duration_since(asked.since));
        (under_way >= pace.width()).then(|| pace.turn_away(waited))
    }

    /// Whether both sides are quick enough; calls have a deadline of their own.
    fn look(&mut self, now: Instant) -> Result<(), Lost> {
        let since = |start: Instant| now.saturating_duration_since(start);
        if self.ready.is_none() && since(self.started) > READY_WITHIN {
            return Err(Lost::BrokerSilent);
        }
        if self.untaken.front().is_some_and(|&oldest| since(oldest) > TAKEN_WITHIN) {
            return Err(Lost::BrokerStalls);
        }
        if self.batches.values().next().is_some_and(|oldest| since(oldest.since) > ANSWER_WITHIN) {
            return Err(Lost::Silent);
        }
        if self.ready.is_some_and(|ready| since(ready) >= PROVED_AFTER) {
            self.prove();
        }
        Ok(())
    }

    fn under_way(&self) -> usize {
        self.batches.len() + self.calls.len()
    }

    fn left(&self) -> Stopped {
        match self.under_way() {
            0 => Stopped::Drained,
            left => Stopped::GraceExpired { left },
        }
    }
}

/// Ends a call that takes longer than any answer may.
async fn within(call: impl Future<Output = Result<Called, Lost>> + Send) -> Result<Called, Lost> {
    tokio::time::timeout(ANSWER_WITHIN, call).await.unwrap_or(Err(Lost::Silent))
}

/// Why the broker's side fell silent: its task says so, if it has one.
async fn why(tasks: &mut JoinSet<Lost>) -> Lost {
    match tokio::time::timeout(GOODBYE_WITHIN, tasks.join_next()).await {
        Ok(Some(ended)) => ended.unwrap_or_else(Lost::Task),
        Ok(None) | Err(_) => Lost::BrokerGone,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
