//! Consent events: recorded once, answered always, with the same receipt for the same event.

use imprimatur_consent::event::What;
use imprimatur_consent::policy::OLDEST_RECORD_DAYS;
use imprimatur_consent::standing::InvalidEvent;
use imprimatur_consent::{Digest, Domain, PrincipalId, SubjectId, VerifyingKey};
use imprimatur_ledger::{BookError, Logged, TokenUse, Txn};
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, ReceiptStatus, SignedConsentEvent};
use imprimatur_proto::contract;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::answer::{Proven, ReceiptFor, Signer};
use crate::offered::Offered;

/// A consent event whose signature holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// The event.
    pub event: ConsentEvent,
    /// The subject that its key makes.
    pub subject: SubjectId,
    /// SHA-256 of its canonical bytes.
    pub hash: Digest,
    /// The signed event as it arrived.
    pub signed: Vec<u8>,
    /// The subject's signature.
    pub signature: Vec<u8>,
}

/// The receipt, and its name in the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The signed receipt; to be given only after the transaction was committed.
    pub receipt: Vec<u8>,
    /// `consent.` and the status.
    pub counter: String,
}

impl Verified {
    /// Checks form and signature of a signed consent event; `None` when either is wrong.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let signed: SignedConsentEvent = contract().decode(bytes).ok()?;
        let event: ConsentEvent = contract().decode(&signed.event).ok()?;
        let key = VerifyingKey::from_bytes(&event.public_key).ok()?;
        let holds = key.verifies(Domain::Consent, &signed.event, &signed.signature);
        let (subject, hash) = (SubjectId::of(&key.to_bytes()), Digest::of(&signed.event));
        let (signed, signature) = (bytes.to_vec(), signed.signature);
        holds.then_some(Self { event, subject, hash, signed, signature })
    }
}

/// The receipt for what is no signed consent event.
pub fn refuse(signer: &Signer, date: UtcDate, bytes: &[u8]) -> Recorded {
    let claimed: Option<SignedConsentEvent> = prost::Message::decode(bytes).ok();
    let event = claimed.as_ref().map_or(bytes, |signed| &signed.event);
    recorded(
        signer,
        &ReceiptFor {
            subject: SubjectId([0; 16]),
            sequence: 0,
            event: Digest::of(event),
            status: ReceiptStatus::Unauthenticated,
            date,
            standing: None,
            proven: None,
        },
    )
}

/// What recording needs besides the transaction.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// The collector's key.
    pub signer: &'a Signer,
    /// The policies to which consent is taken.
    pub offered: &'a Offered,
    /// The public key that signs checkpoints.
    pub log_key: [u8; 32],
}

/// Records a verified event and writes everything that follows from it.
///
/// # Errors
/// [`BookError`]: nothing was recorded; end the process.
pub fn record(
    txn: &Txn,
    desk: &Desk<'_>,
    now: UnixSeconds,
    verified: &Verified,
) -> Result<Recorded, BookError> {
    let Verified { event, subject, hash, signed, signature } = verified;
    let answered = txn.receipt(*subject, event.sequence)?;
    if let Some((_, receipt)) = answered.filter(|(known, _)| known == hash) {
        return Ok(Recorded { receipt, counter: "consent.repeated".to_owned() });
    }
    let about = ReceiptFor {
        subject: *subject,
        sequence: event.sequence,
        event: *hash,
        status: ReceiptStatus::Recorded,
        date: now.date(),
        standing: None,
        proven: None,
    };
    let logged = match acceptable(txn, desk.offered, now.date(), event)? {
        Ok(()) => {
            let what = What::Consent { signed_event: hex::encode(signed) };
            txn.record(*subject, &what, now)?.map_err(status)
        }
        Err(refused) => Err(refused),
    };
    let logged = match logged {
        Ok(logged) => logged,
        Err(status) => {
            let standing = txn.standing(*subject)?;
            let about = ReceiptFor { status, standing: standing.as_ref(), ..about };
            return Ok(recorded(desk.signer, &about));
        }
    };
    if !event.enrolment_proof.is_empty() {
        let spent = txn.spend_token(&event.enrolment_proof, *subject)?;
        debug_assert_eq!(spent, TokenUse::Enrolled, "it was found valid in this transaction");
    }
    let standing = logged.standing.clone();
    let proven = prove(txn, desk, logged, event.seen_log_size, signature)?;
    let about = ReceiptFor { standing: Some(&standing), proven: Some(&proven), ..about };
    let recorded = recorded(desk.signer, &about);
    txn.keep_receipt(*subject, event.sequence, *hash, &recorded.receipt)?;
    Ok(recorded)
}

fn prove<'a>(
    txn: &Txn,
    desk: &Desk<'_>,
    logged: Logged,
    seen: u64,
    signature: &'a [u8],
) -> Result<Proven<'a>, BookError> {
    let proof = txn.proof(logged.leaf, seen)?;
    let valid_until = logged.standing.valid_until(&txn.terms());
    Ok(Proven { logged, proof, signature, log_key: desk.log_key, valid_until })
}

/// What a grant must satisfy beyond its form. What ends consent is never turned away.
fn acceptable(
    txn: &Txn,
    offered: &Offered,
    today: UtcDate,
    event: &ConsentEvent,
) -> Result<Result<(), ReceiptStatus>, BookError> {
    if matches!(event.decision(), Decision::Withdrawn | Decision::Transferred) {
        return Ok(Ok(()));
    }
    let policy = Digest::try_from(event.policy_hash.as_slice());
    if !policy.is_ok_and(|policy| offered.takes(policy, today)) {
        return Ok(Err(ReceiptStatus::PolicyUnknown));
    }
    // Nobody answers before the question.
    let future = event.date > today.0.saturating_add(1) || event.date < event.requested_date;
    if future || today.0.saturating_sub(event.date) > OLDEST_RECORD_DAYS {
        return Ok(Err(ReceiptStatus::DateOutOfRange));
    }
    let principal = PrincipalId::try_from(event.principal.as_slice());
    let Ok(principal) = principal else { return Ok(Err(ReceiptStatus::Unauthenticated)) };
    let proof = &event.enrolment_proof;
    let valid = proof.is_empty() || txn.token_valid(proof, principal, &event.public_key)?;
    Ok(if valid { Ok(()) } else { Err(ReceiptStatus::TokenInvalid) })
}

fn status(invalid: InvalidEvent) -> ReceiptStatus {
    match invalid {
        InvalidEvent::SequenceReused => ReceiptStatus::SequenceReused,
        InvalidEvent::Incomplete | InvalidEvent::Foreign => ReceiptStatus::Unauthenticated,
        InvalidEvent::PolicyUnknown | InvalidEvent::NotOffered => ReceiptStatus::PolicyUnknown,
        InvalidEvent::Ended => ReceiptStatus::SubjectEnded,
    }
}

fn recorded(signer: &Signer, about: &ReceiptFor<'_>) -> Recorded {
    let name = about.status.as_str_name();
    let name = name.strip_prefix("RECEIPT_STATUS_").unwrap_or(name).to_ascii_lowercase();
    Recorded { receipt: signer.receipt(about), counter: format!("consent.{name}") }
}
