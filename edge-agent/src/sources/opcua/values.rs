//! From a value on the wire to a number, a word or a unit; nothing of any other type. Pure.

use opcua_types::{DataValue, EUInformation, StatusCode, Variant};

use super::nodes::Role;
use super::units::Unit;
use crate::sources::error::{NodeFault, SourceError};

/// Longest word for a state that is compared, bytes.
pub(super) const WORD_MAX: usize = 64;

/// A value that the machine stands by; nothing when its quality is bad or uncertain.
pub(super) fn told(role: Role, value: &DataValue) -> Result<Option<&Variant>, SourceError> {
    const ABSENT: [StatusCode; 5] = [
        StatusCode::BadNodeIdUnknown,
        StatusCode::BadNodeIdInvalid,
        StatusCode::BadAttributeIdInvalid,
        StatusCode::BadNotReadable,
        StatusCode::BadUserAccessDenied,
    ];
    match value.status {
        Some(status) if ABSENT.contains(&status) => Err(role.error(NodeFault::Absent)),
        Some(status) if !status.is_good() => Ok(None),
        _ => Ok(value.value.as_ref().filter(|value| !matches!(value, Variant::Empty))),
    }
}

/// A single number; nothing of other types.
pub(super) fn number(value: &Variant) -> Option<f64> {
    Some(match *value {
        Variant::SByte(number) => f64::from(number),
        Variant::Byte(number) => f64::from(number),
        Variant::Int16(number) => f64::from(number),
        Variant::UInt16(number) => f64::from(number),
        Variant::Int32(number) => f64::from(number),
        Variant::UInt32(number) => f64::from(number),
        // Longer ones are counters, which no role takes.
        Variant::Int64(number) => f64::from(i32::try_from(number).ok()?),
        Variant::UInt64(number) => f64::from(u32::try_from(number).ok()?),
        Variant::Float(number) => f64::from(number),
        Variant::Double(number) => number,
        _ => return None,
    })
}

/// The value of a state as the owner writes it: a whole number, `true`, or a short text.
pub(super) fn word(value: &Variant) -> Option<String> {
    let text = match value {
        Variant::Boolean(is) => is.to_string(),
        Variant::SByte(number) => number.to_string(),
        Variant::Byte(number) => number.to_string(),
        Variant::Int16(number) => number.to_string(),
        Variant::UInt16(number) => number.to_string(),
        Variant::Int32(number) => number.to_string(),
        Variant::UInt32(number) => number.to_string(),
        Variant::Int64(number) => number.to_string(),
        Variant::UInt64(number) => number.to_string(),
        Variant::String(text) => text.as_ref().to_owned(),
        Variant::LocalizedText(text) => text.text.as_ref().to_owned(),
        _ => return None,
    };
    // A longer one is in no table.
    Some(if text.len() <= WORD_MAX { text } else { String::new() })
}

/// The unit in the property `EngineeringUnits`.
pub(super) fn unit(value: &Variant) -> Option<Unit> {
    let Variant::ExtensionObject(object) = value else { return None };
    let said = object.inner_as::<EUInformation>()?;
    Unit::of(said.namespace_uri.as_ref(), said.unit_id, said.display_name.text.as_ref())
}
