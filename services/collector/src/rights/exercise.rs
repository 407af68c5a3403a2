//! Exercising a right: each verb in one transaction with all that follows from it, in one order with
//! batches and consent events.
//!
//! Restrict, release, object and withdraw are done when the transaction is; erase and rectify bind
//! with it and are finished by the publisher; a complaint waits for the operator. Explain and export
//! are entered here and read elsewhere ([`crate::rights::reading`]). While a legal hold is in force,
//! an erasure restricts at once and is finished when the hold ends.

use imprimatur_consent::event::{Acting, What};
use imprimatur_consent::standing::{Ended, Grounds, Restriction};
use imprimatur_consent::{Standing, SubjectId};
use imprimatur_ledger::register::{self, Asker, Entry};
use imprimatur_ledger::{BookError, Txn};
use imprimatur_proto::rights::v1::RightsStatus;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::rights::answer::Outcome;
use crate::rights::request::Wish;

/// Who exercises a right over which subject.
#[derive(Clone, PartialEq, Eq)]
pub struct Party {
    /// The subject that is meant.
    pub subject: SubjectId,
    /// Who asks.
    pub asker: Asker,
    /// The canonical `RightsMessage` that proves it; empty for the operator.
    pub proof: Vec<u8>,
}

impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Party({:?})", self.asker)
    }
}

impl Party {
    /// The operator, acting on a subject.
    pub fn operator(subject: SubjectId) -> Self {
        Self { subject, asker: Asker::Operator, proof: Vec::new() }
    }

    fn acting(&self) -> Acting {
        let signed_request = hex::encode(&self.proof);
        match self.asker {
            Asker::Owner => Acting::Owner { signed_request },
            Asker::Recovery => Acting::Recovery { signed_request },
            Asker::Operator => Acting::Operator {},
            Asker::Clock => Acting::Clock {},
        }
    }
}

/// One right in one open transaction.
struct Exercise<'a> {
    txn: &'a Txn,
    party: &'a Party,
    standing: Standing,
    now: UnixSeconds,
}

/// Exercises a right and enters it in the register.
///
/// # Errors
/// [`BookError`]: nothing was done; end the process.
pub fn exercise(
    txn: &Txn,
    party: &Party,
    wish: &Wish,
    now: UnixSeconds,
) -> Result<Outcome, BookError> {
    let Some(standing) = txn.standing(party.subject)? else {
        return Ok(RightsStatus::Unproven.into());
    };
    let exercise = Exercise { txn, party, standing, now };
    match wish {
        Wish::Explain { cursor } => exercise.read("explain", *cursor),
        Wish::Export { cursor } => exercise.read("export", *cursor),
        Wish::Erase => exercise.erase(),
        Wish::Complain(topic) => {
            let topic = u32::try_from(i32::from(*topic)).unwrap_or(0);
            exercise.ask(&What::Complained { topic, by: party.acting() })
        }
        Wish::Hold(restriction) => {
            exercise.ask(&What::Restricted { restriction: *restriction, by: party.acting() })
        }
        Wish::Release if party.asker == Asker::Operator => exercise.release(),
        // Of what is being erased nothing else can be asked.
        _ if exercise.erasing() => Ok(RightsStatus::Unusable.into()),
        Wish::Rectify(record) => {
            exercise.ask(&What::Rectified { date: UtcDate(record.date), by: party.acting() })
        }
        Wish::Restrict => {
            let restriction =
                Restriction { grounds: Grounds::Owner, since: now.date(), until: None };
            exercise.ask(&What::Restricted { restriction, by: party.acting() })
        }
        Wish::Release => exercise.release(),
        Wish::Object(categories) | Wish::Withdraw(categories) => {
            let categories = categories.iter().copied().collect();
            exercise.ask(&What::Objected { categories, by: party.acting() })
        }
    }
}

impl Exercise<'_> {
    fn today(&self) -> UtcDate {
        self.now.date()
    }

    fn erasing(&self) -> bool {
        matches!(self.standing.ended, Some((Ended::Erased, _)))
    }

    fn held(&self) -> bool {
        self.standing.held(self.today()).is_some()
    }

    /// Enters the first page; the next ones belong to it.
    fn read(&self, verb: &str, cursor: u64) -> Result<Outcome, BookError> {
        if cursor > 0 {
            return Ok(RightsStatus::Done.into());
        }
        let (&Party { subject, asker, .. }, today) = (self.party, self.today());
        let done = register::Outcome::Done;
        let number = self.txn.enter(verb, asker, subject, (today, today), done)?;
        Ok(Outcome { number, ..RightsStatus::Done.into() })
    }

    fn erase(&self) -> Result<Outcome, BookError> {
        match self.open("erase")?.first() {
            Some(asked) => Ok(self.accepted(asked)),
            None => self.ask(&What::ErasureRequested { by: self.party.acting() }),
        }
    }

    /// The owner ends the owner's restriction, never a legal hold; the operator a hold first.
    fn release(&self) -> Result<Outcome, BookError> {
        let there = match self.party.asker {
            Asker::Operator => self.standing.restricted(self.today()),
            _ => self.standing.restriction.is_some(),
        };
        if !there {
            let held = self.held();
            return Ok(if held { RightsStatus::Held } else { RightsStatus::Unusable }.into());
        }
        self.ask(&What::Released { by: self.party.acting() })
    }

    /// Records what is asked, and enters it; `Unusable` when the standing does not take it.
    fn ask(&self, what: &What) -> Result<Outcome, BookError> {
        let (txn, subject) = (self.txn, self.party.subject);
        if txn.record(subject, what, self.now)?.is_err() {
            return Ok(RightsStatus::Unusable.into());
        }
        let entered = txn.enter_asked(subject, what, self.today(), &txn.terms())?;
        Ok(entered.map_or(RightsStatus::Unusable.into(), |asked| self.accepted(&asked)))
    }

    fn accepted(&self, asked: &Entry) -> Outcome {
        let number = asked.number;
        if asked.outcome == register::Outcome::Done {
            return Outcome { number, ..RightsStatus::Done.into() };
        }
        let held = asked.verb == "erase" && self.held();
        let status = if held { RightsStatus::Held } else { RightsStatus::Accepted };
        Outcome { number, due: Some(asked.due), ..status.into() }
    }

    /// Requests of this verb that are not finished.
    fn open(&self, verb: &str) -> Result<Vec<Entry>, BookError> {
        let mut requests = self.txn.requests_of(self.party.subject)?;
        requests.retain(|entry| entry.verb == verb && entry.outcome != register::Outcome::Done);
        Ok(requests)
    }
}
