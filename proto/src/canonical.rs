//! Canonical or refused: the one encoding that a message may have, checked before it is decoded.
//!
//! A table-driven scan of the wire finds unknown fields, repeats, wrong order, long varints,
//! explicit zeros, empty sections, values out of range, unknown enum values, contradicting
//! alternatives and unsorted lists. Then the message is decoded, re-encoded and compared, so that
//! a gap in the scan cannot become a gap in the gate. Works on any bytes; never panics.

use prost::{Message, Name};

use crate::Contract;
use crate::rules::{Alternative, FieldRule, MessageRule, Shape};

/// Deepest nesting of the contract is 4; anything deeper is refused.
const DEPTH_MAX: u32 = 8;

/// Why bytes are not the canonical encoding of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Truncated, a wrong wire type, a group, or a required part is missing.
    #[error("not protobuf of this shape")]
    Malformed,
    /// A field that the contract does not have.
    #[error("a field that the contract does not have")]
    UnknownField,
    /// A single field that occurs twice.
    #[error("a single field that occurs twice")]
    DuplicateField,
    /// Order, varint length, explicit zero, empty section, unsorted list.
    #[error("not the canonical encoding")]
    NonCanonical,
    /// A value outside its range.
    #[error("a value outside its range")]
    OutOfRange,
    /// An enum value that the contract does not have.
    #[error("an enum value that the contract does not have")]
    UnknownEnum,
    /// Two alternatives of one axis.
    #[error("two alternatives of one axis")]
    Contradiction,
    /// More items than the contract allows.
    #[error("too many items")]
    TooMany,
}

/// The canonical bytes of a message.
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    message.encode_to_vec()
}

impl Contract {
    /// Decodes a message from its canonical bytes.
    ///
    /// # Errors
    /// The first [`Fault`] from the front of the bytes.
    pub fn decode<M: Message + Default + Name>(&self, bytes: &[u8]) -> Result<M, Fault> {
        self.check(&M::full_name(), bytes)?;
        let message = M::decode(bytes).map_err(|_undecodable| Fault::Malformed)?;
        if message.encode_to_vec() == bytes { Ok(message) } else { Err(Fault::NonCanonical) }
    }

    /// Scans the bytes of the message with this full name.
    ///
    /// # Errors
    /// The first [`Fault`] from the front of the bytes.
    pub fn check(&self, full_name: &str, bytes: &[u8]) -> Result<(), Fault> {
        let messages = &self.rules().messages;
        let place = messages.iter().position(|message| message.full_name == full_name);
        self.scan(place.ok_or(Fault::UnknownField)?, bytes, DEPTH_MAX)
    }

    fn scan(&self, place: usize, mut bytes: &[u8], depth: u32) -> Result<(), Fault> {
        let message = self.rules().messages.get(place).ok_or(Fault::UnknownField)?;
        let depth = depth.checked_sub(1).ok_or(Fault::Malformed)?;
        if bytes.is_empty() && message.is_section {
            return Err(Fault::NonCanonical);
        }
        let mut seen = Seen::default();
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let rule = self.rule_of(message, key >> 3)?;
            let first = seen.field(rule)?;
            match (&rule.shape, key & 7) {
                (Shape::Varint(_) | Shape::Enum(_), 0) => {
                    scalar(rule, varint(&mut bytes)?)?;
                    seen.alternative(rule)?;
                }
                (Shape::Enums(states), 2) => enums(delimited(&mut bytes)?, *states, rule)?,
                (Shape::Bytes(length), 2) => exactly(*length, delimited(&mut bytes)?)?,
                (Shape::Message(inner), 2) => {
                    let inside = delimited(&mut bytes)?;
                    self.scan(*inner, inside, depth)?;
                    if message.is_record {
                        self.alternatives(*inner, inside, &mut seen)?;
                    }
                }
                (Shape::Messages(inner), 2) => {
                    let inside = delimited(&mut bytes)?;
                    self.scan(*inner, inside, depth)?;
                    seen.item(rule, inside, first)?;
                }
                _ => return Err(Fault::Malformed),
            }
        }
        Ok(())
    }

    fn rule_of<'a>(&'a self, message: &MessageRule, number: u64) -> Result<&'a FieldRule, Fault> {
        let number = usize::try_from(number).map_err(|_too_large| Fault::UnknownField)?;
        let field = message.by_number.get(number).copied().flatten();
        field.and_then(|field| self.rules().fields.get(field)).ok_or(Fault::UnknownField)
    }

    /// Notes the alternatives told inside a section that was scanned before.
    fn alternatives<'a>(
        &self,
        place: usize,
        mut bytes: &'a [u8],
        seen: &mut Seen<'a>,
    ) -> Result<(), Fault> {
        let message = self.rules().messages.get(place).ok_or(Fault::UnknownField)?;
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            varint(&mut bytes)?;
            seen.alternative(self.rule_of(message, key >> 3)?)?;
        }
        Ok(())
    }
}

/// What a scan remembers of the message it is in.
#[derive(Default)]
struct Seen<'a> {
    last: u32,
    items: u32,
    item: &'a [u8],
    told: Vec<Alternative>,
}

impl<'a> Seen<'a> {
    /// Ascending field numbers, lists in one run. Tells whether this is a list's first item.
    fn field(&mut self, rule: &FieldRule) -> Result<bool, Fault> {
        let repeats = rule.number == self.last;
        if rule.number < self.last {
            return Err(Fault::NonCanonical);
        }
        if repeats && !matches!(rule.shape, Shape::Messages(_)) {
            return Err(Fault::DuplicateField);
        }
        self.last = rule.number;
        Ok(!repeats)
    }

    fn alternative(&mut self, rule: &FieldRule) -> Result<(), Fault> {
        let Some(only) = rule.only else { return Ok(()) };
        if self.told.contains(&only.opposite()) {
            return Err(Fault::Contradiction);
        }
        self.told.push(only);
        Ok(())
    }

    /// Items of a list: not too many, sorted by their bytes.
    fn item(&mut self, rule: &FieldRule, bytes: &'a [u8], first: bool) -> Result<(), Fault> {
        self.items = if first { 1 } else { self.items + 1 };
        if self.items > rule.max_items {
            return Err(Fault::TooMany);
        }
        if !first && bytes < self.item {
            return Err(Fault::NonCanonical);
        }
        self.item = bytes;
        Ok(())
    }
}

/// A present scalar: never zero, never past its domain.
fn scalar(rule: &FieldRule, value: u64) -> Result<(), Fault> {
    if value == 0 {
        return Err(Fault::NonCanonical);
    }
    match rule.shape {
        Shape::Enum(states) if value >= u64::from(states) => Err(Fault::UnknownEnum),
        Shape::Varint(_) if rule.is_value() && value >= u64::from(rule.domain()) => {
            Err(Fault::OutOfRange)
        }
        Shape::Varint(_) if rule.bound.is_some_and(|bound| value > u64::from(bound)) => {
            Err(Fault::OutOfRange)
        }
        Shape::Varint(32) if value > u64::from(u32::MAX) => Err(Fault::OutOfRange),
        _ => Ok(()),
    }
}

/// A packed list of enum values: present means not empty; strictly ascending, none zero.
fn enums(mut bytes: &[u8], states: u32, rule: &FieldRule) -> Result<(), Fault> {
    let (mut last, mut items) = (0, 0);
    if bytes.is_empty() {
        return Err(Fault::NonCanonical);
    }
    while !bytes.is_empty() {
        let value = varint(&mut bytes)?;
        items += 1;
        if value >= u64::from(states) {
            return Err(Fault::UnknownEnum);
        }
        if value <= last {
            return Err(Fault::NonCanonical);
        }
        if items > rule.max_items {
            return Err(Fault::TooMany);
        }
        last = value;
    }
    Ok(())
}

fn exactly(length: u32, bytes: &[u8]) -> Result<(), Fault> {
    if bytes.is_empty() {
        return Err(Fault::NonCanonical);
    }
    let fits = length == 0 || u32::try_from(bytes.len()) == Ok(length);
    if fits { Ok(()) } else { Err(Fault::OutOfRange) }
}

/// Takes a length and that many bytes off the front.
fn delimited<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let length = varint(bytes)?;
    let length = usize::try_from(length).map_err(|_too_large| Fault::Malformed)?;
    let (inside, rest) = bytes.split_at_checked(length).ok_or(Fault::Malformed)?;
    *bytes = rest;
    Ok(inside)
}

/// Takes one varint off the front; refuses one that is longer than it must be.
pub(crate) fn varint(bytes: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0_u64;
    for place in 0..10_u32 {
        let (&byte, rest) = bytes.split_first().ok_or(Fault::Malformed)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if place == 9 && part > 1 {
            return Err(Fault::Malformed);
        }
        value |= part << (7 * place);
        if byte & 0x80 == 0 {
            return if byte == 0 && place > 0 { Err(Fault::NonCanonical) } else { Ok(value) };
        }
    }
    Err(Fault::Malformed)
}
