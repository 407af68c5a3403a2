//! `PrusaLink`: recorded answers of 0.8.1 to readings, and a played one through a whole day.

use imprimatur_agent::reading::{Heater, Heaters, Said, Sliced};
use imprimatur_agent::sources::prusalink::wire::{Job, Status};
use imprimatur_agent::sources::snapshot::{Activity, Snapshot, Watch};
use imprimatur_proto::telemetry::v1::{
    AdhesionAid, FaultFamily, MaterialFamily, Outcome, ReadingSource,
};
use imprimatur_testkit::printers::{PlayedPrusaLink, PrusaLinkJob};
use serde_json::json;

use crate::rig::{Running, ended, fixture};

fn recorded(name: &str) -> Status {
    Status::parse(&fixture(&format!("prusalink/status-{name}.json"))).unwrap()
}

fn hot(nozzle: (f64, f64), bed: (f64, f64)) -> Heaters {
    let heater = |(actual, target)| Some(Heater { actual, target });
    Heaters { nozzle: heater(nozzle), bed: heater(bed), ..Heaters::default() }
}

#[track_caller]
fn shows(name: &str, activity: Activity, seconds: Option<f64>, heaters: Heaters) {
    let shown = recorded(name).snapshot(None);
    assert_eq!((shown.activity, shown.seconds), (activity, seconds), "{name}");
    assert_eq!(shown.heaters, heaters, "{name}");
}

#[test]
fn recorded_states_are_read() {
    let off = hot((21.0, 0.0), (21.0, 0.0));
    let printing = hot((210.0, 210.0), (60.0, 60.0));
    let paused = Activity::Paused { by_run_out: false };
    shows("idle", Activity::Idle, None, off);
    shows("heating", Activity::Printing, None, hot((183.5, 215.0), (60.0, 60.0)));
    shows("printing", Activity::Printing, Some(25.0), printing);
    shows("paused", paused, Some(25.0), printing);
    shows("stopped", Activity::Ended(Outcome::StoppedByUser), None, printing);
}

#[track_caller]
fn state(word: &str, activity: Activity, fault: Option<FaultFamily>) {
    let body = json!({ "printer": { "state": word } }).to_string();
    let expected = Snapshot { activity, fault, ..Snapshot::default() };
    assert_eq!(Status::parse(body.as_bytes()).unwrap().snapshot(None), expected, "{word}");
}

#[test]
fn each_state_means_what_is_documented_and_other_words_nothing() {
    state("READY", Activity::Idle, None);
    state("FINISHED", Activity::Ended(Outcome::Done), None);
    state("ERROR", Activity::Closed { by_error: true }, Some(FaultFamily::Other));
    // A print may run meanwhile or not.
    for word in ["BUSY", "ATTENTION", "MEDITATING", ""] {
        state(word, Activity::Unknown, None);
    }
}

#[test]
fn a_temperature_whose_target_is_not_there_yet_is_not_told() {
    let body = json!({ "printer": { "state": "IDLE", "temp_nozzle": 21.0, "temp_bed": null } });
    let shown = Status::parse(body.to_string().as_bytes()).unwrap().snapshot(None);
    assert_eq!(shown.heaters, Heaters::default());
}

#[test]
fn what_is_no_status_is_not_read() {
    for body in ["", "{}", "[]", "null", "{\"printer\": {}}", "{\"printer\": {\"state\": 7}}"] {
        assert!(Status::parse(body.as_bytes()).is_none(), "{body}");
    }
    assert!(Status::parse(&fixture("prusalink/status-noauth-401.json")).is_none());
}

#[test]
fn the_job_of_a_file_tells_its_plan() {
    let expected = Sliced {
        seconds: Some(744.0),
        amount: Some(1.27),
        family: Some(MaterialFamily::Pla),
        layer_height: Some(0.2),
        infill: Some(20.0),
        nozzle: Some(0.4),
        supports: Some(false),
        ..Sliced::default()
    };
    for name in ["heating", "printing", "paused"] {
        let job = Job::parse(&fixture(&format!("prusalink/job-{name}.json"))).unwrap();
        assert_eq!(job.plan(), Some(expected), "{name}");
    }
}

#[track_caller]
fn plans(meta: &serde_json::Value, expected: Option<Sliced>) {
    let body = json!({ "file": { "meta": meta } }).to_string();
    assert_eq!(Job::parse(body.as_bytes()).unwrap().plan(), expected, "{body}");
}

#[test]
fn what_a_file_does_not_say_is_unknown_and_never_zero() {
    plans(&json!({}), None);
    plans(
        &json!({ "filament used [g]": 0.0, "estimated_print_time": 0, "layer_height": null }),
        None,
    );
    plans(
        &json!({ "filament_type": ["PLA"], "nozzle_diameter": {}, "fill_density": "dense" }),
        None,
    );
    let of = |plan| Some(plan);
    plans(
        &json!({ "brim_width": "5", "layer_height": "0.15", "fill_density": 0 }),
        of(Sliced {
            adhesion: Some(AdhesionAid::Used),
            layer_height: Some(0.15),
            infill: Some(0.0),
            ..Sliced::default()
        }),
    );
    // Without grams the volume counts, where the density is known.
    plans(
        &json!({ "filament used [cm3]": 10.0, "filament_type": "PETG;PLA" }),
        of(Sliced { family: Some(MaterialFamily::Petg), amount: Some(12.7), ..Sliced::default() }),
    );
    assert!(Job::parse(b"{}").unwrap().plan().is_none());
}

#[test]
fn recorded_answers_make_one_print() {
    let mut watch = Watch::new(None);
    let mut said = Vec::new();
    for name in ["idle", "heating", "printing", "paused", "printing", "stopped", "stopped", "idle"]
    {
        said.extend(watch.see(&recorded(name).snapshot(None)));
    }
    said.retain(|said| !matches!(said, Said::Heaters(_)));
    let paused = Said::Paused { by_run_out: false };
    let end = ended(Outcome::StoppedByUser, None);
    assert_eq!(said, [Said::Started, paused, Said::Resumed, end]);
}

fn source(played: &PlayedPrusaLink) -> String {
    let url = played.url();
    format!("kind = \"prusalink\"\nurl = \"{url}\"\napi_key = \"KEY\"\npoll_seconds = 1")
}

#[tokio::test]
async fn a_print_is_read_from_its_start_to_its_end_across_a_restart() {
    let mut played = PlayedPrusaLink::start().await.unwrap();
    let mut running = Running::start(&source(&played));
    running.says("online", |said| *said == Said::Online(ReadingSource::Prusalink)).await;
    let job = |seconds| Some(PrusaLinkJob { id: 7, seconds });
    played.change(|state| {
        (state.state, state.job, state.nozzle) = ("PRINTING", job(10), Some((199.0, 200.0)));
    });
    running.says("a start", |said| *said == Said::Started).await;
    let plan = running.says("a plan", |said| matches!(said, Said::Sliced(_))).await;
    let Said::Sliced(plan) = plan else { panic!("{plan:?}") };
    assert_eq!((plan.seconds, plan.amount), (Some(5400.0), Some(12.5)));
    assert_eq!((plan.family, plan.supports), (Some(MaterialFamily::Petg), Some(true)));
    let heaters = running.says("heaters", |said| matches!(said, Said::Heaters(_))).await;
    let nozzle = Some(Heater { actual: 199.0, target: 200.0 });
    assert_eq!(heaters, Said::Heaters(Heaters { nozzle, ..Heaters::default() }));
    played.server().stop().await;
    running.says("offline", |said| *said == Said::Offline).await;
    played.change(|state| state.job = job(300));
    played.server().start_again().await.unwrap();
    running.says("online again", |said| matches!(said, Said::Online(_))).await;
    played.change(|state| (state.state, state.job) = ("FINISHED", None));
    running.says("an end", |said| *said == ended(Outcome::Done, Some(300.0))).await;
    let jobs = played.requests().iter().filter(|it| it.line == "GET /api/v1/job").count();
    assert_eq!(jobs, 1, "the file of a print is looked at once");
    let said = running.stop().await;
    assert_eq!(said.iter().filter(|said| **said == Said::Started).count(), 1, "{said:?}");
}

#[tokio::test]
async fn a_print_that_ended_and_another_that_began_between_two_looks_are_told_apart() {
    let played = PlayedPrusaLink::start().await.unwrap();
    let mut running = Running::start(&source(&played));
    running.says("online", |said| matches!(said, Said::Online(_))).await;
    let shows = |id, seconds| {
        played.change(|state| {
            (state.state, state.job) = ("PRINTING", Some(PrusaLinkJob { id, seconds }));
        });
    };
    shows(1, 500);
    running.says("a start", |said| *said == Said::Started).await;
    shows(2, 900);
    running.says("an end", |said| *said == ended(Outcome::Unspecified, None)).await;
    running.says("another", |said| *said == Said::AlreadyRunning).await;
    running.stop().await;
}
