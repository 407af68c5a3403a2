//! The policy: what an operator promises, as a TOML document; consent is to its exact bytes, by hash.
//!
//! A policy can promise more than the law and the strictest rows of the promises it was drawn from,
//! never less: [`check`] knows the limits.

mod reader;
mod sections;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use imprimatur_proto::consent::v1::Method;
use imprimatur_runtime::UtcDate;

use crate::Category;
use crate::calendar;
use crate::ids::Digest;

/// Records older than this are refused: what an agent may have spooled while it was offline.
pub const OLDEST_RECORD_DAYS: u32 = 35;

/// Bytes of a policy, at most: the default in thirty languages takes half of it.
pub const BYTES_MAX: usize = 262_144;

/// The shipped default, strictest of all.
pub const STRICTEST: &str = include_str!("../../../policies/strictest.toml");

/// All shipped policies by name, the default last.
pub const SHIPPED: [(&str, &str); 7] = [
    ("ultimaker-account-2019", include_str!("../../../policies/ultimaker-account-2019.toml")),
    ("ultimaker-cura-2020", include_str!("../../../policies/ultimaker-cura-2020.toml")),
    ("formlabs-install-2018", include_str!("../../../policies/formlabs-install-2018.toml")),
    ("formlabs-dashboard-2018", include_str!("../../../policies/formlabs-dashboard-2018.toml")),
    ("stratasys-2018", include_str!("../../../policies/stratasys-2018.toml")),
    ("pixeljet-2018", include_str!("../../../policies/pixeljet-2018.toml")),
    ("strictest", STRICTEST),
];

/// One problem of a policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// The key, dotted; empty when the text is not TOML.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub advice: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        write!(f, "{}; {}", self.problem, self.advice)
    }
}

/// A policy that cannot be used, with all its problems. Report it with its file and stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyError(pub Vec<Problem>);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the policy cannot be used")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// A checked policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// SHA-256 of the document's bytes: what consent refers to.
    pub hash: Digest,
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
    /// Who operates the collector.
    pub operator: Operator,
    /// Notices by language; `en` is always there.
    pub notices: BTreeMap<String, Notice>,
    /// The purpose of each category that is offered.
    pub purposes: BTreeMap<Category, Purpose>,
    /// How long what is kept.
    pub retention: Retention,
    /// By when what is done.
    pub deadlines: Deadlines,
    /// Where data is stored and processed: `EEA` or ISO 3166-1 codes of countries.
    pub regions: Vec<String>,
    /// The age that an owner affirms, years, at least 13; `None` when only the authority to decide
    /// for the printer is affirmed, which always is.
    pub minimum_age: Option<u8>,
    /// How long a pseudonym lasts.
    pub epoch: EpochLength,
    /// The ways in which a yes may be said.
    pub methods: BTreeSet<Method>,
    /// Months for which a yes holds.
    pub validity_months: u8,
    /// Months after a no in which the question is not asked again.
    pub ask_again_months: u8,
    /// The limits of answers.
    pub query: QueryDefaults,
    /// What it replaces; `None` for a first version.
    pub change: Option<Change>,
    /// How this policy keeps which promise: a phrase by the promise's row.
    pub keeps: BTreeMap<String, String>,
}

/// Who operates the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Its name: the controller.
    pub name: String,
    /// Where it is reached.
    pub contact: String,
    /// The supervisory authority to which an owner may complain.
    pub authority: String,
}

/// A notice in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What the owner reads.
    pub text: String,
    /// SHA-256 of the text's UTF-8.
    pub hash: Digest,
}

/// One purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Its key in the contract.
    pub key: String,
    /// What the owner reads, in each language of the notice.
    pub texts: BTreeMap<String, String>,
}

impl Purpose {
    /// What the owner reads, in this language or else in English.
    pub fn text(&self, language: &str) -> &str {
        self.texts.get(language).or_else(|| self.texts.get("en")).map_or("", String::as_str)
    }
}

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days that print rows are kept, 1 to 90.
    pub print_days: u32,
    /// Days that day rows are kept, 1 to 396: 13 months.
    pub day_days: u32,
    /// Months that the evidence of consent is kept after its end, 1 to 36.
    pub evidence_months: u32,
}

/// By when what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Days until a request is answered, 1 to 30.
    pub answer_days: u32,
    /// Hours until erased data is gone from what is in use, 1 to 72.
    pub erasure_live_hours: u32,
    /// Days until it is gone everywhere, 1 to 30.
    pub erasure_days: u32,
    /// Days until a complaint is answered, 1 to 45.
    pub complaint_days: u32,
    /// Days from the announcement of a change to its effect, at least 30.
    pub notice_days: u32,
    /// Days that a backup is kept, 1 to 30.
    pub backup_days: u32,
}

/// How long a pseudonym lasts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum EpochLength {
    /// A day: nothing of one day can be joined to another.
    Day,
    /// A calendar month.
    Month,
}

impl EpochLength {
    /// The epoch of a date: `YYYYMMDD` for a day, `YYYYMM` for a month.
    pub fn epoch(self, date: UtcDate) -> u32 {
        match self {
            Self::Day => calendar::digits(date),
            Self::Month => date.month(),
        }
    }
}

/// The last day of an epoch of either length; `None` for a number that is none.
pub fn epoch_last_day(epoch: u32) -> Option<UtcDate> {
    if epoch >= 10_000_000 { calendar::of_digits(epoch) } else { calendar::last_of_month(epoch) }
}

/// The limits of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryDefaults {
    /// Principals in a group, at least, for the operator's own engineers; at least 10.
    pub k: u32,
    /// Principals in a group, at least, for anything that leaves them; at least `k`.
    pub k_released: u32,
    /// Largest share of the greatest contributor, percent, 1 to 30.
    pub top1_percent: u8,
    /// Largest share of the two greatest together, percent, 1 to 50.
    pub top2_percent: u8,
    /// Budget of one release of one metric, thousandths of epsilon, 1 to 100.
    pub epsilon_release_milli: u32,
    /// Budget of one principal in 30 days, thousandths of epsilon, 1 to 1,000.
    pub epsilon_month_milli: u32,
    /// Budget of one principal in a year, thousandths of epsilon, 1 to 12,000: at most 17.3 bits.
    pub epsilon_year_milli: u32,
}

/// What a policy replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The policy that it replaces.
    pub supersedes: Digest,
    /// When it was announced.
    pub announced: UtcDate,
    /// From when it holds.
    pub effective: UtcDate,
    /// Categories that collect more, or for more, than before: their consent ends at the effect.
    pub grown: BTreeSet<Category>,
}

impl Policy {
    /// Reads and checks a policy document.
    ///
    /// # Errors
    /// [`PolicyError`] says of every problem the line, the key and what to write instead.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        check(text).map_err(PolicyError)
    }

    /// The notice in this language, or else in English.
    pub fn notice(&self, language: &str) -> &str {
        let notice = self.notices.get(language).or_else(|| self.notices.get("en"));
        notice.map_or("", |notice| notice.text.as_str())
    }

    /// Whether a category is offered.
    pub fn offers(&self, category: Category) -> bool {
        self.purposes.contains_key(&category)
    }
}

/// Reads a policy document and finds all its problems.
///
/// # Errors
/// Every [`Problem`], in the order of the lines.
pub fn check(text: &str) -> Result<Policy, Vec<Problem>> {
    sections::policy(text)
}
