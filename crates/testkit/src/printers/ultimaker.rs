//! The interface of an Ultimaker 3 or S5, played by its published description: no key for reading.

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::PLANTED;
use super::http::{HttpPrinter, Keeps, Reply, Request};

/// A print as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct UltimakerJob {
    /// `pre_print`, `printing` and so on.
    pub state: &'static str,
    /// Empty, or `Finished`, `Aborted`, `Failed`.
    pub result: &'static str,
    /// Its uuid.
    pub uuid: &'static str,
    /// So far, seconds.
    pub elapsed: u64,
}

/// What is shown.
#[derive(Clone, Debug)]
pub struct UltimakerState {
    /// `idle`, `printing` and so on.
    pub status: &'static str,
    /// Measured and target, degrees Celsius.
    pub nozzle: (f64, f64),
    /// The print.
    pub job: Option<UltimakerJob>,
    /// The last print of the history.
    pub past: Option<UltimakerJob>,
    /// Stands in for every answer.
    pub instead: Option<Reply>,
}

/// A played Ultimaker.
pub struct PlayedUltimaker {
    server: HttpPrinter,
    state: Arc<Mutex<UltimakerState>>,
}

impl PlayedUltimaker {
    /// Starts an idle one.
    ///
    /// # Errors
    /// When no port is left.
    pub async fn start() -> io::Result<Self> {
        let nozzle = (24.0, 0.0);
        let state = UltimakerState { status: "idle", nozzle, job: None, past: None, instead: None };
        let state = Arc::new(Mutex::new(state));
        let shown = Arc::clone(&state);
        let answer = move |request: &Request| {
            answer(request, &shown.lock().unwrap_or_else(PoisonError::into_inner))
        };
        Ok(Self { server: HttpPrinter::start(Keeps::Connection, answer).await?, state })
    }

    /// Changes what is shown.
    pub fn change(&self, change: impl FnOnce(&mut UltimakerState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The server behind it, to restart it.
    pub fn server(&mut self) -> &mut HttpPrinter {
        &mut self.server
    }
}

impl Deref for PlayedUltimaker {
    type Target = HttpPrinter;

    fn deref(&self) -> &HttpPrinter {
        &self.server
    }
}

fn answer(request: &Request, state: &UltimakerState) -> Reply {
    if let Some(reply) = &state.instead {
        return reply.clone();
    }
    match (request.line.as_str(), state.job) {
        ("GET /api/v1/printer", _) => Reply::json(&printer(state)),
        ("GET /api/v1/printer/status", _) => Reply::json(&json!(state.status)),
        ("GET /api/v1/print_job", Some(shown)) => Reply::json(&job(shown)),
        ("GET /api/v1/history/print_jobs?offset=0&count=1", _) => {
            Reply::json(&state.past.map(job).into_iter().collect())
        }
        _ => Reply::status(404, r#"{"message": "Not found"}"#),
    }
}

fn printer(state: &UltimakerState) -> Value {
    let [person, _, serial] = PLANTED;
    let pla = "506c9f0d-e3aa-4bd4-b2d2-23e2425b1aa9";
    let (current, target) = state.nozzle;
    json!({
        "status": state.status,
        "bed": { "temperature": { "current": 60.0, "target": 60 }, "type": "glass" },
        "camera": { "feed": format!("http://{serial}/?action=stream") },
        "heads": [{
            "position": { "x": 265.301, "y": 11.308, "z": 12.2 },
            "extruders": [{
                "active_material": { "GUID": pla, "guid": pla, "length_remaining": -1 },
                "hotend": {
                    "id": "AA 0.4", "serial": serial,
                    "temperature": { "current": current, "target": target },
                    "statistics": { "last_material_guid": pla, "material_extruded": 3_284_420 }
                }
            }]
        }],
        "network": { "wifi": { "ssid": person }, "wifi_networks": [{ "SSID": person }] }
    })
}

fn job(job: UltimakerJob) -> Value {
    let [person, name, _] = PLANTED;
    json!({
        "state": job.state, "result": job.result, "uuid": job.uuid, "time_elapsed": job.elapsed,
        "time_total": 3600, "progress": 0.4, "name": name, "source": "WEB_API",
        "source_user": person, "source_application": name, "pause_source": "",
        "datetime_started": "2026-11-21T09:21:59", "reprint_original_uuid": ""
    })
}
