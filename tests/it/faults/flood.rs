//! A device that offers batches over MQTT as it is told: as they are answered, or regardless of that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use imprimatur_testkit::oracle::History;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::direct::{Word, batch};
use super::history;
use super::load::DRAINED;
use crate::wire::{Voice, topic};

/// Batches that a device keeps until they are answered; a flood offers them again and again.
const KEPT: usize = 128;

/// How often a device looks whether it has something to offer.
const LOOK: Duration = Duration::from_millis(5);

/// After this long a batch without an answer is offered again, by a device that does not flood.
const AGAIN: Duration = Duration::from_secs(2);

/// What a device does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offer {
    /// It has so many batches under way, and offers a new one for each that is answered.
    Answered { under_way: usize },
    /// It offers this often, whatever becomes of it.
    Regardless { a_second: u64 },
    /// It offers nothing new, and ends when all is answered.
    Rest,
}

/// What became of a device's batches.
pub(super) struct Flooded {
    /// What was issued and answered, and how many batches still wait.
    pub(super) history: History,
    /// Frames given to the broker while it flooded.
    pub(super) offered: u64,
    /// Times that it was told to come again.
    pub(super) busy: u64,
}

/// A batch without an answer.
struct Kept {
    frame: Vec<u8>,
    offered: Option<Instant>,
}

/// What the broker brought.
#[derive(Default)]
struct Heard {
    answers: History,
    busy: u64,
}

/// A device.
pub(super) struct Flood {
    voice: Voice,
    offer: watch::Receiver<Offer>,
    client: AsyncClient,
    heard: Arc<Mutex<Heard>>,
    hearing: JoinHandle<()>,
    kept: BTreeMap<u64, Kept>,
    /// The number of the batch that was made last.
    made: u64,
    /// The number of the batch that was offered last.
    at: u64,
    done: Flooded,
}

impl Flood {
    /// Connects.
    pub(super) async fn start(port: u16, voice: Voice, offer: watch::Receiver<Offer>) -> Self {
        let subject = voice.key.subject().to_string();
        let mut options = MqttOptions::new(&subject, "127.0.0.1", port);
        options.set_clean_start(false).set_keep_alive(Duration::from_secs(30));
        options.set_session_expiry_interval(Some(600));
        let (client, mut events) = AsyncClient::new(options, 64);
        for kind in ["verdict", "busy"] {
            client.subscribe(topic(&subject, kind), QoS::AtLeastOnce).await.unwrap();
        }
        let heard = Arc::<Mutex<Heard>>::default();
        let to = Arc::clone(&heard);
        let hearing = tokio::spawn(async move {
            loop {
                // A broker that ends the connection is a way of refusing, too.
                let Ok(Event::Incoming(Packet::Publish(message))) = events.poll().await else {
                    continue;
                };
                let mut heard = to.lock().unwrap_or_else(PoisonError::into_inner);
                if message.topic.ends_with(b"/busy") {
                    heard.busy += 1;
                } else {
                    history::add_verdict(&mut heard.answers, &message.payload);
                }
            }
        });
        let history = History::default();
        let done = Flooded { history, offered: 0, busy: 0 };
        Self { voice, offer, client, heard, hearing, kept: BTreeMap::new(), made: 0, at: 0, done }
    }

    /// Offers until it may rest and all is answered, or that takes too long.
    pub(super) async fn run(mut self) -> Flooded {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut resting) = (Instant::now(), None);
        loop {
            let now = looks.tick().await;
            self.hear();
            let offer = *self.offer.borrow();
            match offer {
                Offer::Answered { under_way } => {
                    self.fill(under_way);
                    self.offer_due(now).await;
                }
                Offer::Regardless { a_second } => {
                    self.fill(KEPT);
                    let due = u128::from(a_second) * now.duration_since(last).as_micros();
                    for _ in 0..(due / 1_000_000).max(1) {
                        self.done.offered += u64::from(self.offer_next().await);
                    }
                }
                Offer::Rest => {
                    self.offer_due(now).await;
                    let since = *resting.get_or_insert(now);
                    if self.kept.is_empty() || now.duration_since(since) > DRAINED {
                        break;
                    }
                }
            }
            last = now;
        }
        self.hearing.abort();
        self.done.history.waiting = u64::try_from(self.kept.len()).unwrap();
        self.done
    }

    /// Takes what came back.
    fn hear(&mut self) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        self.done.busy += std::mem::take(&mut heard.busy);
        for answer in heard.answers.answered.drain(..) {
            self.kept.remove(&answer.sequence);
            self.done.history.answered.push(answer);
        }
    }

    /// Makes batches until so many wait.
    fn fill(&mut self, most: usize) {
        while self.kept.len() < most {
            self.made += 1;
            let Word::Batch(frame) = batch(&self.voice, self.made) else { return };
            self.done.history.issued.extend(history::issued(&frame));
            self.kept.insert(self.made, Kept { frame, offered: None });
        }
    }

    /// Offers what was never offered, or waits for too long.
    async fn offer_due(&mut self, now: Instant) {
        let due = |kept: &Kept| kept.offered.is_none_or(|at| now.duration_since(at) > AGAIN);
        let due = self.kept.iter().filter(|(_, kept)| due(kept)).map(|(&number, _)| number);
        for number in due.collect::<Vec<_>>() {
            self.publish(number).await;
        }
    }

    /// Offers the next one in turn.
    async fn offer_next(&mut self) -> bool {
        let after = self.kept.range(self.at + 1..).next().or_else(|| self.kept.iter().next());
        match after.map(|(&number, _)| number) {
            Some(number) => {
                self.at = number;
                self.publish(number).await
            }
            None => false,
        }
    }

    async fn publish(&mut self, number: u64) -> bool {
        let Some(kept) = self.kept.get_mut(&number) else { return false };
        kept.offered = Some(Instant::now());
        let to = topic(&self.voice.key.subject().to_string(), "batch");
        self.client.publish(to, QoS::AtLeastOnce, false, kept.frame.clone()).await.is_ok()
    }
}
