//! What is read from `PreFormServer`, and nothing else: serde drops every field that has no place here.
//!
//! No struct has a field for an id, an address, a tank, a cartridge, a cylinder or a group. The code
//! of a material becomes a family and the id of a print a [`Mark`] while they are parsed. There is no
//! laser value in this interface. The powder bed's temperature comes without its target and is not
//! read: a temperature alone tells neither a set-point nor an excursion.

use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome};
use serde::Deserialize;

use crate::reading::Sliced;
use crate::sources::mark::Mark;
use crate::sources::snapshot::{Activity, Snapshot};

/// Longest print that is believed: 60 days, in milliseconds.
const MILLISECONDS_MAX: f64 = 60.0 * 86_400.0 * 1000.0;

/// Answer of `/devices/ID/`.
#[derive(Debug, Deserialize)]
pub struct Device {
    is_connected: bool,
    status: State,
    #[serde(default)]
    estimated_print_time_remaining_ms: Option<f64>,
    #[serde(default)]
    tank_material_code: Option<Material>,
    #[serde(default)]
    printer_material_code: Option<Material>,
    #[serde(default)]
    printing_guid: Option<Guid>,
}

/// The published description calls the status a text and lists no values; these are the words of
/// the same maker's web interface, and any other word says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) enum State {
    Idle,
    Printing,
    Paused,
    Finished,
    Aborted,
    Error,
    Unlisted,
}

/// The family that a code stands for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct Material(Option<MaterialFamily>);

/// The mark of a print; none while the id is empty.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "String")]
pub(super) struct Guid(Option<Mark>);

impl Device {
    /// Reads an answer; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Whether `PreFormServer` reaches the printer; if not, what it shows is old.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// What is shown.
    pub fn snapshot(&self) -> Snapshot {
        let failed = self.status == State::Error;
        Snapshot {
            activity: self.status.activity(),
            job: self.printing_guid.and_then(Guid::mark).map(Mark::number),
            fault: failed.then_some(FaultFamily::Other),
            plan: (self.status == State::Printing).then(|| self.plan()).flatten(),
            ..Snapshot::default()
        }
    }

    /// What the print plans: what remains when its beginning is seen is the whole of it.
    fn plan(&self) -> Option<Sliced> {
        let seconds = believed(self.estimated_print_time_remaining_ms)?;
        Some(Sliced { seconds: Some(seconds), family: self.family(), ..Sliced::default() })
    }

    fn family(&self) -> Option<MaterialFamily> {
        let of = |code: Option<Material>| code.and_then(Material::family);
        of(self.tank_material_code).or_else(|| of(self.printer_material_code))
    }
}

/// Seconds of a count of milliseconds, where it can be that of a print.
pub(super) fn believed(milliseconds: Option<f64>) -> Option<f64> {
    milliseconds.filter(|all| *all > 0.0 && *all <= MILLISECONDS_MAX).map(|all| all / 1000.0)
}

impl State {
    /// What it says of prints.
    pub(super) fn activity(self) -> Activity {
        match self {
            Self::Idle => Activity::Idle,
            Self::Printing => Activity::Printing,
            // Why it waits is not told.
            Self::Paused => Activity::Paused { by_run_out: false },
            Self::Finished => Activity::Ended(Outcome::Done),
            Self::Aborted => Activity::Ended(Outcome::StoppedByUser),
            Self::Error => Activity::Closed { by_error: true },
            Self::Unlisted => Activity::Unknown,
        }
    }
}

impl Material {
    /// The family; `None` for a code that is not one of the maker's.
    pub(super) fn family(self) -> Option<MaterialFamily> {
        self.0
    }
}

impl Guid {
    /// The mark of the print that it names.
    pub(super) fn mark(self) -> Option<Mark> {
        self.0
    }
}

impl From<String> for State {
    fn from(word: String) -> Self {
        match word.to_ascii_uppercase().as_str() {
            "IDLE" => Self::Idle,
            "PREPRINT" | "PREHEAT" | "PRECOAT" | "PRINTING" | "PAUSING" | "ABORTING"
            | "POSTCOAT" => Self::Printing,
            "PAUSED" => Self::Paused,
            "FINISHED" => Self::Finished,
            "ABORTED" => Self::Aborted,
            "ERROR" => Self::Error,
            _ => Self::Unlisted,
        }
    }
}

/// Codes of powders are `FLP` and a number. Those of resins are `FL`, two letters for the line, and the
/// version: general purpose and draft are standard; tough, durable, rigid and professional are made to
/// bear; all others are for one purpose.
impl From<String> for Material {
    fn from(code: String) -> Self {
        let code = code.trim().to_ascii_uppercase();
        let number = code.strip_prefix("FLP").and_then(|rest| rest.bytes().next());
        Self(match code.get(..4) {
            Some(_) if number.is_some_and(|byte| byte.is_ascii_digit()) => {
                Some(MaterialFamily::Powder)
            }
            Some("FLGP" | "FLDR") => Some(MaterialFamily::ResinStandard),
            Some("FLTO" | "FLDU" | "FLRG" | "FLPR") => Some(MaterialFamily::ResinTough),
            Some(line) if line.starts_with("FL") => Some(MaterialFamily::ResinSpecial),
            _ => None,
        })
    }
}

impl From<String> for Guid {
    fn from(guid: String) -> Self {
        Self((!guid.trim().is_empty()).then(|| Mark::of(guid.trim())))
    }
}
