//! What is read from `PrusaLink`, and nothing else: serde drops every field that has no place here.
//!
//! No struct has a field for a name, a path, a reference, a serial number, a size, an axis or a
//! message. A job's number becomes a [`Mark`] while it is parsed.

use imprimatur_proto::telemetry::v1::{AdhesionAid, FaultFamily, Outcome};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::catalogue;
use crate::reading::{Heater, Heaters, Sliced};
use crate::sources::mark::Mark;
use crate::sources::snapshot::{Activity, Snapshot, grams};

/// Longest print that is believed: 60 days.
const SECONDS_MAX: f64 = 60.0 * 86_400.0;

/// Answer of `/api/v1/status`.
#[derive(Debug, Deserialize)]
pub struct Status {
    printer: Printer,
    #[serde(default)]
    job: Option<StatusJob>,
}

#[derive(Debug, Deserialize)]
struct Printer {
    state: State,
    #[serde(default)]
    temp_nozzle: Option<f64>,
    #[serde(default)]
    target_nozzle: Option<f64>,
    #[serde(default)]
    temp_bed: Option<f64>,
    #[serde(default)]
    target_bed: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum State {
    Idle,
    Ready,
    Printing,
    Paused,
    Finished,
    Stopped,
    Error,
    /// `BUSY` and `ATTENTION` among them: a print may run meanwhile or not.
    #[serde(other)]
    Unlisted,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StatusJob {
    id: Option<Mark>,
    time_printing: Option<f64>,
}

/// Answer of `/api/v1/job`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    file: Option<File>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    meta: Option<Meta>,
}

/// What the slicer wrote into the file, as `PrusaLink` names it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(rename = "filament used [g]")]
    grams: Option<Loose>,
    #[serde(rename = "filament used [cm3]")]
    cubic_centimetres: Option<Loose>,
    filament_type: Option<Loose>,
    estimated_print_time: Option<Loose>,
    layer_height: Option<Loose>,
    fill_density: Option<Loose>,
    nozzle_diameter: Option<Loose>,
    brim_width: Option<Loose>,
    support_material: Option<Loose>,
}

/// A value whose type changes between printers: `0.2`, `"0.2"`, `"20%"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(f64),
    Text(String),
    Neither(IgnoredAny),
}

impl Status {
    /// Reads an answer; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether a print runs or waits, so that its job can be asked for.
    pub fn has_print(&self) -> bool {
        matches!(self.printer.state, State::Printing | State::Paused)
    }

    /// Which print it is.
    pub fn mark(&self) -> Option<Mark> {
        self.job.as_ref()?.id
    }

    /// What is shown; `plan` is what the job's file says, once it was read.
    pub fn snapshot(&self, plan: Option<Sliced>) -> Snapshot {
        let failed = self.printer.state == State::Error;
        Snapshot {
            activity: match self.printer.state {
                State::Idle | State::Ready => Activity::Idle,
                State::Printing => Activity::Printing,
                // Why it waits is not told.
                State::Paused => Activity::Paused { by_run_out: false },
                State::Finished => Activity::Ended(Outcome::Done),
                State::Stopped => Activity::Ended(Outcome::StoppedByUser),
                State::Error => Activity::Closed { by_error: true },
                State::Unlisted => Activity::Unknown,
            },
            job: self.mark().map(Mark::number),
            seconds: self.job.as_ref().and_then(|job| job.time_printing),
            heaters: Heaters {
                nozzle: heater(self.printer.temp_nozzle, self.printer.target_nozzle),
                bed: heater(self.printer.temp_bed, self.printer.target_bed),
                ..Heaters::default()
            },
            fault: failed.then_some(FaultFamily::Other),
            plan,
            ..Snapshot::default()
        }
    }
}

impl Job {
    /// Reads an answer; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// What the file says of itself; `None` while nothing is known of it.
    pub fn plan(&self) -> Option<Sliced> {
        let meta = self.file.as_ref()?.meta.as_ref()?;
        let family = text(meta.filament_type.as_ref()).and_then(|name| {
            catalogue::material(name.split([',', ';']).next().unwrap_or_default())
        });
        let volume = number(meta.cubic_centimetres.as_ref(), 100_000.0);
        let brim = zero_or_more(meta.brim_width.as_ref());
        let plan = Sliced {
            seconds: number(meta.estimated_print_time.as_ref(), SECONDS_MAX),
            amount: number(meta.grams.as_ref(), 100_000.0)
                .or_else(|| volume.and_then(|volume| grams(volume, family))),
            family,
            layer_height: number(meta.layer_height.as_ref(), 5.0),
            // Rafts are not told, so that only a brim is known to be used.
            adhesion: brim.filter(|width| *width > 0.0).map(|_| AdhesionAid::Used),
            infill: zero_or_more(meta.fill_density.as_ref()).filter(|percent| *percent <= 100.0),
            nozzle: number(meta.nozzle_diameter.as_ref(), 5.0),
            supports: zero_or_more(meta.support_material.as_ref()).map(|flag| flag > 0.0),
            slicer: None,
            model: None,
        };
        (plan != Sliced::default()).then_some(plan)
    }
}

/// Told only with its target: a target that is not there yet is not zero.
fn heater(actual: Option<f64>, target: Option<f64>) -> Option<Heater> {
    let sane = |celsius: &f64| celsius.is_finite();
    Some(Heater { actual: actual.filter(sane)?, target: target.filter(sane)? })
}

fn text(value: Option<&Loose>) -> Option<&str> {
    match value {
        Some(Loose::Text(text)) => Some(text.trim()),
        Some(Loose::Number(_) | Loose::Neither(_)) | None => None,
    }
}

/// A number, or a text that is one; a percent sign may follow.
fn zero_or_more(value: Option<&Loose>) -> Option<f64> {
    let number = match value? {
        Loose::Number(number) => *number,
        Loose::Text(text) => text.trim().trim_end_matches('%').trim().parse().ok()?,
        Loose::Neither(_) => return None,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// Above zero and at most `max`: a zero stands for what the slicer did not know.
fn number(value: Option<&Loose>, max: f64) -> Option<f64> {
    zero_or_more(value).filter(|number| *number > 0.0 && *number <= max)
}
