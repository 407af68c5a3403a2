//! The cloud of Formlabs, played by its published description (Web API 0.8.1): one account with one printer.

use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::PLANTED;
use super::http::{HttpPrinter, Keeps, Reply, Request};
use super::openssl::Certificate;
use crate::peers::PeerError;

/// What is shown.
#[derive(Clone, Debug)]
pub struct DashboardState {
    /// The print that the printer shows, by its own id.
    pub run: Option<DashboardRun>,
    /// All prints of the printer, in the list's order.
    pub prints: Vec<DashboardRun>,
    /// What a client must have to get a token.
    pub secret: &'static str,
    /// The token that is valid; another one refuses those that were given.
    pub token: &'static str,
    /// Stands in for every answer.
    pub instead: Option<Reply>,
}

/// A print.
#[derive(Clone, Copy, Debug)]
pub struct DashboardRun {
    /// Its id.
    pub guid: &'static str,
    /// `PRINTING`, `FINISHED` and so on.
    pub status: &'static str,
    /// Time so far, milliseconds.
    pub elapsed_ms: u64,
}

/// A played Dashboard.
pub struct PlayedDashboard {
    server: HttpPrinter,
    state: Arc<Mutex<DashboardState>>,
    certificate: Certificate,
}

impl PlayedDashboard {
    /// The one printer of the account.
    pub const PRINTER: &'static str = "Form4-JaneDoesGecko";

    /// The one client of the account.
    pub const CLIENT: &'static str = "played-client";

    /// The secret of that client.
    pub const SECRET: &'static str = "played+secret&of=all";

    /// Starts one, with a certificate of its own in `folder`, whose printer is idle.
    ///
    /// # Errors
    /// When OpenSSL is not installed, or no port is left.
    pub async fn start(folder: &Path) -> Result<Self, PeerError> {
        let certificate = Certificate::make(&folder.join("dashboard"))?;
        let state = Arc::new(Mutex::new(DashboardState {
            run: None,
            prints: Vec::new(),
            secret: Self::SECRET,
            token: "token-1",
            instead: None,
        }));
        let shown = Arc::clone(&state);
        let answer = move |request: &Request| {
            answer(request, &shown.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let tls = certificate.acceptor()?;
        let server = HttpPrinter::start_tls(Keeps::Connection, answer, tls).await;
        let server = server.map_err(|source: io::Error| PeerError::run("a server", source))?;
        Ok(Self { server, state, certificate })
    }

    /// Changes what is shown.
    pub fn change(&self, change: impl FnOnce(&mut DashboardState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The certificate to trust, a file of PEM.
    pub fn authorities(&self) -> PathBuf {
        self.certificate.path()
    }
}

impl Deref for PlayedDashboard {
    type Target = HttpPrinter;

    fn deref(&self) -> &HttpPrinter {
        &self.server
    }
}

fn answer(request: &Request, state: &DashboardState) -> Reply {
    if let Some(reply) = &state.instead {
        return reply.clone();
    }
    let printer = format!("GET /developer/v1/printers/{}/", PlayedDashboard::PRINTER);
    if request.line == "POST /developer/v1/o/token/" {
        return token(request, state);
    }
    if request.bearer.as_deref() != Some(state.token) {
        let detail = "Authentication credentials were not provided.";
        return Reply::status(401, json!({ "detail": detail }).to_string());
    }
    if request.line == printer {
        return Reply::json(&shown(state));
    }
    if request.line == format!("{printer}prints/?per_page=10") {
        let results: Vec<Value> = state.prints.iter().copied().map(print).collect();
        let count = results.len();
        return Reply::json(
            &json!({ "count": count, "next": null, "previous": null, "results": results }),
        );
    }
    Reply::status(404, json!({ "detail": format!("Not found: {}", PLANTED[2]) }).to_string())
}

fn token(request: &Request, state: &DashboardState) -> Reply {
    let fields = [
        "grant_type=client_credentials".to_owned(),
        format!("client_id={}", PlayedDashboard::CLIENT),
        // As a form writes it.
        format!(
            "client_secret={}",
            state.secret.replace('+', "%2B").replace('&', "%26").replace('=', "%3D")
        ),
    ];
    let given: Vec<&str> = request.body.split('&').collect();
    if fields.iter().all(|field| given.contains(&field.as_str())) {
        return Reply::json(&json!({
            "access_token": state.token, "expires_in": 86400, "token_type": "Bearer",
            "scope": "developer-api"
        }));
    }
    Reply::status(401, json!({ "error": "invalid_client" }).to_string())
}

fn shown(state: &DashboardState) -> Value {
    let [person, name, serial] = PLANTED;
    json!({
        "serial": PlayedDashboard::PRINTER, "alias": name, "machine_type_id": "FORM-4-0",
        "location": person, "group": { "id": serial, "name": name }, "firmware_version": "2.3.1",
        "printer_status": {
            "status": state.run.map_or("IDLE", |run| run.status),
            "last_pinged_at": "2026-11-21T10:00:00Z", "current_temperature": 987_654.0,
            "current_print_run": state.run.map(print), "ready_to_print": "READY_TO_PRINT_READY"
        },
        "cartridge_status": { "cartridge": { "serial": serial, "material": "FLTO2001" } },
        "tank_status": { "tank": { "serial": serial } }
    })
}

fn print(run: DashboardRun) -> Value {
    let [person, name, serial] = PLANTED;
    json!({
        "guid": run.guid, "name": name, "printer": serial, "status": run.status,
        "material": "FLTO2001", "layer_thickness_mm": 0.05, "volume_ml": 41.5,
        "layer_count": 987_654, "currently_printing_layer": 987_654, "z_height_offset_mm": 987.654,
        "print_started_at": "2026-11-21T09:00:00Z", "print_finished_at": null,
        "estimated_duration_ms": 7_200_000, "elapsed_duration_ms": run.elapsed_ms,
        "estimated_time_remaining_ms": 1, "cartridge": serial, "tank": serial,
        "user": { "first_name": person }, "print_thumbnail": { "thumbnail": name },
        "print_run_success": { "print_run_success": "UNKNOWN", "created_at": null }, "notes": person
    })
}
