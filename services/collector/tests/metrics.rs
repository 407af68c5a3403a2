//! Metrics: what they count, whom they do not name, and what a door without an account stands.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use std::net::SocketAddr;
use std::sync::Arc;

use imprimatur_collector::answer::reason_name;
use imprimatur_collector::metrics::{Numbers, serve};
use imprimatur_proto::ingest::v1::Outcome;
use imprimatur_testkit::web;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::rig::{Rig, batch, granted, owner, print, sealed};

/// The numbers of a rig behind a listener.
async fn told(rig: &Rig, stop: &CancellationToken) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let numbers = Numbers::new(rig.book.clone(), Arc::clone(&rig.door.tally));
    tokio::spawn(serve(listener, numbers, stop.clone()));
    address
}

/// How many answers of a kind the text tells.
fn answers(text: &str, outcome: &str, reason: &str) -> u64 {
    let kind =
        format!("imprimatur_collector_answers_total{{outcome=\"{outcome}\",reason=\"{reason}\"}} ");
    text.lines()
        .find_map(|line| line.strip_prefix(&kind))
        .map_or(0, |number| number.parse().unwrap())
}

#[tokio::test]
async fn answers_are_counted_by_kind_and_never_fall() {
    let mut rig = granted().await;
    let stop = CancellationToken::new();
    let address = told(&rig, &stop).await;
    let frame = sealed(&batch(1, vec![print()]));
    assert_eq!(rig.submit(&frame).await.outcome(), Outcome::Stored);
    rig.submit(&frame).await;
    assert_eq!(reason_name(rig.submit(b"no frame").await.reason()), "unknown_field");

    let before = web::ask(address, "GET", "/metrics").await.unwrap();
    assert!(before.starts_with("HTTP/1.1 200") && before.contains("openmetrics-text"), "{before}");
    assert!(before.ends_with("# EOF\n"), "{before}");
    let kinds = [("stored", "", 1), ("repeated", "", 1), ("refused", "unknown_field", 1)];
    for (outcome, reason, count) in kinds {
        assert_eq!(answers(&before, outcome, reason), count, "{before}");
    }
    for line in ["imprimatur_collector_subjects 1", "imprimatur_collector_unpublished 2"] {
        assert!(before.lines().any(|told| told == line), "{line}: {before}");
    }

    // What goes from memory to the book is counted once.
    rig.publish();
    let after = web::ask(address, "GET", "/metrics").await.unwrap();
    for (outcome, reason, count) in kinds {
        assert_eq!(answers(&after, outcome, reason), count, "{after}");
    }
    assert!(after.contains("imprimatur_collector_unpublished 0"), "{after}");

    // Nobody is named: every label is a word of the code.
    let subject = owner().subject().to_string();
    let begin = subject.get(..12).unwrap();
    let named = |text: &str| text.contains(begin);
    assert!(!named(&before) && !named(&after), "{before}");
    assert!(named(&format!("subject=\"{subject}\"")), "the look would find it");
    stop.cancel();
}

#[tokio::test]
async fn a_scrape_between_tally_and_book_tells_no_less_than_the_one_before() {
    let rig = granted().await;
    rig.door.tally.count("busy.batch");
    let numbers = Numbers::new(rig.book.clone(), Arc::clone(&rig.door.tally));
    assert_eq!(answers(&numbers.text().unwrap(), "busy", "batch"), 1);
    // On their way: no longer in the tally, not yet in the book.
    let way = rig.book.begin().unwrap();
    rig.door.tally.settle(&way, rig::TODAY).unwrap();
    assert_eq!(rig.book.counts().unwrap().get("busy.batch"), None);
    assert_eq!(answers(&numbers.text().unwrap(), "busy", "batch"), 1);
    way.commit().unwrap();
    assert_eq!(answers(&numbers.text().unwrap(), "busy", "batch"), 1);
}

#[tokio::test]
async fn everything_else_is_refused_and_nobody_can_hold_the_door() {
    let rig = granted().await;
    let stop = CancellationToken::new();
    let address = told(&rig, &stop).await;
    let answer = web::ask(address, "GET", "/").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("/metrics"), "{answer}");
    let answer = web::ask(address, "POST", "/metrics").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    let mut odd = TcpStream::connect(address).await.unwrap();
    odd.write_all(&[0xff; 64]).await.unwrap();
    let mut answer = Vec::new();
    odd.read_to_end(&mut answer).await.unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains("imprimatur_collector"));

    // As many as may be there say nothing; the next is closed, and when one leaves there is room.
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut full = TcpStream::connect(address).await.unwrap();
    assert_eq!(full.read(&mut [0; 8]).await.unwrap_or(0), 0, "closed");
    drop(silent.pop());
    let mut again = String::new();
    while !again.starts_with("HTTP/1.1 200") {
        again = web::ask(address, "GET", "/metrics").await.unwrap_or_default();
    }
    stop.cancel();
    let mut held = silent.remove(0);
    assert_eq!(held.read(&mut [0; 8]).await.unwrap_or(0), 0, "a stop waits for nobody");
}
