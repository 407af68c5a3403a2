//! Field rules: what the options of the contract say of every field, read once from descriptors.
//!
//! The build reads them to check the budget, the agent to quantise and strip, the collector to
//! gate, the lake to lay out columns, the verifier to prove. Nothing else lists fields. A field
//! without options, or with options that do not fit its type, is an error and fails the build.

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    Value,
};

use crate::category::Category;

/// Packages whose every field must carry options.
const PACKAGES: [&str; 3] =
    ["imprimatur.telemetry.v1", "imprimatur.consent.v1", "imprimatur.ingest.v1"];

/// What a field is for in the structure of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A value inside a section.
    Value,
    /// The UTC date of a record, days since 1970-01-01.
    Date,
    /// A section: a message whose values share one category.
    Section,
    /// Records of one kind, sorted by their bytes.
    Records,
    /// Delivery and identity of the message itself.
    Envelope,
}

/// The unit of a value before it is quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds.
    Second,
    /// Hours.
    Hour,
    /// Grams, or millilitres for liquids.
    GramOrMillilitre,
    /// Degrees Celsius.
    Celsius,
    /// Percent of full scale.
    Percent,
    /// A number of things.
    Count,
    /// A number of the published catalogue.
    Catalogue,
    /// Seconds for a rise of 100 degrees Celsius.
    SecondPerHectocelsius,
}

/// What a value is correlated with outside the printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Correlation {
    /// Neither geometry nor identity.
    None,
    /// The printed model.
    Geometry,
    /// A person or an installation.
    Identity,
}

/// One alternative of an axis: a record tells at most one of each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alternative {
    /// Axis ending: completed.
    Completed,
    /// Axis ending: stopped.
    Stopped,
    /// Axis process: extrusion of filament.
    Fff,
    /// Axis process: resin or powder with a laser.
    Laser,
}

impl Alternative {
    /// The axes; a record tells at most one alternative of each.
    pub const AXES: [[Self; 2]; 2] = [[Self::Completed, Self::Stopped], [Self::Fff, Self::Laser]];

    /// The other alternative of the same axis.
    pub fn opposite(self) -> Self {
        match self {
            Self::Completed => Self::Stopped,
            Self::Stopped => Self::Completed,
            Self::Fff => Self::Laser,
            Self::Laser => Self::Fff,
        }
    }
}

/// How a value is made coarse. The wire holds an index from 1; 0 is unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Scale {
    /// Not a value.
    None,
    /// A closed enum; names by number, 0 first.
    Classes(Vec<String>),
    /// Equal steps: index `i` stands for `min + (i - 1) * quantum`.
    Steps {
        /// Lowest value told.
        min: u32,
        /// Highest value told.
        max: u32,
        /// Size of a step.
        quantum: u32,
    },
    /// Lower edges of the bins, ascending; the last bin is open above, the first below.
    Bins(Vec<f64>),
}

/// What a field looks like on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A varint of at most this many bits.
    Varint(u32),
    /// A closed enum with this many values, 0 included.
    Enum(u32),
    /// A packed list of a closed enum with this many values, strictly ascending.
    Enums(u32),
    /// Bytes of exactly this length; 0 means any.
    Bytes(u32),
    /// One message: its place in [`Rules::messages`].
    Message(usize),
    /// A list of messages: their place in [`Rules::messages`].
    Messages(usize),
}

/// Everything that the contract says of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldRule {
    /// Short name of the message that has the field.
    pub message: String,
    /// Name of the field.
    pub name: String,
    /// Column in the lake: section name, underscore, field name; empty outside sections.
    pub column: String,
    /// Field number.
    pub number: u32,
    /// Structure.
    pub role: Role,
    /// The unit of consent; always present for values.
    pub category: Option<Category>,
    /// Key of the purpose's text in the policy.
    pub purpose: String,
    /// Unit before quantising; `None` for enums and structure.
    pub unit: Option<Unit>,
    /// How it is made coarse.
    pub scale: Scale,
    /// What it is correlated with.
    pub correlation: Option<Correlation>,
    /// Why it is needed.
    pub necessity: String,
    /// The alternative in which alone it exists.
    pub only: Option<Alternative>,
    /// Highest number of items of a list.
    pub max_items: u32,
    /// Its form on the wire.
    pub shape: Shape,
}

impl FieldRule {
    /// Whether it is a value inside a section.
    pub fn is_value(&self) -> bool {
        self.role == Role::Value
    }

    /// Number of states, the unknown one included; 0 when it is not a value.
    pub fn domain(&self) -> u32 {
        match &self.scale {
            Scale::None => 0,
            Scale::Classes(names) => u32::try_from(names.len()).unwrap_or(u32::MAX),
            Scale::Steps { min, max, quantum } => (max - min) / quantum + 2,
            Scale::Bins(edges) => u32::try_from(edges.len()).unwrap_or(u32::MAX - 1) + 1,
        }
    }

    /// Name of the generated constant, `MESSAGE_FIELD`.
    pub fn constant(&self) -> String {
        let mut text = String::new();
        for (place, letter) in self.message.char_indices() {
            if place > 0 && letter.is_ascii_uppercase() {
                text.push('_');
            }
            text.push(letter.to_ascii_uppercase());
        }
        format!("{text}_{}", self.name.to_ascii_uppercase())
    }
}

/// One message of the contract.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRule {
    /// Full name with its package.
    pub full_name: String,
    /// Places in [`Rules::fields`] by field number; index 0 is never used.
    pub by_number: Vec<Option<usize>>,
    /// Whether it holds sections, so that its alternatives must agree.
    pub is_record: bool,
    /// Whether it is a section, so that it may not be empty.
    pub is_section: bool,
}

/// The whole contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// All fields, in the order of the files.
    pub fields: Vec<FieldRule>,
    /// All messages, in the order of the files.
    pub messages: Vec<MessageRule>,
}

/// What is wrong with the contract. The build stops.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The options themselves are not among the files.
    #[error("the contract lacks the extension `imprimatur.policy.v1.field`")]
    NoExtension,
    /// A field without options.
    #[error("field `{0}` has no option `imprimatur.policy.v1.field`")]
    NoPolicy(String),
    /// An option that is missing or does not fit.
    #[error("field `{field}`: {problem}")]
    Unfit {
        /// Full name.
        field: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

impl Rules {
    /// Reads the rules of every message in the contract's packages.
    ///
    /// # Errors
    /// The first field whose options are missing, incomplete or unfit for its type.
    pub fn read(pool: &DescriptorPool) -> Result<Self, RuleError> {
        let extension = pool
            .get_extension_by_name("imprimatur.policy.v1.field")
            .ok_or(RuleError::NoExtension)?;
        let described: Vec<MessageDescriptor> = pool
            .all_messages()
            .filter(|message| PACKAGES.contains(&message.package_name()))
            .collect();
        let places: BTreeMap<String, usize> = described
            .iter()
            .enumerate()
            .map(|(place, message)| (message.full_name().to_owned(), place))
            .collect();
        let mut rules = Self { fields: Vec::new(), messages: Vec::new() };
        for message in &described {
            rules.push(message, &extension, &places)?;
        }
        rules.name_columns();
        rules.one_category_per_section()?;
        Ok(rules)
    }

    fn push(
        &mut self,
        message: &MessageDescriptor,
        extension: &ExtensionDescriptor,
        places: &BTreeMap<String, usize>,
    ) -> Result<(), RuleError> {
        let mut by_number = Vec::new();
        let (mut is_record, mut is_section) = (false, false);
        for field in message.fields() {
            let rule = read_field(&field, extension, places)?;
            is_record |= rule.role == Role::Section;
            is_section |= rule.role == Role::Value;
            let number = usize::try_from(field.number()).unwrap_or(usize::MAX);
            if number > 63 {
                return Err(unfit(&field, "field numbers go from 1 to 63"));
            }
            if by_number.len() <= number {
                by_number.resize(number + 1, None);
            }
            if let Some(slot) = by_number.get_mut(number) {
                *slot = Some(self.fields.len());
            }
            self.fields.push(rule);
        }
        let full_name = message.full_name().to_owned();
        self.messages.push(MessageRule { full_name, by_number, is_record, is_section });
        Ok(())
    }

    fn name_columns(&mut self) {
        let sections: Vec<(usize, String)> = self
            .fields
            .iter()
            .filter(|field| field.role == Role::Section)
            .filter_map(|field| match field.shape {
                Shape::Message(place) => Some((place, field.name.clone())),
                _ => None,
            })
            .collect();
        for (place, section) in sections {
            let Some(message) = self.messages.get(place) else { continue };
            for &field in message.by_number.iter().flatten() {
                if let Some(rule) = self.fields.get_mut(field) {
                    rule.column = format!("{section}_{}", rule.name);
                }
            }
        }
    }

    fn one_category_per_section(&self) -> Result<(), RuleError> {
        let mut purposes: BTreeMap<Category, &str> = BTreeMap::new();
        for message in self.messages.iter().filter(|message| message.is_section) {
            let mut first = None;
            for rule in message.by_number.iter().flatten().filter_map(|&at| self.fields.get(at)) {
                let field = format!("{}.{}", message.full_name, rule.name);
                let Some(category) = rule.category else {
                    let problem = "a section holds values only".to_owned();
                    return Err(RuleError::Unfit { field, problem });
                };
                if *first.get_or_insert(category) != category {
                    let problem = format!("`{category}` in a section of another category");
                    return Err(RuleError::Unfit { field, problem });
                }
                if *purposes.entry(category).or_insert(&rule.purpose) != rule.purpose {
                    let problem = format!("`{category}` already belongs to another purpose");
                    return Err(RuleError::Unfit { field, problem });
                }
            }
        }
        Ok(())
    }
}

fn unfit(field: &FieldDescriptor, problem: &str) -> RuleError {
    RuleError::Unfit { field: field.full_name().to_owned(), problem: problem.to_owned() }
}

fn read_field(
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
        Role::Envelope => Ok(()),
    }
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
