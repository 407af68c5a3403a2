//! What a token is for.

use std::fmt;
use std::str::FromStr;

/// Whom a token belongs to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Asks about groups.
    Engineer,
    /// Answers for what was promised; sees no answer about groups.
    Compliance,
    /// Keeps the service running.
    Operator,
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no role `{0}`; the roles are engineer, compliance and operator")]
pub struct NotARole(pub String);

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Engineer, Self::Compliance, Self::Operator];

    /// Its name in commands, files and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engineer => "engineer",
            Self::Compliance => "compliance",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| NotARole(text.to_owned()))
    }
}
