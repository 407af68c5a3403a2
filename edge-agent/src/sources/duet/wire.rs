//! What is read of a Duet's object model, and nothing else: serde drops every field without a place.
//!
//! No struct has a field for a file's name, size, height or position, for an object, a message, a
//! board's number or a network. Words are kept only as far as they are codes; they end here.

use imprimatur_proto::telemetry::v1::{FaultFamily, MaterialFamily, Outcome};
use serde::Deserialize;

use crate::catalogue;
use crate::reading::{Heater, Heaters, Sliced};
use crate::sources::snapshot::{Activity, Snapshot, grams};

/// No sensor of a printer shows more, degrees Celsius: -273.15 and 2000 stand for none.
const CELSIUS: std::ops::RangeInclusive<f64> = -50.0..=600.0;

/// Answer of `rr_connect`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Connected {
    /// 0 is yes, 1 a wrong password, 2 no session free.
    pub err: u32,
    /// Key of the session, where the firmware (3.5 and later) gives one.
    #[serde(rename = "sessionKey", default)]
    pub session: Option<u64>,
}

/// Answer of `rr_model`.
#[derive(Debug, Deserialize)]
struct Answered<T> {
    result: Option<T>,
}

/// `heat`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Heat {
    bed_heaters: Vec<i64>,
    chamber_heaters: Vec<i64>,
    heaters: Vec<Option<HeaterState>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeaterState {
    current: Option<f64>,
    active: Option<f64>,
    standby: Option<f64>,
    state: Option<HeaterWord>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HeaterWord {
    Off,
    Standby,
    Active,
    Fault,
    #[serde(other)]
    Unnamed,
}

/// `state`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    status: Option<Status>,
    machine_mode: Option<Mode>,
    laser_pwm: Option<f64>,
    up_time: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    Disconnected,
    Starting,
    Updating,
    Off,
    Halted,
    Pausing,
    Paused,
    Resuming,
    Cancelling,
    Processing,
    Simulating,
    Busy,
    ChangingTool,
    Idle,
    #[serde(other)]
    Unnamed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Mode {
    Laser,
    #[serde(other)]
    Unnamed,
}

/// `job`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Job {
    duration: Option<f64>,
    warm_up_duration: Option<f64>,
    raw_extrusion: Option<f64>,
    file: Option<File>,
    last_duration: Option<f64>,
    last_warm_up_duration: Option<f64>,
    last_file_aborted: Option<bool>,
    last_file_cancelled: Option<bool>,
    last_file_simulated: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    filament: Vec<f64>,
    layer_height: Option<f64>,
    print_time: Option<f64>,
    generated_by: Option<String>,
}

/// What the owner says that the board does not know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded {
    /// What is loaded.
    pub family: Option<MaterialFamily>,
    /// Diameter of the filament, millimetres.
    pub diameter: Option<f64>,
}

impl Connected {
    /// Reads an answer; `None` when it is not one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Reads an answer of `rr_model`: its result, or nothing of it where the board has none; `None`
/// when it is no answer.
pub fn model<T: Default + for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<T> {
    let answered: Answered<T> = serde_json::from_slice(bytes).ok()?;
    Some(answered.result.unwrap_or_default())
}

/// What the parts of the model show together; `electronics` is the board's own temperature.
pub fn shown(
    heat: &Heat,
    state: &State,
    job: &Job,
    electronics: Option<f64>,
    loaded: Loaded,
) -> Snapshot {
    let activity = state.activity(job);
    let ended = matches!(activity, Activity::Ended(_));
    let (all, warm_up) = if ended {
        (job.last_duration, job.last_warm_up_duration)
    } else {
        (job.duration, job.warm_up_duration)
    };
    let mut heaters = heat.heaters();
    heaters.electronics = electronics.filter(|celsius| CELSIUS.contains(celsius));
    Snapshot {
        activity,
        job: None,
        seconds: all.map(|all| (all - warm_up.unwrap_or(0.0)).max(0.0)),
        amount: job.raw_extrusion.and_then(|length| loaded.grams(length)),
        heaters,
        laser: state.laser(),
        fault: heat.fault(),
        plan: job.file.as_ref().map(|file| file.plan(loaded)),
    }
}

impl Heat {
    /// The bed is the first that is called one; the nozzle the first that is neither bed nor chamber.
    fn heaters(&self) -> Heaters {
        let listed =
            |list: &[i64], at: usize| list.iter().any(|one| usize::try_from(*one) == Ok(at));
        let bed = self.bed_heaters.iter().find_map(|at| usize::try_from(*at).ok());
        let others = (0..self.heaters.len())
            .find(|at| !listed(&self.bed_heaters, *at) && !listed(&self.chamber_heaters, *at));
        let read = |at: usize| self.heaters.get(at)?.as_ref()?.heater();
        Heaters { nozzle: others.and_then(read), bed: bed.and_then(read), ..Heaters::default() }
    }

    fn fault(&self) -> Option<FaultFamily> {
        let failed = |heater: &HeaterState| heater.state == Some(HeaterWord::Fault);
        self.heaters.iter().flatten().any(failed).then_some(FaultFamily::Heater)
    }
}

impl HeaterState {
    fn heater(&self) -> Option<Heater> {
        let actual = self.current.filter(|celsius| CELSIUS.contains(celsius))?;
        let target = match self.state? {
            HeaterWord::Off | HeaterWord::Fault => 0.0,
            HeaterWord::Standby => self.standby?,
            HeaterWord::Active => self.active?,
            HeaterWord::Unnamed => return None,
        };
        Some(Heater { actual, target: Some(target).filter(|celsius| CELSIUS.contains(celsius))? })
    }
}

impl State {
    /// Seconds since the board started.
    pub fn up_seconds(&self) -> Option<f64> {
        self.up_time.filter(|seconds| seconds.is_finite())
    }

    /// Percent of full scale, only where the machine says that it is a laser.
    fn laser(&self) -> Option<f64> {
        let share = self.laser_pwm.filter(|_| self.machine_mode == Some(Mode::Laser))?;
        (0.0..=1.0).contains(&share).then_some(share * 100.0)
    }

    fn activity(&self, job: &Job) -> Activity {
        match self.status {
            // Cancelling is told when it is over.
            Some(Status::Processing | Status::Resuming | Status::Cancelling) => Activity::Printing,
            Some(Status::Pausing | Status::Paused) => Activity::Paused { by_run_out: false },
            // A simulation heats nothing and prints nothing.
            Some(Status::Simulating) => Activity::Idle,
            Some(Status::Idle) => job.outcome().map_or(Activity::Idle, Activity::Ended),
            Some(Status::Halted) => Activity::Closed { by_error: true },
            Some(Status::Off | Status::Disconnected) => Activity::Closed { by_error: false },
            // Macros run between prints and after one: what is shown next tells.
            None
            | Some(
                Status::Starting
                | Status::Updating
                | Status::Busy
                | Status::ChangingTool
                | Status::Unnamed,
            ) => Activity::Unknown,
        }
    }
}

impl Job {
    /// How the last job ended, where there is one.
    fn outcome(&self) -> Option<Outcome> {
        self.last_duration?;
        match (self.last_file_simulated, self.last_file_cancelled, self.last_file_aborted) {
            (Some(true), _, _) => None,
            (_, Some(true), _) => Some(Outcome::StoppedByUser),
            (_, _, Some(true)) => Some(Outcome::Fault),
            (_, Some(false), Some(false)) => Some(Outcome::Done),
            _ => None,
        }
    }
}

impl File {
    fn plan(&self, loaded: Loaded) -> Sliced {
        let positive = |number: &f64| number.is_finite() && *number > 0.0;
        let length: f64 = self.filament.iter().filter(|length| positive(length)).sum();
        let slicer = self.generated_by.as_deref().and_then(|text| {
            let mut words = text.split_ascii_whitespace();
            Some(catalogue::slicer(words.next()?, words.next().unwrap_or_default()))
        });
        Sliced {
            seconds: self.print_time.filter(positive),
            amount: Some(length).filter(positive).and_then(|length| loaded.grams(length)),
            layer_height: self.layer_height.filter(positive),
            slicer,
            ..Sliced::default()
        }
    }
}

impl Loaded {
    /// Grams of a length of filament, millimetres; `None` where density or diameter is not known.
    fn grams(self, length: f64) -> Option<f64> {
        let radius = self.diameter? / 2.0;
        grams(length * std::f64::consts::PI * radius * radius / 1000.0, self.family)
    }
}
