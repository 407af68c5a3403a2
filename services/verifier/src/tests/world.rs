//! A collector's folders in the hands of an operator who owns the disk: all of it can be read,
//! changed, sealed again and, with the log's key, signed again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use imprimatur_consent::event::{LedgerEvent, Public};
use imprimatur_consent::{Category, Digest};
use imprimatur_lake::{Catalogue, Lake, Row};
use imprimatur_ledger::segments::{Holds, Manifest, Segment, write_segment};
use imprimatur_ledger::{CommitEvidence, CommitProof, ConsentEvidence, Keyring};
use imprimatur_log::note::LogKey;
use imprimatur_log::{Checkpoint, Entry, MemoryLog, Origin, TileReader, TileWriter, entry};
use imprimatur_proto::consent::v1::Decision;
use imprimatur_runtime::UtcDate;

use super::collector::{Collector, TODAY, said};
use crate::scan::searcher::Searcher;
use crate::{Report, SnapshotError, Trust, Wanted};

/// A segment and what it holds.
struct Part {
    named: Segment,
    events: Vec<ConsentEvidence>,
    commits: Vec<CommitEvidence>,
}

/// The folders, read.
pub(super) struct World {
    folder: tempfile::TempDir,
    pub(super) manifest: Manifest,
    pub(super) catalogue: Catalogue,
    parts: Vec<Part>,
    /// The log's entries.
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) rows: Vec<Row>,
}

impl World {
    /// What a collector leaves that did this.
    pub(super) fn of(run: impl FnOnce(Collector) -> Collector) -> Self {
        let folder = tempfile::tempdir().unwrap();
        drop(run(Collector::open(folder.path())));
        Self::read(folder)
    }

    /// Two subjects with two batches each; then the second withdraws and the first goes on. The
    /// positions: grants 1 and 2, commits 3 to 6, the withdrawal 7, a commit 8. The leaves: the
    /// policy 0, the grants 1 and 2, segments 3 and 4, the withdrawal 5, segments 6 and 7.
    pub(super) fn honest() -> Self {
        Self::of(|collector| {
            collector.grant(1, 1);
            collector.grant(2, 1);
            for (seed, number) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
                collector.store(seed, number);
            }
            collector.publish();
            collector.withdraw(2, 2);
            collector.store(1, 3);
            collector.publish();
            collector
        })
    }

    fn read(folder: tempfile::TempDir) -> Self {
        let (lake, evidence) = (folder.path().join("lake"), folder.path().join("evidence"));
        let manifest = Manifest::load(&evidence).unwrap();
        let part = |segment: &Segment| {
            let alone = Manifest { segments: vec![segment.clone()], ..manifest.clone() };
            Part {
                named: segment.clone(),
                events: alone.consent(&evidence).unwrap(),
                commits: alone.commits(&evidence).unwrap(),
            }
        };
        let parts = manifest.segments.iter().map(part).collect();
        let log = TileReader::open(&folder.path().join("log"), &manifest.log_key.0).unwrap();
        let entries = log.entries().collect::<Result<_, _>>().unwrap();
        let catalogue = Catalogue::load(&lake).unwrap();
        let store = Lake::open(&lake).unwrap();
        let rows = catalogue.files.iter().flat_map(|file| store.read(file).unwrap()).collect();
        Self { folder, manifest, catalogue, parts, entries, rows }
    }

    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    pub(super) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn keyring(&self) -> Keyring {
        Keyring::read_only(&self.path("keys")).unwrap()
    }

    pub(super) fn log_key(&self) -> LogKey {
        let seed: Digest =
            fs::read_to_string(self.path("log.key")).unwrap().trim().parse().unwrap();
        LogKey::from_seed(&seed.0)
    }

    /// The checkpoint that somebody keeps.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        let log = TileReader::open(&self.path("log"), &self.manifest.log_key.0).unwrap();
        log.checkpoint().clone()
    }

    pub(super) fn event(&mut self, position: u64) -> &mut ConsentEvidence {
        let mut events = self.parts.iter_mut().flat_map(|part| &mut part.events);
        events.find(|event| event.position == position).unwrap()
    }

    pub(super) fn commit(&mut self, position: u64) -> &mut CommitEvidence {
        let mut commits = self.parts.iter_mut().flat_map(|part| &mut part.commits);
        commits.find(|commit| commit.position == position).unwrap()
    }

    pub(super) fn row(&mut self, commit: u64) -> &mut Row {
        self.rows.iter_mut().find(|row| row.commit == commit).unwrap()
    }

    pub(super) fn opened(&mut self, position: u64) -> LedgerEvent {
        let keyring = self.keyring();
        self.event(position).open(&keyring).unwrap().whole().unwrap()
    }

    /// Changes an event and seals it again at this place.
    pub(super) fn change_event(
        &mut self,
        position: u64,
        change: impl FnOnce(&mut LedgerEvent, &mut ConsentEvidence),
    ) {
        let (mut event, keyring) = (self.opened(position), self.keyring());
        let evidence = self.event(position);
        change(&mut event, evidence);
        let place = (evidence.position, evidence.leaf, evidence.slot);
        let sealed = ConsentEvidence::seal(&keyring, place, evidence.recorded, &event).unwrap();
        *evidence = sealed;
    }

    /// Changes the proof of a commit and seals it again at this place.
    pub(super) fn change_commit(
        &mut self,
        position: u64,
        change: impl FnOnce(&mut CommitProof, &mut CommitEvidence),
    ) {
        let keyring = self.keyring();
        let evidence = self.commit(position);
        let mut proof = evidence.open(&keyring).unwrap().whole().unwrap();
        change(&mut proof, evidence);
        let place = (evidence.position, evidence.slot);
        let sealed = CommitEvidence::seal(&keyring, place, evidence.recorded, &proof).unwrap();
        *evidence = sealed;
    }

    /// Adds an event with an entry of its own at the end of the log.
    pub(super) fn add_event(&mut self, slot: u64, on: UtcDate, event: &LedgerEvent) -> u64 {
        let leaf = u64::try_from(self.entries.len()).unwrap();
        self.entries.push(entry::blinded(&event.nonce.0, &event.what.payload()));
        let position = self.next_position();
        let place = (position, leaf, slot);
        let evidence = ConsentEvidence::seal(&self.keyring(), place, on.start(), event).unwrap();
        self.last(Holds::Consent).events.push(evidence);
        position
    }

    /// Copies a commit to the end of all positions, with its row.
    pub(super) fn repeat_commit(&mut self, position: u64) -> u64 {
        let next = self.next_position();
        let (mut copy, mut row) = (self.commit(position).clone(), self.row(position).clone());
        let keyring = self.keyring();
        let mut proof = copy.open(&keyring).unwrap().whole().unwrap();
        proof.sequence += 100;
        proof.frame = Digest([77; 32]);
        copy = CommitEvidence::seal(&keyring, (next, copy.slot), copy.recorded, &proof).unwrap();
        self.last(Holds::Commits).commits.push(copy);
        row.commit = next;
        self.rows.push(row);
        self.manifest.published = next;
        next
    }

    fn last(&mut self, holds: Holds) -> &mut Part {
        self.parts.iter_mut().rfind(|part| part.named.holds == holds).unwrap()
    }

    pub(super) fn next_position(&self) -> u64 {
        let events = self.parts.iter().flat_map(|part| &part.events).map(|event| event.position);
        let commits = self.parts.iter().flat_map(|part| &part.commits);
        events.chain(commits.map(|commit| commit.position)).max().unwrap() + 1
    }

    pub(super) fn drop_event(&mut self, position: u64) {
        for part in &mut self.parts {
            part.events.retain(|event| event.position != position);
        }
    }

    pub(super) fn drop_commits(&mut self, position: u64) {
        self.parts.retain(|part| !part.commits.iter().any(|commit| commit.position == position));
        self.rows.retain(|row| row.commit != position);
    }

    /// Changes the public events of the log.
    pub(super) fn change_public(&mut self, mut change: impl FnMut(&mut Public)) {
        for bytes in &mut self.entries {
            let Ok(Entry::Public(json)) = Entry::read(bytes) else { continue };
            let mut event: Public = serde_json::from_slice(json).unwrap();
            change(&mut event);
            *bytes = entry::public(&serde_json::to_vec(&event).unwrap()).unwrap();
        }
    }

    pub(super) fn add_public(&mut self, event: &Public) {
        self.entries.push(entry::public(&serde_json::to_vec(event).unwrap()).unwrap());
    }

    /// Takes the book away: whoever forges the evidence does not leave what tells against it.
    pub(super) fn without_book(&self) {
        fs::remove_file(self.path("book.redb")).ok();
    }

    /// Writes lake, evidence and manifest; the log stays, and the book goes.
    pub(super) fn write(&mut self) {
        self.without_book();
        self.write_lake();
        let evidence = self.path("evidence");
        let mut segments = Vec::new();
        for part in &self.parts {
            let Part { named, events, commits } = part;
            fs::remove_file(evidence.join(&named.file)).ok();
            segments.extend(
                match named.holds {
                    Holds::Consent => write_segment(&evidence, named.holds, events, |e| e.position),
                    Holds::Commits => {
                        write_segment(&evidence, named.holds, commits, |c| c.position)
                    }
                }
                .unwrap(),
            );
        }
        let catalogue = fs::read(self.path("lake/catalogue.json")).unwrap();
        self.manifest.catalogue = Digest::of(&catalogue);
        self.manifest.segments = segments;
        self.manifest.store(&evidence).unwrap();
    }

    /// Writes everything, and a log that commits to it, signed with the log's own key.
    pub(super) fn write_all(&mut self) {
        self.manifest.log_size = u64::try_from(self.entries.len()).unwrap();
        let before: Vec<Segment> = self.parts.iter().map(|part| part.named.clone()).collect();
        let keyring = self.keyring();
        for event in self.parts.iter().flat_map(|part| &part.events) {
            let opened = event.open(&keyring).ok().and_then(imprimatur_ledger::Opened::whole);
            let leaf = usize::try_from(event.leaf).unwrap();
            if let (Some(opened), Some(entry)) = (opened, self.entries.get_mut(leaf)) {
                *entry = entry::blinded(&opened.nonce.0, &opened.what.payload());
            }
        }
        self.write();
        let after = self.manifest.segments.clone();
        self.change_public(|event| {
            let Public::Counts { first, last, segment: Some(hash), .. } = event else { return };
            let Some(at) = before.iter().position(|segment| segment.sha256 == *hash) else {
                return;
            };
            let Some(new) = after.get(at) else { return };
            (*first, *last, *hash) = (new.first, new.last, new.sha256);
        });
        self.write_log(&self.log_key());
    }

    /// Writes a log of these entries, signed with this key.
    pub(super) fn write_log(&self, key: &LogKey) {
        self.without_book();
        let mut log = MemoryLog::new();
        self.entries.iter().for_each(|entry| log.push(entry.clone()));
        let origin = Origin::of(&key.public());
        let checkpoint = Checkpoint { origin, size: log.size(), root: log.root() };
        fs::remove_dir_all(self.path("log")).unwrap();
        let mut tiles = TileWriter::open(&self.path("log"), &key.public()).unwrap();
        tiles.publish(&checkpoint.sign(key), &log).unwrap();
    }

    fn write_lake(&mut self) {
        let folder = self.path("lake");
        fs::remove_dir_all(&folder).unwrap();
        let lake = Lake::open(&folder).unwrap();
        let mut chunks: Vec<Vec<Row>> = Vec::new();
        for row in &self.rows {
            // A row that is there twice comes from two files, as a doubled publication would.
            match chunks.iter_mut().find(|rows| !rows.contains(row)) {
                Some(rows) => rows.push(row.clone()),
                None => chunks.push(vec![row.clone()]),
            }
        }
        self.catalogue.files = chunks.iter().flat_map(|rows| lake.write(rows).unwrap()).collect();
        self.catalogue.store(&folder).unwrap();
    }

    /// The checkpoint of these entries, signed by another.
    pub(super) fn checkpoint_by(&self, key: &LogKey) -> String {
        Checkpoint { origin: Origin::of(&key.public()), ..self.checkpoint_of_entries() }.sign(key)
    }

    fn checkpoint_of_entries(&self) -> Checkpoint {
        let mut log = MemoryLog::new();
        self.entries.iter().for_each(|entry| log.push(entry.clone()));
        let origin = Origin::of(&self.log_key().public());
        Checkpoint { origin, size: log.size(), root: log.root() }
    }

    /// The slots that evidence names.
    pub(super) fn slots(&self) -> BTreeSet<u64> {
        let events = self.parts.iter().flat_map(|part| &part.events).map(|event| event.slot);
        let commits = self.parts.iter().flat_map(|part| &part.commits);
        events.chain(commits.map(|commit| commit.slot)).collect()
    }

    /// A slot whose key is destroyed.
    pub(super) fn a_destroyed_slot(&self) -> u64 {
        let keyring = self.keyring();
        let mut events = self.parts.iter().flat_map(|part| &part.events);
        events.find(|event| keyring.secret(event.slot).unwrap().is_none()).unwrap().slot
    }

    /// The rows that a running collector published.
    pub(super) fn rows_of(collector: &Collector) -> Vec<Row> {
        let lake = Lake::open(collector.data().join("lake")).unwrap();
        let catalogue = Catalogue::load(lake.folder()).unwrap();
        catalogue.files.iter().flat_map(|file| lake.read(file).unwrap()).collect()
    }

    /// Looks once.
    pub(super) fn look(&self) -> Result<Report, SnapshotError> {
        look_once(self.data(), &Wanted::default())
    }

    /// Looks once, with logs and canaries.
    pub(super) fn look_for(&self, wanted: &Wanted) -> Report {
        look_once(self.data(), wanted).unwrap()
    }

    pub(super) fn verify(&self) -> Report {
        self.look().unwrap()
    }

    pub(super) fn verify_ledger(&self, trust: &Trust) -> Report {
        crate::verify_ledger_now(self.data(), trust).unwrap()
    }

    /// Writes everything consistently, and verifies.
    pub(super) fn forged(&mut self) -> Report {
        self.write_all();
        self.verify()
    }
}

/// Proves and searches without waiting for a collector.
fn look_once(data: &Path, wanted: &Wanted) -> Result<Report, SnapshotError> {
    let searcher = Searcher::of(&wanted.canaries)?;
    let mut report = crate::prove(data, wanted, &searcher)?;
    crate::search(&mut report, data, wanted, &searcher, &mut |_| {});
    Ok(report)
}

/// Proves what the values show; for thousands of changes, none of which is a search.
pub(super) fn values(data: &Path, trust: &Trust) -> Result<Report, SnapshotError> {
    let searcher = Searcher::of(&crate::Canaries::default())?;
    crate::prove(data, &Wanted { trust: trust.clone(), ..Wanted::default() }, &searcher)
}

/// The withdrawal of a subject with a nonce of its own.
pub(super) fn withdrawal(seed: u8, number: u64) -> LedgerEvent {
    let what = said(seed, (number, TODAY), Decision::Withdrawn, &[Category::PrintTime]);
    LedgerEvent { nonce: Digest([66; 32]), what }
}
