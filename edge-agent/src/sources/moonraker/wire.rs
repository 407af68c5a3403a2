//! What is said to Moonraker and what is read from it: both by allow-list.
//!
//! Moonraker's key can do everything, so [`Call`] is all that the agent can say: no call moves,
//! heats, starts or stops anything. Of the answers only the named fields are kept; the name of the
//! current file lives in [`FileName`] from one answer to the next call and is never shown.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::history::Job;
use crate::catalogue;
use crate::reading::Sliced;
use crate::sources::moonraker::settings::MoonrakerRoles;
use crate::sources::settings::Secret;

/// Everything that the agent can say to Moonraker.
#[derive(Debug)]
pub enum Call {
    /// Says who asks, with the key where one is set.
    Identify(Option<Secret>),
    /// Subscribes to states and temperatures, attribute by attribute.
    Subscribe,
    /// Asks for the name of the current file, to ask for its numbers.
    CurrentFile,
    /// Asks for the numbers of a file.
    Metadata(FileName),
    /// Asks how the newest jobs ended.
    History {
        /// How many.
        jobs: u32,
    },
}

/// Numbers of the calls, by which answers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallId {
    /// [`Call::Identify`].
    Identify,
    /// [`Call::Subscribe`].
    Subscribe,
    /// [`Call::CurrentFile`].
    CurrentFile,
    /// [`Call::Metadata`].
    Metadata,
    /// [`Call::History`].
    History,
}

/// The name of a file on its way back to Moonraker; never shown, never kept.
pub struct FileName(String);

/// One message of Moonraker.
#[derive(Debug)]
pub enum Frame {
    /// The answer to a call.
    Answer(CallId, Answer),
    /// Changed states.
    Update(Status),
    /// The printer host is ready; subscriptions must be made anew.
    HostReady,
    /// The printer host shut the controller down.
    HostShutdown,
    /// The printer host ended.
    HostGone,
    /// Nothing that concerns the agent.
    Nothing,
}

/// What a call was answered with.
#[derive(Debug)]
pub enum Answer {
    /// An answer without content.
    Done,
    /// States.
    Status(Status),
    /// The current file.
    File(Option<FileName>),
    /// The numbers of a file.
    Metadata(Metadata),
    /// Jobs, the newest first.
    History(Vec<Job>),
    /// An error; the code alone, since the text holds paths.
    Failed(i64),
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The facts.
    pub sliced: Sliced,
    /// Planned filament in millimetres, to make grams of what was used.
    pub filament_mm: Option<f64>,
}

/// States, complete or changed only: absent means unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Status {
    /// `webhooks.state`.
    pub host: Option<HostState>,
    /// `print_stats.state`.
    pub print: Option<PrintState>,
    /// `print_stats.print_duration`, seconds since the first extrusion, pauses left out.
    pub seconds: Option<f64>,
    /// `print_stats.filament_used`, millimetres.
    pub filament_mm: Option<f64>,
    /// First nozzle.
    pub nozzle: HeaterChange,
    /// Bed.
    pub bed: HeaterChange,
    /// Tank or powder bed.
    pub process: HeaterChange,
    /// Electronics, degrees Celsius.
    pub electronics: Option<f64>,
    /// Light source, 0 to 1.
    pub laser: Option<f64>,
    /// Whether material is there.
    pub material_there: Option<bool>,
}

/// What changed of a heater.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HeaterChange {
    /// Measured, degrees Celsius.
    pub actual: Option<f64>,
    /// Set-point, degrees Celsius.
    pub target: Option<f64>,
}

/// State of the printer host; it tells the truth where `print_stats` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostState {
    /// Runs.
    Ready,
    /// Starts.
    Startup,
    /// The controller was shut down.
    Shutdown,
    /// The configuration or controller failed.
    Error,
    /// Not known to this reader.
    #[serde(other)]
    Unnamed,
}

/// State of the print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrintState {
    /// None since the start.
    Standby,
    /// Runs.
    Printing,
    /// Waits.
    Paused,
    /// Completed.
    Complete,
    /// Cancelled by a person or macro.
    Cancelled,
    /// Ended by an error.
    Error,
    /// Not known to this reader.
    #[serde(other)]
    Unnamed,
}

impl Call {
    /// The call as text; `roles` name the owner's own objects.
    pub fn to_text(&self, roles: &MoonrakerRoles) -> String {
        let (id, method, params) = match self {
            Self::Identify(key) => {
                let mut params = json!({
                    "client_name": "imprimatur-agent",
                    "version": env!("CARGO_PKG_VERSION"),
                    "type": "other",
                    "url": "about:blank",
                });
                if let (Some(key), Some(params)) = (key, params.as_object_mut()) {
                    params.insert("api_key".to_owned(), key.expose().into());
                }
                (CallId::Identify, "server.connection.identify", params)
            }
            Self::Subscribe => (
                CallId::Subscribe,
                "printer.objects.subscribe",
                json!({ "objects": wanted(roles) }),
            ),
            Self::CurrentFile => (
                CallId::CurrentFile,
                "printer.objects.query",
                json!({ "objects": { "print_stats": ["filename"] } }),
            ),
            Self::Metadata(name) => {
                (CallId::Metadata, "server.files.metadata", json!({ "filename": name.0 }))
            }
            Self::History { jobs } => {
                (CallId::History, "server.history.list", json!({ "limit": jobs, "order": "desc" }))
            }
        };
        json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": id.number() })
            .to_string()
    }
}

impl CallId {
    fn number(self) -> u64 {
        match self {
            Self::Identify => 1,
            Self::Subscribe => 5,
            Self::CurrentFile => 6,
            Self::Metadata => 7,
            Self::History => 8,
        }
    }

    fn of(number: u64) -> Option<Self> {
        [Self::Identify, Self::Subscribe, Self::CurrentFile, Self::Metadata, Self::History]
            .into_iter()
            .find(|id| id.number() == number)
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileName")
    }
}

impl Frame {
    /// Reads one message; whatever is not named is [`Frame::Nothing`].
    pub fn parse(text: &[u8], roles: &MoonrakerRoles) -> Self {
        let Ok(message) = serde_json::from_slice::<Envelope>(text) else { return Self::Nothing };
        match message.method.as_deref() {
            Some("notify_status_update") => message
                .params
                .as_ref()
                .and_then(|params| params.get(0))
                .map_or(Self::Nothing, |objects| Self::Update(status(objects, roles))),
            Some("notify_klippy_ready") => Self::HostReady,
            Some("notify_klippy_shutdown") => Self::HostShutdown,
            Some("notify_klippy_disconnected") => Self::HostGone,
            Some(_) => Self::Nothing,
            None => Self::answer(&message, roles),
        }
    }

    fn answer(message: &Envelope, roles: &MoonrakerRoles) -> Self {
        let Some(id) = message.id.and_then(CallId::of) else { return Self::Nothing };
        if let Some(error) = &message.error {
            return Self::Answer(id, Answer::Failed(error.code));
        }
        let result = message.result.as_ref().unwrap_or(&Value::Null);
        let answer = match id {
            CallId::Identify => Answer::Done,
            CallId::Subscribe => {
                result.get("status").map_or(Answer::Done, |o| Answer::Status(status(o, roles)))
            }
            CallId::CurrentFile => Answer::File(
                result
                    .pointer("/status/print_stats/filename")
                    .and_then(Value::as_str)
                    .filter(|name| !name.is_empty())
                    .map(|name| FileName(name.to_owned())),
            ),
            CallId::Metadata => Answer::Metadata(metadata(result)),
            CallId::History => Answer::History(jobs(result)),
        };
        Self::Answer(id, answer)
    }
}

#[derive(Deserialize)]
struct Envelope {
    method: Option<String>,
    params: Option<Value>,
    id: Option<u64>,
    result: Option<Value>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    code: i64,
}

/// Objects and attributes to subscribe to. Attributes are always listed: an object without a list
/// would send all, with file names and positions.
fn wanted(roles: &MoonrakerRoles) -> Map<String, Value> {
    let heater = json!(["temperature", "target"]);
    let mut objects = Map::new();
    objects.insert("webhooks".to_owned(), json!(["state"]));
    objects.insert("print_stats".to_owned(), json!(["state", "print_duration", "filament_used"]));
    objects.insert("extruder".to_owned(), heater.clone());
    objects.insert("heater_bed".to_owned(), heater.clone());
    for (name, attributes) in [
        (&roles.laser, json!(["value"])),
        (&roles.process, heater),
        (&roles.run_out, json!(["filament_detected"])),
        (&roles.electronics, json!(["temperature"])),
    ] {
        if let Some(name) = name {
            objects.insert(name.clone(), attributes);
        }
    }
    objects
}

/// Takes the wanted fields out of a status object.
fn status(objects: &Value, roles: &MoonrakerRoles) -> Status {
    let field = |object: &str, name: &str| objects.get(object).and_then(|o| o.get(name));
    let number = |object: &str, name: &str| {
        field(object, name).and_then(Value::as_f64).filter(|number| number.is_finite())
    };
    let heater = |object: &str| HeaterChange {
        actual: number(object, "temperature"),
        target: number(object, "target"),
    };
    let role = |name: &Option<String>, attribute: &str| {
        name.as_deref().and_then(|object| number(object, attribute))
    };
    Status {
        host: field("webhooks", "state").and_then(|v| HostState::deserialize(v).ok()),
        print: field("print_stats", "state").and_then(|v| PrintState::deserialize(v).ok()),
        seconds: number("print_stats", "print_duration").filter(|seconds| *seconds >= 0.0),
        filament_mm: number("print_stats", "filament_used").filter(|used| *used >= 0.0),
        nozzle: heater("extruder"),
        bed: heater("heater_bed"),
        process: roles.process.as_deref().map(heater).unwrap_or_default(),
        electronics: role(&roles.electronics, "temperature"),
        laser: role(&roles.laser, "value"),
        material_there: roles
            .run_out
            .as_deref()
            .and_then(|object| field(object, "filament_detected"))
            .and_then(Value::as_bool),
    }
}

/// Takes what is known of a job out of each; one that is not of the form is left out.
fn jobs(result: &Value) -> Vec<Job> {
    let all = result.get("jobs").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|job| Job::deserialize(job).ok()).collect()
}

/// Takes the wanted numbers out of a file's metadata.
fn metadata(result: &Value) -> Metadata {
    let number =
        |name: &str| result.get(name).and_then(Value::as_f64).filter(|n| n.is_finite() && *n > 0.0);
    let text = |name: &str| result.get(name).and_then(Value::as_str);
    // Several tools are listed with semicolons or commas; the first stands for the print.
    let family = text("filament_type")
        .and_then(|names| names.split([';', ',']).next())
        .and_then(catalogue::material);
    let sliced = Sliced {
        seconds: number("estimated_time"),
        amount: number("filament_weight_total"),
        family,
        layer_height: number("layer_height"),
        nozzle: number("nozzle_diameter"),
        slicer: text("slicer")
            .filter(|name| *name != "Unknown")
            .map(|name| catalogue::slicer(name, text("slicer_version").unwrap_or_default())),
        ..Sliced::default()
    };
    Metadata { sliced, filament_mm: number("filament_total") }
}
