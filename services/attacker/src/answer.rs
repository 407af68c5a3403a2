//! What came back, in one word: `stored`, `recorded` or the reason of a refusal as the contract names it;
//! a call that gRPC itself ends is `grpc:` and its code.

use imprimatur_consent::Digest;
use imprimatur_proto::consent::v1::{Receipt, ReceiptStatus, SignedReceipt};
use imprimatur_proto::contract;
use imprimatur_proto::ingest::v1::{Outcome, SignedVerdict, Verdict};
use imprimatur_proto::rights::v1::{RightsAnswer, RightsStatus, SignedRightsAnswer};
use tonic::{Code, Status};

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// In one word.
    pub(crate) word: String,
    /// Whether what was said took effect.
    pub(crate) accepted: bool,
    /// The answer's bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(word: &str, accepted: bool, bytes: Vec<u8>) -> Self {
        Self { word: word.to_owned(), accepted, bytes }
    }

    /// No answer came.
    pub(crate) fn silent() -> Self {
        Self::of("silence", false, Vec::new())
    }

    pub(crate) fn status(status: &Status) -> Self {
        Self::of(&format!("grpc:{}", code(status.code())), false, Vec::new())
    }
}

/// The answer that a signed verdict is. Whose signature it is does not matter here: nobody gains by
/// telling an attacker that it was refused.
pub(crate) fn verdict_of(bytes: &[u8]) -> Answer {
    let signed: Option<SignedVerdict> = contract().decode(bytes).ok();
    let verdict = signed.and_then(|signed| contract().decode::<Verdict>(&signed.verdict).ok());
    match verdict.map(|verdict| (verdict.outcome(), verdict.reason())) {
        Some((Outcome::Stored, _)) => Answer::of("stored", true, bytes.to_vec()),
        Some((Outcome::Refused, reason)) => {
            let word = plain(reason.as_str_name(), "REFUSAL_REASON_");
            Answer::of(&word, false, bytes.to_vec())
        }
        _ => Answer::of("unreadable", false, bytes.to_vec()),
    }
}

/// The answer that a signed receipt is.
pub(crate) fn receipt_of(bytes: &[u8]) -> Answer {
    let signed: Option<SignedReceipt> = contract().decode(bytes).ok();
    let receipt = signed.and_then(|signed| contract().decode::<Receipt>(&signed.receipt).ok());
    let Some(status) = receipt.map(|receipt| receipt.status()) else {
        return Answer::of("unreadable", false, bytes.to_vec());
    };
    let word = plain(status.as_str_name(), "RECEIPT_STATUS_");
    Answer::of(&word, status == ReceiptStatus::Recorded, bytes.to_vec())
}

/// The answer to a right, and what it holds.
pub(crate) fn rights_of(bytes: &[u8]) -> (Answer, RightsAnswer) {
    let signed: Option<SignedRightsAnswer> = contract().decode(bytes).ok();
    let answer = signed.and_then(|signed| contract().decode::<RightsAnswer>(&signed.answer).ok());
    let Some(answer) = answer else {
        return (Answer::of("unreadable", false, bytes.to_vec()), RightsAnswer::default());
    };
    let status = answer.status();
    let word = plain(status.as_str_name(), "RIGHTS_STATUS_");
    let bound = matches!(status, RightsStatus::Done | RightsStatus::Accepted | RightsStatus::Held);
    (Answer::of(&word, bound, bytes.to_vec()), answer)
}

/// The frame that a verdict is about; `None` when it is no verdict.
pub(crate) fn frame_of(bytes: &[u8]) -> Option<Digest> {
    let signed: SignedVerdict = contract().decode(bytes).ok()?;
    let verdict: Verdict = contract().decode(&signed.verdict).ok()?;
    Digest::try_from(verdict.frame_hash.as_slice()).ok()
}

/// The name of an enum's value as it is counted, such as `no_grant`.
fn plain(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

fn code(code: Code) -> String {
    let mut text = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
