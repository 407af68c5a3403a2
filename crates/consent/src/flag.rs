//! The flag: an owner's local answer for one category.

/// An owner's answer. Without one, nothing is collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Never answered: collect nothing.
    #[default]
    Unasked,
    /// Yes.
    Granted,
    /// No, or not any more.
    Refused,
}

impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Unasked => "unasked",
            Self::Granted => "granted",
            Self::Refused => "refused",
        })
    }
}
