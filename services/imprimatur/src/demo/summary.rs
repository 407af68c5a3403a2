//! The summary: what the fleet sent and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;

use super::fleet::Fleet;
use crate::error::CommandError;
use crate::up::Server;

/// One moment of the demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    granted: u32,
    refused: u32,
    withdrawn: u32,
    sent: u64,
    counts: BTreeMap<String, u64>,
}

impl Summary {
    /// Looks at fleet, bridge and collector.
    pub(super) fn now(server: &Server, fleet: &Fleet) -> Result<Self, CommandError> {
        Ok(Self {
            granted: fleet.mood.granted.load(Ordering::Relaxed),
            refused: fleet.mood.refused.load(Ordering::Relaxed),
            withdrawn: fleet.mood.withdrawn.load(Ordering::Relaxed),
            sent: server.carried.counts().batches_forwarded,
            counts: server.collector.counts()?,
        })
    }

    /// Batches stored.
    pub(super) fn stored(&self) -> u64 {
        self.counts.get("stored").copied().unwrap_or(0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refusals: Vec<String> = self
            .counts
            .iter()
            .filter_map(|(name, count)| Some((name.strip_prefix("refused.")?, count)))
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        let refusals = if refusals.is_empty() { "none".to_owned() } else { refusals.join(", ") };
        writeln!(
            f,
            "  owners    {} granted, {} refused (their agents are silent), {} withdrew",
            self.granted, self.refused, self.withdrawn
        )?;
        writeln!(f, "  batches   {} sent, {} stored, each once", self.sent, self.stored())?;
        writeln!(f, "  refused   {refusals}")
    }
}
