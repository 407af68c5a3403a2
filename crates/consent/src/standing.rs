//! A subject's standing: what is granted since when, and the one decision whether a section may be
//! kept (INV-1).
//!
//! The standing is the fold of a subject's events in the order in which they were recorded. The
//! gate, the commit, a restore and the verifier all ask the same [`Standing::fold`] and
//! [`Standing::decide`].

mod events;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use imprimatur_proto::consent::v1::ConsentEvent;
use imprimatur_runtime::UtcDate;

use crate::Category;
use crate::calendar::months_after;
use crate::event::What;
use crate::ids::{Digest, PrincipalId, SubjectId};
use crate::policy::OLDEST_RECORD_DAYS;
use crate::state::State;
use crate::terms::Terms;

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
    /// The owner or the law wants what is held to be used for nothing.
    #[error("the subject is restricted")]
    Restricted,
    /// The grant is past its validity, a policy that asks for more overtook it, or its policy is
    /// not known here.
    #[error("the grant is past its validity")]
    Expired,
}

/// Why an event is not valid, whatever the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// A part is missing or does not fit: for example a grant without a language of its policy's
    /// notice, or a renewal of what is not granted or lapsed.
    #[error("a part of the event is missing or unusable")]
    Incomplete,
    /// Its number is not above the newest of its subject.
    #[error("the event's number was used before")]
    SequenceReused,
    /// Its key or principal is not the subject's.
    #[error("the event is of another subject or principal")]
    Foreign,
    /// The policy that it agrees to is not known.
    #[error("the policy is not known")]
    PolicyUnknown,
    /// The policy that it agrees to does not offer the category.
    #[error("the policy does not offer the category")]
    NotOffered,
    /// The subject withdrew everything, was transferred or erased.
    #[error("the subject has ended")]
    Ended,
}

/// A yes to one category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its date: older records are not covered.
    pub since: UtcDate,
    /// The last yes: validity counts from here.
    pub renewed: UtcDate,
    /// The policy agreed to.
    pub policy: Digest,
}

/// Whether a section in a record of this date may be kept today, under a grant that holds from one
/// day to before another.
///
/// # Errors
/// [`Denial`]: it may not.
pub fn within(since: UtcDate, ends: UtcDate, date: UtcDate, today: UtcDate) -> Result<(), Denial> {
    if ends <= date.max(today) {
        return Err(Denial::Expired);
    }
    if date < since {
        return Err(Denial::BeforeGrant);
    }
    // A device's clock may be ahead of the collector's around midnight.
    let future = date.0 > today.0.saturating_add(1);
    let old = today.0.saturating_sub(date.0) > OLDEST_RECORD_DAYS;
    if future || old { Err(Denial::DateOutOfRange) } else { Ok(()) }
}

impl Grant {
    /// Whether a section in a record of this date may be kept today under this grant alone.
    ///
    /// # Errors
    /// [`Denial`]: it may not.
    pub fn decide(
        &self,
        terms: &Terms,
        category: Category,
        date: UtcDate,
        today: UtcDate,
    ) -> Result<(), Denial> {
        within(self.since, self.ends(terms, category), date, today)
    }

    /// The first day on which it holds no more; day 0 when its policy is not known.
    pub fn ends(&self, terms: &Terms, category: Category) -> UtcDate {
        let overtaken = terms.overtaken(self.policy, category);
        let validity = self.valid_until(terms);
        overtaken.map_or(validity, |overtaken| validity.min(overtaken))
    }

    /// The first day after the validity of the last yes, whatever later policies say; day 0 when its
    /// policy is not known.
    pub fn valid_until(&self, terms: &Terms) -> UtcDate {
        let Some(policy) = terms.policy(self.policy) else { return UtcDate(0) };
        months_after(self.renewed, u32::from(policy.validity_months))
    }
}

/// Why a subject is restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grounds {
    /// The owner asked for it.
    Owner,
    /// A task that is not finished.
    PendingTask,
    /// A claim, of either side.
    Claim,
    /// A law that demands keeping.
    Statutory,
}

/// What is held is kept and used for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restriction {
    /// Why.
    pub grounds: Grounds,
    /// Since when.
    pub since: UtcDate,
    /// The last day; never for the owner's, always for a legal hold.
    pub until: Option<UtcDate>,
}

/// Why nothing more may come from a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Everything was withdrawn.
    Withdrawn,
    /// The printer changed hands or was reset.
    Transferred,
    /// Erasure was asked for.
    Erased,
}

/// What a subject's events add up to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The subject's public key.
    pub public_key: Digest,
    /// The principal that consents for it.
    pub principal: PrincipalId,
    /// The recovery code's public key.
    pub recovery: Option<Digest>,
    /// The policy agreed to last; zeros before the first grant.
    pub policy: Digest,
    /// Number of the newest consent event.
    pub sequence: u64,
    /// What is granted.
    pub granted: BTreeMap<Category, Grant>,
    /// How what was granted and is no more came to its end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub past: BTreeMap<Category, State>,
    /// The owner's restriction.
    pub restriction: Option<Restriction>,
    /// A legal hold. Beside the owner's restriction: the end of one leaves the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Restriction>,
    /// Why and since when nothing more may come.
    pub ended: Option<(Ended, UtcDate)>,
}

impl Standing {
    /// The subject's id.
    pub fn subject(&self) -> SubjectId {
        SubjectId::of(&self.public_key.0)
    }

    /// What the first consent event of a subject makes.
    ///
    /// # Errors
    /// [`InvalidEvent`].
    pub fn begin(terms: &Terms, event: &ConsentEvent) -> Result<Self, InvalidEvent> {
        events::begin(terms, event)
    }

    /// What one more consent event makes of it. A grant of what is granted and has not lapsed
    /// keeps the older date; a withdrawal of what is not granted changes nothing but the number.
    ///
    /// # Errors
    /// [`InvalidEvent`]; nothing changes.
    pub fn apply(&self, terms: &Terms, event: &ConsentEvent) -> Result<Self, InvalidEvent> {
        events::apply(self, terms, event)
    }

    /// What one more event of any kind, recorded on a date, makes of it. Signatures were checked
    /// when it was recorded; whoever doubts asks [`crate::event::opened`].
    ///
    /// # Errors
    /// [`InvalidEvent`]; nothing changes.
    pub fn fold(
        before: Option<&Self>,
        terms: &Terms,
        what: &What,
        on: UtcDate,
    ) -> Result<Self, InvalidEvent> {
        events::fold(before, terms, what, on)
    }

    /// Whether a section of this category, in a record of this date, may be kept today: the grant
    /// that is in force now must also have been in force on the record's date.
    ///
    /// # Errors
    /// [`Denial`]: it may not.
    pub fn decide(
        &self,
        terms: &Terms,
        category: Category,
        date: UtcDate,
        today: UtcDate,
    ) -> Result<(), Denial> {
        let grant = self.granted.get(&category).ok_or(Denial::NoGrant)?;
        if self.restricted(today) {
            return Err(Denial::Restricted);
        }
        grant.decide(terms, category, date, today)
    }

    /// Where the consent to a category stands.
    pub fn state(&self, terms: &Terms, category: Category, today: UtcDate) -> State {
        let Some(grant) = self.granted.get(&category) else {
            return self.past.get(&category).copied().unwrap_or(State::Unknown);
        };
        if grant.ends(terms, category) <= today {
            State::Expired
        } else if grant.renewed > grant.since {
            State::Renewed
        } else {
            State::Given
        }
    }

    /// The first day on which one of the grants holds no more; `None` when nothing is granted.
    pub fn valid_until(&self, terms: &Terms) -> Option<UtcDate> {
        let grants = self.granted.iter();
        grants.map(|(&category, grant)| grant.ends(terms, category)).min()
    }

    /// The categories whose rows were used before an event of this day and are not after it: given up, or
    /// restricted.
    pub fn ended_by(&self, after: &Self, on: UtcDate) -> Vec<Category> {
        let used = |standing: &Self, category: &Category| {
            standing.granted.contains_key(category) && !standing.restricted(on)
        };
        let ended = self.granted.keys().filter(|one| used(self, one) && !used(after, one));
        ended.copied().collect()
    }

    /// What is granted but holds no more. The clock records it as [`What::Expired`].
    pub fn lapsed(&self, terms: &Terms, today: UtcDate) -> Vec<Category> {
        let grants = self.granted.iter();
        let over = grants.filter(|(category, grant)| grant.ends(terms, **category) <= today);
        over.map(|(&category, _)| category).collect()
    }

    /// Whether the owner's restriction or a legal hold is in force.
    pub fn restricted(&self, today: UtcDate) -> bool {
        self.restriction.is_some() || self.held(today).is_some()
    }

    /// The legal hold in force. While there is one, nothing is erased.
    pub fn held(&self, today: UtcDate) -> Option<&Restriction> {
        self.hold.as_ref().filter(|hold| hold.until.is_none_or(|until| today <= until))
    }
}
