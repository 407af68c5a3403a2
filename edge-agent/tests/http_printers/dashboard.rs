//! The Formlabs Dashboard: answers written by its published description to readings, and a played cloud over TLS.

use std::path::Path;
use std::time::Duration;

use imprimatur_agent::reading::{Said, Sliced};
use imprimatur_agent::sources::formlabs::dashboard::wire::{Printer, Run, idle, token};
use imprimatur_agent::sources::mark::Mark;
use imprimatur_agent::sources::snapshot::{Activity, Snapshot};
use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome, ReadingSource};
use imprimatur_testkit::printers::{
    Behaviour, DashboardRun, PLANTED, PlayedDashboard, PlayedUltimaker, Reply,
};
use serde_json::{Value, json};

use crate::rig::{Running, ended, fixture};

fn printer(name: &str) -> Printer {
    Printer::parse(&fixture(&format!("formlabs/SYNTHETIC-dashboard-{name}.json"))).unwrap()
}

fn shown(printer: &Printer) -> Snapshot {
    printer.run().map_or_else(idle, Run::snapshot)
}

/// What a print shows, of which only the id and these fields are told.
fn run(fields: &Value) -> Snapshot {
    let mut run = json!({ "guid": "g", "status": "PRINTING" });
    run.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let body = json!({ "printer_status": { "current_print_run": run } }).to_string();
    Snapshot { job: None, ..shown(&Printer::parse(body.as_bytes()).unwrap()) }
}

#[test]
fn resin_and_powder_prints_are_read_and_no_print_is_none() {
    let form4 = printer("form4-printing");
    let plan = Sliced {
        seconds: Some(7200.0),
        amount: Some(41.5),
        family: Some(MaterialFamily::ResinTough),
        layer_height: Some(0.05),
        ..Sliced::default()
    };
    let expected = Snapshot {
        activity: Activity::Printing,
        job: form4.run().and_then(Run::mark).map(Mark::number),
        seconds: Some(1800.0),
        plan: Some(plan),
        ..Snapshot::default()
    };
    assert_eq!(shown(&form4), expected);
    assert!(expected.job.is_some());
    let fuse1 = shown(&printer("fuse1-printing"));
    let family = fuse1.plan.and_then(|plan| plan.family);
    assert_eq!((fuse1.activity, family), (Activity::Printing, Some(MaterialFamily::Powder)));
    assert_eq!(fuse1.seconds, None, "nothing is printed before it is warm");
    assert_eq!((fuse1.laser, fuse1.heaters), (None, Snapshot::default().heaters));
    assert_eq!(shown(&printer("form4-idle")).activity, Activity::Idle);
}

#[test]
fn each_word_means_what_is_documented_and_other_words_nothing() {
    for (word, expected) in [
        ("PREPRINT", Activity::Printing),
        ("PREHEAT", Activity::Printing),
        ("PRECOAT", Activity::Printing),
        ("POSTCOAT", Activity::Printing),
        ("PAUSING", Activity::Printing),
        ("ABORTING", Activity::Printing),
        ("PAUSED", Activity::Paused { by_run_out: false }),
        ("FINISHED", Activity::Ended(Outcome::Done)),
        ("ABORTED", Activity::Ended(Outcome::StoppedByUser)),
        ("ERROR", Activity::Closed { by_error: true }),
        ("QUEUED", Activity::Unknown),
        ("WAITING_FOR_RESOLUTION", Activity::Unknown),
        ("a word of tomorrow", Activity::Unknown),
    ] {
        let shown = run(&json!({ "status": word }));
        let fault = (word == "ERROR").then_some(FaultFamily::Other);
        assert_eq!((shown.activity, shown.fault), (expected, fault), "{word}");
    }
}

#[test]
fn what_is_not_known_is_not_zero_and_what_cannot_be_is_not_told() {
    let nothing = Snapshot {
        activity: Activity::Printing,
        plan: Some(Sliced::default()),
        ..Snapshot::default()
    };
    for fields in [
        json!({}),
        json!({ "material": null, "volume_ml": null, "elapsed_duration_ms": null }),
        json!({ "material": "", "volume_ml": 0, "estimated_duration_ms": 0 }),
        json!({ "material": "Acme", "volume_ml": -1.0, "estimated_duration_ms": -1 }),
        json!({ "elapsed_duration_ms": 1e300, "layer_thickness_mm": -0.05 }),
    ] {
        assert_eq!(run(&fields), nothing, "{fields}");
    }
    let family = |code: &str| run(&json!({ "material": code })).plan.and_then(|plan| plan.family);
    assert_eq!(family("FLP12G01"), Some(MaterialFamily::Powder));
    assert_eq!(family("FLPR2001"), Some(MaterialFamily::ResinTough));
    assert_eq!(family("FLGPCL05"), Some(MaterialFamily::ResinStandard));
}

#[test]
fn a_print_that_is_gone_is_found_by_its_mark_alone() {
    let prints = fixture("formlabs/SYNTHETIC-dashboard-prints.json");
    let mark = printer("form4-printing").run().and_then(Run::mark).unwrap();
    let past = Run::find(&prints, mark).unwrap().snapshot();
    assert_eq!(past.activity, Activity::Ended(Outcome::StoppedByUser));
    assert_eq!((past.seconds, past.plan), (Some(2400.0), None));
    let other = printer("fuse1-printing").run().and_then(Run::mark).unwrap();
    assert!(Run::find(&prints, other).is_none());
    assert!(Run::find(b"[]", mark).is_none());
}

#[test]
fn what_is_no_answer_is_not_read() {
    for body in ["", "[]", "{}", "{\"detail\": \"Not found.\"}", "{\"printer_status\": null}"] {
        assert!(Printer::parse(body.as_bytes()).is_none(), "{body}");
    }
    for body in [
        "{}",
        "{\"access_token\": \"\"}",
        "{\"access_token\": \"a\\r\\nX-Evil: 1\"}",
        "{\"access_token\": 7}",
    ] {
        assert!(token(body.as_bytes()).is_none(), "{body}");
    }
    let seconds = |body: &str| token(body.as_bytes()).unwrap().1.as_secs();
    assert_eq!(seconds("{\"access_token\": \"t\", \"expires_in\": 86400}"), 77_760);
    assert_eq!(seconds("{\"access_token\": \"t\"}"), 3240);
    assert_eq!(seconds("{\"access_token\": \"t\", \"expires_in\": -5}"), 0);
    assert_eq!(seconds("{\"access_token\": \"t\", \"expires_in\": 1e300}"), 77_760);
}

// A cloud.

struct Cloud {
    played: PlayedDashboard,
    folder: tempfile::TempDir,
}

impl Cloud {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), PlayedDashboard::SECRET).unwrap();
        Self { played: PlayedDashboard::start(folder.path()).await.unwrap(), folder }
    }

    fn source(&self) -> Running {
        self.source_that_trusts(&self.played.authorities())
    }

    fn source_that_trusts(&self, authorities: &Path) -> Running {
        Running::start(&format!(
            "kind = \"formlabs\"\npoll_seconds = 1\n[dashboard]\nprinter = \"{}\"\n\
             client_id = \"{}\"\nclient_secret_file = \"{}\"\n\
             url = \"{}/developer/v1\"\nca_file = \"{}\"",
            PlayedDashboard::PRINTER,
            PlayedDashboard::CLIENT,
            self.folder.path().join("secret").display(),
            self.played.url(),
            authorities.display()
        ))
    }

    fn shows(&self, run: Option<DashboardRun>) {
        self.played.change(|state| state.run = run);
    }
}

fn of(guid: &'static str, status: &'static str, elapsed_ms: u64) -> DashboardRun {
    DashboardRun { guid, status, elapsed_ms }
}

#[track_caller]
fn repeats_nothing(text: &str) {
    let own = [PlayedDashboard::SECRET, PlayedDashboard::CLIENT, PlayedDashboard::PRINTER];
    for word in PLANTED.into_iter().chain(own).chain(["token-", "987654"]) {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[tokio::test]
async fn prints_are_told_with_three_questions_and_nothing_planted_comes() {
    let cloud = Cloud::start().await;
    let mut running = cloud.source();
    running.says("online", |said| *said == Said::Online(ReadingSource::Formlabs)).await;
    cloud.shows(Some(of("a", "PREHEAT", 0)));
    running.says("a start", |said| *said == Said::Started).await;
    let plan = running.says("a plan", |said| matches!(said, Said::Sliced(_))).await;
    let expected = Sliced {
        seconds: Some(7200.0),
        amount: Some(41.5),
        family: Some(MaterialFamily::ResinTough),
        layer_height: Some(0.05),
        ..Sliced::default()
    };
    assert_eq!(plan, Said::Sliced(expected));
    // It ends and is still shown.
    cloud.shows(Some(of("a", "FINISHED", 6_000_000)));
    running.says("an end", |said| *said == ended(Outcome::Done, Some(6000.0))).await;
    // One that is gone is looked up, wherever it stands in the list.
    cloud.shows(Some(of("b", "PRINTING", 60_000)));
    running.says("a second start", |said| *said == Said::Started).await;
    cloud.played.change(|state| {
        state.prints = vec![of("a", "FINISHED", 1), of("b", "ABORTED", 2)];
        state.run = None;
    });
    running.says("a stop", |said| *said == ended(Outcome::StoppedByUser, None)).await;
    // One that is gone and not in the list ended, nobody knows how.
    cloud.shows(Some(of("c", "PRINTING", 60_000)));
    running.says("a third start", |said| *said == Said::Started).await;
    cloud.shows(None);
    running.says("an end", |said| *said == ended(Outcome::Unspecified, None)).await;
    // A token that ends before its time is replaced without a word.
    cloud.played.change(|state| state.token = "token-2");
    cloud.shows(Some(of("d", "PRINTING", 60_000)));
    running.says("a fourth start", |said| *said == Said::Started).await;
    let said = running.stop().await;
    assert!(!said.contains(&Said::Offline), "{said:?}");
    repeats_nothing(&format!("{said:?}"));
    let requests = cloud.played.requests();
    let asked = |line: &str| requests.iter().filter(|request| request.line == line).count();
    let one = format!("GET /developer/v1/printers/{}/", PlayedDashboard::PRINTER);
    let tokens = asked("POST /developer/v1/o/token/");
    let lists = asked(&format!("{one}prints/?per_page=10"));
    assert_eq!((tokens, lists), (2, 2), "{requests:?}");
    assert_eq!(requests.len(), tokens + lists + asked(&one), "{requests:?}");
    assert_eq!(cloud.played.connections_at_once(), 1);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_sent_nothing() {
    let (cloud, other) = (Cloud::start().await, Cloud::start().await);
    let mut running = cloud.source_that_trusts(&other.played.authorities());
    let error = running.retries().await;
    assert!(error.contains("can be trusted") && error.contains("`ca_file`"), "{error}");
    repeats_nothing(&error);
    assert_eq!(running.stop().await, []);
    assert!(cloud.played.connections() > 0);
    assert!(cloud.played.requests().is_empty(), "the secret would have gone along");
    let mut running = cloud.source_that_trusts(Path::new("/nonexistent/authorities.pem"));
    let error = running.retries().await;
    assert!(error.contains("cannot read the certificates"), "{error}");
    running.stop().await;
}

#[tokio::test]
async fn a_refused_client_and_an_unknown_printer_say_what_to_do() {
    let cloud = Cloud::start().await;
    cloud.played.change(|state| state.secret = "another");
    let mut running = cloud.source();
    let error = running.retries().await;
    assert!(error.contains("is refused by the Formlabs Dashboard"), "{error}");
    assert!(error.contains("`client_secret_file`"), "{error}");
    repeats_nothing(&error);
    // The file is read anew.
    std::fs::write(cloud.folder.path().join("secret"), "another\n").unwrap();
    running.says("online", |said| matches!(said, Said::Online(_))).await;
    running.stop().await;
    for (status, expected) in [
        (404, "does not know the printer"),
        (429, "was asked too often"),
        (503, "does not answer yet"),
        (500, "status 500"),
    ] {
        let cloud = Cloud::start().await;
        let mut running = cloud.source();
        running.says("online", |said| matches!(said, Said::Online(_))).await;
        let reply = Reply::status(status, "{\"detail\": \"Jane Doe\"}");
        cloud.played.change(|state| state.instead = Some(reply));
        running.says("offline", |said| *said == Said::Offline).await;
        let error = running.retries().await;
        assert!(error.contains(expected), "{error}");
        repeats_nothing(&error);
        running.stop().await;
    }
}

#[tokio::test]
async fn answers_that_are_none_are_tried_again() {
    let elsewhere = PlayedUltimaker::start().await.unwrap();
    let long = format!("{{\"access_token\": \"{}\"}}", "x".repeat(300 * 1024));
    for (reply, expected) in [
        (Reply::status(200, "{\"access_token\":"), "not of the form"),
        (Reply::status(200, long), "longer than 262144 bytes"),
        (Reply::status(307, "").header("Location", elsewhere.url()), "status 307"),
    ] {
        let cloud = Cloud::start().await;
        cloud.played.change(|state| state.instead = Some(reply));
        let mut running = cloud.source();
        let error = running.retries().await;
        assert!(error.contains(expected), "{error}");
        cloud.played.change(|state| state.instead = None);
        running.says("online", |said| matches!(said, Said::Online(_))).await;
        running.stop().await;
    }
    assert!(elsewhere.requests().is_empty(), "the secret would have gone along");
    let cloud = Cloud::start().await;
    for behaviour in [Behaviour::Cuts, Behaviour::Babbles, Behaviour::Hangs] {
        cloud.played.behave(behaviour);
        let mut running = cloud.source();
        let error = running.retries().await;
        assert!(error.contains("the connection ended") || error.contains("within 20 s"), "{error}");
        cloud.played.behave(Behaviour::Answers);
        running
            .says_within(Duration::from_mins(2), "online", |said| matches!(said, Said::Online(_)))
            .await;
        running.stop().await;
    }
}
