//! Quantisers: from a measured value to the index that may travel, and back to the index's bounds.
//!
//! Index 0 is unknown and is never made here. Values are clamped at both ends. Quantising is
//! monotone, and the representative of an index quantises to that index again.

use crate::rules::{Scale, Unit};
use crate::{Contract, FieldId};

impl Contract {
    /// The index of a known value, from 1; for enums the value's own number.
    ///
    /// A count below the lowest count told, and a value that is not a number, give 0: unknown.
    pub fn quantise(&self, field: FieldId, value: f64) -> u32 {
        let rule = self.rule(field);
        let counts = rule.unit == Some(Unit::Count);
        if value.is_nan() {
            return 0;
        }
        match &rule.scale {
            Scale::None => 0,
            Scale::Classes(_) => step(value, rule.domain().saturating_sub(1)),
            Scale::Steps { min, .. } if counts && value < f64::from(*min) => 0,
            Scale::Steps { min, max, quantum } => {
                let clamped = value.clamp(f64::from(*min), f64::from(*max));
                let steps = ((clamped - f64::from(*min)) / f64::from(*quantum)).round();
                step(steps + 1.0, rule.domain() - 1)
            }
            Scale::Bins(edges) => {
                let at = edges.partition_point(|edge| *edge <= value);
                let index = u32::try_from(at).unwrap_or(u32::MAX);
                if counts { index } else { index.max(1) }
            }
        }
    }

    /// Lower and upper bound of the values that an index stands for, in the field's unit; infinite
    /// where the values are clamped. `None` for 0, for enums and for indices that do not exist.
    pub fn bounds(&self, field: FieldId, index: u32) -> Option<(f64, f64)> {
        let rule = self.rule(field);
        let known = index >= 1 && index < rule.domain();
        if !known {
            return None;
        }
        let counts = rule.unit == Some(Unit::Count);
        let (first, last) = (index == 1 && !counts, index + 1 == rule.domain());
        match &rule.scale {
            Scale::None | Scale::Classes(_) => None,
            Scale::Steps { min, quantum, .. } => {
                let middle = f64::from(min + (index - 1) * quantum);
                if matches!(rule.unit, Some(Unit::Count | Unit::Catalogue)) {
                    let more = last && rule.unit == Some(Unit::Count);
                    return Some((middle, if more { f64::INFINITY } else { middle }));
                }
                let half = f64::from(*quantum) / 2.0;
                let low = if first { f64::NEG_INFINITY } else { middle - half };
                Some((low, if last { f64::INFINITY } else { middle + half }))
            }
            Scale::Bins(edges) => {
                let at = usize::try_from(index).ok()?;
                let low = if first { 0.0 } else { *edges.get(at - 1)? };
                Some((low, edges.get(at).copied().unwrap_or(f64::INFINITY)))
            }
        }
    }

    /// One value that stands for an index: the step itself, or a bin's geometric middle. The open
    /// last bin is taken to end where the next edge would be.
    pub fn representative(&self, field: FieldId, index: u32) -> Option<f64> {
        let rule = self.rule(field);
        if index == 0 || index >= rule.domain() {
            return None;
        }
        match &rule.scale {
            Scale::None => None,
            Scale::Classes(_) => Some(f64::from(index)),
            Scale::Steps { min, quantum, .. } => Some(f64::from(min + (index - 1) * quantum)),
            Scale::Bins(edges) => {
                let at = usize::try_from(index).ok()?;
                let low = *edges.get(at - 1)?;
                let ratio = edges.get(1).zip(edges.first()).map_or(1.0, |(b, a)| b / a);
                Some(low * ratio.sqrt())
            }
        }
    }

    /// The name of an enum's value without its prefix, in lower case, for example `done`.
    pub fn class_name(&self, field: FieldId, index: u32) -> Option<String> {
        let Scale::Classes(names) = &self.rule(field).scale else { return None };
        let prefix = names.first()?.strip_suffix("UNSPECIFIED")?;
        let name = names.get(usize::try_from(index).ok()?)?.strip_prefix(prefix)?;
        Some(name.to_ascii_lowercase())
    }

    /// What an index means to a reader: a class name, a step with its unit, or a bin's bounds.
    pub fn meaning(&self, field: FieldId, index: u32) -> String {
        let rule = self.rule(field);
        if index == 0 {
            return "unknown".to_owned();
        }
        if let Some(name) = self.class_name(field, index) {
            return name;
        }
        let unit = rule.unit.map_or("", unit_text);
        match (self.bounds(field, index), &rule.scale) {
            (None, _) => format!("index {index}, out of range"),
            (Some((low, high)), _) if low.to_bits() == high.to_bits() => format!("{low:.0}{unit}"),
            (Some((low, high)), _) if high.is_infinite() => format!("{low:.0}{unit} and more"),
            (Some((low, high)), _) if low.is_infinite() => format!("below {high:.0}{unit}"),
            (Some((low, high)), _) => format!("{low:.0} to {high:.0}{unit}"),
        }
    }
}

fn unit_text(unit: Unit) -> &'static str {
    match unit {
        Unit::Second => " s",
        Unit::Hour => " h",
        Unit::GramOrMillilitre => " g or ml",
        Unit::Celsius => " degC",
        Unit::Percent => " %",
        Unit::Count => "",
        Unit::Catalogue => " (catalogue)",
        Unit::SecondPerHectocelsius => " s per 100 degC",
    }
}

/// A whole number between 1 and `last`; the value is finite and small by construction.
fn step(value: f64, last: u32) -> u32 {
    let clamped = value.round().clamp(1.0, f64::from(last));
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 1..=last just above"
    )]
    let index = clamped as u32;
    index
}
