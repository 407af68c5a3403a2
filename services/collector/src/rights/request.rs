//! A rights message: its form, who signed it, and what it asks. Pure.
//!
//! Keeps true: what proves nothing is told apart by nothing. Every failure before the proof is one
//! value, [`Unproven`], that carries only what its sender said.

use std::collections::BTreeSet;

use imprimatur_consent::standing::Restriction;
use imprimatur_consent::{Category, Digest, Domain, SubjectId, VerifyingKey};
use imprimatur_proto::contract;
use imprimatur_proto::record::{Record, RecordKind};
use imprimatur_proto::rights::v1::{
    ChallengeRequest, ComplaintTopic, RightsMessage, RightsRequest, Verb,
};
use prost::Message as _;

/// Largest message, bytes: a request with a whole day record is below half of it. The proof of an
/// act is kept, so it is bounded.
pub const BYTES_MAX: usize = 4 << 10;

/// Who asks, and which bytes an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// First 16 bytes of SHA-256 of the key that asks; zeros when it could not be read.
    pub requester: SubjectId,
    /// SHA-256 of the request.
    pub hash: Digest,
}

/// What proves nothing, whatever the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unproven(pub Asked);

/// A message of the right form.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Wants a challenge.
    Challenge(Asked),
    /// Wants a right; its signature holds, its challenge is not checked.
    Request(Box<SignedRequest>),
}

/// A request whose signature holds.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedRequest {
    /// Who asks.
    pub asked: Asked,
    /// The key that signed.
    pub key: VerifyingKey,
    /// The request.
    pub request: RightsRequest,
    /// The whole message as it arrived: the proof of the act.
    pub message: Vec<u8>,
}

/// What a request asks, with all that its verb needs and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// What is held, for which purposes, and every permission with its history.
    Explain {
        /// Where the page begins.
        cursor: u64,
    },
    /// All data.
    Export {
        /// Where the page begins.
        cursor: u64,
    },
    /// Replace these sections of every day record from this record's date on.
    Rectify(Record),
    /// Withdraw everything and erase it everywhere.
    Erase,
    /// Keep what is held, use it for nothing.
    Restrict,
    /// A legal hold; only the operator can ask for it.
    Hold(Restriction),
    /// End the owner's own restriction; for the operator a legal hold first.
    Release,
    /// Withdraw these categories and use no more what is held of them.
    Object(BTreeSet<Category>),
    /// Withdraw these categories.
    Withdraw(BTreeSet<Category>),
    /// A complaint.
    Complain(ComplaintTopic),
}

impl Message {
    /// Checks form and signature of a rights message.
    ///
    /// # Errors
    /// [`Unproven`], always the same.
    pub fn of(bytes: &[u8]) -> Result<Self, Unproven> {
        let small = bytes.get(..bytes.len().min(BYTES_MAX)).unwrap_or_default();
        let read = if small.len() == bytes.len() { Self::read(bytes) } else { None };
        read.ok_or_else(|| Unproven(claimed(small)))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let message: RightsMessage = contract().decode(bytes).ok()?;
        if message.request.is_empty() {
            let asks: ChallengeRequest = contract().decode(&message.challenge_request).ok()?;
            let requester = SubjectId::try_from(asks.requester.as_slice()).ok()?;
            let asked = Asked { requester, hash: Digest::of(&message.challenge_request) };
            return message.signature.is_empty().then_some(Self::Challenge(asked));
        }
        let request: RightsRequest = contract().decode(&message.request).ok()?;
        let key = VerifyingKey::from_bytes(&request.public_key).ok()?;
        let holds = message.challenge_request.is_empty()
            && key.verifies(Domain::Rights, &message.request, &message.signature);
        let asked =
            Asked { requester: SubjectId::of(&key.to_bytes()), hash: Digest::of(&message.request) };
        let signed = SignedRequest { asked, key, request, message: bytes.to_vec() };
        holds.then(|| Self::Request(Box::new(signed)))
    }
}

impl SignedRequest {
    /// What is asked; `None` when the verb lacks what it needs or has what it does not take.
    pub fn wish(&self) -> Option<Wish> {
        let RightsRequest { cursor, topic, ref rectified, ref reader_key, .. } = self.request;
        let categories = self.categories()?;
        let verb = self.request.verb();
        let paged = matches!(verb, Verb::Explain | Verb::Export);
        let named = matches!(verb, Verb::Object | Verb::Withdraw);
        let superfluous = (cursor != 0 && !paged)
            || (!categories.is_empty() && !named)
            || (topic != 0 && verb != Verb::Complain)
            || (!rectified.is_empty() && verb != Verb::Rectify);
        // A page that everybody on the way could read is not made.
        if superfluous || reader_key.is_empty() == paged {
            return None;
        }
        let of_all = || if categories.is_empty() { all() } else { categories.clone() };
        Some(match verb {
            Verb::Unspecified => return None,
            Verb::Explain => Wish::Explain { cursor },
            Verb::Export => Wish::Export { cursor },
            Verb::Rectify => Wish::Rectify(contract().record(RecordKind::Day, rectified).ok()?),
            Verb::Erase => Wish::Erase,
            Verb::Restrict => Wish::Restrict,
            Verb::Release => Wish::Release,
            Verb::Object => Wish::Object(of_all()),
            Verb::Withdraw => Wish::Withdraw(of_all()),
            Verb::Complain => match self.request.topic() {
                ComplaintTopic::Unspecified => return None,
                topic => Wish::Complain(topic),
            },
        })
    }

    fn categories(&self) -> Option<BTreeSet<Category>> {
        self.request.categories.iter().map(|&number| Category::from_number(number)).collect()
    }
}

fn all() -> BTreeSet<Category> {
    Category::ALL.into_iter().collect()
}

/// What a message that proves nothing says of itself, so that its sender recognises the answer.
fn claimed(bytes: &[u8]) -> Asked {
    let message = RightsMessage::decode(bytes).unwrap_or_default();
    let nobody = SubjectId([0; 16]);
    if message.request.is_empty() && !message.challenge_request.is_empty() {
        let asks = ChallengeRequest::decode(message.challenge_request.as_slice());
        let requester = SubjectId::try_from(asks.unwrap_or_default().requester.as_slice());
        let hash = Digest::of(&message.challenge_request);
        return Asked { requester: requester.unwrap_or(nobody), hash };
    }
    let claims = RightsRequest::decode(message.request.as_slice()).unwrap_or_default();
    let key: Result<[u8; 32], _> = claims.public_key.as_slice().try_into();
    let requester = key.map_or(nobody, |key| SubjectId::of(&key));
    let signed = if message.request.is_empty() { bytes } else { &message.request };
    Asked { requester, hash: Digest::of(signed) }
}

#[cfg(test)]
mod tests {
    use imprimatur_consent::SigningSeed;
    use imprimatur_proto::canonical;
    use imprimatur_proto::telemetry::v1::{DayPrintTime, DayReport};

    use super::*;

    fn key() -> SigningSeed {
        SigningSeed::from_seed(&[7; 32])
    }

    fn request(verb: Verb) -> RightsRequest {
        RightsRequest {
            public_key: key().public().to_vec(),
            challenge: vec![3; 32],
            verb: verb.into(),
            reader_key: if matches!(verb, Verb::Explain | Verb::Export) {
                vec![9; 32]
            } else {
                Vec::new()
            },
            ..RightsRequest::default()
        }
    }

    fn signed(request: &RightsRequest, by: &SigningSeed, domain: Domain) -> Vec<u8> {
        let request = canonical::encode(request);
        let signature = by.sign(domain, &request);
        canonical::encode(&RightsMessage { request, signature, ..RightsMessage::default() })
    }

    fn wish(request: &RightsRequest) -> Option<Wish> {
        match Message::of(&signed(request, &key(), Domain::Rights)) {
            Ok(Message::Request(signed)) => signed.wish(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_is_one_of_the_two_and_canonical() {
        let good = signed(&request(Verb::Erase), &key(), Domain::Rights);
        let Ok(Message::Request(read)) = Message::of(&good) else { panic!() };
        assert_eq!(read.asked.requester, key().subject());
        assert_eq!(read.asked.hash, Digest::of(&canonical::encode(&request(Verb::Erase))));
        assert_eq!(read.message, good);
        let asks = canonical::encode(&ChallengeRequest { requester: vec![9; 16] });
        let asks = RightsMessage { challenge_request: asks, ..RightsMessage::default() };
        let Ok(Message::Challenge(asked)) = Message::of(&canonical::encode(&asks)) else {
            panic!()
        };
        assert_eq!(asked.requester, SubjectId([9; 16]));

        let both = RightsMessage::decode(good.as_slice()).unwrap();
        let both = RightsMessage { challenge_request: asks.challenge_request.clone(), ..both };
        let nobody = canonical::encode(&RightsMessage {
            challenge_request: canonical::encode(&ChallengeRequest::default()),
            ..RightsMessage::default()
        });
        for bad in [
            canonical::encode(&both),
            canonical::encode(&RightsMessage { signature: vec![1; 64], ..asks }),
            [&good[..], &[0xf8, 0x01, 1]].concat(),
            good[..good.len() - 1].to_vec(),
            nobody,
            Vec::new(),
            b"garbage".to_vec(),
            vec![0; BYTES_MAX + 1],
        ] {
            assert!(Message::of(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_signature_of_another_key_or_domain_proves_nothing() {
        let asked = request(Verb::Erase);
        let other = SigningSeed::from_seed(&[8; 32]);
        let good = signed(&asked, &key(), Domain::Rights);
        assert!(Message::of(&good).is_ok());
        for bad in [
            signed(&asked, &other, Domain::Rights),
            signed(&asked, &key(), Domain::Consent),
            signed(
                &RightsRequest { public_key: vec![0; 32], ..asked.clone() },
                &key(),
                Domain::Rights,
            ),
        ] {
            let Unproven(told) = Message::of(&bad).unwrap_err();
            let claims = RightsMessage::decode(bad.as_slice()).unwrap().request;
            assert_eq!(told.hash, Digest::of(&claims), "its sender recognises the answer");
        }
    }

    #[test]
    fn each_verb_takes_what_it_needs_and_nothing_else() {
        assert_eq!(wish(&request(Verb::Erase)), Some(Wish::Erase));
        assert_eq!(wish(&request(Verb::Unspecified)), None);
        let cursor = |verb| RightsRequest { cursor: 4, ..request(verb) };
        assert_eq!(wish(&cursor(Verb::Export)), Some(Wish::Export { cursor: 4 }));
        assert_eq!(wish(&cursor(Verb::Erase)), None);
        let named = |verb| RightsRequest { categories: vec![5], ..request(verb) };
        assert_eq!(
            wish(&named(Verb::Withdraw)),
            Some(Wish::Withdraw(BTreeSet::from([Category::Laser])))
        );
        assert_eq!(wish(&named(Verb::Restrict)), None);
        assert_eq!(wish(&request(Verb::Object)), Some(Wish::Object(all())));
        let about = |verb| RightsRequest { topic: 2, ..request(verb) };
        assert_eq!(wish(&about(Verb::Complain)), Some(Wish::Complain(ComplaintTopic::Rights)));
        assert_eq!(wish(&request(Verb::Complain)), None);
        assert_eq!(wish(&about(Verb::Release)), None);
    }

    #[test]
    fn a_rectification_is_a_canonical_day_record() {
        let day = DayReport {
            date: 20_778,
            print_time: Some(DayPrintTime { busy_time: 3, ..Default::default() }),
            ..Default::default()
        };
        let with = |rectified: Vec<u8>| RightsRequest { rectified, ..request(Verb::Rectify) };
        let Some(Wish::Rectify(record)) = wish(&with(canonical::encode(&day))) else { panic!() };
        assert_eq!((record.date, record.sections.len()), (20_778, 1));
        assert_eq!(wish(&with(Vec::new())), None);
        assert_eq!(wish(&with(b"garbage".to_vec())), None);
        let empty = DayReport { date: 20_778, ..Default::default() };
        assert_eq!(wish(&with(canonical::encode(&empty))), None, "without a section");
    }
}
