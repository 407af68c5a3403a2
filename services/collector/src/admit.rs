//! Admission: a permit for each section, inside the transaction that stores it (INV-1, INV-5).

use std::collections::BTreeSet;

use imprimatur_consent::{Category, Denial, Digest};
use imprimatur_ledger::{BookError, NoRecord, OpenBatch, Repeat, Txn};
use imprimatur_proto::contract;
use imprimatur_proto::ingest::v1::RefusalReason;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::answer::{Signer, reason_name};
use crate::gate::Inspected;

/// The verdict on an authenticated frame, and its name in the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The signed verdict; to be given only after the transaction was committed.
    pub verdict: Vec<u8>,
    /// `stored`, `repeated`, or `refused.` and the reason.
    pub counter: String,
}

/// Why a batch is refused, and the categories that are to blame.
type Refusal = (RefusalReason, BTreeSet<Category>);

/// Reasons that concern the whole batch: the first of these stands before all others.
const OF_ALL: [RefusalReason; 2] = [RefusalReason::Restricted, RefusalReason::DateOutOfRange];

/// Decides on an authenticated frame and writes everything that follows from it.
///
/// # Errors
/// [`BookError`]: nothing was decided; end the process.
pub fn admit(
    txn: &Txn,
    signer: &Signer,
    now: UnixSeconds,
    inspected: &Inspected,
) -> Result<Admitted, BookError> {
    let Inspected { subject, sequence, frame, .. } = *inspected;
    let refuse = |reason, categories: &BTreeSet<Category>| Admitted {
        verdict: signer
            .refused(&inspected.refuse(reason), &categories.iter().copied().collect::<Vec<_>>()),
        counter: format!("refused.{}", reason_name(reason)),
    };
    match txn.repeat(subject, sequence, frame)? {
        Repeat::Same(verdict) => return Ok(Admitted { verdict, counter: "repeated".to_owned() }),
        Repeat::Reused => return Ok(refuse(RefusalReason::SequenceReused, &BTreeSet::new())),
        Repeat::TooOld => return Ok(refuse(RefusalReason::TooOld, &BTreeSet::new())),
        Repeat::New => {}
    }
    let Some(open) = txn.open_batch(subject, sequence, frame, now) else {
        // A subject that ended has no grant; one that is unknown is nobody.
        let (reason, categories) = match txn.standing(subject)? {
            Some(_ended) => (RefusalReason::NoGrant, categories(inspected)),
            None => (RefusalReason::Unauthenticated, BTreeSet::new()),
        };
        return Ok(refuse(reason, &categories));
    };
    let admitted = match append_all(&open, inspected, now.date())? {
        Ok(()) => {
            open.finish()?;
            let verdict = signer.stored(subject, sequence, frame);
            Admitted { verdict, counter: "stored".to_owned() }
        }
        Err((reason, categories)) => refuse(reason, &categories),
    };
    // Another contract may be supported tomorrow: that refusal alone is not for ever.
    if admitted.counter != format!("refused.{}", reason_name(RefusalReason::ContractUnsupported)) {
        txn.keep_verdict(subject, sequence, frame, &admitted.verdict)?;
    }
    Ok(admitted)
}

/// Appends every section of every record, each with its permit; all or nothing.
fn append_all(
    open: &OpenBatch<'_>,
    inspected: &Inspected,
    today: UtcDate,
) -> Result<Result<(), Refusal>, BookError> {
    let whole = |reason| Ok(Err((reason, BTreeSet::new())));
    if inspected.contract != Digest(contract().hash()) {
        return whole(RefusalReason::ContractUnsupported);
    }
    if inspected.policy != open.policy() {
        return whole(RefusalReason::PolicyMismatch);
    }
    // Rows of one commit can be told to belong together: across epochs they must not.
    let dates = inspected.records.iter().map(|record| UtcDate(record.date));
    if dates.map(|date| open.epoch(date)).collect::<BTreeSet<_>>().len() > 1 {
        return whole(RefusalReason::DateOutOfRange);
    }
    let mut denied: Vec<(RefusalReason, Category)> = Vec::new();
    let mut deny = |denial: Denial, category| denied.push((reason(denial), category));
    if inspected.identity_tag.is_some() {
        // Nothing reads the tag yet, so nothing stores it, and the permit goes unused.
        if let Err(denial) = open.permit(Category::Identity, today) {
            deny(denial, Category::Identity);
        }
    }
    let mut beyond = false;
    for record in &inspected.records {
        let date = UtcDate(record.date);
        let place = match open.begin_record(record.kind, date) {
            Ok(place) => Some(place),
            Err(NoRecord::BeyondDay) => None,
            Err(NoRecord::Book(error)) => return Err(error),
        };
        beyond |= place.is_none();
        for section in &record.sections {
            match open.permit(section.category, date) {
                Ok(permit) => {
                    let Some(place) = place else { continue };
                    if let Err(_unfit) = open.append(place, section.clone(), permit) {
                        return Ok(Err(internal()));
                    }
                }
                Err(denial) => deny(denial, section.category),
            }
        }
    }
    // A date that is full is no news to whom nothing of it is permitted.
    Ok(match refusal(&denied) {
        Some(refusal) => Err(refusal),
        None if beyond => Err((RefusalReason::BeyondDay, BTreeSet::new())),
        None => Ok(()),
    })
}

/// One reason for a batch, with the categories that it concerns; others come to light when the rest
/// is offered again.
fn refusal(denied: &[(RefusalReason, Category)]) -> Option<Refusal> {
    let (first, _) = *denied.first()?;
    let of_all = OF_ALL.into_iter().find(|&reason| denied.iter().any(|&(why, _)| why == reason));
    if let Some(reason) = of_all {
        return Some((reason, BTreeSet::new()));
    }
    let concerned = denied.iter().filter(|&&(why, _)| why == first);
    Some((first, concerned.map(|&(_, category)| category).collect()))
}

fn categories(inspected: &Inspected) -> BTreeSet<Category> {
    let sections = inspected.records.iter().flat_map(|record| &record.sections);
    sections.map(|section| section.category).collect()
}

fn reason(denial: Denial) -> RefusalReason {
    match denial {
        Denial::NoGrant => RefusalReason::NoGrant,
        Denial::BeforeGrant => RefusalReason::BeforeGrant,
        Denial::DateOutOfRange => RefusalReason::DateOutOfRange,
        Denial::Restricted => RefusalReason::Restricted,
        Denial::Expired => RefusalReason::Expired,
    }
}

/// A permit that did not fit its section: a defect here. Fail closed.
fn internal() -> Refusal {
    tracing::error!("a permit did not fit its section; the batch is refused");
    (RefusalReason::NoGrant, BTreeSet::new())
}
