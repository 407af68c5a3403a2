//! Cases 34 to 36, 50, 51, 53, 54 and 57: bytes where none belong, in every place that there is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imprimatur_consent::{Category, Digest};
use imprimatur_proto::canonical;
use imprimatur_proto::consent::v1::{ConsentEvent, Decision};
use imprimatur_proto::rights::v1::{RightsRequest, Verb};
use imprimatur_proto::telemetry::v1::SignedBatch;
use prost::Message as _;

use crate::attack::Attack;
use crate::error::AttackError;
use crate::layout;
use crate::subject::{framed, print};
use crate::wire;

/// How files of models, pictures and archives begin.
const MAGIC: [&[u8]; 13] = [
    b"solid cube\n facet normal 0 0 1\n",
    b"PK\x03\x04\x14\0\0\0\x08\x003D/3dmodel.model",
    b"o cube\nv 0.0 0.0 0.0\nf 1 2 3\n",
    b"ISO-10303-21;\nHEADER;\n",
    b"; thumbnail begin 16x16 64\n; iVBORw0KGgo=\n; thumbnail end\nG1 X10.5 Y3.2 E0.04\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M0 0\"/></svg>",
    b"qoif\0\0\0\x10\0\0\0\x10\x03\0",
    b"\x28\xb5\x2f\xfd\x04\x00",
    b"\x1f\x8b\x08\0\0\0\0\0",
    b"glTF\x02\0\0\0",
    b"ply\nformat ascii 1.0\n",
    b"GCDE\x01\0\0\0",
];

/// Field numbers that no message has.
const NUMBERS: [u64; 7] = [31, 63, 64, 127, 2_047, 65_535, 536_870_911];

pub(crate) async fn run(attack: &mut Attack) -> Result<(), AttackError> {
    in_sections(attack).await?;
    around(attack).await?;
    in_ids(attack).await?;
    in_consent_and_rights(attack).await?;
    unknown(attack).await?;
    under_other_names(attack).await?;
    no_upload(attack).await
}

/// Each beginning as it is, in base64 and in hex.
fn forms() -> Vec<Vec<u8>> {
    let coded = |magic: &[u8]| {
        [magic.to_vec(), STANDARD.encode(magic).into_bytes(), hex::encode(magic).into_bytes()]
    };
    MAGIC.into_iter().flat_map(coded).collect()
}

/// The form, cut or repeated to a length.
fn exactly(form: &[u8], length: usize) -> Vec<u8> {
    form.iter().copied().cycle().take(length).collect()
}

/// In every section of both records, in records and in batches.
async fn in_sections(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let mut frames = Vec::new();
    for form in forms() {
        for section in layout::sections() {
            let inside = [section.valid(), wire::bytes(section.beyond(), &form)].concat();
            frames.push(attack.honest.frame(section.batch(&header, today, inside)));
        }
        let print = canonical::encode(&print(today, 1));
        let record = [print.clone(), wire::bytes(10, &form)].concat();
        frames.push(attack.honest.frame(wire::batch(&header, &[record], &[])));
        let batch = wire::batch(&header, &[print], &[]);
        frames.push(attack.honest.frame([batch, wire::bytes(4, &form)].concat()));
    }
    attack
        .frames(
            34,
            "files of models and pictures, plain, base64, hex, in every section, record and batch",
            "unknown_field",
            frames,
        )
        .await?;
    let thumbnail = b"; thumbnail begin 32x32 912\n; iVBORw0KGgoAAAANSUhEUg\n; thumbnail end\n";
    let frames = layout::sections().into_iter().map(|section| {
        let inside = [section.valid(), wire::bytes(section.beyond(), thumbnail)].concat();
        attack.honest.frame(section.batch(&header, today, inside))
    });
    let frames: Vec<_> = frames.collect();
    attack
        .frames(35, "the thumbnail of G-code comments in every section", "unknown_field", frames)
        .await
}

/// Around the batch: the frame, its padding, its signature.
async fn around(attack: &mut Attack) -> Result<(), AttackError> {
    let told = canonical::encode(&print(attack.today, 1));
    let batch = wire::batch(&attack.honest.header_bytes(), &[told], &[]);
    let good = attack.honest.frame(batch.clone());
    let opened = SignedBatch::decode(good.as_slice()).unwrap_or_default();
    let padded = |form: &Vec<u8>| {
        let padding = exactly(&[form.as_slice(), &[0; 64]].concat(), opened.padding.len());
        SignedBatch { padding, ..opened.clone() }.encode_to_vec()
    };
    let frames: Vec<_> = forms().iter().map(padded).collect();
    attack.frames(34, "the same in the padding", "non_canonical", frames).await?;
    let frames: Vec<_> =
        forms().iter().map(|form| framed(batch.clone(), exactly(form, 64))).collect();
    attack.frames(34, "the same as the signature", "unauthenticated", frames).await?;
    let frames: Vec<_> =
        forms().iter().map(|form| framed(batch.clone(), exactly(form, 63))).collect();
    attack.frames(34, "the same as a signature of another length", "out_of_range", frames).await?;
    let behind = |form: &Vec<u8>| [good.clone(), wire::bytes(4, form)].concat();
    let frames: Vec<_> = forms().iter().map(behind).collect();
    attack.frames(34, "the same behind the padding", "unknown_field", frames).await
}

/// As ids and hashes of the header.
async fn in_ids(attack: &mut Attack) -> Result<(), AttackError> {
    let told = canonical::encode(&print(attack.today, 1));
    let mut header = attack.honest.header();
    let own = header.clone();
    let mut frames: [Vec<Vec<u8>>; 4] = Default::default();
    let [subjects, policies, contracts, long] = &mut frames;
    let push = |to: &mut Vec<Vec<u8>>, header: &_| {
        let batch = wire::batch(&canonical::encode(header), std::slice::from_ref(&told), &[]);
        to.push(attack.honest.frame(batch));
    };
    for form in forms() {
        header.subject = exactly(&form, 16);
        push(subjects, &header);
        header.subject = exactly(&form, 17);
        push(long, &header);
        header.subject.clone_from(&own.subject);
        header.policy_hash = exactly(&form, 32);
        // A new number each: what was authenticated is remembered.
        header.sequence += 1;
        push(policies, &header);
        header.policy_hash.clone_from(&own.policy_hash);
        header.sequence += 1;
        header.contract_hash = exactly(&form, 32);
        push(contracts, &header);
        header.contract_hash.clone_from(&own.contract_hash);
    }
    attack.honest.skip(u64::try_from(2 * forms().len()).unwrap_or_default());
    let [subjects, policies, contracts, long] = frames;
    attack.frames(34, "the same as the subject", "unauthenticated", subjects).await?;
    attack.frames(34, "the same as a subject of another length", "out_of_range", long).await?;
    attack.frames(34, "the same as the policy's hash", "policy_mismatch", policies).await?;
    attack.frames(34, "the same as the contract's hash", "contract_unsupported", contracts).await
}

/// In what else is said.
async fn in_consent_and_rights(attack: &mut Attack) -> Result<(), AttackError> {
    let mut subject = attack.subject()?;
    let event = subject.says(Decision::Granted, &[Category::PrintTime], attack.today);
    let bytes = canonical::encode(&event);
    let unknown: Vec<_> = forms()
        .iter()
        .map(|form| subject.signed_bytes([bytes.clone(), wire::bytes(16, form)].concat()))
        .collect();
    attack
        .events(34, "the same in an unknown field of a consent event", "unauthenticated", unknown)
        .await?;
    let tokens: Vec<_> = forms()
        .iter()
        .map(|form| ConsentEvent { enrolment_proof: exactly(form, 32), ..event.clone() })
        .map(|event| subject.signed(&event))
        .collect();
    attack.events(34, "the same as an enrolment token", "token_invalid", tokens).await?;
    for form in forms().into_iter().take(3) {
        let request = RightsRequest {
            verb: Verb::Rectify.into(),
            rectified: form,
            ..RightsRequest::default()
        };
        let key = attack.honest.key.clone();
        let (answer, _) = attack.door.ask(&key, request).await?;
        attack.note(34, "the same as the correction of a record", "unusable", &answer);
    }
    Ok(())
}

/// Unknown fields of every wire type and many numbers, in every message.
async fn unknown(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let told = canonical::encode(&print(today, 1));
    let mut frames = Vec::new();
    for number in NUMBERS {
        let fields = [
            wire::number(number, 1),
            wire::bytes(number, b"x"),
            wire::double(number, 1.5),
            wire::float(number, 1.5),
            wire::key(number, 3),
        ];
        for field in fields {
            for section in layout::sections() {
                let inside = [section.valid(), field.clone()].concat();
                frames.push(attack.honest.frame(section.batch(&header, today, inside)));
            }
            let with = [header.clone(), field.clone()].concat();
            frames.push(attack.honest.frame(wire::batch(&with, std::slice::from_ref(&told), &[])));
            let record = [told.clone(), field.clone()].concat();
            frames.push(attack.honest.frame(wire::batch(&header, &[record], &[])));
            let batch = wire::batch(&header, std::slice::from_ref(&told), &[]);
            frames.push(attack.honest.frame([batch, field].concat()));
        }
    }
    attack
        .frames(
            36,
            "unknown fields of seven numbers and five wire types in every message",
            "unknown_field",
            frames,
        )
        .await
}

/// What printers and slicers offer, under harmless names.
async fn under_other_names(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let layers: Vec<u8> = (1..60).flat_map(|layer| wire::varint(layer * 37)).collect();
    let vibration: Vec<u8> = (0..12).flat_map(|at| (f64::from(at) * 0.37).to_le_bytes()).collect();
    let polygon = br#"{"name":"Bracket_v7.stl_id_0","polygon":[[10.5,3.2],[20.5,3.2],[20.5,9.9]]}"#;
    let hash = Digest::of(b"Bracket_v7.stl").0;
    let tried: [(u32, &str, Vec<Vec<u8>>); 4] = [
        (
            50,
            "values by layer, progress and file position",
            vec![wire::bytes(15, &layers), wire::number(15, 57), wire::number(15, 1_048_576)],
        ),
        (51, "the polygon and name of an object", vec![wire::bytes(15, polygon)]),
        (
            53,
            "a print's statistics of vibration and current",
            vec![wire::bytes(15, &vibration), wire::double(15, 0.731), wire::float(15, 1.25)],
        ),
        (
            54,
            "the size and hash of the file",
            vec![
                wire::number(15, 684_084),
                wire::bytes(15, &hash),
                wire::bytes(15, b"Bracket_v7.stl"),
            ],
        ),
    ];
    for (case, what, fields) in tried {
        let mut frames = Vec::new();
        for field in fields {
            for section in layout::sections() {
                let inside = [section.valid(), field.clone()].concat();
                frames.push(attack.honest.frame(section.batch(&header, today, inside)));
            }
        }
        attack.frames(case, what, "unknown_field", frames).await?;
    }
    Ok(())
}

/// There is no way for a crash dump or a bundle.
async fn no_upload(attack: &mut Attack) -> Result<(), AttackError> {
    let answer = attack.door.call("/imprimatur.ingest.v1.CollectorService/Upload").await?;
    attack.note(57, "a call that takes a crash dump", "grpc:unimplemented", &answer);
    let dump = attack.door.submit(&vec![b'x'; 100 << 10]).await?;
    attack.note(57, "a crash dump of 100 KiB as a frame", "grpc:out_of_range", &dump);
    let frame = vec![b'x'; 4 << 10];
    attack.frames(57, "a bundle of 4 KiB as a frame", "oversized", [frame]).await
}
