//! By what an answer may be grouped and filtered, and how its values are written.
//!
//! Each column of the contract is a dimension under its own name, so that no list is kept beside
//! it; what a metric may be grouped by is in `metrics.toml`.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use imprimatur_proto::models::{self, Technology};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::Unit;
use imprimatur_proto::{Category, FieldId, contract};
use imprimatur_runtime::UtcDate;

use crate::error::QueryError;
use crate::nearest;

/// Firmware numbers of one model, the unknown one included: `model * 64 + firmware` names both.
pub(crate) const FIRMWARES: i32 = 64;

/// The value of rows whose owner does not share the dimension's section, or does so no longer.
pub(crate) const NOT_SHARED: i32 = -1;

/// How [`NOT_SHARED`] is written.
pub(crate) const NOT_SHARED_LABEL: &str = "not_shared";

/// The value of [`Dimension::Technology`] of each model, by its number.
static TECHNOLOGIES: LazyLock<[i32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|number| {
        let technology = u32::try_from(number).ok().and_then(models::technology);
        let place = Technology::ALL.iter().position(|one| Some(*one) == technology);
        place.and_then(|place| i32::try_from(place).ok()).map_or(0, |place| place + 1)
    })
});

/// Shorter names of columns, for people.
const SHORT: [(&str, &str); 2] =
    [("outcome", "status_outcome"), ("layer_height", "settings_layer_height")];

/// Columns of a day that are told together, by [`Dimension::Model`] and [`Dimension::Firmware`].
const MACHINE: [&str; 3] = ["machine_model", "machine_firmware", "machine_firmware_change"];

/// A property by which rows are grouped or filtered. All but these few are columns of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// A column of the print's row; `not_shared` without its section.
    Print(FieldId),
    /// A column of the day's row; `not_shared` without its section. A print has the value of the
    /// same printer and day, `unknown` where no day tells it.
    Day(FieldId),
    /// How the model makes parts, of the same printer and day; `unknown` without a day's row and of a model that is
    /// not listed.
    Technology,
    /// Catalogue number of the model, of the same printer and day; `unknown` without a day's row.
    Model,
    /// Firmware within its model, `MODEL.FIRMWARE` in catalogue numbers; `unknown` without a day's
    /// row, `MODEL.unknown` on a day on which it changed.
    Firmware,
    /// UTC week, named by its Monday.
    Week,
    /// UTC date.
    Date,
}

impl Dimension {
    /// All dimensions that the contract has, in its order.
    pub fn all() -> Vec<Self> {
        let print = contract().columns(RecordKind::Print).into_iter().map(Self::Print);
        let is_own = |field: &FieldId| !MACHINE.contains(&contract().rule(*field).column.as_str());
        let day = contract().columns(RecordKind::Day).into_iter().filter(is_own).map(Self::Day);
        let computed = [Self::Technology, Self::Model, Self::Firmware, Self::Week, Self::Date];
        print.chain(day).chain(computed).collect()
    }

    /// The name in commands, settings and answers: that of the column, or a shorter one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Print(field) | Self::Day(field) => {
                let column = contract().rule(field).column.as_str();
                SHORT.iter().find(|(_, long)| *long == column).map_or(column, |(short, _)| short)
            }
            Self::Technology => "technology",
            Self::Model => "model",
            Self::Firmware => "firmware",
            Self::Week => "week",
            Self::Date => "date",
        }
    }

    /// Whether rows of a table have it.
    pub fn is_of(self, table: RecordKind) -> bool {
        !matches!(self, Self::Print(_)) || table == RecordKind::Print
    }

    /// The category that must be granted for its value; `None` for dates, which each row has.
    pub fn category(self) -> Option<Category> {
        match self {
            Self::Print(field) | Self::Day(field) => contract().rule(field).category,
            Self::Technology | Self::Model | Self::Firmware => Some(Category::Machine),
            Self::Week | Self::Date => None,
        }
    }

    /// What it is, for a reader.
    pub fn meaning(self) -> String {
        match self {
            Self::Print(field) | Self::Day(field) => {
                let rule = contract().rule(field);
                let of = if matches!(self, Self::Print(_)) { "print" } else { "day" };
                format!("`{}` of the {of}: {}", rule.column, rule.necessity)
            }
            Self::Technology => "how the printer's model makes parts".to_owned(),
            Self::Model => "catalogue number of the printer's model".to_owned(),
            Self::Firmware => "firmware within its model, MODEL.FIRMWARE".to_owned(),
            Self::Week => "UTC week, named by its Monday".to_owned(),
            Self::Date => "UTC date".to_owned(),
        }
    }

    /// All that a filter takes, in the contract's order; `None` where there are too many to name.
    pub fn values(self) -> Option<Vec<String>> {
        let indices = (0..self.domain()?).filter_map(|index| i32::try_from(index).ok());
        Some(indices.chain([NOT_SHARED]).map(|index| self.label(index)).collect())
    }

    /// How many values it has, that of the unknown one included; `None` where no short list names them.
    pub(crate) fn domain(self) -> Option<u32> {
        match self {
            Self::Technology => Some(u32::try_from(Technology::ALL.len()).ok()?.saturating_add(1)),
            _ => Some(contract().rule(self.field()?).domain()),
        }
    }

    /// The dimension of which each of its values has one value: a date has one week. What is grouped by the finer one is
    /// looked at with the totals of this one, which may be asked for by themselves.
    pub(crate) fn coarser(self) -> Option<Self> {
        match self {
            Self::Model => Some(Self::Technology),
            Self::Firmware => Some(Self::Model),
            Self::Date => Some(Self::Week),
            Self::Print(_) | Self::Day(_) | Self::Technology | Self::Week => None,
        }
    }

    /// The value of [`Self::coarser`] that a value of this one has; it is not shared where this is not.
    pub(crate) fn to_coarser(self, value: i32) -> i32 {
        match self {
            _ if value < 0 => value,
            Self::Firmware => value / FIRMWARES,
            Self::Model => {
                let technology = usize::try_from(value).ok().and_then(|one| TECHNOLOGIES.get(one));
                technology.copied().unwrap_or(0)
            }
            Self::Date => (value + 3) / 7,
            Self::Print(_) | Self::Day(_) | Self::Technology | Self::Week => value,
        }
    }

    /// The value of what its column holds: of a technology that is the model.
    pub(crate) fn told(self, value: i32) -> i32 {
        if self == Self::Technology { Self::Model.to_coarser(value) } else { value }
    }

    /// Whether the day's row tells it, which prints have to be joined to.
    pub(crate) fn is_of_day(self) -> bool {
        matches!(self, Self::Day(_) | Self::Technology | Self::Model | Self::Firmware)
    }

    /// The column of the contract that it is; `None` where it is computed.
    pub(crate) fn column(self) -> Option<&'static str> {
        self.field().map(|field| contract().rule(field).column.as_str())
    }

    /// The field of the contract that it is; `None` where it is computed.
    pub(crate) fn field(self) -> Option<FieldId> {
        match self {
            Self::Print(field) | Self::Day(field) => Some(field),
            Self::Technology | Self::Model | Self::Firmware | Self::Week | Self::Date => None,
        }
    }

    /// How a value is written in answers and filters.
    pub(crate) fn label(self, value: i32) -> String {
        let unknown = || "unknown".to_owned();
        let day = |days: i32| {
            u32::try_from(days).map_or_else(|_| unknown(), |day| UtcDate(day).to_string())
        };
        match self {
            _ if value == NOT_SHARED => NOT_SHARED_LABEL.to_owned(),
            Self::Print(field) | Self::Day(field) => {
                let is_number = contract().rule(field).unit == Some(Unit::Catalogue);
                let index = u32::try_from(value).unwrap_or(0);
                if is_number && index > 0 {
                    return index.to_string();
                }
                contract().meaning(field, index)
            }
            Self::Technology => {
                let at = value.checked_sub(1).and_then(|at| usize::try_from(at).ok());
                let known = at.and_then(|at| Technology::ALL.get(at));
                known.map_or_else(unknown, |technology| technology.name().to_owned())
            }
            Self::Model | Self::Firmware if value == 0 => unknown(),
            Self::Model => value.to_string(),
            Self::Firmware if value % FIRMWARES == 0 => format!("{}.unknown", value / FIRMWARES),
            Self::Firmware => format!("{}.{}", value / FIRMWARES, value % FIRMWARES),
            Self::Week => day(value.saturating_mul(7).saturating_sub(3)),
            Self::Date => day(value),
        }
    }

    /// The value of a text in a filter.
    pub(crate) fn value(self, text: &str) -> Result<i32, QueryError> {
        let refused = |allowed: String| {
            let value = text.to_owned();
            QueryError::UnknownValue { dimension: self, value, allowed }
        };
        let day = || {
            let date = text.parse::<UtcDate>().ok().and_then(|date| i32::try_from(date.0).ok());
            date.ok_or_else(|| refused("a date as YYYY-MM-DD".to_owned()))
        };
        let number =
            |text: &str, below: i32| text.parse().ok().filter(|number| (1..below).contains(number));
        match self {
            _ if text == NOT_SHARED_LABEL => Ok(NOT_SHARED),
            Self::Print(_) | Self::Day(_) | Self::Technology => {
                let all = self.values().unwrap_or_default();
                let found = all.iter().position(|label| label == text);
                let found = found.and_then(|index| i32::try_from(index).ok());
                found.ok_or_else(|| refused(format!("one of {}", all.join(", "))))
            }
            Self::Model | Self::Firmware if text == "unknown" => Ok(0),
            Self::Model => number(text, 256)
                .ok_or_else(|| refused("a catalogue number from 1 to 255, or unknown".to_owned())),
            Self::Firmware => {
                let both = text.split_once('.');
                let both = both.and_then(|(model, firmware)| {
                    let known = || number(firmware, FIRMWARES);
                    let firmware = if firmware == "unknown" { Some(0) } else { known() };
                    Some(number(model, 256)? * FIRMWARES + firmware?)
                });
                both.ok_or_else(|| {
                    refused("MODEL.FIRMWARE, for example 12.3, or unknown".to_owned())
                })
            }
            Self::Week => day().map(|days| (days + 3) / 7),
            Self::Date => day(),
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Dimension {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = Self::all();
        let found = all.iter().find(|dimension| dimension.name() == text);
        found.copied().ok_or_else(|| QueryError::UnknownDimension {
            name: text.to_owned(),
            hint: nearest::hint(text, all.iter().map(|one| one.name())),
            allowed: names(&all),
        })
    }
}

impl serde::Serialize for Dimension {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Names of dimensions for a reader.
pub(crate) fn names(dimensions: &[Dimension]) -> String {
    let names: Vec<&str> = dimensions.iter().map(|dimension| dimension.name()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Dimension {
        name.parse().unwrap()
    }

    #[track_caller]
    fn same(dimension: Dimension, text: &str) {
        assert_eq!(dimension.label(dimension.value(text).unwrap()), text);
    }

    #[test]
    fn a_label_is_what_a_filter_takes() {
        same(of("material_family"), "petg");
        same(of("machine_age"), "8000 h and more");
        same(of("slicing_slicer"), "31");
        same(of("outcome"), "host_lost");
        same(of("outcome"), "unknown");
        same(of("outcome"), "not_shared");
        same(of("layer_height"), "very_coarse");
        same(Dimension::Model, "255");
        same(Dimension::Firmware, "255.63");
        same(Dimension::Firmware, "255.unknown");
        same(Dimension::Technology, "light");
        same(Dimension::Technology, "not_shared");
        same(Dimension::Firmware, "unknown");
        same(Dimension::Date, "2026-11-21");
        same(Dimension::Week, "2026-11-16");
        let monday = Dimension::Week.value("2026-11-16").unwrap();
        assert_eq!(Dimension::Week.value("2026-11-22").unwrap(), monday);
        assert_ne!(Dimension::Week.value("2026-11-23").unwrap(), monday);
    }

    #[test]
    fn every_column_is_a_dimension_with_a_name_and_labels_of_its_own() {
        let all = Dimension::all();
        let columns: usize =
            RecordKind::ALL.map(|kind| contract().columns(kind).len()).iter().sum();
        assert_eq!(all.len(), columns - MACHINE.len() + 5);
        for dimension in all {
            assert_eq!(of(dimension.name()), dimension);
            assert!(!dimension.name().contains([',', '=']));
        }
        let error = "materiel_family".parse::<Dimension>().unwrap_err().to_string();
        assert!(error.contains("did you mean `material_family`?"), "{error}");
    }

    #[test]
    fn technologies_are_those_of_the_contract() {
        let all = Dimension::Technology.values().unwrap();
        assert_eq!(all, ["unknown", "extrusion", "light", "not_shared"]);
    }

    #[test]
    fn a_wrong_value_is_told_what_is_right() {
        let error = of("outcome").value("boom").unwrap_err().to_string();
        assert!(error.contains("one of unknown, done, stopped_by_user"), "{error}");
        for (dimension, text) in [
            (Dimension::Model, "256"),
            (Dimension::Model, "X1"),
            (Dimension::Technology, "powder"),
            (Dimension::Firmware, "3"),
            (Dimension::Firmware, "3.64"),
            (Dimension::Date, "yesterday"),
        ] {
            assert!(dimension.value(text).is_err(), "{dimension} {text}");
        }
    }
}
