//! Formlabs: answers written by the published description to readings, and a played `PreFormServer`.

use imprimatur_agent::reading::{Said, Sliced};
use imprimatur_agent::sources::formlabs::wire::Device;
use imprimatur_agent::sources::snapshot::{Activity, Snapshot};
use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome, ReadingSource};
use imprimatur_testkit::printers::PlayedFormlabs;
use serde_json::json;

use crate::rig::{Running, ended, fixture};

fn device(name: &str) -> Device {
    Device::parse(&fixture(&format!("formlabs/SYNTHETIC-{name}.json"))).unwrap()
}

#[track_caller]
fn plans(name: &str, seconds: f64, family: MaterialFamily) {
    let shown = device(name).snapshot();
    let plan = Sliced { seconds: Some(seconds), family: Some(family), ..Sliced::default() };
    assert_eq!((shown.activity, shown.plan), (Activity::Printing, Some(plan)), "{name}");
}

#[test]
fn resin_and_powder_printers_are_read() {
    plans("form4-printing", 5400.0, MaterialFamily::ResinStandard);
    plans("fuse1-printing", 39_600.0, MaterialFamily::Powder);
    let shows = |name: &str| device(name).snapshot().activity;
    assert_eq!(shows("form4-idle"), Activity::Idle);
    assert_eq!(shows("form4-paused"), Activity::Paused { by_run_out: false });
    assert_eq!(shows("form4-finished"), Activity::Ended(Outcome::Done));
    assert_eq!(shows("fuse1-error"), Activity::Closed { by_error: true });
    assert_eq!(device("fuse1-error").snapshot().fault, Some(FaultFamily::Other));
    assert!(!device("form4-not-connected").is_connected());
}

#[test]
fn there_is_no_laser_and_no_temperature_without_its_target() {
    for name in ["form4-printing", "fuse1-printing"] {
        let shown = device(name).snapshot();
        assert_eq!((shown.laser, shown.heaters), (None, Snapshot::default().heaters), "{name}");
    }
}

#[track_caller]
fn says(fields: &serde_json::Value, expected: &Snapshot) {
    let mut body = json!({ "is_connected": true, "status": "PRINTING" });
    let more = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    let shown = Device::parse(body.to_string().as_bytes()).unwrap().snapshot();
    assert_eq!(shown, *expected, "{body}");
}

#[test]
fn each_word_means_what_is_documented_and_other_words_nothing() {
    let of = |activity| Snapshot { activity, ..Snapshot::default() };
    for word in ["Printing", "PREHEAT", "preprint", "ABORTING"] {
        says(&json!({ "status": word }), &of(Activity::Printing));
    }
    says(&json!({ "status": "ABORTED" }), &of(Activity::Ended(Outcome::StoppedByUser)));
    for word in ["", "WAITING_FOR_RESOLUTION", "On holiday"] {
        says(&json!({ "status": word }), &of(Activity::Unknown));
    }
    // What is not known is not zero.
    let printing = of(Activity::Printing);
    says(&json!({ "estimated_print_time_remaining_ms": 0, "printing_guid": "" }), &printing);
    says(&json!({ "estimated_print_time_remaining_ms": -1 }), &printing);
    says(&json!({ "estimated_print_time_remaining_ms": null }), &printing);
}

#[test]
fn materials_keep_their_line_and_lose_the_rest() {
    let family = |code: &str| {
        let body = json!({
            "is_connected": true, "status": "PRINTING", "tank_material_code": code,
            "estimated_print_time_remaining_ms": 1000
        });
        let shown = Device::parse(body.to_string().as_bytes()).unwrap().snapshot();
        shown.plan.and_then(|plan| plan.family)
    };
    assert_eq!(family("FLGPGR05"), Some(MaterialFamily::ResinStandard));
    assert_eq!(family("FLTO2001"), Some(MaterialFamily::ResinTough));
    assert_eq!(family("FLDUCL02"), Some(MaterialFamily::ResinTough));
    assert_eq!(family("FLHTAM02"), Some(MaterialFamily::ResinSpecial));
    for unknown in ["", "Acme Orange", "F", "\u{e9}\u{e9}\u{e9}"] {
        assert_eq!(family(unknown), None, "{unknown}");
    }
}

#[test]
fn what_is_no_printer_is_not_read() {
    let error = r#"{"error": {"code": "PRINTER_NOT_FOUND", "message": "at 10.34.0.1"}}"#;
    for body in ["", "{}", error, "[]", "{\"is_connected\": true}", "{\"status\": \"IDLE\"}"] {
        assert!(Device::parse(body.as_bytes()).is_none(), "{body}");
    }
}

#[tokio::test]
async fn a_print_goes_on_while_the_printer_is_out_of_reach_and_ends_once() {
    let played = PlayedFormlabs::start().await.unwrap();
    let (url, device) = (played.url(), PlayedFormlabs::DEVICE);
    let mut running = Running::start(&format!(
        "kind = \"formlabs\"\nurl = \"{url}\"\ndevice = \"{device}\"\npoll_seconds = 1"
    ));
    running.says("online", |said| *said == Said::Online(ReadingSource::Formlabs)).await;
    played.change(|state| (state.status, state.remaining_ms) = ("PRINTING", 7_200_000));
    running.says("a start", |said| *said == Said::Started).await;
    let plan = running.says("a plan", |said| matches!(said, Said::Sliced(_))).await;
    let expected = Sliced {
        seconds: Some(7200.0),
        family: Some(MaterialFamily::ResinTough),
        ..Sliced::default()
    };
    assert_eq!(plan, Said::Sliced(expected));
    played.change(|state| (state.is_connected, state.status) = (false, "IDLE"));
    running.says("offline", |said| *said == Said::Offline).await;
    assert!(running.retries().await.contains("does not answer yet"));
    played.change(|state| (state.is_connected, state.status) = (true, "FINISHED"));
    running.says("an end", |said| *said == ended(Outcome::Done, None)).await;
    let path = format!("GET /devices/{device}/");
    let asked = played.requests();
    assert!(asked.iter().all(|it| it.line == path && it.key.is_none()), "{asked:?}");
    let said = running.stop().await;
    assert_eq!(said.iter().filter(|said| **said == Said::Started).count(), 1, "{said:?}");
}
