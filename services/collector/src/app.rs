//! Creates the collector's tasks and channels, and ends them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use imprimatur_lake::Lake;
use imprimatur_ledger::{Book, Token};
use imprimatur_runtime::{Clock, durable};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::answer::Signer;
use crate::config::CollectorSettings;
use crate::control;
use crate::error::CollectorError;
use crate::lanes::lanes;
use crate::listen::{self, Limits};
use crate::metrics::{self, Numbers};
use crate::offered::Offered;
use crate::operator::Operator;
use crate::publisher::{Publisher, Stores, lake_error};
use crate::rights::challenge::Challenges;
use crate::rights::reading::Readings;
use crate::service::{Door, READINGS, STREAM_IDLE};
use crate::tally::Tally;
use crate::writer::Writer;

/// How long open calls may take to end after a stop.
const STREAMS_END_WITHIN: Duration = Duration::from_secs(3);

/// A collector that is ready to run. It owns the book's file.
#[derive(Debug)]
pub struct Collector {
    settings: CollectorSettings,
    stores: Stores,
    offered: Arc<Offered>,
    publisher: Publisher,
}

/// A running collector.
#[derive(Debug)]
pub struct Running {
    /// Where gRPC listens.
    pub address: SocketAddr,
    /// Where metrics are told, when they are.
    pub metrics: Option<SocketAddr>,
    /// The public key that agents pin.
    pub public_key: [u8; 32],
    book: Book,
    ended: JoinHandle<Result<(), CollectorError>>,
}

impl Collector {
    /// Opens the book, the key, the lake and the evidence; makes what is not there.
    ///
    /// # Errors
    /// [`CollectorError`] names the file or folder.
    pub fn open(
        settings: CollectorSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CollectorError> {
        durable::private_folder(&settings.data)
            .map_err(|source| CollectorError::Path { path: settings.data.clone(), source })?;
        let signer = Arc::new(Signer::open(&settings.key())?);
        let book = Book::open(&settings.data)?;
        book.label(settings.label)?;
        let (tally, readings) = (Arc::new(Tally::default()), Arc::new(Readings::default()));
        let published = settings.published();
        let offered = Offered::open(&book, &settings.policies, published, clock.now())?
            .within(settings.region.clone())?;
        let stores = Stores { book, signer, readings, tally, clock };
        let publisher = Publisher::open(&settings, stores.clone())?;
        Ok(Self { settings, stores, offered: Arc::new(offered), publisher })
    }

    /// Listens and works until `stop`.
    ///
    /// # Errors
    /// [`CollectorError`] when the address is taken.
    pub async fn start(self, stop: CancellationToken) -> Result<Running, CollectorError> {
        let (listener, address) = bind(self.settings.listen).await?;
        let (scrapes, metrics) = match self.settings.metrics {
            Some(wanted) => bind(wanted).await.map(|(scrapes, at)| (Some(scrapes), Some(at)))?,
            None => (None, None),
        };
        let (public_key, book) = (self.stores.signer.public(), self.stores.book.clone());
        tracing::info!(%address, "the collector listens");
        let ended = tokio::spawn(async move {
            let Stores { book, tally, .. } = self.stores.clone();
            let told = scrapes.map(|scrapes| {
                tokio::spawn(metrics::serve(scrapes, Numbers::new(book, tally), stop.clone()))
            });
            let ended = self.serve(listener, stop.clone()).await;
            // Also when it failed before it stopped the rest.
            stop.cancel();
            match told {
                Some(told) => ended.and(told.await.map_err(|_panicked| CollectorError::WriterGone)),
                None => ended,
            }
        });
        Ok(Running { address, metrics, public_key, book, ended })
    }

    async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> Result<(), CollectorError> {
        let (lanes, queue) = lanes();
        let Stores { book, signer, readings, tally, clock } = self.stores.clone();
        let challenges = Arc::new(Challenges::new()?);
        let lake = Lake::open(self.settings.lake()).map_err(lake_error)?;
        let operator = Operator {
            book: book.clone(),
            lake: lake.clone(),
            offered: Arc::clone(&self.offered),
            readings: Arc::clone(&readings),
            clock: Arc::clone(&clock),
        };
        let door = Door {
            book: book.clone(),
            lake,
            signer: Arc::clone(&signer),
            challenges: Arc::clone(&challenges),
            readings: Arc::clone(&readings),
            reading: Arc::new(Semaphore::new(READINGS)),
            tally: Arc::clone(&tally),
            clock: Arc::clone(&clock),
            checks: Arc::default(),
            urgent_checks: Arc::default(),
            lanes,
            stream_idle: STREAM_IDLE,
            stop: stop.clone(),
        };
        let offered = self.offered;
        let writer = Writer { book, signer, offered, challenges, readings, tally, clock };
        // A writer that failed stops the rest; the process ends and a restart recovers.
        let failed = stop.clone();
        let writer = tokio::task::spawn_blocking(move || {
            // Also when it panics.
            let _failed = failed.drop_guard();
            writer.run(queue)
        });
        let socket = control::listen(&self.settings.data)?;
        let data = self.settings.data.clone();
        let operator = tokio::spawn(control::serve(data, socket, operator, stop.clone()));
        let every = self.settings.publish_every;
        let (publisher, failed) = (self.publisher, stop.clone());
        let publishing = tokio::spawn(async move {
            let ended = publish_until(publisher, every, failed.clone()).await;
            failed.cancel();
            ended
        });
        let served = listen::serve(door, listener, Limits::default(), stop.clone());
        let served = tokio::select! {
            served = served => served,
            // A stream whose other side does not end, health watches among them, is cut.
            () = late(stop.clone()) => Ok(()),
        };
        stop.cancel();
        writer.await.map_err(|_panicked| CollectorError::WriterGone)??;
        publishing.await.map_err(|_panicked| CollectorError::WriterGone)??;
        operator.await.map_err(|_panicked| CollectorError::WriterGone)?;
        served
    }
}

impl Running {
    /// Draws one-time enrolment tokens.
    ///
    /// # Errors
    /// [`CollectorError::Book`].
    pub fn issue_tokens(&self, count: u32) -> Result<Vec<Token>, CollectorError> {
        Ok(self.book.issue_tokens(count)?)
    }

    /// Answers given so far, by outcome and reason, as far as they are in the book.
    ///
    /// # Errors
    /// [`CollectorError::Book`].
    pub fn counts(&self) -> Result<std::collections::BTreeMap<String, u64>, CollectorError> {
        Ok(self.book.counts()?)
    }

    /// Waits until everything has ended, the last publication included.
    ///
    /// # Errors
    /// What ended it, unless it was told to stop.
    pub async fn ended(self) -> Result<(), CollectorError> {
        self.ended.await.map_err(|_panicked| CollectorError::WriterGone)?
    }
}

/// Listens at an address; port 0 becomes a free one.
async fn bind(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), CollectorError> {
    let listen = |source| CollectorError::Listen { address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    Ok((listener, address))
}

/// Waits for the stop, and then as long as open calls may take to end.
async fn late(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STREAMS_END_WITHIN).await;
}

/// Publishes at the given interval, and once more at the end. A publication that could not write a
/// file is tried again; one after which nobody knows what the disk holds ends the process.
async fn publish_until(
    mut publisher: Publisher,
    every: Duration,
    stop: CancellationToken,
) -> Result<(), CollectorError> {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            () = stop.cancelled() => true,
        };
        let published = tokio::task::spawn_blocking(move || {
            let published = publisher.publish();
            (publisher, published)
        });
        let (back, published) = published.await.map_err(|_panicked| CollectorError::WriterGone)?;
        publisher = back;
        match published {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "published"),
            Err(error) if last || error.is_final() => return Err(error),
            Err(error) => tracing::error!(%error, "publication failed; it will be tried again"),
        }
        if last {
            return Ok(());
        }
    }
}
