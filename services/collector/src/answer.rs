//! Answers: verdicts and receipts, signed by the collector's key.

use std::path::Path;

use imprimatur_consent::{Category, Digest, Domain, SigningSeed, Standing, SubjectId};
use imprimatur_ledger::{Logged, Proof};
use imprimatur_proto::consent::v1::{Receipt, ReceiptStatus, SignedReceipt};
use imprimatur_proto::ingest::v1::{Outcome, RefusalReason, SignedVerdict, Verdict};
use imprimatur_proto::{canonical, contract};
use imprimatur_runtime::{UtcDate, durable, entropy};

use crate::error::CollectorError;
use crate::gate::Refused;

/// The collector's key, which agents pin.
#[derive(Clone, Debug)]
pub struct Signer(SigningSeed);

impl Signer {
    /// Reads the key from its file, or draws one and writes it, readable by its owner only.
    ///
    /// # Errors
    /// [`CollectorError`] names the file.
    pub fn open(path: &Path) -> Result<Self, CollectorError> {
        let unusable = |source| CollectorError::Path { path: path.to_owned(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let seed: Digest =
                    text.trim().parse().map_err(|_no_hex| CollectorError::Key(path.to_owned()))?;
                Ok(Self(SigningSeed::from_seed(&seed.0)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let seed = entropy::bytes()?;
                let text = format!("{}\n", Digest(seed));
                durable::write(path, text.as_bytes()).map_err(unusable)?;
                Ok(Self(SigningSeed::from_seed(&seed)))
            }
            Err(error) => Err(unusable(error)),
        }
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.0.public()
    }

    /// Signs an answer of this kind.
    pub(crate) fn sign(&self, domain: Domain, answer: &[u8]) -> Vec<u8> {
        self.0.sign(domain, answer)
    }

    /// The verdict that a batch was stored.
    pub fn stored(&self, subject: SubjectId, sequence: u64, frame: Digest) -> Vec<u8> {
        self.verdict(&Verdict {
            subject: subject.0.to_vec(),
            sequence,
            frame_hash: frame.0.to_vec(),
            outcome: Outcome::Stored.into(),
            ..Verdict::default()
        })
    }

    /// The verdict that a batch was refused, with the categories that lacked a grant.
    pub fn refused(&self, refused: &Refused, categories: &[Category]) -> Vec<u8> {
        self.verdict(&Verdict {
            subject: refused.subject.0.to_vec(),
            sequence: refused.sequence,
            frame_hash: refused.frame.0.to_vec(),
            outcome: Outcome::Refused.into(),
            reason: refused.reason.into(),
            categories: categories.iter().map(|category| category.number()).collect(),
        })
    }

    /// The receipt of a consent event.
    pub fn receipt(&self, about: &ReceiptFor<'_>) -> Vec<u8> {
        let granted = about.standing.map(|standing| standing.granted.keys());
        let plain = Receipt {
            subject: about.subject.0.to_vec(),
            sequence: about.sequence,
            event_hash: about.event.0.to_vec(),
            status: about.status.into(),
            recorded_date: about.date.0,
            granted: granted.into_iter().flatten().map(|category| category.number()).collect(),
            contract_hash: contract().hash().to_vec(),
            ..Receipt::default()
        };
        let receipt = match about.proven {
            None => plain,
            Some(proven) => Receipt {
                log_index: proven.logged.leaf + 1,
                event_signature: proven.signature.to_vec(),
                nonce: proven.logged.nonce.0.to_vec(),
                checkpoint: proven.proof.checkpoint.clone().into_bytes(),
                inclusion_proof: proven.proof.inclusion.clone(),
                consistency_proof: proven.proof.consistency.clone(),
                log_key: proven.log_key.to_vec(),
                valid_until: proven.valid_until.map_or(0, |date| date.0),
                ..plain
            },
        };
        let receipt = canonical::encode(&receipt);
        let signature = self.0.sign(Domain::Receipt, &receipt);
        canonical::encode(&SignedReceipt { receipt, signature })
    }

    fn verdict(&self, verdict: &Verdict) -> Vec<u8> {
        let verdict = canonical::encode(verdict);
        let signature = self.0.sign(Domain::Verdict, &verdict);
        canonical::encode(&SignedVerdict { verdict, signature })
    }
}

/// What a receipt is about.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptFor<'a> {
    /// The subject; zeros when the event could not be read.
    pub subject: SubjectId,
    /// The event's number; 0 when it could not be read.
    pub sequence: u64,
    /// SHA-256 of the event's bytes.
    pub event: Digest,
    /// What became of it.
    pub status: ReceiptStatus,
    /// Today.
    pub date: UtcDate,
    /// The standing after it.
    pub standing: Option<&'a Standing>,
    /// Its proofs; `None` when nothing was recorded.
    pub proven: Option<&'a Proven<'a>>,
}

/// The proofs of a recorded event: whoever holds them needs nobody to believe it.
#[derive(Clone, Debug)]
pub struct Proven<'a> {
    /// Where it was recorded.
    pub logged: Logged,
    /// That it is in the log, and that the log is the one that was seen before.
    pub proof: Proof,
    /// The device's signature on the event.
    pub signature: &'a [u8],
    /// The key that signs checkpoints.
    pub log_key: [u8; 32],
    /// When the first of the granted categories ends unless it is renewed.
    pub valid_until: Option<UtcDate>,
}

/// The name of a refusal reason in counters, logs and pages, for example `no_grant`.
pub fn reason_name(reason: RefusalReason) -> String {
    let name = reason.as_str_name();
    name.strip_prefix("REFUSAL_REASON_").unwrap_or(name).to_ascii_lowercase()
}
