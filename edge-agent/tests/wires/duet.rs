//! A Duet's object model, against hand-written answers and a server of its documented requests.

use imprimatur_agent::catalogue;
use imprimatur_agent::reading::{Heater, Heaters, Said, Sliced};
use imprimatur_agent::sources::duet::wire::{Connected, Heat, Job, Loaded, State, model, shown};
use imprimatur_agent::sources::snapshot::{Activity, Snapshot, Watch};
use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome, ReadingSource};
use imprimatur_testkit::printers::{DuetMood, PlayedDuet};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{PLANTED, Running, count, fixture, outcomes, planted_in, refuses};

/// Questions of one look: connect, state, job, heat, the board now and then, disconnect.
const QUESTIONS_A_LOOK: usize = 6;

/// The hand-written answer to a key.
fn answer(key: &str) -> Value {
    serde_json::from_slice(&fixture(&format!("duet/SYNTHETIC-{key}.json"))).unwrap()
}

/// What the parts show together, each given as its `result`.
fn see(heat: &Value, state: &Value, job: &Value, loaded: Loaded) -> Snapshot {
    let bytes = |result: &Value| json!({ "key": "", "result": result }).to_string().into_bytes();
    let heat: Heat = model(&bytes(heat)).unwrap();
    let state: State = model(&bytes(state)).unwrap();
    let job: Job = model(&bytes(job)).unwrap();
    shown(&heat, &state, &job, Some(38.2), loaded)
}

fn word(status: &str, job: &Value) -> Activity {
    see(&json!({}), &json!({ "status": status }), job, Loaded::default()).activity
}

// From a message to a reading.

#[test]
fn a_print_is_read() {
    let loaded = Loaded { family: Some(MaterialFamily::Pla), diameter: Some(1.75) };
    let result = |key| answer(key)["result"].clone();
    let shown = see(&result("heat"), &result("state"), &result("job"), loaded);
    let heater = |actual, target| Some(Heater { actual, target });
    let heaters = Heaters {
        nozzle: heater(209.6, 210.0),
        bed: heater(59.8, 60.0),
        electronics: Some(38.2),
        ..Heaters::default()
    };
    assert_eq!((shown.activity, shown.heaters), (Activity::Printing, heaters));
    // Heat-up is left out of the time.
    assert_eq!((shown.seconds, shown.laser, shown.fault), (Some(1700.0), None, None));
    let plan = shown.plan.unwrap();
    let expected = Sliced {
        seconds: Some(5400.0),
        amount: plan.amount,
        layer_height: Some(0.2),
        slicer: Some(catalogue::slicer("PrusaSlicer", "2.8.0")),
        ..Sliced::default()
    };
    assert_eq!(plan, expected);
    // 351.2 and 1040 mm of 1.75 mm at 1.24 g/cm3.
    assert!((shown.amount.unwrap() - 1.047).abs() < 0.001, "{shown:?}");
    assert!((plan.amount.unwrap() - 3.102).abs() < 0.001, "{plan:?}");
}

#[test]
fn lengths_tell_no_amount_where_the_owner_did_not_say_what_is_loaded() {
    let job = json!({ "rawExtrusion": 351.2, "file": { "filament": [100.0] } });
    for loaded in [
        Loaded::default(),
        Loaded { diameter: Some(1.75), ..Loaded::default() },
        Loaded { family: Some(MaterialFamily::Pla), ..Loaded::default() },
    ] {
        let shown = see(&json!({}), &json!({ "status": "processing" }), &job, loaded);
        assert_eq!((shown.amount, shown.plan.unwrap().amount), (None, None), "{loaded:?}");
    }
}

#[test]
fn status_words_are_states() {
    let none = json!({});
    for (status, expected) in [
        ("processing", Activity::Printing),
        ("resuming", Activity::Printing),
        ("cancelling", Activity::Printing),
        ("pausing", Activity::Paused { by_run_out: false }),
        ("paused", Activity::Paused { by_run_out: false }),
        ("simulating", Activity::Idle),
        ("idle", Activity::Idle),
        ("halted", Activity::Closed { by_error: true }),
        ("off", Activity::Closed { by_error: false }),
        ("disconnected", Activity::Closed { by_error: false }),
        ("starting", Activity::Unknown),
        ("updating", Activity::Unknown),
        ("busy", Activity::Unknown),
        ("changingTool", Activity::Unknown),
        ("a word of tomorrow", Activity::Unknown),
    ] {
        assert_eq!(word(status, &none), expected, "{status}");
    }
    assert_eq!(see(&none, &none, &none, Loaded::default()).activity, Activity::Unknown);
}

#[test]
fn how_a_job_ended_is_read_from_what_is_said_of_the_last_one() {
    let job = |simulated: bool, cancelled: bool, aborted: bool| {
        json!({ "lastDuration": 1900, "lastWarmUpDuration": 100, "lastFileSimulated": simulated,
            "lastFileCancelled": cancelled, "lastFileAborted": aborted })
    };
    for (job, expected) in [
        (job(false, false, false), Activity::Ended(Outcome::Done)),
        (job(false, true, false), Activity::Ended(Outcome::StoppedByUser)),
        (job(false, false, true), Activity::Ended(Outcome::Fault)),
        (job(true, false, false), Activity::Idle),
        (json!({ "lastDuration": 1900 }), Activity::Idle),
        (json!({ "lastFileCancelled": true }), Activity::Idle),
    ] {
        assert_eq!(word("idle", &job), expected, "{job}");
    }
    let idle = json!({ "status": "idle" });
    let shown = see(&json!({}), &idle, &job(false, false, false), Loaded::default());
    assert_eq!(shown.seconds, Some(1800.0));
}

#[test]
fn a_simulation_is_no_print() {
    let mut watch = Watch::new(None);
    let mut said = Vec::new();
    let job = json!({ "duration": 100 });
    let over = json!({ "lastDuration": 100, "lastFileSimulated": true,
        "lastFileCancelled": false, "lastFileAborted": false });
    for (status, job) in [("idle", &job), ("simulating", &job), ("idle", &over)] {
        said.extend(watch.see(&see(
            &json!({}),
            &json!({ "status": status }),
            job,
            Loaded::default(),
        )));
    }
    said.retain(|said| !matches!(said, Said::Heaters(_)));
    assert_eq!(said, []);
}

#[test]
fn sentinels_and_unlisted_words_give_no_temperature() {
    let heater = |current: Value, state: &str| {
        let heaters = json!([{ "current": current, "active": 60, "standby": 40, "state": state }]);
        let heat = json!({ "bedHeaters": [0], "heaters": heaters });
        see(&heat, &json!({}), &json!({}), Loaded::default()).heaters.bed
    };
    let reads = |actual, target| Some(Heater { actual, target });
    assert_eq!(heater(json!(21.5), "active"), reads(21.5, 60.0));
    assert_eq!(heater(json!(21.5), "standby"), reads(21.5, 40.0));
    assert_eq!(heater(json!(21.5), "off"), reads(21.5, 0.0));
    assert_eq!(heater(json!(21.5), "fault"), reads(21.5, 0.0));
    for (current, state) in [
        (json!(-273.15), "active"),
        (json!(2000), "active"),
        (json!(null), "active"),
        (json!(21.5), "tuning"),
        (json!(21.5), "offline"),
    ] {
        assert_eq!(heater(current.clone(), state), None, "{current} {state}");
    }
    let missing = json!({ "bedHeaters": [-1, 7], "heaters": [null] });
    let shown = see(&missing, &json!({}), &json!({}), Loaded::default());
    assert_eq!((shown.heaters.nozzle, shown.heaters.bed), (None, None));
}

#[test]
fn a_heater_in_fault_is_a_fault() {
    let heat = json!({ "heaters": [{ "current": 21.5, "state": "fault" }] });
    let shown = see(&heat, &json!({}), &json!({}), Loaded::default());
    assert_eq!(shown.fault, Some(FaultFamily::Heater));
}

#[test]
fn the_laser_is_read_on_a_laser_machine_only() {
    let laser = |state: Value| see(&json!({}), &state, &json!({}), Loaded::default()).laser;
    assert_eq!(laser(json!({ "machineMode": "Laser", "laserPwm": 0.5 })), Some(50.0));
    assert_eq!(laser(json!({ "machineMode": "Laser", "laserPwm": null })), None);
    assert_eq!(laser(json!({ "machineMode": "Laser", "laserPwm": 1.5 })), None);
    assert_eq!(laser(json!({ "machineMode": "FFF", "laserPwm": 0.5 })), None);
    assert_eq!(laser(json!({ "machineMode": "CNC", "laserPwm": 0.5 })), None);
    assert_eq!(laser(json!({ "laserPwm": 0.5 })), None);
}

#[test]
fn what_is_no_answer_is_none() {
    for bytes in [&b""[..], b"{", b"[]", b"{\"result\":{\"heaters\":5}}", b"\xff\x00", b"null"] {
        assert!(model::<Heat>(bytes).is_none(), "{}", String::from_utf8_lossy(bytes));
    }
    assert!(Connected::parse(b"{\"sessionKey\":1}").is_none());
    assert!(model::<Heat>(b"{\"key\":\"heat\",\"result\":null}").is_some(), "a board without heat");
}

// The opposite.

#[test]
fn no_name_position_or_serial_comes_through() {
    let loaded = Loaded { family: Some(MaterialFamily::Pla), diameter: Some(1.75) };
    let texts = ["heat", "state", "job", "boards", "network"].map(|key| answer(key).to_string());
    let bytes = |key: usize| texts[key].as_bytes();
    let (heat, state, job): (Heat, State, Job) =
        (model(bytes(0)).unwrap(), model(bytes(1)).unwrap(), model(bytes(2)).unwrap());
    assert_eq!(planted_in(&(&heat, &state)), [""; 0]);
    let shown = shown(&heat, &state, &job, None, loaded);
    assert_eq!(planted_in(&shown), [""; 0]);
    let mut watch = Watch::new(loaded.family);
    assert_eq!(planted_in(&watch.see(&shown)), [""; 0]);
    // What keeps all would be found.
    assert_eq!(planted_in(&texts).len(), PLANTED.len());
}

// A server.

fn source(duet: &PlayedDuet, rest: &str) -> Running {
    let url = duet.url();
    Running::start(&format!("kind = \"duet\"\nurl = \"{url}\"\npoll_seconds = 1\n{rest}"))
}

async fn board(password: Option<&str>) -> PlayedDuet {
    let duet = PlayedDuet::start(password).await.unwrap();
    for key in ["heat", "state", "job"] {
        duet.show(key, answer(key)["result"].clone());
    }
    duet.show("boards[0].mcuTemp.current", json!(38.2));
    duet.show("state", json!({ "status": "idle", "upTime": 100 }));
    duet
}

#[tokio::test]
async fn a_print_on_a_server_is_told_with_few_questions_and_one_session() {
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    let duet = board(Some("s3cret")).await;
    let mut source = source(&duet, &format!("password_file = \"{}\"", file.display()));
    source.until("online", |said| *said == Said::Online(ReadingSource::Duet)).await;
    source.until("heaters", |said| matches!(said, Said::Heaters(_))).await;
    duet.show("state", json!({ "status": "processing", "upTime": 200 }));
    source.until("the start", |said| *said == Said::Started).await;
    duet.show(
        "job",
        json!({ "lastDuration": 1900, "lastWarmUpDuration": 100, "lastFileSimulated": false,
            "lastFileCancelled": false, "lastFileAborted": false }),
    );
    duet.show("state", json!({ "status": "idle", "upTime": 300 }));
    let ended = source.until_ended().await;
    assert_eq!((ended.outcome, ended.seconds), (Outcome::Done, Some(1800.0)));
    // A board that restarts in mid-print loses it.
    duet.show("state", json!({ "status": "processing", "upTime": 400 }));
    source.until("the second start", |said| *said == Said::Started).await;
    duet.forget_sessions();
    duet.show("state", json!({ "status": "idle", "upTime": 1 }));
    assert_eq!(source.until_ended().await.outcome, Outcome::Unspecified);
    let said = source.stop().await;
    assert_eq!(outcomes(&said), [Outcome::Done, Outcome::Unspecified]);
    assert_eq!(count(&said, &Said::Restarted), 1);
    // The ceiling: six questions a second at this rate, and one session at a time.
    let asked = duet.asked();
    let looks = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    assert!(asked.len() <= looks * QUESTIONS_A_LOOK, "{} in {looks} looks", asked.len());
    assert_eq!(duet.sessions().1, 1);
    for path in asked {
        let known = ["/rr_connect?", "/rr_model?key=", "/rr_disconnect"];
        assert!(known.iter().any(|known| path.starts_with(known)), "{path}");
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_full_board_say_what_to_do() {
    let duet = board(Some("s3cret")).await;
    let mut running = source(&duet, "");
    let error = running.retries_with().await;
    assert!(error.contains("the password is refused") && error.contains("M551"), "{error}");
    running.stop().await;
    let duet = board(None).await;
    duet.sessions_max(0);
    let mut running = source(&duet, "");
    let error = running.retries_with().await;
    assert!(error.contains("as many clients as it can"), "{error}");
    // Backs off, and reads as soon as there is room.
    duet.sessions_max(1);
    running.until("online", |said| matches!(said, Said::Online(_))).await;
    running.stop().await;
}

#[tokio::test]
async fn answers_that_are_none_are_tried_again_and_give_their_session_back() {
    for (mood, expected) in [
        (DuetMood::Malformed, "not of the form"),
        (DuetMood::Oversize, "longer than"),
        (DuetMood::Slow, "no answer within"),
    ] {
        let duet = board(None).await;
        duet.mood(mood);
        let mut running = source(&duet, "");
        let error = running.retries_with().await;
        assert!(error.contains(expected), "{mood:?}: {error}");
        assert_eq!(planted_in(&error), [""; 0]);
        assert_eq!(duet.sessions(), (0, 1), "{mood:?}: given back");
        duet.mood(DuetMood::Well);
        running.until("online", |said| matches!(said, Said::Online(_))).await;
        assert_eq!(planted_in(&running.stop().await), [""; 0]);
    }
}

#[tokio::test]
async fn a_board_that_is_away_is_tried_again() {
    let duet = board(None).await;
    let toml = format!("kind = \"duet\"\nurl = \"{}\"", duet.url());
    drop(duet);
    let mut running = Running::start(&toml);
    let error = running.retries_with().await;
    assert!(error.contains("no answer"), "{error}");
    running.stop().await;
}

#[test]
fn unusable_settings_are_refused_with_a_reason() {
    let duet = |rest: &str| format!("kind = \"duet\"\n{rest}");
    refuses(&duet("url = \"http://8.8.8.8\""), "out of the local network");
    refuses(&duet("url = \"http://duet\"\nfilament_mm = 17.5"), "`filament_mm` is outside 1 to 4");
    refuses(&duet("url = \"http://duet\"\npassword = \"x\""), "unknown field");
    refuses(&duet("url = \"http://duet\"\nmaterial = \"PLAA\""), "`material`");
}
