//! One session: a connection to each side and the messages between them.
//!
//! A session owns everything that is under way and ends as a whole: when either side is lost, both are
//! dropped, nothing that is unanswered is acknowledged, and the agents send again. So no message
//! outlives its connection, and while the collector is away the bridge is no subscriber.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use imprimatur_proto::ingest::v1::{SubmitRequest, SubmitResponse};
use imprimatur_runtime::lifecycle::Stopped;
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Publish;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::collector::{Called, Collector};
use crate::config::{
    ANSWER_BYTES_MAX, ANSWER_WITHIN, BridgeSettings, DRAIN_WITHIN, PAYLOAD_BYTES_MAX, REQUESTS_MAX,
};
use crate::counters::Counters;
use crate::error::Lost;
use crate::mqtt::{Connection, Heard};
use crate::outage::Outage;
use crate::topic::{self, Kind, Subject};

/// A session that lasted this long counts as good even if nobody sent anything.
const PROVED_AFTER: Duration = Duration::from_secs(5);
/// How often waiting messages are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the goodbye to the broker may take to leave.
const GOODBYE_WITHIN: Duration = Duration::from_millis(500);

/// How a session ended.
pub(crate) enum Ended {
    /// As asked.
    Stopped(Stopped),
    /// With the loss of a side.
    Lost(Lost),
}

/// A message under way.
struct Asked {
    subject: Subject,
    kind: Kind,
    message: Box<Publish>,
    since: Instant,
}

/// The answer to a consent event or a rights request, and what it answers.
type Calling = BoxFuture<'static, (Asked, Result<Called, Lost>)>;

struct Session<'a> {
    counters: &'a Counters,
    client: AsyncClient,
    collector: Collector,
    /// Bound: the window, which bounds what is under way too, so it is never full.
    frames: mpsc::Sender<SubmitRequest>,
    next_request: u64,
    batches: BTreeMap<u64, Asked>,
    /// Consent events and rights requests; bound: the window.
    calls: FuturesUnordered<Calling>,
    /// How many of the calls are rights requests; at most [`REQUESTS_MAX`].
    requests: usize,
}

/// Connects both sides and carries until the stop or a loss.
pub(crate) async fn run(
    settings: &BridgeSettings,
    client_id: &str,
    counters: &Counters,
    outage: &mut Outage,
    stop: &CancellationToken,
) -> Ended {
    counters.cells().collector_attempts.up();
    let connected = tokio::select! {
        () = stop.cancelled() => return Ended::Stopped(Stopped::Drained),
        connected = Collector::connect(settings) => connected,
    };
    let collector = match connected {
        Ok(collector) => collector,
        Err(lost) => return Ended::Lost(lost),
    };
    counters.cells().broker_attempts.up();
    let connection = match Connection::new(settings, client_id) {
        Ok(connection) => connection,
        Err(lost) => return Ended::Lost(lost),
    };
    let window = usize::from(settings.window);
    let (heard, messages) = mpsc::channel(window);
    let (frames, upwards) = mpsc::channel(window);
    let (downwards, answers) = mpsc::channel(window);
    let session = Session {
        counters,
        client: connection.client.clone(),
        collector: collector.clone(),
        frames,
        next_request: 1,
        batches: BTreeMap::new(),
        calls: FuturesUnordered::new(),
        requests: 0,
    };
    // Dropping the set ends both tasks and with them both connections.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection.poll(heard, counters.clone()));
    tasks.spawn(collector.submit(upwards, downwards));
    session.carry(messages, answers, tasks, outage, stop).await
}

impl Session<'_> {
    async fn carry(
        mut self,
        mut messages: mpsc::Receiver<Heard>,
        mut answers: mpsc::Receiver<SubmitResponse>,
        mut tasks: JoinSet<Lost>,
        outage: &mut Outage,
        stop: &CancellationToken,
    ) -> Ended {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut subscribed: Option<Instant> = None;
        let mut drain_until: Option<Instant> = None;
        loop {
            let step = tokio::select! {
                // Answers come first, so that the window empties before it fills.
                biased;
                () = stop.cancelled(), if drain_until.is_none() => {
                    drain_until = Some(Instant::now() + DRAIN_WITHIN);
                    Ok(())
                }
                Some(answer) = answers.recv() => {
                    self.verdict(answer).inspect(|()| outage.over())
                }
                Some((asked, called)) = self.calls.next() => {
                    self.called(&asked, called).inspect(|()| outage.over())
                }
                Some(ended) = tasks.join_next() => Err(ended.unwrap_or_else(Lost::Task)),
                Some(heard) = messages.recv(), if drain_until.is_none() => match heard {
                    Heard::Subscribed => {
                        self.counters.cells().sessions.up();
                        subscribed = Some(Instant::now());
                        outage.subscribed();
                        Ok(())
                    }
                    Heard::Message(message) => self.forward(message),
                },
                now = look.tick() => {
                    if subscribed.is_some_and(|since| now - since >= PROVED_AFTER) {
                        outage.over();
                    }
                    self.still_answering(now)
                }
            };
            if let Err(lost) = step {
                self.counters.cells().left_unanswered.add(count(self.under_way()));
                // A stop is a stop, whatever broke meanwhile.
                return match drain_until {
                    Some(_) => Ended::Stopped(self.left()),
                    None => Ended::Lost(lost),
                };
            }
            if drain_until.is_some_and(|until| self.under_way() == 0 || Instant::now() >= until) {
                self.counters.cells().left_unanswered.add(count(self.under_way()));
                let left = self.left();
                self.goodbye(tasks).await;
                return Ended::Stopped(left);
            }
        }
    }

    /// Gives a message to the collector, or drops it when it can never be valid.
    fn forward(&mut self, message: Box<Publish>) -> Result<(), Lost> {
        let Some((subject, kind)) = topic::parse(&message.topic) else {
            self.counters.cells().dropped_topic.up();
            return self.acknowledge(&message);
        };
        if message.payload.len() > PAYLOAD_BYTES_MAX {
            self.counters.cells().dropped_oversize.up();
            return self.acknowledge(&message);
        }
        let payload = message.payload.to_vec();
        let asked = Asked { subject, kind, message, since: Instant::now() };
        match kind {
            Kind::Batch => {
                let request = self.next_request;
                self.next_request += 1;
                let frame = SubmitRequest { request, frame: payload };
                self.frames.try_send(frame).map_err(|_full_or_ended| Lost::Window)?;
                self.batches.insert(request, asked);
                self.counters.cells().batches_forwarded.up();
            }
            Kind::Consent => {
                let recording = self.collector.clone().record(payload);
                self.calls.push(Box::pin(async move { (asked, recording.await) }));
                self.counters.cells().consents_forwarded.up();
            }
            Kind::Request if self.requests >= REQUESTS_MAX => {
                self.counters.cells().dropped_busy.up();
                return self.acknowledge(&asked.message);
            }
            Kind::Request => {
                let exercising = self.collector.clone().exercise(payload);
                self.calls.push(Box::pin(async move { (asked, exercising.await) }));
                self.requests += 1;
                self.counters.cells().requests_forwarded.up();
            }
        }
        Ok(())
    }

    /// Publishes a verdict and acknowledges its batch.
    fn verdict(&mut self, answer: SubmitResponse) -> Result<(), Lost> {
        let Some(asked) = self.batches.remove(&answer.request) else {
            self.counters.cells().answers_unmatched.up();
            return Ok(());
        };
        self.answer(&asked, answer.verdict)?;
        self.counters.cells().batches_answered.up();
        Ok(())
    }

    /// Publishes a receipt or an answer and acknowledges what it answers.
    fn called(&mut self, asked: &Asked, called: Result<Called, Lost>) -> Result<(), Lost> {
        let of_requests = asked.kind == Kind::Request;
        if of_requests {
            self.requests = self.requests.saturating_sub(1);
        }
        match called {
            Ok(Called::Answer(answer)) => {
                self.answer(asked, answer)?;
                let cells = self.counters.cells();
                if of_requests { &cells.requests_answered } else { &cells.consents_answered }.up();
                Ok(())
            }
            Ok(Called::Refused) => {
                self.counters.cells().dropped_refused.up();
                self.acknowledge(&asked.message)
            }
            Err(lost) => {
                self.counters.cells().left_unanswered.up();
                Err(lost)
            }
        }
    }

    /// The answer goes out before the acknowledgement, on one connection and in this order.
    fn answer(&self, asked: &Asked, payload: Vec<u8>) -> Result<(), Lost> {
        debug_assert!(payload.len() <= ANSWER_BYTES_MAX, "the client's decoding limit");
        let topic = asked.subject.answer_topic(asked.kind);
        self.client
            .try_publish(topic, QoS::AtLeastOnce, false, payload)
            .map_err(|_full| Lost::Window)?;
        self.acknowledge(&asked.message)
    }

    fn acknowledge(&self, message: &Publish) -> Result<(), Lost> {
        self.client.try_ack(message).map_err(|_full| Lost::Window)
    }

    /// Whether the oldest batch is young enough; calls have a deadline of their own.
    fn still_answering(&self, now: Instant) -> Result<(), Lost> {
        match self.batches.values().next() {
            Some(oldest) if now.duration_since(oldest.since) > ANSWER_WITHIN => Err(Lost::Silent),
            _ => Ok(()),
        }
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

    /// Lets what is queued and a DISCONNECT leave and ends the stream of frames; both peers then close
    /// their side, which ends the tasks.
    async fn goodbye(self, mut tasks: JoinSet<Lost>) {
        drop(self.frames);
        if self.client.try_disconnect().is_err() {
            return;
        }
        let closed = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE_WITHIN, closed).await.is_err() {
            tracing::debug!("a peer did not close its side in time");
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
