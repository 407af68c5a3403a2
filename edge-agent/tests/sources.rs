//! Sources, from recorded bytes to readings: what is read, and that nothing else comes through.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use imprimatur_agent::catalogue;
use imprimatur_agent::reading::{Ended, Heater, Heaters, Reading, Said, Sliced, UnixSeconds};
use imprimatur_agent::sources::moonraker::session::{Obstacle, Session as MoonrakerSession};
use imprimatur_agent::sources::moonraker::settings::MoonrakerRoles;
use imprimatur_agent::sources::moonraker::wire::{Call, Frame};
use imprimatur_agent::sources::octoprint::greeting;
use imprimatur_agent::sources::octoprint::session::Session as OctoPrintSession;
use imprimatur_agent::sources::octoprint::wire::{
    Activity, EVENTS, FaultCode, JobAnswer, Login, Printer, Push, push,
};
use imprimatur_agent::sources::{Source, SourceSettings, SourceState, gcode};
use imprimatur_proto::telemetry::v1::{AdhesionAid, FaultFamily, MaterialFamily, Outcome};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(format!("{FIXTURES}/{path}")).expect("fixtures are in the repository")
}

fn lines(path: &str) -> Vec<Value> {
    let text = String::from_utf8(fixture(path)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn settings(toml: &str) -> Result<SourceSettings, String> {
    toml::from_str(toml).map_err(|error| error.to_string())
}

// OctoPrint: what is read.

#[track_caller]
fn octoprint_heaters(path: &str, nozzle: (f64, f64), bed: (f64, f64)) {
    let printer = Printer::parse(&fixture(path)).unwrap();
    let heater = |(actual, target)| Some(Heater { actual, target });
    let expected = Heaters { nozzle: heater(nozzle), bed: heater(bed), ..Heaters::default() };
    assert_eq!(printer.heaters(), Some(expected));
    assert_eq!(printer.activity(), Activity::Printing);
}

#[test]
fn octoprint_temperatures_are_read() {
    octoprint_heaters("octoprint/printer-heating.json", (51.39, 215.0), (60.0, 60.0));
    octoprint_heaters("octoprint/printer-printing.json", (210.01, 210.0), (60.0, 60.0));
}

#[test]
fn octoprint_jobs_tell_plan_and_progress_of_time() {
    let job = JobAnswer::parse(&fixture("octoprint/job-printing.json")).unwrap();
    assert_eq!(job.planned_seconds(), Some(719.273_643_400_582_2));
    assert!((job.planned_volume().unwrap() - 1.025_332).abs() < 0.000_001);
    assert_eq!((job.seconds(), job.is_complete(), job.has_file()), (Some(33.0), false, true));
    let none = JobAnswer::parse(&fixture("octoprint/after-error-job.json")).unwrap();
    assert_eq!((none.planned_seconds(), none.seconds(), none.has_file()), (None, None, false));
}

#[test]
fn octoprint_events_are_read() {
    let event = |kind: &str, payload: Value| {
        push(json!({ "event": { "type": kind, "payload": payload } }).to_string().as_bytes())
    };
    assert_eq!(event("PrintStarted", json!({ "name": "x" })), Push::Started);
    assert_eq!(event("PrintPaused", json!({ "position": { "x": 1 } })), Push::Paused);
    assert_eq!(event("PrintDone", json!({ "time": 33.5 })), Push::Done(Some(33.5)));
    assert_eq!(event("PrintDone", json!({ "time": -1 })), Push::Done(None));
    assert_eq!(event("PrintCancelled", json!({ "time": 5 })), Push::Cancelled(Some(5.0)));
    assert_eq!(event("PrintCancelled", json!({ "firmwareError": "no" })), Push::Failed(None));
    assert_eq!(event("PrintFailed", json!({ "reason": "error" })), Push::Failed(None));
    assert_eq!(event("PrintFailed", json!({})), Push::Ended(None));
    assert_eq!(event("ZChange", json!({ "new": 0.3 })), Push::Nothing);
    assert_eq!(event("Error", json!({ "reason": "timeout" })), Push::Fault(FaultCode::Link));
    assert_eq!(event("Error", json!(null)), Push::Fault(FaultCode::Other));
    assert_eq!(push(br#"{"reauthRequired": {"reason": "logout"}}"#), Push::Reauthenticate);
    assert_eq!(push(b"\xff\x00"), Push::Nothing);
}

#[test]
fn octoprint_is_told_what_not_to_send_before_it_is_told_who_listens() {
    let login = Login::parse(br#"{"name": "labstatus", "session": "token"}"#).unwrap();
    let [first, second] = greeting(&login);
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(first["subscribe"]["state"], json!(false));
    assert_eq!(first["subscribe"]["plugins"], json!(false));
    assert_eq!(first["subscribe"]["events"], json!(EVENTS));
    assert_eq!(second, r#"{"auth":"labstatus:token"}"#);
}

#[test]
fn octoprint_amount_is_told_only_when_the_owner_says_what_is_loaded() {
    let idle = JobAnswer::default();
    let plan = |material| {
        let mut session = OctoPrintSession::new(material);
        session.on_poll(Printer::parse(b"{}").as_ref(), &idle);
        session.on_push(Push::Started);
        let printer = Printer::parse(&fixture("octoprint/printer-printing.json"));
        let job = JobAnswer::parse(&fixture("octoprint/job-printing.json")).unwrap();
        let said = session.on_poll(printer.as_ref(), &job);
        said.into_iter().find_map(|said| match said {
            Said::Sliced(sliced) => Some((sliced.family, sliced.amount)),
            _ => None,
        })
    };
    assert_eq!(plan(None), Some((None, None)));
    let (family, amount) = plan(Some(MaterialFamily::Pla)).unwrap();
    assert_eq!(family, Some(MaterialFamily::Pla));
    assert!((amount.unwrap() - 1.27).abs() < 0.01, "{amount:?}");
}

#[test]
fn octoprint_polling_and_events_count_a_print_once() {
    let idle = Printer::parse(b"{}").unwrap();
    let printing = Printer::parse(&fixture("octoprint/printer-printing.json")).unwrap();
    let job = JobAnswer::parse(&fixture("octoprint/job-printing.json")).unwrap();
    let mut session = OctoPrintSession::new(None);
    let mut said = session.on_poll(Some(&idle), &job);
    // Without the socket the polled state tells the start; the late event repeats it.
    said.extend(session.on_poll(Some(&printing), &job));
    session.socket_opened();
    said.extend(session.on_push(Push::Started));
    said.extend(session.on_poll(Some(&printing), &job));
    // A poll that was under way when the print ended still says `printing`.
    said.extend(session.on_push(Push::Done(Some(60.0))));
    said.extend(session.on_poll(Some(&printing), &job));
    said.extend(session.on_poll(Some(&idle), &job));
    let starts = said.iter().filter(|said| **said == Said::Started).count();
    let ends = said.iter().filter(|said| matches!(said, Said::Ended(_))).count();
    assert_eq!((starts, ends), (1, 1), "{said:?}");
}

#[test]
fn octoprint_that_lost_its_printer_ends_the_print() {
    let idle = Printer::parse(b"{}").unwrap();
    let mut session = OctoPrintSession::new(None);
    session.on_poll(Some(&idle), &JobAnswer::default());
    session.on_push(Push::Started);
    let said = session.on_poll(None, &JobAnswer::default());
    assert!(
        matches!(said.as_slice(), [Said::Ended(ended)] if ended.outcome == Outcome::HostLost),
        "{said:?}"
    );
}

#[test]
fn octoprint_key_that_can_do_more_than_read_is_known_by_its_permissions() {
    let login = |needs: Value| {
        let answer = json!({ "name": "n", "session": "s", "apikey": "SECRET", "needs": needs });
        Login::parse(answer.to_string().as_bytes()).unwrap().may_do_more()
    };
    assert!(!login(json!({ "role": ["status"] })));
    assert!(!login(json!({})), "what is not said is not known");
    assert!(login(json!({ "role": ["status", "files_list"], "group": ["readonly"] })));
    assert!(login(json!({ "role": ["admin"] })));
    assert!(login(json!({ "role": ["a_permission_of_a_plugin"] })));
}

#[test]
fn a_print_that_waits_at_the_first_look_waits_without_a_start() {
    let paused = Said::Paused { by_run_out: false };
    let mut session = OctoPrintSession::new(None);
    let printer = Printer::parse(br#"{"state": {"flags": {"paused": true}}}"#).unwrap();
    let job = JobAnswer::parse(&fixture("octoprint/job-paused.json")).unwrap();
    let said = session.on_poll(Some(&printer), &job);
    assert_eq!(said[..2], [Said::AlreadyRunning, paused.clone()], "{said:?}");
    let mut session = MoonrakerSession::new(None, 2);
    let said = told(&mut session, "moonraker/objects-paused.json", 1);
    assert_eq!(said[..2], [Said::AlreadyRunning, paused], "{said:?}");
}

// Moonraker: what is read.

fn roles() -> MoonrakerRoles {
    MoonrakerRoles { laser: Some("output_pin laser".to_owned()), ..MoonrakerRoles::default() }
}

/// A recorded answer as the answer to the call of that number.
fn answer(path: &str, id: u64) -> Vec<u8> {
    let text = String::from_utf8(fixture(path)).unwrap();
    let mut value: Value =
        serde_json::Deserializer::from_str(&text).into_iter().next().unwrap().unwrap();
    value["id"] = json!(id);
    value.to_string().into_bytes()
}

fn told(session: &mut MoonrakerSession, path: &str, at: u64) -> Vec<Said> {
    let frame = Frame::parse(&answer(path, 5), &roles());
    session.on_frame(frame, UnixSeconds(at)).said
}

#[test]
fn moonraker_laser_is_percent_of_full_scale() {
    let mut session = MoonrakerSession::new(None, 2);
    let said = told(&mut session, "moonraker/objects-laser-outputpin.json", 1);
    assert_eq!(said, [Said::Laser(50.196_078_431_372_55)]);
    let frame = Frame::parse(
        &answer("moonraker/objects-laser-outputpin.json", 5),
        &MoonrakerRoles::default(),
    );
    let said = MoonrakerSession::new(None, 2).on_frame(frame, UnixSeconds(1)).said;
    assert_eq!(said, [], "a pin that the owner did not name is not a laser");
}

#[track_caller]
fn moonraker_shutdown_is_a_fault(path: &str) {
    let mut session = MoonrakerSession::new(None, 2);
    told(&mut session, "moonraker/objects-complete.json", 1);
    let mut said = told(&mut session, "moonraker/objects-printing.json", 2);
    assert!(said.contains(&Said::Started), "{said:?}");
    said = told(&mut session, path, 3);
    assert!(said.contains(&Said::Fault(FaultFamily::Other)), "{said:?}");
    let outcome = said.iter().find_map(|said| match said {
        Said::Ended(ended) => Some(ended.outcome),
        _ => None,
    });
    assert_eq!(outcome, Some(Outcome::Fault), "{said:?}");
    assert!(!said.iter().any(|said| matches!(said, Said::Paused { .. })), "{said:?}");
}

#[test]
fn moonraker_shutdown_goes_before_the_state_of_the_print() {
    moonraker_shutdown_is_a_fault("moonraker/objects-emergencystop-midprint.json");
    moonraker_shutdown_is_a_fault("moonraker/objects-mcu-lost-midprint.json");
}

#[test]
fn moonraker_print_that_runs_at_the_first_look_has_no_start() {
    let mut session = MoonrakerSession::new(None, 2);
    let said = told(&mut session, "moonraker/objects-printing.json", 1);
    assert_eq!(said.first(), Some(&Said::AlreadyRunning), "{said:?}");
}

#[test]
fn moonraker_metadata_gives_numbers_and_no_name() {
    let mut session = MoonrakerSession::new(None, 2);
    told(&mut session, "moonraker/objects-complete.json", 1);
    told(&mut session, "moonraker/objects-printing.json", 2);
    let name = Frame::parse(&answer("moonraker/objects-printing.json", 6), &roles());
    let step = session.on_frame(name, UnixSeconds(2));
    assert!(!format!("{step:?}").contains("Acme"), "{step:?}");
    let call = step.ask.expect("the numbers of the file are asked for");
    assert!(call.to_text(&roles()).contains("server.files.metadata"));
    let numbers = Frame::parse(&answer("moonraker/metadata.json", 7), &roles());
    let step = session.on_frame(numbers, UnixSeconds(2));
    let expected = Sliced {
        seconds: Some(124.0),
        amount: Some(0.27),
        family: Some(MaterialFamily::Pla),
        layer_height: Some(0.3),
        nozzle: Some(0.4),
        slicer: Some(catalogue::slicer("PrusaSlicer", "2.5.0")),
        ..Sliced::default()
    };
    assert_eq!(step.said, [Said::Sliced(expected)]);
}

/// What a session says and asks on a message.
fn step(session: &mut MoonrakerSession, message: &[u8]) -> (Vec<Said>, Option<String>) {
    let step = session.on_frame(Frame::parse(message, &roles()), UnixSeconds(2));
    (step.said, step.ask.map(|call| call.to_text(&roles())))
}

/// The history's answer with one job.
fn history(job: &str, status: &str) -> Vec<u8> {
    let numbers =
        json!({ "print_duration": 30.5, "filament_used": 90.98, "filename": "Acme.gcode" });
    let mut job = json!({ "job_id": job, "status": status });
    job.as_object_mut().unwrap().extend(numbers.as_object().unwrap().clone());
    json!({ "id": 8, "result": { "count": 1, "jobs": [job] } }).to_string().into_bytes()
}

/// A session that saw a print begin, knows it as job `000001`, and lost its connection in it.
fn away_in_a_print() -> MoonrakerSession {
    let mut session = MoonrakerSession::new(None, 2);
    session.connected();
    told(&mut session, "moonraker/objects-complete.json", 1);
    let said = told(&mut session, "moonraker/objects-printing.json", 2);
    assert!(said.contains(&Said::Started), "{said:?}");
    step(&mut session, &answer("moonraker/objects-printing.json", 6));
    let (_, asked) = step(&mut session, &answer("moonraker/metadata.json", 7));
    let asked: Value = serde_json::from_str(&asked.unwrap()).unwrap();
    assert_eq!(asked["method"], "server.history.list");
    assert_eq!(asked["params"], json!({ "limit": 1, "order": "desc" }));
    assert_eq!(step(&mut session, &history("000001", "in_progress")), (vec![], None));
    session.connected();
    session
}

/// Comes back to a state, is answered by the history, and gives what was said then.
#[track_caller]
fn back(state: &str, history: &[u8]) -> Vec<Said> {
    let mut session = away_in_a_print();
    let (said, asked) = step(&mut session, &answer(state, 5));
    assert_eq!(said, [], "the state waits for the history");
    assert!(asked.unwrap().contains("server.history.list"));
    let (said, _) = step(&mut session, history);
    said.into_iter().filter(|said| !matches!(said, Said::Heaters(_) | Said::Laser(_))).collect()
}

fn ended(outcome: Outcome, seconds: f64, amount: f64) -> Said {
    let (seconds, amount) = (Some(seconds), Some(amount));
    Said::Ended(Ended { outcome, seconds, amount, phase: None })
}

const PRINTING: &str = "moonraker/objects-printing.json";

#[test]
fn moonraker_history_tells_how_a_print_ended_while_nobody_listened() {
    // Recorded: the print before is complete, and another one runs.
    let said = back(PRINTING, &answer("moonraker/history-list.json", 8));
    let amount = 90.778_13 * 0.27 / 90.98;
    assert_eq!(said, [ended(Outcome::Done, 49.230_548_557_000_02, amount), Said::AlreadyRunning]);
    // Recorded: the controller was shut down, and nothing runs any more.
    let shutdown = answer("moonraker/history-after-shutdown.json", 8);
    let amount = 28.740_45 * 0.27 / 90.98;
    let end = ended(Outcome::Fault, 10.304_847_622_000_125, amount);
    let fault = Said::Fault(FaultFamily::Other);
    assert_eq!(back("moonraker/objects-complete.json", &shutdown), [fault.clone(), end.clone()]);
    // The host is down still: that is the same fault, told once.
    assert_eq!(back("moonraker/objects-emergencystop-midprint.json", &shutdown), [fault, end]);

    for (word, outcome) in [
        ("completed", Outcome::Done),
        ("cancelled", Outcome::StoppedByUser),
        ("klippy_disconnect", Outcome::HostLost),
    ] {
        let said = back(PRINTING, &history("000001", word));
        assert_eq!(said, [ended(outcome, 30.5, 0.27), Said::AlreadyRunning], "{word}");
        // The state's own word for the same end is no second end.
        let said = back("moonraker/objects-complete.json", &history("000001", word));
        assert_eq!(said, [ended(outcome, 30.5, 0.27)], "{word}");
    }
}

#[test]
fn moonraker_history_that_tells_nothing_leaves_the_state_alone() {
    let absent = json!({ "id": 8, "error": { "code": -32601, "message": "Method not found" } });
    let absent = absent.to_string().into_bytes();
    let empty = json!({ "id": 8, "result": { "count": 0, "jobs": [] } }).to_string().into_bytes();
    let odd = json!({ "id": 8, "result": { "jobs": [{ "job_id": [1] }, 7, null] } });
    let odd = odd.to_string().into_bytes();
    for told in [
        history("000001", "in_progress"),
        history("000001", "server_exit"),
        history("000001", "interrupted"),
        history("000001", "a word of another version"),
        history("000009", "completed"),
        absent,
        empty,
        odd,
    ] {
        let text = String::from_utf8_lossy(&told).into_owned();
        assert_eq!(back(PRINTING, &told), [], "{text}");
        let said = back("moonraker/objects-complete.json", &told);
        assert!(
            matches!(said.as_slice(), [Said::Ended(end)] if end.outcome == Outcome::Done),
            "{said:?} {text}"
        );
    }
    // Without an answer the state is taken after some ticks, and changes until then are kept.
    let mut session = away_in_a_print();
    step(&mut session, &answer(PRINTING, 5));
    let cancelled = json!({ "method": "notify_status_update",
        "params": [{ "print_stats": { "state": "cancelled" } }, 1.0] });
    assert_eq!(step(&mut session, cancelled.to_string().as_bytes()), (vec![], None));
    let ticks = (3..20).flat_map(|at| session.on_tick(UnixSeconds(at)).said);
    let ends: Vec<_> = ticks.filter(|said| matches!(said, Said::Ended(_))).collect();
    assert!(
        matches!(ends.as_slice(), [Said::Ended(end)] if end.outcome == Outcome::StoppedByUser),
        "{ends:?}"
    );
}

#[test]
fn moonraker_history_is_not_asked_of_a_print_that_nobody_saw_begin() {
    let mut session = MoonrakerSession::new(None, 2);
    session.connected();
    told(&mut session, PRINTING, 1);
    step(&mut session, &answer(PRINTING, 6));
    assert_eq!(step(&mut session, &answer("moonraker/metadata.json", 7)).1, None);
    session.connected();
    assert_eq!(step(&mut session, &answer(PRINTING, 5)).1, None);
}

#[test]
fn moonraker_history_holds_no_name_time_or_number_of_a_job() {
    let read = ["status", "print_duration", "filament_used", "id"];
    for path in ["moonraker/history-list.json", "moonraker/history-after-shutdown.json"] {
        let mut value: Value = serde_json::from_slice(&answer(path, 8)).unwrap();
        plant(&mut value, "", &read);
        let mut session = away_in_a_print();
        step(&mut session, &answer(PRINTING, 5));
        let frame = Frame::parse(value.to_string().as_bytes(), &roles());
        nothing_planted(&frame);
        assert!(!format!("{frame:?}").contains("00000"), "{frame:?}");
        nothing_planted(&session.on_frame(frame, UnixSeconds(3)));
        nothing_planted(&session);
    }
}

#[test]
fn moonraker_that_refuses_the_key_is_understood() {
    for (id, code) in [(1, -32602), (5, -32602), (1, 401)] {
        let refusal = json!({ "id": id, "error": { "code": code, "message": "Invalid API Key" } });
        let frame = Frame::parse(refusal.to_string().as_bytes(), &roles());
        let step = MoonrakerSession::new(None, 2).on_frame(frame, UnixSeconds(1));
        assert_eq!(step.obstacle, Some(Obstacle::Refused), "{refusal}");
    }
    let away = json!({ "id": 5, "error": { "code": 503, "message": "Klippy Host not connected" } });
    let frame = Frame::parse(away.to_string().as_bytes(), &roles());
    let step = MoonrakerSession::new(None, 2).on_frame(frame, UnixSeconds(1));
    assert_eq!(step.obstacle, Some(Obstacle::HostAway));
}

#[test]
fn moonraker_is_asked_for_attributes_and_never_for_positions_or_names() {
    let text = Call::Subscribe.to_text(&roles());
    let call: Value = serde_json::from_str(&text).unwrap();
    let objects = call["params"]["objects"].as_object().unwrap();
    assert!(objects.values().all(|list| list.as_array().is_some_and(|list| !list.is_empty())));
    for word in ["position", "filename", "file_path", "toolhead", "gcode_move", "message", "null"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

// Sliced files.

fn number_of(model: &str) -> Option<u32> {
    catalogue::model(model).map(|model| model.number)
}

#[track_caller]
fn sliced(path: &str, expected: Sliced) {
    assert_eq!(gcode::facts(&fixture(path), b""), expected, "{path}");
    let whole = gcode::read(format!("{FIXTURES}/{path}").as_ref()).unwrap().unwrap();
    assert_eq!(whole, expected, "{path}");
}

#[test]
fn prusaslicer_files_tell_their_settings() {
    sliced(
        "slicers/prusaslicer-2.5.0-full-config.header.gcode",
        Sliced {
            seconds: Some(744.0),
            amount: Some(1.27),
            family: Some(MaterialFamily::Pla),
            layer_height: Some(0.2),
            adhesion: Some(AdhesionAid::None),
            infill: Some(20.0),
            nozzle: Some(0.4),
            supports: Some(false),
            slicer: Some(catalogue::slicer("PrusaSlicer", "2.5.0")),
            model: number_of("prusa-mk3s"),
        },
    );
}

#[test]
fn slic3r_files_tell_neither_time_nor_grams() {
    sliced(
        "slicers/slic3r-1.3.0.header.gcode",
        Sliced {
            layer_height: Some(0.2),
            adhesion: Some(AdhesionAid::None),
            infill: Some(20.0),
            nozzle: Some(0.4),
            supports: Some(false),
            slicer: Some(catalogue::slicer("Slic3r", "1.3.0")),
            ..Sliced::default()
        },
    );
}

#[test]
fn cura_placeholders_are_unknown_and_the_last_elapsed_time_is_right() {
    let slicer = Some(catalogue::slicer("Cura", "4.13.0"));
    sliced(
        "slicers/curaengine-4.13.0-cli-creality_ender3.header.gcode",
        Sliced { seconds: Some(612.932_875), layer_height: Some(0.1), slicer, ..Sliced::default() },
    );
    sliced(
        "slicers/curaengine-4.13.0-cli-s5.header.gcode",
        Sliced {
            seconds: Some(619.685_03),
            nozzle: Some(0.4),
            slicer,
            model: number_of("ultimaker-s5"),
            ..Sliced::default()
        },
    );
    let placeholders = gcode::facts(b";TIME:6666\n;Filament used: 0m\n;MATERIAL:6666\n", b"");
    assert_eq!(placeholders, Sliced::default());
}

#[test]
fn files_of_prusaslicers_family_are_read_by_their_own_keys() {
    let grams = |grams, seconds, slicer| Sliced {
        seconds: Some(seconds),
        amount: Some(grams),
        layer_height: Some(0.2),
        infill: Some(15.0),
        nozzle: Some(0.4),
        slicer: Some(slicer),
        ..Sliced::default()
    };
    sliced(
        "slicers/SYNTHETIC-superslicer-2.5.header.gcode",
        Sliced {
            family: Some(MaterialFamily::Petg),
            adhesion: Some(AdhesionAid::Used),
            supports: Some(true),
            model: number_of("creality-ender-3"),
            ..grams(6.1, 1934.0, catalogue::slicer("SuperSlicer", "2.5.59"))
        },
    );
    sliced(
        "slicers/SYNTHETIC-orcaslicer-2.1.header.gcode",
        Sliced {
            family: Some(MaterialFamily::Petg),
            supports: Some(true),
            model: number_of("voron-2.4"),
            ..grams(12.5, 3723.0, catalogue::slicer("OrcaSlicer", "2.1.1"))
        },
    );
    sliced(
        "slicers/SYNTHETIC-bambustudio-1.10.header.gcode",
        Sliced {
            family: Some(MaterialFamily::Pla),
            supports: Some(false),
            model: number_of("bambu-x1c"),
            ..grams(30.75, 8673.0, catalogue::slicer("BambuStudio", "1.10"))
        },
    );
}

#[test]
fn files_of_curas_window_tell_the_true_time_at_their_head() {
    let slicer = Some(catalogue::slicer("Cura", "5.8.1"));
    sliced(
        "slicers/SYNTHETIC-cura-5.header.gcode",
        Sliced {
            seconds: Some(1375.0),
            layer_height: Some(0.2),
            slicer,
            model: number_of("creality-ender-3"),
            ..Sliced::default()
        },
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(
        head in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
        tail in "(;|; )?(TIME|layer_height|filament used|brim_width|fill_density)[:= ]{1,3}.{0,30}",
    ) {
        let facts = gcode::facts(&head, tail.as_bytes());
        for number in [facts.seconds, facts.amount, facts.layer_height, facts.infill, facts.nozzle] {
            proptest::prop_assert!(number.is_none_or(f64::is_finite));
        }
        push(&head);
        push(tail.as_bytes());
        Frame::parse(&head, &roles());
    }
}

// The opposite: nothing else comes through.

/// A text and a number that stand in every field that is not read.
const PLANTED_TEXT: &str = "planted-jane-doe";
const PLANTED_NUMBER: f64 = 987_654.25;

/// Replaces every leaf whose key is not read.
fn plant(value: &mut Value, key: &str, read: &[&str]) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                plant(field, key, read);
            }
        }
        Value::Array(items) => {
            for item in items {
                plant(item, key, read);
            }
        }
        Value::String(text) if !read.contains(&key) => PLANTED_TEXT.clone_into(text),
        Value::Number(number) if !read.contains(&key) => {
            *number = serde_json::Number::from_f64(PLANTED_NUMBER).unwrap();
        }
        _ => {}
    }
}

#[track_caller]
fn nothing_planted(what: &dyn std::fmt::Debug) {
    let text = format!("{what:?}");
    let known =
        ["Acme", "bracket", "Jane", "Doe", "acme", "labadmin", "labstatus", "gcode", "/home"];
    for word in known.into_iter().chain([PLANTED_TEXT, "987654"]) {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[test]
fn octoprint_readings_hold_no_name_position_or_line() {
    let read = ["type", "time", "reason", "faq", "actual", "target"];
    for path in [
        "octoprint/socket-statusonly-printdone.jsonl",
        "octoprint/socket-statusonly-pause-cancel-error.jsonl",
        "octoprint/socket-statusonly-history-leak.jsonl",
        "octoprint/socket-readonly-with-terminal-logs.jsonl",
    ] {
        for planted in [false, true] {
            let mut session = OctoPrintSession::new(None);
            session.on_poll(Printer::parse(b"{}").as_ref(), &JobAnswer::default());
            for mut line in lines(path) {
                if planted {
                    plant(&mut line["msg"], "", &read);
                }
                let event = push(line["msg"].to_string().as_bytes());
                nothing_planted(&event);
                nothing_planted(&session.on_push(event));
            }
        }
    }
    for path in ["job-printing", "job-done", "printer-printing", "after-error-printer-error"] {
        let text = String::from_utf8(fixture(&format!("octoprint/{path}.json"))).unwrap();
        let mut value: Value =
            serde_json::Deserializer::from_str(&text).into_iter().next().unwrap().unwrap();
        let read = ["actual", "target", "estimatedPrintTime", "volume", "completion", "printTime"];
        plant(&mut value, "", &read);
        let bytes = value.to_string();
        let mut session = OctoPrintSession::new(Some(MaterialFamily::Pla));
        session.on_push(Push::Started);
        let job = JobAnswer::parse(bytes.as_bytes()).unwrap();
        nothing_planted(&session.on_poll(Printer::parse(bytes.as_bytes()).as_ref(), &job));
    }
}

#[test]
fn octoprint_terminal_lines_give_no_reading() {
    for line in lines("octoprint/socket-statusonly-history-leak.jsonl") {
        if line["msg"].get("history").is_some() || line["msg"].get("current").is_some() {
            assert_eq!(push(line["msg"].to_string().as_bytes()), Push::Nothing);
        }
    }
}

#[test]
fn moonraker_readings_hold_no_name_position_or_line() {
    let read = [
        "method",
        "id",
        "state",
        "print_duration",
        "filament_used",
        "temperature",
        "target",
        "value",
    ];
    for path in [
        "moonraker/ws-upload-heat-print-pause-resume.jsonl",
        "moonraker/ws-complete-cancel-emergencystop-restart.jsonl",
    ] {
        for planted in [false, true] {
            let mut session = MoonrakerSession::new(None, 2);
            for (at, mut line) in (0..).zip(lines(path)) {
                if planted {
                    plant(&mut line["msg"], "", &read);
                }
                let frame = Frame::parse(line["msg"].to_string().as_bytes(), &roles());
                nothing_planted(&frame);
                nothing_planted(&session.on_frame(frame, UnixSeconds(at)));
            }
        }
    }
}

#[test]
fn unnamed_notifications_are_ignored() {
    for line in lines("moonraker/ws-upload-heat-print-pause-resume.jsonl") {
        let method = line["msg"]["method"].as_str().unwrap_or_default().to_owned();
        let frame = Frame::parse(line["msg"].to_string().as_bytes(), &roles());
        if method.starts_with("notify_") && method != "notify_status_update" {
            let named = method.starts_with("notify_klippy_");
            assert_eq!(matches!(frame, Frame::Nothing), !named, "{method}");
        }
    }
}

// Settings.

#[track_caller]
fn refuses(toml: &str, expected: &str) {
    let error = settings(toml).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn unusable_settings_are_refused_with_a_reason() {
    let octoprint = |rest: &str| format!("kind = \"octoprint\"\n{rest}");
    refuses(&octoprint("url = \"http://printer.local\""), "`api_key_file`");
    refuses(&octoprint("url = \"https://printer.local\"\napi_key = \"k\""), "uses https");
    refuses(&octoprint("url = \"http://8.8.8.8\"\napi_key = \"k\""), "out of the local network");
    refuses(&octoprint("url = \"http://u:p@printer.local\"\napi_key = \"k\""), "only host");
    refuses(&octoprint("url = \"printer\"\napi_key = \"k\""), "not an address");
    refuses(&octoprint("url = \"http://a\"\napi_key = \"k\"\npol_seconds = 1"), "unknown field");
    refuses(&octoprint("url = \"http://a\"\napi_key = \"k\"\npoll_seconds = 0.1"), "1 to 60");
    refuses(&octoprint("url = \"http://a\"\napi_key = \"k\"\nmaterial = \"PLAA\""), "`material`");
    refuses("kind = \"moonraker\"\nurl = \"http://a\"\nlaser_pin = \"a b\"", "`laser_pin`");
    refuses("kind = \"teapot\"", "unknown variant");
}

#[test]
fn a_key_is_never_shown() {
    let toml = "kind = \"moonraker\"\nurl = \"http://10.0.0.7:7125\"\napi_key = \"SECRETKEY\"\n\
        laser_pin = \"laser\"\nmaterial = \"PETG\"";
    let text = format!("{:?}", settings(toml).unwrap());
    assert!(!text.contains("SECRETKEY"), "{text}");
    assert!(text.contains("Petg"), "{text}");
}

// Readers against servers on the loopback.

fn started(toml: &str) -> (Running, mpsc::Receiver<Reading>) {
    let (out, readings) = mpsc::channel(256);
    let stop = CancellationToken::new();
    let source = Source::new(settings(toml).unwrap(), Arc::new(|| UnixSeconds(1_795_293_300)));
    let status = source.status();
    let task = tokio::spawn(source.run(out, stop.clone()));
    (Running { status, stop, task }, readings)
}

struct Running {
    status: tokio::sync::watch::Receiver<imprimatur_agent::sources::SourceStatus>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn retries_with(&mut self) -> String {
        let reached = self.status.wait_for(|s| matches!(s.state, SourceState::Retrying { .. }));
        let status = tokio::time::timeout(Duration::from_secs(20), reached).await.unwrap().unwrap();
        match &status.state {
            SourceState::Retrying { error, .. } => error.clone(),
            other => panic!("{other:?}"),
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
        assert_eq!(self.status.borrow().state, SourceState::Stopped);
    }
}

/// Answers each request by its path: status and body.
async fn serve_http(listener: TcpListener, answer: fn(&str) -> (u16, String)) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut request = Vec::new();
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut part).await {
                request.extend_from_slice(&part[..length]);
                let text = String::from_utf8_lossy(&request).into_owned();
                if !text.contains("\r\n\r\n") {
                    continue;
                }
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, body) = answer(&path);
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                break;
            }
        });
    }
}

fn octoprint_body(path: &str) -> (u16, String) {
    let body = |name: &str| {
        let text = String::from_utf8(fixture(&format!("octoprint/{name}.json"))).unwrap();
        let first: Value =
            serde_json::Deserializer::from_str(&text).into_iter().next().unwrap().unwrap();
        (200, first.to_string())
    };
    match path {
        "/api/printer?exclude=sd" => body("printer-printing"),
        "/api/job" => body("job-printing"),
        _ => (404, "not here: /home/jane".to_owned()),
    }
}

#[tokio::test]
async fn octoprint_is_read_by_polling_when_its_socket_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(serve_http(listener, octoprint_body));
    let (running, mut readings) = started(&format!(
        "kind = \"octoprint\"\nurl = \"http://127.0.0.1:{port}\"\napi_key = \"KEY\"\npoll_seconds = 1"
    ));
    let mut said = Vec::new();
    while said.len() < 4 {
        let next = tokio::time::timeout(Duration::from_secs(20), readings.recv());
        said.push(next.await.unwrap().unwrap().said);
    }
    assert!(matches!(said[0], Said::Online(_)), "{said:?}");
    assert_eq!(said[1], Said::AlreadyRunning);
    assert!(said.iter().any(|said| matches!(said, Said::Heaters(_))), "{said:?}");
    running.stop().await;
    server.abort();
}

#[tokio::test]
async fn a_refused_key_says_what_to_do_and_repeats_nothing_of_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let refuse = |_: &str| (403, "Traceback /home/jane/octoprint".to_owned());
    let server = tokio::spawn(serve_http(listener, refuse));
    let (mut running, _readings) = started(&format!(
        "kind = \"octoprint\"\nurl = \"http://127.0.0.1:{port}\"\napi_key = \"WRONGKEY\""
    ));
    let error = running.retries_with().await;
    assert!(error.contains("refused by OctoPrint"), "{error}");
    assert!(error.contains("the single permission STATUS"), "{error}");
    assert!(!error.contains("jane") && !error.contains("WRONGKEY"), "{error}");
    running.stop().await;
    server.abort();
}

#[tokio::test]
async fn an_absent_server_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let toml = format!("kind = \"moonraker\"\nurl = \"http://127.0.0.1:{port}\"");
    let (mut running, mut readings) = started(&toml);
    let error = running.retries_with().await;
    assert!(error.contains("no answer"), "{error}");
    running.stop().await;
    assert!(readings.recv().await.is_none(), "a source that never answered says nothing");
}

/// Plays a recording to the first client; gives what the client said.
async fn serve_moonraker(listener: TcpListener, recording: &'static str) -> Vec<String> {
    let (stream, _): (TcpStream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let mut heard = Vec::new();
    let mut recorded = lines(recording).into_iter().filter(|line| line["dir"] == "in");
    while heard.len() < 2 {
        let Some(Ok(Message::Text(text))) = socket.next().await else { break };
        let id = serde_json::from_str::<Value>(&text).unwrap()["id"].clone();
        heard.push(text.to_string());
        let answer = recorded.find(|line| line["msg"]["id"] == id).unwrap();
        socket.send(Message::text(answer["msg"].to_string())).await.unwrap();
    }
    for line in recorded {
        socket.send(Message::text(line["msg"].to_string())).await.unwrap();
    }
    while let Ok(Some(Ok(message))) =
        tokio::time::timeout(Duration::from_millis(500), socket.next()).await
    {
        if let Message::Text(text) = message {
            heard.push(text.to_string());
        }
    }
    heard
}

#[tokio::test]
async fn moonraker_is_read_and_only_asked_what_is_listed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let recording = "moonraker/ws-complete-cancel-emergencystop-restart.jsonl";
    let server = tokio::spawn(serve_moonraker(listener, recording));
    let (running, mut readings) = started(&format!(
        "kind = \"moonraker\"\nurl = \"http://127.0.0.1:{port}\"\napi_key = \"KEY\""
    ));
    let mut said = Vec::new();
    while !said.contains(&Said::Offline) {
        let next = tokio::time::timeout(Duration::from_secs(20), readings.recv());
        said.push(next.await.unwrap().unwrap().said);
    }
    let outcomes: Vec<Outcome> = said
        .iter()
        .filter_map(|said| match said {
            Said::Ended(ended) => Some(ended.outcome),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, [Outcome::Done, Outcome::StoppedByUser]);
    assert_eq!(said.iter().filter(|said| **said == Said::Restarted).count(), 1);
    let allowed = [
        "server.connection.identify",
        "printer.objects.subscribe",
        "printer.objects.query",
        "server.files.metadata",
        "server.history.list",
    ];
    for text in server.await.unwrap() {
        let method = serde_json::from_str::<Value>(&text).unwrap()["method"].clone();
        assert!(allowed.iter().any(|allowed| method == *allowed), "{text}");
    }
    running.stop().await;
}
