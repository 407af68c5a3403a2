//! The gRPC door: frames and consent events in, signed answers out.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use imprimatur_ledger::Book;
use imprimatur_proto::ingest::v1::collector_service_server::CollectorService;
use imprimatur_proto::ingest::v1::{
    ExerciseRequest, ExerciseResponse, RecordConsentRequest, RecordConsentResponse, RefusalReason,
    SubmitRequest, SubmitResponse,
};
use imprimatur_runtime::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::answer::{Signer, reason_name};
use crate::gate::{Inspected, Refused};
use crate::record_consent::{Verified, refuse};
use crate::tally::Tally;
use crate::writer::Job;

/// Frames of one stream that are being worked on at the same time.
const WINDOW: usize = 64;

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    /// The store, read only here.
    pub book: Arc<Book>,
    /// The collector's key.
    pub signer: Arc<Signer>,
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
        let standing = self.book.standing(inspected.subject).map_err(|error| {
            tracing::error!(%error, "the book cannot be read");
            Status::unavailable("the collector cannot read its book; try again")
        })?;
        // An unknown subject and a wrong signature look alike.
        let signed = standing.is_some_and(|known| inspected.is_signed_by(&known.public_key.0));
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

    fn refused(&self, refused: &Refused) -> Vec<u8> {
        self.tally.count(&format!("refused.{}", reason_name(refused.reason)));
        self.signer.refused(refused, &[])
    }

    /// Queues a job. Once queued it is done, whether or not the caller waits for the answer.
    async fn ask(&self, job: Job, answer: oneshot::Receiver<Vec<u8>>) -> Result<Vec<u8>, Status> {
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
                    Ok(SubmitResponse { request, verdict })
                }
            })
            .buffer_unordered(WINDOW);
        Ok(Response::new(Box::pin(answers)))
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
        _request: Request<ExerciseRequest>,
    ) -> Result<Response<ExerciseResponse>, Status> {
        Err(Status::unimplemented("rights requests are not taken yet"))
    }
}
