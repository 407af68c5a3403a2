//! Field rules: what the options of the contract say of every field, read once from descriptors.
//!
//! The build reads them to check the budget, the agent to quantise and strip, the collector to
//! gate, the lake to lay out columns, the verifier to prove. Nothing else lists fields. A field
//! without options, or with options that do not fit its type, is an error and fails the build.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, ExtensionDescriptor, MessageDescriptor};

use self::read::{read_field, unfit};
use crate::category::Category;

#[path = "rules/read.rs"]
mod read;

/// Packages whose every field must carry options.
const PACKAGES: [&str; 4] = [
    "imprimatur.telemetry.v1",
    "imprimatur.consent.v1",
    "imprimatur.ingest.v1",
    "imprimatur.rights.v1",
];

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
    #[must_use]
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
    /// Highest number that an envelope's integer may hold; `None` when only its type bounds it.
    pub bound: Option<u32>,
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
