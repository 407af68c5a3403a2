//! What the two registries hold, as they are written in TOML.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::TaskError;

/// The pack that holds when no other is chosen.
pub(super) const DEFAULT_PACK: &str = "strictest";

/// `docs/promises.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Promises {
    pub(super) policy: Vec<Policy>,
    pub(super) row: Vec<Row>,
    pub(super) contradiction: Vec<Contradiction>,
    pub(super) strictest: Vec<Strictest>,
}

/// One privacy policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// What its rows' ids begin with.
    pub(super) key: String,
    pub(super) title: String,
    /// The packs that follow it.
    pub(super) packs: Vec<String>,
    /// Numbers of the first and the last row.
    pub(super) rows: [u32; 2],
}

impl Policy {
    /// Ids of all its rows.
    pub(super) fn ids(&self) -> impl Iterator<Item = String> + '_ {
        let [first, last] = self.rows;
        (first..=last).map(|number| format!("{}-{number}", self.key))
    }
}

/// One clause of a policy, and what became of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) id: String,
    /// What the policy promises or claims.
    pub(super) says: String,
    /// What a machine can check of it.
    pub(super) needs: String,
    /// Where and how it is kept.
    pub(super) kept: Option<String>,
    /// Why it is not implemented on purpose.
    pub(super) refused: Option<String>,
    /// What will keep it; the part does not exist.
    pub(super) planned: Option<String>,
    /// What the kept part does not reach.
    pub(super) limit: Option<String>,
    /// Tests that show it, by nextest's names.
    #[serde(default)]
    pub(super) tests: Vec<String>,
    /// Tests that will show it and do not exist.
    #[serde(default)]
    pub(super) wanted: Vec<String>,
}

/// `[keeps]` of a pack: rows that it cites, each with a phrase.
#[derive(Debug, Deserialize)]
pub(super) struct Pack {
    #[serde(default)]
    keeps: BTreeMap<String, String>,
}

/// Which packs cite each row.
pub(super) type Cited = BTreeMap<String, Vec<String>>;

/// Reads the packs that the policies name, and the default.
pub(super) fn cited(folder: &Path, promises: &Promises) -> Result<Cited, TaskError> {
    let mut cited = Cited::new();
    let named = promises.policy.iter().flat_map(|policy| &policy.packs).map(String::as_str);
    for name in named.chain([DEFAULT_PACK]) {
        let pack: Pack = read(&folder.join(format!("{name}.toml")))?;
        for row in pack.keeps.into_keys() {
            cited.entry(row).or_default().push(name.to_owned());
        }
    }
    Ok(cited)
}

impl Row {
    /// Whether a part or a test of it is missing.
    pub(super) fn is_open(&self) -> bool {
        self.planned.is_some() || !self.wanted.is_empty()
    }
}

/// Two clauses that cannot both hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contradiction {
    pub(super) about: String,
    pub(super) rows: Vec<String>,
    pub(super) resolved: String,
    /// Keys of the pack that resolve it, dotted; none where code does.
    #[serde(default)]
    pub(super) keys: Vec<String>,
}

/// One promise of the strictest of all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Strictest {
    pub(super) promise: String,
    pub(super) kept: String,
    /// Keys of the pack that say so, dotted; none where code does.
    #[serde(default)]
    pub(super) keys: Vec<String>,
}

/// `docs/cases.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    pub(super) group: Vec<Group>,
    pub(super) case: Vec<Case>,
}

/// Cases of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) title: String,
    /// Numbers of the first and the last case.
    pub(super) cases: [u32; 2],
}

/// One attack, the test that shows it refused, and the test of what must not be refused with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    #[serde(rename = "case")]
    pub(super) number: u32,
    pub(super) attack: String,
    /// What stops it.
    pub(super) answer: String,
    #[serde(default)]
    pub(super) test: Vec<String>,
    #[serde(default)]
    pub(super) opposite: Vec<String>,
    /// Tests that do not exist.
    #[serde(default)]
    pub(super) wanted: Vec<String>,
}

/// Reads a file of TOML.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, TaskError> {
    let text = fs::read_to_string(path)
        .map_err(|source| TaskError::File { path: path.to_owned(), source })?;
    toml::from_str(&text)
        .map_err(|source| TaskError::Toml { path: path.to_owned(), source: Box::new(source) })
}
