//! The collector's side of a session: one stream of frames, and a call for each consent event or rights
//! request.

use std::error::Error as _;

use imprimatur_proto::ingest::v1::collector_service_client::CollectorServiceClient;
use imprimatur_proto::ingest::v1::{
    ExerciseRequest, RecordConsentRequest, SubmitRequest, SubmitResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::config::{ANSWER_BYTES_MAX, ANSWER_WITHIN, BridgeSettings};
use crate::error::Lost;

/// A connected collector.
#[derive(Clone, Debug)]
pub(crate) struct Collector(CollectorServiceClient<Channel>);

/// What became of a consent event or a rights request.
#[derive(Debug)]
pub(crate) enum Called {
    /// The answer, signed by the collector.
    Answer(Vec<u8>),
    /// Refused for good and without an answer: sending it again would change nothing.
    Refused,
}

impl Collector {
    /// Connects.
    pub(crate) async fn connect(settings: &BridgeSettings) -> Result<Self, Lost> {
        let channel = settings.collector.connect().await.map_err(Lost::Unreachable)?;
        Ok(Self(CollectorServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)))
    }

    /// The task that carries frames up and verdicts down until the stream ends. `answers` holds a
    /// window and blocks when full; the collector then waits through HTTP/2 flow control.
    pub(crate) async fn submit(
        mut self,
        frames: mpsc::Receiver<SubmitRequest>,
        answers: mpsc::Sender<SubmitResponse>,
    ) -> Lost {
        let broken = |status| Lost::Collector(Box::new(status));
        let mut stream = match self.0.submit(ReceiverStream::new(frames)).await {
            Ok(response) => response.into_inner(),
            Err(status) => return broken(status),
        };
        loop {
            match stream.message().await {
                Ok(Some(answer)) => {
                    if answers.send(answer).await.is_err() {
                        return Lost::StreamEnded;
                    }
                }
                Ok(None) => return Lost::StreamEnded,
                Err(status) => return broken(status),
            }
        }
    }

    /// Records one consent event.
    pub(crate) async fn record(mut self, event: Vec<u8>) -> Result<Called, Lost> {
        let response = self.0.record_consent(timed(RecordConsentRequest { event })).await;
        called(response.map(|response| response.into_inner().receipt))
    }

    /// Exercises one right.
    pub(crate) async fn exercise(mut self, message: Vec<u8>) -> Result<Called, Lost> {
        let response = self.0.exercise(timed(ExerciseRequest { message })).await;
        called(response.map(|response| response.into_inner().answer))
    }
}

fn timed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(ANSWER_WITHIN);
    request
}

fn called(answered: Result<Vec<u8>, Status>) -> Result<Called, Lost> {
    match answered {
        Ok(answer) => Ok(Called::Answer(answer)),
        Err(status) if is_outage(&status) => Err(Lost::Collector(Box::new(status))),
        Err(_refusal) => Ok(Called::Refused),
    }
}

/// Whether a status says something about the collector and not about the message. A status with a
/// source was made on this side, by a connection that broke.
fn is_outage(status: &Status) -> bool {
    status.source().is_some()
        || matches!(
            status.code(),
            Code::Unavailable
                | Code::ResourceExhausted
                | Code::DeadlineExceeded
                | Code::Cancelled
                | Code::Aborted
                | Code::Unimplemented
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_collectors_own_troubles_are_an_outage() {
        for code in [Code::Unavailable, Code::ResourceExhausted, Code::Unimplemented] {
            assert!(is_outage(&Status::new(code, "")), "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::Unauthenticated, Code::Internal, Code::NotFound] {
            assert!(!is_outage(&Status::new(code, "")), "{code:?}");
        }
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(is_outage(&Status::from_error(Box::new(broken))));
    }
}
