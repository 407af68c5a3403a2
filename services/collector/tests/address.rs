//! The address of who connects comes to rest nowhere: in no file of the collector and in no line of its log.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use std::fmt::{Debug, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Mutex;

use imprimatur_collector::{Collector, CollectorSettings};
use imprimatur_consent::Category;
use imprimatur_proto::consent::v1::Decision;
use imprimatur_proto::ingest::v1::collector_service_client::CollectorServiceClient;
use imprimatur_proto::ingest::v1::{RecordConsentRequest, SubmitRequest};
use imprimatur_runtime::clock::ManualClock;
use tokio_stream::iter;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::rig::{TODAY, batch, decision, print, sealed, signed};

/// One of this host's own addresses, which stands nowhere by chance.
const PEER: Ipv4Addr = Ipv4Addr::new(127, 83, 21, 7);

/// Every line of this project's own programs.
static LINES: Mutex<String> = Mutex::new(String::new());

struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("imprimatur")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line;

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(LINES.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

/// The files below a folder that hold the address, as text or as the bytes of a socket.
fn holding(folder: &Path) -> Vec<String> {
    let (text, mapped) = (PEER.to_string(), PEER.to_ipv6_mapped().octets());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let has = |what: &[u8]| bytes.windows(what.len()).any(|piece| piece == what);
            if has(text.as_bytes()) || has(&mapped) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn the_address_of_a_peer_is_in_no_file_and_in_no_line() {
    tracing::subscriber::set_global_default(Lines).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let settings = CollectorSettings::local(data.clone());
    let collector = Collector::open(settings, ManualClock::at(TODAY.start())).unwrap();
    let stop = CancellationToken::new();
    let running = collector.start(stop.clone()).await.unwrap();

    let endpoint = Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let channel = endpoint.local_address(Some(PEER.into())).connect().await.unwrap();
    let mut client = CollectorServiceClient::new(channel);
    let event = signed(&decision(1, Decision::Granted, &[Category::PrintTime]));
    client.record_consent(RecordConsentRequest { event }).await.unwrap();
    let frames = [sealed(&batch(1, vec![print()])), b"garbage".to_vec()];
    let frames = (1..).zip(frames).map(|(request, frame)| SubmitRequest { request, frame });
    let mut answers = client.submit(iter(frames.collect::<Vec<_>>())).await.unwrap().into_inner();
    let mut answered = 0;
    while answers.message().await.unwrap().is_some() {
        answered += 1;
    }
    assert_eq!(answered, 2);
    // The kernel's own table, so that the rest is no search for what was never there.
    let known = u32::from_ne_bytes(PEER.octets());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    assert!(table.contains(&format!("{known:08X}:")), "nobody came from {PEER}");
    stop.cancel();
    running.ended().await.unwrap();

    let lines = LINES.lock().unwrap().clone();
    assert!(lines.contains("the collector listens"), "{lines}");
    assert!(!lines.contains(&PEER.to_string()), "{lines}");
    assert_eq!(holding(&data), [""; 0]);
    let planted = data.join("planted");
    std::fs::write(&planted, format!("from {PEER}:4711")).unwrap();
    assert_eq!(holding(&data), [planted.display().to_string()]);
}
