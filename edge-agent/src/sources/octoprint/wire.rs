//! What is read from `OctoPrint`, and nothing else: serde drops every field that has no place here.
//!
//! No struct has a field for a name, a path, a user, a size, a position, a Z height or a terminal
//! line. Texts are kept only as far as they are codes; they end in this folder.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::reading::{Heater, Heaters};

/// Answer of `/api/printer`.
#[derive(Debug, Default, Deserialize)]
pub struct Printer {
    #[serde(default)]
    temperature: Temperatures,
    #[serde(default)]
    state: State,
}

#[derive(Debug, Default, Deserialize)]
struct State {
    #[serde(default)]
    flags: Flags,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the peer's own flags")]
struct Flags {
    printing: bool,
    paused: bool,
    pausing: bool,
    resuming: bool,
    cancelling: bool,
    finishing: bool,
    error: bool,
    #[serde(rename = "closedOrError")]
    closed: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Temperatures {
    tool0: Option<Temperature>,
    bed: Option<Temperature>,
}

#[derive(Debug, Deserialize)]
struct Temperature {
    actual: Option<f64>,
    target: Option<f64>,
}

/// Answer of `/api/job`.
#[derive(Debug, Default, Deserialize)]
pub struct JobAnswer {
    #[serde(default)]
    job: Option<Job>,
    #[serde(default)]
    progress: Option<Progress>,
}

#[derive(Debug, Default, Deserialize)]
struct Job {
    #[serde(rename = "estimatedPrintTime", default)]
    estimated: Option<f64>,
    #[serde(default)]
    filament: Option<Tools>,
    #[serde(default)]
    file: Option<File>,
}

/// Only whether a file is chosen at all: it has an origin (`local`, `sdcard`).
#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    origin: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tools {
    tool0: Option<Filament>,
    tool1: Option<Filament>,
    tool2: Option<Filament>,
    tool3: Option<Filament>,
    tool4: Option<Filament>,
}

#[derive(Debug, Deserialize)]
struct Filament {
    volume: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Progress {
    completion: Option<f64>,
    #[serde(rename = "printTime")]
    seconds: Option<f64>,
}

/// Answer of `/api/login`: what the push socket wants to be told.
#[derive(Deserialize)]
pub struct Login {
    /// Login name of the agent's own account.
    pub name: String,
    /// Session token.
    pub session: String,
    /// What the account may do; absent where another version does not say.
    #[serde(default)]
    needs: Needs,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Needs {
    role: Vec<Role>,
}

/// A permission, as far as it matters which.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// The only one that the agent needs.
    Status,
    /// Any other.
    #[serde(other)]
    Further,
}

/// A message of the push socket. `history`, `current`, `plugin`, `timelapse` have no place.
#[derive(Debug, Default, Deserialize)]
struct Frame {
    #[serde(default)]
    event: Option<EventFrame>,
    #[serde(rename = "reauthRequired", default)]
    reauthenticate: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct EventFrame {
    #[serde(rename = "type")]
    kind: EventKind,
    #[serde(default)]
    payload: Option<Payload>,
}

/// Events that the agent subscribes to.
pub const EVENTS: [&str; 7] = [
    "PrintStarted",
    "PrintPaused",
    "PrintResumed",
    "PrintDone",
    "PrintFailed",
    "PrintCancelled",
    "Error",
];

#[derive(Clone, Copy, Debug, Deserialize)]
enum EventKind {
    PrintStarted,
    PrintPaused,
    PrintResumed,
    PrintDone,
    PrintFailed,
    PrintCancelled,
    Error,
    #[serde(other)]
    Unnamed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payload {
    time: Option<f64>,
    reason: Option<String>,
    faq: Option<String>,
    /// Only whether it is there.
    #[serde(rename = "firmwareError")]
    firmware_error: Option<IgnoredAny>,
}

/// Whether a print runs, as `/api/printer` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// No print.
    Idle,
    /// A print runs.
    Printing,
    /// A print waits.
    Paused,
    /// No printer: closed, or ended by an error.
    Closed {
        /// Whether `OctoPrint` calls it an error.
        by_error: bool,
    },
}

/// What a push message says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Push {
    /// A print began.
    Started,
    /// The print waits.
    Paused,
    /// The print goes on.
    Resumed,
    /// The print completed; with its printing time.
    Done(Option<f64>),
    /// A person cancelled the print; with its time, pauses included.
    Cancelled(Option<f64>),
    /// The machine ended the print.
    Failed(Option<f64>),
    /// The link to the printer was lost.
    Lost(Option<f64>),
    /// The print ended in a way that has no code.
    Ended(Option<f64>),
    /// A fault, by code.
    Fault(FaultCode),
    /// The session must be made anew.
    Reauthenticate,
    /// Nothing that concerns the agent.
    Nothing,
}

/// Codes of `OctoPrint`'s errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCode {
    /// A heater out of its range or out of control.
    Heater,
    /// Levelling or probing failed.
    Probing,
    /// The link is corrupt or silent.
    Link,
    /// The firmware stopped for another reason.
    Firmware,
    /// A code that is not listed.
    Other,
}

impl Printer {
    /// Reads an answer; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        first(bytes)
    }

    /// Whether a print runs.
    pub fn activity(&self) -> Activity {
        let flags = self.state.flags;
        if flags.error || flags.closed {
            Activity::Closed { by_error: flags.error }
        } else if flags.paused {
            Activity::Paused
        } else if flags.printing
            || flags.pausing
            || flags.resuming
            || flags.cancelling
            || flags.finishing
        {
            Activity::Printing
        } else {
            Activity::Idle
        }
    }

    /// The heaters; `None` in the first seconds, when none is told.
    pub fn heaters(&self) -> Option<Heaters> {
        let nozzle = self.temperature.tool0.as_ref().and_then(heater);
        let bed = self.temperature.bed.as_ref().and_then(heater);
        (nozzle.is_some() || bed.is_some()).then_some(Heaters { nozzle, bed, ..Heaters::default() })
    }
}

impl JobAnswer {
    /// Reads an answer; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        first(bytes)
    }

    /// Planned print time in seconds.
    pub fn planned_seconds(&self) -> Option<f64> {
        self.job.as_ref()?.estimated.filter(|seconds| seconds.is_finite() && *seconds > 0.0)
    }

    /// Planned volume of filament of all tools, cubic centimetres.
    pub fn planned_volume(&self) -> Option<f64> {
        let tools = self.job.as_ref()?.filament.as_ref()?;
        let each = [&tools.tool0, &tools.tool1, &tools.tool2, &tools.tool3, &tools.tool4];
        let sum: f64 = each
            .into_iter()
            .filter_map(|tool| tool.as_ref()?.volume)
            .filter(|volume| volume.is_finite() && *volume > 0.0)
            .sum();
        (sum > 0.0).then_some(sum)
    }

    /// Whether a file is chosen.
    pub fn has_file(&self) -> bool {
        self.job
            .as_ref()
            .and_then(|job| job.file.as_ref())
            .is_some_and(|file| file.origin.is_some())
    }

    /// Whether the whole file was sent.
    pub fn is_complete(&self) -> bool {
        self.progress
            .as_ref()
            .and_then(|progress| progress.completion)
            .is_some_and(|percent| percent >= 100.0)
    }

    /// Printing time so far, seconds.
    pub fn seconds(&self) -> Option<f64> {
        self.progress.as_ref()?.seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
    }
}

impl Login {
    /// Reads an answer; `None` when it is not one, as for a key without a session.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        first(bytes)
    }

    /// Whether the account is seen to have more permissions than `STATUS`.
    pub fn may_do_more(&self) -> bool {
        self.needs.role.contains(&Role::Further)
    }
}

/// Reads one message of the push socket.
pub fn push(bytes: &[u8]) -> Push {
    let Some(frame) = first::<Frame>(bytes) else { return Push::Nothing };
    if frame.reauthenticate.is_some() {
        return Push::Reauthenticate;
    }
    let Some(event) = frame.event else { return Push::Nothing };
    let payload = event.payload.unwrap_or_default();
    let time = payload.time.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    match event.kind {
        EventKind::PrintStarted => Push::Started,
        EventKind::PrintPaused => Push::Paused,
        EventKind::PrintResumed => Push::Resumed,
        EventKind::PrintDone => Push::Done(time),
        EventKind::PrintCancelled if payload.firmware_error.is_some() => Push::Failed(time),
        EventKind::PrintCancelled => Push::Cancelled(time),
        EventKind::PrintFailed => match payload.reason.as_deref() {
            Some("cancelled") => Push::Cancelled(time),
            Some("error") => Push::Failed(time),
            Some("disconnect" | "disconnected" | "connection") => Push::Lost(time),
            _ => Push::Ended(time),
        },
        EventKind::Error => code(payload.reason.as_deref(), payload.faq.as_deref())
            .map_or(Push::Fault(FaultCode::Other), Push::Fault),
        EventKind::Unnamed => Push::Nothing,
    }
}

/// The code of a `reason` and `faq`; `OctoPrint` derives `faq` from firmware texts itself.
fn code(reason: Option<&str>, faq: Option<&str>) -> Option<FaultCode> {
    let by_faq = match faq {
        Some(
            "firmware-maxtemp"
            | "firmware-mintemp"
            | "firmware-thermal-runaway"
            | "firmware-heating-failed",
        ) => Some(FaultCode::Heater),
        Some("firmware-probing-failed") => Some(FaultCode::Probing),
        _ => None,
    };
    by_faq.or(match reason {
        None | Some("") => None,
        Some("firmware") => Some(FaultCode::Firmware),
        Some("resend" | "resend_loop" | "timeout" | "connection" | "disconnect") => {
            Some(FaultCode::Link)
        }
        Some(_) => Some(FaultCode::Other),
    })
}

fn heater(temperature: &Temperature) -> Option<Heater> {
    let actual = temperature.actual.filter(|celsius| celsius.is_finite())?;
    let target = temperature.target.filter(|celsius| celsius.is_finite()).unwrap_or(0.0);
    Some(Heater { actual, target })
}

/// The first JSON value of some bytes.
fn first<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<T> {
    serde_json::Deserializer::from_slice(bytes).into_iter::<T>().next()?.ok()
}
