//! What is read from the Dashboard's interface, and nothing else: serde drops every field that has no place here.
//!
//! No struct has a field for a name, a person, a picture, a serial number, a tank, a cartridge, a
//! group, a layer or an offset. The id of a print becomes a [`Mark`] and the code of a material a
//! family while they are parsed. There is no laser value and no set-point in this interface.

use std::time::Duration;

use imprimatur_proto::telemetry::v1::FaultFamily;
use serde::Deserialize;

use crate::reading::Sliced;
use crate::sources::formlabs::wire::{Guid, Material, State, believed};
use crate::sources::mark::Mark;
use crate::sources::settings::Secret;
use crate::sources::snapshot::{Activity, Snapshot};

/// How long a token is used whose answer does not say: it is documented as a day.
const TOKEN_SECONDS: f64 = 3600.0;

/// Answer of `/o/token/`.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<f64>,
}

/// Answer of `/printers/SERIAL/`.
#[derive(Debug, Deserialize)]
pub struct Printer {
    printer_status: PrinterStatus,
}

#[derive(Debug, Deserialize)]
struct PrinterStatus {
    #[serde(default)]
    current_print_run: Option<Run>,
}

/// Answer of `/printers/SERIAL/prints/`.
#[derive(Debug, Deserialize)]
struct Prints {
    results: Vec<Run>,
}

/// A print that runs or ran.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Run {
    guid: Guid,
    status: State,
    #[serde(default)]
    material: Option<Material>,
    #[serde(default)]
    layer_thickness_mm: Option<f64>,
    #[serde(default)]
    volume_ml: Option<f64>,
    #[serde(default)]
    estimated_duration_ms: Option<f64>,
    #[serde(default)]
    elapsed_duration_ms: Option<f64>,
}

/// Reads a token and how long it may be used; `None` when the answer is not one.
pub fn token(bytes: &[u8]) -> Option<(Secret, Duration)> {
    let granted: Granted = serde_json::from_slice(bytes).ok()?;
    let seconds = granted.expires_in.unwrap_or(TOKEN_SECONDS);
    let seconds = if seconds.is_finite() { seconds.clamp(0.0, 86_400.0) } else { 0.0 };
    Some((Secret::parse(&granted.access_token)?, Duration::from_secs_f64(seconds * 0.9)))
}

impl Printer {
    /// Reads an answer; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The print that runs, or ended and is still shown.
    pub fn run(&self) -> Option<&Run> {
        self.printer_status.current_print_run.as_ref()
    }
}

impl Run {
    /// The print with `mark` in a list of prints; `None` when it is not there, or there is no list.
    pub fn find(bytes: &[u8], mark: Mark) -> Option<Self> {
        let prints: Prints = serde_json::from_slice(bytes).ok()?;
        prints.results.into_iter().find(|run| run.mark() == Some(mark))
    }

    /// What tells it from other prints.
    pub fn mark(&self) -> Option<Mark> {
        self.guid.mark()
    }

    /// What is shown of it.
    pub fn snapshot(&self) -> Snapshot {
        let activity = self.status.activity();
        let runs = matches!(activity, Activity::Printing | Activity::Paused { .. });
        Snapshot {
            activity,
            job: self.mark().map(Mark::number),
            seconds: believed(self.elapsed_duration_ms),
            fault: (self.status == State::Error).then_some(FaultFamily::Other),
            plan: runs.then(|| self.plan()),
            ..Snapshot::default()
        }
    }

    fn plan(&self) -> Sliced {
        let positive = |number: &f64| number.is_finite() && *number > 0.0;
        Sliced {
            seconds: believed(self.estimated_duration_ms),
            amount: self.volume_ml.filter(positive),
            family: self.material.and_then(Material::family),
            layer_height: self.layer_thickness_mm.filter(positive),
            ..Sliced::default()
        }
    }
}

/// What no print shows.
pub fn idle() -> Snapshot {
    Snapshot { activity: Activity::Idle, ..Snapshot::default() }
}
