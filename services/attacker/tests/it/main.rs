//! The attack against a real collector, through a real broker, and against what takes everything.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../imprimatur/src/broker.rs"]
#[expect(unreachable_pub, dead_code, reason = "shared with the program that embeds it")]
mod broker;
mod yes;

use std::collections::BTreeSet;

use imprimatur_attacker::{AttackError, Report, Settings, Verdict, attack};
use imprimatur_bridge::{BridgeSettings, BrokerAddress, Credentials};
use imprimatur_collector::{Collector, CollectorSettings, Running};
use imprimatur_consent::Policy;
use imprimatur_consent::policy::STRICTEST;
use imprimatur_ledger::Label;
use imprimatur_runtime::{Clock as _, SystemClock};
use imprimatur_testkit::peers::Mosquitto;
use tokio_util::sync::CancellationToken;

/// The cases that have a door at the collector.
const CASES: [u32; 44] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 23, 25, 26, 30, 31, 33, 34,
    35, 36, 37, 38, 39, 40, 41, 42, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53,
];

/// The rest of them.
const MORE: [u32; 5] = [54, 55, 56, 57, 58];

fn settings(target: String) -> Settings {
    Settings {
        target,
        broker: None,
        policy: Policy::read(STRICTEST).unwrap().hash,
        today: SystemClock.today(),
    }
}

async fn run(settings: &Settings) -> Result<Report, AttackError> {
    attack(settings, CancellationToken::new(), |_| {}).await
}

struct Rig {
    running: Running,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn start(label: Label) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            CollectorSettings { label, ..CollectorSettings::local(folder.path().join("data")) };
        let stop = CancellationToken::new();
        let collector = Collector::open(settings, SystemClock::shared()).unwrap();
        let running = collector.start(stop.clone()).await.unwrap();
        Self { running, stop, folder }
    }

    fn target(&self) -> String {
        format!("http://{}", self.running.address)
    }
}

/// The cases of which something was not refused as documented.
fn failed(report: &Report) -> BTreeSet<u32> {
    let wrong = report.attempts.iter().filter(|attempt| attempt.verdict != Verdict::Refused);
    wrong.map(|attempt| attempt.case).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_refuses_every_case_with_its_documented_reason() {
    let rig = Rig::start(Label::Real).await;
    let report = run(&settings(rig.target())).await.unwrap();
    assert!(failed(&report).is_empty(), "{report}");
    assert_eq!(report.cases(), CASES.into_iter().chain(MORE).collect::<BTreeSet<_>>());
    assert!(report.goodput.whole && report.goodput.holds(), "{report}");
    assert!(report.goodput.measured_bits > 490.0, "{report}");
    assert!(report.holds && report.left == 0 && report.erased > 10, "{report}");
    // Refusals are distinct where their reasons are.
    let words: BTreeSet<_> =
        report.attempts.iter().map(|attempt| attempt.expected.as_str()).collect();
    assert!(words.len() >= 24, "{words:?}");
    let counts = rig.running.counts().unwrap();
    assert!(counts["refused.unknown_field"] > 500, "{counts:?}");
    // The last publication finishes the erasures; no byte of what was tried is left.
    let Rig { running, stop, folder } = rig;
    stop.cancel();
    running.ended().await.unwrap();
    let data = folder.path().join("data");
    assert_eq!(imprimatur_lake::Catalogue::load(&data.join("lake")).unwrap().files, []);
    let verified = imprimatur_verifier::verify(&data, &imprimatur_verifier::Trust::default());
    let verified = verified.unwrap();
    assert!(verified.holds, "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_without_ceilings_is_found_out() {
    let rig = Rig::start(Label::Load).await;
    let report = run(&settings(rig.target())).await.unwrap();
    assert_eq!(failed(&report), BTreeSet::from([44, 49]), "{report}");
    assert!(!report.holds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_everything_fails_in_every_case() {
    let address = yes::serve().await;
    let report = run(&settings(format!("http://{address}"))).await.unwrap();
    assert_eq!(failed(&report), CASES.into_iter().chain(MORE).collect::<BTreeSet<_>>(), "{report}");
    let accepted: BTreeSet<u32> = report
        .attempts
        .iter()
        .filter(|attempt| attempt.verdict == Verdict::Accepted)
        .map(|attempt| attempt.case)
        .collect();
    assert_eq!(accepted, failed(&report), "{report}");
    assert!(!report.goodput.holds() && !report.holds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_honest_beginning_nothing_is_proven() {
    let rig = Rig::start(Label::Real).await;
    let unknown =
        Settings { policy: imprimatur_consent::Digest([5; 32]), ..settings(rig.target()) };
    let error = run(&unknown).await.unwrap_err();
    assert!(matches!(&error, AttackError::NoBaseline { answer, .. } if answer == "policy_unknown"));
    let nobody = settings("http://127.0.0.1:1".to_owned());
    assert!(matches!(run(&nobody).await, Err(AttackError::Unreachable { .. })));
    for nonsense in ["no address", "nonsense", "127.0.0.1:50051"] {
        let ended = run(&settings(nonsense.to_owned())).await;
        assert!(matches!(ended, Err(AttackError::Target(_))), "{nonsense}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_attack_erases_what_it_said() {
    let rig = Rig::start(Label::Real).await;
    let stop = CancellationToken::new();
    let halt = stop.clone();
    let ended = attack(&settings(rig.target()), stop, move |_| halt.cancel()).await;
    assert!(matches!(ended, Err(AttackError::Stopped)), "{ended:?}");
    let counts = rig.running.counts().unwrap();
    let recorded = counts["consent.recorded"];
    assert!(recorded > 0 && counts["rights.accepted"] > 0, "{counts:?}");
}

/// Attacks a collector with a bridge at this broker.
async fn through(host: &str, port: u16, credentials: Credentials) -> Report {
    let rig = Rig::start(Label::Real).await;
    let address = BrokerAddress::new(host, port).unwrap();
    let bridge = BridgeSettings::new(address, credentials, &rig.target()).unwrap();
    let stop = CancellationToken::new();
    let carrying = tokio::spawn(imprimatur_bridge::run(bridge, stop.clone()));
    let settings = Settings { broker: Some(format!("{host}:{port}")), ..settings(rig.target()) };
    let report = run(&settings).await.unwrap();
    stop.cancel();
    carrying.await.unwrap().unwrap();
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_road_through_broker_and_bridge_refuses_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(folder.path()).await.unwrap();
    let account = broker.bridge_credentials();
    let credentials = Credentials::new(account.user.clone(), account.password.clone()).unwrap();
    let report = through("127.0.0.1", broker.port(), credentials).await;
    assert!(report.holds && report.cases().contains(&32), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_broker_refuses_the_same() {
    let password = "a password of the tests";
    let mut settings = broker::BrokerSettings::new("bridge", password);
    settings.listen = ([127, 0, 0, 1], 0).into();
    let broker = broker::EmbeddedBroker::start(settings).await.unwrap();
    let credentials = Credentials::new("bridge", password).unwrap();
    let report = through("127.0.0.1", broker.address().port(), credentials).await;
    assert!(report.holds && report.cases().contains(&32), "{report}");
    broker.stop().await.unwrap();
}
