//! The overview for the console: what the ledger adds up to at this publication, as counts and dates.
//!
//! Written after evidence and log, whose checkpoint it tells. It names nobody, and withholds nothing: that is
//! for whoever tells it on.

use std::cmp::Reverse;

use imprimatur_lake::{AnswerCount, Coverage, LogState, Overview, Request, Word};
use imprimatur_ledger::register::{Entry, Outcome};
use imprimatur_runtime::UtcDate;

use super::{Publisher, lake_error};
use crate::error::CollectorError;

/// Days for which a request is told after it was done.
const DONE_DAYS: u32 = 90;

/// Requests that are told; open ones come first, then the last that were done.
const REQUESTS_MAX: usize = 1000;

impl Publisher {
    /// Tells the console what stands now.
    pub(super) fn store_overview(&mut self, checkpoint: String) -> Result<(), CollectorError> {
        let book = &self.stores.book;
        let published = self.stores.clock.now();
        let today = published.date();
        // While this one is open nobody writes: coverage and position are of one moment.
        let txn = book.begin()?;
        let covered = txn.coverage(today);
        let (position, _) = book.positions()?;
        drop(txn);
        let terms = book.terms();
        let coverage = covered.granted.into_iter().map(|((category, policy), principals)| {
            let version = terms.policy(policy).map_or(0, |policy| policy.version);
            Coverage { category, policy, version, principals }
        });
        let answers = book.counts_by_day()?.into_iter().filter_map(answer);
        let register = book.register_from(self.requests_from)?;
        let Some(log) = self.log.published() else { return Ok(()) };
        let overview = Overview {
            published,
            position,
            synthetic: self.synthetic,
            principals: covered.principals,
            coverage: coverage.collect(),
            answers: answers.collect(),
            batches_waiting: book.waiting()?,
            requests: requests(&register, today),
            log: LogState { size: log.size, root: log.root, checkpoint },
        };
        overview.store(self.lake.folder()).map_err(lake_error)?;
        let first = register.iter().find(|entry| told(entry, today));
        let after = || register.last().map(|entry| entry.number.saturating_add(1));
        let first = first.map(|entry| entry.number).or_else(after);
        self.requests_from = first.unwrap_or(self.requests_from);
        Ok(())
    }
}

/// A counter's name is what was answered, and after a point why. The code's own names are words.
fn answer(((date, name), count): ((UtcDate, String), u64)) -> Option<AnswerCount> {
    let (outcome, reason) = name.split_once('.').unwrap_or((&name, ""));
    let (outcome, reason) = (Word::of(outcome).ok()?, Word::of(reason).ok()?);
    Some(AnswerCount { date, outcome, reason, count })
}

/// Whether a request is still told. Once it is not, it never is again.
fn told(entry: &Entry, today: UtcDate) -> bool {
    entry.closed.is_none_or(|closed| closed.0.saturating_add(DONE_DAYS) >= today.0)
}

fn requests(register: &[Entry], today: UtcDate) -> Vec<Request> {
    let request = |entry: &Entry| {
        let (received, due, done) = (entry.received, entry.due, entry.closed);
        let kind = Word::of(&entry.verb).ok()?;
        Some(Request { received, kind, due, done, held: entry.outcome == Outcome::Held })
    };
    let entries = register.iter().filter(|entry| told(entry, today));
    let mut requests: Vec<Request> = entries.filter_map(request).collect();
    requests.sort_by_key(|request| (request.done.is_some(), Reverse(request.done)));
    requests.truncate(REQUESTS_MAX);
    requests.sort();
    requests
}
