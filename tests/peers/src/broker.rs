//! Brokers whose PUBACK is taken at its word: Mosquitto, NATS with its MQTT gateway, the embedded one.
//!
//! The consumer is durable where the broker lets it be, and away while messages are offered: as a
//! bridge that is being restarted.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use imprimatur_testkit::obligations::content;
use imprimatur_testkit::ports;
use imprimatur_testkit::process::Guarded;
use rustix::process::Signal;
use tokio::time::Instant;

use crate::book::{Book, Goal, content_of, id_of, payload};
use crate::error::RunError;
use crate::link::{Client, Heard, Link, Protocol, Session, WINDOW};
use crate::peer::Peer;
use crate::program;

/// Ids from here on are no messages: they show that the way is open, behind all that was queued.
const FENCE: u64 = 1 << 62;
/// Between two fences: the first may meet a queue that is still full, and be dropped.
const FENCE_EVERY: Duration = Duration::from_millis(500);
/// After the fence, until the consumer believes that nothing else comes: redeliveries may overtake.
const QUIET: Duration = Duration::from_secs(1);
/// For a whole backlog.
const DRAIN: Duration = Duration::from_mins(5);
/// The embedded broker names agents by their subject.
const PRODUCER: &str = "00112233445566778899aabbccddeeff";
const PASSWORD: &str = "a-password-of-this-run";

/// Which broker, set how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Mosquitto with `persistence true`, and nothing else set.
    Mosquitto,
    /// The same with `autosave_on_changes true` and `autosave_interval 1`: saved at each change.
    MosquittoOnChanges,
    /// NATS `JetStream`, file store, nothing else set.
    Nats,
    /// The same with `sync_interval: always`.
    NatsAlways,
    /// `imprimatur broker` alone.
    Embedded,
}

impl Kind {
    /// Program and version.
    ///
    /// # Errors
    /// [`RunError::Missing`].
    pub fn name(self) -> Result<String, RunError> {
        let (name, argument) = match self {
            Self::Mosquitto | Self::MosquittoOnChanges => ("Mosquitto", "-h"),
            Self::Nats | Self::NatsAlways => ("NATS JetStream", "--version"),
            Self::Embedded => ("Embedded broker alone", "--version"),
        };
        Ok(format!("{name} {}", program::version(&self.program()?, argument)?))
    }

    /// What is set.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Mosquitto => "persistence true",
            Self::MosquittoOnChanges => "persistence, autosave_on_changes",
            Self::Nats => "MQTT gateway, file store",
            Self::NatsAlways => "same, sync_interval: always",
            Self::Embedded => "as shipped (memory only)",
        }
    }

    /// Whether what was synced by the file system survives: the control of the power cut.
    pub(crate) fn writes_before_it_acknowledges(self) -> bool {
        matches!(self, Self::Nats | Self::NatsAlways)
    }

    /// Whether this version of the program takes the setting.
    ///
    /// # Errors
    /// [`RunError`] when that cannot be found out.
    pub fn known(self) -> Result<bool, RunError> {
        if self != Self::NatsAlways {
            return Ok(true);
        }
        let folder = temporary()?;
        let broker = Broker::new(self, folder.path(), &folder.path().join("store"))?;
        let file = broker.configuration()?;
        let file = file.to_string_lossy();
        let (takes_it, text) = program::said_by(&self.program()?, &["-t", "-c", &file])?;
        if !takes_it && !text.contains("sync_interval") {
            return Err(RunError::failed("nats-server -t", text));
        }
        Ok(takes_it)
    }

    fn program(self) -> Result<PathBuf, RunError> {
        match self {
            Self::Mosquitto | Self::MosquittoOnChanges => program::installed("mosquitto"),
            Self::Nats | Self::NatsAlways => program::installed("nats-server"),
            Self::Embedded => program::imprimatur(),
        }
    }
}

/// A broker over a store.
pub(crate) struct Broker {
    kind: Kind,
    folder: PathBuf,
    store: PathBuf,
    port: u16,
    starts: usize,
    fences: u64,
    process: Option<Guarded>,
    producer: Option<Link>,
}

impl Broker {
    /// Not started; its settings and logs go to `folder`.
    pub(crate) fn new(kind: Kind, folder: &Path, store: &Path) -> Result<Self, RunError> {
        Ok(Self {
            kind,
            folder: folder.to_owned(),
            store: store.to_owned(),
            port: ports::free().map_err(|source| RunError::file("a free port", source))?,
            starts: 0,
            fences: FENCE,
            process: None,
            producer: None,
        })
    }

    /// Writes the settings; gives their file.
    fn configuration(&self) -> Result<PathBuf, RunError> {
        let (port, store) = (self.port, self.store.display());
        let mosquitto = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_dest stderr\n\
             persistence true\npersistence_location {store}/\n"
        );
        let nats = |sync: &str| {
            format!(
                "server_name: peers\nlisten: 127.0.0.1:-1\n\
                 jetstream {{ store_dir: \"{store}\"\n{sync} }}\n\
                 mqtt {{ listen: \"127.0.0.1:{port}\" }}\n"
            )
        };
        let text = match self.kind {
            Kind::Mosquitto => mosquitto,
            Kind::MosquittoOnChanges => {
                format!("{mosquitto}autosave_on_changes true\nautosave_interval 1\n")
            }
            Kind::Nats => nats(""),
            Kind::NatsAlways => nats("sync_interval: always"),
            Kind::Embedded => format!("{PASSWORD}\n"),
        };
        let path = self.folder.join("settings");
        std::fs::write(&path, text).map_err(|source| RunError::file(&path, source))?;
        Ok(path)
    }

    fn command(&self) -> Result<Command, RunError> {
        let settings = self.configuration()?;
        let mut command = Command::new(self.kind.program()?);
        match self.kind {
            Kind::Embedded => {
                command.args(["broker", "--listen", &format!("127.0.0.1:{}", self.port)]);
                command.arg("--password-file").arg(settings);
            }
            _ => {
                command.arg("-c").arg(settings);
            }
        }
        Ok(command)
    }

    fn client(&self, id: &str, session: Session) -> Client {
        let protocol = match self.kind {
            Kind::Nats | Kind::NatsAlways => Protocol::V4,
            _ => Protocol::V5,
        };
        Client { id: id.to_owned(), port: self.port, protocol, session, account: None }
    }

    fn topic() -> String {
        format!("imprimatur/v1/{PRODUCER}/batch")
    }

    /// Connects the consumer, its subscription in force; gives what came meanwhile, too.
    async fn consumer(&self) -> Result<(Link, Vec<Heard>), RunError> {
        let mut client = self.client("peers-consumer", Session::Durable);
        let mut filter = Self::topic();
        if self.kind == Kind::Embedded {
            client.account = Some((String::from("bridge"), PASSWORD.to_owned()));
            client.session = Session::Clean;
            filter = String::from("$share/peers/imprimatur/v1/+/batch");
        }
        let mut link = Link::connect(&client).await?;
        let mut early = Vec::new();
        link.subscribe(&filter, |heard| early.push(heard)).await?;
        Ok((link, early))
    }

    async fn producer(&mut self) -> Result<Link, RunError> {
        match self.producer.take() {
            Some(link) => Ok(link),
            None => Link::connect(&self.client(PRODUCER, Session::Clean)).await,
        }
    }

    fn guarded(&self) -> Result<&Guarded, RunError> {
        self.process.as_ref().ok_or_else(|| RunError::failed("broker", "it does not run"))
    }

    /// Takes messages until a fence came, and then until it is quiet.
    async fn take(
        &mut self,
        consumer: &mut Link,
        take: &mut impl FnMut(Heard) -> bool,
    ) -> Result<(), RunError> {
        let mut producer = self.producer().await?;
        let end = Instant::now() + DRAIN;
        let mut fences = tokio::time::interval(FENCE_EVERY);
        let mut last = None;
        loop {
            let quiet = last.map_or(end, |last: Instant| last + QUIET);
            tokio::select! {
                heard = consumer.next() => {
                    let fence = take(heard?);
                    if fence || last.is_some() {
                        last = Some(Instant::now());
                    }
                }
                _ = fences.tick(), if last.is_none() => {
                    self.fences += 1;
                    producer.publish(self.fences, &Self::topic(), &payload(self.fences))?;
                }
                heard = producer.next(), if producer.in_flight() > 0 => { heard?; }
                () = tokio::time::sleep_until(quiet) => break,
            }
        }
        self.producer = Some(producer);
        if last.is_some() { Ok(()) } else { Err(RunError::failed("drain", "no fence came back")) }
    }
}

impl Peer for Broker {
    fn move_to(&mut self, store: &Path) {
        store.clone_into(&mut self.store);
    }

    async fn start(&mut self) -> Result<(), RunError> {
        std::fs::create_dir_all(&self.store)
            .map_err(|source| RunError::file(&self.store, source))?;
        self.starts += 1;
        let name = format!("broker-{}", self.starts);
        let mut process = program::spawn(&name, self.command()?, &self.folder)?;
        program::listens(&mut process, self.port).await?;
        self.process = Some(process);
        Ok(())
    }

    async fn prepare(&mut self) -> Result<(), RunError> {
        self.consumer().await?.0.leave().await
    }

    async fn offer(&mut self, book: &mut Book, goal: Goal) -> Result<(), RunError> {
        let mut link = self.producer().await?;
        let topic = Self::topic();
        let before = book.obligations.acknowledged();
        let done = |book: &Book| match goal {
            Goal::Acknowledged(count) => book.obligations.acknowledged() >= before + count,
            Goal::Settled => false,
        };
        while !done(book) {
            while link.in_flight() < WINDOW {
                let new = goal != Goal::Settled;
                let Some(id) = book.waiting().or_else(|| new.then(|| book.claim(content_of)))
                else {
                    break;
                };
                link.publish(id, &topic, &payload(id))?;
            }
            if link.in_flight() == 0 {
                break;
            }
            if let Heard::Acknowledged(id) = link.next().await? {
                book.obligations.acknowledge(id);
            }
        }
        self.producer = Some(link);
        Ok(())
    }

    async fn offer_to_nobody(&mut self, book: &mut Book, count: usize) -> Result<(), RunError> {
        for _ in 0..count {
            book.claim(content_of);
        }
        book.offer_again();
        self.offer(book, Goal::Settled).await
    }

    fn freeze(&self) -> Result<(), RunError> {
        let stopped = self.guarded()?.signal(Signal::STOP);
        stopped.map_err(|source| RunError::file("SIGSTOP", source))
    }

    async fn kill(&mut self) -> Result<(), RunError> {
        if let Some(process) = self.process.take() {
            process.kill().await.map_err(|source| RunError::file("SIGKILL", source))?;
        }
        // After the broker: it must not see its producer leave first.
        self.producer = None;
        Ok(())
    }

    async fn drain(&mut self, book: &mut Book) -> Result<(), RunError> {
        let mut take = |heard| {
            let Heard::Message { payload, .. } = heard else { return false };
            let id = id_of(&payload);
            if id < FENCE {
                book.obligations.deliver(id, content(&payload));
            }
            id >= FENCE
        };
        let (mut consumer, early) = self.consumer().await?;
        for heard in early {
            take(heard);
        }
        self.take(&mut consumer, &mut take).await?;
        consumer.leave().await
    }

    async fn finish(&mut self, book: &mut Book) -> Result<(), RunError> {
        self.drain(book).await
    }
}

/// A folder that is gone with its handle.
pub(crate) fn temporary() -> Result<tempfile::TempDir, RunError> {
    tempfile::tempdir().map_err(|source| RunError::file(std::env::temp_dir(), source))
}
