//! `PrusaLink`'s interface v1, played: HTTP/1.0, one key, 204 for no job, 401 as a page.

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::PLANTED;
use super::http::{HttpPrinter, Keeps, Reply, Request};

/// The page that `PrusaLink` answers without a key.
const UNAUTHORIZED: &str = "<!DOCTYPE html><html><head><title>401 - Unauthorized</title></head>\
    <body><h1>401 - Unauthorized</h1><small>webmaster: jane@acme</small></body></html>";

/// What `PrusaLink` 0.8.1 wants instead of a key.
const CHALLENGE: &str = "Digest realm=\"Administrator\",qop=\"auth\",algorithm=\"MD5-sess\",\
    nonce=\"0738cba1009742ac\",opaque=\"5ccc069c403ebaf9\"";

/// A print as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrusaLinkJob {
    /// Its number.
    pub id: u64,
    /// Printing time so far, seconds.
    pub seconds: u64,
}

/// What is shown.
#[derive(Clone, Debug)]
pub struct PrusaLinkState {
    /// `IDLE`, `PRINTING` and so on.
    pub state: &'static str,
    /// Measured and target, degrees Celsius; `None` before the printer reports.
    pub nozzle: Option<(f64, f64)>,
    /// The print.
    pub job: Option<PrusaLinkJob>,
    /// The key that is taken.
    pub key: &'static str,
    /// Stands in for every answer.
    pub instead: Option<Reply>,
}

/// A played `PrusaLink`.
pub struct PlayedPrusaLink {
    server: HttpPrinter,
    state: Arc<Mutex<PrusaLinkState>>,
}

impl PlayedPrusaLink {
    /// Starts an idle one that takes the key `KEY`.
    ///
    /// # Errors
    /// When no port is left.
    pub async fn start() -> io::Result<Self> {
        let state =
            PrusaLinkState { state: "IDLE", nozzle: None, job: None, key: "KEY", instead: None };
        let state = Arc::new(Mutex::new(state));
        let shown = Arc::clone(&state);
        let answer = move |request: &Request| {
            answer(request, &shown.lock().unwrap_or_else(PoisonError::into_inner))
        };
        Ok(Self { server: HttpPrinter::start(Keeps::Nothing, answer).await?, state })
    }

    /// Changes what is shown.
    pub fn change(&self, change: impl FnOnce(&mut PrusaLinkState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The server behind it, to restart it.
    pub fn server(&mut self) -> &mut HttpPrinter {
        &mut self.server
    }
}

impl Deref for PlayedPrusaLink {
    type Target = HttpPrinter;

    fn deref(&self) -> &HttpPrinter {
        &self.server
    }
}

fn answer(request: &Request, state: &PrusaLinkState) -> Reply {
    if let Some(reply) = &state.instead {
        return reply.clone();
    }
    if !request.line.starts_with("GET /api/") {
        return Reply::status(404, "not here: /home/jane");
    }
    if request.key.as_deref() != Some(state.key) {
        return Reply::status(401, UNAUTHORIZED).header("WWW-Authenticate", CHALLENGE);
    }
    match (request.line.as_str(), state.job) {
        ("GET /api/v1/status", _) => Reply::json(&status(state)),
        ("GET /api/v1/job", Some(job)) => Reply::json(&self::job(state, job)),
        ("GET /api/v1/job", None) => Reply::status(204, ""),
        _ => Reply::status(404, "not here: /home/jane"),
    }
}

fn status(state: &PrusaLinkState) -> Value {
    let [person, name, serial] = PLANTED;
    let mut printer = json!({
        "state": state.state, "axis_x": 102.17, "axis_y": 96.34, "axis_z": 3.2, "flow": 100,
        "speed": 100, "fan_hotend": 4320, "fan_print": 0,
        "status_connect": { "ok": true, "message": format!("{person} is not connected") },
        "status_printer": { "ok": true, "message": format!("{serial} is fine") }
    });
    if let (Some((actual, target)), Some(printer)) = (state.nozzle, printer.as_object_mut()) {
        let heaters = [("temp_nozzle", actual), ("target_nozzle", target)];
        printer.extend(heaters.map(|(key, celsius)| (key.to_owned(), json!(celsius))));
    }
    let storage = json!([{ "path": format!("/{name}"), "name": person, "free_space": 70_982_389 }]);
    match state.job {
        Some(job) => json!({
            "storage": storage, "printer": printer,
            "job": { "id": job.id, "progress": 31.0, "time_printing": job.seconds }
        }),
        None => json!({ "storage": storage, "printer": printer }),
    }
}

fn job(state: &PrusaLinkState, job: PrusaLinkJob) -> Value {
    let [person, name, _] = PLANTED;
    json!({
        "file": {
            "name": name, "display_name": name, "path": format!("/gcodes/{person}/{name}"),
            "display_path": format!("/gcodes/{person}/{name}"), "size": 164_600,
            "m_timestamp": 1_795_294_868,
            "refs": { "download": format!("/api/files/{name}/raw"), "thumbnail": name },
            "meta": {
                "printer_model": "MK3S", "layer_height": 0.2, "filament_type": "PETG",
                "filament used [g]": 12.5, "fill_density": "15%", "nozzle_diameter": 0.4,
                "brim_width": 3, "support_material": 1, "estimated_print_time": 5400,
                "filament cost": 0.35, "notes": person
            }
        },
        "id": job.id, "state": state.state, "progress": 31.0, "time_printing": job.seconds,
        "time_remaining": null
    })
}
