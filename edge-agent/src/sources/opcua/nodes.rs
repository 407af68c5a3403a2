//! Which node of a machine plays which role, and from their values to what the machine shows. Pure.
//!
//! The roles are the allow-list: nothing else of a machine is ever asked for. A text, such as the word
//! for a state, is compared with the owner's table here and ends here.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use imprimatur_proto::telemetry::v1::Outcome;
use opcua_types::{DataValue, NodeId};
use serde::Deserialize;

use super::units::{Quantity, Unit};
use super::values::{number, told, unit, word};
use crate::reading::{Heater, Heaters};
use crate::sources::error::{NodeFault, SourceError};
use crate::sources::snapshot::{Activity, Snapshot};

/// No sensor of a printer shows more, degrees Celsius.
const CELSIUS: std::ops::RangeInclusive<f64> = -50.0..=1000.0;

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What the machine does, by a table of its own values.
    State,
    /// Nominal power of the light source.
    Laser,
    /// Printing time so far.
    Time,
    /// Tank or powder bed of a laser printer, measured.
    Process,
    /// Its set-point.
    ProcessTarget,
    /// Nozzle of an extruding printer, measured.
    Nozzle,
    /// Its set-point.
    NozzleTarget,
    /// Bed of an extruding printer, measured.
    Bed,
    /// Its set-point.
    BedTarget,
    /// Hottest sensor of the electronics.
    Electronics,
}

/// What a value of the state stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateWord {
    /// A print runs.
    Printing,
    /// It waits.
    Paused,
    /// It waits because material ran out.
    RunOut,
    /// No print, and nothing about the one before.
    Idle,
    /// The last print is whole.
    Done,
    /// A person stopped it.
    Stopped,
    /// A fault ended it.
    Fault,
    /// It ended, nobody says how.
    Ended,
}

/// A node as the owner names it: its namespace by URI, which stays, or by index, which may change.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePath {
    uri: Option<String>,
    id: NodeId,
}

/// What the owner says of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// Where it is.
    pub path: NodePath,
    /// Its unit, where the machine does not say or to be sure.
    pub unit: Option<Unit>,
    /// By what its number is multiplied.
    pub scale: f64,
}

/// The whole mapping of a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Nodes by role; `State` is among them.
    pub nodes: BTreeMap<Role, Mapped>,
    /// What the values of the state stand for.
    pub states: BTreeMap<String, StateWord>,
    /// Full scale of the light source, watts.
    pub laser_watts: Option<f64>,
}

/// One value that is asked for in each look.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What it is for.
    pub role: Role,
    /// The node, by the index that its namespace has now.
    pub node: NodeId,
    /// The unit that it was found to have; none for the state.
    pub unit: Option<Unit>,
    /// By what its number is multiplied.
    pub scale: f64,
}

impl Role {
    /// As it is written in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Laser => "laser",
            Self::Time => "time",
            Self::Process => "process",
            Self::ProcessTarget => "process_target",
            Self::Nozzle => "nozzle",
            Self::NozzleTarget => "nozzle_target",
            Self::Bed => "bed",
            Self::BedTarget => "bed_target",
            Self::Electronics => "electronics",
        }
    }

    /// What its number measures; nothing for the state.
    pub fn quantity(self) -> Option<Quantity> {
        match self {
            Self::State => None,
            Self::Laser => Some(Quantity::Power),
            Self::Time => Some(Quantity::Time),
            _ => Some(Quantity::Temperature),
        }
    }

    /// The role without which this one tells nothing.
    pub fn partner(self) -> Option<Self> {
        match self {
            Self::Process => Some(Self::ProcessTarget),
            Self::ProcessTarget => Some(Self::Process),
            Self::Nozzle => Some(Self::NozzleTarget),
            Self::NozzleTarget => Some(Self::Nozzle),
            Self::Bed => Some(Self::BedTarget),
            Self::BedTarget => Some(Self::Bed),
            Self::State | Self::Laser | Self::Time | Self::Electronics => None,
        }
    }

    /// What is wrong with its node.
    pub fn error(self, fault: NodeFault) -> SourceError {
        SourceError::Node { role: self.name(), fault }
    }
}

impl NodePath {
    /// Reads `nsu=URI;s=NAME`, `ns=2;i=7` or `i=7`; a `;` in the URI is written `%3b`.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(rest) = text.strip_prefix("nsu=") else {
            return NodeId::from_str(text).ok().map(|id| Self { uri: None, id });
        };
        let (uri, id) = rest.split_once(';')?;
        let own = NodeId::from_str(id).ok().filter(|_| !id.starts_with("ns="))?;
        let uri = uri.replace("%3b", ";").replace("%25", "%");
        (!uri.is_empty()).then_some(Self { uri: Some(uri), id: own })
    }

    /// The node by the index that its namespace has now; `None` when the machine has no such one.
    fn resolve(&self, namespaces: &[String]) -> Option<NodeId> {
        let Some(uri) = &self.uri else { return Some(self.id.clone()) };
        let index = namespaces.iter().position(|known| known == uri)?;
        Some(NodeId { namespace: u16::try_from(index).ok()?, ..self.id.clone() })
    }
}

impl StateWord {
    fn activity(self) -> Activity {
        match self {
            Self::Printing => Activity::Printing,
            Self::Paused => Activity::Paused { by_run_out: false },
            Self::RunOut => Activity::Paused { by_run_out: true },
            Self::Idle => Activity::Idle,
            Self::Done => Activity::Ended(Outcome::Done),
            Self::Stopped => Activity::Ended(Outcome::StoppedByUser),
            Self::Fault => Activity::Ended(Outcome::Fault),
            Self::Ended => Activity::Ended(Outcome::Unspecified),
        }
    }
}

impl Mapping {
    /// The nodes by the indices that their namespaces have now, their units not yet known.
    ///
    /// # Errors
    /// [`SourceError::Node`] when the machine lacks a namespace.
    pub fn resolve(&self, namespaces: &[String]) -> Result<Vec<Asked>, SourceError> {
        let resolve = |(role, mapped): (&Role, &Mapped)| {
            let node = mapped.path.resolve(namespaces);
            let node = node.ok_or_else(|| role.error(NodeFault::Namespace))?;
            Ok(Asked { role: *role, node, unit: mapped.unit, scale: mapped.scale })
        };
        self.nodes.iter().map(resolve).collect()
    }

    /// What the machine shows by these values, one for each node, in the same order.
    ///
    /// # Errors
    /// [`SourceError::Node`] when a node is not there or is of a type that its role does not take.
    pub fn shown(&self, asked: &[Asked], values: &[DataValue]) -> Result<Snapshot, SourceError> {
        let mut activity = Activity::Unknown;
        let mut numbers = BTreeMap::new();
        for (asked, value) in asked.iter().zip(values) {
            let Some(value) = told(asked.role, value)? else { continue };
            match asked.role {
                Role::State => {
                    let word = word(value).ok_or_else(|| asked.role.error(NodeFault::Word))?;
                    let word = self.states.get(&word);
                    activity = word.map_or(Activity::Unknown, |word| word.activity());
                }
                role => {
                    let number = number(value).ok_or_else(|| role.error(NodeFault::Number))?;
                    let scaled = number * asked.scale;
                    let number = asked.unit.and_then(|unit| unit.convert(scaled, self.laser_watts));
                    // What is no number, or infinite, is not told.
                    numbers.extend(number.filter(|n| n.is_finite()).map(|n| (role, n)));
                }
            }
        }
        let celsius = |role| numbers.get(&role).copied().filter(|n| CELSIUS.contains(n));
        let heater =
            |actual, target| Some(Heater { actual: celsius(actual)?, target: celsius(target)? });
        Ok(Snapshot {
            activity,
            seconds: numbers.get(&Role::Time).copied(),
            laser: numbers.get(&Role::Laser).copied(),
            heaters: Heaters {
                nozzle: heater(Role::Nozzle, Role::NozzleTarget),
                bed: heater(Role::Bed, Role::BedTarget),
                process: heater(Role::Process, Role::ProcessTarget),
                electronics: celsius(Role::Electronics),
            },
            ..Snapshot::default()
        })
    }
}

impl Asked {
    /// Takes the unit that the machine says the node has; `None` when it says nothing.
    ///
    /// # Errors
    /// [`SourceError::Node`] when that does not fit the role or is not what the owner wrote, when no unit
    /// is known at all, or when watts cannot be made percent.
    pub fn take_unit(
        &mut self,
        said: Option<&DataValue>,
        laser_watts: Option<f64>,
    ) -> Result<(), SourceError> {
        let Some(quantity) = self.role.quantity() else { return Ok(()) };
        if let Some(value) = said.and_then(|value| value.value.as_ref()) {
            let unit = unit(value).ok_or_else(|| self.role.error(NodeFault::Unit))?;
            if self.unit.is_some_and(|written| written != unit) {
                return Err(self.role.error(NodeFault::OtherUnit));
            }
            self.unit = Some(unit);
        }
        match self.unit {
            None => Err(self.role.error(NodeFault::NoUnit)),
            Some(unit) if unit.quantity() != quantity => Err(self.role.error(NodeFault::Unit)),
            Some(Unit::Watt | Unit::Kilowatt) if laser_watts.is_none() => {
                Err(self.role.error(NodeFault::FullScale))
            }
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
