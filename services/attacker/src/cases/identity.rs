//! Cases 26, 30, 31, 33, 47 and 48: names, and ids that somebody chose.

use imprimatur_consent::{Category, Digest};
use imprimatur_proto::canonical;
use imprimatur_proto::consent::v1::{ConsentEvent, Decision};
use imprimatur_proto::rights::v1::{RightsRequest, Verb};
use imprimatur_runtime::UtcDate;
use tonic::metadata::MetadataMap;

use crate::attack::Attack;
use crate::door::signed;
use crate::error::AttackError;
use crate::layout;
use crate::subject::{framed, print};
use crate::wire;

/// A made-up serial number, which must come back from nowhere.
const SERIAL: &str = "IMPR-4711-SERIAL";

/// Days ago of a grant that a collector takes: longer than a month, less than 36.
const OLDEST: u32 = 34;

pub(crate) async fn run(attack: &mut Attack) -> Result<(), AttackError> {
    metadata(attack).await?;
    names(attack).await?;
    epochs(attack).await?;
    chosen(attack).await
}

/// A serial number beside a call: nothing above the connection reads it.
async fn metadata(attack: &mut Attack) -> Result<(), AttackError> {
    let mut planted = MetadataMap::new();
    for key in ["x-serial", "x-hostname", "user-agent", "traceparent"] {
        if let Ok(value) = SERIAL.parse() {
            planted.insert(key, value);
        }
    }
    let frame = attack.honest.prints(&[print(attack.today, 99)]);
    let answer = attack.door.submit_with(&frame, &planted).await?;
    attack.note(
        26,
        "a batch out of range with a serial number in the call's metadata",
        "out_of_range",
        &answer,
    );
    let held = attack.door.export(&attack.honest.key).await?;
    let absent = held.is_some_and(|text| !text.contains(SERIAL));
    attack.check(26, "the serial number in what is held afterwards", "not_kept", absent);
    Ok(())
}

/// The printer's name, serial number and host in every section of a record.
async fn names(attack: &mut Attack) -> Result<(), AttackError> {
    let (header, today) = (attack.honest.header_bytes(), attack.today);
    let named = |text: &str| -> Vec<Vec<u8>> {
        let frames = layout::sections().into_iter().map(|section| {
            let inside = [section.valid(), wire::bytes(section.beyond(), text.as_bytes())];
            attack.honest.frame(section.batch(&header, today, inside.concat()))
        });
        frames.collect()
    };
    let (serial, name) = (named(SERIAL), named("Brave Otter"));
    attack.frames(26, "a serial number in a field of its own", "unknown_field", serial).await?;
    attack.frames(33, "the printer's name in a field of its own", "unknown_field", name).await
}

/// Before any consent there is nobody; records of two epochs join them.
async fn epochs(attack: &mut Attack) -> Result<(), AttackError> {
    let nobody = attack.subject()?;
    let request = RightsRequest { verb: Verb::Restrict.into(), ..RightsRequest::default() };
    let (answer, _) = attack.door.ask(&nobody.key, request).await?;
    attack.note(30, "a right of a key that never said yes", "unproven", &answer);
    let (today, first) = (attack.today, attack.today - OLDEST);
    let month = UtcDate(today).month();
    let before = (first..today).rev().find(|&date| UtcDate(date).month() != month);
    let mut long = attack.granted(&[Category::PrintTime], first).await?;
    let mut records =
        [before.unwrap_or(first), today].map(|date| canonical::encode(&print(date, 1)));
    records.sort();
    let header = long.header_bytes();
    let frame = long.frame(wire::batch(&header, &records, &[]));
    attack
        .frames(31, "records of two pseudonym epochs in one batch", "date_out_of_range", [frame])
        .await?;
    Ok(())
}

/// Ids, nonces and tokens that the sender chose.
async fn chosen(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let mut header = attack.honest.header();
    let told = canonical::encode(&print(today, 1));
    let mut frames = Vec::new();
    for subject in [*b"solid model v1.0", [0xff; 16], [0; 16]] {
        header.subject = subject.to_vec();
        frames.push(attack.honest.frame(wire::batch(
            &canonical::encode(&header),
            std::slice::from_ref(&told),
            &[],
        )));
    }
    attack.frames(47, "a subject that is not the key's", "unauthenticated", frames).await?;
    let request = RightsRequest {
        public_key: attack.honest.key.public().to_vec(),
        challenge: b"a challenge of thirty-two bytes!".to_vec(),
        verb: Verb::Restrict.into(),
        ..RightsRequest::default()
    };
    let (answer, _) = attack.door.exercise(&signed(&attack.honest.key, &request)).await?;
    attack.note(47, "a right by a challenge of one's own making", "unproven", &answer);
    let mut tagged = attack.honest.header();
    tagged.identity_tag = vec![7; 16];
    let frame = wire::batch(&canonical::encode(&tagged), std::slice::from_ref(&told), &[]);
    let frame = attack.honest.frame(frame);
    attack.frames(47, "an identity tag without consent to one", "no_grant", [frame]).await?;
    let batch = wire::batch(&attack.honest.header_bytes(), &[told], &[]);
    let noise = framed(batch, [Digest::of(b"chosen").0, Digest::of(b"nonce").0].concat());
    attack.frames(47, "a signature that is chosen bytes", "unauthenticated", [noise]).await?;
    let mut enrolled = attack.subject()?;
    let event = enrolled.says(Decision::Granted, &[Category::PrintTime], today);
    let event = ConsentEvent { enrolment_proof: vec![5; 32], ..event };
    let event = enrolled.signed(&event);
    attack.events(48, "an enrolment token that nobody gave", "token_invalid", [event]).await?;
    let answer = attack.door.call("/imprimatur.ingest.v1.CollectorService/IssueToken").await?;
    attack.note(48, "a call for tokens", "grpc:unimplemented", &answer);
    Ok(())
}
