//! Tests of the uplink over real sockets, against a small broker that answers as a collector.

mod scripted;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use imprimatur_consent::Category;
use imprimatur_proto::consent::v1::{Decision, ReceiptStatus};
use imprimatur_proto::ingest::v1::RefusalReason;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Connect, ConnectReturnCode, Packet, PubAck, PubAckReason, Publish, SubAck,
    SubscribeReasonCode,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{Broker, UplinkSettings, run};
use crate::core::tests::{Collector, Room, said};
use crate::core::{Exercise, RequestOutcome};

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connects: Vec<Connect>,
    subscribed: Vec<String>,
    pub(crate) published: Vec<Publish>,
    open: usize,
    /// Bytes on the sockets, in both directions.
    carried: usize,
}

/// A broker and the collector behind it.
pub(crate) struct Wire {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
    /// Whether verdicts and answers are given; receipts always are.
    judges: Arc<AtomicBool>,
    /// Whether the broker says that nobody hears batches.
    empty: Arc<AtomicBool>,
}

impl Wire {
    pub(crate) async fn start(collector: &Collector) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), collector)
    }

    fn on(listener: TcpListener, collector: &Collector) -> Self {
        let collector = collector.clone();
        let port = listener.local_addr().unwrap().port();
        let (seen, judges) = (Arc::<Mutex<Seen>>::default(), Arc::new(AtomicBool::new(true)));
        let (into, judge) = (Arc::clone(&seen), Arc::clone(&judges));
        let empty = Arc::new(AtomicBool::new(false));
        let nobody = Arc::clone(&empty);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (into, judge) = (Arc::clone(&into), Arc::clone(&judge));
                let (collector, nobody) = (collector.clone(), Arc::clone(&nobody));
                tokio::spawn(async move {
                    into.lock().unwrap().open += 1;
                    serve(stream, &into, [&judge, &nobody], &collector).await;
                    into.lock().unwrap().open -= 1;
                });
            }
        });
        Self { port, seen, judges, empty }
    }

    pub(crate) fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        at(&self.seen.lock().unwrap())
    }

    fn payloads(&self, kind: &str) -> Vec<Vec<u8>> {
        let of = |publish: &&Publish| publish.topic.ends_with(kind.as_bytes());
        self.look(|seen| seen.published.iter().filter(of).map(|p| p.payload.to_vec()).collect())
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Seen>,
    [judges, empty]: [&AtomicBool; 2],
    collector: &Collector,
) {
    let mut buffer = BytesMut::new();
    loop {
        let packet = match Packet::read(&mut buffer, Some(1 << 16)) {
            Ok(packet) => packet,
            Err(_incomplete) => match stream.read_buf(&mut buffer).await {
                Ok(read @ 1..) => {
                    seen.lock().unwrap().carried += read;
                    continue;
                }
                _ => return,
            },
        };
        let mut replies = Vec::new();
        match packet {
            Packet::Connect(connect, will, login) => {
                assert!(will.is_none() && login.is_none());
                seen.lock().unwrap().connects.push(connect);
                let code = ConnectReturnCode::Success;
                replies.push(Packet::ConnAck(ConnAck {
                    session_present: false,
                    code,
                    properties: None,
                }));
            }
            Packet::Subscribe(subscribe) => {
                let paths = subscribe.filters.iter().map(|filter| filter.path.clone());
                seen.lock().unwrap().subscribed.extend(paths);
                let code = SubscribeReasonCode::Success(QoS::AtLeastOnce);
                let return_codes = vec![code; subscribe.filters.len()];
                let pkid = subscribe.pkid;
                replies.push(Packet::SubAck(SubAck { pkid, return_codes, properties: None }));
            }
            Packet::Publish(publish) => {
                let mut ack = PubAck::new(publish.pkid, None);
                if empty.load(Ordering::SeqCst) {
                    ack.reason = PubAckReason::NoMatchingSubscribers;
                    replies.push(Packet::PubAck(ack));
                    seen.lock().unwrap().published.push(publish);
                    continue_with(&mut stream, replies, seen).await;
                    continue;
                }
                replies.push(Packet::PubAck(ack));
                replies.extend(answer(collector, &publish, judges.load(Ordering::SeqCst)));
                seen.lock().unwrap().published.push(publish);
            }
            Packet::Disconnect(_) => return,
            _ => {}
        }
        if !continue_with(&mut stream, replies, seen).await {
            return;
        }
    }
}

/// Writes packets; false when the other side is gone.
async fn continue_with(stream: &mut TcpStream, replies: Vec<Packet>, seen: &Mutex<Seen>) -> bool {
    for reply in replies {
        let mut out = BytesMut::new();
        reply.write(&mut out, None).unwrap();
        seen.lock().unwrap().carried += out.len();
        if stream.write_all(&out).await.is_err() {
            return false;
        }
    }
    true
}

fn answer(collector: &Collector, publish: &Publish, judges: bool) -> Option<Packet> {
    let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
    let (topic, payload) = if let Some(place) = topic.strip_suffix("/consent") {
        let receipt = collector.receipt(&publish.payload, ReceiptStatus::Recorded);
        (format!("{place}/receipt"), receipt)
    } else if let Some(place) = topic.strip_suffix("/request") {
        let answer = if judges { collector.exercised(&publish.payload) } else { return None };
        (format!("{place}/answer"), answer)
    } else {
        let place = topic.strip_suffix("/batch").unwrap();
        let verdict = collector.verdict(&publish.payload, RefusalReason::Unspecified, &[]);
        (format!("{place}/verdict"), if judges { verdict } else { return None })
    };
    let mut publish = Publish::new(topic, QoS::AtMostOnce, Bytes::from(payload), None);
    publish.pkid = 0;
    Some(Packet::Publish(publish))
}

/// Waits until it holds; panics with what was seen.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), held).await.expect(what);
}

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(room: &Room, port: u16) -> Self {
        let broker = Broker { host: "127.0.0.1".to_owned(), port };
        let mut settings = UplinkSettings::new(broker);
        settings.answer_within = Duration::from_millis(300);
        settings.idle = Duration::from_millis(50);
        settings.wait_first = Duration::from_millis(10);
        settings.wait_last = Duration::from_millis(40);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(room.agent.clone(), settings, stop.clone()));
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
    }
}

fn waiting(room: &Room) -> u64 {
    room.agent.show().unwrap().batches_waiting
}

#[tokio::test]
async fn before_the_first_grant_no_connection_is_opened() {
    let (room, listener) = (Room::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let running = Running::start(&room, listener.local_addr().unwrap().port());
    room.print();
    room.agent.seal_all().unwrap();
    room.agent.refuse(&[Category::Laser]).unwrap();
    let accepted = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(accepted.is_err(), "somebody connected");
    running.end().await;
}

#[tokio::test]
async fn what_was_previewed_is_what_travels_and_then_the_line_goes_silent() {
    let room = Room::new();
    let wire = Wire::start(&room.collector).await;
    let running = Running::start(&room, wire.port);
    room.agent.grant(&[Category::Status], None).unwrap();
    until("the receipt", || room.agent.show().unwrap().confirmed).await;
    until("the end of the connection", || wire.look(|seen| seen.open) == 0).await;
    room.print();
    wire.judges.store(false, Ordering::SeqCst);
    room.agent.seal_all().unwrap();
    let preview = room.agent.preview().unwrap();
    until("the batch", || !wire.payloads("/batch").is_empty()).await;
    assert_eq!(wire.payloads("/batch")[0], preview.bytes);
    assert_eq!(waiting(&room), 1, "an acknowledgement of the broker frees nothing");
    until("the batch again", || wire.payloads("/batch").len() > 1).await;
    wire.judges.store(true, Ordering::SeqCst);
    until("the verdict", || waiting(&room) == 0).await;
    until("the end of the connection", || wire.look(|seen| seen.open) == 0).await;
    wire.look(|seen| {
        let subject = seen.connects[0].client_id.clone();
        for connect in &seen.connects {
            assert!(connect.clean_start && connect.client_id == subject);
            let properties = connect.properties.as_ref().unwrap();
            assert_eq!(properties.session_expiry_interval, Some(0));
            assert!(properties.max_packet_size.is_some() && properties.user_properties.is_empty());
        }
        let at = |kind| format!("imprimatur/v1/{subject}/{kind}");
        assert!(seen.subscribed.contains(&at("verdict")) && seen.subscribed.contains(&at("busy")));
        assert_eq!(seen.subscribed.len() % 4, 0);
        for publish in &seen.published {
            assert!(publish.qos == QoS::AtLeastOnce && !publish.retain);
            assert!(publish.topic == at("batch") || publish.topic == at("consent"));
        }
        assert!(
            seen.published.iter().all(|p| p.topic == at("consent") || p.payload == preview.bytes)
        );
    });
    running.end().await;
}

/// `docs/footprint.md` quotes the bound.
#[tokio::test]
async fn a_day_of_ten_prints_takes_one_connection_and_less_than_a_kilobyte_around_its_frame() {
    let room = Room::granted(&Category::ALL);
    let wire = Wire::start(&room.collector).await;
    for _ in 0..10 {
        room.print();
    }
    room.day();
    room.agent.seal_all().unwrap();
    let frame = room.agent.preview().unwrap().bytes.len();
    let broker = Broker { host: "127.0.0.1".to_owned(), port: wire.port };
    // Nothing is sent twice because a machine is slow.
    let settings =
        UplinkSettings { answer_within: Duration::from_mins(5), ..UplinkSettings::new(broker) };
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(room.agent.clone(), settings, stop.clone()));
    until("the verdict", || waiting(&room) == 0).await;
    until("the end of the connection", || wire.look(|seen| seen.open) == 0).await;
    let (connections, carried) = wire.look(|seen| (seen.connects.len(), seen.carried));
    assert_eq!((connections, wire.payloads("/batch").len()), (1, 1));
    assert!((frame..frame + 1000).contains(&carried), "{carried} bytes for a frame of {frame}");
    Running { stop, task }.end().await;
}

#[tokio::test]
async fn a_withdrawal_cuts_the_line_says_so_and_ends() {
    let room = Room::granted(&[Category::Status]);
    let wire = Wire::start(&room.collector).await;
    wire.judges.store(false, Ordering::SeqCst);
    for _ in 0..10 {
        room.print();
        room.agent.seal_all().unwrap();
    }
    let running = Running::start(&room, wire.port);
    until("a window of batches", || wire.payloads("/batch").len() >= 8).await;
    assert_eq!(wire.payloads("/batch").len(), 8, "more than a window is in flight");
    room.agent.withdraw(None).unwrap();
    let sent = wire.payloads("/batch").len();
    until("the withdrawal", || !wire.payloads("/consent").is_empty()).await;
    assert_eq!(said(&wire.payloads("/consent")[0]).0.decision(), Decision::Withdrawn);
    until("its receipt", || room.agent.show().unwrap().events_waiting == 0).await;
    until("silence", || wire.look(|seen| seen.open) == 0).await;
    assert_eq!(wire.payloads("/batch").len(), sent);
    let connects = wire.look(|seen| seen.connects.len());
    room.print();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(wire.look(|seen| seen.connects.len()), connects, "it spoke after the end");
    running.end().await;
}

#[tokio::test]
async fn an_absent_broker_is_tried_with_growing_waits_until_it_is_there() {
    let room = Room::new();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let running = Running::start(&room, port);
    room.agent.grant(&[Category::Status], None).unwrap();
    room.print();
    room.agent.seal_all().unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(waiting(&room), 1);
    let wire = Wire::on(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), &room.collector);
    until("the verdict", || waiting(&room) == 0).await;
    let first = wire.look(|seen| seen.published[0].topic.clone());
    assert!(first.ends_with(b"/consent"), "the grant goes first");
    running.end().await;
}

#[tokio::test]
async fn many_agents_live_in_one_process() {
    let wire = Wire::start(&Collector::new()).await;
    let rooms: Vec<_> = (0..20).map(|_| Room::new()).collect();
    let running: Vec<_> = rooms.iter().map(|room| Running::start(room, wire.port)).collect();
    for room in &rooms {
        room.agent.grant(&[Category::Status], None).unwrap();
        room.print();
        room.agent.seal_all().unwrap();
    }
    until("all verdicts", || rooms.iter().all(|room| waiting(room) == 0)).await;
    let mut subjects: Vec<_> =
        wire.look(|seen| seen.connects.iter().map(|c| c.client_id.clone()).collect());
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 20);
    for one in running {
        one.end().await;
    }
}

#[tokio::test]
async fn an_owners_requests_are_answered_step_by_step_and_then_the_line_goes_silent() {
    let room = Room::granted(&[Category::Status]);
    let wire = Wire::start(&room.collector).await;
    let running = Running::start(&room, wire.port);
    let outcome = || room.agent.requests().unwrap().last().map(|line| line.outcome);
    room.agent.exercise(&Exercise::Export {}).unwrap();
    until("the export", || outcome() == Some(RequestOutcome::Done)).await;
    assert_eq!(wire.payloads("/request").len(), 3, "a challenge and two pages");
    let line = room.agent.requests().unwrap().remove(0);
    assert!(line.pages == 2 && room.agent.page(line.number, 1).unwrap().is_some());
    room.agent.exercise(&Exercise::Erase {}).unwrap();
    until("the erasure", || outcome() == Some(RequestOutcome::Done)).await;
    assert_eq!(said(&wire.payloads("/consent")[0]).0.decision(), Decision::Withdrawn);
    until("silence", || wire.look(|seen| seen.open) == 0).await;
    assert_eq!(room.agent.errand().unwrap(), None);
    running.end().await;
}

#[tokio::test]
async fn requests_that_nobody_answers_do_not_hold_up_batches() {
    let room = Room::granted(&[Category::Status]);
    let wire = Wire::start(&room.collector).await;
    wire.judges.store(false, Ordering::SeqCst);
    let running = Running::start(&room, wire.port);
    room.agent.exercise(&Exercise::Explain {}).unwrap();
    until("the request", || !wire.payloads("/request").is_empty()).await;
    room.print();
    room.agent.seal_all().unwrap();
    until("the batch", || !wire.payloads("/batch").is_empty()).await;
    wire.judges.store(true, Ordering::SeqCst);
    room.clock.advance(Duration::from_secs(121));
    let outcome = || room.agent.requests().unwrap()[0].outcome;
    until("the answer", || outcome() == RequestOutcome::Done).await;
    until("the verdict", || waiting(&room) == 0).await;
    running.end().await;
}

#[tokio::test]
async fn when_the_broker_reaches_nobody_the_line_is_left_at_once() {
    let room = Room::granted(&[Category::Status]);
    let wire = Wire::start(&room.collector).await;
    wire.empty.store(true, Ordering::SeqCst);
    room.print();
    room.agent.seal_all().unwrap();
    let broker = Broker { host: "127.0.0.1".to_owned(), port: wire.port };
    let mut settings = UplinkSettings::new(broker);
    // Without the broker's word it would wait for an answer longer than this test does.
    settings.answer_within = Duration::from_mins(5);
    settings.wait_first = Duration::from_millis(10);
    settings.wait_last = Duration::from_millis(40);
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(room.agent.clone(), settings, stop.clone()));
    until("a second attempt", || wire.payloads("/batch").len() > 1).await;
    assert_eq!(waiting(&room), 1, "nothing is freed by it");
    wire.empty.store(false, Ordering::SeqCst);
    until("the verdict", || waiting(&room) == 0).await;
    Running { stop, task }.end().await;
}
