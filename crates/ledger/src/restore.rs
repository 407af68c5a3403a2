//! Restoring: yesterday's book, brought up to today's ledger before anything is served.
//!
//! Book and lake come from the backup; keyring, log and evidence are the live ones. Entries of the
//! log and events that the backup does not know are replayed in their order by the functions that
//! recorded them, so that what was withdrawn, restricted, asked or erased since stays so. Then book
//! and keyring name each other: what names a destroyed key goes, and a key that nothing names is
//! destroyed. The caller takes the rows of destroyed keys out of the lake. Until that is done the
//! book is not opened; repeating a restore that broke off gives the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use imprimatur_consent::event::Public;
use imprimatur_consent::{Digest, Standing, Terms};
use imprimatur_log::{Entry, TileReader};
use imprimatur_runtime::{UnixSeconds, UtcDate, durable};
use redb::ReadableTable as _;

use crate::backup::{Backup, BackupError, copy, io_error};
use crate::book::{Book, decode};
use crate::error::BookError;
use crate::evidence::{CommitEvidence, ConsentEvidence, Opened};
use crate::segments::{Manifest, Segment, find_segment, read_policies};
use crate::tables::{
    BACKUPS, COMMITS, EVENTS, LOG_SIZE, POLICIES, POSITION, PUBLISHED, RESTORING, SEGMENTS,
    SUBJECTS,
};
use crate::txn::Txn;

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The backup.
    pub backup: String,
    /// Commits whose subjects were erased since: their rows must go.
    pub gone: BTreeSet<u64>,
    /// First and last position of the commits whose rows the backup does not have.
    pub lost: Option<(u64, u64)>,
}

/// What the log tells that the replay of events needs.
#[derive(Default)]
struct Heard {
    /// Policies, with the number of the entry that announced each.
    announced: BTreeMap<Digest, u64>,
    /// Erased slots, with the day.
    erased: BTreeMap<u64, UtcDate>,
}

impl Book {
    /// Puts a backup in the place of book and lake, and replays the live ledger. Nothing may be
    /// served before [`Book::finish_restore`].
    ///
    /// # Errors
    /// [`BackupError`]; what was there is replaced only once the backup and the live ledger were
    /// found whole.
    pub fn restore(
        data: &Path,
        from: &Path,
        now: UnixSeconds,
    ) -> Result<(Self, Replayed), BackupError> {
        let backup = Backup::load(from)?;
        backup.check(from, now.date())?;
        let parts = ["keys/keyring", "log.key", "log/checkpoint", "evidence/manifest.json"];
        for part in parts {
            let path = data.join(part);
            if !path.exists() {
                return Err(BackupError::NoLedger { path });
            }
        }
        let key = crate::book::log_key(&data.join("log.key"))?.public();
        let audited = imprimatur_log::audit(&data.join("log"), &key, None);
        audited.map_err(|error| BackupError::Apart(error.to_string()))?;
        put_in_place(&backup, from, data)?;
        let book = Self::open_unchecked(data)?;
        let replayed = book.replay(&backup, data, now.date())?;
        book.agrees_with_log()?;
        book.finish_destroying()?;
        book.load_terms()?;
        book.load_index()?;
        Ok((book, replayed))
    }

    fn replay(
        &self,
        backup: &Backup,
        data: &Path,
        today: UtcDate,
    ) -> Result<Replayed, BackupError> {
        let apart = |error: &dyn std::error::Error| BackupError::Apart(error.to_string());
        let evidence = data.join("evidence");
        let mut manifest = Manifest::load(&evidence).map_err(|error| apart(&error))?;
        manifest.segments = self.segments_of_log(data, manifest.segments)?;
        let events = manifest.consent(&evidence).map_err(|error| apart(&error))?;
        let commits = manifest.commits(&evidence).map_err(|error| apart(&error))?;
        let policies = read_policies(&evidence).map_err(|error| apart(&error))?;
        let from = self.number(POSITION)?;
        let txn = self.begin()?;
        for (hash, text) in policies {
            txn.raw
                .open_table(POLICIES)
                .map_err(BookError::from)?
                .insert(hash.0, text.as_bytes())
                .map_err(BookError::from)?;
        }
        txn.commit()?;
        self.load_terms()?;
        let txn = self.begin()?;
        let heard = txn.replay_log(&data.join("log"))?;
        for segment in &manifest.segments {
            txn.put(SEGMENTS, segment.file.as_str(), segment)?;
        }
        for event in events.iter().filter(|event| event.position > from) {
            txn.replay_event(event, &heard)?;
        }
        let newer: Vec<&CommitEvidence> = commits.iter().filter(|c| c.position > from).collect();
        for commit in &newer {
            txn.put(COMMITS, commit.position, *commit)?;
        }
        let ends = newer.first().zip(newer.last());
        let lost = ends.map(|(first, last)| (first.position, last.position));
        txn.number_on(from, events.last(), commits.last())?;
        // What those said whose keys are gone cannot be read: any of it may have ended something.
        txn.mark_all()?;
        let gone = txn.forget_the_destroyed(&heard, today)?;
        txn.destroy_the_unnamed(today)?;
        txn.set_number(RESTORING, 1)?;
        txn.commit()?;
        Ok(Replayed { backup: backup.id.clone(), gone, lost })
    }

    /// The segments that the live log names. The manifest may lack the last ones: it is written
    /// after the log.
    fn segments_of_log(
        &self,
        data: &Path,
        mut known: Vec<Segment>,
    ) -> Result<Vec<Segment>, BackupError> {
        let apart = |error: &dyn std::error::Error| BackupError::Apart(error.to_string());
        let log = TileReader::open(&data.join("log"), &self.log_public_key());
        for entry in log.map_err(|error| apart(&error))?.entries() {
            let entry = entry.map_err(|error| apart(&error))?;
            let Ok(Entry::Public(json)) = Entry::read(&entry) else { continue };
            let Ok(Public::Counts { first, last, segment: Some(sha256), .. }) =
                serde_json::from_slice(json)
            else {
                continue;
            };
            if known.iter().any(|segment| segment.sha256 == sha256) {
                continue;
            }
            let found = find_segment(&data.join("evidence"), (first, last), sha256);
            known.extend(found.map_err(|error| apart(&error))?);
        }
        known.sort_by_key(|segment| (segment.first, segment.last));
        Ok(known)
    }

    /// Ends a restore: says in the log what was lost and what was taken out again.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn finish_restore(
        &self,
        replayed: &Replayed,
        erased_rows: u64,
        now: UnixSeconds,
    ) -> Result<(), BookError> {
        let txn = self.begin()?;
        let (backup, lost, on) = (replayed.backup.clone(), replayed.lost, now.date());
        let slots = Some(self.0.keyring.slots());
        txn.log_public(&Public::Restored { backup, lost, erased_rows, slots, on })?;
        txn.set_number(RESTORING, 0)?;
        txn.commit()
    }
}

/// Copies the backup beside what is there, then swaps.
fn put_in_place(backup: &Backup, from: &Path, data: &Path) -> Result<(), BackupError> {
    let fresh = data.join("restoring");
    let gone = |path: &Path| match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error(path, error)),
        _ => Ok(()),
    };
    gone(&fresh)?;
    durable::private_folder(&fresh.join("lake")).map_err(|source| io_error(&fresh, source))?;
    for (name, hash) in &backup.files {
        if copy(from, &fresh, name)? != *hash {
            return Err(BackupError::Changed { path: from.join(name) });
        }
    }
    // The book last: without it the folder is no older copy, only an incomplete one.
    let lake = data.join("lake");
    gone(&lake)?;
    durable::rename(&fresh.join("lake"), &lake).map_err(|source| io_error(&lake, source))?;
    let book = data.join("book.redb");
    durable::rename(&fresh.join("book.redb"), &book).map_err(|source| io_error(&book, source))?;
    gone(&fresh)
}

impl Txn {
    /// Appends the published entries that the book does not know, and does what public ones say.
    fn replay_log(&self, folder: &Path) -> Result<Heard, BackupError> {
        let apart = |error: &dyn std::error::Error| BackupError::Apart(error.to_string());
        let log = TileReader::open(folder, &self.book.log_key.public());
        let log = log.map_err(|error| apart(&error))?;
        let (known, mut heard) = (self.number(LOG_SIZE)?, Heard::default());
        for (number, entry) in (0_u64..).zip(log.entries()) {
            let entry = entry.map_err(|error| apart(&error))?;
            if let Ok(Entry::Public(json)) = Entry::read(&entry) {
                // One that is not understood could destroy a key: it is not passed over.
                let event = serde_json::from_slice(json).map_err(|_other_form| {
                    BackupError::Apart(format!("log entry {number} is no event of this version"))
                })?;
                self.replay_public(number, &event, &mut heard)?;
            }
            if number >= known {
                self.append(&entry)?;
            }
        }
        Ok(heard)
    }

    /// What everybody may know binds the keyring too, also one that was copied back.
    fn replay_public(
        &self,
        number: u64,
        event: &Public,
        heard: &mut Heard,
    ) -> Result<(), BookError> {
        match event {
            Public::KeyDestroyed { slot, .. } | Public::PepperDestroyed { slot, .. } => {
                self.condemn(*slot)
            }
            Public::BackupMade { id, expires, on, .. } => {
                self.put(BACKUPS, id.as_str(), &(on, expires))
            }
            Public::ErasureCompleted { slot, mark, on, .. } => {
                heard.erased.insert(*slot, *on);
                mark.map_or(Ok(()), |mark| self.rebury(mark, *on))
            }
            Public::PolicyPublished { hash, .. } => {
                heard.announced.entry(*hash).or_insert(number);
                Ok(())
            }
            Public::Counts { .. } | Public::Restored { .. } => Ok(()),
        }
    }

    /// Folds an event anew, and enters what it asked. One that cannot be opened any more is kept as
    /// it is.
    fn replay_event(&self, evidence: &ConsentEvidence, heard: &Heard) -> Result<(), BookError> {
        self.put(EVENTS, evidence.position, evidence)?;
        if !self.lives(evidence.slot)? {
            return Ok(());
        }
        let Opened::Whole(event) = evidence.open(&self.book.keyring)? else { return Ok(()) };
        let before = self.held(evidence.slot)?;
        let on = evidence.recorded.date();
        let standing = before.as_ref().map(|held| &held.standing);
        // It was valid when it was recorded: whoever changed it since did not have the key.
        let Ok(standing) = Standing::fold(standing, &self.terms(), &event.what, on) else {
            return Ok(());
        };
        self.follow(evidence.slot, before, &standing, (evidence.position, on))?;
        let terms = self.terms_before(evidence.leaf, heard);
        self.enter_asked(standing.subject(), &event.what, on, &terms)?;
        Ok(())
    }

    /// The terms of the policies that were announced before an entry of the log.
    fn terms_before(&self, leaf: u64, heard: &Heard) -> Terms {
        let before = |hash| heard.announced.get(hash).is_some_and(|number| *number < leaf);
        let terms = self.terms();
        let policies = terms.policies().filter(|policy| before(&policy.hash));
        Terms::of(&policies.cloned().collect::<Vec<_>>())
    }

    /// Positions go on after the newest that was ever given, so that none is given twice.
    fn number_on(
        &self,
        from: u64,
        event: Option<&ConsentEvidence>,
        commit: Option<&CommitEvidence>,
    ) -> Result<(), BookError> {
        let commit = commit.map_or(0, |commit| commit.position);
        let newest = event.map_or(0, |event| event.position).max(commit).max(from);
        self.set_number(POSITION, newest)?;
        let published = self.number(PUBLISHED)?.max(if commit > from { commit } else { 0 });
        self.set_number(PUBLISHED, published)
    }

    /// Removes what names a key that is gone; gives the commits that do, which are evidence and stay.
    fn forget_the_destroyed(
        &self,
        heard: &Heard,
        today: UtcDate,
    ) -> Result<BTreeSet<u64>, BookError> {
        let mut subjects = Vec::new();
        for entry in self.raw.open_table(SUBJECTS)?.iter()? {
            let slot = entry?.0.value();
            if !self.lives(slot)? {
                subjects.push(slot);
            }
        }
        for slot in subjects {
            self.forget(slot)?;
        }
        self.close_erased(|slot| {
            let on = heard.erased.get(&slot).copied().unwrap_or(today);
            Ok((!self.lives(slot)?).then_some(on))
        })?;
        let mut commits = BTreeSet::new();
        for entry in self.raw.open_table(COMMITS)?.iter()? {
            let evidence: CommitEvidence = decode(COMMITS, entry?.1.value())?;
            if !self.lives(evidence.slot)? {
                commits.insert(evidence.position);
            }
        }
        Ok(commits)
    }

    /// Destroys the keys that nothing names: those of peppers that were drawn after the backup, whose
    /// rows are lost, and those of subjects whose first event was never published.
    fn destroy_the_unnamed(&self, today: UtcDate) -> Result<(), BookError> {
        let mut named = self.living_peppers()?;
        named.append(&mut self.living_tombs()?);
        // A subject begins with an event, and no event is ever removed.
        for entry in self.raw.open_table(EVENTS)?.iter()? {
            let evidence: ConsentEvidence = decode(EVENTS, entry?.1.value())?;
            named.insert(evidence.slot);
        }
        for slot in 1..self.book.keyring.slots() {
            if !named.contains(&slot) && self.lives(slot)? {
                self.condemn(slot)?;
                self.log_public(&Public::KeyDestroyed { slot, on: today })?;
            }
        }
        Ok(())
    }
}
