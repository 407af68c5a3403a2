//! The gate: what can be decided about a frame from its bytes and a public key alone. Pure.
//!
//! Order: size, canonical form and bounds, signature. What comes after (permits, repeats) needs
//! the open transaction and is decided in [`crate::admit`]. Before the signature holds, an answer
//! tells only what the sender already knows: the form of its own bytes.

use imprimatur_consent::{Digest, Domain, SubjectId, VerifyingKey};
use imprimatur_proto::canonical::Fault;
use imprimatur_proto::ingest::v1::RefusalReason;
use imprimatur_proto::record::{Record, RecordKind};
use imprimatur_proto::telemetry::v1::{Batch, BatchHeader, SignedBatch};
use imprimatur_proto::{canonical, contract, frame};
use prost::Message as _;

/// A frame whose form is right; whose it is, is not known yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// SHA-256 of the frame.
    pub frame: Digest,
    /// The subject that it names.
    pub subject: SubjectId,
    /// Its number.
    pub sequence: u64,
    /// The policy that it names.
    pub policy: Digest,
    /// The contract that it names.
    pub contract: Digest,
    /// The identity tag, if there is one.
    pub identity_tag: Option<[u8; 16]>,
    /// Its records.
    pub records: Vec<Record>,
    batch: Vec<u8>,
    signature: Vec<u8>,
}

/// A refusal and whom it concerns, as far as the frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// SHA-256 of the frame.
    pub frame: Digest,
    /// The subject that the frame claims; zeros when it cannot be read.
    pub subject: SubjectId,
    /// The number that the frame claims; 0 when it cannot be read.
    pub sequence: u64,
    /// Why.
    pub reason: RefusalReason,
}

impl Inspected {
    /// Inspects a frame.
    ///
    /// # Errors
    /// [`Refused`] with the first reason.
    pub fn of(bytes: &[u8]) -> Result<Self, Refused> {
        Self::inspect(bytes).map_err(|reason| {
            let claimed = claimed_header(bytes).unwrap_or_default();
            // What another contract allows looks like a fault in this one.
            let foreign = Digest::try_from(claimed.contract_hash.as_slice())
                .is_ok_and(|named| named.0 != contract().hash());
            let reason = if foreign { RefusalReason::ContractUnsupported } else { reason };
            let subject = SubjectId::try_from(claimed.subject.as_slice());
            Refused {
                frame: Digest::of(bytes),
                subject: subject.unwrap_or(SubjectId([0; 16])),
                sequence: claimed.sequence,
                reason,
            }
        })
    }

    fn inspect(bytes: &[u8]) -> Result<Self, RefusalReason> {
        if bytes.len() > frame::BYTES_MAX {
            return Err(RefusalReason::Oversized);
        }
        let signed = frame::open(contract(), bytes).map_err(reason)?;
        let batch: Batch = contract().decode(&signed.batch).map_err(reason)?;
        let header = batch.header.as_ref().ok_or(RefusalReason::Malformed)?;
        let records = records(&batch).map_err(reason)?;
        if records.is_empty() || header.sequence == 0 {
            return Err(RefusalReason::Malformed);
        }
        Ok(Self {
            frame: Digest::of(bytes),
            subject: id(&header.subject)?,
            sequence: header.sequence,
            policy: digest(&header.policy_hash)?,
            contract: digest(&header.contract_hash)?,
            identity_tag: <[u8; 16]>::try_from(header.identity_tag.as_slice()).ok(),
            records,
            batch: signed.batch,
            signature: signed.signature,
        })
    }

    /// Whether the batch was signed by the holder of this key, and the key is the subject's.
    pub fn is_signed_by(&self, public_key: &[u8; 32]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(public_key) else { return false };
        SubjectId::of(public_key) == self.subject
            && key.verifies(Domain::Batch, &self.batch, &self.signature)
    }

    /// The refusal of this frame.
    pub fn refuse(&self, reason: RefusalReason) -> Refused {
        let Self { frame, subject, sequence, .. } = *self;
        Refused { frame, subject, sequence, reason }
    }
}

/// The records of a batch, prints first.
fn records(batch: &Batch) -> Result<Vec<Record>, Fault> {
    let prints = batch.prints.iter().map(|print| (RecordKind::Print, canonical::encode(print)));
    let days = batch.days.iter().map(|day| (RecordKind::Day, canonical::encode(day)));
    prints.chain(days).map(|(kind, bytes)| contract().record(kind, &bytes)).collect()
}

fn id(bytes: &[u8]) -> Result<SubjectId, RefusalReason> {
    SubjectId::try_from(bytes).map_err(|_absent| RefusalReason::Malformed)
}

fn digest(bytes: &[u8]) -> Result<Digest, RefusalReason> {
    Digest::try_from(bytes).map_err(|_absent| RefusalReason::Malformed)
}

fn reason(fault: Fault) -> RefusalReason {
    match fault {
        Fault::Malformed => RefusalReason::Malformed,
        Fault::UnknownField => RefusalReason::UnknownField,
        Fault::DuplicateField => RefusalReason::DuplicateField,
        Fault::NonCanonical => RefusalReason::NonCanonical,
        Fault::OutOfRange => RefusalReason::OutOfRange,
        Fault::UnknownEnum => RefusalReason::UnknownEnum,
        Fault::Contradiction => RefusalReason::Contradiction,
        Fault::TooMany => RefusalReason::TooManyRecords,
    }
}

/// What a refused frame claims about itself, so that its sender recognises the answer.
fn claimed_header(bytes: &[u8]) -> Option<BatchHeader> {
    let within = bytes.get(..bytes.len().min(frame::BYTES_MAX))?;
    let signed = SignedBatch::decode(within).ok()?;
    Batch::decode(signed.batch.as_slice()).ok()?.header
}
