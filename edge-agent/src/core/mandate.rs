//! placeholder

use imprimatur_consent::{Category, Digest};

/// What the farm's list granted here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Applied {
    /// SHA-256 of the list.
    pub(super) hash: Digest,
    /// What it granted and nobody withdrew since.
    pub(super) categories: Vec<Category>,
}
