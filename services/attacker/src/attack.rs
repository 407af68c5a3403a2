//! The run: an honest beginning, all cases, what came through, and the erasure of all of it.

use imprimatur_consent::{Category, Digest};
use imprimatur_proto::consent::v1::Decision;
use imprimatur_proto::rights::v1::{RightsRequest, Verb};
use imprimatur_runtime::UtcDate;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::door::Door;
use crate::error::AttackError;
use crate::report::{Attempt, Report};
use crate::subject::{Subject, print};
use crate::{cases, goodput, mqtt};

/// What the honest subject grants: all but the laser and the identity tag.
const GRANTED: [Category; 9] = [
    Category::Machine,
    Category::PrintTime,
    Category::Temperature,
    Category::Material,
    Category::Settings,
    Category::Slicing,
    Category::Status,
    Category::Faults,
    Category::Experience,
];

/// What an attack needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the collector's gRPC, such as `http://127.0.0.1:50051`.
    pub target: String,
    /// Address of the MQTT broker of the same server, `HOST:PORT`; without it nothing is tried there.
    pub broker: Option<String>,
    /// SHA-256 of a policy to which the collector takes consent.
    pub policy: Digest,
    /// Today's UTC date.
    pub today: UtcDate,
}

/// Tries everything; erases what it said, also when it is stopped or fails.
///
/// # Errors
/// [`AttackError`]: nothing is proven.
pub async fn attack(
    settings: &Settings,
    stop: CancellationToken,
    said: impl FnMut(&Attempt),
) -> Result<Report, AttackError> {
    let door = Door::open(&settings.target, stop).await?;
    let honest = Subject::new(settings.policy)?;
    let mut attack = Attack {
        door,
        honest: honest.clone(),
        policy: settings.policy,
        today: settings.today.0,
        subjects: vec![honest],
        report: Report { target: settings.target.clone(), ..Report::default() },
    };
    let mut said = said;
    let ran = attack.run(settings, &mut said).await;
    let left = attack.leave().await;
    ran?;
    left?;
    Ok(attack.report.judged())
}

/// A run in progress.
pub(crate) struct Attack {
    pub(crate) door: Door,
    /// Who granted what is in [`GRANTED`], today.
    pub(crate) honest: Subject,
    pub(crate) policy: Digest,
    /// Days since 1970-01-01.
    pub(crate) today: u32,
    subjects: Vec<Subject>,
    pub(crate) report: Report,
}

impl Attack {
    async fn run(
        &mut self,
        settings: &Settings,
        said: &mut impl FnMut(&Attempt),
    ) -> Result<(), AttackError> {
        self.begin().await?;
        let mut told = 0;
        let mut tell = |report: &Report| {
            report.attempts.iter().skip(told).for_each(&mut *said);
            told = report.attempts.len();
        };
        cases::consent::run(self).await?;
        tell(&self.report);
        cases::standing::run(self).await?;
        tell(&self.report);
        cases::identity::run(self).await?;
        tell(&self.report);
        cases::bytes::run(self).await?;
        tell(&self.report);
        cases::encoding::run(self).await?;
        tell(&self.report);
        cases::values::run(self).await?;
        tell(&self.report);
        cases::ceilings::run(self).await?;
        tell(&self.report);
        if let Some(broker) = &settings.broker {
            mqtt::run(self, broker).await?;
            tell(&self.report);
        }
        self.report.goodput = goodput::measure(self).await?;
        Ok(())
    }

    /// An honest grant and an honest batch, by either call, must be taken: else a refusal proves
    /// nothing.
    async fn begin(&mut self) -> Result<(), AttackError> {
        let taken = |what, answer: Option<Answer>| match answer {
            Some(answer) if answer.accepted => Ok(()),
            answer => {
                let answer = answer.map_or_else(|| "nothing".to_owned(), |answer| answer.word);
                Err(AttackError::NoBaseline { what, answer })
            }
        };
        let event = self.honest.says(Decision::Granted, &GRANTED, self.today);
        let event = self.honest.signed(&event);
        taken("a grant", Some(self.door.tell(&event).await?))?;
        let frame = self.honest.prints(&[print(self.today, 3)]);
        taken("a batch", Some(self.door.submit(&frame).await?))?;
        let frame = self.honest.prints(&[print(self.today, 4)]);
        let streamed = self.door.stream(vec![frame]).await?;
        taken("a batch on a stream", streamed.into_iter().next())
    }

    /// A subject that said nothing yet.
    pub(crate) fn subject(&mut self) -> Result<Subject, AttackError> {
        let subject = Subject::new(self.policy)?;
        self.subjects.push(subject.clone());
        Ok(subject)
    }

    /// A subject that granted these on a date.
    pub(crate) async fn granted(
        &mut self,
        categories: &[Category],
        date: u32,
    ) -> Result<Subject, AttackError> {
        let mut subject = self.subject()?;
        let event = subject.says(Decision::Granted, categories, date);
        let answer = self.door.tell(&subject.signed(&event)).await?;
        if answer.accepted {
            return Ok(subject);
        }
        Err(AttackError::NoBaseline { what: "another grant", answer: answer.word })
    }

    /// Offers frames that must each be answered with this reason.
    pub(crate) async fn frames(
        &mut self,
        case: u32,
        tried: &str,
        reason: &str,
        frames: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<(), AttackError> {
        let mut attempt = Attempt::new(case, tried, reason);
        for frame in frames {
            self.door.resting()?;
            let answer = self.door.submit(&frame).await?;
            attempt.came(&answer.word, answer.accepted);
        }
        self.report.attempts.push(attempt);
        Ok(())
    }

    /// Says consent events that must each be answered with this status.
    pub(crate) async fn events(
        &mut self,
        case: u32,
        tried: &str,
        status: &str,
        events: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<(), AttackError> {
        let mut attempt = Attempt::new(case, tried, status);
        for event in events {
            self.door.resting()?;
            let answer = self.door.tell(&event).await?;
            attempt.came(&answer.word, answer.accepted);
        }
        self.report.attempts.push(attempt);
        Ok(())
    }

    /// Notes an answer that was had otherwise.
    pub(crate) fn note(&mut self, case: u32, tried: &str, expected: &str, answer: &Answer) {
        let mut attempt = Attempt::new(case, tried, expected);
        attempt.came(&answer.word, answer.accepted);
        self.report.attempts.push(attempt);
    }

    /// Notes whether something is as it should be.
    pub(crate) fn check(&mut self, case: u32, tried: &str, expected: &str, holds: bool) {
        let mut attempt = Attempt::new(case, tried, expected);
        let word = if holds { expected.to_owned() } else { format!("not {expected}") };
        attempt.came(&word, !holds);
        self.report.attempts.push(attempt);
    }

    /// Asks for the erasure of everything that this run said. Who was never known has nothing.
    async fn leave(&mut self) -> Result<(), AttackError> {
        self.door = self.door.for_leaving();
        for subject in std::mem::take(&mut self.subjects) {
            let request = RightsRequest { verb: Verb::Erase.into(), ..RightsRequest::default() };
            let (answer, _) = self.door.ask(&subject.key, request).await?;
            match (answer.accepted, answer.word.as_str()) {
                (true, _) => self.report.erased += 1,
                (false, "unproven") => {}
                (false, _) => self.report.left += 1,
            }
        }
        Ok(())
    }
}
