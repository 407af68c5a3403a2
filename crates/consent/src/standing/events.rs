//! What each event makes of a standing. Fail closed: an event that lacks anything changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_proto::consent::v1::{Affirmation, ConsentEvent, Decision, Method};
use imprimatur_runtime::UtcDate;

use super::{Ended, Grant, Grounds, InvalidEvent, Restriction, Standing};
use crate::Category;
use crate::event::{Acting, What, decoded};
use crate::ids::{Digest, PrincipalId};
use crate::keys::VerifyingKey;
use crate::policy::Policy;
use crate::state::State;
use crate::terms::Terms;

/// No policy: nothing was granted yet.
const NONE: Digest = Digest([0; 32]);

pub(super) fn begin(terms: &Terms, event: &ConsentEvent) -> Result<Standing, InvalidEvent> {
    let key = VerifyingKey::from_bytes(&event.public_key);
    let empty = Standing {
        public_key: Digest(key.map_err(|_no_key| InvalidEvent::Incomplete)?.to_bytes()),
        principal: principal(event)?,
        recovery: None,
        policy: NONE,
        sequence: 0,
        granted: BTreeMap::new(),
        past: BTreeMap::new(),
        restriction: None,
        hold: None,
        ended: None,
    };
    apply(&empty, terms, event)
}

pub(super) fn apply(
    before: &Standing,
    terms: &Terms,
    event: &ConsentEvent,
) -> Result<Standing, InvalidEvent> {
    if event.public_key != before.public_key.0 || principal(event)? != before.principal {
        return Err(InvalidEvent::Foreign);
    }
    if event.sequence <= before.sequence {
        return Err(InvalidEvent::SequenceReused);
    }
    if before.ended.is_some() {
        return Err(InvalidEvent::Ended);
    }
    let categories = categories(event)?;
    let mut next = Standing { sequence: event.sequence, ..before.clone() };
    match event.decision() {
        Decision::Granted => grant(&mut next, terms, event, &categories)?,
        Decision::Renewed => renew(&mut next, terms, event, &categories)?,
        Decision::Withdrawn => withdraw(&mut next, &categories, UtcDate(event.date)),
        Decision::Transferred => {
            end(&mut next, Ended::Transferred, State::Terminated, UtcDate(event.date));
        }
        Decision::Unspecified => return Err(InvalidEvent::Incomplete),
    }
    Ok(next)
}

pub(super) fn fold(
    before: Option<&Standing>,
    terms: &Terms,
    what: &What,
    on: UtcDate,
) -> Result<Standing, InvalidEvent> {
    if let What::Consent { signed_event } = what {
        return fold_consent(before, terms, signed_event, on);
    }
    let mut next = before.ok_or(InvalidEvent::Incomplete)?.clone();
    match what {
        What::Restricted { restriction, by } => restrict(&mut next, *restriction, by)?,
        What::Released { by } => release(&mut next, by, on),
        What::Expired { categories } => leave(&mut next, categories, State::Expired),
        What::ErasureRequested { .. } => end(&mut next, Ended::Erased, State::Withdrawn, on),
        // Who names none means all.
        What::Objected { categories, .. } if categories.is_empty() => {
            withdraw(&mut next, &Category::ALL.into(), on);
        }
        What::Objected { categories, .. } => {
            withdraw(&mut next, &categories.iter().copied().collect(), on);
        }
        What::Consent { .. } | What::Rectified { .. } | What::Complained { .. } => {}
    }
    Ok(next)
}

fn fold_consent(
    before: Option<&Standing>,
    terms: &Terms,
    signed_event: &str,
    on: UtcDate,
) -> Result<Standing, InvalidEvent> {
    let (event, _) = decoded(signed_event).map_err(|_damaged| InvalidEvent::Incomplete)?;
    // A yes of the future would hold for longer than its policy says.
    let yes = matches!(event.decision(), Decision::Granted | Decision::Renewed);
    if yes && event.date > on.0.saturating_add(1) {
        return Err(InvalidEvent::Incomplete);
    }
    let mut next = match before {
        None => begin(terms, &event)?,
        Some(before) => apply(before, terms, &event)?,
    };
    // The device's clock may be wrong; what counts from the end counts from its recording.
    next.ended = next.ended.map(|(ended, _)| (ended, on));
    Ok(next)
}

fn grant(
    next: &mut Standing,
    terms: &Terms,
    event: &ConsentEvent,
    categories: &BTreeSet<Category>,
) -> Result<(), InvalidEvent> {
    let policy = agreed(terms, event, categories)?;
    if !event.recovery_key.is_empty() {
        let key = VerifyingKey::from_bytes(&event.recovery_key);
        let key = Digest(key.map_err(|_no_key| InvalidEvent::Incomplete)?.to_bytes());
        // Only the first grant shows a code, and it is no second copy of the subject's key. Whoever
        // did not hear the answer says the first grant again, under another number.
        let again = next.recovery == Some(key);
        if !again && (next.policy != NONE || key == next.public_key) {
            return Err(InvalidEvent::Incomplete);
        }
        next.recovery = Some(key);
    }
    let date = UtcDate(event.date);
    // Between a lapse and a new yes there was no consent, recorded or not.
    let lapsed = next.lapsed(terms, date);
    for &category in categories {
        let kept = next.granted.get(&category).filter(|_| !lapsed.contains(&category));
        let since = kept.map_or(date, |grant| grant.since);
        next.granted.insert(category, Grant { since, renewed: date, policy: policy.hash });
        next.past.remove(&category);
    }
    next.policy = policy.hash;
    Ok(())
}

fn renew(
    next: &mut Standing,
    terms: &Terms,
    event: &ConsentEvent,
    categories: &BTreeSet<Category>,
) -> Result<(), InvalidEvent> {
    let policy = agreed(terms, event, categories)?;
    let date = UtcDate(event.date);
    let lapsed = next.lapsed(terms, date);
    if !event.recovery_key.is_empty() || categories.iter().any(|name| lapsed.contains(name)) {
        return Err(InvalidEvent::Incomplete);
    }
    for category in categories {
        let grant = next.granted.get_mut(category).ok_or(InvalidEvent::Incomplete)?;
        (grant.renewed, grant.policy) = (date, policy.hash);
    }
    next.policy = policy.hash;
    Ok(())
}

/// The policy that a grant or renewal agrees to, when the event has all that a yes must have.
fn agreed<'a>(
    terms: &'a Terms,
    event: &ConsentEvent,
    categories: &BTreeSet<Category>,
) -> Result<&'a Policy, InvalidEvent> {
    let hash = Digest::try_from(event.policy_hash.as_slice());
    let hash = hash.map_err(|_wrong_length| InvalidEvent::Incomplete)?;
    let policy = terms.policy(hash).ok_or(InvalidEvent::PolicyUnknown)?;
    if !categories.iter().all(|&category| policy.offers(category)) {
        return Err(InvalidEvent::NotOffered);
    }
    let language = std::str::from_utf8(&event.notice_language);
    let read = language.is_ok_and(|language| policy.notices.contains_key(language));
    let method = event.method();
    let listed = method == Method::Mandate && event.mandate_hash.len() == 32;
    let by_hand = method != Method::Mandate && event.mandate_hash.is_empty();
    let complete = event.date > 0
        && read
        && policy.methods.contains(&method)
        && (listed || by_hand)
        && event.affirmation() == Affirmation::AgeAndAuthority;
    if complete { Ok(policy) } else { Err(InvalidEvent::Incomplete) }
}

/// A withdrawal of all categories there are ends the subject: a later yes makes a new one.
fn withdraw(next: &mut Standing, categories: &BTreeSet<Category>, on: UtcDate) {
    if Category::ALL.iter().all(|category| categories.contains(category)) {
        end(next, Ended::Withdrawn, State::Withdrawn, on);
    } else {
        leave(next, categories, State::Withdrawn);
    }
}

/// Ends everything. An erasure follows any other end; nothing follows an erasure.
fn end(next: &mut Standing, ended: Ended, state: State, on: UtcDate) {
    leave(next, &Category::ALL, state);
    if next.ended.is_none() || (ended == Ended::Erased && !erased(next)) {
        next.ended = Some((ended, on));
    }
}

fn erased(standing: &Standing) -> bool {
    matches!(standing.ended, Some((Ended::Erased, _)))
}

fn leave<'a>(
    next: &mut Standing,
    categories: impl IntoIterator<Item = &'a Category>,
    state: State,
) {
    for category in categories {
        if next.granted.remove(category).is_some() {
            next.past.insert(*category, state);
        }
    }
}

/// The owner's restriction has no end, a legal hold has one; the longer of two holds stays.
fn restrict(
    next: &mut Standing,
    restriction: Restriction,
    by: &Acting,
) -> Result<(), InvalidEvent> {
    let office = matches!(by, Acting::Operator {} | Acting::Clock {});
    match (restriction.grounds, restriction.until) {
        (Grounds::Owner, None) => next.restriction = Some(restriction),
        (Grounds::PendingTask | Grounds::Claim | Grounds::Statutory, Some(until))
            if office && until >= restriction.since =>
        {
            let longer = |hold: &Restriction| hold.until > restriction.until;
            next.hold = Some(next.hold.filter(longer).unwrap_or(restriction));
        }
        _ => return Err(InvalidEvent::Incomplete),
    }
    Ok(())
}

/// The owner releases the owner's restriction, the operator a hold in force first, the clock what is
/// over.
fn release(next: &mut Standing, by: &Acting, on: UtcDate) {
    match by {
        Acting::Operator {} if next.held(on).is_some() => next.hold = None,
        // A hold that is over stands in nobody's way.
        Acting::Operator {} => (next.hold, next.restriction) = (None, None),
        Acting::Owner { .. } | Acting::Recovery { .. } => next.restriction = None,
        Acting::Clock {} if next.held(on).is_none() => next.hold = None,
        Acting::Clock {} => {}
    }
}

fn principal(event: &ConsentEvent) -> Result<PrincipalId, InvalidEvent> {
    let principal = PrincipalId::try_from(event.principal.as_slice());
    principal.map_err(|_wrong_length| InvalidEvent::Incomplete)
}

fn categories(event: &ConsentEvent) -> Result<BTreeSet<Category>, InvalidEvent> {
    let numbers = event.categories.iter();
    let read: Option<BTreeSet<_>> = numbers.map(|&number| Category::from_number(number)).collect();
    read.filter(|categories| !categories.is_empty()).ok_or(InvalidEvent::Incomplete)
}
