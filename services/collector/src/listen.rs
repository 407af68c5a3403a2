//! The listener: gRPC with a bound on everything that a peer may hold.
//!
//! Whoever reaches the port may hold a connection, streams on it, and calls on those; each has a
//! number and an end. What is above a number waits or is closed, and nobody else notices.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{StreamExt as _, future};
use imprimatur_proto::DESCRIPTORS;
use imprimatur_proto::ingest::v1::collector_service_server::CollectorServiceServer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::error::CollectorError;
use crate::service::Door;

/// Largest message that is read, bytes: a frame of 2 KiB, or one that is refused with a reason.
const READ_BYTES_MAX: usize = 64 << 10;

/// Largest message that is written, bytes: an answer with a page of 8 KiB and its signature, or the
/// whole contract by reflection. A larger one would be a defect here.
const WRITTEN_BYTES_MAX: usize = 256 << 10;

/// Header list of a call, bytes: gRPC's own headers take some 300.
const HEADER_BYTES_MAX: u32 = 8 << 10;

/// Streams that a peer may open and reset before it is cut off (CVE-2023-44487), and those that
/// this side may have reset because of a peer's errors (CVE-2025-8671).
const RESET_STREAMS_MAX: usize = 32;

/// Bytes of the preface of HTTP/2: whoever speaks it has sent them at once.
const PREFACE_BYTES: usize = 24;

/// What peers may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections. Bridges keep one each; 256 of them with their windows of 64 KiB and some
    /// tens of KiB of state are below 64 MiB. Another one is closed at once.
    pub connections: usize,
    /// Calls and streams that are open on one connection; a client waits before it opens another.
    pub streams: u32,
    /// Calls of one connection that are worked on at once; others wait.
    pub calls: usize,
    /// How long one call may take, its request included. The slowest honest one reads a page of the
    /// lake behind two others, each about a second.
    pub call_within: Duration,
    /// How long a connection may take to say that it speaks HTTP/2.
    pub preface_within: Duration,
    /// After how long of silence a peer is asked whether it is there.
    pub ping_every: Duration,
    /// How long it may take to answer; then the connection is closed.
    pub pong_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            streams: 128,
            calls: 128,
            call_within: Duration::from_secs(30),
            preface_within: Duration::from_secs(10),
            ping_every: Duration::from_secs(30),
            pong_within: Duration::from_secs(10),
        }
    }
}

/// Serves the door until `stop`.
///
/// # Errors
/// [`CollectorError`].
pub async fn serve(
    door: Door,
    listener: TcpListener,
    limits: Limits,
    stop: CancellationToken,
) -> Result<(), CollectorError> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()
        .map_err(CollectorError::Reflection)?;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<CollectorServiceServer<Door>>().await;
    let (places, tally) = (Arc::new(Semaphore::new(limits.connections)), Arc::clone(&door.tally));
    let incoming = TcpListenerStream::new(listener).filter_map(move |accepted| {
        let held = accepted.map(|socket| {
            let place = Arc::clone(&places).try_acquire_owned();
            let held = place.map(|place| Held::of(socket, place, limits.preface_within));
            held.inspect_err(|_full| tally.count("connections.refused")).ok()
        });
        future::ready(held.transpose())
    });
    let collector = CollectorServiceServer::new(door)
        .max_decoding_message_size(READ_BYTES_MAX)
        .max_encoding_message_size(WRITTEN_BYTES_MAX);
    tonic::transport::Server::builder()
        .timeout(limits.call_within)
        .concurrency_limit_per_connection(limits.calls)
        .max_concurrent_streams(limits.streams)
        .http2_keepalive_interval(Some(limits.ping_every))
        .http2_keepalive_timeout(Some(limits.pong_within))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_max_local_error_reset_streams(Some(RESET_STREAMS_MAX))
        .add_service(health_service)
        .add_service(reflection)
        .add_service(collector)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
        .map_err(CollectorError::Serve)
}

/// A connection with its place, which must begin to speak in time. Its address stays unknown to
/// everything above.
#[derive(Debug)]
struct Held {
    socket: TcpStream,
    unheard: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
}

impl Held {
    fn of(socket: TcpStream, place: OwnedSemaphorePermit, within: Duration) -> Self {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays with delayed writes");
        }
        let unheard = Some((0, Box::pin(tokio::time::sleep(within))));
        Self { socket, unheard, _place: place }
    }
}

impl Connected for Held {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        let more = buffer.filled().len().saturating_sub(before);
        if let Some((heard, late)) = &mut self.unheard {
            *heard = heard.saturating_add(more);
            if *heard >= PREFACE_BYTES {
                self.unheard = None;
            } else if read.is_pending() && late.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
