//! Facts: what the folders say of themselves, told in the report beside the checks and judged by them.

use std::collections::BTreeMap;

use imprimatur_consent::Digest;
use imprimatur_consent::event::Public;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::chain::Chain;
use crate::snapshot::{Evidence, Snapshot};

/// A policy to which consent was taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PolicyFact {
    /// SHA-256 of its text.
    pub hash: Digest,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// From when it holds.
    pub effective: UtcDate,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BackupFact {
    /// Its name.
    pub id: String,
    /// When it was made.
    pub made: UtcDate,
    /// From when it must be gone.
    pub expires: UtcDate,
}

/// What the folders say.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// Version of the program that verified.
    pub version: &'static str,
    /// When the collector published what was verified; `None` for the ledger alone.
    pub published: Option<UnixSeconds>,
    /// SHA-256 of the contract.
    pub contract: Option<Digest>,
    /// Public key of the log.
    pub log_key: Option<Digest>,
    /// Whether that key was given by the reader, and not taken from the folder.
    pub log_key_given: bool,
    /// Whether the log was held against a checkpoint that was kept elsewhere.
    pub anchored: bool,
    /// Witnesses whose cosignatures that checkpoint bears.
    pub witnesses: Vec<String>,
    /// Entries of the log.
    pub log_size: u64,
    /// First dates whose rows are kept, by table.
    pub kept_since: BTreeMap<String, UtcDate>,
    /// Answers of the collector so far, by outcome and reason.
    pub counts: BTreeMap<String, u64>,
    /// Policies that the log announced.
    pub policies: Vec<PolicyFact>,
    /// Backups that the log knows.
    pub backups: Vec<BackupFact>,
    /// Keys of subjects that the log calls destroyed.
    pub keys_destroyed: u64,
    /// Peppers that the log calls destroyed.
    pub peppers_destroyed: u64,
    /// Erasures that the log calls complete.
    pub erasures: u64,
    /// Restores of backups.
    pub restores: u64,
}

impl Facts {
    /// Of a ledger.
    pub(crate) fn of(evidence: &Evidence, chain: &Chain) -> Self {
        let manifest = &evidence.manifest;
        let mut facts = Self {
            version: env!("CARGO_PKG_VERSION"),
            contract: Some(manifest.contract_hash),
            log_key: Some(manifest.log_key),
            log_size: chain.size,
            kept_since: manifest.kept_since.clone(),
            counts: manifest.counts.clone(),
            ..Self::default()
        };
        chain.public.iter().for_each(|(_, event)| facts.hear(event));
        facts
    }

    /// With what the catalogue says.
    pub(crate) fn with(self, snapshot: &Snapshot) -> Self {
        Self { published: Some(snapshot.catalogue.published), ..self }
    }

    fn hear(&mut self, event: &Public) {
        match event {
            Public::PolicyPublished { hash, name, version, effective, .. } => {
                let (hash, version, effective) = (*hash, *version, *effective);
                self.policies.push(PolicyFact { hash, name: name.clone(), version, effective });
            }
            Public::BackupMade { id, expires, on, .. } => {
                let (made, expires) = (*on, *expires);
                self.backups.push(BackupFact { id: id.clone(), made, expires });
            }
            Public::KeyDestroyed { .. } => self.keys_destroyed += 1,
            Public::PepperDestroyed { .. } => self.peppers_destroyed += 1,
            Public::ErasureCompleted { .. } => self.erasures += 1,
            Public::Restored { .. } => self.restores += 1,
            Public::Counts { .. } => {}
        }
    }
}
