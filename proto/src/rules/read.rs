//! One field's rule from its descriptor: the options, and whether they fit the field's type.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, Value};

use super::{Alternative, Correlation, FieldRule, Role, RuleError, Scale, Shape, Unit};
use crate::category::Category;

pub(super) fn unfit(field: &FieldDescriptor, problem: &str) -> RuleError {
    RuleError::Unfit { field: field.full_name().to_owned(), problem: problem.to_owned() }
}

pub(super) fn read_field(
    field: &FieldDescriptor,
    extension: &ExtensionDescriptor,
    places: &BTreeMap<String, usize>,
) -> Result<FieldRule, RuleError> {
    let options = field.options();
    if !options.has_extension(extension) {
        return Err(RuleError::NoPolicy(field.full_name().to_owned()));
    }
    let value = options.get_extension(extension);
    let policy = value.as_message().ok_or_else(|| unfit(field, "its option is no message"))?;
    let rule = FieldRule {
        message: field.parent_message().name().to_owned(),
        name: field.name().to_owned(),
        column: String::new(),
        number: field.number(),
        role: role(number(policy, "role"))
            .ok_or_else(|| unfit(field, "`role` is missing or unknown"))?,
        category: Category::from_number(i32::try_from(number(policy, "category")).unwrap_or(0)),
        purpose: text(policy, "purpose"),
        unit: unit(number(policy, "unit")),
        scale: scale(field, policy)?,
        correlation: correlation(number(policy, "correlation")),
        necessity: text(policy, "necessity"),
        only: alternative(number(policy, "only")),
        max_items: number(policy, "max_items"),
        bound: Some(number(policy, "max")).filter(|&max| is_envelope(policy) && max > 0),
        shape: shape(field, number(policy, "length"), places)?,
    };
    complete(field, &rule)?;
    Ok(rule)
}

/// Checks that the options fit the role and type of the field.
fn complete(field: &FieldDescriptor, rule: &FieldRule) -> Result<(), RuleError> {
    let need = |fits: bool, problem| if fits { Ok(()) } else { Err(unfit(field, problem)) };
    need(!field.is_list() || rule.max_items > 0, "a repeated field needs `max_items`")?;
    need(!field.is_map(), "a map is unbounded")?;
    match rule.role {
        Role::Value => {
            need(rule.category.is_some(), "a value needs `category`")?;
            need(!rule.purpose.is_empty(), "a value needs `purpose`")?;
            need(!rule.necessity.is_empty(), "a value needs `necessity`")?;
            need(
                matches!(rule.correlation, Some(Correlation::None | Correlation::Geometry)),
                "a value needs `correlation`, NONE or GEOMETRY",
            )?;
            need(
                matches!(rule.shape, Shape::Varint(32) | Shape::Enum(_)),
                "a value is a uint32 or a closed enum; strings, bytes, floats and lists may not \
                 stand in a section",
            )?;
            let integer = matches!(rule.shape, Shape::Varint(_));
            need(integer == rule.unit.is_some(), "an integer needs `unit`, an enum has none")?;
            need(rule.domain() > 1, "an integer needs `quantum` or `log_bins`")
        }
        Role::Date => need(rule.shape == Shape::Varint(32), "a date is a uint32"),
        Role::Section => need(matches!(rule.shape, Shape::Message(_)), "a section is a message"),
        Role::Records => need(matches!(rule.shape, Shape::Messages(_)), "records are a list"),
        Role::Envelope => need(
            rule.bound.is_none() || rule.shape == Shape::Varint(32),
            "only a uint32 of an envelope has `max`",
        ),
    }
}

fn is_envelope(policy: &DynamicMessage) -> bool {
    role(number(policy, "role")) == Some(Role::Envelope)
}

fn shape(
    field: &FieldDescriptor,
    length: u32,
    places: &BTreeMap<String, usize>,
) -> Result<Shape, RuleError> {
    Ok(match (field.kind(), field.is_list()) {
        (Kind::Uint32, false) => Shape::Varint(32),
        (Kind::Uint64, false) => Shape::Varint(64),
        (Kind::Enum(values), list) => {
            let names: Vec<i32> = values.values().map(|value| value.number()).collect();
            let closed = names.iter().enumerate().all(|(at, n)| i32::try_from(at) == Ok(*n));
            if !closed {
                return Err(unfit(field, "its enum must be numbered 0, 1, 2, ... in order"));
            }
            let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
            if list { Shape::Enums(count) } else { Shape::Enum(count) }
        }
        (Kind::Bytes, false) => Shape::Bytes(length),
        (Kind::Message(message), list) => {
            let Some(&place) = places.get(message.full_name()) else {
                return Err(unfit(field, "its message is not of the contract"));
            };
            if list { Shape::Messages(place) } else { Shape::Message(place) }
        }
        _ => return Err(unfit(field, "this type may not stand in the contract")),
    })
}

fn scale(field: &FieldDescriptor, policy: &DynamicMessage) -> Result<Scale, RuleError> {
    let (min, max) = (number(policy, "min"), number(policy, "max"));
    if let Kind::Enum(values) = field.kind() {
        return Ok(Scale::Classes(values.values().map(|v| v.name().to_owned()).collect()));
    }
    if policy.has_field_by_name("quantum") {
        let quantum = number(policy, "quantum");
        if quantum == 0 || max < min || (max - min) % quantum != 0 {
            return Err(unfit(field, "`quantum` must divide `max` - `min`"));
        }
        return Ok(Scale::Steps { min, max, quantum });
    }
    if !policy.has_field_by_name("log_bins") {
        return Ok(Scale::None);
    }
    let bins = policy.get_field_by_name("log_bins");
    let bins = bins.as_deref().and_then(Value::as_message);
    let part = |name| bins.map_or(0, |bins| number(bins, name));
    let (ratio, count) = (part("ratio_percent"), part("bins"));
    if ratio <= 100 || count == 0 || count > 255 || min == 0 {
        return Err(unfit(field, "`log_bins` needs a ratio above 100, 1 to 255 bins and `min`"));
    }
    let edges =
        std::iter::successors(Some(f64::from(min)), |edge| Some(edge * f64::from(ratio) / 100.0));
    Ok(Scale::Bins(edges.take(usize::try_from(count).unwrap_or(0)).collect()))
}

fn number(message: &DynamicMessage, name: &str) -> u32 {
    match message.get_field_by_name(name).as_deref() {
        Some(Value::U32(number)) => *number,
        Some(Value::EnumNumber(number)) => u32::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

fn text(message: &DynamicMessage, name: &str) -> String {
    match message.get_field_by_name(name).as_deref() {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    }
}

fn role(number: u32) -> Option<Role> {
    let roles = [Role::Value, Role::Date, Role::Section, Role::Records, Role::Envelope];
    roles.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}

fn unit(number: u32) -> Option<Unit> {
    let units = [
        Unit::Second,
        Unit::Hour,
        Unit::GramOrMillilitre,
        Unit::Celsius,
        Unit::Percent,
        Unit::Count,
        Unit::Catalogue,
        Unit::SecondPerHectocelsius,
    ];
    units.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}

fn correlation(number: u32) -> Option<Correlation> {
    let all = [Correlation::None, Correlation::Geometry, Correlation::Identity];
    all.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}

fn alternative(number: u32) -> Option<Alternative> {
    let all = [Alternative::Completed, Alternative::Stopped, Alternative::Fff, Alternative::Laser];
    all.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
}
