//! The listeners: HTTP/1.1, and HTTP/2 for gRPC, with a bound on everything that a peer may hold. TLS ends at the
//! operator's proxy.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use imprimatur_query::{EDITION_LENGTH, Engine, EngineSettings, QueryError, Released};
use imprimatur_runtime::Clock;
use imprimatur_runtime::lifecycle::{self, Stopped};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::access::Peer;
use crate::grpc;
use crate::guard::Guard;
use crate::numbers::Numbers;
use crate::openapi;
use crate::problem::json;
use crate::rates::Rate;
use crate::routes::{self, Shared};

/// Bytes that a request's head may take; hyper reads no more, and a body is never read.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Calls at once on one connection of gRPC.
const STREAMS_MAX: u32 = 32;

/// Header list of a call, bytes.
const HEADER_LIST_BYTES_MAX: u32 = 8 << 10;

/// Streams that may be opened and reset before the peer is cut off (CVE-2023-44487, CVE-2025-8671).
const RESET_STREAMS_MAX: usize = 32;

/// What peers may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; another one is closed at once.
    pub connections: usize,
    /// How long a head may take, the silence before it included.
    pub head_within: Duration,
    /// How long one answer may take to make.
    pub call_within: Duration,
    /// How long one connection may last; a client connects again.
    pub connection_within: Duration,
    /// Questions to the lake that are worked on at once; others wait.
    pub questions: usize,
    /// What one token may ask.
    pub with_token: Rate,
    /// What one address (of IPv6: one network of 64 bits) may ask without a token that counts. Behind a proxy all
    /// have the proxy's.
    pub without: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head_within: Duration::from_secs(10),
            call_within: Duration::from_secs(30),
            connection_within: Duration::from_mins(5),
            questions: 4,
            with_token: Rate { burst: 60, every: Duration::from_millis(200), keys: 1000 },
            without: Rate { burst: 120, every: Duration::from_millis(100), keys: 10_000 },
        }
    }
}

/// Where the door listens and what it reads.
#[derive(Clone, Debug)]
pub struct DoorSettings {
    /// The collector's folder; of it only `lake` and `tokens.json` are read, and `query` is written.
    pub data: PathBuf,
    /// Address of HTTP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address of gRPC; nowhere unless given.
    pub grpc: Option<SocketAddr>,
    /// What peers may hold.
    pub limits: Limits,
    /// How answers are guarded.
    pub engine: EngineSettings,
}

impl DoorSettings {
    /// A door on an address, with the usual limits.
    pub fn new(data: PathBuf, listen: SocketAddr) -> Self {
        let (limits, engine) = (Limits::default(), EngineSettings::default());
        Self { data, listen, grpc: None, limits, engine }
    }
}

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The lake cannot be opened, or the registered metrics are wrong.
    #[error("the lake cannot be opened")]
    Engine(#[from] QueryError),
    /// The description that was built in is no JSON. Report it.
    #[error("the description of the routes cannot be read")]
    Description(#[source] serde_json::Error),
    /// The gRPC contract that was built in cannot be read. Report it.
    #[error("the contract cannot be served by reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The address is taken, or is none of this host. Choose another.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The listener's task is gone. Start again.
    #[error("the listener failed")]
    Failed(#[source] tokio::task::JoinError),
}

/// A door that is open.
#[derive(Debug)]
pub struct Running {
    /// Where HTTP listens.
    pub address: SocketAddr,
    /// Where gRPC listens.
    pub grpc: Option<SocketAddr>,
    serving: Vec<JoinHandle<()>>,
}

impl Running {
    /// Waits until the door was stopped and what was under way is answered.
    ///
    /// # Errors
    /// [`DoorError::Failed`].
    pub async fn ended(self) -> Result<(), DoorError> {
        for serving in self.serving {
            serving.await.map_err(DoorError::Failed)?;
        }
        Ok(())
    }
}

/// What all requests share.
///
/// # Errors
/// [`DoorError`].
pub(crate) fn shared(settings: &DoorSettings, clock: Arc<dyn Clock>) -> Result<Shared, DoorError> {
    let limits = settings.limits;
    let guard = Guard::new(&settings.data, limits.with_token, limits.without, Arc::clone(&clock));
    let engine = Engine::open(&settings.data.join("lake"), settings.engine)?
        .with_editions(&settings.data.join("query"), EDITION_LENGTH)?;
    let openapi = openapi::document(engine.metrics()).map_err(DoorError::Description)?;
    Ok(Shared {
        engine,
        released: Released::new(
            &settings.data.join("lake"),
            &settings.data.join("query").join("released"),
        ),
        openapi: json(&openapi).into(),
        guard: Arc::new(guard),
        numbers: Numbers::new(),
        limits,
        lake: settings.data.join("lake"),
        k: settings.engine.k,
        places: Arc::new(Semaphore::new(limits.questions)),
        clock,
    })
}

/// Opens the door until `stop`.
///
/// # Errors
/// [`DoorError`].
pub async fn start(
    settings: DoorSettings,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<Running, DoorError> {
    let shared = shared(&settings, clock)?;
    let (listener, address) = bound(settings.listen).await?;
    let (mut serving, mut grpc) = (Vec::new(), None);
    if let Some(wanted) = settings.grpc {
        let (listener, address) = bound(wanted).await?;
        grpc = Some(address);
        let router = grpc::router(shared.clone()).await.map_err(DoorError::Reflection)?;
        serving.push((listener, router, Protocol::Http2));
    }
    serving.push((listener, routes::router(shared), Protocol::Http1));
    let serving = serving.into_iter().map(|(listener, router, protocol)| {
        tokio::spawn(serve(listener, router, protocol, settings.limits, stop.clone()))
    });
    Ok(Running { address, grpc, serving: serving.collect() })
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

async fn bound(address: SocketAddr) -> Result<(TcpListener, SocketAddr), DoorError> {
    let unheard = |source| DoorError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(unheard)?;
    let address = listener.local_addr().map_err(unheard)?;
    Ok((listener, address))
}

async fn serve(
    listener: TcpListener,
    router: Router,
    protocol: Protocol,
    limits: Limits,
    stop: CancellationToken,
) {
    let (places, tracker) = (Arc::new(Semaphore::new(limits.connections)), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok((socket, peer)) = accepted else {
            // Out of descriptors: they come back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let (router, stop) = (router.clone(), stop.clone());
            tracker.spawn(async move {
                Box::pin(connection(socket, Peer(peer.ip()), router, protocol, limits, stop)).await;
                drop(place);
            });
        }
    }
    if let Stopped::GraceExpired { left } =
        lifecycle::stop_within(&stop, &tracker, limits.call_within).await
    {
        tracing::warn!(left, "connections were still open at the stop");
    }
}

/// One connection. After the stop or its time the answer under way is finished, and no other is begun.
async fn connection(
    socket: TcpStream,
    peer: Peer,
    router: Router,
    protocol: Protocol,
    limits: Limits,
    stop: CancellationToken,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let ending = async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(limits.connection_within) => {}
        }
    };
    let socket = TokioIo::new(socket);
    match protocol {
        Protocol::Http1 => {
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head_within)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(socket, service);
            let mut serving = std::pin::pin!(serving);
            let ended = tokio::select! {
                ended = serving.as_mut() => Some(ended),
                () = ending => None,
            };
            if let Some(ended) = ended {
                return note(ended);
            }
            serving.as_mut().graceful_shutdown();
            note(tokio::time::timeout(limits.call_within, serving).await.unwrap_or(Ok(())));
        }
        Protocol::Http2 => {
            let serving = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEADER_LIST_BYTES_MAX)
                .max_local_error_reset_streams(Some(RESET_STREAMS_MAX))
                .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
                .keep_alive_interval(limits.head_within)
                .keep_alive_timeout(limits.head_within)
                .serve_connection(socket, service);
            let mut serving = std::pin::pin!(serving);
            let ended = tokio::select! {
                ended = serving.as_mut() => Some(ended),
                () = ending => None,
            };
            if let Some(ended) = ended {
                return note(ended);
            }
            serving.as_mut().graceful_shutdown();
            note(tokio::time::timeout(limits.call_within, serving).await.unwrap_or(Ok(())));
        }
    }
}

/// A connection that ended early is nobody's fault here.
fn note(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
