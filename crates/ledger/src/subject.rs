//! What the book holds of one subject, sealed under the subject's own key.

use std::collections::BTreeMap;

use imprimatur_consent::{Category, Standing};

use crate::book::unreadable;
use crate::error::BookError;
use crate::evidence::{Opened, opened, place};
use crate::keyring::Keyring;
use crate::seal;
use crate::tables::SUBJECTS;

/// A subject's entry.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    /// What its events add up to.
    pub(crate) standing: Standing,
    /// Whether its principal was enrolled through it.
    pub(crate) enrolled: bool,
    /// Categories that were granted once and then not, with the position of the last such change:
    /// what was committed up to it is used no more.
    pub(crate) withdrawn: BTreeMap<Category, u64>,
}

impl Held {
    /// Opens an entry; `None` when the key was destroyed.
    pub(crate) fn open(
        keyring: &Keyring,
        slot: u64,
        sealed: &[u8],
    ) -> Result<Option<Self>, BookError> {
        match opened(keyring, slot, &place("subject", slot), sealed)? {
            Opened::Whole(held) => Ok(Some(held)),
            Opened::Destroyed => Ok(None),
            Opened::Broken => Err(unreadable(SUBJECTS)),
        }
    }

    pub(crate) fn seal(&self, keyring: &Keyring, slot: u64) -> Result<Vec<u8>, BookError> {
        let secret = keyring.secret(slot)?.ok_or_else(|| unreadable(SUBJECTS))?;
        let value = serde_json::to_vec(self).map_err(|_no_json| unreadable(SUBJECTS))?;
        Ok(seal::seal(&secret, &place("subject", slot), &value)?)
    }
}
