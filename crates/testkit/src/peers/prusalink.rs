//! `PrusaLink` with a stand-in MK3S firmware on a pseudo-terminal.
//!
//! Keeps true: the server is the real program; `peers/fake_mk3.py` answers what it asks, moves nothing
//! and simulates two heaters. Ready after about 11 s. It refuses to keep files below `/tmp`, so its
//! folder is elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::api::{Api, at};
use super::{
    PRUSALINK_PINS, PeerError, environment, file_error, make_folder, not_ready, run_error, spawn,
    write,
};
use crate::process::Guarded;
use crate::wait;

const FIRMWARE: &str = include_str!("../../peers/fake_mk3.py");
const CONFIGURATION: &str = include_str!("../../peers/prusalink.ini");
const SETTINGS: &str = include_str!("../../peers/prusa_printer_settings.ini");

/// The key in `prusa_printer_settings.ini`; it has all rights.
const KEY: &str = "LABPRUSALINKKEY";

/// Not below `/tmp`, see above; there on every Debian.
const FOLDER: &str = "/var/tmp";

/// Up to serving and up to idle, on a machine that also compiles.
const START: Duration = Duration::from_mins(2);

/// A running server with its printer.
#[derive(Debug)]
pub struct PrusaLink {
    api: Api,
    // In the order in which they shall end.
    server: Option<Guarded>,
    firmware: Guarded,
    program: PathBuf,
    logs: PathBuf,
    // Last, so that the folder goes after the processes in it.
    data: TempDir,
}

impl PrusaLink {
    /// Starts firmware and server; logs go to `folder`. Answering when it returns; see
    /// [`PrusaLink::wait_state`].
    ///
    /// # Errors
    /// When it is not installed or does not answer within 120 s.
    pub async fn start(folder: &Path) -> Result<Self, PeerError> {
        let program = environment("prusalink", "prusalink", PRUSALINK_PINS)?;
        let python = environment("prusalink", "python", PRUSALINK_PINS)?;
        let data = tempfile::Builder::new()
            .prefix("pl")
            .tempdir_in(FOLDER)
            .map_err(|source| file_error(Path::new(FOLDER), source))?;
        let port = super::free_port()?;
        make_folder(&data.path().join("pl"))?;
        write(&data.path().join("fake_mk3.py"), FIRMWARE)?;
        let configuration = CONFIGURATION.replace("port = 8085", &format!("port = {port}"));
        write(&data.path().join("pl/prusalink.ini"), &configuration)?;
        write(&data.path().join("pl/prusa_printer_settings.ini"), SETTINGS)?;
        let mut command = Command::new(python);
        command.args(["fake_mk3.py", "pl/mk3.tty"]).current_dir(data.path());
        let firmware = spawn("mk3", command, folder)?;
        let api = Api::new(format!("http://127.0.0.1:{port}"), KEY.to_owned())?;
        let logs = folder.to_owned();
        let mut started = Self { api, server: None, firmware, program, logs, data };
        let tty = started.data.path().join("pl/mk3.tty");
        wait::until(START, "the firmware's terminal", async || {
            if tty.exists() { Ok(()) } else { Err("absent") }
        })
        .await
        .map_err(|waited| not_ready(waited, &started.firmware.log_text()))?;
        started.start_server().await?;
        Ok(started)
    }

    /// The base address, without a slash at the end.
    pub fn url(&self) -> &str {
        self.api.base()
    }

    /// The one key there is; it has all rights.
    pub fn api_key(&self) -> &'static str {
        KEY
    }

    /// Uploads a job under `name` and starts it.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn upload_and_print(&self, name: &str, gcode: &str) -> Result<(), PeerError> {
        let path = format!("/api/v1/files/local/{name}");
        let headers = [
            ("Print-After-Upload", "?1"),
            ("Overwrite", "?1"),
            // Anything else is no file of moves to it.
            ("Content-Type", "text/x.gcode"),
        ];
        self.api.put(&path, &headers, gcode.as_bytes().to_vec()).await.map(drop)
    }

    /// What `/api/v1/status` says.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn status(&self) -> Result<Value, PeerError> {
        self.api.get("/api/v1/status").await
    }

    /// What `/api/v1/job` says; `null` when there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn job(&self) -> Result<Value, PeerError> {
        self.api.get("/api/v1/job").await
    }

    /// Pauses the job.
    ///
    /// # Errors
    /// When there is none, or no answer.
    pub async fn pause(&self) -> Result<(), PeerError> {
        let path = format!("/api/v1/job/{}/pause", self.job_id().await?);
        self.api.put(&path, &[], Vec::new()).await.map(drop)
    }

    /// Goes on with a paused job.
    ///
    /// # Errors
    /// When there is none, or no answer.
    pub async fn resume(&self) -> Result<(), PeerError> {
        let path = format!("/api/v1/job/{}/resume", self.job_id().await?);
        self.api.put(&path, &[], Vec::new()).await.map(drop)
    }

    /// Ends the job.
    ///
    /// # Errors
    /// When there is none, or no answer.
    pub async fn cancel(&self) -> Result<(), PeerError> {
        let path = format!("/api/v1/job/{}", self.job_id().await?);
        self.api.delete(&path).await.map(drop)
    }

    /// Waits until it is idle and its printer has answered it: it says `IDLE` before that, and a print
    /// that is started then may never begin.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub async fn wait_ready(&self, limit: Duration) -> Result<(), PeerError> {
        self.wait_status(limit, "ready", |status| {
            *at(status, "/printer/state") == "IDLE"
                && *at(status, "/printer/status_printer/ok") == true
                && at(status, "/printer/flow").is_number()
        })
        .await
        .map(drop)
    }

    /// Waits until `printer.state` (`IDLE`, `PRINTING`, `PAUSED`, ...) is `state`; gives the status.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub async fn wait_state(&self, state: &str, limit: Duration) -> Result<Value, PeerError> {
        let what = format!("state {state}");
        self.wait_status(limit, &what, |status| *at(status, "/printer/state") == state).await
    }

    async fn wait_status(
        &self,
        limit: Duration,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Result<Value, PeerError> {
        wait::until(limit, what, async || {
            let status = self.status().await.map_err(|error| error.to_string())?;
            if is(&status) { Ok(status) } else { Err(status.to_string()) }
        })
        .await
        .map_err(|waited| not_ready(waited, &self.log_text()))
    }

    /// Ends the server alone, as a power switch would; the printer stays.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill_server(&mut self) -> Result<(), PeerError> {
        match self.server.take() {
            Some(server) => {
                server.kill().await.map(drop).map_err(|source| run_error("prusalink", source))
            }
            None => Ok(()),
        }
    }

    /// Starts the server, at the same address as before; answering when it returns.
    ///
    /// # Errors
    /// When it does not answer within 120 s.
    pub async fn start_server(&mut self) -> Result<(), PeerError> {
        let mut command = Command::new(&self.program);
        command.args(["-f", "-i", "-c", "pl/prusalink.ini"]).current_dir(self.data.path());
        let mut server = spawn("prusalink", command, &self.logs)?;
        let api = &self.api;
        let answers =
            wait::until(START, "an answering PrusaLink", async || match server.try_status() {
                Ok(None) => {
                    api.get("/api/v1/status").await.map(drop).map_err(|error| error.to_string())
                }
                ended => Err(format!("ended: {ended:?}")),
            });
        answers.await.map_err(|waited| not_ready(waited, &server.log_text()))?;
        self.server = Some(server);
        Ok(())
    }

    /// Ends server and firmware.
    ///
    /// # Errors
    /// When one cannot be signalled.
    pub async fn stop(self) -> Result<(), PeerError> {
        for process in [self.server, Some(self.firmware)].into_iter().flatten() {
            let name = process.name().to_owned();
            process.terminate().await.map_err(|source| run_error(&name, source))?;
        }
        Ok(())
    }

    /// What the server has written to its terminal.
    pub fn log_text(&self) -> String {
        self.server.as_ref().map(Guarded::log_text).unwrap_or_default()
    }

    async fn job_id(&self) -> Result<u64, PeerError> {
        let status = self.status().await?;
        at(&status, "/job/id").as_u64().ok_or_else(|| PeerError::Failed {
            what: String::from("a job that is shown"),
            log: status.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_and_the_port_stand_in_the_files() {
        assert!(SETTINGS.contains(KEY));
        assert_eq!(CONFIGURATION.matches("port = 8085").count(), 1);
    }
}
