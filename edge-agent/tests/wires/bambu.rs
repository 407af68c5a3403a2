//! A Bambu Lab printer's reports, against a hand-written session and a broker with TLS.

use imprimatur_agent::reading::{Heater, Said, Sliced};
use imprimatur_agent::sources::bambu::faults;
use imprimatur_agent::sources::bambu::wire::{Known, NotAReport};
use imprimatur_agent::sources::fingerprint::Fingerprint;
use imprimatur_agent::sources::snapshot::{Activity, Snapshot, Watch};
use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome, ReadingSource};
use imprimatur_testkit::printers::PlayedBambu;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PLANTED, Running, count, fixture, outcomes, planted_in, refuses};

const SERIAL: &str = "SN00M00A000000000";
const CODE: &str = "1a2b3c4d";

fn session() -> Vec<String> {
    let text = String::from_utf8(fixture("bambu/SYNTHETIC-session.jsonl")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// What a printer shows after these fields came one message after the other.
fn shown(messages: &[Value]) -> Snapshot {
    let mut known = Known::default();
    let mut last = None;
    for fields in messages {
        let mut print = fields.clone();
        print["command"] = json!("push_status");
        last = known.take(json!({ "print": print }).to_string().as_bytes()).unwrap();
    }
    last.unwrap()
}

fn replayed(material: Option<MaterialFamily>) -> Vec<Said> {
    let mut known = Known::default();
    let mut watch = Watch::new(material);
    let mut said = Vec::new();
    for message in session() {
        if let Some(shown) = known.take(message.as_bytes()).unwrap() {
            said.extend(watch.see(&shown));
        }
    }
    said
}

// From a message to a reading.

#[test]
fn words_and_errors_are_states() {
    let cancelled = faults::CANCELLED;
    for (fields, expected) in [
        (json!({ "gcode_state": "IDLE" }), Activity::Idle),
        (json!({ "gcode_state": "PREPARE" }), Activity::Printing),
        (json!({ "gcode_state": "RUNNING" }), Activity::Printing),
        (json!({ "gcode_state": "SLICING" }), Activity::Unknown),
        (json!({ "gcode_state": "" }), Activity::Unknown),
        (json!({ "gcode_state": "A word of tomorrow" }), Activity::Unknown),
        (json!({}), Activity::Unknown),
        (json!({ "gcode_state": "PAUSE" }), Activity::Paused { by_run_out: false }),
        (
            json!({ "gcode_state": "PAUSE", "print_error": 0x0300_8004 }),
            Activity::Paused { by_run_out: true },
        ),
        (json!({ "gcode_state": "FINISH" }), Activity::Ended(Outcome::Done)),
        (json!({ "gcode_state": "FAILED" }), Activity::Ended(Outcome::Unspecified)),
        (
            json!({ "gcode_state": "FAILED", "print_error": 0 }),
            Activity::Ended(Outcome::Unspecified),
        ),
        (
            json!({ "gcode_state": "FAILED", "print_error": cancelled }),
            Activity::Ended(Outcome::StoppedByUser),
        ),
        (
            json!({ "gcode_state": "FAILED", "print_error": cancelled.to_string() }),
            Activity::Ended(Outcome::StoppedByUser),
        ),
        (
            json!({ "gcode_state": "FAILED", "print_error": 0x0300_8001 }),
            Activity::Ended(Outcome::Fault),
        ),
    ] {
        assert_eq!(shown(std::slice::from_ref(&fields)).activity, expected, "{fields}");
    }
}

#[test]
fn deltas_add_up_and_numbers_may_be_texts() {
    let reads = |actual, target| Some(Heater { actual, target });
    let full = json!({ "nozzle_temper": 25.3, "nozzle_target_temper": 0, "bed_temper": 24 });
    let first = shown(std::slice::from_ref(&full));
    assert_eq!((first.heaters.nozzle, first.heaters.bed), (reads(25.3, 0.0), None));
    let deltas =
        [full, json!({ "nozzle_target_temper": "220" }), json!({ "bed_target_temper": 65 })];
    let merged = shown(&deltas);
    assert_eq!(merged.heaters.nozzle, reads(25.3, 220.0));
    assert_eq!(merged.heaters.bed, reads(24.0, 65.0));
    for none in [json!("n/a"), json!("1e9"), json!("inf"), json!(null), json!({}), json!([1])] {
        let fields = json!({ "nozzle_temper": none, "nozzle_target_temper": 200 });
        assert_eq!(shown(&[fields]).heaters.nozzle, None, "{none}");
    }
    for wrong in [json!(-273.15), json!(6553.5), json!(1e300)] {
        let fields = json!({ "nozzle_temper": wrong, "nozzle_target_temper": 200 });
        assert_eq!(shown(&[fields]).heaters.nozzle, None, "{wrong}");
    }
}

#[test]
fn errors_are_families_by_a_small_table() {
    for (attr, code, expected) in [
        (0x0300_0100, 0x0001_0001, Some(FaultFamily::Heater)),
        (0x0300_0200, 0x0001_0006, Some(FaultFamily::Heater)),
        (0x0300_1700, 0x0001_0001, Some(FaultFamily::Cooling)),
        (0x0300_1A00, 0x0002_0002, Some(FaultFamily::Clog)),
        (0x0300_0D00, 0x0002_0001, Some(FaultFamily::Levelling)),
        (0x0300_0A00, 0x0001_0005, Some(FaultFamily::Sensor)),
        (0x0300_1C00, 0x0001_0001, Some(FaultFamily::Motion)),
        (0x0700_2000, 0x0002_0001, Some(FaultFamily::RunOut)),
        (0x1203_2300, 0x0002_0006, Some(FaultFamily::Clog)),
        (0x0C00_0100, 0x0002_0008, Some(FaultFamily::Other)),
        // A note is no fault.
        (0x0500_0100, 0x0003_0004, None),
        (0x0300_0100, 0x0000_0001, None),
    ] {
        assert_eq!(faults::of_health(attr, code), expected, "{attr:08x} {code:08x}");
    }
    for (error, expected) in [
        (0, None),
        (faults::CANCELLED, None),
        (0x0702_8011, Some(FaultFamily::RunOut)),
        (0x0300_800F, Some(FaultFamily::Door)),
        (0x0300_8001, Some(FaultFamily::Other)),
    ] {
        assert_eq!(faults::of_error(error), expected, "{error:08x}");
    }
}

#[test]
fn a_session_is_told_print_by_print() {
    let said = replayed(None);
    let ends = [Outcome::Done, Outcome::StoppedByUser, Outcome::Fault];
    assert_eq!(outcomes(&said), ends, "{said:?}");
    assert_eq!(count(&said, &Said::Started), 3);
    assert_eq!(count(&said, &Said::Paused { by_run_out: true }), 1);
    assert_eq!(count(&said, &Said::Fault(FaultFamily::RunOut)), 1);
    assert_eq!(count(&said, &Said::Fault(FaultFamily::Other)), 1);
    // The plan is of minutes, with the material of the tray that is in use.
    let plans: Vec<Sliced> = said
        .iter()
        .filter_map(|said| match said {
            Said::Sliced(plan) => Some(*plan),
            _ => None,
        })
        .collect();
    let first = Sliced {
        seconds: Some(5700.0),
        family: Some(MaterialFamily::Petg),
        nozzle: Some(0.4),
        ..Sliced::default()
    };
    assert_eq!(plans[0], first);
    assert_eq!(plans[1].seconds, Some(1800.0));
    let hot = Said::Heaters(imprimatur_agent::reading::Heaters {
        nozzle: Some(Heater { actual: 219.8, target: 220.0 }),
        bed: Some(Heater { actual: 64.9, target: 65.0 }),
        ..Default::default()
    });
    assert!(said.contains(&hot), "{said:?}");
    let fault = said.iter().rposition(|said| matches!(said, Said::Fault(_))).unwrap();
    let end = said.iter().rposition(|said| matches!(said, Said::Ended(_))).unwrap();
    assert!(fault < end, "a fault belongs to the print that it ended");
}

#[test]
fn a_print_is_told_from_the_next_by_its_number_unless_that_tells_nothing() {
    let task = |id: &str| shown(&[json!({ "gcode_state": "RUNNING", "task_id": id })]).job;
    assert!(task("7").is_some());
    assert_eq!(task("7"), task("7"));
    assert_ne!(task("7"), task("8"));
    assert_eq!((task("0"), task("")), (None, None));
    let local = shown(&[json!({ "task_id": "0", "subtask_id": "9" })]);
    assert!(local.job.is_some());
}

#[test]
fn what_is_no_report_says_nothing() {
    let mut known = Known::default();
    for bytes in [&b""[..], b"{", b"\xff", b"7", b"{\"print\":7}", b"{\"print\":{\"hms\":7}}"] {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(known.take(bytes), Err(NotAReport), "{text}");
    }
    for bytes in [
        &b"{}"[..],
        b"{\"print\":null}",
        b"{\"print\":{\"gcode_state\":\"RUNNING\"}}",
        b"{\"print\":{\"command\":\"project_file\",\"gcode_state\":\"RUNNING\"}}",
        b"{\"mc_print\":{\"command\":\"push_info\",\"param\":\"G1 X1\"}}",
    ] {
        assert_eq!(known.take(bytes), Ok(None), "{}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(format!("{known:?}"), format!("{:?}", Known::default()));
}

proptest::proptest! {
    #[test]
    fn any_field_of_any_type_is_read_without_panic(
        key in "(hms|ams|vt_tray|print_error|gcode_state|task_id|nozzle_temper|command)",
        value in "(null|true|-1|1e308|\"\"|\"0x1\"|\\[\\]|\\{\\}|\\[\\{\\}\\]|18446744073709551615)",
    ) {
        let mut known = Known::default();
        let text = format!("{{\"print\":{{\"command\":\"push_status\",\"{key}\":{value}}}}}");
        let read = known.take(text.as_bytes());
        proptest::prop_assert!(read.is_ok() || read == Err(NotAReport));
    }
}

// The opposite.

#[test]
fn no_name_serial_picture_or_network_comes_through() {
    let mut known = Known::default();
    for message in session() {
        known.take(message.as_bytes()).unwrap();
        assert_eq!(planted_in(&known), [""; 0], "{message}");
    }
    assert_eq!(planted_in(&replayed(None)), [""; 0]);
    // What keeps all would be found.
    assert_eq!(planted_in(&session()).len(), PLANTED.len());
}

#[test]
fn serial_and_code_are_never_shown() {
    let toml = format!(
        "kind = \"bambu\"\nurl = \"mqtts://192.168.1.20\"\nserial = \"{SERIAL}\"\n\
         access_code_file = \"/etc/imprimatur/bambu.code\"\n"
    );
    let text = format!("{:?}", super::settings(&toml).unwrap());
    assert!(!text.contains(SERIAL), "{text}");
}

#[test]
fn fingerprints_are_read_as_programs_write_them() {
    let plain = "00".repeat(32);
    let colons = vec!["00"; 32].join(":");
    assert_eq!(Fingerprint::parse(&plain), Fingerprint::parse(&colons));
    assert!(Fingerprint::parse(&plain).is_some());
    assert!(Fingerprint::parse("00").is_none() && Fingerprint::parse("zz").is_none());
}

#[test]
fn unusable_settings_are_refused_with_a_reason() {
    let bambu = |rest: &str| format!("kind = \"bambu\"\naccess_code_file = \"/c\"\n{rest}");
    let serial = "serial = \"00M00A000000000\"";
    refuses(&bambu(&format!("url = \"http://printer\"\n{serial}")), "mqtts://");
    refuses(&bambu(&format!("url = \"mqtts://printer/x\"\n{serial}")), "mqtts://");
    refuses(&bambu(&format!("url = \"mqtts://8.8.8.8\"\n{serial}")), "out of the local network");
    refuses(&bambu(&format!("url = \"mqtts://u:p@printer\"\n{serial}")), "only host");
    refuses(&bambu("url = \"mqtts://printer\"\nserial = \"+/#\""), "`serial`");
    let short = format!("url = \"mqtts://printer\"\n{serial}\ncertificate_sha256 = \"00\"");
    refuses(&bambu(&short), "64 hexadecimal digits");
    let code = format!("url = \"mqtts://printer\"\n{serial}\naccess_code = \"x\"");
    refuses(&bambu(&code), "unknown field");
}

// A broker.

struct Printer {
    folder: TempDir,
    played: PlayedBambu,
}

impl Printer {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let played = PlayedBambu::start(folder.path(), SERIAL, CODE).await.unwrap();
        Self { folder, played }
    }

    /// Settings with a code and a certificate, if any.
    fn toml(&self, code: &str, certificate: Option<&str>) -> String {
        let file = self.folder.path().join("code");
        std::fs::write(&file, code).unwrap();
        let pin = certificate.map(|seen| format!("certificate_sha256 = \"{seen}\"\n"));
        format!(
            "kind = \"bambu\"\nurl = \"{}\"\nserial = \"{SERIAL}\"\naccess_code_file = \"{}\"\n{}",
            self.played.url(),
            file.display(),
            pin.unwrap_or_default()
        )
    }

    /// The agent asked for everything.
    async fn is_asked(&self, times: usize) {
        imprimatur_testkit::wait::until(super::LIMIT, "the question", async || {
            let asked = self.played.asked().len();
            if asked >= times { Ok(()) } else { Err(format!("{asked} times")) }
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_session_over_tls_is_told_and_asked_for_once() {
    let mut printer = Printer::start().await;
    let seen = printer.played.certificate_sha256().unwrap();
    let mut source = Running::start(&printer.toml(CODE, Some(&seen)));
    printer.is_asked(1).await;
    let session = session();
    // Half of the session, with what is no message in between.
    let (first, second) = session.split_at(11);
    printer.played.say("{ planted-jane-doe").await.unwrap();
    for message in first {
        printer.played.say(message).await.unwrap();
    }
    let online = Said::Online(ReadingSource::Bambu);
    source.until("online", |said| *said == online).await;
    source.until("the first start", |said| *said == Said::Started).await;
    source.until("the plan", |said| matches!(said, Said::Sliced(_))).await;
    // The printer is switched off and on: what it says next is taken, and it is not asked again.
    printer.played.restart().await.unwrap();
    source.until("offline", |said| *said == Said::Offline).await;
    imprimatur_testkit::wait::until(super::LIMIT, "a second login", async || {
        let logins = printer.played.connections();
        if logins >= 2 { Ok(()) } else { Err(format!("{logins} logins")) }
    })
    .await
    .unwrap();
    let mut again: Value = serde_json::from_str(&session[0]).unwrap();
    again["print"]["gcode_state"] = json!("RUNNING");
    again["print"]["task_id"] = json!("987655");
    again["print"]["mc_percent"] = json!(41);
    // Its topic may be subscribed to a moment later: it reports each second, as the real one does.
    while count(&source.said, &online) < 2 {
        printer.played.say(&again.to_string()).await.unwrap();
        let next = std::time::Duration::from_secs(1);
        if let Ok(Some(reading)) = tokio::time::timeout(next, source.readings.recv()).await {
            source.said.push(reading.said);
        }
    }
    for message in second {
        printer.played.say(message).await.unwrap();
    }
    for expected in [Outcome::Done, Outcome::StoppedByUser, Outcome::Fault] {
        assert_eq!(source.until_ended().await.outcome, expected);
    }
    let asked = printer.played.asked();
    assert_eq!(asked, [r#"{"pushing":{"sequence_id":"0","command":"pushall"}}"#]);
    assert_eq!(printer.played.connections(), 2);
    let said = source.stop().await;
    assert_eq!(planted_in(&said), [""; 0]);
    assert_eq!(count(&said, &Said::Started), 3, "the restart counts no print twice: {said:?}");
}

#[tokio::test]
async fn nothing_is_sent_to_a_certificate_that_the_owner_did_not_write_down() {
    let mut printer = Printer::start().await;
    let seen = printer.played.certificate_sha256().unwrap();
    let mut unknown = Running::start(&printer.toml(CODE, None));
    let error = unknown.retries_with().await;
    assert!(error.contains("do not name the printer's certificate"), "{error}");
    assert!(error.contains(&format!("certificate_sha256 = \"{seen}\"")), "{error}");
    assert!(!error.contains(SERIAL) && !error.contains(CODE), "{error}");
    unknown.stop().await;
    // Another one than before, as of a machine in between.
    printer.played.new_certificate().await.unwrap();
    let mut other = Running::start(&printer.toml(CODE, Some(&seen)));
    let error = other.retries_with().await;
    assert!(error.contains("not the one in the settings"), "{error}");
    let now = printer.played.certificate_sha256().unwrap();
    assert!(error.contains(&now) && now != seen, "{error}");
    other.stop().await;
    assert_eq!((printer.played.connections(), printer.played.asked().len()), (0, 0));
}

#[tokio::test]
async fn a_wrong_code_says_what_to_do() {
    let printer = Printer::start().await;
    let seen = printer.played.certificate_sha256().unwrap();
    let mut source = Running::start(&printer.toml("wrongcode", Some(&seen)));
    let error = source.retries_with().await;
    assert!(error.contains("the password is refused by the printer's broker"), "{error}");
    assert!(error.contains("access code") && !error.contains("wrongcode"), "{error}");
    source.stop().await;
    assert_eq!(printer.played.asked(), [""; 0]);
}

#[tokio::test]
async fn messages_that_are_none_end_the_connection_after_a_few() {
    let printer = Printer::start().await;
    let seen = printer.played.certificate_sha256().unwrap();
    let mut source = Running::start(&printer.toml(CODE, Some(&seen)));
    printer.is_asked(1).await;
    for _ in 0..5 {
        printer.played.say("[planted-jane-doe").await.unwrap();
    }
    let error = source.retries_with().await;
    assert!(error.contains("not of the form"), "{error}");
    assert_eq!(planted_in(&error), [""; 0]);
    source.stop().await;
}
