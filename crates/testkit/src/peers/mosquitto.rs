//! Mosquitto, with the configuration and the access list that are shipped in `deploy/mosquitto`.
//!
//! Keeps true: only the lines that a site must set anyway (address, account, two paths) differ from
//! the shipped file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;

use super::{PeerError, installed, make_folder, not_ready, run_error, spawn, write};
use crate::process::Guarded;
use crate::{ports, wait};

const CONFIGURATION: &str = include_str!("../../../../deploy/mosquitto/mosquitto.conf");
const ACCESS: &str = include_str!("../../../../deploy/mosquitto/acl");

/// The account that the access list names.
const BRIDGE: &str = "bridge";

/// It listens after some 20 ms.
const START: Duration = Duration::from_secs(10);

/// A name and a password for the broker.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The account.
    pub user: String,
    /// Its password, made for this broker alone.
    pub password: String,
}

/// A running broker.
#[derive(Debug)]
pub struct Mosquitto {
    folder: PathBuf,
    port: u16,
    bridge: Credentials,
    process: Option<Guarded>,
}

impl Mosquitto {
    /// Starts a broker on a free port with its files in `folder`; listening when it returns.
    ///
    /// # Errors
    /// When Mosquitto is not installed or does not listen within 10 s.
    pub async fn start(folder: &Path) -> Result<Self, PeerError> {
        let passwords = installed("mosquitto_passwd", &["/usr/bin/mosquitto_passwd"])?;
        let folder = folder.join("mosquitto");
        make_folder(&folder)?;
        let port = super::free_port()?;
        let bridge = Credentials { user: BRIDGE.to_owned(), password: random_password()? };
        write(&folder.join("mosquitto.acl"), ACCESS)?;
        write(&folder.join("mosquitto.conf"), &configuration(port, &folder)?)?;
        let output = Command::new(passwords)
            .args(["-b", "-c"])
            .arg(folder.join("mosquitto.passwd"))
            .args([&bridge.user, &bridge.password])
            .output()
            .map_err(|source| run_error("mosquitto_passwd", source))?;
        if !output.status.success() {
            let log = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(PeerError::Failed { what: String::from("mosquitto_passwd"), log });
        }
        let mut broker = Self { folder, port, bridge, process: None };
        broker.restart().await?;
        Ok(broker)
    }

    /// The port on 127.0.0.1, the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The account that reads batches and writes verdicts.
    pub fn bridge_credentials(&self) -> &Credentials {
        &self.bridge
    }

    /// Ends the broker with SIGTERM; nothing happens when it is stopped already.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn stop(&mut self) -> Result<(), PeerError> {
        if let Some(process) = self.process.take() {
            process.terminate().await.map_err(|source| run_error("mosquitto", source))?;
        }
        Ok(())
    }

    /// Ends the broker with SIGKILL; nothing happens when it is stopped already.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill(&mut self) -> Result<(), PeerError> {
        if let Some(process) = self.process.take() {
            process.kill().await.map_err(|source| run_error("mosquitto", source))?;
        }
        Ok(())
    }

    /// Stops the broker if it runs, and starts it on the same port with the same accounts. Sessions
    /// and queued messages are gone: it keeps nothing on disk.
    ///
    /// # Errors
    /// As [`Mosquitto::start`].
    pub async fn restart(&mut self) -> Result<(), PeerError> {
        self.stop().await?;
        let program = installed("mosquitto", &["/usr/sbin/mosquitto", "/usr/bin/mosquitto"])?;
        let mut command = Command::new(program);
        command.arg("-c").arg(self.folder.join("mosquitto.conf"));
        let mut process = spawn("mosquitto", command, &self.folder)?;
        let address = ports::loopback(self.port);
        wait::until(START, "a listening broker", async || match process.try_status() {
            Ok(None) => TcpStream::connect(address).await.map_err(|error| error.to_string()),
            ended => Err(format!("ended: {ended:?}")),
        })
        .await
        .map_err(|waited| not_ready(waited, &process.log_text()))?;
        self.process = Some(process);
        Ok(())
    }

    /// What the broker has logged since it was started first.
    pub fn log_text(&self) -> String {
        self.process.as_ref().map(Guarded::log_text).unwrap_or_default()
    }
}

fn random_password() -> Result<String, PeerError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| run_error("getrandom", std::io::Error::other(error.to_string())))?;
    Ok(hex::encode(bytes))
}

/// The shipped file with the four `site` lines replaced.
fn configuration(port: u16, folder: &Path) -> Result<String, PeerError> {
    let mut text = CONFIGURATION.to_owned();
    let path = |name: &str| folder.join(name).display().to_string();
    for (key, value) in [
        ("listener", format!("{port} 127.0.0.1")),
        ("user", String::from("root")),
        ("acl_file", path("mosquitto.acl")),
        ("password_file", path("mosquitto.passwd")),
    ] {
        text = replace_line(&text, key, &value)?;
    }
    Ok(text)
}

/// Sets the single line that starts with `key`; none or several mean that the shipped file changed
/// in a way that this module does not know.
fn replace_line(text: &str, key: &str, value: &str) -> Result<String, PeerError> {
    let is_it = |line: &&str| line.split(' ').next() == Some(key);
    if text.lines().filter(is_it).count() != 1 {
        let log = format!("expected one line `{key}` in deploy/mosquitto/mosquitto.conf");
        return Err(PeerError::Failed { what: String::from("mosquitto"), log });
    }
    let lines = text
        .lines()
        .map(|line| if is_it(&line) { format!("{key} {value}\n") } else { format!("{line}\n") });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_listens_on_the_loopback_and_keeps_nothing() {
        for line in [
            "listener 1883 127.0.0.1",
            "persistence false",
            "retain_available false",
            "connection_messages false",
            "max_packet_size 32768",
        ] {
            assert!(CONFIGURATION.lines().any(|one| one == line), "{line}");
        }
        let listeners = CONFIGURATION.lines().filter(|line| line.starts_with("listener")).count();
        assert_eq!(listeners, 1);
    }

    #[test]
    fn only_the_four_site_lines_differ_from_the_shipped_file() {
        let text = configuration(4711, Path::new("/tmp/broker")).unwrap();
        let differing: Vec<_> = CONFIGURATION
            .lines()
            .zip(text.lines())
            .filter(|(shipped, tested)| shipped != tested)
            .map(|(shipped, _)| shipped.split(' ').next().unwrap())
            .collect();
        assert_eq!(differing, ["listener", "user", "acl_file", "password_file"]);
        assert_eq!(CONFIGURATION.lines().count(), text.lines().count());
    }

    #[test]
    fn a_site_line_that_is_gone_or_doubled_is_an_error() {
        assert!(replace_line("user a\n", "listener", "1").is_err());
        assert!(replace_line("user a\nuser b\n", "user", "c").is_err());
    }
}
