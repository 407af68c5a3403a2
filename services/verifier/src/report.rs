//! The report: for each invariant what was checked and what was found, for people and programs.

use std::fmt;

use imprimatur_consent::Invariant;
use imprimatur_lake::{Checked, Verdict};
use imprimatur_proto::capacity::Capacity;
use imprimatur_proto::contract;
use imprimatur_runtime::UnixSeconds;

use crate::FINDINGS_MAX;
use crate::book::BookFact;
use crate::claims::{Claim, Shown};
use crate::facts::Facts;
use crate::ledger::Ledger;
use crate::scan::Scanned;

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Where: a file, a commit, a position.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

/// What was checked of one invariant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// Which.
    pub invariant: Invariant,
    /// As a sentence.
    pub sentence: &'static str,
    /// Whether it holds for everything that was read.
    pub holds: bool,
    /// Number of single checks.
    pub checked: u64,
    /// Number of findings, also those that are not listed.
    pub failed: u64,
    /// The first findings.
    pub findings: Vec<Finding>,
}

impl Check {
    pub(crate) fn new(invariant: Invariant) -> Self {
        let sentence = invariant.sentence();
        Self { invariant, sentence, holds: true, checked: 0, failed: 0, findings: Vec::new() }
    }

    pub(crate) fn passed(&mut self, checks: u64) {
        self.checked += checks;
    }

    pub(crate) fn found(&mut self, place: &str, problem: &str) {
        self.holds = false;
        self.checked += 1;
        self.failed += 1;
        if self.findings.len() < FINDINGS_MAX {
            let (place, problem) = (place.to_owned(), problem.to_owned());
            self.findings.push(Finding { place, problem });
        }
    }

    /// Adds what was checked of the same invariant elsewhere.
    pub(crate) fn join(&mut self, other: Self) {
        self.holds &= other.holds;
        self.checked = self.checked.saturating_add(other.checked);
        self.failed = self.failed.saturating_add(other.failed);
        let room = FINDINGS_MAX.saturating_sub(self.findings.len());
        self.findings.extend(other.findings.into_iter().take(room));
    }

    /// One check: fine, or a finding.
    pub(crate) fn expect(&mut self, fine: bool, place: &str, problem: &str) {
        if fine {
            self.passed(1);
        } else {
            self.found(place, problem);
        }
    }
}

/// The verdict on a collector's folders.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Report {
    /// What was verified: `compliance`, or the `ledger` alone.
    pub of: &'static str,
    /// What it comes to. Look here, and not at [`Report::holds`] alone.
    pub verdict: Verdict,
    /// Whether every invariant that was checked holds.
    pub holds: bool,
    /// What is said of the book; `None` when only the ledger was verified.
    pub book: Option<BookFact>,
    /// Whether the rows come from a synthetic fleet.
    pub synthetic: bool,
    /// Consent events replayed.
    pub consent_events: usize,
    /// Of these, events that are sealed for ever: their subject was erased.
    pub erased_events: usize,
    /// Commits replayed.
    pub commits: usize,
    /// Files read.
    pub files: usize,
    /// Rows matched.
    pub rows: usize,
    /// What the contract can tell, in bits.
    pub capacity: Capacity,
    /// What was searched; `None` when only the ledger was verified.
    pub scan: Option<Scanned>,
    /// The checks.
    pub checks: Vec<Check>,
    /// What is said of each of the twelve invariants; empty when only the ledger was verified.
    pub invariants: Vec<Claim>,
    /// What the folders say of themselves.
    pub facts: Facts,
    /// What bytes cannot show.
    pub not_proven: &'static str,
}

impl Report {
    pub(crate) fn new(of: &'static str, ledger: &Ledger<'_>, checks: Vec<Check>) -> Self {
        let erased = ledger.events.iter().filter(|(_, event)| event.is_none()).count();
        let mut report = Self {
            of,
            verdict: Verdict::NotAllChecked,
            holds: false,
            book: None,
            synthetic: false,
            consent_events: ledger.events.len(),
            erased_events: erased,
            commits: ledger.commits.len(),
            files: 0,
            rows: 0,
            capacity: contract().capacity(),
            scan: None,
            checks,
            invariants: Vec::new(),
            facts: ledger.facts.clone(),
            not_proven: "Dates and values are the devices' claim; the order within one publication \
                         and the day of a copy are the collector's. A log that was rewritten and \
                         signed again is found with its published key or an older checkpoint.",
        };
        report.judge();
        report
    }

    /// What may lie beside the catalogue: without findings, paths and names.
    pub fn brief(&self, made: UnixSeconds) -> imprimatur_lake::Report {
        let checked = |check: &Check| Checked {
            invariant: check.invariant,
            holds: check.holds,
            checked: check.checked,
            failed: check.failed,
        };
        imprimatur_lake::Report {
            made,
            verdict: self.verdict,
            synthetic: self.synthetic,
            rows: u64::try_from(self.rows).unwrap_or(u64::MAX),
            log_size: self.facts.log_size,
            checks: self.checks.iter().map(checked).collect(),
        }
    }

    /// Comes to its verdict.
    pub(crate) fn judge(&mut self) {
        self.holds = self.checks.iter().all(|check| check.holds);
        let whole = self.book.as_ref().is_none_or(|book| book.checked);
        self.verdict = match (self.holds, whole) {
            (true, true) => Verdict::Holds,
            (true, false) => Verdict::NotAllChecked,
            (false, _) => Verdict::Fails,
        };
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.verdict.words();
        let synthetic = if self.synthetic { "  (synthetic fleet)" } else { "" };
        writeln!(f, "{}: {verdict}{synthetic}", self.of)?;
        writeln!(
            f,
            "  read {} events ({} of erased subjects), {} commits, {} files, {} rows",
            self.consent_events, self.erased_events, self.commits, self.files, self.rows
        )?;
        if self.commits == 0 && self.rows == 0 {
            writeln!(f, "  nothing is stored yet, so little was to be proven")?;
        }
        writeln!(
            f,
            "  contract: {:.2} bits a print ({:.2} correlated with geometry), {:.2} a device's day",
            self.capacity.print_bits,
            self.capacity.print_geometry_bits,
            self.capacity.device_day_bits
        )?;
        if let Some(scan) = &self.scan {
            writeln!(f, "  {scan}")?;
        }
        if let Some(book) = &self.book {
            writeln!(f, "  {book}")?;
        }
        for check in &self.checks {
            let holds = if check.holds { "holds" } else { "FAILS" };
            let name = check.invariant.to_string();
            writeln!(f, "  {name:<6} {holds}  {} ({} checks)", check.sentence, check.checked)?;
            for finding in &check.findings {
                writeln!(f, "         {}: {}", finding.place, finding.problem)?;
            }
            let more = check.failed - u64::try_from(check.findings.len()).unwrap_or(0);
            if more > 0 {
                writeln!(f, "         and {more} more")?;
            }
        }
        for shown in [Shown::Partly, Shown::NotByBytes] {
            let of = self.invariants.iter().filter(|claim| claim.shown == shown);
            let names: Vec<String> = of.map(|claim| claim.invariant.to_string()).collect();
            if !names.is_empty() {
                writeln!(f, "  {}: {}", shown.words(), names.join(", "))?;
            }
        }
        write!(f, "  {}", self.not_proven)
    }
}
