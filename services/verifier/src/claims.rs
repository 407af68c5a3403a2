//! The claims: what the report says of each of the twelve invariants, and how far bytes can show it.
//!
//! What bytes cannot show has tests and documents that stand in. Each check names its negative
//! control: a test that builds the leak and expects the check to find it. A test of this crate looks
//! whether every named test is in the sources.

mod controls;
mod table;

use imprimatur_consent::Invariant;

use crate::report::Check;

/// How far stored bytes show an invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// All of it that concerns what is stored.
    ByBytes,
    /// A part of it; the rest rests on what stands in.
    Partly,
    /// Nothing of it: it is about conduct, which leaves no bytes here.
    NotByBytes,
}

impl Shown {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ByBytes => "shown by bytes",
            Self::Partly => "partly shown by bytes",
            Self::NotByBytes => "not shown by bytes",
        }
    }
}

/// A check, and the test that shows that it can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Control {
    /// What is checked.
    pub check: &'static str,
    /// The test that breaks it on purpose, as `cargo nextest list` prints it.
    pub test: &'static str,
}

/// What the table says of an invariant.
struct Known {
    invariant: Invariant,
    shown: Shown,
    /// Invariants whose checks show what bytes show of this one; empty when it has checks of its own.
    rests_on: &'static [Invariant],
    how: &'static str,
    limit: &'static str,
    stands_in: &'static [&'static str],
    controls: &'static [Control],
}

/// What is said of one invariant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Claim {
    /// Which.
    pub invariant: Invariant,
    /// As a sentence.
    pub sentence: &'static str,
    /// How far bytes show it.
    pub shown: Shown,
    /// Whether everything that was checked holds; `None` when nothing was.
    pub holds: Option<bool>,
    /// Number of single checks of its own.
    pub checked: u64,
    /// Invariants whose checks show what bytes show of this one; empty when it has checks of its own.
    pub rests_on: &'static [Invariant],
    /// What was done.
    pub how: &'static str,
    /// What that does not show.
    pub limit: &'static str,
    /// Tests and documents that stand in for what bytes do not show.
    pub stands_in: &'static [&'static str],
    /// The checks, each with its negative control.
    pub controls: &'static [Control],
}

/// What to say of all twelve, by what was checked.
pub(crate) fn of(checks: &[Check]) -> Vec<Claim> {
    let check = |of: Invariant| checks.iter().find(|check| check.invariant == of);
    let claim = |known: &Known| {
        let own = check(known.invariant);
        let mut others = known.rests_on.iter().map(|other| check(*other).map(|check| check.holds));
        let all = |holds: bool, other: Option<bool>| other.map(|other| holds && other);
        let borrowed = others.try_fold(true, all);
        let borrowed = borrowed.filter(|_| !known.rests_on.is_empty());
        Claim {
            invariant: known.invariant,
            sentence: known.invariant.sentence(),
            shown: known.shown,
            holds: own.map(|check| check.holds).or(borrowed),
            checked: own.map_or(0, |check| check.checked),
            rests_on: known.rests_on,
            how: known.how,
            limit: known.limit,
            stands_in: known.stands_in,
            controls: known.controls,
        }
    };
    table::ALL.iter().map(claim).collect()
}
