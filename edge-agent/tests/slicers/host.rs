//! A host with the real agent on it, and what its owner sees.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use imprimatur_agent::control::{self, Reply, Request};

/// The agent's program.
pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_imprimatur-agent");

/// Between two looks at what has to happen.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Host {
    pub(crate) folder: tempfile::TempDir,
    agent: Option<Child>,
}

impl Host {
    /// A host without a running agent; `settings` are added to its file.
    pub(crate) fn new(settings: &str) -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap(), agent: None };
        let text = format!("data_dir = \"{}\"\n{settings}", host.data().display());
        fs::write(host.config(), text).unwrap();
        host
    }

    /// A host with a running agent whose owner granted these.
    pub(crate) fn running(settings: &str, granted: &[&str]) -> Self {
        let mut host = Self::new(settings);
        let log = fs::File::create(host.folder.path().join("agent.log")).unwrap();
        let mut run = host.command(&["run"]);
        host.agent = Some(run.stdin(Stdio::null()).stderr(log).spawn().unwrap());
        host.until("the agent answers", || {
            control::ask(&host.socket(), None, &Request::Show {}).is_ok().then_some(())
        });
        if !granted.is_empty() {
            let grant = [&["consent", "grant", "--yes"], granted].concat();
            assert!(host.command(&grant).output().unwrap().status.success());
        }
        host
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.data().join(control::SOCKET)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(AGENT);
        command.arg("--config").arg(self.config()).args(arguments);
        command
    }

    /// The hook's line as an owner writes it into a slicer's settings.
    pub(crate) fn hook(&self) -> String {
        format!("{AGENT} slicer-report --config {}", self.config().display())
    }

    pub(crate) fn report(&self, file: &Path) -> Output {
        self.command(&["slicer-report"]).arg(file).stdin(Stdio::null()).output().unwrap()
    }

    /// A folder with an `imprimatur-agent` that uses this host's settings.
    pub(crate) fn programs(&self) -> PathBuf {
        let run = format!("exec {AGENT} --config {} \"$@\"", self.config().display());
        self.program("imprimatur-agent", &run).parent().unwrap().to_owned()
    }

    /// A program that is this line of a shell.
    pub(crate) fn program(&self, name: &str, line: &str) -> PathBuf {
        let folder = self.folder.path().join("programs");
        fs::create_dir_all(&folder).unwrap();
        let program = folder.join(name);
        fs::write(&program, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    /// The values of the day that would leave, by `category field`.
    pub(crate) fn day(&self) -> BTreeMap<String, u32> {
        let text = self.command(&["preview", "--json"]).output().unwrap().stdout;
        let preview: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let rows = preview["rows"].as_array().unwrap().iter();
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
        rows.filter(|row| row["record"] == "day")
            .map(|row| {
                let key = format!("{} {}", text(row, "category"), text(row, "field"));
                (key, text(row, "value").parse().unwrap())
            })
            .collect()
    }

    /// Waits until the day says this of its files: 1 is one file, 2 two or three, 3 four to seven.
    #[track_caller]
    pub(crate) fn until_slices(&self, bin: u32) {
        self.until(&format!("slices {bin}"), || {
            (self.day().get("slicing slices") == Some(&bin)).then_some(())
        });
    }

    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, done: impl Fn() -> Option<T>) -> T {
        let deadline = now() + Duration::from_mins(1);
        loop {
            if let Some(found) = done() {
                return found;
            }
            let log = fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default();
            assert!(now() < deadline, "{what} did not happen; the agent's log:\n{log}");
            pause();
        }
    }

    /// Ends the agent with SIGTERM; its store stays.
    pub(crate) fn end(&mut self) {
        let mut agent = self.agent.take().unwrap();
        let id = agent.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(agent.wait().unwrap().success());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            // It has ended when the test ended it.
            drop(agent.kill());
            drop(agent.wait());
        }
    }
}

/// One day's answer as an agent gives it.
pub(crate) fn done() -> Vec<u8> {
    let mut answer = serde_json::to_vec(&Reply::Done {}).unwrap();
    answer.push(b'\n');
    answer
}

/// So that a loop of looks leaves the processor to what it waits for.
fn pause() {
    #[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
    std::thread::sleep(PAUSE);
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
    Instant::now()
}
