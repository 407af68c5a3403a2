//! Answers: what a receipt or a verdict changes, once it is known to be the collector's.
//!
//! An answer counts only if the pinned key signed it, it is canonical, and it names subject, number
//! and hash of something that waits here. Any other is counted and changes nothing.

use imprimatur_consent::{Category, Digest, Domain, SubjectId};
use imprimatur_proto::consent::v1::{Receipt, ReceiptStatus, SignedReceipt};
use imprimatur_proto::contract;
use imprimatur_proto::ingest::v1::{Outcome, RefusalReason, SignedVerdict, Verdict};
use imprimatur_proto::telemetry::v1::Batch;

use super::consent::next;
use super::event::{Said, signed};
use super::seal::{Contents, of_this_contract, opened, spool_again, spooled, stripped};
use super::state::{Waiting, numbered};
use super::{AgentError, Core, Noted};
use crate::store::Space;

/// What an answer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A consent event was answered.
    Receipt(ReceiptStatus),
    /// A batch is stored: its frame is free.
    Stored(u64),
    /// A batch is refused; what could be saved of it waits under another number.
    Refused(u64, RefusalReason),
    /// Nothing changed.
    Ignored(Ignored),
}

/// Why an answer changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// No collector is pinned.
    NoCollector,
    /// It is not canonical, or the pinned key did not sign it.
    Forged,
    /// It belongs to nothing that waits: a repeat, another subject, another hash.
    Unmatched,
}

impl Core {
    pub(super) fn on_receipt(&mut self, bytes: &[u8]) -> Result<Heard, AgentError> {
        let receipt = match self.receipt(bytes) {
            Ok(receipt) => receipt,
            Err(why) => return Ok(self.ignore(why)),
        };
        let (subject, sequence) = (receipt.subject.as_slice(), receipt.sequence);
        let Some(event) = self.waits(subject, sequence, &receipt.event_hash)? else {
            return Ok(self.ignore(Ignored::Unmatched));
        };
        let Ok(subject) = SubjectId::try_from(subject) else {
            return Ok(self.ignore(Ignored::Unmatched));
        };
        let status = receipt.status();
        match status {
            ReceiptStatus::Recorded => self.recorded(subject, &event, &receipt, bytes)?,
            _ => self.not_recorded(subject, event, status)?,
        }
        Ok(Heard::Receipt(status))
    }

    fn receipt(&self, bytes: &[u8]) -> Result<Receipt, Ignored> {
        let collector = self.settings.collector.ok_or(Ignored::NoCollector)?;
        let signed: SignedReceipt = contract().decode(bytes).map_err(|_fault| Ignored::Forged)?;
        if !collector.verifies(Domain::Receipt, &signed.receipt, &signed.signature) {
            return Err(Ignored::Forged);
        }
        contract().decode(&signed.receipt).map_err(|_fault| Ignored::Forged)
    }

    fn recorded(
        &mut self,
        subject: SubjectId,
        event: &Waiting,
        receipt: &Receipt,
        bytes: &[u8],
    ) -> Result<(), AgentError> {
        let surplus = self.surplus(subject, event, receipt)?;
        let mut reserved = self.draft();
        let mut number = None;
        if surplus.is_some() {
            number = Some(self.reserve(&mut reserved, subject, 1)?);
            self.commit(reserved)?;
        }
        let mut draft = self.draft();
        if let Some(((of, sequence), categories)) = number.zip(surplus) {
            tracing::warn!("the collector holds a grant that was withdrawn: withdrawing it again");
            // A withdrawal that changed nothing there is not repeated at once.
            let deaf = !event.granted && event.shares(&categories);
            let said = Said::withdrawn(categories, event.policy, draft.now.date());
            let refused = deaf.then_some(draft.now.date());
            draft.wait(subject, &Waiting { refused, ..signed(&of, sequence, said) });
        }
        let key = numbered(subject, event.sequence);
        draft.change.remove(Space::Outbox, &key);
        draft.keep(&self.store, Space::Receipt, &key, bytes)?;
        let (sequence, now) = (event.sequence, draft.now.date());
        draft.note(Noted::Receipt { sequence, status: "recorded".to_owned() });
        let ours = draft.state.identity.as_mut().filter(|identity| identity.subject() == subject);
        if let Some(identity) = ours {
            identity.receipted |= event.granted;
            identity.policy = event.policy;
            let taken = receipt.contract_hash.as_slice() == contract().hash().as_slice();
            identity.contract_refused = (!taken).then_some(now);
            if !taken {
                contract_refused();
            }
        }
        self.commit(draft)?;
        self.changes.news += 1;
        Ok(())
    }

    /// What the collector says is granted and the owner does not, once nothing more waits.
    fn surplus(
        &self,
        subject: SubjectId,
        event: &Waiting,
        receipt: &Receipt,
    ) -> Result<Option<Vec<Category>>, AgentError> {
        let waiting = self.waiting(&subject.0)?;
        if waiting.iter().any(|other| other.sequence != event.sequence) {
            return Ok(None);
        }
        let ours = self.state.identity.as_ref().is_some_and(|i| i.subject() == subject);
        let granted = |category: &Category| ours && self.state.flags.granted(*category);
        let there = receipt.granted.iter().filter_map(|&number| Category::from_number(number));
        let surplus: Vec<_> = there.filter(|category| !granted(category)).collect();
        Ok(Some(surplus).filter(|surplus| !surplus.is_empty()))
    }

    /// The event waits for another day, or, with a token that opens nothing, for another grant.
    fn not_recorded(
        &mut self,
        subject: SubjectId,
        mut event: Waiting,
        status: ReceiptStatus,
    ) -> Result<(), AgentError> {
        let (sequence, text) = (event.sequence, receipt_text(status).to_owned());
        tracing::warn!(reason = %text, "the collector did not record a consent event");
        let noted = Noted::Receipt { sequence, status: text };
        if status == ReceiptStatus::TokenInvalid && event.granted {
            return self.ungrant(subject, &event, noted);
        }
        let mut draft = self.draft();
        draft.note(noted);
        event.refused = Some(draft.now.date());
        event.misdated = status == ReceiptStatus::DateOutOfRange;
        draft.wait(subject, &event);
        self.commit(draft)
    }

    pub(super) fn on_verdict(&mut self, bytes: &[u8]) -> Result<Heard, AgentError> {
        let verdict = match self.verdict(bytes) {
            Ok(verdict) => verdict,
            Err(why) => return Ok(self.ignore(why)),
        };
        let key = verdict.sequence.to_be_bytes();
        let subject = self.state.identity.as_ref().map(|identity| identity.subject().0.to_vec());
        let ours = subject.as_ref() == Some(&verdict.subject);
        let held = self.store.get(Space::Spool, &key)?.filter(|_| ours);
        let Some(value) = held else { return Ok(self.ignore(Ignored::Unmatched)) };
        let frame = spooled(&value)?.1;
        if Digest::try_from(verdict.frame_hash.as_slice()) != Ok(Digest::of(frame)) {
            return Ok(self.ignore(Ignored::Unmatched));
        }
        match (verdict.outcome(), verdict.reason()) {
            (Outcome::Stored, RefusalReason::Unspecified) => {
                let mut draft = self.draft();
                draft.free(verdict.sequence, &value);
                draft.note(Noted::Stored { sequence: verdict.sequence });
                self.commit(draft)?;
                Ok(Heard::Stored(verdict.sequence))
            }
            (Outcome::Refused, reason) if reason != RefusalReason::Unspecified => {
                self.refused(&verdict, reason, &value)?;
                Ok(Heard::Refused(verdict.sequence, reason))
            }
            _ => Ok(self.ignore(Ignored::Forged)),
        }
    }

    fn verdict(&self, bytes: &[u8]) -> Result<Verdict, Ignored> {
        let collector = self.settings.collector.ok_or(Ignored::NoCollector)?;
        let signed: SignedVerdict = contract().decode(bytes).map_err(|_fault| Ignored::Forged)?;
        if !collector.verifies(Domain::Verdict, &signed.verdict, &signed.signature) {
            return Err(Ignored::Forged);
        }
        contract().decode(&signed.verdict).map_err(|_fault| Ignored::Forged)
    }

    fn refused(
        &mut self,
        verdict: &Verdict,
        reason: RefusalReason,
        value: &[u8],
    ) -> Result<(), AgentError> {
        let text = reason.as_str_name().trim_start_matches("REFUSAL_REASON_").to_ascii_lowercase();
        tracing::warn!(reason = %text, "the collector refused a batch");
        let noted = Noted::Refused { sequence: verdict.sequence, reason: text };
        let batch = opened(spooled(value)?.1);
        let older = batch.as_ref().is_ok_and(|batch| !of_this_contract(batch));
        if reason == RefusalReason::ContractUnsupported && !older {
            let mut draft = self.draft();
            draft.note(noted);
            // It is not stored: what is left of it may be told under another number.
            let frame = spooled(value)?.1;
            let key = verdict.sequence.to_be_bytes();
            draft.change.put(Space::Spool, &key, &[&[0], frame].concat());
            let today = draft.now.date();
            if let Some(identity) = &mut draft.state.identity {
                identity.contract_refused = Some(today);
            }
            contract_refused();
            return self.commit(draft);
        }
        let saved = match reason {
            // Made before an update, or under a policy that another has followed since.
            RefusalReason::ContractUnsupported => batch.ok().map(|batch| Contents::of(&batch)),
            RefusalReason::PolicyMismatch => {
                let changes = self.policy_changed(batch.as_ref().ok())?;
                batch.ok().filter(|_| changes).map(|batch| Contents::of(&batch))
            }
            RefusalReason::NoGrant | RefusalReason::BeforeGrant => {
                let gone = verdict.categories.iter().filter_map(|&n| Category::from_number(n));
                stripped(spooled(value)?.1, &gone.collect::<Vec<_>>()).unwrap_or(None)
            }
            _ => None,
        };
        let saved = saved.filter(|contents| !contents.empty());
        let identity = self.state.identity.clone().zip(saved);
        let Some((mut identity, contents)) = identity else {
            let mut draft = self.draft();
            draft.free(verdict.sequence, value);
            draft.note(noted);
            return self.commit(draft);
        };
        let sequence = next(&mut identity.next_batch);
        let mut reserved = self.draft();
        reserved.state.identity = Some(identity.clone());
        self.commit(reserved)?;
        let mut draft = self.draft();
        draft.free(verdict.sequence, value);
        draft.note(noted);
        spool_again(&mut draft, &identity, contents, sequence)?;
        self.commit(draft)?;
        self.changes.news += 1;
        Ok(())
    }

    /// Whether a batch sealed anew names, now or after the next receipt, another policy.
    fn policy_changed(&self, batch: Option<&Batch>) -> Result<bool, AgentError> {
        let header = batch.and_then(|batch| batch.header.as_ref());
        let Some((header, identity)) = header.zip(self.state.identity.as_ref()) else {
            return Ok(false);
        };
        let waits = !self.waiting(&identity.subject().0)?.is_empty();
        Ok(waits || header.policy_hash != identity.policy.0)
    }

    fn ignore(&mut self, why: Ignored) -> Heard {
        self.counts.ignored_answers += 1;
        tracing::debug!(?why, "an answer changed nothing");
        Heard::Ignored(why)
    }
}

fn contract_refused() {
    tracing::warn!("the collector does not take what this version sends: batches wait; update it");
}

fn receipt_text(status: ReceiptStatus) -> &'static str {
    match status {
        ReceiptStatus::Recorded => "recorded",
        ReceiptStatus::PolicyUnknown => "the collector does not offer this policy",
        ReceiptStatus::DateOutOfRange => "the date is not the collector's: set this device's clock",
        ReceiptStatus::SequenceReused => "the number was used before",
        ReceiptStatus::TokenInvalid => {
            "the enrolment token is unknown or spent: grant again with another, or without"
        }
        ReceiptStatus::SubjectEnded => "the subject was erased or handed over",
        ReceiptStatus::Unspecified | ReceiptStatus::Unauthenticated => "not authenticated",
    }
}
