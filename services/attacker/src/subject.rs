//! A throw-away subject: a key of its own, and everything that it can sign.

use imprimatur_consent::{Category, Digest, Domain, SigningSeed};
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, SignedConsentEvent,
};
use imprimatur_proto::telemetry::v1::{BatchHeader, PrintReport, PrintTime, SignedBatch};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::entropy::{self, NoEntropy};
use prost::Message as _;

use crate::wire;

/// A subject that exists for one run.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) key: SigningSeed,
    principal: [u8; 16],
    policy: Digest,
    events: u64,
    batches: u64,
}

impl Subject {
    /// Draws its key and its principal.
    pub(crate) fn new(policy: Digest) -> Result<Self, NoEntropy> {
        let key = SigningSeed::from_seed(&entropy::bytes()?);
        Ok(Self { key, principal: entropy::bytes()?, policy, events: 0, batches: 0 })
    }

    /// A consent event under the next number.
    pub(crate) fn says(
        &mut self,
        decision: Decision,
        categories: &[Category],
        date: u32,
    ) -> ConsentEvent {
        self.events += 1;
        ConsentEvent {
            public_key: self.key.public().to_vec(),
            principal: self.principal.to_vec(),
            sequence: self.events,
            decision: decision.into(),
            categories: categories.iter().map(|category| category.number()).collect(),
            policy_hash: self.policy.0.to_vec(),
            date,
            notice_language: b"en".to_vec(),
            method: Method::Command.into(),
            affirmation: Affirmation::AgeAndAuthority.into(),
            ..ConsentEvent::default()
        }
    }

    /// The event, signed.
    pub(crate) fn signed(&self, event: &ConsentEvent) -> Vec<u8> {
        self.signed_bytes(canonical::encode(event))
    }

    /// Any bytes, signed as an event.
    pub(crate) fn signed_bytes(&self, event: Vec<u8>) -> Vec<u8> {
        let signature = self.key.sign(Domain::Consent, &event);
        canonical::encode(&SignedConsentEvent { event, signature })
    }

    /// A batch's header under the next number.
    pub(crate) fn header(&mut self) -> BatchHeader {
        self.batches += 1;
        BatchHeader {
            subject: self.key.subject().0.to_vec(),
            sequence: self.batches,
            policy_hash: self.policy.0.to_vec(),
            contract_hash: contract().hash().to_vec(),
            identity_tag: Vec::new(),
            dropped: 0,
        }
    }

    /// The header's bytes.
    pub(crate) fn header_bytes(&mut self) -> Vec<u8> {
        canonical::encode(&self.header())
    }

    /// Leaves numbers of batches out.
    pub(crate) fn skip(&mut self, numbers: u64) {
        self.batches += numbers;
    }

    /// A frame of any bytes, signed as a batch.
    pub(crate) fn frame(&self, batch: Vec<u8>) -> Vec<u8> {
        let signature = self.key.sign(Domain::Batch, &batch);
        framed(batch, signature)
    }

    /// The same in a frame of this size, if it fits.
    pub(crate) fn frame_of(&self, batch: Vec<u8>, size: usize) -> Vec<u8> {
        let signature = self.key.sign(Domain::Batch, &batch);
        let mut signed = SignedBatch { batch, signature, padding: Vec::new() };
        for overhead in [2, 3] {
            let room = size.checked_sub(signed.encoded_len() + overhead);
            let Some(room) = room.filter(|&room| room > 0) else { continue };
            let padded = SignedBatch { padding: vec![0; room], ..signed.clone() };
            if padded.encoded_len() == size {
                return padded.encode_to_vec();
            }
        }
        signed.padding = Vec::new();
        signed.encode_to_vec()
    }

    /// A good frame with these prints, under the next number.
    pub(crate) fn prints(&mut self, prints: &[PrintReport]) -> Vec<u8> {
        let prints: Vec<Vec<u8>> = prints.iter().map(canonical::encode).collect();
        let header = self.header_bytes();
        self.frame(wire::batch(&header, &prints, &[]))
    }
}

/// A frame as an agent makes it; without padding when it fits none.
pub(crate) fn framed(batch: Vec<u8>, signature: Vec<u8>) -> Vec<u8> {
    let bare = SignedBatch { batch: batch.clone(), signature: signature.clone(), padding: vec![] };
    frame::seal(batch, signature).unwrap_or_else(|_too_large| bare.encode_to_vec())
}

/// A print that tells its duration.
pub(crate) fn print(date: u32, duration: u32) -> PrintReport {
    PrintReport {
        start_date: date,
        print_time: Some(PrintTime { completed_duration: duration, stopped_duration: 0 }),
        ..PrintReport::default()
    }
}
