//! Tests of the uplink over a scripted wire: what is sent again, over which connection, and when.

use std::collections::VecDeque;

use imprimatur_consent::SubjectId;
use imprimatur_proto::canonical;
use imprimatur_proto::ingest::v1::Busy;
use tokio::time::Instant;

use super::super::wire::{Answer, Dial, Topic, WireError};
use super::super::{busy, run_over};
use super::*;
use crate::core::tests::batch;

const WITHIN: Duration = Duration::from_millis(100);

const WAIT_LAST: Duration = Duration::from_millis(160);

/// A frame on a wire: number of the connection, of the batch, and when.
type Put = (usize, u64, Instant);

/// What is answered to a batch; told its number and how often it came before.
type Script = Box<dyn FnMut(u64, usize, &[u8]) -> Option<Answer> + Send>;

#[derive(Clone)]
struct Stage {
    puts: Arc<Mutex<Vec<Put>>>,
    opened: Arc<Mutex<Vec<Instant>>>,
    script: Arc<Mutex<Script>>,
}

struct Scripted {
    stage: Stage,
    number: usize,
    heard: VecDeque<Answer>,
}

impl Dial for Stage {
    type Wire = Scripted;

    async fn open(&self, _subject: SubjectId) -> Result<Scripted, WireError> {
        let mut opened = self.opened.lock().unwrap();
        opened.push(Instant::now());
        Ok(Scripted { stage: self.clone(), number: opened.len(), heard: VecDeque::new() })
    }
}

impl super::super::wire::Wire for Scripted {
    fn publish(&mut self, topic: Topic, bytes: &[u8]) -> bool {
        if topic == Topic::Consent {
            return true;
        }
        assert_eq!(topic, Topic::Batch);
        let sequence = batch(bytes).header.unwrap().sequence;
        let mut puts = self.stage.puts.lock().unwrap();
        let before = puts.iter().filter(|(_, number, _)| *number == sequence).count();
        puts.push((self.number, sequence, Instant::now()));
        self.heard.extend(self.stage.script.lock().unwrap()(sequence, before, bytes));
        true
    }

    async fn next(&mut self) -> Result<Answer, WireError> {
        match self.heard.pop_front() {
            Some(answer) => Ok(answer),
            None => std::future::pending().await,
        }
    }

    async fn close(self) {}
}

struct Scene {
    room: Room,
    stage: Stage,
    running: Running,
}

impl Scene {
    /// An agent with so many batches to send.
    fn begin(
        batches: u64,
        script: impl FnMut(u64, usize, &[u8], &Collector) -> Option<Answer> + Send + 'static,
    ) -> Self {
        let room = Room::granted(&[Category::Status]);
        for _ in 0..batches {
            room.print();
            room.agent.seal_all().unwrap();
        }
        let (collector, mut script) = (room.collector.clone(), script);
        let script: Script =
            Box::new(move |number, before, bytes| script(number, before, bytes, &collector));
        let script = Arc::new(Mutex::new(script));
        let stage = Stage { puts: Arc::default(), opened: Arc::default(), script };
        let mut settings = UplinkSettings::new(Broker { host: String::new(), port: 0 });
        settings.answer_within = WITHIN;
        settings.idle = Duration::from_millis(20);
        settings.wait_first = Duration::from_millis(40);
        settings.wait_last = WAIT_LAST;
        let stop = CancellationToken::new();
        let over = run_over(stage.clone(), room.agent.clone(), settings, stop.clone());
        let running = Running { task: tokio::spawn(over), stop };
        Self { room, stage, running }
    }

    fn puts(&self, sequence: u64) -> Vec<(usize, Instant)> {
        let puts = self.stage.puts.lock().unwrap();
        let of = puts.iter().filter(|(_, number, _)| *number == sequence);
        of.map(|(connection, _, at)| (*connection, *at)).collect()
    }
}

fn stored(bytes: &[u8], collector: &Collector) -> Answer {
    let verdict = collector.verdict(bytes, RefusalReason::Unspecified, &[]);
    Answer::Verdict(Bytes::from(verdict))
}

#[tokio::test(start_paused = true)]
async fn one_lost_verdict_among_others_is_asked_for_again_over_the_same_connection() {
    let scene = Scene::begin(4, |number, before, bytes, collector| {
        if number == 2 && before == 0 { None } else { Some(stored(bytes, collector)) }
    });
    until("all verdicts", || waiting(&scene.room) == 0).await;
    let again = scene.puts(2);
    assert_eq!(again.len(), 2, "sent once more, and no more than that");
    assert_eq!(again[0].0, again[1].0, "over the connection that works");
    assert!(again[1].1 - again[0].1 >= WITHIN, "not before its time");
    assert!([1, 3, 4].iter().all(|number| scene.puts(*number).len() == 1));
    assert_eq!(scene.room.agent.show().unwrap().counts.sent, 5);
    scene.running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_never_comes_is_asked_for_after_growing_waits() {
    let scene = Scene::begin(
        3,
        |number, _, bytes, collector| {
            if number == 1 { None } else { Some(stored(bytes, collector)) }
        },
    );
    until("the fifth try", || scene.puts(1).len() >= 5).await;
    let tries = scene.puts(1);
    for pair in tries.windows(2) {
        assert!(pair[1].1 - pair[0].1 >= WITHIN, "a tight loop");
    }
    // The first two over one connection, as others were answered; then nobody answers at all.
    assert_eq!((tries[0].0, tries[1].0), (1, 1));
    assert!(tries[4].0 > tries[1].0);
    // Twice the first, but no more than the longest wait.
    assert!(tries[2].1 - tries[1].1 >= WAIT_LAST, "the second wait is longer");
    assert_eq!(waiting(&scene.room), 1);
    scene.running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_collector_is_left_alone_as_long_as_it_says() {
    let scene = Scene::begin(1, |_, before, bytes, collector| {
        let busy = canonical::encode(&Busy { retry_after_ms: 1100 });
        if before == 0 { Some(Answer::Busy(busy.into())) } else { Some(stored(bytes, collector)) }
    });
    until("the verdict", || waiting(&scene.room) == 0).await;
    let tries = scene.puts(1);
    assert_eq!(tries.len(), 2);
    assert!(tries[1].0 > tries[0].0, "over another connection");
    assert!(tries[1].1 - tries[0].1 >= Duration::from_millis(1100));
    scene.running.end().await;
}

#[test]
fn what_busy_says_is_bounded_and_spread() {
    for (told, first, last) in
        [(0, 1_000, 1_500), (1, 1_000, 1_500), (4_000, 4_000, 6_000), (u32::MAX, 600_000, 900_000)]
    {
        let bytes = canonical::encode(&Busy { retry_after_ms: told });
        let super::super::Left::Busy(wait) = busy(&bytes) else { panic!("not busy") };
        let bounds = Duration::from_millis(first)..=Duration::from_millis(last);
        assert!(bounds.contains(&wait), "{told} ms became {wait:?}");
    }
    let super::super::Left::Busy(wait) = busy(b"no message") else { panic!("not busy") };
    assert!(wait <= Duration::from_millis(1_500));
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_cuts_a_wait_short() {
    let scene = Scene::begin(1, |_, _, _, _| {
        let busy = canonical::encode(&Busy { retry_after_ms: 600_000 });
        Some(Answer::Busy(busy.into()))
    });
    until("the batch", || scene.puts(1).len() == 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(scene.stage.opened.lock().unwrap().len(), 1, "it waits");
    let room = &scene.room;
    room.agent.withdraw(None).unwrap();
    until("another connection", || scene.stage.opened.lock().unwrap().len() > 1).await;
    scene.running.stop.cancel();
}
