//! The scan: every stored byte, every decoded value and every given log is searched for geometry.
//!
//! What is searched:
//!
//! - every file of the collector's folder as it lies on the disk, in windows, so that memory is
//!   bounded whatever the size; of keys the name and length alone;
//! - the decoded values of the lake: its pages are compressed by our own writer, so their bytes say
//!   little; rows and columns are searched as bytes;
//! - the evidence as it opens under the keys: events, signed requests, proofs of commits;
//! - files of logs that the caller names; those that are rotated with gzip are unpacked;
//! - the names of all these files.
//!
//! For what: the signatures of [`rules`], triangles of binary STL ([`facets`]), two laws of whole
//! files, and the caller's canaries ([`canary`]); each also in hex and in base64 at each of the three
//! alignments, canaries also reversed, in UTF-16 and in any case. And every file must be one that
//! the layout, the catalogue or the manifest knows ([`layout`]).
//!
//! # False alarms
//!
//! Sealed values, hashes and compressed pages are random bytes. A signature of n bits is met by chance
//! 2^(30 - n) times in a GiB. The weakest, gzip, has 44 bits and more: 24 of the magic, 3 of reserved
//! flags, and none of 200,000 tries with random bytes behind them unpacked. So less than 0.0001 false
//! alarms in a GiB, all signatures and forms together. A canary of 6 letters has 42 bits in any case, so
//! 0.0003 in a GiB; use longer ones. A test searches 64 MiB; 12 GiB of random bytes, searched once, held
//! none.
//!
//! # What it cannot find
//!
//! Encryption hides everything. Of compression, a container is found and not what is in it, and a
//! zstd frame whose first block is not compressed is found by its content alone. A binary STL inside
//! another file is found by four facets in a row that have a unit or zero normal and no attribute; in
//! base64 or hex it has no fixed byte and is not found. In base64 and hex, words are found as their
//! format writes them, in small and in capital letters.

pub(crate) mod canary;
mod confirm;
mod facets;
mod files;
mod forms;
mod layout;
mod rules;
pub(crate) mod searcher;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};

use imprimatur_consent::Invariant;
use imprimatur_lake::Row;

use crate::ledger::Ledger;
use crate::report::{Check, Report};
use searcher::{Found, Own, Searcher};

/// How far a scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were searched.
    pub done: u64,
    /// Bytes that there were when the scan began; a collector may write more meanwhile.
    pub total: u64,
}

/// How much was searched, for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Scanned {
    /// Files of the collector's folder.
    pub files: u64,
    /// Files of logs.
    pub log_files: u64,
    /// Bytes of all these files, unpacked where they were packed.
    pub bytes: u64,
    /// Bytes of decoded values: rows, columns, opened evidence.
    pub value_bytes: u64,
    /// Signatures searched for.
    pub signatures: usize,
    /// Planted texts searched for.
    pub canaries: usize,
}

impl fmt::Display for Scanned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, log_files, bytes, value_bytes, signatures, canaries } = self;
        write!(f, "searched {bytes} bytes of {files} files")?;
        if *log_files > 0 {
            write!(f, " and {log_files} logs")?;
        }
        write!(f, ", {value_bytes} bytes of values, for {signatures} formats")?;
        if *canaries > 0 {
            write!(f, " and {canaries} canaries")?;
        }
        Ok(())
    }
}

impl Scanned {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.log_files += other.log_files;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.value_bytes = self.value_bytes.saturating_add(other.value_bytes);
    }
}

/// Searches, and enters what it finds.
pub(crate) struct Scan<'a> {
    pub(crate) searcher: &'a Searcher,
    pub(crate) scanned: Scanned,
    /// Geometry, and files that nobody knows.
    pub(crate) geometry: Check,
    /// Planted texts.
    pub(crate) planted: Check,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(searcher: &'a Searcher) -> Self {
        let geometry = Check::new(Invariant::NoGeometry);
        let planted = Check::new(Invariant::NoHardwareIdentifier);
        let (signatures, canaries) = (rules::count(), searcher.canaries());
        let scanned = Scanned { signatures, canaries, ..Scanned::default() };
        Self { searcher, scanned, geometry, planted }
    }

    /// One that has found nothing yet, for the same.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.searcher)
    }

    /// Adds what another one found.
    pub(crate) fn join(&mut self, other: Self) {
        self.geometry.join(other.geometry);
        self.planted.join(other.planted);
        self.scanned.add(other.scanned);
    }

    /// The decoded rows of one file of the lake.
    pub(crate) fn rows(&mut self, path: &str, rows: &[Row]) {
        for (name, bytes) in values::of_rows(rows) {
            self.bytes(&format!("{path}, {name}"), &bytes);
        }
    }

    /// The evidence that opens.
    pub(crate) fn evidence(&mut self, ledger: &Ledger<'_>) {
        for (evidence, event) in &ledger.events {
            for bytes in event.iter().flat_map(values::of_event) {
                self.bytes(&format!("event {}, opened", evidence.position), &bytes);
            }
        }
        for (evidence, proof) in &ledger.commits {
            if let Some(proof) = proof {
                let bytes = values::of_commit(proof);
                self.bytes(&format!("commit {}, opened", evidence.position), &bytes);
            }
        }
    }

    /// Every file of the folder, and the files of logs.
    pub(crate) fn folders(
        &mut self,
        data: &Path,
        logs: &[PathBuf],
        told: &mut dyn FnMut(Progress),
    ) {
        files::all(self, data, logs, told);
    }

    /// Enters everything into a report.
    pub(crate) fn end(self, report: &mut Report) {
        let Self { scanned, geometry, planted, .. } = self;
        for found in [geometry, planted] {
            // Nobody planted anything: nothing was checked.
            let asked = found.checked > 0;
            match report.checks.iter_mut().find(|check| check.invariant == found.invariant) {
                Some(check) => check.join(found),
                None if asked => report.checks.push(found),
                None => {}
            }
        }
        report.checks.sort_by_key(|check| check.invariant);
        match &mut report.scan {
            Some(scan) => scan.add(scanned),
            None => report.scan = Some(scanned),
        }
        report.judge();
    }

    pub(crate) fn bytes(&mut self, place: &str, bytes: &[u8]) {
        let mut found = Found::default();
        self.searcher.bytes(bytes, Own::Nothing, &mut found);
        self.scanned.value_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.enter(place, &found);
    }

    /// One finding for each signature in a file, with its first place and how often it is there.
    fn enter(&mut self, place: &str, found: &Found) {
        let (mut geometry, mut planted) = (true, true);
        for (hit, places) in found.hits() {
            let at = format!("{place}, byte {}", places.first);
            let again = match places.count {
                1 => String::new(),
                count => format!(" ({count} places)"),
            };
            if hit.is_canary() {
                planted = false;
                self.planted.found(&at, &format!("holds {hit}{again}"));
            } else {
                geometry = false;
                self.geometry.found(&at, &format!("looks like {hit}{again}"));
            }
        }
        self.geometry.passed(u64::from(geometry));
        self.planted.passed(u64::from(planted && self.scanned.canaries > 0));
    }
}
