//! Ultimaker: answers written by its published description to readings, and a played printer.

use imprimatur_agent::reading::{Heater, Heaters, Said, Sliced};
use imprimatur_agent::sources::mark::Mark;
use imprimatur_agent::sources::snapshot::{Activity, Snapshot};
use imprimatur_agent::sources::ultimaker::wire::{Past, PrintJob, Printer};
use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome, ReadingSource};
use imprimatur_testkit::printers::{PlayedUltimaker, UltimakerJob};
use serde_json::json;

use crate::rig::{Running, ended, fixture};

/// The print of the fixtures.
const UUID: &str = "b2a309ce-692d-4bea-ad14-85aceacacf24";

fn printer(name: &str) -> Printer {
    Printer::parse(&fixture(&format!("ultimaker/SYNTHETIC-printer-{name}.json"))).unwrap()
}

fn job(name: &str) -> PrintJob {
    PrintJob::parse(&fixture(&format!("ultimaker/SYNTHETIC-job-{name}.json"))).unwrap()
}

#[track_caller]
fn shows(of: &str, with: &str, activity: Activity, seconds: Option<f64>) -> Snapshot {
    let shown = printer(of).snapshot(Some(&job(with)), None);
    assert_eq!((shown.activity, shown.seconds), (activity, seconds), "{of} {with}");
    shown
}

#[test]
fn states_of_a_print_are_read() {
    shows("heating", "pre-print", Activity::Printing, Some(0.0));
    shows("printing", "printing", Activity::Printing, Some(1200.0));
    shows("printing", "paused", Activity::Paused { by_run_out: true }, Some(1500.0));
    shows("printing", "post-print", Activity::Ended(Outcome::Done), Some(3590.0));
    let stopped = Activity::Ended(Outcome::StoppedByUser);
    shows("idle", "wait-cleanup-aborted", stopped, Some(1600.0));
    assert_eq!(printer("idle").snapshot(None, None).activity, Activity::Idle);
    let failed = printer("error").snapshot(None, None);
    assert_eq!(failed.activity, Activity::Closed { by_error: true });
    assert_eq!(failed.fault, Some(FaultFamily::Other));
}

#[track_caller]
fn state(state: &str, result: &str, activity: Activity) {
    let body = json!({ "state": state, "result": result, "pause_source": "display" }).to_string();
    let shown = printer("printing").snapshot(PrintJob::parse(body.as_bytes()).as_ref(), None);
    assert_eq!(shown.activity, activity, "{state} {result}");
}

#[test]
fn each_state_means_what_is_documented_and_other_words_nothing() {
    state("none", "", Activity::Idle);
    for word in ["pre_print", "printing", "pausing", "resuming", "post_print"] {
        state(word, "", Activity::Printing);
    }
    state("paused", "", Activity::Paused { by_run_out: false });
    state("wait_cleanup", "Finished", Activity::Ended(Outcome::Done));
    state("wait_cleanup", "Failed", Activity::Ended(Outcome::Fault));
    state("wait_cleanup", "Evaporated", Activity::Ended(Outcome::Unspecified));
    for word in ["wait_user_action", "dreaming", ""] {
        state(word, "", Activity::Unknown);
    }
    let booting = Printer::parse(br#"{"status": "booting"}"#).unwrap();
    assert_eq!(booting.snapshot(None, None), Snapshot::default());
}

#[test]
fn the_heated_extruder_tells_temperature_core_and_material() {
    let heater = |actual, target| Some(Heater { actual, target });
    let shown = printer("printing").snapshot(Some(&job("printing")), None);
    let heaters =
        Heaters { nozzle: heater(204.9, 205.0), bed: heater(60.1, 60.0), ..Heaters::default() };
    assert_eq!(shown.heaters, heaters);
    let plan = Sliced {
        seconds: Some(3600.0),
        family: Some(MaterialFamily::Pla),
        nozzle: Some(0.4),
        ..Sliced::default()
    };
    assert_eq!(shown.plan, Some(plan));
    // Before it is heated nobody knows which one prints, nor how long.
    assert_eq!(printer("idle").snapshot(Some(&job("printing")), None).plan, None);
    assert_eq!(printer("heating").snapshot(Some(&job("pre-print")), None).plan, None);
}

#[test]
fn a_material_that_is_not_the_makers_and_a_core_without_a_number_are_unknown() {
    let body = json!({ "status": "printing", "heads": [{ "extruders": [{
        "active_material": { "GUID": "00000000-1111-2222-3333-444444444444" },
        "hotend": { "id": "custom", "temperature": { "current": 200.0, "target": 200.0 } }
    }] }] });
    let printer = Printer::parse(body.to_string().as_bytes()).unwrap();
    let plan = printer.snapshot(Some(&job("printing")), None).plan.unwrap();
    assert_eq!(plan, Sliced { seconds: Some(3600.0), ..Sliced::default() });
}

#[test]
fn what_is_not_there_is_not_told() {
    let half = json!({ "status": "idle", "bed": { "temperature": { "current": 24.0 } } });
    let printer = Printer::parse(half.to_string().as_bytes()).unwrap();
    assert_eq!(printer.snapshot(None, None).heaters, Heaters::default());
    for body in ["", "{}", "[]", "{\"status\": 3}", "{\"message\": \"Not found\"}"] {
        assert!(Printer::parse(body.as_bytes()).is_none(), "{body}");
        assert!(PrintJob::parse(body.as_bytes()).is_none(), "{body}");
    }
}

#[test]
fn the_history_tells_how_this_print_ended_and_no_other() {
    let history = fixture("ultimaker/SYNTHETIC-history.json");
    let past = Past::find(&history, Mark::of(UUID)).unwrap();
    let shown = printer("idle").snapshot(None, Some(&past));
    assert_eq!(shown.activity, Activity::Ended(Outcome::Fault));
    assert_eq!(shown.seconds, Some(1600.0));
    assert!(Past::find(&history, Mark::of("another")).is_none());
    assert!(Past::find(b"{}", Mark::of(UUID)).is_none());
}

#[tokio::test]
async fn a_print_that_vanished_between_two_looks_gets_its_end_from_the_history() {
    let played = PlayedUltimaker::start().await.unwrap();
    let url = played.url();
    let toml = format!("kind = \"ultimaker\"\nurl = \"{url}\"\npoll_seconds = 1");
    let mut running = Running::start(&toml);
    running.says("online", |said| *said == Said::Online(ReadingSource::Ultimaker)).await;
    let print = UltimakerJob { state: "printing", result: "", uuid: UUID, elapsed: 1200 };
    played.change(|state| {
        (state.status, state.nozzle, state.job) = ("printing", (204.0, 205.0), Some(print));
    });
    running.says("a start", |said| *said == Said::Started).await;
    running.says("a plan", |said| matches!(said, Said::Sliced(_))).await;
    let past = UltimakerJob { result: "Finished", elapsed: 3500, ..print };
    played.change(|state| {
        (state.status, state.job, state.past) = ("idle", None, Some(past));
    });
    running.says("an end", |said| *said == ended(Outcome::Done, Some(3500.0))).await;
    let asked = played.requests();
    let history = asked.iter().filter(|it| it.line.contains("/history/")).count();
    assert_eq!(history, 1, "{asked:?}");
    assert!(asked.iter().all(|it| it.line.starts_with("GET ") && it.key.is_none()), "{asked:?}");
    running.stop().await;
}
