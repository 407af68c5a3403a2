//! Exercising a right: each verb in one transaction with all that follows from it, in one order with
//! batches and consent events.
//!
//! Restrict, release, object and withdraw are done when the transaction is; erase and rectify bind
//! with it and are finished by the publisher; a complaint waits for the operator. Explain and export
//! are entered here and read elsewhere ([`crate::rights::reading`]). While a legal hold is in force,
//! an erasure restricts at once and is finished when the hold ends.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_consent::event::{Acting, What};
use imprimatur_consent::standing::{Ended, Grounds, Restriction};
use imprimatur_consent::{Category, Standing, SubjectId};
use imprimatur_ledger::register::{self, Asker, Entry};
use imprimatur_ledger::{BookError, Job, Txn};
use imprimatur_proto::contract;
use imprimatur_proto::record::Record;
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
            exercise.complain(topic)
        }
        Wish::Hold(restriction) => exercise.hold(*restriction),
        Wish::Release if party.asker == Asker::Operator => exercise.release(),
        // Of what is being erased nothing else can be asked.
        _ if exercise.erasing() => Ok(RightsStatus::Unusable.into()),
        Wish::Rectify(record) => exercise.rectify(record),
        Wish::Restrict => {
            let restriction =
                Restriction { grounds: Grounds::Owner, since: now.date(), until: None };
            exercise.restrict(restriction)
        }
        Wish::Release => exercise.release(),
        Wish::Object(categories) => exercise.object("object", categories),
        Wish::Withdraw(categories) => exercise.object("withdraw", categories),
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
        if cursor == 0 { self.done(verb) } else { Ok(RightsStatus::Done.into()) }
    }

    fn erase(&self) -> Result<Outcome, BookError> {
        if let Some(asked) = self.open("erase")?.into_iter().next() {
            return Ok(self.accepted(&asked));
        }
        let by = self.party.acting();
        if !self.record(&What::ErasureRequested { by })? {
            return Ok(RightsStatus::Unusable.into());
        }
        let fate = if self.held() { register::Outcome::Held } else { register::Outcome::Open };
        let days = self.txn.terms().deadlines().erasure_days;
        let asked = self.enter("erase", days, fate)?;
        self.txn.add_task(self.party.subject, Job::Erase, asked.number, self.today())?;
        Ok(self.accepted(&asked))
    }

    fn rectify(&self, record: &Record) -> Result<Outcome, BookError> {
        let since = UtcDate(record.date);
        let by = self.party.acting();
        if !self.record(&What::Rectified { date: since, by })? {
            return Ok(RightsStatus::Unusable.into());
        }
        let days = self.txn.terms().deadlines().answer_days;
        let asked = self.enter("rectify", days, register::Outcome::Open)?;
        let job = Job::Rectify { since, sections: named(record) };
        self.txn.add_task(self.party.subject, job, asked.number, self.today())?;
        Ok(self.accepted(&asked))
    }

    fn restrict(&self, restriction: Restriction) -> Result<Outcome, BookError> {
        if !self.record(&What::Restricted { restriction, by: self.party.acting() })? {
            return Ok(RightsStatus::Unusable.into());
        }
        self.done("restrict")
    }

    /// A legal hold: erasures that are under way wait for its end.
    fn hold(&self, restriction: Restriction) -> Result<Outcome, BookError> {
        let outcome = self.restrict(restriction)?;
        self.erasures(register::Outcome::Open, register::Outcome::Held)?;
        Ok(outcome)
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
        if !self.record(&What::Released { by: self.party.acting() })? {
            return Ok(RightsStatus::Unusable.into());
        }
        let standing = self.txn.standing(self.party.subject)?;
        if standing.is_none_or(|standing| standing.held(self.today()).is_none()) {
            self.erasures(register::Outcome::Held, register::Outcome::Open)?;
        }
        self.done("release")
    }

    /// Says of the erasures under way that they wait, or that they wait no more.
    fn erasures(&self, from: register::Outcome, to: register::Outcome) -> Result<(), BookError> {
        let waiting = self.open("erase")?.into_iter().filter(|entry| entry.outcome == from);
        for entry in waiting {
            self.txn.close(entry.number, to, self.today())?;
        }
        Ok(())
    }

    fn object(&self, verb: &str, categories: &BTreeSet<Category>) -> Result<Outcome, BookError> {
        let categories = categories.iter().copied().collect();
        if !self.record(&What::Objected { categories, by: self.party.acting() })? {
            return Ok(RightsStatus::Unusable.into());
        }
        self.done(verb)
    }

    fn complain(&self, topic: u32) -> Result<Outcome, BookError> {
        if !self.record(&What::Complained { topic, by: self.party.acting() })? {
            return Ok(RightsStatus::Unusable.into());
        }
        let days = self.txn.terms().deadlines().complaint_days;
        Ok(self.accepted(&self.enter("complain", days, register::Outcome::Open)?))
    }

    /// Records an event; `false` when the standing does not take it.
    fn record(&self, what: &What) -> Result<bool, BookError> {
        Ok(self.txn.record(self.party.subject, what, self.now)?.is_ok())
    }

    fn enter(&self, verb: &str, days: u32, fate: register::Outcome) -> Result<Entry, BookError> {
        let (received, due) = (self.today(), UtcDate(self.today().0.saturating_add(days)));
        let Party { subject, asker, .. } = *self.party;
        let number = self.txn.enter(verb, asker, subject, (received, due), fate)?;
        let verb = verb.to_owned();
        Ok(Entry { number, verb, asker, slot: 0, received, due, outcome: fate, closed: None })
    }

    fn done(&self, verb: &str) -> Result<Outcome, BookError> {
        let entered = self.enter(verb, 0, register::Outcome::Done)?;
        Ok(Outcome { number: entered.number, ..RightsStatus::Done.into() })
    }

    fn accepted(&self, asked: &Entry) -> Outcome {
        let held = asked.verb == "erase" && self.held();
        let status = if held { RightsStatus::Held } else { RightsStatus::Accepted };
        Outcome { number: asked.number, due: Some(asked.due), ..status.into() }
    }

    /// Requests of this verb that are not finished.
    fn open(&self, verb: &str) -> Result<Vec<Entry>, BookError> {
        let mut requests = self.txn.requests_of(self.party.subject)?;
        requests.retain(|entry| entry.verb == verb && entry.outcome != register::Outcome::Done);
        Ok(requests)
    }
}

/// The sections of a record, values by column name.
fn named(record: &Record) -> BTreeMap<Category, BTreeMap<String, u32>> {
    let section = |section: &imprimatur_proto::record::Section| {
        let values = section.values.iter();
        let values = values.map(|&(field, index)| (contract().rule(field).column.clone(), index));
        (section.category, values.collect())
    };
    record.sections.iter().map(section).collect()
}
