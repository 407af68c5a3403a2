//! Builders for this crate's tests.

use imprimatur_proto::consent::v1::{Affirmation, ConsentEvent, Decision, Method};
use imprimatur_runtime::UtcDate;

use crate::Category;
use crate::ids::Digest;
use crate::keys::SigningSeed;
use crate::policy::{Change, Policy, STRICTEST};

/// 2026-11-21.
pub(crate) const TODAY: UtcDate = UtcDate(20_778);

/// The strictest policy.
pub(crate) fn policy() -> Policy {
    Policy::read(STRICTEST).unwrap()
}

/// A version that supersedes another from a date on; nothing grew.
pub(crate) fn later(before: &Policy, effective: UtcDate) -> Policy {
    let announced = UtcDate(effective.0 - 30);
    let grown = std::collections::BTreeSet::new();
    let change = Some(Change { supersedes: before.hash, announced, effective, grown });
    let hash = Digest::of(&before.hash.0);
    Policy { hash, version: before.version + 1, change, ..before.clone() }
}

/// A first grant, today, under the strictest policy.
pub(crate) fn grant(categories: &[Category]) -> ConsentEvent {
    ConsentEvent {
        public_key: SigningSeed::from_seed(&[3; 32]).public().to_vec(),
        principal: vec![9; 16],
        sequence: 1,
        decision: Decision::Granted.into(),
        categories: categories.iter().map(|category| category.number()).collect(),
        policy_hash: policy().hash.0.to_vec(),
        date: TODAY.0,
        notice_language: b"en".to_vec(),
        method: Method::Page.into(),
        affirmation: Affirmation::AgeAndAuthority.into(),
        ..ConsentEvent::default()
    }
}

/// Another decision of the same subject.
pub(crate) fn decide(
    sequence: u64,
    decision: Decision,
    categories: &[Category],
    date: UtcDate,
) -> ConsentEvent {
    let date = date.0;
    ConsentEvent { sequence, decision: decision.into(), date, ..grant(categories) }
}
