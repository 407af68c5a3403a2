//! Receipts: each recorded consent event has one, signed, that proves it as its device would check it.

use imprimatur_consent::event::decoded;
use imprimatur_consent::{Digest, Domain, Standing, VerifyingKey};
use imprimatur_ledger::{ConsentEvidence, Opened};
use imprimatur_log::{Checkpoint, entry, proof, tree, verify_consistency, verify_inclusion};
use imprimatur_proto::consent::v1::{
    ConsentEvent, Receipt, ReceiptStatus, SignedConsentEvent, SignedReceipt,
};
use imprimatur_proto::contract;

use super::Look;
use super::log::Story;
use crate::report::Check;

/// The event that a receipt is of.
pub(super) struct Of<'a> {
    pub(super) evidence: &'a ConsentEvidence,
    pub(super) nonce: Digest,
    pub(super) signed_event: &'a str,
    /// What the subject's events add up to after it.
    pub(super) standing: &'a Standing,
}

/// Whether the receipt of an event is there; what is wrong with it is a finding.
pub(super) fn check(look: &Look<'_>, story: &Story, of: &Of<'_>, first: &mut Check) -> bool {
    let place = format!("receipt of event {}", of.evidence.position);
    let Ok((event, signed)) = decoded(of.signed_event) else { return false };
    let keyring = &look.evidence.keyring;
    let held = look.reader.receipt(keyring, of.evidence.slot, event.sequence);
    let Some(held) = look.one("receipts", held) else { return false };
    match held {
        None => {
            // A restore replays events, and gives nobody an answer.
            let fine = story.replayed(of.evidence.leaf);
            first.expect(fine, &place, "is not in the book");
            return false;
        }
        Some(Opened::Whole((asked, bytes))) => {
            let read = read(look, &bytes);
            let problem = match &read {
                Ok(receipt) if asked == Digest::of(&signed.event) => {
                    says(look, of, (&event, &signed), receipt)
                        .or_else(|| proves(look, of, &event, receipt))
                }
                Ok(_) => Some("is kept as the answer to another event"),
                Err(problem) => Some(*problem),
            };
            first.expect(problem.is_none(), &place, problem.unwrap_or_default());
        }
        Some(Opened::Destroyed | Opened::Broken) => first.found(&place, "its seal does not open"),
    }
    true
}

/// The receipt, if the collector whose key the manifest names signed it.
fn read(look: &Look<'_>, bytes: &[u8]) -> Result<Receipt, &'static str> {
    let form = "is no canonical receipt";
    let signed: SignedReceipt = contract().decode(bytes).map_err(|_fault| form)?;
    let receipt: Receipt = contract().decode(&signed.receipt).map_err(|_fault| form)?;
    let key = VerifyingKey::from_bytes(&look.evidence.manifest.collector_key.0);
    let signs =
        |key: VerifyingKey| key.verifies(Domain::Receipt, &signed.receipt, &signed.signature);
    if key.is_ok_and(signs) { Ok(receipt) } else { Err("is not signed by the collector") }
}

/// What it says is what the evidence says.
fn says(
    look: &Look<'_>,
    of: &Of<'_>,
    (event, signed): (&ConsentEvent, &SignedConsentEvent),
    receipt: &Receipt,
) -> Option<&'static str> {
    let Of { evidence, standing, .. } = of;
    let granted = standing.granted.keys().map(|category| category.number());
    let log_key = look.evidence.manifest.log_key;
    let all = [
        (receipt.subject == standing.subject().0, "names another subject"),
        (receipt.sequence == event.sequence, "names another number"),
        (receipt.event_hash == Digest::of(&signed.event).0, "is of another event"),
        (receipt.status() == ReceiptStatus::Recorded, "does not say that it was recorded"),
        (receipt.log_index.checked_sub(1) == Some(evidence.leaf), "names another entry of the log"),
        (receipt.recorded_date == evidence.recorded.date().0, "names another day"),
        (receipt.granted.iter().copied().eq(granted), "says that something else is granted"),
        (receipt.event_signature == signed.signature, "bears another signature of its owner"),
        (receipt.nonce == of.nonce.0, "bears another nonce"),
        (receipt.log_key == log_key.0, "names another key of the log"),
    ];
    all.into_iter().find(|(fine, _)| !fine).map(|(_, problem)| problem)
}

/// Its proofs lead from the event to the log.
fn proves(
    look: &Look<'_>,
    of: &Of<'_>,
    event: &ConsentEvent,
    receipt: &Receipt,
) -> Option<&'static str> {
    let note = std::str::from_utf8(&receipt.checkpoint).ok();
    let key = &look.evidence.manifest.log_key.0;
    let Some(checkpoint) = note.and_then(|note| Checkpoint::open(note, key).ok()) else {
        return Some("bears no checkpoint of the log");
    };
    let root = |size| tree::root(size, look.reader).ok();
    let (size, leaf) = (checkpoint.size, of.evidence.leaf);
    if root(size) != Some(checkpoint.root) {
        return Some("bears a checkpoint of another log: a fork");
    }
    let payload = hex::decode(of.signed_event).unwrap_or_default();
    let hash = tree::leaf_hash(&entry::blinded(&of.nonce.0, &payload));
    let path = proof::from_bytes(&receipt.inclusion_proof);
    let inside =
        path.and_then(|path| verify_inclusion(hash, leaf, size, checkpoint.root, &path)).is_ok();
    if !inside {
        return Some("does not prove that its event is in the log");
    }
    let seen = event.seen_log_size;
    if seen == 0 || seen > size {
        let none = receipt.consistency_proof.is_empty();
        return (!none).then_some("proves more than was asked");
    }
    let path = proof::from_bytes(&receipt.consistency_proof).ok();
    let continues = path.zip(root(seen)).is_some_and(|(path, old)| {
        verify_consistency(seen, old, size, checkpoint.root, &path).is_ok()
    });
    (!continues).then_some("does not prove that the log continues what its device saw")
}
