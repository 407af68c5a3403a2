//! The collector's gRPC door, as anybody may use it.
//!
//! A busy collector is asked again.

use std::time::Duration;

use imprimatur_consent::page::ReaderKey;
use imprimatur_consent::{Domain, SigningSeed};
use imprimatur_proto::canonical;
use imprimatur_proto::ingest::v1::collector_service_client::CollectorServiceClient;
use imprimatur_proto::ingest::v1::{
    ExerciseRequest, RecordConsentRequest, SubmitRequest, SubmitResponse,
};
use imprimatur_proto::rights::v1::{
    ChallengeRequest, RightsAnswer, RightsMessage, RightsRequest, Verb,
};
use imprimatur_runtime::entropy;
use tokio_util::sync::CancellationToken;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::answer::{Answer, receipt_of, rights_of, verdict_of};
use crate::error::AttackError;

/// How long one call may take.
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// How often a busy collector is asked again.
const BUSY_MAX: u32 = 30;

/// The longest wait for a busy collector.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Pages of one export, at most.
const PAGES_MAX: u32 = 64;

/// A connection. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    target: String,
    client: CollectorServiceClient<Channel>,
    channel: Channel,
    stop: CancellationToken,
}

impl Door {
    /// Connects.
    pub(crate) async fn open(target: &str, stop: CancellationToken) -> Result<Self, AttackError> {
        let endpoint = Endpoint::from_shared(target.to_owned()).ok();
        let endpoint = endpoint.filter(|endpoint| endpoint.uri().scheme_str() == Some("http"));
        let endpoint = endpoint.ok_or_else(|| AttackError::Target(target.to_owned()))?;
        let channel = endpoint.connect_timeout(CALL_WITHIN).timeout(CALL_WITHIN).connect().await;
        let channel = channel.map_err(|error| unreachable(target, error))?;
        let client = CollectorServiceClient::new(channel.clone());
        Ok(Self { target: target.to_owned(), client, channel, stop })
    }

    /// The same door for the way out, which a stop does not close.
    pub(crate) fn for_leaving(&self) -> Self {
        Self { stop: CancellationToken::new(), ..self.clone() }
    }

    /// Offers a frame.
    pub(crate) async fn submit(&mut self, frame: &[u8]) -> Result<Answer, AttackError> {
        self.submit_with(frame, &MetadataMap::new()).await
    }

    /// Offers a frame with metadata of the call.
    pub(crate) async fn submit_with(
        &mut self,
        frame: &[u8],
        metadata: &MetadataMap,
    ) -> Result<Answer, AttackError> {
        for _ in 0..BUSY_MAX {
            let mut request = Request::new(SubmitRequest { request: 7, frame: frame.to_vec() });
            *request.metadata_mut() = metadata.clone();
            match self.client.submit_one(request).await {
                Ok(response) => {
                    let SubmitResponse { verdict, retry_after_ms, .. } = response.into_inner();
                    if !verdict.is_empty() {
                        return Ok(verdict_of(&verdict));
                    }
                    self.wait(u64::from(retry_after_ms)).await?;
                }
                Err(status) => {
                    if let Some(answer) = self.ended(&status).await? {
                        return Ok(answer);
                    }
                }
            }
        }
        Ok(Answer::of("busy", false, Vec::new()))
    }

    /// Offers frames on one stream; answers in the order in which they come.
    pub(crate) async fn stream(
        &mut self,
        frames: Vec<Vec<u8>>,
    ) -> Result<Vec<Answer>, AttackError> {
        let requests = (0..).zip(frames).map(|(request, frame)| SubmitRequest { request, frame });
        let requests = futures::stream::iter(requests.collect::<Vec<_>>());
        let opened = self.client.submit(requests).await;
        let mut answers = match opened {
            Ok(answers) => answers.into_inner(),
            Err(status) => return Ok(vec![Answer::status(&status)]),
        };
        let mut came = Vec::new();
        loop {
            match answers.message().await {
                Ok(Some(answer)) => came.push(verdict_of(&answer.verdict)),
                Ok(None) => return Ok(came),
                Err(status) => {
                    came.push(Answer::status(&status));
                    return Ok(came);
                }
            }
        }
    }

    /// Says a consent event.
    pub(crate) async fn tell(&mut self, event: &[u8]) -> Result<Answer, AttackError> {
        for _ in 0..BUSY_MAX {
            let request = RecordConsentRequest { event: event.to_vec() };
            match self.client.record_consent(request).await {
                Ok(response) => return Ok(receipt_of(&response.into_inner().receipt)),
                Err(status) => {
                    if let Some(answer) = self.ended(&status).await? {
                        return Ok(answer);
                    }
                }
            }
        }
        Ok(Answer::of("busy", false, Vec::new()))
    }

    /// Says a rights message.
    pub(crate) async fn exercise(
        &mut self,
        message: &[u8],
    ) -> Result<(Answer, RightsAnswer), AttackError> {
        for _ in 0..BUSY_MAX {
            let request = ExerciseRequest { message: message.to_vec() };
            match self.client.exercise(request).await {
                Ok(response) => return Ok(rights_of(&response.into_inner().answer)),
                Err(status) => {
                    if let Some(answer) = self.ended(&status).await? {
                        return Ok((answer, RightsAnswer::default()));
                    }
                }
            }
        }
        Ok((Answer::of("busy", false, Vec::new()), RightsAnswer::default()))
    }

    /// A challenge for this key.
    pub(crate) async fn challenge(&mut self, key: &SigningSeed) -> Result<Vec<u8>, AttackError> {
        let asks = ChallengeRequest { requester: key.subject().0.to_vec() };
        let message = RightsMessage {
            challenge_request: canonical::encode(&asks),
            ..RightsMessage::default()
        };
        Ok(self.exercise(&canonical::encode(&message)).await?.1.challenge)
    }

    /// Asks a right with a fresh challenge.
    pub(crate) async fn ask(
        &mut self,
        key: &SigningSeed,
        request: RightsRequest,
    ) -> Result<(Answer, RightsAnswer), AttackError> {
        let challenge = self.challenge(key).await?;
        let request = RightsRequest { public_key: key.public().to_vec(), challenge, ..request };
        self.exercise(&signed(key, &request)).await
    }

    /// All that is held of the subject of a key, as the lines of its export; `None` when the answer
    /// is no page for this reader.
    pub(crate) async fn export(
        &mut self,
        key: &SigningSeed,
    ) -> Result<Option<String>, AttackError> {
        let (mut text, mut cursor) = (Vec::new(), 0);
        for _ in 0..PAGES_MAX {
            let reader = ReaderKey::from_entropy(entropy::bytes()?);
            let reader_key = reader.public().to_vec();
            let verb = Verb::Export.into();
            let request = RightsRequest { verb, cursor, reader_key, ..RightsRequest::default() };
            let (_, answer) = self.ask(key, request).await?;
            let Some(page) = reader.open(&answer.page) else { return Ok(None) };
            text.extend(page);
            cursor = answer.next_cursor;
            if cursor == 0 {
                return Ok(String::from_utf8(text).ok());
            }
        }
        Ok(None)
    }

    /// Calls a method that the service may not have.
    pub(crate) async fn call(&mut self, path: &'static str) -> Result<Answer, AttackError> {
        self.resting()?;
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        if let Err(error) = grpc.ready().await {
            return Err(unreachable(&self.target, error));
        }
        let codec: tonic_prost::ProstCodec<SubmitRequest, SubmitResponse> =
            tonic_prost::ProstCodec::default();
        let request = Request::new(SubmitRequest { request: 1, frame: b"solid model".to_vec() });
        Ok(match grpc.unary(request, PathAndQuery::from_static(path), codec).await {
            Ok(_) => Answer::of("answered", true, Vec::new()),
            Err(status) => Answer::status(&status),
        })
    }

    /// What a call that gRPC ended means: a word, or `None` after the wait that was asked for.
    async fn ended(&self, status: &Status) -> Result<Option<Answer>, AttackError> {
        match status.code() {
            Code::ResourceExhausted => {
                let hint = status.metadata().get("retry-after-ms");
                let hint = hint.and_then(|hint| hint.to_str().ok()?.parse().ok());
                self.wait(hint.unwrap_or(1_000)).await.map(|()| None)
            }
            Code::Unavailable => Err(unreachable(&self.target, status.clone())),
            _ => Ok(Some(Answer::status(status))),
        }
    }

    async fn wait(&self, milliseconds: u64) -> Result<(), AttackError> {
        self.resting()?;
        tokio::time::sleep(Duration::from_millis(milliseconds).min(WAIT_MAX)).await;
        Ok(())
    }

    /// Whether it may go on.
    pub(crate) fn resting(&self) -> Result<(), AttackError> {
        if self.stop.is_cancelled() { Err(AttackError::Stopped) } else { Ok(()) }
    }
}

/// A request, signed.
pub(crate) fn signed(key: &SigningSeed, request: &RightsRequest) -> Vec<u8> {
    let request = canonical::encode(request);
    let signature = key.sign(Domain::Rights, &request);
    canonical::encode(&RightsMessage { request, signature, ..RightsMessage::default() })
}

fn unreachable(target: &str, error: impl std::error::Error + Send + Sync + 'static) -> AttackError {
    AttackError::Unreachable { target: target.to_owned(), source: Box::new(error) }
}
