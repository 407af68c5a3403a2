//! A claim: a signed request with a fresh challenge, decided in the writer's transaction.

use std::sync::Arc;

use imprimatur_ledger::{Book, BookError, Txn};
use imprimatur_proto::rights::v1::RightsStatus;
use imprimatur_runtime::UnixSeconds;

use crate::rights::answer::Outcome;
use crate::rights::challenge::{Challenges, Fresh};
use crate::rights::exercise::{Party, exercise};
use crate::rights::reading::{Gathered, Kind, Readings};
use crate::rights::request::{SignedRequest, Wish};

/// A request whose signature holds, with a challenge that this process gave to its key.
#[derive(Debug)]
pub struct Claim {
    /// The request.
    pub signed: Box<SignedRequest>,
    /// Its challenge.
    pub fresh: Fresh,
}

/// What became of a claim, and what is still to be read for its page.
#[derive(Debug)]
pub struct Exercised {
    /// What became of it.
    pub outcome: Outcome,
    /// What is read outside of the transaction.
    pub wanted: Option<Wanted>,
}

/// A page that is wanted.
#[derive(Debug)]
pub struct Wanted {
    /// Of what.
    pub kind: Kind,
    /// Its first byte.
    pub cursor: u64,
    /// Where its text comes from.
    pub source: Source,
}

/// Where the text comes from.
#[derive(Debug)]
pub enum Source {
    /// It was read for an earlier page.
    Kept(Arc<str>),
    /// It is to be made from this.
    Gathered {
        /// What the book knows.
        gathered: Box<Gathered>,
        /// The state of [`Readings`] when it was gathered.
        generation: u64,
    },
}

impl From<RightsStatus> for Exercised {
    fn from(status: RightsStatus) -> Self {
        Self { outcome: status.into(), wanted: None }
    }
}

/// Decides on a claim. A key that speaks for nobody and a challenge that was used give the same.
///
/// # Errors
/// [`BookError`]: nothing was done; end the process.
pub fn decide(
    book: &Book,
    txn: &Txn,
    (challenges, readings): (&Challenges, &Readings),
    claim: &Claim,
    now: UnixSeconds,
) -> Result<Exercised, BookError> {
    let Claim { signed, fresh } = claim;
    let Some((subject, asker)) = txn.speaks_for(&signed.key.to_bytes())? else {
        return Ok(RightsStatus::Unproven.into());
    };
    if !challenges.spend(*fresh, now) {
        return Ok(RightsStatus::Unproven.into());
    }
    let Some(wish) = signed.wish() else { return Ok(RightsStatus::Unusable.into()) };
    let party = Party { subject, asker, proof: signed.message.clone() };
    fulfil(book, txn, readings, &party, &wish, now)
}

/// Exercises a right, and gathers what its page needs.
///
/// # Errors
/// [`BookError`]: nothing was done; end the process.
pub fn fulfil(
    book: &Book,
    txn: &Txn,
    readings: &Readings,
    party: &Party,
    wish: &Wish,
    now: UnixSeconds,
) -> Result<Exercised, BookError> {
    let outcome = exercise(txn, party, wish, now)?;
    let (kind, cursor) = match *wish {
        Wish::Explain { cursor } => (Kind::Explain, cursor),
        Wish::Export { cursor } => (Kind::Export, cursor),
        Wish::Erase => {
            readings.forget(party.subject);
            return Ok(Exercised { outcome, wanted: None });
        }
        _ => return Ok(Exercised { outcome, wanted: None }),
    };
    let generation = readings.generation();
    let kept = readings.get((party.subject, kind), now).filter(|_| cursor > 0);
    let source = match kept {
        Some(text) => Source::Kept(text),
        None => match Gathered::of(book, txn, party.subject, now)? {
            Some(gathered) => Source::Gathered { gathered: Box::new(gathered), generation },
            None => return Ok(RightsStatus::Unproven.into()),
        },
    };
    Ok(Exercised { outcome, wanted: Some(Wanted { kind, cursor, source }) })
}
