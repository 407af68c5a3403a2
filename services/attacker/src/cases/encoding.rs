//! Cases 37 to 39, 42, 56 and 58: other encodings of the same, and other contracts.

use imprimatur_proto::canonical;
use imprimatur_proto::telemetry::v1::{BatchHeader, SignedBatch};
use prost::Message as _;
use tonic::metadata::MetadataMap;

use crate::attack::Attack;
use crate::error::AttackError;
use crate::layout;
use crate::subject::print;
use crate::wire;

pub(crate) async fn run(attack: &mut Attack) -> Result<(), AttackError> {
    twice(attack).await?;
    long(attack).await?;
    order(attack).await?;
    lists(attack).await?;
    sizes(attack).await?;
    contracts(attack).await
}

/// A single field that comes twice: the last one would win.
async fn twice(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let told = canonical::encode(&print(today, 1));
    let mut frames = Vec::new();
    for section in layout::sections() {
        for field in &section.values {
            let value = wire::number(u64::from(field.number), 1);
            let inside = [value.clone(), value].concat();
            frames.push(attack.honest.frame(section.batch(&header, today, inside)));
        }
        let one = (section.number, section.valid());
        let record = layout::record(today, &[one.clone(), one]);
        frames.push(attack.honest.frame(section.holding(&header, record)));
    }
    let batch = [wire::bytes(1, &header), wire::batch(&header, &[told], &[])].concat();
    frames.push(attack.honest.frame(batch));
    attack
        .frames(37, "every single field, section and header twice", "duplicate_field", frames)
        .await
}

/// Varints that are longer than they must be.
async fn long(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let mut frames = Vec::new();
    for section in layout::sections() {
        for field in &section.values {
            let number = u64::from(field.number);
            let value = [wire::key(number, 0), wire::long_varint(1)].concat();
            frames.push(attack.honest.frame(section.batch(&header, today, value)));
            let key = [wire::long_varint(number << 3), wire::varint(1)].concat();
            frames.push(attack.honest.frame(section.batch(&header, today, key)));
        }
    }
    attack.frames(38, "a longer varint for every key and value", "non_canonical", frames).await
}

/// Fields, sections and records in another order.
async fn order(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header(), attack.today);
    let bytes = canonical::encode(&header);
    let mut frames = Vec::new();
    let sections = layout::sections();
    for (one, next) in sections.iter().zip(sections.iter().skip(1)) {
        if one.kind == next.kind {
            let swapped = [(next.number, next.valid()), (one.number, one.valid())];
            let record = layout::record(today, &swapped);
            frames.push(attack.honest.frame(one.holding(&bytes, record)));
        }
        let fields: Vec<u8> = one
            .values
            .iter()
            .rev()
            .flat_map(|field| wire::number(u64::from(field.number), 1))
            .collect();
        if one.values.len() > 1 {
            frames.push(attack.honest.frame(one.batch(&bytes, today, fields)));
        }
    }
    let BatchHeader { subject, sequence, policy_hash, contract_hash, .. } = header;
    let swapped = [
        wire::number(2, sequence),
        wire::bytes(1, &subject),
        wire::bytes(3, &policy_hash),
        wire::bytes(4, &contract_hash),
    ];
    let told = canonical::encode(&print(today, 1));
    frames.push(attack.honest.frame(wire::batch(&swapped.concat(), &[told], &[])));
    attack.frames(39, "fields and sections in another order", "non_canonical", frames).await
}

/// Order and number of records; explicit zeros; empty sections; no record at all.
async fn lists(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let told = |duration| canonical::encode(&print(today, duration));
    let unsorted = attack.honest.frame(wire::batch(&header, &[told(5), told(2)], &[]));
    attack.frames(42, "records in an order of one's own", "non_canonical", [unsorted]).await?;
    let many = attack.honest.frame(wire::batch(&header, &vec![told(1); 11], &[]));
    attack.frames(42, "eleven records of a kind", "too_many_records", [many]).await?;
    let none = attack.honest.frame(wire::batch(&header, &[], &[]));
    attack.frames(42, "a batch without a record", "malformed", [none]).await?;
    let mut frames = Vec::new();
    for section in layout::sections() {
        frames.push(attack.honest.frame(section.batch(&header, today, Vec::new())));
        for field in &section.values {
            let zero = wire::number(u64::from(field.number), 0);
            frames.push(attack.honest.frame(section.batch(&header, today, zero)));
        }
    }
    attack
        .frames(
            42,
            "an explicit zero for every value, and every section empty",
            "non_canonical",
            frames,
        )
        .await
}

/// Frames that are not of the fixed sizes, padding that tells something, compression.
async fn sizes(attack: &mut Attack) -> Result<(), AttackError> {
    let told = canonical::encode(&print(attack.today, 1));
    let batch = wire::batch(&attack.honest.header_bytes(), &[told], &[]);
    let sized = [200, 300, 511, 513, 800, 1_023, 1_025, 2_047];
    let frames: Vec<_> =
        sized.into_iter().map(|size| attack.honest.frame_of(batch.clone(), size)).collect();
    attack.frames(56, "frames of eight other sizes", "non_canonical", frames).await?;
    let good = attack.honest.frame(batch);
    let opened = SignedBatch::decode(good.as_slice()).unwrap_or_default();
    let bare = SignedBatch { padding: Vec::new(), ..opened.clone() }.encode_to_vec();
    attack.frames(56, "a frame without its padding", "non_canonical", [bare]).await?;
    let told_by = |at: usize| {
        let mut padding = opened.padding.clone();
        if let Some(byte) = padding.get_mut(at) {
            *byte = 1;
        }
        SignedBatch { padding, ..opened.clone() }.encode_to_vec()
    };
    let frames: Vec<_> = (0..opened.padding.len()).map(told_by).collect();
    attack.frames(42, "one bit in every byte of the padding", "non_canonical", frames).await?;
    let mut zipped = MetadataMap::new();
    if let Ok(value) = "gzip".parse() {
        zipped.insert("grpc-encoding", value);
    }
    let answer = attack.door.submit_with(&good, &zipped).await?;
    attack.note(56, "a call that says it is compressed", "grpc:unimplemented", &answer);
    Ok(())
}

/// A wider contract, named or not.
async fn contracts(attack: &mut Attack) -> Result<(), AttackError> {
    let told = canonical::encode(&print(attack.today, 1));
    let mut header = attack.honest.header();
    header.contract_hash = vec![7; 32];
    let header = canonical::encode(&header);
    let plain = wire::batch(&header, std::slice::from_ref(&told), &[]);
    let wider = [plain.clone(), wire::number(31, 1)].concat();
    let frames = [plain, wider].map(|batch| attack.honest.frame(batch));
    attack
        .frames(
            58,
            "a batch under another contract, and one with its fields",
            "contract_unsupported",
            frames,
        )
        .await?;
    let own = attack.honest.header_bytes();
    let debug = [told, wire::number(31, 1)].concat();
    let frame = attack.honest.frame(wire::batch(&own, &[debug], &[]));
    attack
        .frames(58, "the field of a debug build under this contract", "unknown_field", [frame])
        .await
}
