//! The listener: HTTP/1.1 with a bound on everything that a peer may hold. TLS ends at the operator's proxy.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use imprimatur_query::{EDITION_LENGTH, Engine, EngineSettings, QueryError};
use imprimatur_runtime::Clock;
use imprimatur_runtime::lifecycle::{self, Stopped};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::access::Peer;
use crate::guard::Guard;
use crate::numbers::Numbers;
use crate::openapi;
use crate::problem::json;
use crate::rates::Rate;
use crate::routes::{self, Shared};

/// Bytes that a request's head may take; hyper reads no more, and a body is never read.
const HEAD_BYTES_MAX: usize = 16 << 10;

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
    /// What peers may hold.
    pub limits: Limits,
    /// How answers are guarded.
    pub engine: EngineSettings,
}

impl DoorSettings {
    /// A door on an address, with the usual limits.
    pub fn new(data: PathBuf, listen: SocketAddr) -> Self {
        Self { data, listen, limits: Limits::default(), engine: EngineSettings::default() }
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
    serving: JoinHandle<()>,
}

impl Running {
    /// Waits until the door was stopped and what was under way is answered.
    ///
    /// # Errors
    /// [`DoorError::Failed`].
    pub async fn ended(self) -> Result<(), DoorError> {
        self.serving.await.map_err(DoorError::Failed)
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
        openapi: json(&openapi).into(),
        guard: Arc::new(guard),
        numbers: Numbers::new(),
        limits,
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
    let unheard = |source| DoorError::Listen { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(unheard)?;
    let address = listener.local_addr().map_err(unheard)?;
    let serving = tokio::spawn(serve(listener, routes::router(shared), settings.limits, stop));
    Ok(Running { address, serving })
}

async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
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
                Box::pin(connection(socket, Peer(peer.ip()), router, limits, stop)).await;
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
    limits: Limits,
    stop: CancellationToken,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_within)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(socket), service)
    );
    let ended = tokio::select! {
        ended = serving.as_mut() => Some(ended),
        () = stop.cancelled() => None,
        () = tokio::time::sleep(limits.connection_within) => None,
    };
    let ended = if let Some(ended) = ended {
        Ok(ended)
    } else {
        serving.as_mut().graceful_shutdown();
        tokio::time::timeout(limits.call_within, serving).await
    };
    if let Ok(Err(error)) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
