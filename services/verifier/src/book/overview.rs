//! The overview: how many agree to what is counted anew from events, principal by principal.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::{Category, Digest, PrincipalId};
use imprimatur_lake::Overview;
use imprimatur_ledger::{BookError, Opened};

use super::events::Replayed;
use super::{Found, Look};

/// One principal.
#[derive(Default)]
struct Person {
    /// The book alone knows who was enrolled: tokens leave no event.
    enrolled: bool,
    lives: bool,
    granted: BTreeSet<(Category, Digest)>,
}

/// Compares, if the overview is of the very state that the book is in.
pub(super) fn check(
    look: &Look<'_>,
    replayed: &Replayed,
    overview: &Overview,
    found: &mut Found<'_>,
) -> Result<(), BookError> {
    let book = (look.reader.position()?, look.reader.log_size()?);
    if (overview.position, overview.log.size) != book {
        return Ok(());
    }
    let today = overview.published.date();
    let mut people: BTreeMap<PrincipalId, Person> = BTreeMap::new();
    for (slot, subject) in look.all("subjects", look.reader.subjects(&look.evidence.keyring)) {
        let (Opened::Whole(subject), Some(standing)) = (subject, replayed.standing(slot)) else {
            continue;
        };
        let person = people.entry(standing.principal).or_default();
        person.enrolled |= subject.enrolled;
        if standing.ended.is_some() {
            continue;
        }
        person.lives = true;
        let stands =
            |category: &Category| standing.decide(&look.terms, *category, today, today).is_ok();
        let granted = standing.granted.iter().filter(|(category, _)| stands(category));
        person.granted.extend(granted.map(|(category, grant)| (*category, grant.policy)));
    }
    let mut expected: BTreeMap<(Category, Digest), u64> = BTreeMap::new();
    let mut principals = 0;
    for person in people.values().filter(|person| person.enrolled && person.lives) {
        principals += 1;
        person.granted.iter().for_each(|key| *expected.entry(*key).or_default() += 1);
    }
    let permits = &mut found.permits;
    let place = "lake/overview.json";
    let problem = "tells another number of principals than the book adds up to";
    permits.expect(overview.principals == principals, place, problem);
    let told = overview.coverage.iter();
    let told: BTreeMap<_, _> = told.map(|of| ((of.category, of.policy), of.principals)).collect();
    let whole = told.len() == overview.coverage.len() && told == expected;
    permits.expect(whole, place, "tells another coverage than the events add up to");
    answers(look, overview, found)
}

/// No kind of answer is told more often than it was counted.
fn answers(look: &Look<'_>, overview: &Overview, found: &mut Found<'_>) -> Result<(), BookError> {
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for of in &overview.answers {
        let (outcome, reason) = (of.outcome.as_str(), of.reason.as_str());
        let point = if reason.is_empty() { "" } else { "." };
        let sum = told.entry(format!("{outcome}{point}{reason}")).or_default();
        *sum = sum.saturating_add(of.count);
    }
    let counts = look.reader.counts()?;
    let fits = |(name, told): (&String, &u64)| counts.get(name).is_some_and(|all| told <= all);
    let fine = told.iter().all(fits);
    found.first.expect(fine, "lake/overview.json", "tells more answers than the book counts");
    Ok(())
}
