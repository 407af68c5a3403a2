//! Overload and the limits of the door: what is too much waits, is told when to come again, or is
//! closed, and nobody else notices.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use std::net::SocketAddr;
use std::time::Duration;

use imprimatur_collector::lanes::{GROUP, URGENT};
use imprimatur_collector::listen::{Limits, serve};
use imprimatur_collector::service::{Answered, RETRY_AFTER};
use imprimatur_collector::writer::Job;
use imprimatur_proto::consent::v1::Decision;
use imprimatur_proto::ingest::v1::collector_service_client::CollectorServiceClient;
use imprimatur_proto::ingest::v1::{RecordConsentRequest, SubmitRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Channel;

use crate::rig::{GRANTED, Rig, Stopped, batch, decision, granted, print, sealed, signed};

type Client = CollectorServiceClient<Channel>;

/// The door of a rig behind a listener.
async fn listening(rig: &Rig, limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(rig.door.clone(), listener, limits, CancellationToken::new()));
    address
}

async fn client(address: SocketAddr) -> Client {
    Client::connect(format!("http://{address}")).await.unwrap()
}

fn ask(request: u64, frame: &[u8]) -> SubmitRequest {
    SubmitRequest { request, frame: frame.to_vec() }
}

#[tokio::test]
async fn a_full_lane_of_batches_is_told_when_to_come_again_and_a_withdrawal_passes_it() {
    let Stopped { rig, writer, mut queue } = Rig::stopped().await;
    let frame = |number| sealed(&batch(number, vec![print()]));
    let offers: Vec<_> = (1..=u64::try_from(GROUP).unwrap())
        .map(|number| {
            let (door, frame) = (rig.door.clone(), frame(number));
            tokio::spawn(async move { door.verdict(&frame).await.unwrap() })
        })
        .collect();
    while rig.door.lanes.place().is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.door.verdict(&frame(900)).await.unwrap(), Answered::Busy(1_000));
    // A signature that does not hold is not even looked at: it is busy for everybody.
    let mut forged = frame(901);
    forged[20] ^= 1;
    let answered = rig.door.verdict(&forged).await.unwrap();
    assert!(matches!(answered, Answered::Busy(_) | Answered::Verdict(_)));
    let door = rig.door.clone();
    let withdrawal = signed(&decision(2, Decision::Withdrawn, &GRANTED));
    let told = tokio::spawn(async move { door.receipt(&withdrawal).await.unwrap() });
    while !rig.door.lanes.has_urgent() {
        tokio::task::yield_now().await;
    }
    let group = queue.group().await.unwrap();
    assert!(matches!(group.first(), Some(Job::Consent(..))), "the withdrawal is served first");
    assert_eq!(group.len(), GROUP);
    writer.step(group).unwrap();
    let receipt = told.await.unwrap();
    assert!(!receipt.is_empty());
    // What came before the withdrawal and was decided after it is refused.
    writer.step(queue.group().await.unwrap()).unwrap();
    for offer in offers {
        assert!(matches!(offer.await.unwrap(), Answered::Verdict(_)));
    }
    assert_eq!(rig.book.journal(9).unwrap().len(), 0);
    let counts = rig.book.counts().unwrap();
    assert_eq!(counts["refused.no_grant"], u64::try_from(GROUP).unwrap());
    assert!(counts["busy.batch"] >= 1);
}

#[tokio::test]
async fn a_full_lane_of_consent_is_a_status_with_a_hint() {
    let Stopped { rig, writer: _, queue: _queue } = Rig::stopped().await;
    let event = |number| signed(&decision(number, Decision::Withdrawn, &GRANTED[..1]));
    let waiting: Vec<_> = (2..u64::try_from(URGENT).unwrap() + 2)
        .map(|number| {
            let (door, event) = (rig.door.clone(), event(number));
            tokio::spawn(async move { door.receipt(&event).await.is_ok() })
        })
        .collect();
    while rig.door.lanes.urgent_place(true).is_ok() {
        tokio::task::yield_now().await;
    }
    let address = listening(&rig, Limits::default()).await;
    let mut client = client(address).await;
    let busy = client.record_consent(RecordConsentRequest { event: event(900) }).await.unwrap_err();
    assert_eq!(busy.code(), Code::ResourceExhausted);
    assert_eq!(busy.metadata().get(RETRY_AFTER).unwrap().to_str().unwrap(), "1000");
    let busy = rig.door.rights(b"anything").await.unwrap_err();
    assert_eq!(busy.code(), Code::ResourceExhausted);
    // Batches have places of their own.
    assert!(rig.door.lanes.place().is_ok());
    drop(waiting);
}

#[tokio::test]
async fn busy_is_said_on_the_stream_and_in_one_call_alike() {
    let Stopped { rig, writer: _, queue: _queue } = Rig::stopped().await;
    let places: Vec<_> = (0..GROUP).map(|_| rig.door.lanes.place().unwrap()).collect();
    let address = listening(&rig, Limits::default()).await;
    let mut client = client(address).await;
    let frame = sealed(&batch(1, vec![print()]));
    let one = client.submit_one(ask(7, &frame)).await.unwrap().into_inner();
    assert_eq!((one.request, one.verdict.len(), one.retry_after_ms), (7, 0, 1_000));
    let frames = tokio_stream::iter([ask(8, &frame)]);
    let mut answers = client.submit(frames).await.unwrap().into_inner();
    let streamed = answers.message().await.unwrap().unwrap();
    assert_eq!((streamed.request, streamed.verdict.len(), streamed.retry_after_ms), (8, 0, 1_000));
    drop(places);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_with_a_clear_status() {
    let rig = granted().await;
    let mut client = client(listening(&rig, Limits::default()).await).await;
    let large = client.submit_one(ask(1, &vec![0; 70 << 10])).await.unwrap_err();
    assert_eq!(large.code(), Code::OutOfRange);
    assert!(large.message().contains("too large"), "{large}");
    let fine = client.submit_one(ask(2, &sealed(&batch(1, vec![print()])))).await.unwrap();
    assert!(!fine.into_inner().verdict.is_empty());
}

#[tokio::test]
async fn streams_above_the_limit_wait_until_another_ends() {
    let rig = granted().await;
    let limits = Limits { streams: 2, ..Limits::default() };
    let mut client = client(listening(&rig, limits).await).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let (asks, silent) = tokio::sync::mpsc::channel::<SubmitRequest>(1);
        let silent = tokio_stream::wrappers::ReceiverStream::new(silent);
        open.push((asks, client.submit(silent).await.unwrap()));
    }
    let frame = sealed(&batch(1, vec![print()]));
    let mut third = Box::pin(client.submit_one(ask(1, &frame)));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut third).await;
    assert!(early.is_err(), "a third stream was opened");
    open.pop();
    assert!(!third.await.unwrap().into_inner().verdict.is_empty());
}

#[tokio::test]
async fn a_connection_above_the_limit_is_closed_and_one_that_ends_makes_room() {
    let rig = granted().await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let address = listening(&rig, limits).await;
    let mut first = client(address).await;
    let frame = sealed(&batch(1, vec![print()]));
    first.submit_one(ask(1, &frame)).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(second.read(&mut [0; 9]).await.unwrap_or(0), 0, "it is closed without a word");
    drop(first);
    while let Err(_still_taken) = Client::connect(format!("http://{address}")).await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_or_stops_half_way_is_let_go() {
    let rig = granted().await;
    let short = Duration::from_millis(200);
    let limits = Limits {
        connections: 1,
        call_within: short,
        preface_within: short,
        ping_every: short,
        pong_within: short,
        ..Limits::default()
    };
    let address = listening(&rig, limits).await;
    // Silent from the start.
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.unwrap_or(0);
    // HEADERS of a call, and never the message: the call ends, then the peer is asked and is gone.
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    half.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    half.write_all(&headers()).await.unwrap();
    let mut said = Vec::new();
    half.read_to_end(&mut said).await.unwrap_or(0);
    let types: Vec<u8> = frame_types(&said);
    assert!(types.contains(&1), "the call was answered: {types:?}");
    assert!(types.contains(&6), "the peer was asked whether it is there: {types:?}");
    // The only place is free again.
    let mut honest = loop {
        if let Ok(honest) = Client::connect(format!("http://{address}")).await {
            break honest;
        }
    };
    let frame = sealed(&batch(1, vec![print()]));
    assert!(honest.submit_one(ask(1, &frame)).await.is_ok());
}

#[tokio::test]
async fn a_silent_stream_is_ended() {
    let mut rig = granted().await;
    rig.door.stream_idle = Duration::from_millis(100);
    let mut client = client(listening(&rig, Limits::default()).await).await;
    let silent = tokio_stream::pending::<SubmitRequest>();
    let mut answers = client.submit(silent).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap(), None);
}

/// A HEADERS frame that opens stream 1 for `SubmitOne`, with literal fields.
fn headers() -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let mut literal = |name: &[u8], value: &[u8]| {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text);
        }
    };
    literal(b":path", b"/imprimatur.ingest.v1.CollectorService/SubmitOne");
    literal(b":authority", b"localhost");
    literal(b"content-type", b"application/grpc");
    literal(b"te", b"trailers");
    let length = u8::try_from(block.len()).unwrap();
    [&[0, 0, length, 1, 4, 0, 0, 0, 1], block.as_slice()].concat()
}

/// The types of the frames in these bytes.
fn frame_types(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        types.push(head[3]);
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        bytes = rest.get(length..).unwrap_or_default();
    }
    types
}
