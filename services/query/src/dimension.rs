//! By what an answer may be grouped and filtered, and how its values are written.

use std::fmt;
use std::str::FromStr;

use imprimatur_proto::record::RecordKind;
use imprimatur_proto::{Category, FieldId, contract};
use imprimatur_runtime::UtcDate;

use crate::error::QueryError;

/// Firmware numbers of one model, the unknown one included: `model * 64 + firmware` names both.
pub(crate) const FIRMWARES: i32 = 64;

/// A property by which rows are grouped or filtered.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Family of the print's material.
    MaterialFamily,
    /// How the print ended.
    Outcome,
    /// Class of the print's layer height.
    LayerHeight,
    /// Catalogue number of the model, of the same printer and day; `unknown` without a day's row.
    Model,
    /// Firmware within its model, `MODEL.FIRMWARE` in catalogue numbers; `unknown` without a day's
    /// row and on a day on which it changed.
    Firmware,
    /// UTC week, named by its Monday.
    Week,
    /// UTC date.
    Date,
}

/// Where a dimension's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A column of the print table.
    Print(&'static str),
    /// The machine section of the day.
    Machine,
    /// The row's date.
    Calendar,
}

impl Dimension {
    /// All dimensions.
    pub const ALL: [Self; 7] = [
        Self::MaterialFamily,
        Self::Outcome,
        Self::LayerHeight,
        Self::Model,
        Self::Firmware,
        Self::Week,
        Self::Date,
    ];

    /// The name in commands, settings and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaterialFamily => "material_family",
            Self::Outcome => "outcome",
            Self::LayerHeight => "layer_height",
            Self::Model => "model",
            Self::Firmware => "firmware",
            Self::Week => "week",
            Self::Date => "date",
        }
    }

    /// Whether rows of a table have it.
    pub fn is_of(self, table: RecordKind) -> bool {
        !matches!(self.source(), Source::Print(_)) || table == RecordKind::Print
    }

    /// The category that must be granted for its value; `None` for dates, which each row has.
    pub fn category(self) -> Option<Category> {
        match self.source() {
            Source::Print(_) => contract().rule(self.field()?).category,
            Source::Machine => Some(Category::Machine),
            Source::Calendar => None,
        }
    }

    pub(crate) fn source(self) -> Source {
        match self {
            Self::MaterialFamily => Source::Print("material_family"),
            Self::Outcome => Source::Print("status_outcome"),
            Self::LayerHeight => Source::Print("settings_layer_height"),
            Self::Model | Self::Firmware => Source::Machine,
            Self::Week | Self::Date => Source::Calendar,
        }
    }

    fn field(self) -> Option<FieldId> {
        match self.source() {
            Source::Print(column) => contract().column(RecordKind::Print, column),
            Source::Machine | Source::Calendar => None,
        }
    }

    /// How a value is written in answers and filters.
    pub(crate) fn label(self, value: i32) -> String {
        let unknown = || "unknown".to_owned();
        let day = |days: i32| {
            u32::try_from(days).map_or_else(|_| unknown(), |day| UtcDate(day).to_string())
        };
        match self {
            Self::MaterialFamily | Self::Outcome | Self::LayerHeight => {
                let index = u32::try_from(value).unwrap_or(0);
                self.field().map_or_else(unknown, |field| contract().meaning(field, index))
            }
            _ if value == 0 && self.source() == Source::Machine => unknown(),
            Self::Model => value.to_string(),
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
            Self::MaterialFamily | Self::Outcome | Self::LayerHeight => {
                let domain = self.field().map_or(0, |field| contract().rule(field).domain());
                let all = || (0..domain).filter_map(|index| i32::try_from(index).ok());
                let found = all().find(|index| self.label(*index) == text);
                let names = || all().map(|index| self.label(index)).collect::<Vec<_>>().join(", ");
                found.ok_or_else(|| refused(format!("one of {}", names())))
            }
            Self::Model | Self::Firmware if text == "unknown" => Ok(0),
            Self::Model => number(text, 256)
                .ok_or_else(|| refused("a catalogue number from 1 to 255, or unknown".to_owned())),
            Self::Firmware => {
                let both = text.split_once('.');
                let both = both.and_then(|(model, firmware)| {
                    Some(number(model, 256)? * FIRMWARES + number(firmware, FIRMWARES)?)
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
        let found = Self::ALL.into_iter().find(|dimension| dimension.name() == text);
        found.ok_or_else(|| QueryError::UnknownDimension {
            name: text.to_owned(),
            allowed: names(&Self::ALL),
        })
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

    #[track_caller]
    fn same(dimension: Dimension, text: &str) {
        assert_eq!(dimension.label(dimension.value(text).unwrap()), text);
    }

    #[test]
    fn a_label_is_what_a_filter_takes() {
        same(Dimension::MaterialFamily, "petg");
        same(Dimension::Outcome, "host_lost");
        same(Dimension::Outcome, "unknown");
        same(Dimension::LayerHeight, "very_coarse");
        same(Dimension::Model, "255");
        same(Dimension::Firmware, "255.63");
        same(Dimension::Firmware, "unknown");
        same(Dimension::Date, "2026-11-21");
        same(Dimension::Week, "2026-11-16");
        let monday = Dimension::Week.value("2026-11-16").unwrap();
        assert_eq!(Dimension::Week.value("2026-11-22").unwrap(), monday);
        assert_ne!(Dimension::Week.value("2026-11-23").unwrap(), monday);
    }

    #[test]
    fn a_wrong_value_is_told_what_is_right() {
        let error = Dimension::Outcome.value("boom").unwrap_err().to_string();
        assert!(error.contains("one of unknown, done, stopped_by_user"), "{error}");
        for (dimension, text) in [
            (Dimension::Model, "256"),
            (Dimension::Model, "X1"),
            (Dimension::Firmware, "3"),
            (Dimension::Firmware, "3.64"),
            (Dimension::Date, "yesterday"),
        ] {
            assert!(dimension.value(text).is_err(), "{dimension} {text}");
        }
    }
}
