//! Marks: whether somebody was excluded from the categories of a release since it was made. They name nobody.

use std::collections::BTreeMap;

use imprimatur_consent::{Category, Digest};

/// By category, the position of the newest event by which somebody's rows of it stopped being used.
pub type Marks = BTreeMap<Category, u64>;

/// Whose rows the sums of a release are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Population {
    /// SHA-256 of what fixes the rows.
    pub edition: Digest,
    /// The marks of all categories that metric and groups use, when the rows were counted.
    pub excluded_at: Marks,
}

/// What is kept beside a release.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// The release.
    pub release: Digest,
    /// The marks of its categories then.
    pub excluded_at: Marks,
}

impl Made {
    /// Whether somebody was excluded from one of its categories since.
    pub fn is_outlived(&self, marks: &Marks) -> bool {
        let newer =
            |(category, then): (&Category, &u64)| marks.get(category).is_some_and(|now| now > then);
        self.excluded_at.iter().any(newer)
    }
}
