//! Metrics for operations, as `OpenMetrics` text: how many answers of each kind, what waits, how far the log is; never of whom.
//!
//! For a Prometheus on the same host or in the same private network. The port has no secrets, but it has no account
//! either; it listens only where the operator says so.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use imprimatur_ledger::{Book, BookError};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::tally::Tally;

/// Connections at once; another one is closed.
const CONNECTIONS: usize = 8;

/// How long one connection may last: a scrape takes milliseconds.
const SCRAPE_WITHIN: Duration = Duration::from_secs(10);

/// Bytes that a request may take.
const REQUEST_BYTES_MAX: usize = 16 << 10;

/// What `OpenMetrics` 1.0 calls itself.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the numbers come from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Numbers {
    book: Book,
    tally: Arc<Tally>,
    /// What was told last. Counts that are on their way from the tally to the book are in neither for a moment, and a
    /// counter that falls would be taken for a restart.
    told: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// One kind of answer. Its words are the code's own: none comes from a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    outcome: String,
    reason: String,
}

impl Numbers {
    /// Of a store and the answers that are not in it yet.
    pub fn new(book: Book, tally: Arc<Tally>) -> Self {
        Self { book, tally, told: Arc::default() }
    }

    /// Answers of each kind since the folder was made; none ever falls.
    fn answers(&self) -> Result<BTreeMap<String, u64>, BookError> {
        let mut now = self.book.counts()?;
        for (name, count) in self.tally.pending() {
            *now.entry(name).or_default() += count;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, count) in now {
            let last = told.entry(name).or_default();
            *last = count.max(*last);
        }
        Ok(told.clone())
    }

    /// All numbers as text.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn text(&self) -> Result<String, BookError> {
        let mut registry = Registry::with_prefix("imprimatur_collector");
        let answers = Family::<Kind, Counter>::default();
        for (name, count) in self.answers()? {
            let (outcome, reason) = name.split_once('.').unwrap_or((&name, ""));
            let kind = Kind { outcome: outcome.to_owned(), reason: reason.to_owned() };
            answers.get_or_create(&kind).inc_by(count);
        }
        registry.register("answers", "Answers since the folder was made, by outcome", answers);
        let (made, published) = self.book.positions()?;
        let waiting = made.saturating_sub(published);
        let gauges = [
            (
                "subjects",
                "Subjects that are known and were not erased",
                count(self.book.subjects()),
            ),
            ("unpublished", "Commits and events that the lake does not hold yet", waiting),
            ("log_leaves", "Leaves of the transparency log", self.book.log_size()?),
        ];
        for (name, help, number) in gauges {
            registry.register(
                name,
                help,
                ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX)),
            );
        }
        let mut written = String::new();
        // Writing to a text cannot fail.
        let encoded = text::encode(&mut written, &registry);
        debug_assert!(encoded.is_ok());
        Ok(written)
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Answers `GET /metrics` until `stop`.
pub async fn serve(listener: TcpListener, numbers: Numbers, stop: CancellationToken) {
    let (places, scrapes) = (Arc::new(Semaphore::new(CONNECTIONS)), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok((socket, _unused)) = accepted else {
            // Out of descriptors: they come back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let (numbers, stop) = (numbers.clone(), stop.clone());
            scrapes.spawn(async move {
                tokio::select! {
                    () = scrape(socket, numbers) => {}
                    () = stop.cancelled() => {}
                }
                drop(place);
            });
        }
    }
    scrapes.close();
    scrapes.wait().await;
}

/// One connection.
async fn scrape(socket: TcpStream, numbers: Numbers) {
    let service = service_fn(move |request| answer(request, numbers.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SCRAPE_WITHIN)
        .max_buf_size(REQUEST_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), service);
    if let Ok(Err(error)) = tokio::time::timeout(SCRAPE_WITHIN, connection).await {
        tracing::debug!(%error, "a connection to the metrics ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    numbers: Numbers,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let say = |status: StatusCode, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/metrics" {
        return Ok(say(StatusCode::NOT_FOUND, "ask for /metrics\n".to_owned()));
    }
    if request.method() != Method::GET {
        return Ok(say(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n".to_owned()));
    }
    let read = tokio::task::spawn_blocking(move || numbers.text()).await;
    let text = match read.map_err(io::Error::other).and_then(|text| text.map_err(io::Error::other))
    {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "the numbers for the metrics cannot be read");
            let sorry = "the numbers cannot be read; the collector's log says why\n";
            return Ok(say(StatusCode::SERVICE_UNAVAILABLE, sorry.to_owned()));
        }
    };
    let mut response = say(StatusCode::OK, text);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(OPEN_METRICS));
    Ok(response)
}
