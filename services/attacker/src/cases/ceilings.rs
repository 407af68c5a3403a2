//! Cases 44 and 49: more of a date than a printer may tell, in however many batches.

use imprimatur_consent::Category;
use imprimatur_proto::canonical;
use imprimatur_proto::capacity::PRINTS_A_DAY;
use imprimatur_proto::telemetry::v1::{DayPrintTime, DayReport, PrintReport, PrintTemperature};

use crate::attack::Attack;
use crate::error::AttackError;
use crate::subject::{Subject, print};
use crate::wire;

pub(crate) async fn run(attack: &mut Attack) -> Result<(), AttackError> {
    let today = attack.today;
    let mut subject = attack.granted(&[Category::PrintTime, Category::Temperature], today).await?;
    for number in 0..PRINTS_A_DAY {
        let frame = subject.prints(&[print(today, number % 5 + 1)]);
        taken(attack, "ten prints of a date", &frame).await?;
    }
    let fakes: Vec<_> = (1..=12).map(|number| subject.prints(&[print(today, number)])).collect();
    attack
        .frames(44, "short prints beyond the tenth of a date, as symbols", "beyond_day", fakes)
        .await?;
    let frame = day(&mut subject, today, 3);
    taken(attack, "a day report", &frame).await?;
    let again = [1, 2, 4].map(|busy| day(&mut subject, today, busy));
    attack.frames(44, "more reports of the same day", "beyond_day", again).await?;
    // A print's sections one by one, as if they were several prints.
    let heat = PrintTemperature { nozzle_set_point: 5, ..PrintTemperature::default() };
    let half = PrintReport { print_time: None, temperature: Some(heat), ..print(today, 1) };
    let split = subject.prints(&[half]);
    attack
        .frames(49, "the sections of one print as prints of their own", "beyond_day", [split])
        .await?;
    // A withdrawal and a new grant give no date a second budget.
    let (no, yes) = (
        subject.says(
            imprimatur_proto::consent::v1::Decision::Withdrawn,
            &[Category::PrintTime],
            today,
        ),
        subject.says(
            imprimatur_proto::consent::v1::Decision::Granted,
            &[Category::PrintTime],
            today,
        ),
    );
    for event in [no, yes] {
        let event = subject.signed(&event);
        attack.door.tell(&event).await?;
    }
    let frame = subject.prints(&[print(today, 3)]);
    attack.frames(49, "a print of a full date after a new grant", "beyond_day", [frame]).await
}

/// What is allowed is taken: a ceiling at nothing would prove nothing.
async fn taken(attack: &mut Attack, what: &'static str, frame: &[u8]) -> Result<(), AttackError> {
    let answer = attack.door.submit(frame).await?;
    if answer.accepted {
        return Ok(());
    }
    Err(AttackError::NoBaseline { what, answer: answer.word })
}

fn day(subject: &mut Subject, date: u32, busy_time: u32) -> Vec<u8> {
    let told = DayPrintTime { busy_time, ..DayPrintTime::default() };
    let day = DayReport { date, print_time: Some(told), ..DayReport::default() };
    let header = subject.header_bytes();
    subject.frame(wire::batch(&header, &[], &[canonical::encode(&day)]))
}
