//! A machine with OPC UA: the real asyncua server, its address space written from the schema of OPC 40540.
//!
//! Keeps true: services and nodes that were asked for are counted by the server itself, and planted names
//! stand in every free field. Answers within about 5 s.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{ASYNCUA_PINS, PeerError, environment, not_ready, run_error, spawn, write};
use crate::process::Guarded;
use crate::wait;

const SCRIPT: &str = include_str!("../../peers/opcua_machine.py");

/// The account that may only read, as in the script.
const ACCOUNT: (&str, &str) = ("imprimatur", "reads-only-4711");

/// Up to serving, on a machine that also compiles.
const START: Duration = Duration::from_mins(2);

/// Whether messages are encrypted and an account is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Three policies, each with `SignAndEncrypt`; the account alone.
    Secured,
    /// None; nobody's account.
    Open,
}

/// A running machine.
#[derive(Debug)]
pub struct OpcUaMachine {
    server: Option<Guarded>,
    port: u16,
    control: u16,
    security: Security,
    folder: PathBuf,
}

/// What was asked of the machine since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Asked {
    /// Requests by service, such as `ReadRequest`.
    pub services: BTreeMap<String, u64>,
    /// Reads by node, such as `ns=3;s=State`.
    pub nodes: BTreeMap<String, u64>,
}

impl OpcUaMachine {
    /// Starts a machine with its files below `folder`; answering when it returns.
    ///
    /// # Errors
    /// When it is not installed or does not answer within 120 s.
    pub async fn start(folder: &Path, security: Security) -> Result<Self, PeerError> {
        let folder = folder.join("machine");
        super::make_folder(&folder)?;
        write(&folder.join("opcua_machine.py"), SCRIPT)?;
        let (port, control) = (super::free_port()?, super::free_port()?);
        let mut machine = Self { server: None, port, control, security, folder };
        machine.start_server().await?;
        Ok(machine)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("opc.tcp://127.0.0.1:{}", self.port)
    }

    /// Name and password of the account that may only read.
    pub fn account(&self) -> (&'static str, &'static str) {
        ACCOUNT
    }

    /// SHA-256 of the machine's certificate.
    ///
    /// # Errors
    /// When it has none.
    pub fn certificate_sha256(&self) -> Result<String, PeerError> {
        let path = self.folder.join("machine.der");
        let der = fs::read(&path).map_err(|source| PeerError::File { path, source })?;
        Ok(hex::encode(Sha256::digest(der)))
    }

    /// Makes it take another certificate at its next start.
    ///
    /// # Errors
    /// When the old one cannot be removed.
    pub fn forget_certificate(&self) -> Result<(), PeerError> {
        ["machine.der", "machine.key.pem"]
            .map(|name| self.folder.join(name))
            .into_iter()
            .try_for_each(|path| {
                fs::remove_file(&path).map_err(|source| PeerError::File { path, source })
            })
    }

    /// Ends the server, as a power switch would.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill_server(&mut self) -> Result<(), PeerError> {
        match self.server.take() {
            Some(server) => {
                server.kill().await.map(drop).map_err(|source| run_error("machine", source))
            }
            None => Ok(()),
        }
    }

    /// Starts the server at the same address as before, its values at rest.
    ///
    /// # Errors
    /// When it does not answer within 120 s.
    pub async fn start_server(&mut self) -> Result<(), PeerError> {
        let mut command = Command::new(environment("asyncua", "python", ASYNCUA_PINS)?);
        let security = if self.security == Security::Secured { "secured" } else { "open" };
        let ports = [self.port, self.control].map(|port| port.to_string());
        command.arg("opcua_machine.py").arg(&self.folder).args(ports).arg(security);
        command.current_dir(&self.folder);
        let mut server = spawn("machine", command, &self.folder)?;
        let answers = wait::until(START, "a machine", async || match server.try_status() {
            Ok(None) => self.order(&json!({})).await.map_err(|error| error.to_string()),
            ended => Err(format!("ended: {ended:?}")),
        });
        answers.await.map_err(|waited| not_ready(waited, &server.log_text()))?;
        self.server = Some(server);
        Ok(())
    }

    /// Sets values: numbers are `Double`, whole ones `UInt32`, texts those of a locale, and texts that begin
    /// with `text:`, `nan` or `inf` what they say.
    ///
    /// # Errors
    /// When the machine does not answer.
    pub async fn set(&self, values: &[(&str, Value)]) -> Result<(), PeerError> {
        let values: serde_json::Map<_, _> =
            values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.order(&json!({ "set": values })).await.map(drop)
    }

    /// Gives a value another quality, such as `BadSensorFailure`, until it is set again.
    ///
    /// # Errors
    /// When the machine does not answer.
    pub async fn doubt(&self, name: &str, status: &str) -> Result<(), PeerError> {
        self.order(&json!({ "quality": { name: status } })).await.map(drop)
    }

    /// Removes a node.
    ///
    /// # Errors
    /// When the machine does not answer.
    pub async fn remove(&self, name: &str) -> Result<(), PeerError> {
        self.order(&json!({ "remove": name })).await.map(drop)
    }

    /// Makes it take so long for each answer with values.
    ///
    /// # Errors
    /// When the machine does not answer.
    pub async fn delay(&self, by: Duration) -> Result<(), PeerError> {
        self.order(&json!({ "delay": by.as_secs_f64() })).await.map(drop)
    }

    /// What was asked of it since its start.
    ///
    /// # Errors
    /// When the machine does not answer.
    pub async fn asked(&self) -> Result<Asked, PeerError> {
        self.order(&json!({})).await
    }

    async fn order(&self, order: &Value) -> Result<Asked, PeerError> {
        let failed = |source| run_error("machine's control", source);
        let stream = TcpStream::connect(("127.0.0.1", self.control)).await.map_err(failed)?;
        let mut stream = BufReader::new(stream);
        stream.write_all(format!("{order}\n").as_bytes()).await.map_err(failed)?;
        let mut line = String::new();
        stream.read_line(&mut line).await.map_err(failed)?;
        serde_json::from_str(&line).map_err(|source| failed(source.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_stands_in_the_script() {
        let (name, password) = ACCOUNT;
        assert!(SCRIPT.contains(&format!("ACCOUNT = (\"{name}\", \"{password}\")")));
    }
}
