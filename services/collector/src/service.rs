//! The gRPC door: frames, consent events and rights messages in, signed answers out.

use std::pin::Pin;
use std::sync::Arc;

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
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::answer::{Signer, reason_name};
use crate::gate::{Inspected, Refused};
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

/// Frames of one stream that are being worked on at the same time.
const WINDOW: usize = 64;

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
    /// The writer's queue.
    pub jobs: mpsc::Sender<Job>,
    /// Ends open streams, so that a stop does not wait for their other side.
    pub stop: CancellationToken,
}

impl Door {
    /// The signed verdict on one frame.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the writer is gone: nothing was decided, ask again.
    pub async fn verdict(&self, frame: &[u8]) -> Result<Vec<u8>, Status> {
        let inspected = match Inspected::of(frame) {
            Ok(inspected) => inspected,
            Err(refused) => return Ok(self.refused(&refused)),
        };
        // An unknown subject and a wrong signature look alike.
        let known = self.book.known(inspected.subject);
        let signed = known.is_some_and(|known| inspected.is_signed_by(&known.public_key));
        if !signed {
            return Ok(self.refused(&inspected.refuse(RefusalReason::Unauthenticated)));
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Batch(Box::new(inspected), reply), answer).await
    }

    /// The signed receipt of one consent event.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the writer is gone: nothing was recorded, ask again.
    pub async fn receipt(&self, event: &[u8]) -> Result<Vec<u8>, Status> {
        let Some(verified) = Verified::of(event) else {
            let refused = refuse(&self.signer, self.clock.today(), event);
            self.tally.count(&refused.counter);
            return Ok(refused.receipt);
        };
        let (reply, answer) = oneshot::channel();
        self.ask(Job::Consent(Box::new(verified), reply), answer).await
    }

    /// The signed answer to one rights message.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the writer is gone or the lake cannot be read: ask again.
    pub async fn rights(&self, message: &[u8]) -> Result<Vec<u8>, Status> {
        let signed = match Message::of(message) {
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
        let (reply, answer) = oneshot::channel();
        let claim = Box::new(Claim { signed, fresh });
        let exercised = self.ask(Job::Rights(claim, reply), answer).await?;
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

    /// Queues a job. Once queued it is done, whether or not the caller waits for the answer.
    async fn ask<T>(&self, job: Job, answer: oneshot::Receiver<T>) -> Result<T, Status> {
        let gone = || Status::unavailable("the collector is stopping; try again");
        self.jobs.send(job).await.map_err(|_closed| gone())?;
        answer.await.map_err(|_dropped| gone())
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
        let answers = request
            .into_inner()
            .take_until(self.stop.clone().cancelled_owned())
            .map(move |frame| {
                let door = door.clone();
                async move {
                    let SubmitRequest { request, frame } = frame?;
                    let verdict = door.verdict(&frame).await?;
                    Ok(SubmitResponse { request, verdict, retry_after_ms: 0 })
                }
            })
            .buffer_unordered(WINDOW);
        Ok(Response::new(Box::pin(answers)))
    }

    async fn submit_one(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let SubmitRequest { request, frame } = request.into_inner();
        let verdict = self.verdict(&frame).await?;
        Ok(Response::new(SubmitResponse { request, verdict, retry_after_ms: 0 }))
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

fn no_entropy(error: &NoEntropy) -> Status {
    tracing::error!(%error, "no challenge can be drawn");
    Status::unavailable("the collector cannot draw a challenge; try again")
}
