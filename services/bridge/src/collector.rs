//! The collector's side of a session: one stream of frames, and a call for each consent event or rights
//! request.

use std::error::Error as _;
use std::time::Duration;

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
use crate::link::{Called, Collector};

/// A connected collector.
#[derive(Clone, Debug)]
pub(crate) struct Connected(CollectorServiceClient<Channel>);

/// The metadata of a busy collector's status: after how many milliseconds to ask again.
const RETRY_AFTER: &str = "retry-after-ms";

impl Connected {
    /// Connects.
    pub(crate) async fn connect(settings: &BridgeSettings) -> Result<Self, Lost> {
        let channel = settings.collector.connect().await.map_err(Lost::Unreachable)?;
        Ok(Self(CollectorServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)))
    }
}

impl Collector for Connected {
    /// Both channels hold a window. While `answers` is full the collector waits through HTTP/2 flow
    /// control.
    async fn submit(
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

    async fn record(mut self, event: Vec<u8>) -> Result<Called, Lost> {
        let response = self.0.record_consent(timed(RecordConsentRequest { event })).await;
        called(response.map(|response| response.into_inner().receipt))
    }

    async fn exercise(mut self, message: Vec<u8>) -> Result<Called, Lost> {
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
        Err(status) if is_busy(&status) => Ok(Called::Busy(retry_after(&status))),
        Err(status) if is_outage(&status) => Err(Lost::Collector(Box::new(status))),
        Err(_refusal) => Ok(Called::Refused),
    }
}

/// Whether the collector itself said that it has no time. A status with a source was made on this side,
/// by a connection that broke.
fn is_busy(status: &Status) -> bool {
    status.source().is_none() && status.code() == Code::ResourceExhausted
}

/// The collector's hint; zero, which becomes the shortest, when it gives none.
fn retry_after(status: &Status) -> Duration {
    let hint = status.metadata().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Duration::from_millis(hint.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Whether a status says something about the collector and not about the message.
fn is_outage(status: &Status) -> bool {
    status.source().is_some()
        || matches!(
            status.code(),
            Code::Unavailable
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
    fn a_collector_without_time_says_when_it_will_have_some() {
        let mut status = Status::resource_exhausted("busy");
        assert_eq!(called(Err(status.clone())).unwrap(), Called::Busy(Duration::ZERO));
        status.metadata_mut().insert(RETRY_AFTER, "2500".parse().unwrap());
        assert_eq!(called(Err(status.clone())).unwrap(), Called::Busy(Duration::from_millis(2500)));
        status.metadata_mut().insert(RETRY_AFTER, "soon".parse().unwrap());
        assert_eq!(called(Err(status)).unwrap(), Called::Busy(Duration::ZERO));
        assert_eq!(called(Err(Status::invalid_argument("no"))).unwrap(), Called::Refused);
    }

    #[test]
    fn only_the_collectors_own_troubles_are_an_outage() {
        for code in [Code::Unavailable, Code::Cancelled, Code::Unimplemented] {
            assert!(is_outage(&Status::new(code, "")), "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::Unauthenticated, Code::Internal, Code::NotFound] {
            assert!(!is_outage(&Status::new(code, "")), "{code:?}");
        }
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert!(is_outage(&Status::from_error(Box::new(broken))));
    }
}
