//! Plain HTTP and WebSocket to a peer in the local network: bounded, without redirects or proxies.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use url::Url;

use super::error::SourceError;
use super::settings::Secret;

/// Longest answer that is read: the longest that is needed is below 4 KiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Longest push message: `OctoPrint`'s greeting lists its permissions in about 32 KiB.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Time for one question; `OctoPrint` on a small board answers within two while printing.
const ANSWER_SECONDS_MAX: u64 = 10;

/// An HTTP client for one peer.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    peer: &'static str,
    remedy: &'static str,
    key: Option<Secret>,
}

/// An answer that the reader can use.
pub(crate) enum Answer {
    /// Status 200 with its body.
    Body(Vec<u8>),
    /// Status 409, which printer programs give while no printer is connected.
    Conflict,
}

impl Http {
    /// A client for `peer`. Each question carries `key`; `remedy` is what to do when it is refused.
    pub(crate) fn new(
        peer: &'static str,
        remedy: &'static str,
        key: Option<Secret>,
    ) -> Result<Self, SourceError> {
        let client = client(Duration::from_secs(ANSWER_SECONDS_MAX))
            .map_err(|_no_client| SourceError::Unreachable)?;
        Ok(Self { client, peer, remedy, key })
    }

    pub(crate) async fn get(&self, url: Url) -> Result<Answer, SourceError> {
        self.ask(self.client.get(url)).await
    }

    /// What is at `url`; `None` for status 204, by which a peer says that there is nothing to tell.
    pub(crate) async fn look(&self, url: Url) -> Result<Option<Vec<u8>>, SourceError> {
        let response = self.send(self.client.get(url)).await?;
        match response.status() {
            StatusCode::OK => body(response, ANSWER_BYTES_MAX).await.map(Some),
            StatusCode::NO_CONTENT => Ok(None),
            other => Err(self.unexpected(other)),
        }
    }

    /// What is at `url`, for peers that know sessions instead of keys; none before one is made.
    pub(crate) async fn get_in(
        &self,
        url: Url,
        session: Option<u64>,
    ) -> Result<Vec<u8>, SourceError> {
        let request = self.client.get(url);
        let request = match session {
            Some(session) => request.header("X-Session-Key", session),
            None => request,
        };
        let response = self.send(request).await?;
        match response.status() {
            StatusCode::OK => body(response, ANSWER_BYTES_MAX).await,
            other => Err(self.unexpected(other)),
        }
    }

    pub(crate) async fn post(
        &self,
        url: Url,
        body: &serde_json::Value,
    ) -> Result<Answer, SourceError> {
        self.ask(self.client.post(url).json(body)).await
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Answer, SourceError> {
        let response = self.send(request).await?;
        match response.status() {
            StatusCode::OK => body(response, ANSWER_BYTES_MAX).await.map(Answer::Body),
            StatusCode::CONFLICT => Ok(Answer::Conflict),
            other => Err(self.unexpected(other)),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, SourceError> {
        let request = match &self.key {
            Some(key) => request.header("X-Api-Key", key.expose()),
            None => request,
        };
        request.send().await.map_err(|error| unreachable_or_slow(&error))
    }

    fn unexpected(&self, status: StatusCode) -> SourceError {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                SourceError::Refused { peer: self.peer, remedy: self.remedy }
            }
            StatusCode::SERVICE_UNAVAILABLE => SourceError::NotReady { peer: self.peer },
            other => SourceError::Status { peer: self.peer, status: i64::from(other.as_u16()) },
        }
    }
}

/// A client that follows no redirect, asks no proxy and waits at most `limit` for an answer.
pub(crate) fn client(limit: Duration) -> reqwest::Result<Client> {
    Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(limit).build()
}

/// The whole body, unless it is longer than any that is needed.
pub(crate) async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, SourceError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| unreachable_or_slow(&e))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(SourceError::TooLong { bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Opens a WebSocket.
pub(crate) async fn socket(
    url: &Url,
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, SourceError> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let connecting = Box::pin(connect_async_with_config(url.as_str(), Some(config), false));
    match timeout(Duration::from_secs(ANSWER_SECONDS_MAX), connecting).await {
        Ok(Ok((socket, _response))) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(_))) => {
            Err(SourceError::Malformed { peer: "the WebSocket server" })
        }
        Ok(Err(_no_link)) => Err(SourceError::Unreachable),
        Err(_elapsed) => Err(SourceError::Slow { seconds: ANSWER_SECONDS_MAX }),
    }
}

fn unreachable_or_slow(error: &reqwest::Error) -> SourceError {
    if error.is_timeout() {
        SourceError::Slow { seconds: ANSWER_SECONDS_MAX }
    } else {
        SourceError::Unreachable
    }
}
