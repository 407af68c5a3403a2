//! What is read from an Ultimaker, and nothing else: serde drops every field that has no place here.
//!
//! No struct has a field for a name, a user, a serial number, a network, a camera or a position. The
//! uuid of a print becomes a [`Mark`], the GUID of a material a family, and the name of a print core
//! a diameter, all while they are parsed. `length_remaining` is not read: -1 stands for unknown.

use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome};
use serde::Deserialize;

use super::materials;
use crate::reading::{Heater, Heaters, Sliced};
use crate::sources::mark::Mark;
use crate::sources::snapshot::{Activity, Snapshot};

/// Longest print that is believed: 60 days.
const SECONDS_MAX: f64 = 60.0 * 86_400.0;

/// Answer of `/api/v1/printer`.
#[derive(Debug, Deserialize)]
pub struct Printer {
    status: PrinterStatus,
    #[serde(default)]
    bed: Option<Bed>,
    #[serde(default)]
    heads: Vec<Head>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PrinterStatus {
    Idle,
    Printing,
    Error,
    /// `booting` and `maintenance` among them.
    #[serde(other)]
    Unlisted,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bed {
    temperature: Option<Temperature>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Head {
    extruders: Vec<Extruder>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Extruder {
    hotend: Option<Hotend>,
    active_material: Option<ActiveMaterial>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hotend {
    id: Option<Core>,
    temperature: Option<Temperature>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Temperature {
    current: Option<f64>,
    target: Option<f64>,
}

/// The printer writes the GUID twice, in capitals and not; older ones in capitals only.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ActiveMaterial {
    #[serde(rename = "GUID")]
    guid: Option<Material>,
}

/// The family that a GUID stands for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "String")]
struct Material(Option<MaterialFamily>);

/// The diameter in the name of a print core, such as `AA 0.4`, in millimetres.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "String")]
struct Core(Option<f64>);

/// Answer of `/api/v1/print_job`.
#[derive(Debug, Deserialize)]
pub struct PrintJob {
    state: JobState,
    #[serde(default)]
    result: JobResult,
    #[serde(default)]
    uuid: Option<Mark>,
    #[serde(default)]
    time_elapsed: Option<f64>,
    #[serde(default)]
    time_total: Option<f64>,
    #[serde(default)]
    pause_source: PauseSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum JobState {
    None,
    PrePrint,
    Printing,
    Pausing,
    Paused,
    Resuming,
    PostPrint,
    WaitCleanup,
    /// `wait_user_action` among them.
    #[serde(other)]
    Unlisted,
}

/// Empty until the print ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum JobResult {
    Finished,
    Aborted,
    Failed,
    #[default]
    #[serde(other)]
    NotYet,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PauseSource {
    /// The sensor that notices when no material moves.
    FlowSensor,
    #[default]
    #[serde(other)]
    Unlisted,
}

/// One entry of `/api/v1/history/print_jobs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Past {
    uuid: Option<Mark>,
    result: JobResult,
    time_elapsed: Option<f64>,
}

impl Printer {
    /// Reads an answer; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// What is shown, with the print that runs, or else with how the one before ended.
    pub fn snapshot(&self, job: Option<&PrintJob>, past: Option<&Past>) -> Snapshot {
        let failed = self.status == PrinterStatus::Error;
        let working = self.working();
        Snapshot {
            activity: match (job, past.and_then(|past| past.result.outcome())) {
                (Some(job), _) => job.activity(),
                (None, Some(outcome)) => Activity::Ended(outcome),
                (None, None) if failed => Activity::Closed { by_error: true },
                (None, None) if self.status == PrinterStatus::Idle => Activity::Idle,
                // A print that is loaded is no job yet; a printer that starts knows nothing.
                (None, None) => Activity::Unknown,
            },
            job: job.and_then(PrintJob::mark).map(Mark::number),
            seconds: job
                .and_then(|job| job.time_elapsed)
                .or_else(|| past.and_then(|past| past.time_elapsed)),
            heaters: Heaters {
                nozzle: working.and_then(|extruder| heater(extruder.temperature())),
                bed: heater(self.bed.as_ref().and_then(|bed| bed.temperature)),
                ..Heaters::default()
            },
            fault: failed.then_some(FaultFamily::Other),
            plan: job.zip(working).and_then(|(job, extruder)| job.plan(extruder)),
            ..Snapshot::default()
        }
    }

    /// The extruder that is heated, the first of several; the first one while none is.
    fn working(&self) -> Option<&Extruder> {
        let extruders = &self.heads.first()?.extruders;
        extruders.iter().find(|extruder| extruder.is_heated()).or_else(|| extruders.first())
    }
}

impl Extruder {
    fn temperature(&self) -> Option<Temperature> {
        self.hotend.as_ref()?.temperature
    }

    fn is_heated(&self) -> bool {
        self.temperature().and_then(|it| it.target).is_some_and(|celsius| celsius > 0.0)
    }
}

impl PrintJob {
    /// Reads an answer; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Which print it is.
    pub fn mark(&self) -> Option<Mark> {
        self.uuid
    }

    fn activity(&self) -> Activity {
        match (self.state, self.result.outcome()) {
            (JobState::None, _) => Activity::Idle,
            (JobState::PostPrint | JobState::WaitCleanup, Some(outcome)) => {
                Activity::Ended(outcome)
            }
            (JobState::WaitCleanup, None) => Activity::Ended(Outcome::Unspecified),
            (JobState::Paused, _) => {
                Activity::Paused { by_run_out: self.pause_source == PauseSource::FlowSensor }
            }
            (
                JobState::PrePrint
                | JobState::Printing
                | JobState::Pausing
                | JobState::Resuming
                | JobState::PostPrint,
                _,
            ) => Activity::Printing,
            (JobState::Unlisted, _) => Activity::Unknown,
        }
    }

    /// What is known of the print before it is printed; `None` until the extruder that prints it is
    /// heated and the time is known.
    fn plan(&self, extruder: &Extruder) -> Option<Sliced> {
        let seconds = self.time_total.filter(|total| *total > 0.0 && *total <= SECONDS_MAX)?;
        let family = extruder.active_material.as_ref().and_then(|it| it.guid).and_then(|it| it.0);
        let nozzle = extruder.hotend.as_ref().and_then(|hotend| hotend.id).and_then(|core| core.0);
        let plan = Sliced { seconds: Some(seconds), family, nozzle, ..Sliced::default() };
        extruder.is_heated().then_some(plan)
    }
}

impl JobResult {
    fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Finished => Some(Outcome::Done),
            Self::Aborted => Some(Outcome::StoppedByUser),
            Self::Failed => Some(Outcome::Fault),
            Self::NotYet => None,
        }
    }
}

impl Past {
    /// The entry of a print among some entries; `None` when there is none, or no answer.
    pub fn find(bytes: &[u8], print: Mark) -> Option<Self> {
        let entries: Vec<Self> = serde_json::from_slice(bytes).ok()?;
        entries.into_iter().find(|entry| entry.uuid == Some(print))
    }
}

impl From<String> for Material {
    fn from(guid: String) -> Self {
        Self(materials::family(&guid))
    }
}

impl From<String> for Core {
    fn from(name: String) -> Self {
        let mut numbers = name.split_whitespace().filter_map(|word| word.parse().ok());
        Self(numbers.find(|mm: &f64| (0.1..=2.0).contains(mm)))
    }
}

/// Told only with its target: a target that is not there is not zero.
fn heater(temperature: Option<Temperature>) -> Option<Heater> {
    let Temperature { current, target } = temperature?;
    let sane = |celsius: &f64| celsius.is_finite();
    Some(Heater { actual: current.filter(sane)?, target: target.filter(sane)? })
}
