//! The account of what was spent: `budget.jsonl`, one line for each release, appended and never changed.
//!
//! A line is JSON with the keys `number` (from 1), `time` (seconds since 1970), `spent` (millionths of
//! epsilon), `on` and `sha256`, ended by a line feed. `sha256` is that of the text
//! `imprimatur budget v1` and a zero byte, the 32 bytes of the line before (zeros before the first),
//! and the line's JSON list of its other values in this order. So no line can be changed, dropped or
//! moved but the last ones, and a release that is kept tells that its line is missing.
//!
//! A line is durable before noise is drawn. So bytes after the last whole line were never followed by
//! noise if a crash tore them; but who cut a confirmed line would leave the same bytes. They count as
//! spent, each line at the most that a release can cost, from the moment at which they are found. The
//! next release writes that down as a line `torn` behind them, with their length and SHA-256. Anything
//! else that is not whole is damage, and nothing is released until the file is restored.
//!
//! Every release counts for every principal (basic composition, no credit for populations that share
//! nobody). Time never goes back: a line is not earlier than the one before it, so who sets the clock
//! back frees nothing.

use std::collections::BTreeSet;

use imprimatur_consent::Digest;
use imprimatur_runtime::UnixSeconds;

use crate::error::BudgetSpent;
use crate::limits::{Limits, MicroEpsilon};

/// Seconds in a day.
const DAY: u64 = 86_400;

/// The most bytes of a line; two together are longer.
const LINE_MOST: usize = 400;

/// What one line was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum On {
    /// A release.
    Release(Digest),
    /// Bytes before this line that are no line.
    Torn {
        /// How many.
        bytes: u64,
        /// Their digest.
        sha256: Digest,
    },
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) time: UnixSeconds,
    pub(crate) spent: MicroEpsilon,
    pub(crate) on: On,
    sha256: Digest,
}

/// Bytes after the last whole line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
    /// What they count for.
    pub(crate) spent: MicroEpsilon,
    /// Whether they end with a line feed.
    is_ended: bool,
}

/// All that was spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) lines: Vec<Line>,
    pub(crate) tail: Option<Tail>,
}

/// The number of a line, from 1, that is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DamagedLine(pub(crate) u64);

/// What is left, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Budget {
    /// Spent in the last 30 days.
    #[serde(rename = "month_spent_micro")]
    pub month_spent: MicroEpsilon,
    /// What may be spent in any 30 days.
    #[serde(rename = "month_limit_micro")]
    pub month_limit: MicroEpsilon,
    /// Spent in the last 365 days.
    #[serde(rename = "year_spent_micro")]
    pub year_spent: MicroEpsilon,
    /// What may be spent in any 365 days.
    #[serde(rename = "year_limit_micro")]
    pub year_limit: MicroEpsilon,
    /// Bytes after the last whole line; they count as spent.
    pub torn_bytes: u64,
}

impl Line {
    fn digest(&self, before: Digest) -> Digest {
        let mut bytes = b"imprimatur budget v1\0".to_vec();
        bytes.extend(before.0);
        let values = (self.number, self.time, self.spent, self.on);
        // Numbers and hex: writing them does not fail.
        bytes.extend(serde_json::to_vec(&values).unwrap_or_default());
        Digest::of(&bytes)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

impl Account {
    /// Reads the whole file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, DamagedLine> {
        let mut account = Self { lines: Vec::new(), tail: None };
        let mut torn: Vec<u8> = Vec::new();
        let mut torn_lines = 0;
        for (number, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let Some(line) = account.whole(text) else {
                // A crash leaves the beginning of a line, never two or one that says something else.
                let is_line = text.ends_with(b"\n") && serde_json::from_slice::<Line>(text).is_ok();
                if is_line || text.len() > LINE_MOST {
                    return Err(DamagedLine(number));
                }
                torn.extend(text);
                torn_lines += 1;
                continue;
            };
            let named = On::Torn { bytes: length(&torn), sha256: Digest::of(&torn) };
            let fits = match line.on {
                On::Release(_) => torn.is_empty(),
                On::Torn { .. } => !torn.is_empty() && line.on == named,
            };
            if !fits {
                return Err(DamagedLine(number));
            }
            account.lines.push(line);
            (torn, torn_lines) = (Vec::new(), 0);
        }
        if !torn.is_empty() {
            account.tail = Some(Tail {
                bytes: length(&torn),
                sha256: Digest::of(&torn),
                spent: MicroEpsilon(MicroEpsilon::RELEASE.0.saturating_mul(torn_lines)),
                is_ended: torn.ends_with(b"\n"),
            });
        }
        Ok(account)
    }

    /// The next line, if these bytes are one to the last bit.
    fn whole(&self, text: &[u8]) -> Option<Line> {
        let line: Line = serde_json::from_slice(text).ok()?;
        let last = self.lines.last();
        let is_next = line.number == self.next_number()
            && last.is_none_or(|last| last.time <= line.time)
            && line.sha256 == line.digest(self.head())
            && line.bytes() == text;
        is_next.then_some(line)
    }

    fn next_number(&self) -> u64 {
        self.lines.last().map_or(0, |line| line.number).saturating_add(1)
    }

    fn head(&self) -> Digest {
        self.lines.last().map_or(Digest([0; 32]), |line| line.sha256)
    }

    /// The time that counts: never before that of the last line.
    fn at_least(&self, now: UnixSeconds) -> UnixSeconds {
        self.lines.last().map_or(now, |line| line.time.max(now))
    }

    /// The bytes of a line that follows.
    pub(crate) fn next(&self, now: UnixSeconds, spent: MicroEpsilon, on: On) -> Vec<u8> {
        let (number, time) = (self.next_number(), self.at_least(now));
        let mut line = Line { number, time, spent, on, sha256: Digest([0; 32]) };
        line.sha256 = line.digest(self.head());
        line.bytes()
    }

    /// What is to be appended before anything else: the line feed that the tail lacks, which may make
    /// it a whole line, or the line that names it.
    pub(crate) fn mend(&self, now: UnixSeconds) -> Option<Vec<u8>> {
        let tail = self.tail?;
        let on = On::Torn { bytes: tail.bytes, sha256: tail.sha256 };
        Some(if tail.is_ended { self.next(now, tail.spent, on) } else { b"\n".to_vec() })
    }

    /// What was spent, and when; the tail counts as of now.
    fn spendings(&self, now: UnixSeconds) -> impl Iterator<Item = (UnixSeconds, MicroEpsilon)> {
        let tail = self.tail.map(|tail| (now, tail.spent));
        self.lines.iter().map(|line| (line.time, line.spent)).chain(tail)
    }

    /// Spent in the so many days before and at a moment.
    fn spent(&self, days: u32, at: UnixSeconds, now: UnixSeconds) -> MicroEpsilon {
        let period = u64::from(days) * DAY;
        let within = |time: UnixSeconds| at.0.saturating_sub(time.0) < period;
        let spendings = self.spendings(now).filter(|(time, _)| within(*time));
        spendings.fold(MicroEpsilon::default(), |sum, (_, spent)| sum.plus(spent))
    }

    /// Whether a release of `wanted` fits now.
    ///
    /// # Errors
    /// [`BudgetSpent`] with the period that is full.
    pub(crate) fn fits(
        &self,
        limits: Limits,
        now: UnixSeconds,
        wanted: MicroEpsilon,
    ) -> Result<(), BudgetSpent> {
        let now = self.at_least(now);
        let periods = [(30, limits.month()), (365, limits.year())];
        let full = |at| {
            periods.into_iter().find_map(|(days, limit)| {
                let spent = self.spent(days, at, now);
                (spent.plus(wanted) > limit).then_some((days, limit, spent))
            })
        };
        let Some((days, limit, spent)) = full(now) else { return Ok(()) };
        // Something becomes free only where a spending leaves a period.
        let leaves = |time: UnixSeconds| {
            periods.map(|(days, _)| UnixSeconds(time.0.saturating_add(u64::from(days) * DAY)))
        };
        let moments = self.spendings(now).flat_map(|(time, _)| leaves(time));
        let later: BTreeSet<UnixSeconds> = moments.filter(|moment| *moment > now).collect();
        let free_again = later.into_iter().find(|moment| full(*moment).is_none());
        // Once everything has left, whatever a release may cost fits.
        let free_again = free_again.unwrap_or(UnixSeconds(u64::MAX));
        Err(BudgetSpent { days, spent, limit, wanted, free_again })
    }

    /// What is left.
    pub(crate) fn budget(&self, limits: Limits, now: UnixSeconds) -> Budget {
        let now = self.at_least(now);
        Budget {
            month_spent: self.spent(30, now, now),
            month_limit: limits.month(),
            year_spent: self.spent(365, now, now),
            year_limit: limits.year(),
            torn_bytes: self.tail.map_or(0, |tail| tail.bytes),
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
