//! Answers to rights messages, signed by the collector's key.

use imprimatur_consent::Domain;
use imprimatur_proto::canonical;
use imprimatur_proto::rights::v1::{RightsAnswer, RightsStatus, SignedRightsAnswer};
use imprimatur_runtime::UtcDate;

use crate::answer::Signer;
use crate::rights::challenge::CHALLENGE_BYTES;
use crate::rights::request::{Asked, Unproven};

/// Largest page, bytes: whole JSON lines, UTF-8.
pub const PAGE_BYTES_MAX: usize = 8 << 10;

/// What became of a proven request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub status: RightsStatus,
    /// Its number in the register; 0 when it was not registered.
    pub number: u64,
    /// By when it is finished; `None` when nothing is left to do.
    pub due: Option<UtcDate>,
    /// A page of JSON lines.
    pub page: Vec<u8>,
    /// Cursor of the next page; 0 after the last.
    pub next: u64,
}

impl From<RightsStatus> for Outcome {
    /// A status with nothing to add.
    fn from(status: RightsStatus) -> Self {
        Self { status, ..Self::default() }
    }
}

impl Signer {
    /// The answer to who proved nothing: the same for all, but for what they said themselves.
    pub fn unproven(&self, unproven: Unproven) -> Vec<u8> {
        self.rights(
            unproven.0,
            RightsAnswer { status: RightsStatus::Unproven.into(), ..RightsAnswer::default() },
        )
    }

    /// The answer that carries a challenge and nothing else.
    pub fn challenge(&self, asked: Asked, challenge: [u8; CHALLENGE_BYTES]) -> Vec<u8> {
        self.rights(
            asked,
            RightsAnswer {
                status: RightsStatus::Challenge.into(),
                challenge: challenge.to_vec(),
                ..RightsAnswer::default()
            },
        )
    }

    /// The answer to a proven request, with the challenge for the next one.
    pub fn exercised(
        &self,
        asked: Asked,
        outcome: Outcome,
        received: UtcDate,
        next: [u8; CHALLENGE_BYTES],
    ) -> Vec<u8> {
        self.rights(
            asked,
            RightsAnswer {
                status: outcome.status.into(),
                challenge: next.to_vec(),
                register_number: outcome.number,
                received_date: received.0,
                due_date: outcome.due.map_or(0, |due| due.0),
                page: outcome.page,
                next_cursor: outcome.next,
                ..RightsAnswer::default()
            },
        )
    }

    fn rights(&self, asked: Asked, answer: RightsAnswer) -> Vec<u8> {
        let answer = canonical::encode(&RightsAnswer {
            requester: asked.requester.0.to_vec(),
            request_hash: asked.hash.0.to_vec(),
            ..answer
        });
        let signature = self.sign(Domain::RightsAnswer, &answer);
        canonical::encode(&SignedRightsAnswer { answer, signature })
    }
}

/// The name of what became of a request, in counters and pages, for example `done`.
pub fn status_name(status: RightsStatus) -> String {
    let name = status.as_str_name();
    name.strip_prefix("RIGHTS_STATUS_").unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use imprimatur_consent::{Digest, SubjectId, VerifyingKey};
    use imprimatur_proto::contract;

    use super::*;

    fn read(signer: &Signer, bytes: &[u8]) -> RightsAnswer {
        let signed: SignedRightsAnswer = contract().decode(bytes).unwrap();
        let key = VerifyingKey::from_bytes(&signer.public()).unwrap();
        assert!(key.verifies(Domain::RightsAnswer, &signed.answer, &signed.signature));
        assert!(!key.verifies(Domain::Receipt, &signed.answer, &signed.signature));
        contract().decode(&signed.answer).unwrap()
    }

    #[test]
    fn answers_are_canonical_and_the_largest_fits_the_road() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::open(&folder.path().join("key")).unwrap();
        let asked = Asked { requester: SubjectId([1; 16]), hash: Digest([2; 32]) };
        let outcome = Outcome {
            status: RightsStatus::Accepted,
            number: u64::MAX,
            due: Some(UtcDate(20_808)),
            page: vec![b'x'; PAGE_BYTES_MAX],
            next: u64::MAX,
        };
        let bytes = signer.exercised(asked, outcome, UtcDate(20_778), [3; CHALLENGE_BYTES]);
        // The bridge takes 16 KiB.
        assert!(bytes.len() <= 9 << 10, "{}", bytes.len());
        let answer = read(&signer, &bytes);
        assert_eq!(answer.page.len(), PAGE_BYTES_MAX);
        assert_eq!(status_name(answer.status()), "accepted");
        let unproven = read(&signer, &signer.unproven(Unproven(asked)));
        assert_eq!(unproven.status(), RightsStatus::Unproven);
        let told = RightsAnswer { status: RightsStatus::Unproven.into(), ..unproven.clone() };
        assert!(told.challenge.is_empty() && told.page.is_empty() && told.received_date == 0);
        let challenge = read(&signer, &signer.challenge(asked, [4; CHALLENGE_BYTES]));
        assert_eq!(
            (challenge.status(), challenge.challenge),
            (RightsStatus::Challenge, vec![4; 32])
        );
    }
}
