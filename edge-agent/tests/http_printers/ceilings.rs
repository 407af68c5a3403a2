//! How often a real `OctoPrint` and a real Moonraker are asked, counted on the wire against `docs/sources.md`.

use std::time::Duration;

use imprimatur_agent::reading::Said;
use imprimatur_testkit::gcode::ShortJob;
use imprimatur_testkit::peers::{Laser, Moonraker, OctoPrint};
use imprimatur_testkit::tap::{Direction, Tap};
use tokio::time::Instant;

use crate::rig::Running;

/// Seconds between two looks in these tests.
const POLL: u64 = 1;

/// From a file to its end on a machine that also compiles.
const PRINTED_WITHIN: Duration = Duration::from_mins(3);

/// A tap before the server at `url`.
async fn tap(url: &str) -> Tap {
    Tap::start(url.trim_start_matches("http://").parse().unwrap()).await.unwrap()
}

/// What was said to the server, connection by connection.
fn said(tap: &Tap) -> Vec<Vec<u8>> {
    let to_server = tap.streams().into_iter().filter(|one| one.direction == Direction::ToServer);
    to_server.map(|one| one.bytes).collect()
}

/// The request lines of a connection, or of several one after the other. A body of JSON ends without a line's end.
fn requests(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().filter_map(|line| line.strip_suffix(" HTTP/1.1"));
    lines.map(|line| line.rsplit('}').next().unwrap().to_owned()).collect()
}

/// How many text messages a client's WebSocket sent after its request.
fn messages(bytes: &[u8]) -> usize {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let (mut rest, mut texts) = (&bytes[head..], 0);
    // A client's frame: kind, length, four bytes of mask, content; none here is longer than 64 KiB.
    while let [kind, length, after @ ..] = rest {
        let (length, content) = match length & 0x7f {
            126 => (usize::from(after[0]) << 8 | usize::from(after[1]), &after[2..]),
            short => (usize::from(short), after),
        };
        texts += usize::from(kind & 0x0f == 1);
        rest = &content[4 + length..];
    }
    texts
}

#[test]
fn text_messages_are_counted_and_pongs_are_not() {
    let long = [&[0x81, 0xfe, 1, 0, 9, 9, 9, 9][..], &[7; 256]].concat();
    let frames = [&[0x81, 0x82, 9, 9, 9, 9, 1, 2][..], &[0x8a, 0x80, 9, 9, 9, 9], &long].concat();
    assert_eq!(messages(&[b"GET / HTTP/1.1\r\n\r\n", &frames[..]].concat()), 2);
}

/// `OctoPrint`: two questions a look, over one connection that is kept; beside it the push socket, which costs
/// a login and two messages. A slow machine makes fewer looks, never more.
#[tokio::test]
async fn a_real_octoprint_is_asked_no_oftener_than_stated_over_two_connections() {
    let folder = tempfile::tempdir().unwrap();
    let server = OctoPrint::start(folder.path()).await.unwrap();
    server.wait_operational().await.unwrap();
    let tap = tap(server.url()).await;
    let (address, key) = (tap.address(), server.status_key());
    let mut running = Running::start(&format!(
        "kind = \"octoprint\"\nurl = \"http://{address}\"\napi_key = \"{key}\"\npoll_seconds = {POLL}"
    ));
    let began = Instant::now();
    running.says("online", |said| matches!(said, Said::Online(_))).await;
    let gcode = folder.path().join("job.gcode");
    ShortJob::default().write(&gcode).unwrap();
    server.upload_and_print(&gcode, "").await.unwrap();
    running.says("a start", |said| *said == Said::Started).await;
    let ended = |said: &Said| matches!(said, Said::Ended(_));
    running.says_within(PRINTED_WITHIN, "an end", ended).await;
    let asked = requests(&tap.bytes(Direction::ToServer));
    let looks_max = 2 + usize::try_from(began.elapsed().as_secs() / POLL).unwrap();
    let count = |line: &str| asked.iter().filter(|it| *it == line).count();
    let (printer, job) = (count("GET /api/printer?exclude=sd"), count("GET /api/job"));
    assert!((5..=looks_max).contains(&printer), "{printer} looks, at most {looks_max}");
    assert!(job <= printer, "{job} of {printer}");
    let (login, socket) = (count("POST /api/login"), count("GET /sockjs/websocket"));
    assert_eq!((login, socket, printer + job + 2), (1, 1, asked.len()), "{asked:?}");
    let connections = said(&tap);
    assert_eq!(connections.len(), 2, "one for questions, one for events");
    let events = connections.iter().find(|one| one.starts_with(b"GET /sockjs")).unwrap();
    assert_eq!(messages(events), 2);
    running.stop().await;
}

/// Moonraker: one connection and nothing on a clock: who the agent is and what it wants, then three questions
/// a print: two about its file, one for its job in the history.
#[tokio::test]
async fn a_real_moonraker_is_told_two_messages_and_three_a_print_over_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = Moonraker::start(folder.path(), Laser::None).await.unwrap();
    server.wait_ready().await.unwrap();
    let tap = tap(server.url()).await;
    let (address, key) = (tap.address(), server.api_key());
    let mut running = Running::start(&format!(
        "kind = \"moonraker\"\nurl = \"http://{address}\"\napi_key = \"{key}\"\npoll_seconds = {POLL}"
    ));
    running.says("online", |said| matches!(said, Said::Online(_))).await;
    let gcode = folder.path().join("job.gcode");
    ShortJob::default().write(&gcode).unwrap();
    for print in 1..=2 {
        server.upload_and_print(&gcode, "").await.unwrap();
        running.says("a start", |said| *said == Said::Started).await;
        let ended = |said: &Said| matches!(said, Said::Ended(_));
        running.says_within(PRINTED_WITHIN, "an end", ended).await;
        let connections = said(&tap);
        let [only] = connections.as_slice() else { panic!("{} connections", connections.len()) };
        assert_eq!(requests(only), ["GET /websocket"]);
        assert_eq!(messages(only), 2 + 3 * print);
    }
    running.stop().await;
}
