//! The register: every request of an owner is in it, with a due date that the policies allow, and was
//! done in time.

use std::collections::BTreeMap;

use imprimatur_ledger::BookError;
use imprimatur_ledger::register::{Asker, Entry, Outcome};
use imprimatur_runtime::UtcDate;

use super::events::{Asked, Replayed, of};
use super::log::Story;
use super::{Found, Look};
use crate::report::Check;

/// What delays an erasure: legal holds, by the operator's own entries, and what ends them.
#[derive(Default)]
struct Holds {
    /// By slot: the first day of a hold, and the last day on which one was released.
    entered: BTreeMap<u64, (UtcDate, Option<UtcDate>)>,
}

/// Checks each request; gives their number.
pub(super) fn check(
    look: &Look<'_>,
    story: &Story,
    replayed: &Replayed,
    found: &mut Found<'_>,
) -> Result<u64, BookError> {
    let holds = Holds::read(look);
    let mut asked: BTreeMap<Asked, u64> = BTreeMap::new();
    let (mut number, erased) = (0, &mut found.erased);
    for (at, entry) in look.all("register", look.reader.register()) {
        let place = format!("request {at}");
        number += 1;
        let whole = at == number && entry.number == at;
        erased.expect(whole, &place, "is out of its place: one was taken out of the register");
        if let Some(problem) = deadline(look, &entry) {
            erased.found(&place, problem);
        }
        in_time(look, (story, replayed), &holds, &entry, erased);
        if let Some(verb) = of_event(&entry.verb) {
            let key = (entry.slot, verb, of(entry.asker), entry.received);
            *asked.entry(key).or_default() += 1;
        } else {
            let read = matches!(entry.verb.as_str(), "explain" | "export");
            erased.expect(read, &place, "asks for what nobody can ask for");
        }
    }
    let told = look.reader.requests()?;
    let problem = "is not the number of requests in the register";
    erased.expect(told == number, "book, number `requests`", problem);
    events_and_entries(replayed, &asked, erased);
    Ok(number)
}

impl Holds {
    fn read(look: &Look<'_>) -> Self {
        let mut holds = Self::default();
        for (_, entry) in look.all("register", look.reader.register()) {
            match entry.verb.as_str() {
                "restrict" if entry.asker == Asker::Operator => {
                    let hold = holds.entered.entry(entry.slot);
                    hold.or_insert((entry.received, None)).1 = None;
                }
                "release" if entry.asker == Asker::Operator => {
                    if let Some((_, released)) = holds.entered.get_mut(&entry.slot) {
                        *released = Some(entry.received);
                    }
                }
                _ => {}
            }
        }
        holds
    }
}

/// What is wrong with what an entry says of its days.
fn deadline(look: &Look<'_>, entry: &Entry) -> Option<&'static str> {
    let policies = || look.terms.policies().map(|policy| policy.deadlines);
    // The strictest policy binds; which were known then is not told, so the loosest is the bound.
    let most = match entry.verb.as_str() {
        "erase" => policies().map(|by| by.erasure_days).max(),
        "rectify" => policies().map(|by| by.answer_days).max(),
        "complain" => policies().map(|by| by.complaint_days).max(),
        _ => Some(0),
    };
    let days = entry.due.0.checked_sub(entry.received.0);
    let allowed = days.zip(most).is_some_and(|(days, most)| days <= most);
    let closed = entry.closed.is_some() == (entry.outcome == Outcome::Done);
    let all = [
        (allowed, "is due on a day that no policy allows"),
        (closed, "is done without a day, or has one and is not done"),
    ];
    all.into_iter().find(|(fine, _)| !fine).map(|(_, problem)| problem)
}

/// A request is done by its due date; an erasure under a legal hold when that has ended.
fn in_time(
    look: &Look<'_>,
    (story, replayed): (&Story, &Replayed),
    holds: &Holds,
    entry: &Entry,
    erased: &mut Check,
) {
    let place = format!("request {}, `{}` of {}", entry.number, entry.verb, entry.received);
    let standing = replayed.standing(entry.slot);
    let hold = standing.and_then(|standing| standing.hold);
    let held_until = hold.map(|hold| hold.until.unwrap_or(UtcDate(u32::MAX)));
    if entry.outcome == Outcome::Held {
        erased.expect(hold.is_some(), &place, "waits for a legal hold, and there is none");
    }
    let ended = entry.closed.unwrap_or(look.day);
    let hold_entered = holds.entered.get(&entry.slot).filter(|(from, _)| *from <= entry.due);
    let mut due = entry.due;
    if entry.verb == "erase" {
        let days = entry.due.0.saturating_sub(entry.received.0);
        let released = hold_entered.and_then(|(_, released)| *released);
        let from = held_until.max(released).map(|from| UtcDate(from.0.saturating_add(days)));
        due = from.map_or(due, |from| due.max(from));
        // Its hold ended by itself, on a day that went with the key; a restore may have taken the
        // entry of the hold away.
        let held = hold_entered.is_some() && released.is_none();
        if entry.outcome == Outcome::Done && (held || story.restored()) {
            due = ended;
        }
    }
    let problem = match entry.closed {
        Some(closed) => format!("was due on {}, and was done on {closed}", entry.due),
        None => format!("was due on {}, and is not done", entry.due),
    };
    erased.expect(ended <= due, &place, &problem);
}

/// Verbs that leave an event, as events name them.
fn of_event(verb: &str) -> Option<&'static str> {
    match verb {
        "restrict" => Some("restrict"),
        "release" => Some("release"),
        "erase" => Some("erase"),
        "object" | "withdraw" => Some("object"),
        "rectify" => Some("rectify"),
        "complain" => Some("complain"),
        _ => None,
    }
}

/// Each recorded request is in the register, and the register tells of no other.
fn events_and_entries(replayed: &Replayed, asked: &BTreeMap<Asked, u64>, erased: &mut Check) {
    for (key, &recorded) in &replayed.asked {
        let entered = asked.get(key).copied().unwrap_or(0);
        let (slot, verb, who, on) = key;
        let place = format!("`{verb}` of slot {slot} by the {who} on {on}");
        erased.expect(entered >= recorded, &place, "was recorded, and is not in the register");
    }
    for (key, &entered) in asked {
        let (slot, verb, who, on) = key;
        // Behind a destroyed key nobody can tell what was asked.
        if replayed.standing(*slot).is_none() {
            continue;
        }
        let recorded = replayed.asked.get(key).copied().unwrap_or(0);
        let place = format!("`{verb}` of slot {slot} by the {who} on {on}");
        erased.expect(recorded >= entered, &place, "is in the register, and was never recorded");
    }
}
