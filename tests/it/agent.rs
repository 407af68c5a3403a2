//! The agent as its owner runs it: a settings file, a process, commands.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use imprimatur_agent::Agent;
use imprimatur_agent::config::Config;
use imprimatur_proto::telemetry::v1::{PrintReport, PrintTemperature, PrintTime};
use imprimatur_runtime::{Clock as _, SystemClock};
use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::wait;
use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Answer, program, said};
use crate::rig::{Rig, SOON};

/// One agent, running or not.
pub(crate) struct Host {
    process: Option<Guarded>,
    folder: PathBuf,
    name: String,
    environment: Vec<(&'static str, String)>,
    starts: usize,
}

/// The section of the settings that says where to send.
pub(crate) fn collector(broker: SocketAddr, key: &str) -> String {
    format!("[collector]\nbroker = \"mqtt://{broker}\"\nkey = \"{key}\"\n")
}

impl Host {
    /// An agent whose files are in `folder`; `settings` follow its `data_dir`.
    pub(crate) fn new(folder: &Path, name: &str, settings: &str) -> Self {
        let host = Self {
            process: None,
            folder: folder.to_owned(),
            name: name.to_owned(),
            environment: vec![("IMPRIMATUR_LOG", "debug".to_owned())],
            starts: 0,
        };
        let data = host.data().display().to_string();
        fs::write(host.config(), format!("data_dir = \"{data}\"\n{settings}")).unwrap();
        host
    }

    /// One that sends to a rig, through its tap, after each print.
    pub(crate) fn of(rig: &Rig, name: &str, source: &str) -> Self {
        let to = collector(rig.agents.address(), &rig.key);
        Self::new(rig.folder(), name, &format!("{to}[report]\nseal_after = \"print\"\n{source}"))
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join(format!("{}-data", self.name))
    }

    fn config(&self) -> PathBuf {
        self.folder.join(format!("{}.toml", self.name))
    }

    /// A command of this agent.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program("imprimatur-agent");
        command.arg("--config").arg(self.config()).args(arguments).current_dir(&self.folder);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it, until it answers.
    pub(crate) async fn run(&mut self) {
        let process = Guarded::spawn(&self.name, self.command(&["run"]), &self.folder).unwrap();
        self.starts += 1;
        said(&process, " running", self.starts, SOON).await;
        self.process = Some(process);
    }

    pub(crate) fn process(&self) -> &Guarded {
        self.process.as_ref().unwrap()
    }

    /// Ends it with SIGTERM; gives its exit code.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        self.process.take().unwrap().terminate().await.unwrap().code()
    }

    /// Lets it crash; gives its exit code, which a signal leaves out.
    pub(crate) async fn crash(&mut self) -> Option<i32> {
        let mut process = self.process.take().unwrap();
        process.signal(Signal::ABORT).unwrap();
        process.wait(SOON).await.unwrap().code()
    }

    /// Takes it away as a power cut would.
    pub(crate) async fn kill(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        let path = self.folder.join(format!("{}.stderr.log", self.name));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// What a command says when it does what it is asked.
    pub(crate) async fn ask(&self, arguments: &[&str]) -> String {
        Answer::of(self.command(arguments)).await.exits(0).out
    }

    /// The same as JSON.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        Answer::of(self.command(&arguments)).await.exits(0).json()
    }

    /// The owner says yes.
    pub(crate) async fn grant(&self, categories: &[&str]) {
        self.ask(&[&["consent", "grant", "--yes"], categories].concat()).await;
    }

    /// Waits until what `consent show` tells under `pointer` is `expected`.
    pub(crate) async fn shows(&self, pointer: &str, expected: &Value) {
        self.until(&["consent", "show"], pointer, SOON, |value| value == expected).await;
    }

    /// Waits until its source is connected.
    pub(crate) async fn connected(&self) {
        self.until(&["sources"], "/0/state", SOON, |state| state == "connected").await;
    }

    /// Waits until what a command tells under `pointer` passes.
    pub(crate) async fn until(
        &self,
        command: &[&str],
        pointer: &str,
        limit: Duration,
        passes: impl Fn(&Value) -> bool,
    ) -> Value {
        wait::until(limit, pointer, async || {
            let told = self.json(command).await;
            let value = told.pointer(pointer).cloned().unwrap_or_default();
            if passes(&value) { Ok(value) } else { Err(told.to_string()) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Its store, opened here: only while it does not run.
    pub(crate) fn open(&self) -> Agent {
        let config = Config::read(&self.config()).unwrap();
        let printer = config.printers.into_iter().next().unwrap();
        Agent::open(printer.agent, SystemClock::shared()).unwrap()
    }

    /// Puts this many batches of one print each into its spool, as if measured; it must not run.
    pub(crate) fn spool(&self, batches: u32) {
        let agent = self.open();
        for number in 1..=batches {
            record(&agent, number);
        }
    }
}

/// A print that ends now, sealed; its duration tells its number.
pub(crate) fn record(agent: &Agent, number: u32) {
    let now = SystemClock.now();
    agent.record_print(&print(number), now).unwrap();
    agent.seal_prints().unwrap();
}

/// A print of today.
pub(crate) fn print(completed_duration: u32) -> PrintReport {
    PrintReport {
        start_date: SystemClock.today().0,
        print_time: Some(PrintTime { completed_duration, ..Default::default() }),
        temperature: Some(PrintTemperature { nozzle_set_point: 8, ..Default::default() }),
        ..Default::default()
    }
}
