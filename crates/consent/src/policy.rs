//! The policy: what an operator promises, as a TOML document; consent is to its exact bytes, by hash.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_proto::contract;

use crate::Category;
use crate::ids::Digest;

/// Records older than this are refused: what an agent may have spooled while it was offline.
pub const OLDEST_RECORD_DAYS: u32 = 35;

/// The shipped default, strictest of all.
pub const STRICTEST: &str = include_str!("../../../policies/strictest.toml");

/// A policy that cannot be used. Report it with its file and stop.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML of the expected shape.
    #[error("cannot parse the policy")]
    Parse(#[source] toml::de::Error),
    /// A category belongs to no purpose, or to two.
    #[error("category `{0}` must belong to exactly one purpose")]
    Purpose(Category),
    /// A purpose that the contract does not name, or names for another category.
    #[error("category `{category}` is collected for purpose `{expected}`, not `{found}`")]
    OtherPurpose {
        /// The category.
        category: Category,
        /// The purpose key in the contract.
        expected: String,
        /// The purpose key in the policy.
        found: String,
    },
    /// A text is empty.
    #[error("`{0}` is empty; write what the owner is to read")]
    EmptyText(String),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    version: u32,
    operator: String,
    notice: BTreeMap<String, String>,
    purposes: BTreeMap<String, RawPurpose>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPurpose {
    text: String,
    categories: BTreeSet<Category>,
}

/// One purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Its key in the contract.
    pub key: String,
    /// What the owner reads.
    pub text: String,
}

/// A checked policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// SHA-256 of the document's bytes: what consent refers to.
    pub hash: Digest,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Who operates the collector.
    pub operator: String,
    /// Notice texts by language.
    pub notice: BTreeMap<String, String>,
    /// The purpose of each category.
    pub purposes: BTreeMap<Category, Purpose>,
}

impl Policy {
    /// Reads and checks a policy document.
    ///
    /// # Errors
    /// [`PolicyError`] names the key and what to write instead.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        let raw: Raw = toml::from_str(text).map_err(PolicyError::Parse)?;
        for (what, text) in [("name", &raw.name), ("operator", &raw.operator)] {
            filled(what, text)?;
        }
        for (language, text) in &raw.notice {
            filled(&format!("notice.{language}"), text)?;
        }
        filled("notice", raw.notice.values().next().map_or("", String::as_str))?;
        let mut purposes = BTreeMap::new();
        for (key, purpose) in raw.purposes {
            filled(&format!("purposes.{key}.text"), &purpose.text)?;
            for category in purpose.categories {
                agrees_with_contract(category, &key)?;
                let purpose = Purpose { key: key.clone(), text: purpose.text.clone() };
                if purposes.insert(category, purpose).is_some() {
                    return Err(PolicyError::Purpose(category));
                }
            }
        }
        let missing = Category::ALL.into_iter().find(|category| !purposes.contains_key(category));
        if let Some(category) = missing {
            return Err(PolicyError::Purpose(category));
        }
        let (name, version, operator, notice) = (raw.name, raw.version, raw.operator, raw.notice);
        Ok(Self { hash: Digest::of(text.as_bytes()), name, version, operator, notice, purposes })
    }

    /// The notice in a language, or in the first one there is.
    pub fn notice(&self, language: &str) -> &str {
        let any = self.notice.values().next();
        self.notice.get(language).or(any).map_or("", String::as_str)
    }
}

fn filled(what: &str, text: &str) -> Result<(), PolicyError> {
    let empty = text.trim().is_empty();
    if empty { Err(PolicyError::EmptyText(what.to_owned())) } else { Ok(()) }
}

fn agrees_with_contract(category: Category, key: &str) -> Result<(), PolicyError> {
    let fields = &contract().rules().fields;
    let expected = fields.iter().find(|rule| rule.category == Some(category));
    match expected {
        Some(rule) if rule.purpose != key => Err(PolicyError::OtherPurpose {
            category,
            expected: rule.purpose.clone(),
            found: key.to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn rejects(from: &str, to: &str, expected: &str) {
        assert!(STRICTEST.contains(from));
        let error = Policy::read(&STRICTEST.replacen(from, to, 1)).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let text = format!("{error} {}", source.unwrap_or_default());
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn the_shipped_policy_covers_every_category() {
        let policy = Policy::read(STRICTEST).unwrap();
        assert_eq!(policy.purposes.len(), Category::ALL.len());
        assert!(policy.notice("en").contains("model"));
        assert_eq!(policy.notice("xx"), policy.notice("en"));
    }

    #[test]
    fn unusable_policies_are_explained() {
        rejects("version = 1", "version = 1\nsurprise = 2", "unknown field");
        rejects("categories = [\"laser\"]", "categories = []", "category `laser` must belong");
        rejects(
            "categories = [\"laser\"]",
            "categories = [\"laser\", \"print_time\"]",
            "for purpose `usage`, not `laser_health`",
        );
        rejects("operator = \"", "operator = \"\" # ", "`operator` is empty");
    }
}
