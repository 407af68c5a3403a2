//! A subject's standing: what is granted since when, and the one decision whether a section may be
//! kept (INV-1).
//!
//! The standing is the fold of a subject's consent events in the order of their numbers. The gate,
//! the commit and the verifier all ask the same [`Standing::decide`].

use std::collections::BTreeMap;

use imprimatur_proto::consent::v1::{ConsentEvent, Decision};
use imprimatur_runtime::UtcDate;

use crate::Category;
use crate::ids::{Digest, PrincipalId, SubjectId};
use crate::keys::VerifyingKey;
use crate::policy::OLDEST_RECORD_DAYS;

/// Why a section may not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The category is not granted, or not any more.
    #[error("the category is not granted")]
    NoGrant,
    /// The record began before the category was granted.
    #[error("the record began before the grant")]
    BeforeGrant,
    /// The record is of the future or older than the collector accepts.
    #[error("the record's date is out of range")]
    DateOutOfRange,
}

/// Why a consent event is not valid, whatever the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// A part is missing, or the public key is none.
    #[error("a part of the consent event is missing or unusable")]
    Incomplete,
    /// Its number is not above the newest of its subject.
    #[error("the event's number was used before")]
    SequenceReused,
    /// Its key or principal is not the subject's.
    #[error("the event is of another subject or principal")]
    Foreign,
}

/// What a subject's consent events add up to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Standing {
    /// The subject's public key.
    pub public_key: Digest,
    /// The principal that consents for it.
    pub principal: PrincipalId,
    /// The policy consented to last.
    pub policy: Digest,
    /// Number of the newest event.
    pub sequence: u64,
    /// Granted categories and the date of their grant.
    pub granted: BTreeMap<Category, UtcDate>,
}

impl Standing {
    /// The subject's id.
    pub fn subject(&self) -> SubjectId {
        SubjectId::of(&self.public_key.0)
    }

    /// What the first event of a subject makes.
    ///
    /// # Errors
    /// [`InvalidEvent`]; nothing changes.
    pub fn begin(event: &ConsentEvent) -> Result<Self, InvalidEvent> {
        let key = VerifyingKey::from_bytes(&event.public_key);
        let key = key.map_err(|_no_key| InvalidEvent::Incomplete)?;
        let empty = Self {
            public_key: Digest(key.to_bytes()),
            principal: principal(event)?,
            policy: Digest([0; 32]),
            sequence: 0,
            granted: BTreeMap::new(),
        };
        empty.apply(event)
    }

    /// What one more event makes of it. A grant of what is granted keeps the older date; a
    /// withdrawal of what is not granted changes nothing but the number.
    ///
    /// # Errors
    /// [`InvalidEvent`]; nothing changes.
    pub fn apply(&self, event: &ConsentEvent) -> Result<Self, InvalidEvent> {
        let foreign = event.public_key != self.public_key.0 || principal(event)? != self.principal;
        if foreign {
            return Err(InvalidEvent::Foreign);
        }
        if event.sequence <= self.sequence {
            return Err(InvalidEvent::SequenceReused);
        }
        let policy = Digest::try_from(event.policy_hash.as_slice());
        let policy = policy.map_err(|_absent| InvalidEvent::Incomplete)?;
        let mut next = Self { sequence: event.sequence, ..self.clone() };
        // A withdrawal is never turned away for its date, and agrees to no policy.
        let granted = event.decision() == Decision::Granted;
        if event.categories.is_empty() || (granted && event.date == 0) {
            return Err(InvalidEvent::Incomplete);
        }
        if granted {
            next.policy = policy;
        }
        for &number in &event.categories {
            let category = Category::from_number(number).ok_or(InvalidEvent::Incomplete)?;
            match event.decision() {
                Decision::Granted | Decision::Renewed => {
                    next.granted.entry(category).or_insert(UtcDate(event.date));
                }
                Decision::Withdrawn | Decision::Transferred => {
                    next.granted.remove(&category);
                }
                Decision::Unspecified => return Err(InvalidEvent::Incomplete),
            }
        }
        Ok(next)
    }

    /// Whether a section of this category, in a record of this date, may be kept today: the grant
    /// that is in force now must also have been in force on the record's date.
    ///
    /// # Errors
    /// [`Denial`]: it may not.
    pub fn decide(&self, category: Category, date: UtcDate, today: UtcDate) -> Result<(), Denial> {
        let since = *self.granted.get(&category).ok_or(Denial::NoGrant)?;
        if date < since {
            return Err(Denial::BeforeGrant);
        }
        // A device's clock may be ahead of the collector's around midnight.
        let future = date.0 > today.0.saturating_add(1);
        let old = today.0.saturating_sub(date.0) > OLDEST_RECORD_DAYS;
        if future || old { Err(Denial::DateOutOfRange) } else { Ok(()) }
    }
}

fn principal(event: &ConsentEvent) -> Result<PrincipalId, InvalidEvent> {
    let principal = PrincipalId::try_from(event.principal.as_slice());
    principal.map_err(|_wrong_length| InvalidEvent::Incomplete)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::SigningSeed;

    const TODAY: UtcDate = UtcDate(20_778);

    fn event(sequence: u64, decision: Decision, categories: &[Category]) -> ConsentEvent {
        ConsentEvent {
            public_key: SigningSeed::from_seed(&[3; 32]).public().to_vec(),
            principal: vec![9; 16],
            sequence,
            decision: decision.into(),
            categories: categories.iter().map(|category| category.number()).collect(),
            policy_hash: vec![5; 32],
            date: TODAY.0,
            ..ConsentEvent::default()
        }
    }

    #[test]
    fn a_grant_covers_its_category_from_its_date_on() {
        let standing =
            Standing::begin(&event(1, Decision::Granted, &[Category::PrintTime])).unwrap();
        let decide = |category, date| standing.decide(category, UtcDate(date), TODAY);
        assert_eq!(decide(Category::PrintTime, TODAY.0), Ok(()));
        assert_eq!(decide(Category::PrintTime, TODAY.0 + 1), Ok(()));
        assert_eq!(decide(Category::PrintTime, TODAY.0 + 2), Err(Denial::DateOutOfRange));
        assert_eq!(decide(Category::PrintTime, TODAY.0 - 1), Err(Denial::BeforeGrant));
        assert_eq!(decide(Category::Laser, TODAY.0), Err(Denial::NoGrant));
        let late = UtcDate(TODAY.0 + OLDEST_RECORD_DAYS + 1);
        assert_eq!(standing.decide(Category::PrintTime, TODAY, late), Err(Denial::DateOutOfRange));
    }

    #[test]
    fn events_of_others_and_repeats_change_nothing() {
        let standing = Standing::begin(&event(2, Decision::Granted, &[Category::Laser])).unwrap();
        let repeat = event(2, Decision::Withdrawn, &[Category::Laser]);
        assert_eq!(standing.apply(&repeat), Err(InvalidEvent::SequenceReused));
        let other = ConsentEvent { principal: vec![8; 16], ..event(3, Decision::Granted, &[]) };
        assert_eq!(standing.apply(&other), Err(InvalidEvent::Foreign));
        assert_eq!(
            standing.apply(&event(3, Decision::Granted, &[])),
            Err(InvalidEvent::Incomplete)
        );
        assert_eq!(
            standing.apply(&event(3, Decision::Unspecified, &[Category::Laser])),
            Err(InvalidEvent::Incomplete)
        );
    }

    proptest! {
        /// The standing agrees with a plain set that is granted to and withdrawn from.
        #[test]
        fn what_is_granted_last_is_what_is_permitted(
            decisions in proptest::collection::vec((any::<bool>(), 0..11_usize), 1..40),
        ) {
            let mut model = std::collections::BTreeSet::new();
            let mut standing = None;
            for (number, (grant, place)) in (1..).zip(decisions) {
                let category = Category::ALL[place];
                let decision = if grant { Decision::Granted } else { Decision::Withdrawn };
                if grant { model.insert(category); } else { model.remove(&category); }
                let event = event(number, decision, &[category]);
                standing = Some(match &standing {
                    None => Standing::begin(&event).unwrap(),
                    Some(standing) => Standing::apply(standing, &event).unwrap(),
                });
            }
            let standing = standing.unwrap();
            for category in Category::ALL {
                prop_assert_eq!(
                    standing.decide(category, TODAY, TODAY).is_ok(),
                    model.contains(&category)
                );
            }
        }
    }
}
