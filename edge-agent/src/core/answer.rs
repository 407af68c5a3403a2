//! Verdicts: what the collector's word on a batch changes, once it is known to be the collector's.
//!
//! An answer counts only if the pinned key signed it, it is canonical, and it names subject, number
//! and hash of something that waits here. Any other is counted and changes nothing.

use imprimatur_consent::{Category, Digest, Domain};
use imprimatur_proto::consent::v1::ReceiptStatus;
use imprimatur_proto::contract;
use imprimatur_proto::ingest::v1::{Outcome, RefusalReason, SignedVerdict, Verdict};
use imprimatur_proto::telemetry::v1::Batch;

use super::consent::next;
use super::counts::Fate;
use super::seal::{Contents, of_this_contract, opened, spool_again, stripped};
use super::spool::{Spooled, unwrap, wrap};
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
    /// A rights request went on; whether it has come to its end.
    Request {
        /// Its number on this device.
        number: u64,
        /// Whether nothing more is to be said of it now.
        settled: bool,
    },
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
    /// A receipt whose event its log does not prove: it is not believed.
    Unproven,
    /// A receipt of an older or another log than was seen before: it is not believed.
    Rollback,
}

impl Core {
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
        let Some(held) = unwrap(verdict.sequence, &value) else {
            self.purge_damaged()?;
            return Ok(self.ignore(Ignored::Unmatched));
        };
        let frame = held.frame;
        if Digest::try_from(verdict.frame_hash.as_slice()) != Ok(Digest::of(frame)) {
            return Ok(self.ignore(Ignored::Unmatched));
        }
        match (verdict.outcome(), verdict.reason()) {
            (Outcome::Stored, RefusalReason::Unspecified) => {
                let mut draft = self.draft();
                draft.free(verdict.sequence, &value, Fate::Stored, 0);
                draft.note(Noted::Stored { sequence: verdict.sequence });
                self.commit(draft)?;
                self.told.dropping = false;
                Ok(Heard::Stored(verdict.sequence))
            }
            (Outcome::Refused, reason) if reason != RefusalReason::Unspecified => {
                self.refused(&verdict, reason, &value, held)?;
                self.told.dropping = false;
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
        held: Spooled<'_>,
    ) -> Result<(), AgentError> {
        let text = reason.as_str_name().trim_start_matches("REFUSAL_REASON_").to_ascii_lowercase();
        tracing::warn!(reason = %text, "the collector refused a batch");
        let noted = Noted::Refused { sequence: verdict.sequence, reason: text };
        let batch = opened(held.frame);
        let older = batch.as_ref().is_ok_and(|batch| !of_this_contract(batch));
        if reason == RefusalReason::ContractUnsupported && !older {
            let mut draft = self.draft();
            draft.note(noted);
            // It is not stored: what is left of it may be told under another number.
            let key = verdict.sequence.to_be_bytes();
            let unoffered = wrap(verdict.sequence, false, held.records, held.frame);
            draft.change.put(Space::Spool, &key, &unoffered);
            let today = draft.now.date();
            if let Some(identity) = &mut draft.state.identity {
                identity.contract_refused = Some(today);
            }
            contract_refused();
            return self.commit(draft);
        }
        let today = self.clock.today();
        let named = || verdict.categories.iter().filter_map(|&n| Category::from_number(n));
        let saved = match reason {
            // Nothing is added while it lasts: what is sealed waits for another day.
            RefusalReason::Restricted => batch.ok().map(|batch| Contents::of(&batch)),
            // Made before an update, or under a policy that another has followed since.
            RefusalReason::ContractUnsupported => batch.ok().map(|batch| Contents::of(&batch)),
            RefusalReason::PolicyMismatch => {
                let changes = self.policy_changed(batch.as_ref().ok())?;
                batch.ok().filter(|_| changes).map(|batch| Contents::of(&batch))
            }
            RefusalReason::NoGrant | RefusalReason::BeforeGrant | RefusalReason::Expired => {
                stripped(held.frame, &named().collect::<Vec<_>>()).unwrap_or(None)
            }
            _ => None,
        };
        let saved = saved.filter(|contents| !contents.empty());
        let mut identity = self.state.identity.clone();
        if let Some(identity) = &mut identity {
            identity.held = (reason == RefusalReason::Restricted).then_some(today);
            // Only a new yes changes that: nothing of these is kept until then.
            if matches!(reason, RefusalReason::Expired | RefusalReason::NoGrant) {
                identity.lapsed.extend(named());
            }
        }
        let Some((mut identity, contents)) = identity.clone().zip(saved) else {
            let mut draft = self.draft();
            draft.state.identity = identity;
            draft.free(verdict.sequence, value, Fate::Refused, 0);
            draft.note(noted);
            return self.commit(draft);
        };
        let sequence = next(&mut identity.next_batch);
        let mut reserved = self.draft();
        reserved.state.identity = Some(identity.clone());
        self.commit(reserved)?;
        let mut draft = self.draft();
        draft.free(verdict.sequence, value, Fate::Refused, contents.len());
        // What is left is a new batch.
        draft.state.counts.sealed += 1;
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

    pub(super) fn ignore(&mut self, why: Ignored) -> Heard {
        self.ignored_answers += 1;
        tracing::debug!(?why, "an answer changed nothing");
        Heard::Ignored(why)
    }
}

pub(super) fn contract_refused() {
    tracing::warn!("the collector does not take what this version sends: batches wait; update it");
}
