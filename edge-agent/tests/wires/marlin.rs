//! Marlin on a serial port, against lines of its documentation and a board on a pseudo-terminal.

use std::collections::BTreeSet;
use std::time::Duration;

use imprimatur_agent::reading::{Heater, Heaters, Said};
use imprimatur_agent::sources::marlin::session::Session;
use imprimatur_agent::sources::marlin::wire::{Heard, LINE_BYTES_MAX, Line, Lines, Query};
use imprimatur_proto::telemetry::v1::{FaultFamily, Outcome, ReadingSource};
use imprimatur_testkit::printers::{Board, Dialect, Order, PlayedMarlin};
use imprimatur_testkit::wait;

use super::{LIMIT, Running, count, fixture, outcomes, planted_in, refuses};

/// Lines that a look may send, and one more at each start of the board.
const LINES_A_LOOK: usize = 3;

fn lines(bytes: &[u8]) -> Vec<Heard> {
    Lines::default().take(bytes)
}

#[track_caller]
fn reads(line: &str, expected: Line) {
    let ready = line == "ok" || line.starts_with("ok ");
    assert_eq!(lines(format!("{line}\n").as_bytes()), [Heard { ready, line: expected }], "{line}");
}

fn heaters(nozzle: (f64, f64), bed: Option<(f64, f64)>) -> Line {
    let heater = |(actual, target)| Heater { actual, target };
    let (nozzle, bed) = (Some(heater(nozzle)), bed.map(heater));
    Line::Heaters(Heaters { nozzle, bed, ..Heaters::default() })
}

// From a line to what it says.

#[test]
fn temperatures_are_read_as_each_firmware_writes_them() {
    let both = heaters((200.0, 210.0), Some((60.0, 60.0)));
    reads("ok T:200.0 /210.0 B:60.0 /60.0 C:31.0 /0.0 @:64 B@:0", both);
    reads(" T:200.0 /210.0 B:60.0 /60.0 @:64 B@:0", both);
    reads("T:200.00/ 210.00 B:60.00/ 60.00 C:21.30/ 0.00 @:64", both);
    reads("T:200.0 /210.0 B:60.0 /60.0 @:127 B@:0 W:?", both);
    reads("ok T:200.0 /210.0 B:60.0 /60.0 T0:200.0 /210.0 @:0 B@:0 P:25.6 A:31.2", both);
    // Of several tools the first, not the one that is in use.
    let line = "T:30.1 /0.0 B:60.0 /60.0 T0:200.0 /210.0 T1:30.1 /0.0 @:64 B@:0 @0:64 @1:0";
    reads(line, both);
    reads("T:21.3 /0.0 @:0", heaters((21.3, 0.0), None));
    reads("T:-14.9 /0.0 @:0", heaters((-14.9, 0.0), None));
}

#[test]
fn what_is_no_whole_line_of_temperatures_gives_none() {
    for line in [
        "T:200.0 /210.0 B:60.0 /6",
        "T:200.0 /2B:60.0 /60.0 @:64",
        "T:2T:200.0 /210.0 B:60.0 /60.0 @:64",
        "T:nan /210.0 @:64",
        "T:1e2 /210.0 @:64",
        "T:inf /210.0 @:64",
        "T:2000.0 /210.0 @:64",
        "T:200.0 /-210.0 @:64",
        "T: /210.0 @:64",
        "T:/ @:64",
        "T:54.3 E:0 W:?",
        "X:98.7 Y:65.4 Z:0.3 E:2.0 Count X:1 Y:2 Z:3",
        "@:64",
    ] {
        reads(line, Line::Nothing);
        reads(&format!("ok {line}"), Line::Nothing);
    }
}

#[test]
fn states_and_times_are_read_and_positions_are_not() {
    for (line, expected) in [
        ("ok", Line::Nothing),
        ("ok P15 B3", Line::Nothing),
        ("okay", Line::Nothing),
        ("start", Line::Started),
        ("starting", Line::Nothing),
        ("SD printing byte 123/4567", Line::Printing),
        ("SD printing byte 123/", Line::Nothing),
        ("SD printing byte 12?/45", Line::Nothing),
        ("Not SD printing", Line::NotPrinting),
        ("Done printing file", Line::Done),
        ("echo:Print time: 1h 2m 3s", Line::Seconds(3723.0)),
        ("echo:Print time: 1d 0h 0m 5s", Line::Seconds(86_405.0)),
        ("echo:Print time: 1h 2", Line::Nothing),
        ("echo:Print time:", Line::Nothing),
        ("echo:busy: processing", Line::Busy),
        ("echo:busy: paused for user", Line::Waits),
        ("//action:paused", Line::Paused),
        ("//action:out_of_filament T0", Line::RanOut),
        ("//action:filament_runout T0", Line::RanOut),
        ("//action:resumed", Line::Resumed),
        ("//action:cancel", Line::Stopped),
        ("//action:prompt_begin Jane", Line::Nothing),
        ("Resend: 4711", Line::Nothing),
        ("echo:Unknown command: \"M155 S2\"", Line::Nothing),
        ("wait", Line::Nothing),
    ] {
        reads(line, expected);
    }
}

#[test]
fn errors_are_families_by_marlins_own_texts() {
    for (line, expected) in [
        ("Error:Thermal Runaway, system stopped! Heater_ID: 0", Line::Fault(FaultFamily::Heater)),
        ("Error:Heating failed, system stopped! Heater_ID: bed", Line::Fault(FaultFamily::Heater)),
        ("Error: MAXTEMP triggered! - Not SD printing", Line::Fault(FaultFamily::Heater)),
        ("Error:MINTEMP triggered, system stopped! Heater_ID: 0", Line::Fault(FaultFamily::Heater)),
        ("Error:Probing Failed", Line::Fault(FaultFamily::Levelling)),
        ("Error:Homing Failed", Line::Fault(FaultFamily::Levelling)),
        ("Error:something of a vendor's", Line::Fault(FaultFamily::Other)),
        ("Error:Printer halted. kill() called!", Line::Halted),
        ("Error:checksum mismatch, Last Line: 12", Line::Nothing),
        ("Error: Missing checksum", Line::Nothing),
        ("Error:Line Number is not Last Line Number+1, Last Line: 3", Line::Nothing),
    ] {
        reads(line, expected);
    }
}

#[test]
fn only_questions_can_be_sent() {
    let all = [Query::Report, Query::Temperatures, Query::Card, Query::Time].map(Query::text);
    assert_eq!(all, ["M155 S2\n", "M105\n", "M27\n", "M31\n"]);
}

// Noise.

#[test]
fn noise_costs_the_line_that_it_is_in_and_no_other() {
    let good = b"T:200.0 /210.0 @:64\n";
    let known = heaters((200.0, 210.0), None);
    let long = vec![b'x'; LINE_BYTES_MAX * 3];
    for noise in [
        &b"\x00\xff\x80\n"[..],
        b"\x00\x00\x00",
        b"T:20\xff",
        b"\xc3\xa4\xff\n\r\r\n\n",
        b"ok T:1\x000 /2 @:1\n",
        &[&long[..], b"\n"].concat()[..],
        &[&long[..], b"T:1.0 /2.0 @:1\n"].concat()[..],
    ] {
        let heard = lines(&[noise, good].concat());
        let said: Vec<Line> = heard.into_iter().map(|heard| heard.line).collect();
        let read: Vec<&Line> = said.iter().filter(|line| **line != Line::Nothing).collect();
        assert_eq!(read, [&known], "{:?}", String::from_utf8_lossy(noise));
    }
}

proptest::proptest! {
    #[test]
    fn lines_say_the_same_however_they_are_split(
        noise in proptest::collection::vec(proptest::num::u8::ANY, 0..700),
        cuts in proptest::collection::vec(1..40_usize, 1..60),
    ) {
        let bytes = [&b"start\nT:20.0 /0.0 @:0\n"[..], &noise[..], b"\nNot SD printing\n"].concat();
        let whole = lines(&bytes);
        let mut split = Lines::default();
        let mut heard = Vec::new();
        let mut left = &bytes[..];
        for cut in cuts.into_iter().cycle() {
            let (first, rest) = left.split_at(cut.min(left.len()));
            heard.extend(split.take(first));
            left = rest;
            if left.is_empty() {
                break;
            }
        }
        proptest::prop_assert_eq!(&heard, &whole);
        proptest::prop_assert_eq!(heard.last().map(|heard| heard.line), Some(Line::NotPrinting));
        for heard in heard {
            if let Line::Heaters(Heaters { nozzle: Some(nozzle), .. }) = heard.line {
                proptest::prop_assert!(nozzle.actual.is_finite() && nozzle.target >= 0.0);
            }
        }
    }
}

// From lines to readings.

/// What a session says of lines, the port having been opened before.
fn session(text: &str) -> Vec<Said> {
    let mut session = Session::new(None);
    session.opened();
    let heard = lines(text.replace(" | ", "\n").as_bytes());
    heard.into_iter().flat_map(|heard| session.on_line(heard)).collect()
}

const IDLE: &str = "T:20.0 /0.0 @:0 | Not SD printing | ";

#[test]
fn how_a_print_ended_is_told_as_far_as_the_firmware_tells() {
    for (after, outcome) in [
        ("Done printing file", Outcome::Done),
        ("//action:cancel", Outcome::StoppedByUser),
        ("Not SD printing", Outcome::Unspecified),
        ("Error:MAXTEMP triggered | Error:Printer halted. kill() called!", Outcome::Fault),
        ("start", Outcome::Unspecified),
        // Older firmware says that a paused print is none.
        ("//action:pause | Not SD printing | //action:resume | Done printing file", Outcome::Done),
    ] {
        let said = session(&format!("{IDLE}SD printing byte 1/9 | {after} | Not SD printing | "));
        assert_eq!(outcomes(&said), [outcome], "{after}: {said:?}");
        assert_eq!(count(&said, &Said::Started), 1, "{after}: {said:?}");
    }
}

#[test]
fn pauses_tell_their_cause_where_the_firmware_does() {
    let said = session(&format!(
        "{IDLE}SD printing byte 1/9 | //action:out_of_filament T0 | \
        //action:paused | SD printing byte 2/9 | //action:resumed | echo:busy: paused for user | \
        SD printing byte 3/9 | "
    ));
    let rest: Vec<&Said> = said.iter().filter(|s| !matches!(s, Said::Heaters(_))).collect();
    let (out, person) = (Said::Paused { by_run_out: true }, Said::Paused { by_run_out: false });
    assert_eq!(rest, [&Said::Started, &out, &Said::Resumed, &person, &Said::Resumed]);
}

#[test]
fn a_start_that_the_opening_caused_is_no_restart() {
    assert_eq!(count(&session("start | T:20.0 /0.0 @:0 | "), &Said::Restarted), 0);
    let said = session("start | T:20.0 /0.0 @:0 | start | ");
    assert_eq!(count(&said, &Said::Restarted), 1, "{said:?}");
}

#[test]
fn a_question_waits_for_the_answer_before_it() {
    let mut session = Session::new(None);
    session.opened();
    let ok = Heard { ready: true, line: Line::Nothing };
    assert_eq!(session.look(), Some(Query::Report));
    assert_eq!((session.next_query(), session.look()), (None, None), "no answer yet");
    session.on_line(ok);
    assert_eq!(session.next_query(), Some(Query::Temperatures));
    session.on_line(ok);
    assert_eq!(session.next_query(), Some(Query::Card));
    session.on_line(ok);
    assert_eq!(session.next_query(), None, "no print runs: its time is not asked");
    // Reports come: temperatures are not asked for any more, until they stay away.
    session.on_line(lines(b"T:20.0 /0.0 @:0\nSD printing byte 1/9\n")[0]);
    assert_eq!(session.look(), Some(Query::Card));
    // A firmware that never answers is asked again after a while, not at each look.
    let asked = (0..20).filter_map(|_| session.look()).count();
    assert_eq!(asked, 2);
}

// The opposite.

#[test]
fn no_name_position_or_text_comes_through() {
    let text = fixture("marlin/SYNTHETIC-noise.txt");
    let heard = lines(&text);
    assert_eq!(planted_in(&heard), [""; 0]);
    let mut session = Session::new(None);
    session.opened();
    let said: Vec<Said> = heard.into_iter().flat_map(|heard| session.on_line(heard)).collect();
    assert_eq!(planted_in(&said), [""; 0]);
    assert!(said.contains(&Said::Fault(FaultFamily::Heater)), "it was read: {said:?}");
    // What keeps the words would be found.
    let kept: Vec<String> =
        String::from_utf8_lossy(&text).lines().map(|line| line.trim().to_owned()).collect();
    assert_eq!(planted_in(&kept).len(), super::PLANTED.len());
}

// A board.

fn source(board: &PlayedMarlin, baud: u32) -> Running {
    let port = board.path().display();
    Running::start(&format!(
        "kind = \"marlin\"\nport = \"{port}\"\nbaud = {baud}\npoll_seconds = 1"
    ))
}

fn board(baud: u32, dialect: Dialect, reports: bool) -> PlayedMarlin {
    PlayedMarlin::start(Board { baud, dialect, reports }).unwrap()
}

#[track_caller]
fn told_what_the_board_wrote(board: &PlayedMarlin, said: &[Said]) {
    let told = board.told();
    let written: BTreeSet<(i64, i64)> = told.nozzle.into_iter().collect();
    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "small numbers")]
    let hundredths = |celsius: f64| (celsius * 100.0).round() as i64;
    let read: Vec<(i64, i64)> = said
        .iter()
        .filter_map(|said| match said {
            Said::Heaters(heaters) => heaters.nozzle,
            _ => None,
        })
        .map(|nozzle| (hundredths(nozzle.actual), hundredths(nozzle.target)))
        .collect();
    assert!(read.iter().all(|pair| written.contains(pair)), "{read:?} of {written:?}");
    // A board that is asked tells once a second.
    assert!(read.len() > 2, "{read:?}");
}

/// Only the listed questions came, and no more of them than the ceiling.
#[track_caller]
fn asked_no_more_than_allowed(board: &PlayedMarlin, looks: Duration, starts: usize) {
    let asked = board.told().asked;
    let allowed = ["M155 S2", "M105", "M27", "M31"];
    for line in &asked {
        assert!(allowed.contains(&line.as_str()), "{line}");
    }
    let looks = usize::try_from(looks.as_secs()).unwrap() + 1;
    let ceiling = looks * LINES_A_LOOK + starts;
    assert!(!asked.is_empty() && asked.len() <= ceiling, "{} of {ceiling}", asked.len());
    assert!(asked.iter().filter(|line| *line == "M155 S2").count() <= starts, "{asked:?}");
}

#[tokio::test]
async fn a_print_is_told_as_the_board_simulated_it() {
    let began = tokio::time::Instant::now();
    let board = board(115_200, Dialect::Marlin, true);
    let mut source = source(&board, 115_200);
    source.until("online", |said| *said == Said::Online(ReadingSource::Serial)).await;
    board.order(Order::Say("echo:busy: processing".to_owned())).await.unwrap();
    board.order(Order::Heat(210.0, 60.0)).await.unwrap();
    source
        .until("the set-point", |said| match said {
            Said::Heaters(heaters) => {
                heaters.nozzle.is_some_and(|n| n.actual >= 210.0)
                    && heaters.bed == Some(Heater { actual: 60.0, target: 60.0 })
            }
            _ => false,
        })
        .await;
    board.order(Order::Print).await.unwrap();
    source.until("the start", |said| *said == Said::Started).await;
    wait::until(LIMIT, "a time", async || {
        board.told().seconds.last().filter(|seconds| **seconds > 0).copied().ok_or("none yet")
    })
    .await
    .unwrap();
    board.order(Order::Finish).await.unwrap();
    let ended = source.until_ended().await;
    assert_eq!(ended.outcome, Outcome::Done);
    // One more question may have been under way when the end was told.
    let told = board.told().seconds;
    let mut last =
        told.iter().rev().take(2).map(|seconds| Duration::from_secs(*seconds).as_secs_f64());
    assert!(last.any(|seconds| ended.seconds == Some(seconds)), "{ended:?} {told:?}");
    // A second print, stopped by a person.
    board.order(Order::Print).await.unwrap();
    source.until("the second start", |said| *said == Said::Started).await;
    board.order(Order::Stop { told: true }).await.unwrap();
    assert_eq!(source.until_ended().await.outcome, Outcome::StoppedByUser);
    let said = source.stop().await;
    told_what_the_board_wrote(&board, &said);
    assert_eq!(outcomes(&said), [Outcome::Done, Outcome::StoppedByUser]);
    asked_no_more_than_allowed(&board, began.elapsed(), 1);
}

#[tokio::test]
async fn noise_resets_and_a_runaway_at_250000_baud() {
    let began = tokio::time::Instant::now();
    // This one knows no reports: temperatures are asked for.
    let board = board(250_000, Dialect::Prusa, false);
    let mut source = source(&board, 250_000);
    source.until("online", |said| matches!(said, Said::Online(_))).await;
    let noise = [&b"\x00\xff\x80T:9"[..], &[b'9'; 2000], b"\nT:2\xff", b"\r\r\n\xfe\n"].concat();
    board.order(Order::Noise(noise)).await.unwrap();
    board.order(Order::Heat(250.0, 80.0)).await.unwrap();
    source
        .until("heat after noise", |said| match said {
            Said::Heaters(heaters) => heaters.nozzle.is_some_and(|n| n.actual >= 250.0),
            _ => false,
        })
        .await;
    // A board that restarts in mid-print loses it.
    board.order(Order::Print).await.unwrap();
    source.until("the start", |said| *said == Said::Started).await;
    board.order(Order::Reset).await.unwrap();
    source.until("the restart", |said| *said == Said::Restarted).await;
    assert_eq!(source.until_ended().await.outcome, Outcome::Unspecified);
    // One that runs away halts.
    board.order(Order::Print).await.unwrap();
    source.until("the second start", |said| *said == Said::Started).await;
    let text = "Thermal Runaway, system stopped! Heater_ID: 0";
    board.order(Order::Kill(text.to_owned())).await.unwrap();
    let fault = Said::Fault(FaultFamily::Heater);
    source.until("the fault", |said| *said == fault).await;
    assert_eq!(source.until_ended().await.outcome, Outcome::Fault);
    let said = source.stop().await;
    told_what_the_board_wrote(&board, &said);
    assert_eq!((count(&said, &Said::Restarted), count(&said, &fault)), (1, 1), "{said:?}");
    asked_no_more_than_allowed(&board, began.elapsed(), 2);
}

#[tokio::test]
async fn the_lines_of_octoprints_virtual_printer_are_read_as_well() {
    let board = board(115_200, Dialect::Virtual, true);
    board.order(Order::Print).await.unwrap();
    let mut source = source(&board, 115_200);
    source.until("a print that runs", |said| *said == Said::AlreadyRunning).await;
    board.order(Order::Stop { told: false }).await.unwrap();
    assert_eq!(source.until_ended().await.outcome, Outcome::Unspecified);
    let said = source.stop().await;
    told_what_the_board_wrote(&board, &said);
}

#[tokio::test]
async fn a_port_that_another_program_holds_is_left_alone() {
    let board = board(115_200, Dialect::Marlin, true);
    let other = std::fs::File::options().read(true).write(true).open(board.path()).unwrap();
    let mut source = source(&board, 115_200);
    let error = source.retries_with().await;
    assert!(error.contains("another program has the serial port"), "{error}");
    assert!(error.contains(&board.path().display().to_string()), "{error}");
    assert_eq!(board.told().asked, [""; 0], "nothing was sent");
    // Once it is free it is read, and locked for others that ask.
    drop(other);
    source.until("online", |said| matches!(said, Said::Online(_))).await;
    let second = std::fs::File::open(board.path());
    let locked = second.is_err()
        || second.is_ok_and(|file| {
            let wanted = rustix::fs::FlockOperation::NonBlockingLockExclusive;
            rustix::fs::flock(&file, wanted) == Err(rustix::io::Errno::WOULDBLOCK)
        });
    assert!(locked, "the port can be taken away");
    source.stop().await;
}

#[tokio::test]
async fn a_board_that_is_unplugged_is_offline_and_a_missing_port_says_so() {
    let board = board(115_200, Dialect::Marlin, true);
    let mut source = source(&board, 115_200);
    source.until("online", |said| matches!(said, Said::Online(_))).await;
    drop(board);
    source.until("offline", |said| *said == Said::Offline).await;
    source.stop().await;
    let mut source = Running::start("kind = \"marlin\"\nport = \"/dev/imprimatur-none\"");
    let error = source.retries_with().await;
    assert!(error.contains("cannot open the serial port"), "{error}");
    source.stop().await;
}

#[test]
fn unusable_settings_are_refused_with_a_reason() {
    let marlin = |rest: &str| format!("kind = \"marlin\"\n{rest}");
    refuses(&marlin("port = \"ttyUSB0\""), "`port` is not a device");
    refuses(&marlin("port = \"/dev/ttyUSB0\"\nbaud = 1234"), "250000");
    refuses(&marlin("port = \"/dev/ttyUSB0\"\npoll_seconds = 0.5"), "1 to 60");
    refuses(&marlin("port = \"/dev/ttyUSB0\"\nbuad = 250000"), "unknown field");
}
