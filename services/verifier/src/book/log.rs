//! The log inside the book: its entries are the published ones, its hashes those of its entries.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::Digest;
use imprimatur_consent::event::Public;
use imprimatur_ledger::BookError;
use imprimatur_log::tree::{leaf_hash, node_hash};
use imprimatur_log::{Entry, Nodes as _, TileReader};
use imprimatur_runtime::UtcDate;

use super::{Found, Look};

/// What the public entries of the book's log tell.
#[derive(Debug)]
pub(super) struct Story {
    /// Policies that were announced.
    pub(super) announced: BTreeSet<Digest>,
    /// Slots whose keys are called destroyed.
    pub(super) destroyed: BTreeSet<u64>,
    /// Backups: when each was made, and when it must be gone.
    pub(super) backups: BTreeMap<String, (UtcDate, UtcDate)>,
    /// The newest counts; none after a restore.
    pub(super) counts: BTreeMap<String, u64>,
    /// Restores: entries from the first to before the second were replayed.
    restores: Vec<(u64, u64)>,
    /// The slots of the keyring, those below this one, when a backup was restored last.
    pub(super) slots: u64,
    /// Commits whose rows restores did not bring back.
    lost: Vec<(u64, u64)>,
    /// Slots whose keys the published log calls destroyed after all that an older copy knows.
    pub(super) destroyed_since: BTreeSet<u64>,
    /// Entries.
    pub(super) size: u64,
    /// The newest day of them.
    pub(super) newest: UtcDate,
    /// Sizes of the log in the backups.
    sizes: BTreeMap<String, u64>,
}

impl Story {
    fn new() -> Self {
        Self {
            announced: BTreeSet::new(),
            destroyed: BTreeSet::new(),
            backups: BTreeMap::new(),
            counts: BTreeMap::new(),
            restores: Vec::new(),
            slots: 0,
            lost: Vec::new(),
            destroyed_since: BTreeSet::new(),
            size: 0,
            newest: UtcDate(0),
            sizes: BTreeMap::new(),
        }
    }

    /// Whether an event was replayed by a restore: what was answered to it then is not in the book.
    pub(super) fn replayed(&self, leaf: u64) -> bool {
        self.restores.iter().any(|&(from, until)| (from..until).contains(&leaf))
    }

    /// Whether a backup was ever restored.
    pub(super) fn restored(&self) -> bool {
        !self.restores.is_empty()
    }

    /// Whether a restore lost the rows of this commit.
    pub(super) fn was_lost(&self, position: u64) -> bool {
        self.lost.iter().any(|&(first, last)| (first..=last).contains(&position))
    }

    fn hear(&mut self, number: u64, event: Public) {
        match event {
            Public::PolicyPublished { hash, announced, .. } => {
                self.newest = self.newest.max(announced);
                self.announced.insert(hash);
            }
            Public::KeyDestroyed { slot, on } | Public::PepperDestroyed { slot, on, .. } => {
                self.newest = self.newest.max(on);
                self.destroyed.insert(slot);
            }
            Public::BackupMade { id, expires, log_size, on } => {
                self.newest = self.newest.max(on);
                self.sizes.insert(id.clone(), log_size);
                self.backups.insert(id, (on, expires));
            }
            Public::Counts { counts, on, .. } => {
                self.newest = self.newest.max(on);
                self.counts = counts;
            }
            Public::Restored { backup, lost, slots, .. } => {
                self.slots = self.slots.max(slots.unwrap_or(0));
                let from = self.sizes.get(&backup).copied().unwrap_or(0);
                self.restores.push((from, number));
                self.lost.extend(lost);
                self.counts.clear();
            }
            Public::ErasureCompleted { .. } => {}
        }
    }
}

/// Holds the entries against the published ones and the hashes against the entries.
pub(super) fn check(look: &Look<'_>, found: &mut Found<'_>) -> Result<Story, BookError> {
    let (reader, evidence, first) = (look.reader, look.evidence, &mut found.first);
    let published = TileReader::open(&evidence.log, &evidence.manifest.log_key.0).ok();
    let mut published = published.iter().flat_map(TileReader::entries).map_while(Result::ok);
    let (mut story, mut size) = (Story::new(), 0);
    for (number, entry) in look.all("log_entries", reader.entries()) {
        let place = format!("log entry {number} of the book");
        first.expect(number == size, &place, "has a gap before it");
        size = number.saturating_add(1);
        if let Some(theirs) = published.next() {
            first.expect(theirs == entry, &place, "is not the one that was published");
        }
        let hash = look.one("log_nodes", reader.node(0, number)).flatten();
        first.expect(hash == Some(leaf_hash(&entry)), &place, "has another hash than its own");
        if let Ok(Entry::Public(json)) = Entry::read(&entry)
            && let Ok(event) = serde_json::from_slice(json)
        {
            story.hear(number, event);
        }
    }
    for entry in published {
        if let Ok(Entry::Public(json)) = Entry::read(&entry)
            && let Ok(Public::KeyDestroyed { slot, .. } | Public::PepperDestroyed { slot, .. }) =
                serde_json::from_slice(json)
        {
            story.destroyed_since.insert(slot);
        }
    }
    story.size = size;
    let told = reader.log_size()?;
    first.expect(told == size, "book, number `log_size`", "is not the number of its log's entries");
    nodes(look, size, found);
    Ok(story)
}

/// Every node is the hash of the two below it, and none is missing.
fn nodes(look: &Look<'_>, size: u64, found: &mut Found<'_>) {
    let below = |level, index| look.one("log_nodes", look.reader.node(level, index)).flatten();
    let mut held = 0_u64;
    for (level, index, hash) in look.all("log_nodes", look.reader.nodes()) {
        held += 1;
        let Some(lower) = level.checked_sub(1) else { continue };
        let pair = index.checked_mul(2).map(|left| (below(lower, left), below(lower, left + 1)));
        let made = match pair {
            Some((Some(left), Some(right))) => Some(node_hash(left, right)),
            _ => None,
        };
        let place = format!("node {index} of level {level} of the book's log");
        found.first.expect(made == Some(hash), &place, "is not the hash of what is below it");
    }
    let expected = (0..64).map(|level| size >> level).fold(0, u64::saturating_add);
    let problem = "lacks nodes, or has some of no entries";
    found.first.expect(held == expected, "book, table `log_nodes`", problem);
}
