//! The bridge as a process that can be killed, between the two made-up networks.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use imprimatur_bridge::link::{Called, Collector};
use imprimatur_bridge::session::{Ended, run_over};
use imprimatur_bridge::{Counters, Lost};
use imprimatur_collector::service::Door;
use imprimatur_proto::ingest::v1::collector_service_server::CollectorService as _;
use imprimatur_proto::ingest::v1::{
    ExerciseRequest, RecordConsentRequest, SubmitRequest, SubmitResponse,
};
use imprimatur_runtime::entropy::Backoff;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use crate::broker::SimBroker;
use crate::collector::Node;

/// Batches of a bridge under way.
const WINDOW: u16 = 8;

/// The way from bridges to the collector. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Way(Arc<Mutex<Ends>>);

#[derive(Debug)]
struct Ends {
    door: Option<(Door, CancellationToken)>,
    whole: CancellationToken,
    rng: fastrand::Rng,
}

impl Way {
    /// A way that leads nowhere yet.
    pub fn new(rng: fastrand::Rng) -> Self {
        Self(Arc::new(Mutex::new(Ends { door: None, whole: CancellationToken::new(), rng })))
    }

    /// Leads to what runs now.
    pub fn lead_to(&self, node: &Node) {
        self.ends().door = node.door();
    }

    /// Breaks all connections; new ones can be made.
    pub fn cut(&self) {
        let mut ends = self.ends();
        ends.whole.cancel();
        ends.whole = CancellationToken::new();
    }

    fn ends(&self) -> std::sync::MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> Option<Connection> {
        let ends = self.ends();
        let (door, gone) = ends.door.clone().filter(|(_, gone)| !gone.is_cancelled())?;
        Some(Connection { door, gone, whole: ends.whole.clone(), way: self.clone() })
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.ends().rng.u64(1..=60))
    }
}

/// One connection to the collector.
#[derive(Clone, Debug)]
struct Connection {
    door: Door,
    gone: CancellationToken,
    whole: CancellationToken,
    way: Way,
}

impl Connection {
    /// Waits for an answer, as long as both ends and the way last.
    async fn whole<T>(&self, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Lost> {
        let delays = [self.way.delay(), self.way.delay()];
        let told = async {
            sleep(delays[0]).await;
            let answer = answer.await;
            sleep(delays[1]).await;
            answer
        };
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(Lost::StreamEnded),
            () = self.whole.cancelled() => Err(Lost::StreamEnded),
            told = told => told.map_err(|status| Lost::Collector(Box::new(status))),
        }
    }
}

impl Collector for Connection {
    async fn submit(
        self,
        mut frames: mpsc::Receiver<SubmitRequest>,
        answers: mpsc::Sender<SubmitResponse>,
    ) -> Lost {
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = self.gone.cancelled() => return Lost::StreamEnded,
                () = self.whole.cancelled() => return Lost::StreamEnded,
                Some(told) = under_way.next() => match told {
                    Ok(answer) => if answers.send(answer).await.is_err() {
                        return Lost::StreamEnded;
                    },
                    Err(lost) => return lost,
                },
                frame = frames.recv() => {
                    let Some(frame) = frame else { return Lost::StreamEnded };
                    let this = self.clone();
                    under_way.push(async move {
                        let answer = this.door.submit_one(Request::new(frame));
                        this.whole(async { Ok(answer.await?.into_inner()) }).await
                    });
                }
            }
        }
    }

    async fn record(self, event: Vec<u8>) -> Result<Called, Lost> {
        let answer = self.door.record_consent(Request::new(RecordConsentRequest { event }));
        called(self.whole(async { Ok(answer.await.map(|told| told.into_inner().receipt)) }).await?)
    }

    async fn exercise(self, message: Vec<u8>) -> Result<Called, Lost> {
        let answer = self.door.exercise(Request::new(ExerciseRequest { message }));
        called(self.whole(async { Ok(answer.await.map(|told| told.into_inner().answer)) }).await?)
    }
}

fn called(told: Result<Vec<u8>, Status>) -> Result<Called, Lost> {
    match told {
        Ok(answer) => Ok(Called::Answer(answer)),
        Err(status) if status.code() == Code::ResourceExhausted => {
            Ok(Called::Busy(Duration::from_secs(2)))
        }
        Err(status) if status.code() == Code::Unavailable => Err(Lost::Collector(Box::new(status))),
        Err(_refused) => Ok(Called::Refused),
    }
}

/// A bridge, running or not.
#[derive(Debug)]
pub struct Bridge {
    stop: CancellationToken,
    task: JoinHandle<()>,
    ended: Rc<RefCell<bool>>,
}

impl Bridge {
    /// One more bridge.
    pub fn start(broker: &SimBroker, way: &Way) -> Self {
        let (stop, ended) = (CancellationToken::new(), Rc::new(RefCell::new(false)));
        let work = work(broker.clone(), way.clone(), stop.clone(), Rc::clone(&ended));
        Self { stop, task: tokio::task::spawn_local(work), ended }
    }

    /// Takes it away.
    pub fn kill(&self) {
        self.task.abort();
    }

    /// Tells it to end; it answers what is under way.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether it ended by itself, after it was told to.
    pub fn ended(&self) -> bool {
        *self.ended.borrow()
    }
}

async fn work(broker: SimBroker, way: Way, stop: CancellationToken, ended: Rc<RefCell<bool>>) {
    let counters = Counters::default();
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
    while !stop.is_cancelled() {
        let connected = way.connect();
        let seat = connected.and_then(|connection| Some((connection, broker.seat(WINDOW)?)));
        if let Some((connection, seat)) = seat {
            let told = &mut |_progress| backoff.reset();
            let session =
                run_over(seat, connection, JoinSet::new(), WINDOW, &counters, told, &stop);
            if let Ended::Stopped(_) = session.await {
                break;
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = sleep(backoff.wait()) => {}
        }
    }
    *ended.borrow_mut() = true;
}
