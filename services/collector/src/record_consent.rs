//! Consent events: recorded once, answered always, with the same receipt for the same event.

use imprimatur_consent::policy::OLDEST_RECORD_DAYS;
use imprimatur_consent::standing::InvalidEvent;
use imprimatur_consent::{Digest, Domain, PrincipalId, Standing, SubjectId, VerifyingKey};
use imprimatur_ledger::{BookError, TokenUse, Txn};
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, ReceiptStatus, SignedConsentEvent};
use imprimatur_proto::contract;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use crate::answer::{ReceiptFor, Signer};

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
        holds.then(|| Self { event, subject, hash, signed: bytes.to_vec() })
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
            position: 0,
            date,
            standing: None,
        },
    )
}

/// Records a verified event and writes everything that follows from it.
///
/// # Errors
/// [`BookError`]: nothing was recorded; end the process.
pub fn record(
    txn: &Txn,
    signer: &Signer,
    offered: &[Digest],
    now: UnixSeconds,
    verified: &Verified,
) -> Result<Recorded, BookError> {
    let Verified { event, subject, hash, signed } = verified;
    let answered = txn.receipt(*subject, event.sequence)?;
    if let Some((_, receipt)) = answered.as_ref().filter(|(known, _)| known == hash) {
        let counter = "consent.repeated".to_owned();
        return Ok(Recorded { receipt: receipt.clone(), counter });
    }
    let before = txn.standing(*subject)?;
    let about = |status, position, standing| ReceiptFor {
        subject: *subject,
        sequence: event.sequence,
        event: *hash,
        status,
        position,
        date: now.date(),
        standing,
    };
    let after = match &before {
        Some(standing) => standing.apply(event),
        None => Standing::begin(event),
    };
    let checked = match after {
        Ok(standing) => acceptable(txn, offered, now.date(), event)?.map(|()| standing),
        Err(invalid) => Err(status(invalid)),
    };
    match checked {
        Ok(standing) => {
            let position = txn.log_consent(&standing, signed, now)?;
            let about = about(ReceiptStatus::Recorded, position, Some(&standing));
            let recorded = recorded(signer, &about);
            txn.keep_receipt(*subject, event.sequence, *hash, &recorded.receipt)?;
            Ok(recorded)
        }
        Err(status) => Ok(recorded(signer, &about(status, 0, before.as_ref()))),
    }
}

/// What a grant must satisfy beyond its form. A withdrawal is never turned away.
fn acceptable(
    txn: &Txn,
    offered: &[Digest],
    today: UtcDate,
    event: &ConsentEvent,
) -> Result<Result<(), ReceiptStatus>, BookError> {
    if event.decision() == Decision::Withdrawn {
        return Ok(Ok(()));
    }
    let known = offered.iter().any(|policy| event.policy_hash == policy.0);
    if !known {
        return Ok(Err(ReceiptStatus::PolicyUnknown));
    }
    let future = event.date > today.0.saturating_add(1);
    if future || today.0.saturating_sub(event.date) > OLDEST_RECORD_DAYS {
        return Ok(Err(ReceiptStatus::DateOutOfRange));
    }
    let principal = PrincipalId::try_from(event.principal.as_slice());
    let Ok(principal) = principal else { return Ok(Err(ReceiptStatus::Unauthenticated)) };
    if event.enrolment_proof.is_empty() {
        return Ok(Ok(()));
    }
    Ok(match txn.spend_token(&event.enrolment_proof, principal, &event.public_key)? {
        TokenUse::Enrolled => Ok(()),
        TokenUse::Invalid => Err(ReceiptStatus::TokenInvalid),
    })
}

fn status(invalid: InvalidEvent) -> ReceiptStatus {
    match invalid {
        InvalidEvent::SequenceReused => ReceiptStatus::SequenceReused,
        InvalidEvent::Incomplete | InvalidEvent::Foreign => ReceiptStatus::Unauthenticated,
    }
}

fn recorded(signer: &Signer, about: &ReceiptFor<'_>) -> Recorded {
    let name = about.status.as_str_name();
    let name = name.strip_prefix("RECEIPT_STATUS_").unwrap_or(name).to_ascii_lowercase();
    Recorded { receipt: signer.receipt(about), counter: format!("consent.{name}") }
}
