//! `OctoPrint` with its own virtual printer behind it.
//!
//! Keeps true: everything but the firmware is the real program; it calls nobody (the plug-ins that
//! do are switched off). Serves its first request after about 5 s.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::{Value, json};

use super::api::{Api, at};
use super::{
    OCTOPRINT_PINS, PeerError, environment, make_folder, not_ready, run_error, spawn, write,
};
use crate::process::Guarded;
use crate::wait;

const CONFIGURATION: &str = include_str!("../../peers/octoprint-config.yaml");
const USERS: &str = include_str!("../../peers/octoprint-users.yaml");
const PRINTER: &str = include_str!("../../peers/octoprint-lab.profile");

/// The keys in `octoprint-users.yaml`: all rights, and the single right `STATUS`.
const ADMIN_KEY: &str = "LABADMINKEY0000000000000000000000";
const STATUS_KEY: &str = "LABSTATUSONLYKEY0000000000000000";

/// Up to serving and up to a connected printer, on a machine that also compiles.
const START: Duration = Duration::from_secs(90);

/// A running server.
#[derive(Debug)]
pub struct OctoPrint {
    api: Api,
    process: Guarded,
}

impl OctoPrint {
    /// Starts a server with its files below `folder`; answering when it returns, its printer not
    /// yet connected: see [`OctoPrint::wait_operational`].
    ///
    /// # Errors
    /// When it is not installed or does not answer within 90 s.
    pub async fn start(folder: &Path) -> Result<Self, PeerError> {
        Self::start_on(folder, super::free_port()?).await
    }

    /// The same on a port that was chosen before, for who has to know it before the server is there.
    ///
    /// # Errors
    /// As [`OctoPrint::start`].
    pub async fn start_on(folder: &Path, port: u16) -> Result<Self, PeerError> {
        let program = environment("octoprint", "octoprint", OCTOPRINT_PINS)?;
        let base = folder.join("octoprint");
        make_folder(&base.join("printerProfiles"))?;
        // The server rewrites these, so each start has its own.
        let configuration = CONFIGURATION.replace("port: 5000", &format!("port: {port}"));
        write(&base.join("config.yaml"), &configuration)?;
        write(&base.join("users.yaml"), USERS)?;
        write(&base.join("printerProfiles/lab.profile"), PRINTER)?;
        let mut command = Command::new(program);
        command
            .arg("--basedir")
            .arg(&base)
            .args(["serve", "--iknowwhatimdoing", "--host", "127.0.0.1", "--port"])
            .arg(port.to_string())
            .current_dir(&base);
        let process = spawn("octoprint", command, folder)?;
        let api = Api::new(format!("http://127.0.0.1:{port}"), ADMIN_KEY.to_owned())?;
        let mut server = Self { api, process };
        server.wait_answering().await?;
        Ok(server)
    }

    /// The base address, without a slash at the end.
    pub fn url(&self) -> &str {
        self.api.base()
    }

    /// A key with all rights, to drive prints with.
    pub fn admin_key(&self) -> &str {
        self.api.key()
    }

    /// A key with the single right `STATUS`, as the agent's should be.
    pub fn status_key(&self) -> &'static str {
        STATUS_KEY
    }

    /// Uploads a job into `folder` of the server's files and starts it.
    ///
    /// # Errors
    /// When the file cannot be read or the server refuses.
    pub async fn upload_and_print(&self, gcode: &Path, folder: &str) -> Result<Value, PeerError> {
        self.api.upload("/api/files/local", gcode, &[("path", folder), ("print", "true")]).await
    }

    /// What `/api/job` says.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn job(&self) -> Result<Value, PeerError> {
        self.api.get("/api/job").await
    }

    /// What any other path of the interface says, with all rights.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn get(&self, path: &str) -> Result<Value, PeerError> {
        self.api.get(path).await
    }

    /// Ends the job.
    ///
    /// # Errors
    /// When there is none, or no answer.
    pub async fn cancel(&self) -> Result<(), PeerError> {
        self.job_command(json!({"command": "cancel"})).await
    }

    /// Pauses the job; during a heater wait it stays in `Pausing` until that ends.
    ///
    /// # Errors
    /// When there is none, or no answer.
    pub async fn pause(&self) -> Result<(), PeerError> {
        self.job_command(json!({"command": "pause", "action": "pause"})).await
    }

    /// Goes on with a paused job; without effect while it is `Pausing`.
    ///
    /// # Errors
    /// When there is none, or no answer.
    pub async fn resume(&self) -> Result<(), PeerError> {
        self.job_command(json!({"command": "pause", "action": "resume"})).await
    }

    /// Sends a command to the printer, such as `!!DEBUG:maxtemp_error` for a firmware fault.
    ///
    /// # Errors
    /// When no printer is connected, or no answer.
    pub async fn command(&self, gcode: &str) -> Result<(), PeerError> {
        self.api.post("/api/printer/command", &json!({ "command": gcode })).await.map(drop)
    }

    /// Waits until the printer is connected and idle.
    ///
    /// # Errors
    /// When it is not within 90 s.
    pub async fn wait_operational(&self) -> Result<(), PeerError> {
        self.wait_state("Operational", START).await
    }

    /// Waits until the state (`Operational`, `Printing`, `Paused`, ...) is `state`.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub async fn wait_state(&self, state: &str, limit: Duration) -> Result<(), PeerError> {
        wait::until(limit, &format!("state {state}"), async || {
            let job = self.job().await.map_err(|error| error.to_string())?;
            if *at(&job, "/state") == state { Ok(()) } else { Err(job.to_string()) }
        })
        .await
        .map_err(|waited| not_ready(waited, &self.log_text()))
    }

    /// Waits until the job has been printed to its end, and gives what `/api/job` says then.
    ///
    /// # Errors
    /// When that is not so within `limit`; also after a cancellation.
    pub async fn wait_job_done(&self, limit: Duration) -> Result<Value, PeerError> {
        wait::until(limit, "end of the job", async || {
            let job = self.job().await.map_err(|error| error.to_string())?;
            let all = at(&job, "/progress/completion").as_f64().is_some_and(|done| done >= 100.0);
            if all && *at(&job, "/state") == "Operational" { Ok(job) } else { Err(job.to_string()) }
        })
        .await
        .map_err(|waited| not_ready(waited, &self.log_text()))
    }

    /// Gives the account with the single right `STATUS` another key; the old one is refused from now on.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn renew_status_key(&self) -> Result<String, PeerError> {
        let answer = self.api.post("/api/access/users/labstatus/apikey", &json!({})).await?;
        Ok(at(&answer, "/apikey").as_str().unwrap_or_default().to_owned())
    }

    /// Ends the server with SIGKILL, as a power cut would.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill(self) -> Result<ExitStatus, PeerError> {
        self.process.kill().await.map_err(|source| run_error("octoprint", source))
    }

    /// Ends the server with SIGTERM.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn stop(self) -> Result<ExitStatus, PeerError> {
        self.process.terminate().await.map_err(|source| run_error("octoprint", source))
    }

    /// What the server has written to its terminal.
    pub fn log_text(&self) -> String {
        self.process.log_text()
    }

    async fn job_command(&self, body: Value) -> Result<(), PeerError> {
        self.api.post("/api/job", &body).await.map(drop)
    }

    async fn wait_answering(&mut self) -> Result<(), PeerError> {
        let (api, process) = (&self.api, &mut self.process);
        wait::until(START, "an answering OctoPrint", async || match process.try_status() {
            Ok(None) => api.get("/api/version").await.map(drop).map_err(|error| error.to_string()),
            ended => Err(format!("ended: {ended:?}")),
        })
        .await
        .map_err(|waited| not_ready(waited, &self.process.log_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_and_the_port_stand_in_the_files() {
        assert!(USERS.contains(ADMIN_KEY) && USERS.contains(STATUS_KEY));
        assert_eq!(CONFIGURATION.matches("port: 5000").count(), 1);
    }
}
