//! The programs that are watched, with settings of their own in a folder of their own, and the broker.
//!
//! Keeps true: each ends with its handle; all listen and connect on the loopback only.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::printer::Printer;
use super::seen::{Seen, now};
use crate::error::TaskError;
use crate::run;

/// How often each printer and target is read.
pub(super) const POLL_SECONDS: u32 = 2;

/// Longest wait for a program to be there.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A key that belongs to nobody: no collector answers here.
const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// Where the programs meet.
pub(super) struct Stage {
    folder: PathBuf,
    printer: Printer,
    broker: u16,
    _mosquitto: Started,
}

/// A running program; it is killed when this is dropped.
pub(super) struct Started {
    pub(super) name: String,
    pub(super) binary_bytes: u64,
    child: Child,
    log: PathBuf,
    /// How to ask an agent.
    ask: Option<(PathBuf, PathBuf)>,
}

impl Stage {
    /// Starts printers and broker; what an earlier run left in the folder goes.
    pub(super) fn set(folder: PathBuf) -> Result<Self, TaskError> {
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|source| file(&folder, source))?;
        }
        fs::create_dir_all(&folder).map_err(|source| file(&folder, source))?;
        let printer = Printer::start().map_err(|source| file(&folder, source))?;
        let broker = free_port().map_err(|source| file(&folder, source))?;
        let settings = folder.join("mosquitto.conf");
        let text = format!(
            "listener {broker} 127.0.0.1\nuser root\nallow_anonymous true\npersistence false\n"
        );
        write(&settings, &text)?;
        let mut command = Command::new(program("mosquitto", "mosquitto")?);
        command.arg("-c").arg(settings);
        let mut mosquitto = Started::start("mosquitto", command, &folder)?;
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, broker)).is_ok();
        mosquitto.wait("a listening broker", READY_WITHIN, listens)?;
        Ok(Self { folder, printer, broker, _mosquitto: mosquitto })
    }

    /// Says to all who read that a print runs, or that it is complete.
    pub(super) fn print(&self, runs: bool) {
        self.printer.print(runs);
    }

    /// Starts an agent to which three categories are granted.
    pub(super) fn agent(&self, agent: &Path) -> Result<Started, TaskError> {
        let folder = self.own("agent")?;
        let settings = folder.join("agent.toml");
        let data = folder.join("data");
        write(&settings, &agent_settings(&data, self.broker, self.printer.port))?;
        let mut grant = Command::new(agent);
        grant.args(["consent", "grant", "print_time", "status", "machine", "--yes", "--config"]);
        run::output(grant.arg(&settings).stdin(Stdio::null()))?;
        let mut command = Command::new(agent);
        command.arg("run").arg("--config").arg(&settings);
        let mut started = Started::start("agent", command, &folder)?;
        started.ask = Some((agent.to_owned(), settings));
        let socket = data.join("agent.sock");
        started.wait("the agent's socket", READY_WITHIN, || socket.exists())?;
        Ok(started)
    }

    /// Starts vmagent with one target.
    pub(super) fn vmagent(&self) -> Result<Started, TaskError> {
        let folder = self.own("vmagent")?;
        let settings = folder.join("scrape.yml");
        write(&settings, &scrape_settings(self.printer.port))?;
        let own = free_port().map_err(|source| file(&folder, source))?;
        let mut command = Command::new(program("vmagent", "victoria-metrics")?);
        command.arg(format!("-promscrape.config={}", settings.display()));
        command
            .arg(format!("-remoteWrite.url=http://127.0.0.1:{}/api/v1/write", self.printer.port));
        command.arg(format!("-remoteWrite.tmpDataPath={}", folder.join("queue").display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{own}"));
        let mut started = Started::start("vmagent", command, &folder)?;
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, own)).is_ok();
        started.wait("a listening vmagent", READY_WITHIN, listens)?;
        Ok(started)
    }

    fn own(&self, name: &str) -> Result<PathBuf, TaskError> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(|source| file(&folder, source))?;
        Ok(folder)
    }
}

impl Started {
    fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self, TaskError> {
        let log = folder.join(format!("{name}.log"));
        let to = File::create(&log).map_err(|source| file(&log, source))?;
        let too = to.try_clone().map_err(|source| file(&log, source))?;
        let path = PathBuf::from(command.get_program());
        let binary_bytes = fs::metadata(&path).map_err(|source| file(&path, source))?.len();
        let text = run::text(&command);
        let child = command.stdin(Stdio::null()).stdout(to).stderr(too).spawn();
        let child = child.map_err(|source| TaskError::Start { command: text, source })?;
        Ok(Self { name: name.to_owned(), binary_bytes, child, log, ask: None })
    }

    pub(super) fn is_agent(&self) -> bool {
        self.ask.is_some()
    }

    /// Looks at it; it must still run.
    pub(super) fn look(&mut self) -> Result<Seen, TaskError> {
        match self.child.try_wait() {
            Ok(None) => Seen::of(self.child.id()).ok_or_else(|| self.failed("cannot be watched")),
            _ => Err(self.failed("has ended")),
        }
    }

    /// Waits until an agent's print was recorded and sealed.
    pub(super) fn wait_until_sealed(&mut self, limit: Duration) -> Result<(), TaskError> {
        let Some((agent, settings)) = self.ask.clone() else { return Ok(()) };
        let sealed = || {
            let mut show = Command::new(&agent);
            show.args(["consent", "show", "--json", "--config"]).arg(&settings);
            let shown: serde_json::Value = run::json(&mut show).unwrap_or_default();
            shown.pointer("/counts/sealed").and_then(serde_json::Value::as_u64) >= Some(1)
        };
        self.wait("a sealed print", limit, sealed)
    }

    fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        mut holds: impl FnMut() -> bool,
    ) -> Result<(), TaskError> {
        let until = now() + limit;
        while !holds() {
            if now() > until || !matches!(self.child.try_wait(), Ok(None)) {
                return Err(self.failed(&format!("did not come to {what}")));
            }
            pause(LOOK_EVERY);
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> TaskError {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        TaskError::NotMeasured { what: format!("{} {what}", self.name), log }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn agent_settings(data: &Path, broker: u16, printer: u16) -> String {
    format!(
        "data_dir = \"{}\"\n[collector]\nbroker = \"mqtt://127.0.0.1:{broker}\"\nkey = \"{KEY}\"\n\
         [report]\nseal_after = \"print\"\n[[source]]\nkind = \"octoprint\"\n\
         url = \"http://127.0.0.1:{printer}\"\napi_key = \"none\"\npoll_seconds = {POLL_SECONDS}\n",
        data.display()
    )
}

fn scrape_settings(target: u16) -> String {
    format!(
        "global:\n  scrape_interval: {POLL_SECONDS}s\nscrape_configs:\n- job_name: printer\n  \
         static_configs:\n  - targets: [\"127.0.0.1:{target}\"]\n"
    )
}

/// Where a program is; else the package to install.
fn program(name: &'static str, package: &'static str) -> Result<PathBuf, TaskError> {
    let path = run::variable("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/bin"]);
    let found = folders.map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    let command = format!("sudo apt-get install -y --no-install-recommends {package}");
    found.ok_or(TaskError::Missing { what: name, command })
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn write(path: &Path, text: &str) -> Result<(), TaskError> {
    fs::write(path, text).map_err(|source| file(path, source))
}

fn file(path: &Path, source: std::io::Error) -> TaskError {
    TaskError::File { path: path.to_owned(), source }
}

/// Lets time pass: what is measured here is what happens in it.
#[expect(clippy::disallowed_methods, reason = "the duration itself is what is wanted")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_read_the_same_printer() {
        let settings: toml::Table = agent_settings(Path::new("/d"), 1, 2).parse().unwrap();
        assert_eq!(settings["source"][0]["url"].as_str(), Some("http://127.0.0.1:2"));
        assert!(scrape_settings(2).contains("[\"127.0.0.1:2\"]"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_package() {
        let told = program("no-such-program", "its-package").unwrap_err().to_string();
        assert!(told.contains("apt-get install") && told.contains("its-package"), "{told}");
    }
}
