//! The chain: what the log's folder proves by itself, read once.

use std::collections::BTreeMap;
use std::path::Path;

use imprimatur_consent::Digest;
use imprimatur_consent::event::Public;
use imprimatur_log::{Checkpoint, Entry, audit_each, entry};

use crate::report::Check;

/// The entries of a log that was proven; nothing of one that was not.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) size: u64,
    /// Commitments to private events, by number.
    pub(crate) blinded: BTreeMap<u64, Digest>,
    /// Public events, by number.
    pub(crate) public: Vec<(u64, Public)>,
}

impl Chain {
    /// Reads and proves the log. An empty one is no log: a collector announces its policy before
    /// anything else.
    pub(crate) fn read(
        folder: &Path,
        key: &[u8; 32],
        anchor: Option<&Checkpoint>,
        first: &mut Check,
    ) -> Self {
        let mut chain = Self::default();
        let mut strange = Vec::new();
        let audited = audit_each(folder, key, anchor, |number, entry| match entry {
            Entry::Blinded(commitment) => {
                chain.blinded.insert(number, commitment);
            }
            Entry::Public(json) => match serde_json::from_slice::<Public>(json) {
                // Byte for byte: nothing has room between or beside what is read.
                Ok(event) if serde_json::to_vec(&event).is_ok_and(|own| own == json) => {
                    chain.public.push((number, event));
                }
                Ok(_) | Err(_) => strange.push(number),
            },
        });
        for number in strange {
            first.found(&format!("log entry {number}"), "is no event of this version");
        }
        match audited {
            Ok(audited) if audited.entries > 0 => {
                first.passed(audited.entries);
                chain.size = audited.checkpoint.size;
                chain
            }
            Ok(_empty) => {
                first.found("log", "is empty, and no collector's log is");
                Self::default()
            }
            Err(error) => {
                first.found("log", &told(&error));
                Self::default()
            }
        }
    }

    /// Where each policy was announced first.
    pub(crate) fn announced(&self) -> BTreeMap<Digest, u64> {
        let told = self.public.iter().rev().filter_map(|(number, event)| match event {
            Public::PolicyPublished { hash, .. } => Some((*hash, *number)),
            _ => None,
        });
        told.collect()
    }

    /// Slots whose keys the log says are destroyed, and where it says so first.
    pub(crate) fn destroyed(&self) -> BTreeMap<u64, u64> {
        let told = self.public.iter().rev().filter_map(|(number, event)| match event {
            Public::KeyDestroyed { slot, .. } | Public::PepperDestroyed { slot, .. } => {
                Some((*slot, *number))
            }
            _ => None,
        });
        told.collect()
    }

    /// Segments of evidence, by hash: their first and last positions.
    pub(crate) fn segments(&self) -> BTreeMap<Digest, (u64, u64)> {
        let told = self.public.iter().filter_map(|(_, event)| match event {
            Public::Counts { first, last, segment: Some(hash), .. } => {
                Some((*hash, (*first, *last)))
            }
            _ => None,
        });
        told.collect()
    }

    /// Commits whose rows restores did not bring back. A restore excuses only what the log knew
    /// before it.
    pub(crate) fn lost(&self, first: &mut Check) -> Vec<(u64, u64)> {
        let (mut known, mut lost) = (0, Vec::new());
        for (number, event) in &self.public {
            match event {
                Public::Counts { last, .. } => known = known.max(*last),
                Public::Restored { lost: Some((from, to)), .. } => {
                    let place = format!("log entry {number}");
                    let fine = from <= to && *to <= known;
                    first.expect(fine, &place, "a restore that lost what was not there yet");
                    lost.extend(fine.then_some((*from, *to)));
                }
                _ => {}
            }
        }
        lost
    }

    /// Counters never go back, but to those of a backup.
    pub(crate) fn counts(&self, told: &BTreeMap<String, u64>, first: &mut Check) {
        let mut known = BTreeMap::new();
        let less = |known: &BTreeMap<String, u64>, told: &BTreeMap<String, u64>| {
            known.iter().any(|(name, count)| told.get(name).is_none_or(|told| told < count))
        };
        for (number, event) in &self.public {
            match event {
                Public::Counts { counts, .. } => {
                    let place = format!("log entry {number}");
                    first.expect(!less(&known, counts), &place, "tells less than was counted");
                    known.clone_from(counts);
                }
                Public::Restored { .. } => known.clear(),
                _ => {}
            }
        }
        first.expect(!less(&known, told), "manifest", "tells less than was counted");
    }

    /// The commitment to an event with its nonce.
    pub(crate) fn commitment(nonce: &[u8; 32], payload: &[u8]) -> Option<Digest> {
        match Entry::read(&entry::blinded(nonce, payload)) {
            Ok(Entry::Blinded(commitment)) => Some(commitment),
            _ => None,
        }
    }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}
