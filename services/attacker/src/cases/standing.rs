//! Cases 4 to 6, 9, 10, 12, 13, 16, 20, 23 and 25: what a standing does not permit.

use imprimatur_consent::Category;
use imprimatur_proto::canonical;
use imprimatur_proto::consent::v1::Decision;
use imprimatur_proto::rights::v1::{RightsRequest, Verb};
use imprimatur_proto::telemetry::v1::{
    MaterialFamily, PrintLaser, PrintMaterial, PrintReport, PrintTime,
};

use crate::answer::Answer;
use crate::attack::Attack;
use crate::door::signed;
use crate::error::AttackError;
use crate::subject::{Subject, print};
use crate::wire;

const TIME: [Category; 1] = [Category::PrintTime];

/// Batches under way beside a withdrawal.
const RACING: usize = 6;

pub(crate) async fn run(attack: &mut Attack) -> Result<(), AttackError> {
    withdrawn(attack).await?;
    dates(attack).await?;
    categories(attack).await?;
    repeats(attack).await?;
    transferred(attack).await?;
    race(attack).await?;
    others(attack).await
}

async fn says(
    attack: &mut Attack,
    subject: &mut Subject,
    decision: Decision,
    date: u32,
) -> Result<Answer, AttackError> {
    let event = subject.says(decision, &TIME, date);
    attack.door.tell(&subject.signed(&event)).await
}

/// A late batch, and the old grant again.
async fn withdrawn(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let mut subject = attack.subject()?;
    let grant = subject.says(Decision::Granted, &TIME, today);
    let grant = subject.signed(&grant);
    let first = attack.door.tell(&grant).await?;
    let late = subject.prints(&[print(today, 1)]);
    says(attack, &mut subject, Decision::Withdrawn, today).await?;
    attack.frames(4, "a batch from before the withdrawal, after it", "no_grant", [late]).await?;
    let again = attack.door.tell(&grant).await?;
    let same = again.bytes == first.bytes;
    attack.check(13, "the old grant again: the receipt that it had", "first_answer", same);
    let frame = subject.prints(&[print(today, 1)]);
    attack.frames(13, "a batch after the old grant came again", "no_grant", [frame]).await
}

/// Before the grant, and between two.
async fn dates(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let frame = attack.honest.prints(&[print(today - 1, 1)]);
    attack.frames(5, "a print that began before the grant", "before_grant", [frame]).await?;
    let mut subject = attack.granted(&TIME, today - 5).await?;
    says(attack, &mut subject, Decision::Withdrawn, today - 3).await?;
    says(attack, &mut subject, Decision::Granted, today - 1).await?;
    let between = [today - 5, today - 2].map(|date| subject.prints(&[print(date, 1)]));
    attack.frames(6, "a print of the gap between two grants", "before_grant", between).await
}

/// Purposes, tiers, and one bad record among good ones.
async fn categories(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let material = PrintMaterial { family: MaterialFamily::Pla.into(), amount: 3 };
    let told = PrintReport { material: Some(material), ..print(today, 1) };
    let mut one = attack.granted(&TIME, today).await?;
    let frame = one.prints(&[told]);
    attack.frames(9, "a section whose purpose was not granted", "no_grant", [frame]).await?;
    let laser = PrintLaser { nominal_set_point: 3 };
    let frame = attack.honest.prints(&[PrintReport { laser: Some(laser), ..print(today, 1) }]);
    attack
        .frames(10, "the laser's set-point under consent to the rest", "no_grant", [frame])
        .await?;
    let bad = PrintTime { completed_duration: 99, stopped_duration: 0 };
    let bad = PrintReport { print_time: Some(bad), ..print(today, 1) };
    let mixed = attack.honest.prints(&[print(today, 1), bad]);
    attack.frames(23, "a batch of a good record and a bad one", "out_of_range", [mixed]).await?;
    let mixed =
        one.prints(&[print(today, 1), PrintReport { material: Some(material), ..print(today, 2) }]);
    attack
        .frames(23, "a batch of a permitted record and one that is not", "no_grant", [mixed])
        .await?;
    let rows = attack.door.export(&one.key).await?;
    let none = rows.is_some_and(|text| !text.contains("\"kind\":\"record\""));
    attack.check(23, "rows of the good half of a mixed batch", "no_row", none);
    Ok(())
}

/// The same batch again, and its number again.
async fn repeats(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let mut subject = attack.granted(&TIME, today).await?;
    let frame = subject.prints(&[print(today, 5)]);
    let first = attack.door.submit(&frame).await?;
    let again = attack.door.submit(&frame).await?;
    attack.check(12, "the same batch again: its first verdict", "first_answer", first == again);
    let rows = attack.door.export(&subject.key).await?;
    let one = rows.map(|text| text.matches("\"kind\":\"record\"").count()) == Some(1);
    attack.check(12, "rows of a batch that came twice", "one_row", one);
    let mut header = subject.header();
    header.sequence -= 1;
    let print = canonical::encode(&print(today, 6));
    let reused = subject.frame(wire::batch(&canonical::encode(&header), &[print], &[]));
    attack.frames(12, "another batch under a used number", "sequence_reused", [reused]).await
}

/// A printer that changed hands.
async fn transferred(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let mut subject = attack.granted(&TIME, today).await?;
    says(attack, &mut subject, Decision::Transferred, today).await?;
    let frame = subject.prints(&[print(today, 1)]);
    attack.frames(16, "a batch after the printer changed hands", "no_grant", [frame]).await?;
    let event = subject.says(Decision::Granted, &TIME, today);
    let event = subject.signed(&event);
    attack.events(16, "a new grant under the old owner's key", "subject_ended", [event]).await
}

/// Batches beside their withdrawal: whatever came first, nothing is stored after the receipt.
async fn race(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let mut subject = attack.granted(&TIME, today).await?;
    let frames: Vec<_> = (0..RACING).map(|_| subject.prints(&[print(today, 1)])).collect();
    let event = subject.says(Decision::Withdrawn, &TIME, today);
    let event = subject.signed(&event);
    let (mut one, mut other) = (attack.door.clone(), attack.door.clone());
    let (raced, told) = tokio::join!(one.stream(frames), other.tell(&event));
    let (_raced, _told) = (raced?, told?);
    let frame = subject.prints(&[print(today, 2)]);
    attack.frames(20, "a batch behind a withdrawal that raced others", "no_grant", [frame]).await
}

/// What is another's.
async fn others(attack: &mut Attack) -> Result<(), AttackError> {
    let snoop = attack.granted(&TIME, attack.today).await?;
    let victim = attack.honest.key.clone();
    let request = |key: &Subject, challenge| RightsRequest {
        public_key: key.key.public().to_vec(),
        challenge,
        verb: Verb::Erase.into(),
        ..RightsRequest::default()
    };
    let challenge = attack.door.challenge(&victim).await?;
    let (answer, _) =
        attack.door.exercise(&signed(&snoop.key, &request(&snoop, challenge))).await?;
    attack.note(25, "a right by the challenge of another", "unproven", &answer);
    let challenge = attack.door.challenge(&victim).await?;
    let of_victim = request(&attack.honest, challenge);
    let (answer, _) = attack.door.exercise(&signed(&snoop.key, &of_victim)).await?;
    attack.note(25, "a right over another's data", "unproven", &answer);
    let answer = attack.door.call("/imprimatur.ingest.v1.CollectorService/Read").await?;
    attack.note(25, "a call that reads what others said", "grpc:unimplemented", &answer);
    Ok(())
}
