//! The session's logic over stand-ins in memory, in tokio's paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use imprimatur_bridge::config::{ANSWER_WITHIN, DRAIN_WITHIN, READY_WITHIN, TAKEN_WITHIN};
use imprimatur_bridge::link::{Broker, Called, Collector, Fit, Full, Heard, Message};
use imprimatur_bridge::session::{Ended, run_over};
use imprimatur_bridge::{Counters, Lost};
use imprimatur_proto::ingest::v1::{SubmitRequest, SubmitResponse};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{subject, until};

/// What the session did to its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    Published(String, Vec<u8>),
    Acknowledged(u16),
    Unsubscribed,
    Disconnected,
}

/// A broker that remembers, and takes what is published if it is told to.
struct Stand {
    acts: Arc<Mutex<Vec<Act>>>,
    says: mpsc::WeakSender<Heard>,
    takes: bool,
}

impl Stand {
    fn say(&self, said: Heard) {
        if let Some(says) = self.says.upgrade() {
            says.try_send(said).unwrap();
        }
    }

    fn act(&self, act: Act) {
        self.acts.lock().unwrap().push(act);
    }
}

impl Broker for Stand {
    fn publish(&mut self, topic: String, payload: Vec<u8>) -> Result<(), Full> {
        self.act(Act::Published(topic.rsplit('/').next().unwrap().to_owned(), payload));
        if self.takes {
            self.say(Heard::Taken);
        }
        Ok(())
    }

    fn acknowledge(&mut self, id: u16) -> Result<(), Full> {
        self.act(Act::Acknowledged(id));
        Ok(())
    }

    fn unsubscribe(&mut self) -> Result<(), Full> {
        self.act(Act::Unsubscribed);
        self.say(Heard::Unsubscribed);
        Ok(())
    }

    fn disconnect(&mut self) -> Result<(), Full> {
        self.act(Act::Disconnected);
        Ok(())
    }
}

/// How the stand-in of a collector answers frames; it answers calls at once, or never.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    After(Duration),
    Twice,
    Never,
}

#[derive(Clone)]
struct Echo(Answers);

impl Collector for Echo {
    async fn submit(
        self,
        mut frames: mpsc::Receiver<SubmitRequest>,
        answers: mpsc::Sender<SubmitResponse>,
    ) -> Lost {
        while let Some(SubmitRequest { request, frame: verdict }) = frames.recv().await {
            let answer = SubmitResponse { request, verdict, retry_after_ms: 0 };
            match self.0 {
                Answers::After(time) => tokio::time::sleep(time).await,
                Answers::Twice => answers.send(answer.clone()).await.unwrap(),
                Answers::Never => continue,
            }
            if answers.send(answer).await.is_err() {
                break;
            }
        }
        Lost::StreamEnded
    }

    async fn record(self, event: Vec<u8>) -> Result<Called, Lost> {
        Ok(Called::Answer(event))
    }

    async fn exercise(self, message: Vec<u8>) -> Result<Called, Lost> {
        if self.0 == Answers::Never {
            std::future::pending::<()>().await;
        }
        Ok(Called::Answer(message))
    }
}

struct Running {
    acts: Arc<Mutex<Vec<Act>>>,
    says: mpsc::Sender<Heard>,
    counters: Counters,
    stop: CancellationToken,
    session: JoinHandle<Ended>,
    began: Instant,
}

fn start(window: u16, takes: bool, answers: Answers) -> Running {
    let (says, heard) = mpsc::channel(4096);
    let acts = Arc::default();
    let stand = Stand { acts: Arc::clone(&acts), says: says.downgrade(), takes };
    let (counters, stop) = (Counters::default(), CancellationToken::new());
    let (counting, stopping) = (counters.clone(), stop.clone());
    let session = tokio::spawn(async move {
        let tasks = JoinSet::new();
        let told = &mut |_| {};
        run_over((stand, heard), Echo(answers), tasks, window, &counting, told, &stopping).await
    });
    Running { acts, says, counters, stop, session, began: Instant::now() }
}

impl Running {
    fn ready(self) -> Self {
        self.says.try_send(Heard::Ready(Fit::default())).unwrap();
        self
    }

    fn send(&self, id: u16, leaf: &str) {
        let topic = Bytes::from(format!("imprimatur/v1/{}/{leaf}", subject()));
        let message = Message { id, topic, payload: Bytes::from(id.to_string()) };
        self.says.try_send(Heard::Message(message)).unwrap();
    }

    fn acts(&self) -> Vec<Act> {
        self.acts.lock().unwrap().clone()
    }

    /// The reason of the loss, and after which time of the session it came.
    async fn lost(self) -> (Lost, Duration) {
        match self.session.await.unwrap() {
            Ended::Lost(lost) => (lost, self.began.elapsed()),
            Ended::Stopped(stopped) => panic!("{stopped:?}"),
        }
    }
}

/// The tick between two looks, and some.
const LOOK: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_becomes_ready_is_lost_in_time() {
    let (lost, after) = start(4, true, Answers::Never).lost().await;
    assert!(matches!(lost, Lost::BrokerSilent), "{lost}");
    assert!(after >= READY_WITHIN && after < READY_WITHIN + LOOK, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_takes_no_answer_is_lost_in_time() {
    let running = start(4, false, Answers::After(Duration::ZERO)).ready();
    running.send(1, "batch");
    let (lost, after) = running.lost().await;
    assert!(matches!(lost, Lost::BrokerStalls), "{lost}");
    assert!(after >= TAKEN_WITHIN && after < TAKEN_WITHIN + LOOK, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_answers_no_frame_or_no_request_is_lost_in_time() {
    for leaf in ["batch", "request"] {
        let running = start(4, true, Answers::Never).ready();
        running.send(1, leaf);
        let (lost, after) = running.lost().await;
        assert!(matches!(lost, Lost::Silent), "{lost}");
        assert!(after >= ANSWER_WITHIN && after < ANSWER_WITHIN + LOOK, "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_without_a_word_is_gone() {
    let mut running = start(4, true, Answers::Never).ready();
    running.says = mpsc::channel(1).0;
    assert!(matches!(running.lost().await.0, Lost::BrokerGone));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_twice_counts_once() {
    let running = start(1, true, Answers::Twice).ready();
    for id in 1..=3 {
        running.send(id, "batch");
        until(|| running.counters.counts(), |counts| counts.answers_unmatched == u64::from(id))
            .await;
    }
    let expected: Vec<_> = (1..=3_u16)
        .flat_map(|id| {
            let payload = id.to_string().into_bytes();
            [Act::Published("verdict".to_owned(), payload), Act::Acknowledged(id)]
        })
        .collect();
    assert_eq!(running.acts(), expected);
}

#[tokio::test(start_paused = true)]
async fn whatever_comes_is_acknowledged_once_and_after_its_answer() {
    let running = start(8, true, Answers::After(Duration::from_millis(50))).ready();
    for id in 1..=100 {
        running.send(id, ["batch", "consent", "request", "verdict", "busy"][usize::from(id % 5)]);
    }
    let done = |acts: &Vec<Act>| {
        acts.iter().filter(|act| matches!(act, Act::Acknowledged(_))).count() == 100
    };
    let acts = until(|| running.acts(), done).await;
    let mut ids: Vec<_> = acts
        .iter()
        .filter_map(|act| if let Act::Acknowledged(id) = act { Some(*id) } else { None })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=100).collect::<Vec<_>>());
    for (at, act) in acts.iter().enumerate() {
        let dropped = matches!(act, Act::Acknowledged(id) if [3, 4].contains(&(id % 5)));
        if let Act::Acknowledged(_) = act {
            let answered = at > 0 && matches!(acts[at - 1], Act::Published(..));
            assert!(answered || dropped, "{at}: {acts:?}");
        }
    }
    let counts = running.counters.counts();
    // Eight batches were under way at once at most, and at some time more wanted to be.
    assert_eq!(counts.dropped_topic, 40);
    assert!(counts.busy_window >= 20 - 8, "{counts:?}");
    let carried = counts.batches_answered + counts.consents_answered + counts.requests_answered;
    assert_eq!(carried + counts.busy_window, 60);
}

#[tokio::test(start_paused = true)]
async fn batches_that_wait_keep_no_consent_event_waiting() {
    let running = start(4, true, Answers::After(Duration::from_secs(20))).ready();
    for id in 1..=50 {
        running.send(id, "batch");
    }
    running.send(51, "consent");
    let receipt = Act::Published("receipt".to_owned(), b"51".to_vec());
    until(|| running.acts(), |acts| acts.contains(&receipt)).await;
    assert!(running.began.elapsed() < Duration::from_secs(1));
    assert_eq!(running.counters.counts().busy_window, 46);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_brings_few_at_once_makes_the_window_smaller() {
    let running = start(64, true, Answers::Never);
    let fit = Fit { in_flight: Some(8), poor: Vec::new() };
    running.says.try_send(Heard::Ready(fit)).unwrap();
    for id in 1..=8 {
        running.send(id, "batch");
    }
    let counts = until(|| running.counters.counts(), |counts| counts.busy_window == 4).await;
    assert_eq!(counts.batches_forwarded, 4);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_unsubscribes_first_and_answers_what_still_comes() {
    let running = start(4, true, Answers::After(Duration::from_millis(50))).ready();
    running.send(1, "batch");
    until(|| running.counters.counts(), |counts| counts.batches_forwarded == 1).await;
    running.stop.cancel();
    until(|| running.acts(), |acts| acts.contains(&Act::Unsubscribed)).await;
    running.send(2, "batch");
    let acts = Arc::clone(&running.acts);
    let ended = running.session.await.unwrap();
    assert!(matches!(ended, Ended::Stopped(_)), "{ended:?}");
    let verdict = |text: &str| Act::Published("verdict".to_owned(), text.as_bytes().to_vec());
    assert_eq!(
        *acts.lock().unwrap(),
        [
            Act::Unsubscribed,
            verdict("1"),
            Act::Acknowledged(1),
            verdict("2"),
            Act::Acknowledged(2),
            Act::Disconnected
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_leaves_waits_no_longer_than_it_may() {
    let running = start(4, true, Answers::Never).ready();
    running.send(1, "batch");
    until(|| running.counters.counts(), |counts| counts.batches_forwarded == 1).await;
    let began = Instant::now();
    running.stop.cancel();
    let counters = running.counters.clone();
    running.session.await.unwrap();
    assert!(began.elapsed() <= DRAIN_WITHIN + LOOK, "{:?}", began.elapsed());
    assert_eq!(counters.counts().left_unanswered, 1);
}
