//! A stand-in for a collector that takes everything, so that the attack can be seen to notice.

use std::net::SocketAddr;
use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use imprimatur_proto::canonical;
use imprimatur_proto::consent::v1::{Receipt, ReceiptStatus, SignedReceipt};
use imprimatur_proto::ingest::v1::collector_service_server::{
    CollectorService, CollectorServiceServer,
};
use imprimatur_proto::ingest::v1::{
    ExerciseRequest, ExerciseResponse, Outcome, RecordConsentRequest, RecordConsentResponse,
    SignedVerdict, SubmitRequest, SubmitResponse, Verdict,
};
use imprimatur_proto::rights::v1::{RightsAnswer, RightsStatus, SignedRightsAnswer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

struct Yes;

fn stored(asked: &SubmitRequest) -> SubmitResponse {
    let verdict = canonical::encode(&Verdict {
        sequence: asked.frame.len().try_into().unwrap(),
        outcome: Outcome::Stored.into(),
        ..Verdict::default()
    });
    let verdict = canonical::encode(&SignedVerdict { verdict, signature: vec![1; 64] });
    SubmitResponse { request: asked.request, verdict, retry_after_ms: 0 }
}

#[tonic::async_trait]
impl CollectorService for Yes {
    type SubmitStream = Pin<Box<dyn Stream<Item = Result<SubmitResponse, Status>> + Send>>;

    async fn submit(
        &self,
        request: Request<Streaming<SubmitRequest>>,
    ) -> Result<Response<Self::SubmitStream>, Status> {
        let answers = request.into_inner().map(|asked| asked.map(|asked| stored(&asked)));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn submit_one(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        Ok(Response::new(stored(&request.into_inner())))
    }

    async fn record_consent(
        &self,
        _request: Request<RecordConsentRequest>,
    ) -> Result<Response<RecordConsentResponse>, Status> {
        let receipt = canonical::encode(&Receipt {
            sequence: 1,
            status: ReceiptStatus::Recorded.into(),
            ..Receipt::default()
        });
        let receipt = canonical::encode(&SignedReceipt { receipt, signature: vec![1; 64] });
        Ok(Response::new(RecordConsentResponse { receipt }))
    }

    async fn exercise(
        &self,
        _request: Request<ExerciseRequest>,
    ) -> Result<Response<ExerciseResponse>, Status> {
        let answer = canonical::encode(&RightsAnswer {
            status: RightsStatus::Done.into(),
            challenge: vec![1; 32],
            ..RightsAnswer::default()
        });
        let answer = canonical::encode(&SignedRightsAnswer { answer, signature: vec![1; 64] });
        Ok(Response::new(ExerciseResponse { answer }))
    }
}

/// Serves on a free port of the loopback.
pub(crate) async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder()
        .add_service(CollectorServiceServer::new(Yes))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    address
}
