//! The server side as it is deployed: Mosquitto as shipped, bridge and collector as processes, taps between.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use imprimatur_collector::control::{self, Ask, Told};
use imprimatur_consent::VerifyingKey;
use imprimatur_lake::{Catalogue, Lake, Row};
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_testkit::peers::Mosquitto;
use imprimatur_testkit::process::{Guarded, running_with};
use imprimatur_testkit::tap::Tap;
use imprimatur_testkit::{ports, wait, web};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Answer, imprimatur, said};

/// The exit code of `compliance verify` beside a collector that runs: what was checked holds, and the book,
/// which the collector holds open, was not checked.
pub(crate) const BOOK_HELD: i32 = 3;

/// Until a part of ours works.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// The name of the shared subscription, which on Mosquitto is a secret.
const SHARE: &str = "share-of-this-very-run";

/// A running server.
pub(crate) struct Rig {
    /// Collector and bridge end before the broker, all before their folder.
    collector: Option<Guarded>,
    bridge: Option<Guarded>,
    /// Between agents and broker.
    pub(crate) agents: Tap,
    /// Between bridge and broker.
    pub(crate) bridges: Tap,
    /// Between bridge and collector.
    pub(crate) grpc: Tap,
    pub(crate) broker: Mosquitto,
    pub(crate) grpc_port: u16,
    /// The collector's key, hex.
    pub(crate) key: String,
    log: &'static str,
    connected: usize,
    /// Whether the collector is told that this is a load test.
    load: bool,
    /// The collector's data, where it is not in the folder.
    elsewhere: Option<PathBuf>,
    folder: tempfile::TempDir,
}

impl Rig {
    /// Broker, collector and bridge, connected; `log` is their level.
    pub(crate) async fn start(log: &'static str) -> Self {
        Self::start_at(log, None).await
    }

    /// The same with a collector that takes any number of reports of a date.
    pub(crate) async fn start_for_load(log: &'static str) -> Self {
        Self::begin(log, None, true).await
    }

    /// The same with the collector's data in a folder that is not the rig's.
    pub(crate) async fn start_at(log: &'static str, elsewhere: Option<PathBuf>) -> Self {
        Self::begin(log, elsewhere, false).await
    }

    async fn begin(log: &'static str, elsewhere: Option<PathBuf>, load: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Mosquitto::start(folder.path()).await.unwrap();
        let password = folder.path().join("bridge.password");
        fs::write(&password, format!("{}\n", broker.bridge_credentials().password)).unwrap();
        let grpc_port = ports::free().unwrap();
        let at = ports::loopback(broker.port());
        let mut rig = Self {
            collector: None,
            bridge: None,
            agents: Tap::start(at).await.unwrap(),
            bridges: Tap::start(at).await.unwrap(),
            grpc: Tap::start(ports::loopback(grpc_port)).await.unwrap(),
            broker,
            grpc_port,
            key: String::new(),
            log,
            connected: 0,
            load,
            elsewhere,
            folder,
        };
        rig.start_collector().await;
        rig.start_bridge().await;
        rig
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The collector's data.
    pub(crate) fn data(&self) -> PathBuf {
        self.elsewhere.clone().unwrap_or_else(|| self.folder().join("data"))
    }

    /// Moves the collector's data: it must not run.
    pub(crate) fn set_data(&mut self, data: PathBuf) {
        self.elsewhere = Some(data);
    }

    pub(crate) async fn start_collector(&mut self) {
        let data = self.data();
        let listen = ports::loopback(self.grpc_port).to_string();
        let mut command = imprimatur(&["collector", "--listen", &listen]);
        command.args(["--metrics", "127.0.0.1:0", "--data"]).arg(&data);
        if self.load {
            command.arg("--load-test");
        }
        let process = self.spawn("collector", command);
        wait::until(SOON, "a collector", async || {
            let told = control::ask(&data, &Ask::Counts {}).await;
            if matches!(told, Ok(Some(_))) { Ok(()) } else { Err(process.log_text()) }
        })
        .await
        .unwrap();
        said(&process, "metrics  ", 1, SOON).await;
        let log = process.log_text();
        let line = log.lines().find_map(|line| line.strip_prefix("collector key  "));
        line.unwrap().clone_into(&mut self.key);
        self.collector = Some(process);
    }

    /// What the collector tells at `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        let log = self.collector.as_ref().unwrap().log_text();
        let line = log.lines().find_map(|line| line.strip_prefix("metrics        http://"));
        let address = line.unwrap().trim_end_matches("/metrics").parse().unwrap();
        web::ask(address, "GET", "/metrics").await.unwrap()
    }

    pub(crate) async fn start_bridge(&mut self) {
        self.connected += 1;
        self.bridge = Some(self.another_bridge("bridge", self.connected).await);
    }

    /// A bridge beside the other, in the same share, with a log of its own.
    pub(crate) async fn another_bridge(&self, name: &str, connected: usize) -> Guarded {
        let broker = self.bridges.address().to_string();
        let collector = format!("http://{}", self.grpc.address());
        let mut command = imprimatur(&["bridge", "--share", SHARE, "--broker", &broker]);
        command.args(["--collector", &collector, "--password-file"]);
        command.arg(self.folder().join("bridge.password"));
        let process = self.spawn(name, command);
        // The log is one file for all bridges of this name.
        said(&process, "bridge is connected to broker and collector", connected, SOON).await;
        process
    }

    fn spawn(&self, name: &str, mut command: Command) -> Guarded {
        command.env("IMPRIMATUR_LOG", self.log).current_dir(self.folder());
        Guarded::spawn(name, command, self.folder()).unwrap()
    }

    /// Ends the collector; gives its exit code.
    pub(crate) async fn stop_collector(&mut self) -> Option<i32> {
        self.collector.take().unwrap().terminate().await.unwrap().code()
    }

    /// Takes the collector away as a power cut would.
    pub(crate) async fn kill_collector(&mut self) {
        self.collector.take().unwrap().kill().await.unwrap();
    }

    /// Takes the bridge away.
    pub(crate) async fn kill_bridge(&mut self) {
        self.bridge.take().unwrap().kill().await.unwrap();
    }

    /// Takes the broker away with all that it holds, and starts it again.
    pub(crate) async fn kill_broker(&mut self) {
        let configuration = self.folder().join("mosquitto/mosquitto.conf");
        for process in running_with(&configuration.display().to_string()).unwrap() {
            let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
            kill_process(process, Signal::KILL).unwrap();
        }
        self.broker.restart().await.unwrap();
    }

    /// The collector's process.
    pub(crate) fn collector(&self) -> &Guarded {
        self.collector.as_ref().unwrap()
    }

    pub(crate) fn bridge(&self) -> &Guarded {
        self.bridge.as_ref().unwrap()
    }

    /// Ends the bridge; gives its exit code.
    pub(crate) async fn stop_bridge(&mut self) -> Option<i32> {
        self.bridge.take().unwrap().terminate().await.unwrap().code()
    }

    /// The collector's public key.
    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        self.key.parse().unwrap()
    }

    /// `imprimatur ARGUMENTS --data DIR`.
    pub(crate) async fn ask(&self, arguments: &[&str]) -> Answer {
        let mut command = imprimatur(arguments);
        command.arg("--data").arg(self.data());
        Answer::of(command).await
    }

    /// One-time tokens from the running collector.
    pub(crate) async fn tokens(&self, count: u32) -> Vec<String> {
        let count = count.to_string();
        let answer = self.ask(&["enrol", "--principals", &count, "--json"]).await.exits(0);
        serde_json::from_str(&answer.out).unwrap()
    }

    /// Answers that the running collector has given, by outcome and reason.
    pub(crate) async fn counts(&self) -> BTreeMap<String, u64> {
        match control::ask(&self.data(), &Ask::Counts {}).await.unwrap() {
            Some(Told::Counts(counts)) => counts,
            other => panic!("{other:?}"),
        }
    }

    /// What was published last; `None` before the first time.
    pub(crate) fn catalogue(&self) -> Option<Catalogue> {
        let lake = self.data().join("lake");
        let published = lake.join("catalogue.json").exists();
        published.then(|| Catalogue::load(&lake).unwrap())
    }

    /// All rows of a table.
    pub(crate) fn rows(&self, kind: RecordKind) -> Vec<Row> {
        let lake = Lake::open(self.data().join("lake")).unwrap();
        let files = self.catalogue().map(|catalogue| catalogue.files).unwrap_or_default();
        let of_it = files.iter().filter(|file| file.table == kind);
        of_it.flat_map(|file| lake.read(file).unwrap()).collect()
    }

    /// Waits until the lake has this many prints.
    pub(crate) async fn prints(&self, count: usize) -> Vec<Row> {
        self.prints_within(SOON, count).await
    }

    /// The same with a limit of its own.
    pub(crate) async fn prints_within(&self, limit: Duration, count: usize) -> Vec<Row> {
        wait::until(limit, "prints in the lake", async || {
            let rows = self.rows(RecordKind::Print);
            if rows.len() >= count { Ok(rows) } else { Err(format!("{rows:?}")) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", self.bridge().log_text()))
    }

    /// Every byte that went over a wire of this rig, both ways.
    pub(crate) fn wires(&self) -> Vec<(&'static str, Vec<u8>)> {
        let taps = [("agents", &self.agents), ("bridges", &self.bridges), ("grpc", &self.grpc)];
        taps.into_iter().map(|(name, tap)| (name, tap.transcript())).collect()
    }
}

/// The values of a row by column.
pub(crate) fn values(row: &Row) -> BTreeMap<String, u32> {
    let values = row.sections.iter().flat_map(|section| &section.values);
    values.map(|&(field, index)| (contract().rule(field).column.clone(), index)).collect()
}

/// The sections of a row by name.
pub(crate) fn sections(row: &Row) -> Vec<&'static str> {
    row.sections.iter().map(|section| section.category.name()).collect()
}
