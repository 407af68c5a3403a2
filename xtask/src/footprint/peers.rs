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
    printers: Vec<Printer>,
    broker: u16,
    _mosquitto: Started,
}

/// A running program; it is killed when this is dropped.
pub(super) struct Started {
    pub(super) name: String,
    pub(super) printers: u32,
    pub(super) binary_bytes: u64,
    child: Child,
    log: PathBuf,
    /// How to ask an agent.
    ask: Option<(PathBuf, PathBuf)>,
}

impl Stage {
    /// Starts so many printers, and a broker; what an earlier run left in the folder goes.
    pub(super) fn set(folder: PathBuf, printers: u32) -> Result<Self, TaskError> {
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|source| file(&folder, source))?;
        }
        fs::create_dir_all(&folder).map_err(|source| file(&folder, source))?;
        let printers: Result<_, _> = (0..printers).map(|_| Printer::start()).collect();
        let printers = printers.map_err(|source| file(&folder, source))?;
        let broker = free_port().map_err(|source| file(&folder, source))?;
        let settings = folder.join("mosquitto.conf");
        let text = format!(
            "listener {broker} 127.0.0.1\nuser root\nallow_anonymous true\npersistence false\n"
        );
        write(&settings, &text)?;
        let mut command = Command::new(program("mosquitto", "mosquitto")?);
        command.arg("-c").arg(settings);
        let mut mosquitto = Started::start("mosquitto", 0, command, &folder)?;
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, broker)).is_ok();
        mosquitto.wait("a listening broker", READY_WITHIN, listens)?;
        Ok(Self { folder, printers, broker, _mosquitto: mosquitto })
    }

    /// Says to all who read that a print runs, or that it is complete.
    pub(super) fn print(&self, runs: bool) {
        self.printers.iter().for_each(|printer| printer.print(runs));
    }

    /// Starts an agent with so many printers, to each of which three categories are granted.
    pub(super) fn agent(&self, agent: &Path, printers: u32) -> Result<Started, TaskError> {
        let ports = self.ports(printers);
        let folder = self.own("agent", printers)?;
        let settings = folder.join("agent.toml");
        let data = folder.join("data");
        write(&settings, &agent_settings(&data, self.broker, &ports))?;
        for name in names(printers) {
            let mut grant = Command::new(agent);
            grant.args(["consent", "grant", "print_time", "status", "machine", "--yes"]);
            grant.args(name.iter().flat_map(|name| ["--printer", name])).arg("--config");
            run::output(grant.arg(&settings).stdin(Stdio::null()))?;
        }
        let mut command = Command::new(agent);
        command.arg("run").arg("--config").arg(&settings);
        let mut started = Started::start("agent", printers, command, &folder)?;
        started.ask = Some((agent.to_owned(), settings));
        let socket = data.join("agent.sock");
        started.wait("the agent's socket", READY_WITHIN, || socket.exists())?;
        Ok(started)
    }

    /// Starts vmagent with so many targets.
    pub(super) fn vmagent(&self, targets: u32) -> Result<Started, TaskError> {
        let ports = self.ports(targets);
        let folder = self.own("vmagent", targets)?;
        let settings = folder.join("scrape.yml");
        write(&settings, &scrape_settings(&ports))?;
        let own = free_port().map_err(|source| file(&folder, source))?;
        let mut command = Command::new(program("vmagent", "victoria-metrics")?);
        command.arg(format!("-promscrape.config={}", settings.display()));
        // Any of the stand-ins takes metrics and forgets them.
        let takes = ports.first().copied().unwrap_or_default();
        command.arg(format!("-remoteWrite.url=http://127.0.0.1:{takes}/api/v1/write"));
        command.arg(format!("-remoteWrite.tmpDataPath={}", folder.join("queue").display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{own}"));
        let mut started = Started::start("vmagent", targets, command, &folder)?;
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, own)).is_ok();
        started.wait("a listening vmagent", READY_WITHIN, listens)?;
        Ok(started)
    }

    /// The ports of the first so many printers.
    fn ports(&self, printers: u32) -> Vec<u16> {
        let all = self.printers.iter().map(|printer| printer.port);
        all.take(usize::try_from(printers).unwrap_or(usize::MAX)).collect()
    }

    fn own(&self, name: &str, printers: u32) -> Result<PathBuf, TaskError> {
        let folder = self.folder.join(format!("{name}-{printers}"));
        fs::create_dir_all(&folder).map_err(|source| file(&folder, source))?;
        Ok(folder)
    }
}

impl Started {
    fn start(
        name: &str,
        printers: u32,
        mut command: Command,
        folder: &Path,
    ) -> Result<Self, TaskError> {
        let log = folder.join(format!("{name}.log"));
        let to = File::create(&log).map_err(|source| file(&log, source))?;
        let too = to.try_clone().map_err(|source| file(&log, source))?;
        let path = PathBuf::from(command.get_program());
        let binary_bytes = fs::metadata(&path).map_err(|source| file(&path, source))?.len();
        let text = run::text(&command);
        let child = command.stdin(Stdio::null()).stdout(to).stderr(too).spawn();
        let child = child.map_err(|source| TaskError::Start { command: text, source })?;
        Ok(Self { name: name.to_owned(), printers, binary_bytes, child, log, ask: None })
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

    /// Waits until each printer's print was recorded and sealed.
    pub(super) fn wait_until_sealed(&mut self, limit: Duration) -> Result<(), TaskError> {
        let Some((agent, settings)) = self.ask.clone() else { return Ok(()) };
        let names = names(self.printers);
        let sealed = |name: &Option<String>| {
            let mut show = Command::new(&agent);
            show.args(["consent", "show", "--json", "--config"]).arg(&settings);
            show.args(name.iter().flat_map(|name| ["--printer", name]));
            let shown: serde_json::Value = run::json(&mut show).unwrap_or_default();
            shown.pointer("/counts/sealed").and_then(serde_json::Value::as_u64) >= Some(1)
        };
        self.wait("a sealed print", limit, || names.iter().all(sealed))
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

/// Printers by name; one alone has none.
fn names(printers: u32) -> Vec<Option<String>> {
    match printers {
        1 => vec![None],
        many => (1..=many).map(|number| Some(format!("p{number}"))).collect(),
    }
}

fn agent_settings(data: &Path, broker: u16, ports: &[u16]) -> String {
    let head = format!(
        "data_dir = \"{}\"\n[collector]\nbroker = \"mqtt://127.0.0.1:{broker}\"\nkey = \"{KEY}\"\n\
         [report]\nseal_after = \"print\"\n",
        data.display()
    );
    let source = |(name, port): (Option<String>, &u16)| {
        let table = match name {
            None => "[[source]]".to_owned(),
            Some(name) => format!("[[printer]]\nname = \"{name}\"\n[[printer.source]]"),
        };
        format!(
            "{table}\nkind = \"octoprint\"\nurl = \"http://127.0.0.1:{port}\"\napi_key = \"none\"\n\
             poll_seconds = {POLL_SECONDS}\n"
        )
    };
    let printers = u32::try_from(ports.len()).unwrap_or(u32::MAX);
    head + &names(printers).into_iter().zip(ports).map(source).collect::<Vec<_>>().concat()
}

fn scrape_settings(ports: &[u16]) -> String {
    let head = format!("global:\n  scrape_interval: {POLL_SECONDS}s\nscrape_configs:\n");
    let target = |port| {
        format!("- job_name: p{port}\n  static_configs:\n  - targets: [\"127.0.0.1:{port}\"]\n")
    };
    head + &ports.iter().map(target).collect::<Vec<_>>().concat()
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
    fn one_printer_is_a_source_and_several_are_tables() {
        let one: toml::Table = agent_settings(Path::new("/d"), 1, &[2]).parse().unwrap();
        assert_eq!(one["source"][0]["url"].as_str(), Some("http://127.0.0.1:2"));
        let ports: Vec<u16> = (2..12).collect();
        let ten: toml::Table = agent_settings(Path::new("/d"), 1, &ports).parse().unwrap();
        let printers = ten["printer"].as_array().unwrap();
        assert_eq!((printers.len(), printers[9]["name"].as_str()), (10, Some("p10")));
        assert_eq!(printers[9]["source"][0]["url"].as_str(), Some("http://127.0.0.1:11"));
        assert!(ports.iter().all(|port| scrape_settings(&ports).contains(&format!(":{port}\""))));
    }

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_package() {
        let told = program("no-such-program", "its-package").unwrap_err().to_string();
        assert!(told.contains("apt-get install") && told.contains("its-package"), "{told}");
    }
}
