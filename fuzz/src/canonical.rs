//! The canonical form of every message that comes from outside: the first byte says which.

use imprimatur_proto::consent::v1::{ConsentEvent, Receipt, SignedConsentEvent, SignedReceipt};
use imprimatur_proto::ingest::v1::{SignedVerdict, Verdict};
use imprimatur_proto::rights::v1::{RightsMessage, RightsRequest};
use imprimatur_proto::telemetry::v1::{Batch, DayReport, PrintReport, SignedBatch};
use imprimatur_proto::{canonical, contract};
use prost::{Message, Name};

use super::batch;

/// What a message says in its canonical form.
struct Kind {
    name: fn() -> String,
    decode: fn(&[u8]) -> Option<Vec<u8>>,
}

fn kind<M: Message + Default + Name>() -> Kind {
    Kind {
        name: M::full_name,
        decode: |bytes| {
            contract().decode::<M>(bytes).ok().map(|message| canonical::encode(&message))
        },
    }
}

fn kinds() -> [Kind; 12] {
    [
        kind::<Batch>(),
        kind::<SignedBatch>(),
        kind::<PrintReport>(),
        kind::<DayReport>(),
        kind::<ConsentEvent>(),
        kind::<SignedConsentEvent>(),
        kind::<Receipt>(),
        kind::<SignedReceipt>(),
        kind::<Verdict>(),
        kind::<SignedVerdict>(),
        kind::<RightsRequest>(),
        kind::<RightsMessage>(),
    ]
}

/// A batch, a print and an event.
pub fn seeds() -> Vec<Vec<u8>> {
    let sample = batch::sample(2);
    let print = canonical::encode(&sample.prints[0]);
    let event = ConsentEvent {
        public_key: vec![3; 32],
        principal: vec![4; 16],
        sequence: 1,
        categories: vec![1, 2],
        policy_hash: vec![9; 32],
        date: 20_778,
        ..ConsentEvent::default()
    };
    let of = |kind: u8, bytes: Vec<u8>| [vec![kind], bytes].concat();
    vec![of(0, canonical::encode(&sample)), of(2, print), of(4, canonical::encode(&event))]
}

/// What is taken is written again byte for byte, and the scan that comes first takes no less.
pub fn run(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    let kinds = kinds();
    let kind = &kinds[usize::from(kind) % kinds.len()];
    let scanned = contract().check(&(kind.name)(), bytes);
    if let Some(again) = (kind.decode)(bytes) {
        assert_eq!(again, bytes, "two encodings of one message");
        assert_eq!(scanned, Ok(()), "taken although the scan refuses it");
    }
}
