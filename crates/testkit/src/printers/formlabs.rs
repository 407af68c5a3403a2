//! `PreFormServer`'s interface, played by its published description (0.9.7): one Form 4 by its id.

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::PLANTED;
use super::http::{HttpPrinter, Keeps, Reply, Request};

/// What is shown.
#[derive(Clone, Debug)]
pub struct FormlabsState {
    /// `IDLE`, `PRINTING` and so on.
    pub status: &'static str,
    /// Whether the server reaches the printer.
    pub is_connected: bool,
    /// Until the end, milliseconds.
    pub remaining_ms: u64,
    /// Stands in for every answer.
    pub instead: Option<Reply>,
}

/// A played `PreFormServer`.
pub struct PlayedFormlabs {
    server: HttpPrinter,
    state: Arc<Mutex<FormlabsState>>,
}

impl PlayedFormlabs {
    /// The one printer that it knows.
    pub const DEVICE: &'static str = "Form4-JaneDoesGecko";

    /// Starts one whose printer is idle.
    ///
    /// # Errors
    /// When no port is left.
    pub async fn start() -> io::Result<Self> {
        let state =
            FormlabsState { status: "IDLE", is_connected: true, remaining_ms: 0, instead: None };
        let state = Arc::new(Mutex::new(state));
        let shown = Arc::clone(&state);
        let answer = move |request: &Request| {
            answer(request, &shown.lock().unwrap_or_else(PoisonError::into_inner))
        };
        Ok(Self { server: HttpPrinter::start(Keeps::Connection, answer).await?, state })
    }

    /// Changes what is shown.
    pub fn change(&self, change: impl FnOnce(&mut FormlabsState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The server behind it, to restart it.
    pub fn server(&mut self) -> &mut HttpPrinter {
        &mut self.server
    }
}

impl Deref for PlayedFormlabs {
    type Target = HttpPrinter;

    fn deref(&self) -> &HttpPrinter {
        &self.server
    }
}

fn answer(request: &Request, state: &FormlabsState) -> Reply {
    if let Some(reply) = &state.instead {
        return reply.clone();
    }
    if request.line == "GET /" {
        return Reply::json(&json!({ "version": "3.43.2.604" }));
    }
    if request.line == format!("GET /devices/{}/", PlayedFormlabs::DEVICE) {
        return Reply::json(&device(state));
    }
    let message = "The printer at IP address 10.34.0.1 could not be found";
    let error = json!({ "error": { "code": "PRINTER_NOT_FOUND", "message": message } });
    Reply::status(404, error.to_string())
}

fn device(state: &FormlabsState) -> Value {
    let [person, name, serial] = PLANTED;
    let cartridge = json!({
        "cartridgeMaterialCode": "FLTO2001", "cartridgeEstimatedVolumeDispensed_mL": 412.5,
        "cartridgeOriginalVolume_mL": 1000
    });
    json!({
        "id": PlayedFormlabs::DEVICE, "product_name": person, "status": state.status,
        "is_connected": state.is_connected, "connection_type": "WIFI", "ip_address": "10.20.30.41",
        "firmware_version": "1.16.1-2955", "ready_to_print_now": true,
        "is_remote_print_enabled": true, "estimated_print_time_remaining_ms": state.remaining_ms,
        "tank_id": name, "tank_material_code": "FLTO2001",
        "cartridge_data": { serial: cartridge }
    })
}
