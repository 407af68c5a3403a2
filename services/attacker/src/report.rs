//! What was tried, what came back, and what that means.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Refused, each time with the documented answer.
    Refused,
    /// Something took effect that must not.
    Accepted,
    /// Nothing took effect, but the answer is not the documented one.
    Otherwise,
}

/// One thing that was tried, once or in many forms.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Attempt {
    /// Number of the case in `docs/cases.md`.
    pub case: u32,
    /// What was tried.
    pub tried: String,
    /// In how many forms.
    pub forms: u64,
    /// The documented answer.
    pub expected: String,
    /// Answers that came, and how often each.
    pub came: BTreeMap<String, u64>,
    /// What that means.
    pub verdict: Verdict,
}

/// Something allowed that a modified agent may use to say more than it should.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Channel {
    /// Number of the case in `docs/cases.md`.
    pub case: u32,
    /// What carries the message.
    pub carrier: String,
    /// Bits that were put into one device's day.
    pub sent_bits: f64,
    /// Bits of them that were read back from what the collector stored.
    pub read_bits: f64,
}

/// What stored rows can tell, measured and declared, in bits of one device's day.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Goodput {
    /// Each carrier.
    pub channels: Vec<Channel>,
    /// All that was read back.
    pub measured_bits: f64,
    /// All that rows could tell if batches were cut at will as well.
    pub bound_bits: f64,
    /// What the contract declares.
    pub declared_bits: f64,
    /// Whether every value that was sent came back, so that the measurement is one.
    pub whole: bool,
}

impl Goodput {
    /// Whether no more came through than the contract declares.
    pub fn holds(&self) -> bool {
        self.whole
            && self.measured_bits <= self.declared_bits
            && self.bound_bits <= self.declared_bits
    }
}

/// The whole run.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Report {
    /// Where.
    pub target: String,
    /// All attempts, by case.
    pub attempts: Vec<Attempt>,
    /// What allowed values carried.
    pub goodput: Goodput,
    /// Subjects of this run whose erasure was accepted.
    pub erased: u64,
    /// Subjects of this run that are still held: their erasure was not accepted.
    pub left: u64,
    /// Whether everything was refused as documented, and no more came through than is declared.
    pub holds: bool,
}

impl Attempt {
    pub(crate) fn new(case: u32, tried: &str, expected: &str) -> Self {
        Self {
            case,
            tried: tried.to_owned(),
            forms: 0,
            expected: expected.to_owned(),
            came: BTreeMap::new(),
            verdict: Verdict::Refused,
        }
    }

    /// Takes one answer more.
    pub(crate) fn came(&mut self, word: &str, accepted: bool) {
        self.forms += 1;
        *self.came.entry(word.to_owned()).or_default() += 1;
        let now = match (word == self.expected, accepted) {
            (true, _) => Verdict::Refused,
            (false, true) => Verdict::Accepted,
            (false, false) => Verdict::Otherwise,
        };
        let worse = |verdict| match verdict {
            Verdict::Refused => 0,
            Verdict::Otherwise => 1,
            Verdict::Accepted => 2,
        };
        if worse(now) > worse(self.verdict) {
            self.verdict = now;
        }
    }
}

impl Report {
    /// Puts attempts in order and judges the whole.
    pub(crate) fn judged(mut self) -> Self {
        self.attempts.sort_by_key(|attempt| attempt.case);
        let refused = self.attempts.iter().all(|attempt| attempt.verdict == Verdict::Refused);
        self.holds = refused && self.goodput.holds() && self.left == 0;
        self
    }

    /// The cases of which something was tried.
    pub fn cases(&self) -> std::collections::BTreeSet<u32> {
        self.attempts.iter().map(|attempt| attempt.case).collect()
    }

    fn channels(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Goodput { channels, measured_bits, bound_bits, declared_bits, whole } = &self.goodput;
        writeln!(to, "\nbits of one device's day      case     sent     read back from the rows")?;
        for Channel { case, carrier, sent_bits, read_bits } in channels {
            writeln!(to, "  {carrier:<28} {case:>3} {sent_bits:>8.1} {read_bits:>13.1}")?;
        }
        let holds = if self.goodput.holds() { "holds" } else { "DOES NOT HOLD" };
        writeln!(
            to,
            "  read back {measured_bits:.1}; at most {bound_bits:.1} with batches cut at will; \
             declared {declared_bits:.1}: {holds}"
        )?;
        if !whole {
            writeln!(to, "  not every value came back: this is no measurement")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "attack on {}\n", self.target)?;
        writeln!(to, "case  forms  answer                  verdict    what was tried")?;
        for attempt in &self.attempts {
            let mut came = String::new();
            for word in attempt.came.keys() {
                write!(came, "{}{word}", if came.is_empty() { "" } else { " " })?;
            }
            let verdict = match attempt.verdict {
                Verdict::Refused => "refused",
                Verdict::Accepted => "ACCEPTED",
                Verdict::Otherwise => "OTHERWISE",
            };
            let Attempt { case, forms, tried, expected, .. } = attempt;
            write!(to, "{case:>4} {forms:>6}  {came:<22}  {verdict:<9}  {tried}")?;
            match attempt.verdict {
                Verdict::Refused => writeln!(to)?,
                _ => writeln!(to, " (expected `{expected}`)")?,
            }
        }
        self.channels(to)?;
        writeln!(
            to,
            "\n{} of this run's subjects are erased or will be by their due date{}; what stays is \
             in the log: a blinded hash for each event, counts by reason.",
            self.erased,
            if self.left == 0 { String::new() } else { format!(", {} ARE LEFT", self.left) }
        )?;
        let forms: u64 = self.attempts.iter().map(|attempt| attempt.forms).sum();
        let cases = self.cases().len();
        let words: std::collections::BTreeSet<_> =
            self.attempts.iter().flat_map(|attempt| attempt.came.keys()).collect();
        let holds =
            if self.holds { "everything was refused" } else { "NOT everything was refused" };
        write!(to, "{cases} cases, {forms} attempts, {} different answers: {holds}", words.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_answer_among_many_spoils_an_attempt_and_an_acceptance_is_worst() {
        let mut attempt = Attempt::new(36, "an unknown field", "unknown_field");
        attempt.came("unknown_field", false);
        assert_eq!(attempt.verdict, Verdict::Refused);
        attempt.came("malformed", false);
        assert_eq!(attempt.verdict, Verdict::Otherwise);
        attempt.came("stored", true);
        attempt.came("unknown_field", false);
        assert_eq!((attempt.verdict, attempt.forms), (Verdict::Accepted, 4));
        let report = Report { attempts: vec![attempt], ..Report::default() }.judged();
        assert!(!report.holds);
        assert!(report.to_string().contains("ACCEPTED"), "{report}");
    }

    #[test]
    fn more_than_is_declared_is_no_success() {
        let goodput = |measured_bits, whole| Goodput {
            measured_bits,
            bound_bits: 505.0,
            declared_bits: 509.0,
            channels: Vec::new(),
            whole,
        };
        assert!(goodput(496.0, true).holds());
        assert!(!goodput(510.0, true).holds());
        assert!(!goodput(496.0, false).holds());
    }
}
