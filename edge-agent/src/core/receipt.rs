//! Receipts: believed only with the proof that the event is in the collector's log, and that the log
//! is the one this device saw before, grown.
//!
//! A receipt is checked in this order: signature of the pinned collector; it names an event that
//! waits here; then, when it says `recorded`, our own signature, the log's key (pinned with the first
//! receipt), the checkpoint, the consistency with the newest log seen, the inclusion of our own bytes
//! under the receipt's nonce. What fails there is not believed, whoever signed it.

use imprimatur_consent::{Category, Digest, Domain, SubjectId};
use imprimatur_log::{Checkpoint, entry, proof, tree};
use imprimatur_proto::consent::v1::{Receipt, ReceiptStatus, SignedConsentEvent, SignedReceipt};
use imprimatur_proto::contract;
use imprimatur_runtime::UtcDate;

use super::event::{Said, Waiting, signed};
use super::identity::Retired;
use super::state::{json, numbered, read};
use super::{AgentError, Core, Heard, Ignored, Noted};
use crate::store::Space;

/// The newest log of the collector that was proven here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct SeenLog {
    /// The key that signs its checkpoints.
    pub(super) key: Digest,
    pub(super) size: u64,
    root: Digest,
    /// The signed note, whole: with it others can be shown what this device was shown.
    pub(super) note: String,
}

/// A receipt as it is kept: with the event that its proof is about.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct KeptReceipt {
    #[serde(with = "super::hexed")]
    pub(super) receipt: Vec<u8>,
    #[serde(with = "super::hexed")]
    pub(super) event: Vec<u8>,
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
        if status != ReceiptStatus::Recorded {
            self.not_recorded(subject, event, status)?;
            return Ok(Heard::Receipt(status));
        }
        match proven(self.state.log.as_ref(), &receipt, &event) {
            Ok(log) => self.recorded(subject, &event, &receipt, log, bytes)?,
            Err(Ignored::Unmatched) => return Ok(self.ignore(Ignored::Unmatched)),
            Err(why) => {
                self.doubt(subject, event, why)?;
                return Ok(self.ignore(why));
            }
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

    /// The event waits for another day; no batch leaves before a receipt that can be believed.
    fn doubt(
        &mut self,
        subject: SubjectId,
        mut event: Waiting,
        why: Ignored,
    ) -> Result<(), AgentError> {
        if !std::mem::replace(&mut self.told.doubt, true) {
            tracing::warn!(
                ?why,
                "the collector's log is not the one that this agent has seen before, or does not \
                 hold what you decided: it may have been restored, changed or shown to you apart; \
                 nothing is sent until a receipt can be believed; ask its operator, or end it with \
                 `imprimatur-agent erase` or `wipe`"
            );
        }
        let mut draft = self.draft();
        draft.state.doubt = true;
        draft.note(Noted::Doubted { sequence: event.sequence });
        event.refused = Some(draft.now.date());
        draft.wait(subject, &event);
        self.commit(draft)
    }

    fn recorded(
        &mut self,
        subject: SubjectId,
        event: &Waiting,
        receipt: &Receipt,
        log: SeenLog,
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
        let seen = log.size;
        draft.state.log = Some(log);
        draft.state.doubt = false;
        if let Some(((of, sequence), categories)) = number.zip(surplus) {
            tracing::warn!("the collector holds a grant that was withdrawn: withdrawing it again");
            // A withdrawal that changed nothing there is not repeated at once.
            let deaf = !event.asks() && event.shares(&categories);
            let said = Said::withdrawn(categories, event.said.policy, draft.now.date());
            let refused = deaf.then_some(draft.now.date());
            draft.wait(subject, &Waiting { refused, ..signed(&of, sequence, seen, said) });
        }
        let key = numbered(subject, event.sequence);
        draft.change.remove(Space::Outbox, &key);
        let kept = KeptReceipt { receipt: bytes.to_vec(), event: event.signed.clone() };
        draft.keep(&self.store, Space::Receipt, &key, &json(&kept))?;
        let (sequence, now) = (event.sequence, draft.now.date());
        draft.note(Noted::Receipt { sequence, status: "recorded".to_owned() });
        let ours = draft.state.identity.as_mut().filter(|identity| identity.subject() == subject);
        if let Some(identity) = ours {
            identity.receipted |= event.asks();
            identity.policy = event.said.policy;
            identity.valid_until = Some(UtcDate(receipt.valid_until)).filter(|date| date.0 > 0);
            let taken = receipt.contract_hash.as_slice() == contract().hash().as_slice();
            identity.contract_refused = (!taken).then_some(now);
            if !taken {
                super::answer::contract_refused();
            }
        }
        self.ends(&mut draft, subject, event.sequence)?;
        self.commit(draft)?;
        self.told.doubt = false;
        self.changes.news += 1;
        Ok(())
    }

    /// A key whose printer changed hands has said its last word with this event: it goes.
    pub(super) fn ends(
        &self,
        draft: &mut super::state::Draft,
        subject: SubjectId,
        sequence: u64,
    ) -> Result<(), AgentError> {
        let Some(held) = self.store.get(Space::Retired, &subject.0)? else { return Ok(()) };
        let retired: Retired = read("retired key", &held)?;
        let waits = self.waiting(&subject.0)?.iter().any(|event| event.sequence != sequence);
        if !retired.rights && !waits {
            draft.forget(&self.store, subject)?;
        }
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
        if event.asks()
            && matches!(status, ReceiptStatus::TokenInvalid | ReceiptStatus::SubjectEnded)
        {
            return self.ungrant(subject, &event, noted);
        }
        let mut draft = self.draft();
        draft.note(noted);
        if status == ReceiptStatus::SubjectEnded {
            // What it takes back has ended already.
            draft.change.remove(Space::Outbox, &numbered(subject, sequence));
            self.ends(&mut draft, subject, sequence)?;
            self.commit(draft)?;
            self.changes.news += 1;
            return Ok(());
        }
        event.refused = Some(draft.now.date());
        event.misdated = status == ReceiptStatus::DateOutOfRange;
        draft.wait(subject, &event);
        self.commit(draft)
    }
}

/// Checks the proofs of a receipt; gives the log that it proves.
fn proven(seen: Option<&SeenLog>, receipt: &Receipt, event: &Waiting) -> Result<SeenLog, Ignored> {
    let unproven = |_| Ignored::Unproven;
    let signed: SignedConsentEvent =
        contract().decode(&event.signed).map_err(|_fault| Ignored::Unproven)?;
    if receipt.event_signature != signed.signature {
        return Err(Ignored::Unproven);
    }
    let key = Digest::try_from(receipt.log_key.as_slice()).map_err(unproven)?;
    if seen.is_some_and(|seen| seen.key != key) {
        return Err(Ignored::Rollback);
    }
    let note = std::str::from_utf8(&receipt.checkpoint).map_err(|_no_text| Ignored::Unproven)?;
    let checkpoint = Checkpoint::open(note, &key.0).map_err(|_no_note| Ignored::Unproven)?;
    let (size, root) = (checkpoint.size, checkpoint.root);
    if let Some(seen) = seen {
        // The proof begins at the size that the event names: the newest when it was signed.
        if size >= seen.size && event.seen != seen.size {
            return Err(Ignored::Unmatched);
        }
        let steps = proof::from_bytes(&receipt.consistency_proof);
        let steps = steps.map_err(|_no_hashes| Ignored::Rollback)?;
        let grown = proof::verify_consistency(seen.size, seen.root, size, root, &steps);
        grown.map_err(|_not_grown| Ignored::Rollback)?;
    }
    let nonce = Digest::try_from(receipt.nonce.as_slice()).map_err(unproven)?;
    let leaf = tree::leaf_hash(&entry::blinded(&nonce.0, &event.signed));
    let index = receipt.log_index.checked_sub(1).ok_or(Ignored::Unproven)?;
    let path = proof::from_bytes(&receipt.inclusion_proof);
    let path = path.map_err(|_no_hashes| Ignored::Unproven)?;
    let held = proof::verify_inclusion(leaf, index, size, root, &path);
    held.map_err(|_not_held| Ignored::Unproven)?;
    Ok(SeenLog { key, size, root, note: note.to_owned() })
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
        ReceiptStatus::SubjectEnded => "this installation was erased or handed over: grant anew",
        ReceiptStatus::Unspecified | ReceiptStatus::Unauthenticated => "not authenticated",
    }
}
