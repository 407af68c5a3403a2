//! What is wrong with a registry, and what is open in it.

use std::collections::BTreeSet;

use super::ran::Results;
use super::registry::{Case, Cases, Policy, Promises, Row};

/// How a refusal begins, so that nobody takes an omission for one.
pub(super) const REFUSAL: &str = "not implemented on purpose, because ";

/// Findings on both registries.
pub(super) struct Audit<'a> {
    known: &'a BTreeSet<String>,
    results: Option<&'a Results>,
    /// Entries that are planned or want a test.
    pub(super) open: Vec<String>,
    /// What must not be in a registry at any time.
    pub(super) faults: Vec<String>,
    kept: usize,
    refused: usize,
    cases: usize,
    named: BTreeSet<String>,
}

impl<'a> Audit<'a> {
    /// `known` tests exist; of `results`, when given, each named test must be one that passed.
    pub(super) fn new(known: &'a BTreeSet<String>, results: Option<&'a Results>) -> Self {
        Self {
            known,
            results,
            open: Vec::new(),
            faults: Vec::new(),
            kept: 0,
            refused: 0,
            cases: 0,
            named: BTreeSet::new(),
        }
    }

    fn fault(&mut self, text: String) {
        self.faults.push(text);
    }

    /// One line on everything.
    pub(super) fn summary(&self) -> String {
        let run = if self.results.is_some() { "all looked up in the report" } else { "none run" };
        format!(
            "{} rows kept, {} refused; {} cases; {} open; {} faults; {} tests named, {run}",
            self.kept,
            self.refused,
            self.cases,
            self.open.len(),
            self.faults.len(),
            self.named.len(),
        )
    }

    /// Every row is there once, and kept or refused.
    pub(super) fn promises(&mut self, promises: &Promises) {
        let expected: Vec<String> = promises.policy.iter().flat_map(Policy::ids).collect();
        let found: Vec<&String> = promises.row.iter().map(|row| &row.id).collect();
        self.complete(&expected.iter().collect::<Vec<_>>(), &found, "row");
        for row in &promises.row {
            self.row(row);
        }
        for one in &promises.contradiction {
            for row in one.rows.iter().filter(|row| !expected.contains(row)) {
                self.fault(format!("contradiction `{}` names the unknown row {row}", one.about));
            }
        }
    }

    /// Every key of the pack that is cited is in `pack`.
    pub(super) fn keys(&mut self, promises: &Promises, pack: &toml::Table) {
        let contradictions = promises.contradiction.iter().flat_map(|one| &one.keys);
        for key in contradictions.chain(promises.strictest.iter().flat_map(|one| &one.keys)) {
            let mut parts = key.split('.');
            let first = parts.next().and_then(|part| pack.get(part));
            if parts.try_fold(first, |at, part| at.map(|at| at.get(part))).flatten().is_none() {
                self.fault(format!("the pack `strictest` has no key `{key}`"));
            }
        }
    }

    /// Every case is there once, with a test and its opposite.
    pub(super) fn cases(&mut self, cases: &Cases) {
        let numbers = cases.group.iter().flat_map(|group| group.cases[0]..=group.cases[1]);
        let expected: Vec<u32> = numbers.collect();
        let found: Vec<u32> = cases.case.iter().map(|case| case.number).collect();
        for (at, one) in expected.iter().enumerate() {
            if expected.iter().take(at).any(|earlier| earlier == one) {
                self.fault(format!("case {one} is in two groups"));
            }
        }
        self.complete(&expected, &found, "case");
        for case in &cases.case {
            self.case(case);
        }
        self.cases = cases.case.len();
    }

    fn complete<T: PartialEq + std::fmt::Display>(&mut self, all: &[T], found: &[T], what: &str) {
        for one in all.iter().filter(|one| !found.contains(one)) {
            self.fault(format!("{what} {one} is missing"));
        }
        for (at, one) in found.iter().enumerate() {
            if !all.contains(one) {
                self.fault(format!("{what} {one} is unknown"));
            }
            if found.iter().take(at).any(|earlier| earlier == one) {
                self.fault(format!("{what} {one} is there twice"));
            }
        }
    }

    fn row(&mut self, row: &Row) {
        let id = &row.id;
        if row.says.trim().is_empty() || row.needs.trim().is_empty() {
            self.fault(format!("{id} does not say what it promises and needs"));
        }
        match (&row.kept, &row.refused, &row.planned) {
            (Some(_), None, None) => {
                self.kept += usize::from(!row.is_open());
                if row.tests.is_empty() && row.wanted.is_empty() {
                    self.fault(format!("{id} is kept and no test shows it"));
                }
            }
            (None, Some(reason), None) => {
                self.refused += usize::from(!row.is_open());
                if reason.strip_prefix(REFUSAL).is_none_or(|because| because.trim().is_empty()) {
                    self.fault(format!("{id} is refused without `{REFUSAL}..`"));
                }
            }
            (None, None, Some(_)) => self.open.push(format!("{id} is planned")),
            (None, None, None) => self.fault(format!("{id} is neither kept nor refused")),
            _ => self.fault(format!("{id} must be one of kept, refused and planned")),
        }
        self.tests(id, &row.tests, &row.wanted);
    }

    fn case(&mut self, case: &Case) {
        let name = format!("case {}", case.number);
        if case.attack.trim().is_empty() || case.answer.trim().is_empty() {
            self.fault(format!("{name} does not say the attack and its answer"));
        }
        if case.wanted.is_empty() {
            for (tests, what) in [(&case.test, "test"), (&case.opposite, "opposite")] {
                if tests.is_empty() {
                    self.fault(format!("{name} has no {what} and wants none"));
                }
            }
        }
        let tests = [&case.test[..], &case.opposite[..]].concat();
        self.tests(&name, &tests, &case.wanted);
    }

    fn tests(&mut self, of: &str, tests: &[String], wanted: &[String]) {
        for test in tests {
            self.named.insert(test.clone());
            if !self.known.contains(test) {
                self.fault(format!("{of} names a test that does not exist: {test}"));
                continue;
            }
            match self.results.map(|results| results.get(test)) {
                Some(None) => self.fault(format!("{of}: did not run: {test}")),
                Some(Some(false)) => self.fault(format!("{of}: did not pass: {test}")),
                None | Some(Some(true)) => {}
            }
        }
        for test in wanted {
            if self.known.contains(test) {
                self.fault(format!("{of} wants a test that exists, so name it as one: {test}"));
            } else {
                self.open.push(format!("{of} wants {test}"));
            }
        }
    }
}
