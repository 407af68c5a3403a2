//! What an agent needs to know.

use std::collections::BTreeSet;
use std::path::PathBuf;

use imprimatur_consent::{Category, Policy, VerifyingKey};

use super::mandate::Farm;

/// Default bound of the spool, bytes: about 16,000 batches of one day.
pub const SPOOL_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What an agent needs to know.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// Folder of the store, its owner's only.
    pub data_dir: PathBuf,
    /// The policy that is shown and consented to.
    pub policy: Policy,
    /// The collector's public key, pinned; without it no answer is believed.
    pub collector: Option<VerifyingKey>,
    /// Largest sum of spooled frames, bytes; at least one frame of 2,048.
    pub spool_bytes_max: u64,
    /// Language of the notice that is shown: one of the policy's.
    pub language: String,
    /// Folder under which the hardware is looked at; `/` on a host.
    pub hardware_root: PathBuf,
    /// Categories that this host's administrator denies: never granted, withdrawn at the start.
    pub deny: BTreeSet<Category>,
    /// File of the principal that the agents of one owner share; without it each has its own.
    pub principal_file: Option<PathBuf>,
    /// The list of printers that a farm's owner signed.
    pub farm: Option<Farm>,
}

impl AgentSettings {
    /// Settings with a pinned collector; all others at their defaults.
    pub fn new(data_dir: PathBuf, policy: Policy, collector: VerifyingKey) -> Self {
        Self {
            data_dir,
            policy,
            collector: Some(collector),
            spool_bytes_max: SPOOL_BYTES_MAX,
            language: "en".to_owned(),
            hardware_root: PathBuf::from("/"),
            deny: BTreeSet::new(),
            principal_file: None,
            farm: None,
        }
    }
}
