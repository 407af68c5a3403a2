//! The category: the unit of consent, and sets of categories.

use std::fmt;

/// A unit of consent. Each section of a record belongs to exactly one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Category {
    /// Machine model, firmware, nozzle, age.
    Machine = 1,
    /// Print durations and counts.
    PrintTime = 2,
    /// Heater set-points, excursions and heat-up times.
    Temperature = 3,
    /// Material family, amount and waste.
    Material = 4,
    /// Laser set-point, hours and calibration.
    Laser = 5,
    /// Classes of print settings.
    Settings = 6,
    /// Slicer and how much it is used.
    Slicing = 7,
    /// How prints end, pauses, observation.
    Status = 8,
    /// Fault families.
    Faults = 9,
    /// The owner's own judgement.
    Experience = 10,
    /// The identity tag in the batch header.
    Identity = 11,
}

/// A name that is no category.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no category; the categories are machine, print_time, temperature, material, laser, \
     settings, slicing, status, faults, experience, identity"
)]
pub struct UnknownCategory(pub String);

impl Category {
    /// All categories, ascending by number.
    pub const ALL: [Self; 11] = [
        Self::Machine,
        Self::PrintTime,
        Self::Temperature,
        Self::Material,
        Self::Laser,
        Self::Settings,
        Self::Slicing,
        Self::Status,
        Self::Faults,
        Self::Experience,
        Self::Identity,
    ];

    /// The number on the wire, 1 to 11.
    pub fn number(self) -> i32 {
        let place = Self::ALL.iter().position(|&category| category == self).unwrap_or(0);
        i32::try_from(place + 1).unwrap_or(i32::MAX)
    }

    /// The category of a wire number; `None` for 0 and all numbers that the contract lacks.
    pub fn from_number(number: i32) -> Option<Self> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::ALL.get(place).copied()
    }

    /// The name in settings, commands, columns and pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::PrintTime => "print_time",
            Self::Temperature => "temperature",
            Self::Material => "material",
            Self::Laser => "laser",
            Self::Settings => "settings",
            Self::Slicing => "slicing",
            Self::Status => "status",
            Self::Faults => "faults",
            Self::Experience => "experience",
            Self::Identity => "identity",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Category {
    type Err = UnknownCategory;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|category| category.name() == text);
        found.ok_or_else(|| UnknownCategory(text.to_owned()))
    }
}
