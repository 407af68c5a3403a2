//! What is absent is named and waited for, without haste, and nothing that was kept is lost meanwhile.

use std::path::Path;
use std::time::Duration;

use imprimatur_consent::Category;
use imprimatur_proto::record::RecordKind;
use imprimatur_testkit::peers::OctoPrint;
use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::tap::Tap;
use imprimatur_testkit::{ports, wait};

use crate::agent::{Host, collector};
use crate::program::{Answer, processor_time, said};
use crate::rig::{Rig, SOON, values};

/// How long attempts are counted.
const WINDOW: Duration = Duration::from_secs(8);

/// Agent and bridge have waited for a while: the agent gives each answer 20 s and then pauses, the
/// bridge pauses up to 30 s, and an attempt that comes too early costs another round.
const AGAIN: Duration = Duration::from_mins(2);

/// Waits double from a second or half of one: no more fit into the window.
const ATTEMPTS_MAX: usize = 10;

/// Hundredths of a second: a tenth of one core would be 80.
const PROCESSOR_MAX: u64 = 60;

/// Counts attempts through a closed tap, and processor time, over the window.
async fn is_patient(process: &Guarded, tap: &Tap) {
    let (attempts, used) = (tap.connections(), processor_time(process.id()));
    wait::throughout(WINDOW, "patience", async || {
        let (attempts, used) = (tap.connections() - attempts, processor_time(process.id()) - used);
        if attempts <= ATTEMPTS_MAX && used <= PROCESSOR_MAX {
            Ok(())
        } else {
            Err(format!("{attempts} attempts, {used} hundredths of a second"))
        }
    })
    .await
    .unwrap();
    assert!(tap.connections() > attempts, "it gave up");
}

/// One line of this kind, however often it failed.
#[track_caller]
fn once(log: &str, text: &str) {
    let lines = log.lines().filter(|line| line.contains("WARN") && line.contains(text));
    assert_eq!(lines.count(), 1, "`{text}` in\n{log}");
}

fn octoprint(port: u16, key: &str) -> String {
    format!(
        "[[source]]\nkind = \"octoprint\"\nurl = \"http://127.0.0.1:{port}\"\napi_key = \"{key}\"\n\
         poll_seconds = 1\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_printer_and_a_refused_key_are_named_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let port = ports::free().unwrap();
    let printer = Tap::start(ports::loopback(port)).await.unwrap();
    let at =
        |name: &str, key: &str| Host::new(folder.path(), name, &octoprint(printer.port(), key));
    let (mut right, mut wrong) =
        (at("right", "LABSTATUSONLYKEY0000000000000000"), at("wrong", "NOSUCHKEY"));
    printer.close();
    right.run().await;
    said(right.process(), "is it switched on, and is `url` right", 1, SOON).await;
    is_patient(right.process(), &printer).await;
    once(&right.log(), "a printer cannot be read");

    let server = OctoPrint::start_on(folder.path(), port).await.unwrap();
    printer.open();
    right.until(&["sources"], "/0/state", Duration::from_secs(90), |is| is == "connected").await;
    wrong.run().await;
    said(wrong.process(), "the API key is refused by OctoPrint", 1, SOON).await;
    let state = wrong.json(&["sources"]).await[0]["state"].to_string();
    assert!(state.contains("retrying in") && state.contains("refused"), "{state}");
    assert!(!wrong.log().contains("NOSUCHKEY"), "the key is in the log");
    assert_eq!((right.end().await, wrong.end().await), (Some(0), Some(0)));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_broker_is_named_and_what_waits_is_delivered() {
    let rig = Rig::start("info").await;
    let mut host = granted(&rig, "");
    host.spool(3);
    rig.agents.close();
    host.run().await;
    said(host.process(), "the broker", 1, SOON).await;
    is_patient(host.process(), &rig.agents).await;
    once(&host.log(), "batches wait; trying again");
    host.shows("/batches_waiting", &3.into()).await;
    rig.agents.open();
    assert_eq!(rig.prints(3).await.len(), 3);
    host.shows("/batches_waiting", &0.into()).await;
    assert!(host.log().contains("the collector answers again"), "{}", host.log());
    assert_eq!(host.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_collector_is_named_and_what_waits_is_delivered() {
    let mut rig = Rig::start("info").await;
    let mut host = granted(&rig, "");
    host.run().await;
    host.shows("/confirmed", &true.into()).await;
    host.end().await;
    host.spool(2);
    assert_eq!(rig.stop_collector().await, Some(0));
    said(rig.bridge(), "WARN", 1, SOON).await;
    let used = processor_time(rig.bridge().id());
    host.run().await;
    said(host.process(), "the broker reaches no collector", 1, SOON).await;
    let used = processor_time(rig.bridge().id()) - used;
    assert!(used < 200, "the bridge is busy with nobody: {used} hundredths of a second");
    let log = rig.bridge().log_text();
    assert!(log.contains("collector") && log.matches("WARN").count() == 1, "{log}");
    host.shows("/batches_waiting", &2.into()).await;
    rig.start_collector().await;
    assert_eq!(rig.prints_within(AGAIN, 2).await.len(), 2);
    host.shows("/batches_waiting", &0.into()).await;
    assert_eq!(host.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_is_told_and_keeps_what_it_holds() {
    let rig = Rig::start("info").await;
    // Four frames of the smallest size.
    let mut host = granted(&rig, "spool_bytes_max = 2048\n");
    host.spool(6);
    rig.agents.close();
    host.run().await;
    let log = host.ask(&["log"]).await;
    assert_eq!(log.matches("the spool is full: 1 batches, the oldest").count(), 2, "{log}");
    host.shows("/spool_bytes", &2048.into()).await;
    rig.agents.open();
    let rows = rig.prints(4).await;
    host.shows("/batches_waiting", &0.into()).await;
    let mut told: Vec<u32> =
        rows.iter().map(|row| values(row)["print_time_completed_duration"]).collect();
    told.sort_unstable();
    assert_eq!(told, [3, 4, 5, 6], "the newest are kept and delivered, in full");
    assert_eq!(rig.rows(RecordKind::Print).len(), 4);
    assert_eq!(host.end().await, Some(0));
}

/// A limit on the size of files stands for a disk without room: writes fail in the same place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_loses_nothing() {
    let rig = Rig::start("info").await;
    let mut host = granted(&rig, "");
    host.spool(3);
    let mut cramped = std::process::Command::new("sh");
    let agent = host.command(&["consent", "grant", "laser", "--yes"]);
    cramped.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""]);
    cramped.arg(agent.get_program()).args(agent.get_args());
    let answer = Answer::of(cramped).await;
    assert_ne!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.contains("cannot read or write the store"), "{answer:?}");
    // With room again: the grant never was, and all that was spooled is there and is delivered.
    let shown = host.json(&["consent", "show"]).await;
    assert_eq!(shown["batches_waiting"], 3, "{shown}");
    let laser = shown["categories"].as_array().unwrap().iter();
    let laser = laser.clone().find(|state| state["category"] == "laser").unwrap();
    assert_eq!(laser["flag"], "unasked");
    host.run().await;
    assert_eq!(rig.prints(3).await.len(), 3);
    assert_eq!(host.end().await, Some(0));
}

/// An agent whose owner said yes while nobody could be reached.
fn granted(rig: &Rig, settings: &str) -> Host {
    let folder: &Path = rig.folder();
    let to = collector(rig.agents.address(), &rig.key);
    let host = Host::new(folder, "agent", &format!("{settings}{to}"));
    host.open().grant(&[Category::PrintTime, Category::Temperature], None).unwrap();
    host
}
