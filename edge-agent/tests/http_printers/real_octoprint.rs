//! A real `OctoPrint` and an agent, each of which comes and goes while the other works: a print counts
//! once or not at all, and a key that is refused or too strong says what to do.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use imprimatur_agent::accumulate::{Accumulator, Finished, FinishedPrint};
use imprimatur_agent::reading::{Reading, Said, UnixSeconds};
use imprimatur_agent::sources::SourceKind;
use imprimatur_proto::telemetry::v1::{Outcome, ReadingSource};
use imprimatur_testkit::gcode::ShortJob;
use imprimatur_testkit::peers::OctoPrint;
use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::{ports, wait};

use crate::find::found;
use crate::rig::Running;

/// A server starts in some seconds; the waits between attempts grow to a minute.
const LONG: Duration = Duration::from_mins(3);

/// Layers of about a second: a print that ends by itself, and one that does not get that far.
const SHORT: u16 = 4;
const LASTING: u16 = 400;

const ONLINE: Said = Said::Online(ReadingSource::Octoprint);
const PAUSED: Said = Said::Paused { by_run_out: false };

/// An agent's source that reads it.
fn reading(url: &str, key_file: &Path) -> Running {
    let key = key_file.display();
    Running::start(&format!(
        "kind = \"octoprint\"\nurl = \"{url}\"\napi_key_file = \"{key}\"\npoll_seconds = 1"
    ))
}

async fn server(folder: &Path, port: u16) -> OctoPrint {
    let peer = OctoPrint::start_on(folder, port).await.unwrap();
    peer.wait_operational().await.unwrap();
    peer
}

async fn print(peer: &OctoPrint, folder: &Path, layers: u16) {
    let gcode = folder.join("AcmeCorp_secret-bracket.gcode");
    ShortJob { hotend_celsius: 0, bed_celsius: 0, layers }.write(&gcode).unwrap();
    peer.upload_and_print(&gcode, "").await.unwrap();
}

/// Waits until it was said.
async fn says(running: &mut Running, expected: &Said) {
    running.says_within(LONG, &format!("{expected:?}"), |said| said == expected).await;
}

/// Waits for an end; gives its outcome and its seconds.
async fn ends(running: &mut Running) -> (Outcome, Option<f64>) {
    match running.says_within(LONG, "an end", |said| matches!(said, Said::Ended(_))).await {
        Said::Ended(end) => (end.outcome, end.seconds),
        other => panic!("{other:?}"),
    }
}

/// Waits for the end of a cancelled print. Only an event tells who ended it, and the push socket may
/// not be up yet.
async fn is_stopped(running: &mut Running) {
    let (outcome, _) = ends(running).await;
    assert!(matches!(outcome, Outcome::StoppedByUser | Outcome::Unspecified), "{outcome:?}");
}

#[track_caller]
fn counts(said: &[Said], already: usize, starts: usize, ends: usize) {
    let count = |is: fn(&Said) -> bool| said.iter().filter(|said| is(said)).count();
    let counted = [
        count(|said| *said == Said::AlreadyRunning),
        count(|said| *said == Said::Started),
        count(|said| matches!(said, Said::Ended(_))),
    ];
    assert_eq!(counted, [already, starts, ends], "{said:?}");
    let text = format!("{said:?}");
    assert!(!text.contains("Acme") && !text.contains("bracket"), "{text}");
}

/// The prints that would be told of this, one second after the other.
fn told(said: Vec<Said>) -> Vec<FinishedPrint> {
    let mut accumulator = Accumulator::default();
    let at = (1_795_293_300..).map(UnixSeconds);
    let readings = at.zip(said).map(|(at, said)| Reading { at, said });
    let finished = readings.flat_map(|reading| accumulator.observe(reading));
    let prints = finished.collect::<Vec<_>>().into_iter().filter_map(|finished| match finished {
        Finished::Print(print) => Some(*print),
        Finished::Day(_) => None,
    });
    prints.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_print_that_runs_when_the_agent_starts_is_not_told_and_the_next_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let peer = server(folder.path(), ports::free().unwrap()).await;
    found(peer.url(), SourceKind::OctoPrint).await;
    let key = folder.path().join("key");
    std::fs::write(&key, peer.status_key()).unwrap();
    print(&peer, folder.path(), LASTING).await;
    peer.wait_state("Printing", LONG).await.unwrap();

    let mut first = reading(peer.url(), &key);
    says(&mut first, &Said::AlreadyRunning).await;
    peer.pause().await.unwrap();
    says(&mut first, &PAUSED).await;
    counts(&first.stop().await, 1, 0, 0);

    // Another agent, as after a restart: it finds the print waiting, sees it go on and end.
    let mut second = reading(peer.url(), &key);
    says(&mut second, &PAUSED).await;
    peer.wait_state("Paused", LONG).await.unwrap();
    peer.resume().await.unwrap();
    says(&mut second, &Said::Resumed).await;
    peer.cancel().await.unwrap();
    is_stopped(&mut second).await;
    peer.wait_operational().await.unwrap();

    print(&peer, folder.path(), SHORT).await;
    says(&mut second, &Said::Started).await;
    let (outcome, seconds) = ends(&mut second).await;
    let counted = peer.wait_job_done(LONG).await.unwrap()["progress"]["printTime"].as_f64();
    let (seconds, counted) = (seconds.unwrap(), counted.unwrap());
    assert_eq!(outcome, Outcome::Done);
    assert!((seconds - counted).abs() <= 2.0, "{seconds} and by OctoPrint {counted}");
    let said = second.stop().await;
    counts(&said, 1, 1, 2);
    let prints = told(said);
    assert_eq!(prints.iter().map(|print| print.outcome).collect::<Vec<_>>(), [Outcome::Done]);
    peer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_loses_its_print_once_and_counts_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let port = ports::free().unwrap();
    let peer = server(folder.path(), port).await;
    let key = folder.path().join("key");
    std::fs::write(&key, peer.status_key()).unwrap();
    let mut running = reading(peer.url(), &key);
    says(&mut running, &ONLINE).await;

    // Killed in a print, as by a power cut of the host.
    print(&peer, folder.path(), LASTING).await;
    says(&mut running, &Said::Started).await;
    peer.kill().await.unwrap();
    says(&mut running, &Said::Offline).await;
    let peer = server(folder.path(), port).await;
    says(&mut running, &ONLINE).await;
    assert_eq!(ends(&mut running).await, (Outcome::HostLost, None));

    // Stopped in a print.
    print(&peer, folder.path(), LASTING).await;
    says(&mut running, &Said::Started).await;
    peer.stop().await.unwrap();
    let peer = server(folder.path(), port).await;
    assert_eq!(ends(&mut running).await.0, Outcome::HostLost);

    // Printed to the end, and restarted after it.
    print(&peer, folder.path(), SHORT).await;
    says(&mut running, &Said::Started).await;
    assert_eq!(ends(&mut running).await.0, Outcome::Done);
    peer.stop().await.unwrap();
    says(&mut running, &Said::Offline).await;
    let peer = server(folder.path(), port).await;
    says(&mut running, &ONLINE).await;
    print(&peer, folder.path(), SHORT).await;
    says(&mut running, &Said::Started).await;
    assert_eq!(ends(&mut running).await.0, Outcome::Done);

    let said = running.stop().await;
    counts(&said, 0, 4, 4);
    assert_eq!(told(said).len(), 4);
    peer.stop().await.unwrap();
}

/// What an owner is told of a key that is too strong.
const WARNING: &str = "its key can do more than read";

/// Whether the owner of a running agent is warned by its commands.
async fn warns(folder: &Path, url: &str, key: &Path) {
    let settings = folder.join("agent.toml");
    let (data, key) = (folder.join("data").display().to_string(), key.display());
    let text = format!(
        "data_dir = \"{data}\"\n[[source]]\nkind = \"octoprint\"\nurl = \"{url}\"\n\
         api_key_file = \"{key}\"\npoll_seconds = 1\n"
    );
    std::fs::write(&settings, text).unwrap();
    let command = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imprimatur-agent"));
        command.arg("--config").arg(&settings).args(words).stdin(Stdio::null());
        command
    };
    let agent = Guarded::spawn("agent", command(&["run"]), folder).unwrap();
    // A command before the agent is up would take the store from it.
    wait::until(LONG, "a warning in the log", async || {
        let log = agent.log_text();
        if log.contains(WARNING) { Ok(()) } else { Err(log) }
    })
    .await
    .unwrap();
    for words in [&["sources"][..], &["check"], &["sources", "--json"]] {
        let output = command(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains(WARNING), "{words:?}: {said}");
    }
    let log = agent.log_text();
    assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    agent.terminate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_read_anew_and_one_that_is_wrong_or_too_strong_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let peer = server(folder.path(), ports::free().unwrap()).await;
    let key = folder.path().join("key");
    std::fs::write(&key, "WRONGKEY").unwrap();
    let mut running = reading(peer.url(), &key);
    let error = running.retries().await;
    assert!(error.contains("refused by OctoPrint") && error.contains("STATUS"), "{error}");
    assert!(!error.contains("WRONGKEY"), "{error}");
    std::fs::write(&key, peer.status_key()).unwrap();
    says(&mut running, &ONLINE).await;

    // Replaced in a print: the old one is refused, the new one is taken, the print goes on.
    print(&peer, folder.path(), LASTING).await;
    says(&mut running, &Said::Started).await;
    let renewed = peer.renew_status_key().await.unwrap();
    says(&mut running, &Said::Offline).await;
    std::fs::write(&key, renewed).unwrap();
    says(&mut running, &ONLINE).await;
    assert_eq!(running.advice(), None);
    peer.cancel().await.unwrap();
    is_stopped(&mut running).await;
    counts(&running.stop().await, 0, 1, 1);

    std::fs::write(&key, peer.admin_key()).unwrap();
    let mut running = reading(peer.url(), &key);
    says(&mut running, &ONLINE).await;
    let advice = running.is_advised(LONG).await;
    assert!(advice.contains("the single permission STATUS"), "{advice}");
    running.stop().await;
    warns(folder.path(), peer.url(), &key).await;
    peer.stop().await.unwrap();
}
