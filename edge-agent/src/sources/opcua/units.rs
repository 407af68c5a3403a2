//! Units of values: how the owner or the machine names one, and what it makes of a number. Pure.
//!
//! The machine names a unit by UNECE Recommendation 20, as OPC 10000-8 has it: the number is its code's
//! letters, one a byte. Sources: OPC 10000-8, 5.6.3; UNECE Recommendation 20.

use serde::Deserialize;

/// Where codes of units come from.
const UNECE: &str = "http://www.opcfoundation.org/UA/units/un/cefact";

/// A unit that some role takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Unit {
    /// Percent of full scale.
    #[serde(rename = "%")]
    Percent,
    /// Watt.
    #[serde(rename = "W")]
    Watt,
    /// Kilowatt.
    #[serde(rename = "kW")]
    Kilowatt,
    /// Degree Celsius.
    #[serde(rename = "degC")]
    Celsius,
    /// Millisecond.
    #[serde(rename = "ms")]
    Millisecond,
    /// Second.
    #[serde(rename = "s")]
    Second,
    /// Minute.
    #[serde(rename = "min")]
    Minute,
    /// Hour.
    #[serde(rename = "h")]
    Hour,
}

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Power of a light source: percent of full scale.
    Power,
    /// Degrees Celsius.
    Temperature,
    /// Seconds.
    Time,
}

impl Unit {
    /// What it measures.
    pub fn quantity(self) -> Quantity {
        match self {
            Self::Percent | Self::Watt | Self::Kilowatt => Quantity::Power,
            Self::Celsius => Quantity::Temperature,
            Self::Millisecond | Self::Second | Self::Minute | Self::Hour => Quantity::Time,
        }
    }

    /// The unit that a machine names; `None` for any that no role takes. Where it names none by code
    /// (-1), its sign counts.
    pub fn of(namespace: &str, code: i32, sign: &str) -> Option<Self> {
        match (namespace, code) {
            (_, -1) => match sign {
                "%" => Some(Self::Percent),
                "W" => Some(Self::Watt),
                "kW" => Some(Self::Kilowatt),
                "°C" => Some(Self::Celsius),
                "s" => Some(Self::Second),
                _ => None,
            },
            (UNECE, 0x5031) => Some(Self::Percent),
            (UNECE, 0x0057_5454) => Some(Self::Watt),
            (UNECE, 0x004B_5754) => Some(Self::Kilowatt),
            (UNECE, 0x0043_454C) => Some(Self::Celsius),
            (UNECE, 0x0043_3236) => Some(Self::Millisecond),
            (UNECE, 0x0053_4543) => Some(Self::Second),
            (UNECE, 0x004D_494E) => Some(Self::Minute),
            (UNECE, 0x0048_5552) => Some(Self::Hour),
            _ => None,
        }
    }

    /// The number in the quantity's own unit; `full_watts` is the light source's full scale. `None`
    /// where that is needed and not known.
    pub fn convert(self, number: f64, full_watts: Option<f64>) -> Option<f64> {
        let percent = |watts: f64| full_watts.map(|full| watts / full * 100.0);
        match self {
            Self::Percent | Self::Celsius | Self::Second => Some(number),
            Self::Watt => percent(number),
            Self::Kilowatt => percent(number * 1000.0),
            Self::Millisecond => Some(number / 1000.0),
            Self::Minute => Some(number * 60.0),
            Self::Hour => Some(number * 3600.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code as its letters.
    fn code(letters: &str) -> i32 {
        letters.bytes().fold(0, |sum, letter| sum << 8 | i32::from(letter))
    }

    #[test]
    fn machines_name_units_by_the_letters_of_their_codes() {
        for (letters, expected) in [
            ("P1", Some(Unit::Percent)),
            ("WTT", Some(Unit::Watt)),
            ("KWT", Some(Unit::Kilowatt)),
            ("CEL", Some(Unit::Celsius)),
            ("C26", Some(Unit::Millisecond)),
            ("SEC", Some(Unit::Second)),
            ("MIN", Some(Unit::Minute)),
            ("HUR", Some(Unit::Hour)),
            // Kelvin, degree Fahrenheit, milliwatt, millimetre.
            ("KEL", None),
            ("FAH", None),
            ("C31", None),
            ("MMT", None),
        ] {
            assert_eq!(Unit::of(UNECE, code(letters), ""), expected, "{letters}");
        }
        assert_eq!(Unit::of("http://maker.example/units", code("WTT"), "W"), None);
        for (sign, expected) in
            [("W", Some(Unit::Watt)), ("°C", Some(Unit::Celsius)), ("mW", None), ("", None)]
        {
            assert_eq!(Unit::of("", -1, sign), expected, "{sign}");
        }
    }

    #[test]
    fn numbers_become_percent_degrees_and_seconds() {
        let full = Some(500.0);
        for (unit, number, expected) in [
            (Unit::Percent, 40.0, 40.0),
            (Unit::Watt, 200.0, 40.0),
            (Unit::Kilowatt, 0.2, 40.0),
            (Unit::Celsius, 60.0, 60.0),
            (Unit::Millisecond, 1500.0, 1.5),
            (Unit::Second, 60.0, 60.0),
            (Unit::Minute, 2.0, 120.0),
            (Unit::Hour, 0.5, 1800.0),
        ] {
            assert_eq!(unit.convert(number, full), Some(expected), "{unit:?}");
        }
        assert_eq!(Unit::Watt.convert(200.0, None), None);
    }
}
