//! The gRPC door: frames, consent events and rights messages in, signed answers out.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use imprimatur_consent::page;
use imprimatur_lake::Lake;
use imprimatur_ledger::Book;
use imprimatur_proto::ingest::v1::collector_service_server::CollectorService;
use imprimatur_proto::ingest::v1::{
    ExerciseRequest, ExerciseResponse, RecordConsentRequest, RecordConsentResponse, RefusalReason,
    SubmitRequest, SubmitResponse,
};
use imprimatur_proto::rights::v1::RightsStatus;
use imprimatur_runtime::Clock;
use imprimatur_runtime::entropy::{self, NoEntropy};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::answer::{Signer, reason_name};
use crate::checks::Checks;
use crate::gate::{Inspected, Refused};
use crate::lanes::{Lanes, NoPlace};
use crate::record_consent::{Verified, refuse};
use crate::rights;
use crate::rights::answer::status_name;
use crate::rights::challenge::Challenges;
use crate::rights::claim::{Claim, Exercised};
use crate::rights::reading::{Readings, Unreadable};
use crate::rights::request::{Message, SignedRequest, Unproven};
use crate::tally::Tally;
use crate::writer::Job;

/// Readings of the lake under way at once: each may take a second and a file in memory.
pub const READINGS: usize = 2;

/// Metadata of a call that found the writer busy: after how many milliseconds to come again.
pub const RETRY_AFTER: &str = "retry-after-ms";

/// How long a stream of frames may be silent: agents seal at least once a day, so a bridge of one
/// agent opens a stream a day, and a busy one keeps its own.
pub const STREAM_IDLE: Duration = Duration::from_mins(10);

/// Frames of one stream that are being worked on at the same time.
const WINDOW: usize = 64;

/// What a frame gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A signed verdict.
    Verdict(Vec<u8>),
    /// Nothing was decided: offer it again after so many milliseconds.
    Busy(u32),
}

/// What the collector is too busy for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Consent,
    Rights,
}

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    /// The store, read only here.
    pub book: Book,
    /// The lake, read for explain and export.
    pub lake: Lake,
    /// The collector's key.
    pub signer: Arc<Signer>,
    /// Challenges, given here.
    pub challenges: Arc<Challenges>,
    /// Pages that were read.
    pub readings: Arc<Readings>,
    /// How many readings of the lake may be under way; others wait.
    pub reading: Arc<Semaphore>,
    /// Counters of refusals that never reach the writer.
    pub tally: Arc<Tally>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Turns at checking signatures of frames.
    pub checks: Arc<Checks>,
    /// Turns at checking signatures of consent events and rights messages, so that no flood of
    /// frames delays them.
    pub urgent_checks: Arc<Checks>,
    /// The lanes into the writer.
    pub lanes: Lanes,
    /// How long a stream of frames may be silent before it is ended.
    pub stream_idle: Duration,
    /// Ends open streams, so that a stop does not wait for their other side.
    pub stop: CancellationToken,
}

impl Door {
    /// The answer to one frame. While the writer has no place for it, no signature is checked.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the writer is gone: nothing was decided, ask again.
    pub async fn verdict(&self, frame: &[u8]) -> Result<Answered, Status> {
        let inspected = match Inspected::of(frame) {
            Ok(inspected) => inspected,
            Err(refused) => return Ok(Answered::Verdict(self.refused(&refused))),
        };
        let place = {
            let Some(_turn) = self.checks.turn().await else { return Ok(self.busy()) };
            let place = match self.lanes.place() {
                Ok(place) => place,
                Err(NoPlace::Busy(_)) => return Ok(self.busy()),
                Err(NoPlace::Gone) => return Err(gone()),
            };
            // An unknown subject and a wrong signature look alike.
            let known = self.book.known(inspected.subject);
            let signed = known.is_some_and(|known| inspected.is_signed_by(&known.public_key));
            signed.then_some(place)
        };
        // Whoever else is ready has its turn after each check, not after a windowful of them.
        tokio::task::yield_now().await;
        let Some(place) = place else {
            let refused = inspected.refuse(RefusalReason::Unauthenticated);
            return Ok(Answered::Verdict(self.refused(&refused)));
        };
        let (reply, answer) = oneshot::channel();
        place.send(Job::Batch(Box::new(inspected), reply));
        Ok(Answered::Verdict(answer.await.map_err(|_dropped| gone())?))
    }

    /// The signed receipt of one consent event.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` with `retry-after-ms` when the writer is busy, `UNAVAILABLE` when it is
    /// gone: nothing was recorded, ask again.
    pub async fn receipt(&self, event: &[u8]) -> Result<Vec<u8>, Status> {
        self.room(Of::Consent, self.lanes.urgent_place(true))?;
        let verified = {
            let turn = self.urgent_checks.turn().await;
            let Some(_turn) = turn else { return Err(self.exhausted(Of::Consent)) };
            Verified::of(event)
        };
        let Some(verified) = verified else {
            let refused = refuse(&self.signer, self.clock.today(), event);
            self.tally.count(&refused.counter);
            return Ok(refused.receipt);
        };
        let known = self.book.known(verified.subject).is_some();
        let (reply, answer) = oneshot::channel();
        let job = Job::Consent(Box::new(verified), reply);
        self.room(Of::Consent, self.lanes.send_urgent(job, known))?;
        answer.await.map_err(|_dropped| gone())
    }

    /// The signed answer to one rights message.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` with `retry-after-ms` when the writer is busy, `UNAVAILABLE` when it is
    /// gone or the lake cannot be read: ask again.
    pub async fn rights(&self, message: &[u8]) -> Result<Vec<u8>, Status> {
        self.room(Of::Rights, self.lanes.urgent_place(true))?;
        let message = {
            let turn = self.urgent_checks.turn().await;
            let Some(_turn) = turn else { return Err(self.exhausted(Of::Rights)) };
            Message::of(message)
        };
        let signed = match message {
            Ok(Message::Challenge(asked)) => {
                self.tally.count("rights.challenge");
                let challenge = self.challenges.give(asked.requester, self.clock.now());
                return Ok(self
                    .signer
                    .challenge(asked, challenge.map_err(|error| no_entropy(&error))?));
            }
            Ok(Message::Request(signed)) => signed,
            Err(unproven) => return Ok(self.unproven(unproven)),
        };
        let SignedRequest { asked, ref request, .. } = *signed;
        let now = self.clock.now();
        let fresh = self.challenges.recognise(asked.requester, &request.challenge, now);
        let Some(fresh) = fresh else { return Ok(self.unproven(Unproven(asked))) };
        let reader = request.reader_key.clone();
        let known = self.book.known(asked.requester).is_some();
        let (reply, answer) = oneshot::channel();
        let job = Job::Rights(Box::new(Claim { signed, fresh }), reply);
        self.room(Of::Rights, self.lanes.send_urgent(job, known))?;
        let exercised = answer.await.map_err(|_dropped| gone())?;
        if exercised.outcome.status == RightsStatus::Unproven {
            return Ok(self.signer.unproven(Unproven(asked)));
        }
        let outcome = closed(self.read(exercised).await?, &reader)?;
        let next =
            self.challenges.give(asked.requester, now).map_err(|error| no_entropy(&error))?;
        Ok(self.signer.exercised(asked, outcome, now.date(), next))
    }

    /// Reads the page that an answer wants, outside of the writer and off the event loop.
    async fn read(&self, exercised: Exercised) -> Result<rights::answer::Outcome, Status> {
        if exercised.wanted.is_none() {
            return Ok(exercised.outcome);
        }
        let failed = || Status::unavailable("the collector cannot read its lake; try again");
        let _turn = self.reading.acquire().await.map_err(|_closed| failed())?;
        let (lake, readings) = (self.lake.clone(), Arc::clone(&self.readings));
        let read = tokio::task::spawn_blocking(move || exercised.read(&lake, &readings));
        let read: Result<_, Unreadable> = read.await.map_err(|_panicked| failed())?;
        read.map_err(|error| {
            tracing::error!(%error, "a page cannot be read");
            failed()
        })
    }

    fn unproven(&self, unproven: Unproven) -> Vec<u8> {
        self.tally.count(&format!("rights.{}", status_name(RightsStatus::Unproven)));
        self.signer.unproven(unproven)
    }

    fn refused(&self, refused: &Refused) -> Vec<u8> {
        self.tally.count(&format!("refused.{}", reason_name(refused.reason)));
        self.signer.refused(refused, &[])
    }

    fn busy(&self) -> Answered {
        self.tally.count("busy.batch");
        Answered::Busy(self.lanes.retry_after_ms())
    }

    /// Turns a lane without a place into the status that says so.
    fn room<T>(&self, of: Of, placed: Result<T, NoPlace>) -> Result<T, Status> {
        placed.map_err(|refused| match refused {
            NoPlace::Busy(_) => self.exhausted(of),
            NoPlace::Gone => gone(),
        })
    }

    fn exhausted(&self, of: Of) -> Status {
        self.tally.count(match of {
            Of::Consent => "busy.consent",
            Of::Rights => "busy.rights",
        });
        let mut status = Status::resource_exhausted("the collector is busy; come again later");
        let after = self.lanes.retry_after_ms();
        status.metadata_mut().insert(RETRY_AFTER, after.into());
        status
    }

    async fn respond(&self, asked: SubmitRequest) -> Result<SubmitResponse, Status> {
        let SubmitRequest { request, frame } = asked;
        Ok(match self.verdict(&frame).await? {
            Answered::Verdict(verdict) => SubmitResponse { request, verdict, retry_after_ms: 0 },
            Answered::Busy(retry_after_ms) => {
                SubmitResponse { request, verdict: Vec::new(), retry_after_ms }
            }
        })
    }
}

#[tonic::async_trait]
impl CollectorService for Door {
    type SubmitStream = Pin<Box<dyn Stream<Item = Result<SubmitResponse, Status>> + Send>>;

    async fn submit(
        &self,
        request: Request<Streaming<SubmitRequest>>,
    ) -> Result<Response<Self::SubmitStream>, Status> {
        let door = self.clone();
        let frames = tokio_stream::StreamExt::timeout(request.into_inner(), self.stream_idle);
        let answers = frames
            .take_while(|frame| futures::future::ready(frame.is_ok()))
            .filter_map(|frame| futures::future::ready(frame.ok()))
            .take_until(self.stop.clone().cancelled_owned())
            .map(move |frame| {
                let door = door.clone();
                async move { door.respond(frame?).await }
            })
            .buffer_unordered(WINDOW);
        Ok(Response::new(Box::pin(answers)))
    }

    async fn submit_one(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        Ok(Response::new(self.respond(request.into_inner()).await?))
    }

    async fn record_consent(
        &self,
        request: Request<RecordConsentRequest>,
    ) -> Result<Response<RecordConsentResponse>, Status> {
        let receipt = self.receipt(&request.into_inner().event).await?;
        Ok(Response::new(RecordConsentResponse { receipt }))
    }

    async fn exercise(
        &self,
        request: Request<ExerciseRequest>,
    ) -> Result<Response<ExerciseResponse>, Status> {
        let answer = self.rights(&request.into_inner().message).await?;
        Ok(Response::new(ExerciseResponse { answer }))
    }
}

/// Closes the page of an answer for its reader. A key that closes nothing reads nothing.
fn closed(
    mut outcome: rights::answer::Outcome,
    reader: &[u8],
) -> Result<rights::answer::Outcome, Status> {
    if outcome.page.is_empty() {
        return Ok(outcome);
    }
    let entropy = entropy::bytes().map_err(|error| no_entropy(&error))?;
    let reader: Option<&[u8; 32]> = reader.try_into().ok();
    Ok(match reader.and_then(|reader| page::close(reader, entropy, &outcome.page)) {
        Some(page) => {
            outcome.page = page;
            outcome
        }
        None => RightsStatus::Unusable.into(),
    })
}

fn gone() -> Status {
    Status::unavailable("the collector is stopping; try again")
}

fn no_entropy(error: &NoEntropy) -> Status {
    tracing::error!(%error, "no challenge can be drawn");
    Status::unavailable("the collector cannot draw a challenge; try again")
}
