//! What a request leaves in the book: its entry in the register, and a task when the lake must follow.
//!
//! Both follow from the recorded event, its day and the policies of that day, and from nothing else.
//! So a restore, which has nothing else, enters a request again as it was entered first.

use std::collections::BTreeMap;

use imprimatur_consent::event::{Acting, What};
use imprimatur_consent::{Category, SubjectId, Terms};
use imprimatur_proto::contract;
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_proto::rights::v1::{RightsMessage, RightsRequest, Verb};
use imprimatur_runtime::UtcDate;

use crate::error::BookError;
use crate::register::{Asker, Entry, Outcome};
use crate::tables::REGISTER;
use crate::tasks::{Job, Values};
use crate::txn::Txn;

impl Txn {
    /// Enters the request whose event was recorded on this day under these terms, and gives the
    /// publisher its task; `None` when nobody asked for what happened.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn enter_asked(
        &self,
        subject: SubjectId,
        what: &What,
        on: UtcDate,
        terms: &Terms,
    ) -> Result<Option<Entry>, BookError> {
        let Some(by) = what.by() else { return Ok(None) };
        let standing = self.standing(subject)?;
        let held = standing.is_some_and(|standing| standing.held(on).is_some());
        let erasures = if held { Outcome::Held } else { Outcome::Open };
        let days = terms.deadlines();
        let (verb, days, outcome) = match what {
            What::Consent { .. } | What::Expired { .. } => return Ok(None),
            What::Restricted { .. } => ("restrict", 0, Outcome::Done),
            What::Released { .. } => ("release", 0, Outcome::Done),
            What::Objected { .. } => (objection(by), 0, Outcome::Done),
            What::ErasureRequested { .. } => ("erase", days.erasure_days, erasures),
            What::Rectified { .. } => ("rectify", days.answer_days, Outcome::Open),
            What::Complained { .. } => ("complain", days.complaint_days, Outcome::Open),
        };
        let due = UtcDate(on.0.saturating_add(days));
        let number = self.enter(verb, Asker::of(by), subject, (on, due), outcome)?;
        match what {
            What::ErasureRequested { .. } => self.add_task(subject, Job::Erase, number, on)?,
            What::Rectified { date, .. } => {
                // Without its values it stays open, and becomes overdue: somebody hears of it.
                if let Some(sections) = rectified(by) {
                    let job = Job::Rectify { since: *date, sections };
                    self.add_task(subject, job, number, on)?;
                }
            }
            // Whether erasures wait for a legal hold.
            What::Restricted { .. } | What::Released { .. } => {
                for entry in self.requests_of(subject)? {
                    if entry.verb == "erase" {
                        self.close(entry.number, erasures, on)?;
                    }
                }
            }
            _ => {}
        }
        self.get(REGISTER, number)
    }
}

/// The request that an owner signed.
fn request(by: &Acting) -> Option<RightsRequest> {
    let (Acting::Owner { signed_request } | Acting::Recovery { signed_request }) = by else {
        return None;
    };
    let message: RightsMessage = contract().decode(&hex::decode(signed_request).ok()?).ok()?;
    contract().decode(&message.request).ok()
}

/// Objections and withdrawals are one kind of event.
fn objection(by: &Acting) -> &'static str {
    let withdraws = request(by).is_some_and(|request| request.verb() == Verb::Withdraw);
    if withdraws { "withdraw" } else { "object" }
}

/// The sections that an owner put right, values by column name.
fn rectified(by: &Acting) -> Option<BTreeMap<Category, Values>> {
    let record = contract().record(RecordKind::Day, &request(by)?.rectified).ok()?;
    let section = |section: &Section| {
        let values = section.values.iter();
        let values = values.map(|&(field, index)| (contract().rule(field).column.clone(), index));
        (section.category, values.collect())
    };
    Some(record.sections.iter().map(section).collect())
}
