//! Readings: what a source may say, and no more; a source drops everything that has no place here.
//!
//! No reading holds a name, a path, a text, an identifier or a position: a file's name ends in the
//! parser of its source. Readings live in memory only and never leave the process; the facts of a
//! sliced file may come into it through the owner's socket.

use imprimatur_proto::telemetry::v1::{
    AdhesionAid, FaultFamily, MaterialFamily, Outcome, ReadingSource, StopPhase,
};

pub use imprimatur_runtime::UnixSeconds;
use serde::{Deserialize, Serialize};

/// One thing that a source said at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// When the agent received it.
    pub at: UnixSeconds,
    /// What was said.
    pub said: Said,
}

/// What a source may say.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The source answers, and this is what it is.
    Online(ReadingSource),
    /// The source stopped answering.
    Offline,
    /// A print began. A second `Started` without an end in between ends the first as `HostLost`.
    Started,
    /// A print that began before the agent looked; its start is unknown, so it is never reported.
    AlreadyRunning,
    /// The print waits; `by_run_out` when the source says that material ran out.
    Paused {
        /// Whether the cause is missing material.
        by_run_out: bool,
    },
    /// The print goes on.
    Resumed,
    /// The print ended.
    Ended(Ended),
    /// Heaters as they are now.
    Heaters(Heaters),
    /// The light source as it is now, in percent of full scale, 0 to 100.
    Laser(f64),
    /// A fault, mapped to a family by code, never by text.
    Fault(FaultFamily),
    /// The controller restarted.
    Restarted,
    /// What the file of the current print says of itself.
    Sliced(Sliced),
    /// A slicer wrote a file, which may be printed or not; what it says of itself.
    SlicedFile(Sliced),
}

/// How a print ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// The outcome; `Outcome::Done` means completed, all others stopped.
    pub outcome: Outcome,
    /// Printing time in seconds as the source counts it, heat-up and pauses left out where it can.
    pub seconds: Option<f64>,
    /// Material actually used, in grams or millilitres, where the source tells.
    pub amount: Option<f64>,
    /// Phase in which it was stopped, where the source tells; the accumulator estimates the rest.
    pub phase: Option<StopPhase>,
}

/// One heater.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heater {
    /// Measured, degrees Celsius.
    pub actual: f64,
    /// Set-point, degrees Celsius; 0 when off.
    pub target: f64,
}

/// The heaters that a source names by role.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heaters {
    /// The first nozzle.
    pub nozzle: Option<Heater>,
    /// The bed of an extruding printer.
    pub bed: Option<Heater>,
    /// The tank or powder bed of a laser printer.
    pub process: Option<Heater>,
    /// Hottest electronics sensor, degrees Celsius.
    pub electronics: Option<f64>,
}

/// What a sliced file says of itself, by allow-list: numbers and classes, in memory and on the owner's
/// socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sliced {
    /// Planned print time, seconds.
    pub seconds: Option<f64>,
    /// Planned material, grams or millilitres.
    pub amount: Option<f64>,
    /// Material family.
    #[serde(with = "number")]
    pub family: Option<MaterialFamily>,
    /// Layer height, millimetres.
    pub layer_height: Option<f64>,
    /// Brim or raft.
    #[serde(with = "number")]
    pub adhesion: Option<AdhesionAid>,
    /// Infill density, percent.
    pub infill: Option<f64>,
    /// Nozzle diameter, millimetres.
    pub nozzle: Option<f64>,
    /// Whether supports are generated.
    pub supports: Option<bool>,
    /// Slicer and version: a number of the catalogue.
    pub slicer: Option<u32>,
    /// Machine model that it was sliced for: a number of the catalogue.
    pub model: Option<u32>,
}

/// A value of the contract as its number.
mod number {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<E: Into<i32> + Copy, S: Serializer>(
        value: &Option<E>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Into::into).serialize(to)
    }

    pub(super) fn deserialize<'de, E: TryFrom<i32>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<E>, D::Error> {
        let number = Option::<i32>::deserialize(from)?;
        let unknown = |_not_one| D::Error::custom("a number that the contract does not have");
        number.map(|number| E::try_from(number).map_err(unknown)).transpose()
    }
}
