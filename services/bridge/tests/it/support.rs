//! Stand-ins and helpers: a collector that echoes, an agent, a running bridge, and a way to wait.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use imprimatur_bridge::config::ANSWER_BYTES_MAX;
use imprimatur_bridge::{
    BridgeError, BridgeSettings, BrokerAddress, Counters, Counts, Credentials,
};
use imprimatur_proto::ingest::v1::collector_service_server::{
    CollectorService, CollectorServiceServer,
};
use imprimatur_proto::ingest::v1::{
    Busy, ExerciseRequest, ExerciseResponse, RecordConsentRequest, RecordConsentResponse,
    SubmitRequest, SubmitResponse,
};
use prost::Message as _;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::broker::{BrokerSettings, EmbeddedBroker};

pub(crate) const USER: &str = "bridge";
pub(crate) const PASSWORD: &str = "a password of the tests";
/// The longest that any test waits for one thing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A request that gets the largest answer that the bridge takes.
pub(crate) const LARGE: &[u8] = b"all";
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until the condition holds; fails with the last status.
#[track_caller]
pub(crate) fn until<S: std::fmt::Debug>(
    mut status: impl FnMut() -> S,
    holds: impl Fn(&S) -> bool,
) -> impl Future<Output = S> {
    let caller = std::panic::Location::caller();
    async move {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let last = status();
            if holds(&last) {
                return last;
            }
            assert!(tokio::time::Instant::now() < end, "{caller}: still {last:?}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// A broker on loopback; port 0 for any.
pub(crate) async fn broker(port: u16) -> EmbeddedBroker {
    let mut settings = BrokerSettings::new(USER, PASSWORD);
    settings.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    EmbeddedBroker::start(settings).await.unwrap()
}

/// How the stand-in behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers all.
    Answer,
    /// Takes frames and requests and waits for a better mood before it answers.
    Wait,
    /// Refuses each consent event and each request for good, without an answer.
    Refuse,
    /// Has no time and ends the stream.
    Busy,
    /// Has no time, and says when it will have some: after [`FULL_FOR`].
    Full,
}

/// What a full collector says.
pub(crate) const FULL_FOR: Duration = Duration::from_millis(2500);
/// A frame at which the collector breaks off the stream of all.
pub(crate) const POISON: &[u8] = b"poison";

/// A collector that answers with what it got, on an event loop of its own, so that it can be killed
/// with all its connections.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    pub(crate) mood: watch::Sender<Mood>,
    kill: CancellationToken,
    dead: oneshot::Receiver<()>,
}

impl Collector {
    pub(crate) async fn start(port: u16, mood: Mood) -> Self {
        let (mood, seen) = watch::channel(mood);
        let (told, address) = oneshot::channel();
        let (died, dead) = oneshot::channel();
        let kill = CancellationToken::new();
        let killed = kill.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.unwrap();
            runtime.block_on(async move {
                let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let listener = tokio::net::TcpListener::bind(at).await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                let serve = tonic::transport::Server::builder()
                    .add_service(CollectorServiceServer::new(Echo(seen)))
                    .serve_with_incoming(TcpListenerStream::new(listener));
                tokio::select! {
                    result = serve => result.unwrap(),
                    () = killed.cancelled() => {}
                }
            });
            drop(runtime);
            died.send(()).ok();
        });
        Self { address: address.await.unwrap(), mood, kill, dead }
    }

    /// Closes everything at once, without a word.
    pub(crate) async fn kill(self) {
        self.kill.cancel();
        self.dead.await.unwrap();
    }
}

struct Echo(watch::Receiver<Mood>);

#[tonic::async_trait]
impl CollectorService for Echo {
    type SubmitStream = Pin<Box<dyn Stream<Item = Result<SubmitResponse, Status>> + Send>>;

    async fn submit(
        &self,
        request: Request<Streaming<SubmitRequest>>,
    ) -> Result<Response<Self::SubmitStream>, Status> {
        if *self.0.borrow() == Mood::Busy {
            return Err(Status::unavailable("busy"));
        }
        let mut frames = request.into_inner();
        let mut mood = self.0.clone();
        let (answers, stream) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(Ok(SubmitRequest { request, frame })) = frames.next().await {
                if mood.wait_for(|mood| *mood != Mood::Wait).await.is_err() {
                    return;
                }
                let full = *mood.borrow() == Mood::Full;
                let answer = if frame == POISON {
                    Err(Status::internal("it broke"))
                } else if full {
                    let retry_after_ms = u32::try_from(FULL_FOR.as_millis()).unwrap();
                    Ok(SubmitResponse { request, verdict: vec![], retry_after_ms })
                } else {
                    let verdict = [b"verdict of ", frame.as_slice()].concat();
                    Ok(SubmitResponse { request, verdict, retry_after_ms: 0 })
                };
                if answers.send(answer).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn submit_one(
        &self,
        _request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        Err(Status::unimplemented("the bridge streams"))
    }

    async fn record_consent(
        &self,
        request: Request<RecordConsentRequest>,
    ) -> Result<Response<RecordConsentResponse>, Status> {
        match *self.0.borrow() {
            Mood::Refuse => Err(Status::invalid_argument("no")),
            Mood::Busy | Mood::Full => Err(full()),
            Mood::Answer | Mood::Wait => {
                let receipt = [b"receipt of ", request.into_inner().event.as_slice()].concat();
                Ok(Response::new(RecordConsentResponse { receipt }))
            }
        }
    }

    async fn exercise(
        &self,
        request: Request<ExerciseRequest>,
    ) -> Result<Response<ExerciseResponse>, Status> {
        let mut mood = self.0.clone();
        let mood = mood.wait_for(|mood| *mood != Mood::Wait).await;
        match mood.map(|mood| *mood) {
            Ok(Mood::Refuse) => Err(Status::invalid_argument("no")),
            Ok(Mood::Busy | Mood::Full) | Err(_) => Err(full()),
            Ok(Mood::Answer | Mood::Wait) => {
                let message = request.into_inner().message;
                let padding =
                    if message == LARGE { vec![b'.'; ANSWER_BYTES_MAX - 64] } else { vec![] };
                let answer = [b"answer of ", message.as_slice(), &padding].concat();
                Ok(Response::new(ExerciseResponse { answer }))
            }
        }
    }
}

/// The status of a collector without time.
fn full() -> Status {
    let mut status = Status::resource_exhausted("busy");
    let hint = FULL_FOR.as_millis().to_string().parse().unwrap();
    status.metadata_mut().insert("retry-after-ms", hint);
    status
}

/// A running bridge.
pub(crate) struct Bridge {
    counters: Counters,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), BridgeError>>,
}

/// Settings for the embedded broker with short retries.
pub(crate) fn settings(broker: SocketAddr, collector: SocketAddr) -> BridgeSettings {
    settings_for(broker, USER, PASSWORD, collector)
}

/// Settings with short retries.
pub(crate) fn settings_for(
    broker: SocketAddr,
    user: &str,
    password: &str,
    collector: SocketAddr,
) -> BridgeSettings {
    let broker = BrokerAddress::new(broker.ip().to_string(), broker.port()).unwrap();
    let account = Credentials::new(user, password).unwrap();
    let retry = Duration::from_millis(100);
    BridgeSettings::new(broker, account, &format!("http://{collector}"))
        .and_then(|settings| settings.with_retry(retry, retry))
        .unwrap()
}

impl Bridge {
    pub(crate) fn start(settings: BridgeSettings) -> Self {
        let (counters, stop) = (Counters::default(), CancellationToken::new());
        let run = imprimatur_bridge::run_counted(settings, counters.clone(), stop.clone());
        Self { counters, stop, task: tokio::spawn(run) }
    }

    /// Starts one and waits until it is subscribed.
    pub(crate) async fn ready(settings: BridgeSettings) -> Self {
        let bridge = Self::start(settings);
        bridge.until(|counts| counts.sessions == 1).await;
        bridge
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters.clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counters.counts()
    }

    #[track_caller]
    pub(crate) fn until(&self, holds: impl Fn(&Counts) -> bool) -> impl Future<Output = Counts> {
        until(|| self.counts(), holds)
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("stops").unwrap().unwrap();
    }
}

/// What an agent got back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) messages: Vec<(String, String)>,
    /// Payloads on the topic `busy`; they are not among the messages.
    pub(crate) busy: Vec<Vec<u8>>,
    pub(crate) retained: usize,
    pub(crate) taken: Vec<PubAckReason>,
    pub(crate) subscribed: Vec<SubscribeReasonCode>,
    pub(crate) connected: bool,
    pub(crate) error: Option<String>,
}

/// An MQTT client, agent or not, that remembers what it sees.
pub(crate) struct Agent {
    pub(crate) id: String,
    pub(crate) client: AsyncClient,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A subject id that no other test has.
pub(crate) fn subject() -> String {
    hex::encode(imprimatur_runtime::entropy::bytes::<16>().unwrap())
}

/// Options of an agent.
pub(crate) fn options(id: &str, broker: SocketAddr) -> MqttOptions {
    let mut options = MqttOptions::new(id, broker.ip().to_string(), broker.port());
    // The library's own bound is 10 KiB, below what the broker lets through.
    options.set_clean_start(true).set_max_packet_size(Some(1 << 20));
    options
}

impl Agent {
    /// A client that connects and remembers. Its own library's log lines are not heard.
    pub(crate) fn with(options: MqttOptions) -> Self {
        let id = options.client_id();
        let (client, mut events) = AsyncClient::new(options, 256);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let memory = Arc::clone(&seen);
        let poll = async move {
            loop {
                let event = events.poll().await;
                let mut seen = memory.lock().unwrap();
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => seen.connected = true,
                    Ok(Event::Incoming(Packet::SubAck(ack))) => {
                        seen.subscribed.extend(ack.return_codes);
                    }
                    Ok(Event::Incoming(Packet::PubAck(ack))) => seen.taken.push(ack.reason),
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        seen.retained += usize::from(message.retain);
                        if message.topic.ends_with(b"/busy") && message.payload != "x" {
                            seen.busy.push(message.payload.to_vec());
                            continue;
                        }
                        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                        seen.messages.push((text(&message.topic), text(&message.payload)));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        seen.error = Some(error.to_string());
                        return;
                    }
                }
            }
        };
        let task = tokio::spawn(poll.with_subscriber(NoSubscriber::new()));
        Self { id, client, seen, task }
    }

    /// An agent of its own subject, subscribed to its answers.
    pub(crate) async fn start(broker: SocketAddr) -> Self {
        let agent = Self::with(options(&subject(), broker));
        for leaf in ["verdict", "receipt", "answer", "busy"] {
            let topic = agent.topic(leaf);
            agent.client.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
        }
        agent.until(|seen| seen.subscribed.len() == 4).await;
        agent
    }

    pub(crate) fn topic(&self, leaf: &str) -> String {
        format!("imprimatur/v1/{}/{leaf}", self.id)
    }

    pub(crate) async fn send(&self, leaf: &str, payload: impl Into<Vec<u8>>) {
        self.publish(&self.topic(leaf), QoS::AtLeastOnce, payload).await;
    }

    pub(crate) async fn publish(&self, topic: &str, qos: QoS, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, qos, false, payload.into()).await.unwrap();
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// The hints that it was sent away with.
    pub(crate) fn hints(&self) -> Vec<Duration> {
        let seen = self.seen.lock().unwrap();
        let hint = |bytes: &[u8]| Busy::decode(bytes).unwrap().retry_after_ms;
        seen.busy.iter().map(|bytes| Duration::from_millis(hint(bytes).into())).collect()
    }

    #[track_caller]
    pub(crate) fn until(&self, holds: impl Fn(&Seen) -> bool) -> impl Future<Output = Seen> {
        until(|| self.seen(), holds)
    }

    /// Sends a batch again and again, as agents do, until its verdict comes.
    pub(crate) async fn insist(&self, text: &str) {
        let wanted = (self.topic("verdict"), format!("verdict of {text}"));
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            self.send("batch", text).await;
            let look = self.until(|seen| seen.messages.contains(&wanted));
            if tokio::time::timeout(Duration::from_millis(200), look).await.is_ok() {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "no verdict; seen {:?}", self.seen());
        }
    }
}
