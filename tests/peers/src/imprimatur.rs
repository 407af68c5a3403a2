//! Imprimatur end to end: Mosquitto as shipped, bridge and collector as processes, a device with a spool.
//!
//! Keeps true: only a verdict "stored" that the collector signed over the very frame acknowledges; what
//! is delivered is what the published lake holds after a last kill and restart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::{Category, Digest, Domain, Policy, SigningSeed, VerifyingKey};
use imprimatur_lake::{Catalogue, Lake};
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, Receipt, ReceiptStatus, SignedConsentEvent,
    SignedReceipt,
};
use imprimatur_proto::ingest::v1::{Outcome, SignedVerdict, Verdict};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{Batch, BatchHeader};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::{Clock as _, SystemClock};
use imprimatur_testkit::obligations::content;
use imprimatur_testkit::peers::Mosquitto;
use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::{ports, wait};
use rustix::process::Signal;

use crate::book::{Book, Goal};
use crate::error::RunError;
use crate::link::{Client, Heard, Link, Protocol, Session, WINDOW};
use crate::peer::Peer;
use crate::{prints, program};

/// An answer that has not come by then is asked for again, with the same bytes.
const ANSWER: Duration = Duration::from_secs(3);
/// From a stored verdict to a published file.
const PUBLISHED: Duration = Duration::from_mins(2);
/// How often a device asks again before the run is given up.
const PATIENCE: usize = 20;

/// The server and its device, over a data folder.
pub(crate) struct Imprimatur {
    folder: PathBuf,
    data: PathBuf,
    program: PathBuf,
    grpc_port: u16,
    starts: usize,
    // The parts end before their broker.
    collector: Option<Guarded>,
    bridge: Option<Guarded>,
    broker: Mosquitto,
    collector_key: Option<VerifyingKey>,
    device: Device,
}

/// A device with its spool: frames are kept until their verdict.
struct Device {
    key: SigningSeed,
    policy: Policy,
    link: Option<Link>,
    granted: bool,
    frames: BTreeMap<u64, Vec<u8>>,
    ids: BTreeMap<Vec<u8>, u64>,
    fences: u64,
}

impl Imprimatur {
    /// Not started, but for its broker; logs go to `folder`.
    pub(crate) async fn new(folder: &Path, store: &Path) -> Result<Self, RunError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| RunError::failed("getrandom", error.to_string()))?;
        let policy = Policy::read(STRICTEST)
            .map_err(|error| RunError::failed("the shipped policy", format!("{error:?}")))?;
        Ok(Self {
            folder: folder.to_owned(),
            data: store.to_owned(),
            program: program::imprimatur()?,
            grpc_port: ports::free().map_err(|source| RunError::file("a free port", source))?,
            starts: 0,
            collector: None,
            bridge: None,
            broker: Mosquitto::start(folder).await?,
            collector_key: None,
            device: Device {
                key: SigningSeed::from_seed(&seed),
                policy,
                link: None,
                granted: false,
                frames: BTreeMap::new(),
                ids: BTreeMap::new(),
                fences: prints::IDS,
            },
        })
    }

    /// Program and version.
    pub(crate) fn name() -> Result<String, RunError> {
        Ok(format!("Imprimatur {}", program::version(&program::imprimatur()?, "--version")?))
    }

    fn spawn(&self, name: &str, command: Command) -> Result<Guarded, RunError> {
        program::spawn(&format!("{name}-{}", self.starts), command, &self.folder)
    }

    async fn start_collector(&mut self) -> Result<(), RunError> {
        let mut command = Command::new(&self.program);
        let listen = ports::loopback(self.grpc_port).to_string();
        command.args(["collector", "--load-test", "--listen", &listen, "--data"]).arg(&self.data);
        let process = self.spawn("collector", command)?;
        let log = program::says(&process, "gRPC  ").await?;
        let line = log.lines().find_map(|line| line.strip_prefix("collector key  "));
        let key = line.and_then(|line| line.trim().parse().ok());
        self.collector_key = key;
        self.collector = Some(process);
        Ok(())
    }

    async fn start_bridge(&mut self) -> Result<(), RunError> {
        let password = self.folder.join("bridge.password");
        let text = format!("{}\n", self.broker.bridge_credentials().password);
        std::fs::write(&password, text).map_err(|source| RunError::file(&password, source))?;
        let mut command = Command::new(&self.program);
        let broker = ports::loopback(self.broker.port()).to_string();
        let collector = format!("http://{}", ports::loopback(self.grpc_port));
        command.args(["bridge", "--share", "share-of-this-run", "--broker", &broker]);
        command.args(["--collector", &collector, "--password-file"]).arg(password);
        let process = self.spawn("bridge", command)?;
        program::says(&process, "bridge is connected to broker and collector").await?;
        self.bridge = Some(process);
        Ok(())
    }

    /// The device connects and listens for its answers.
    async fn connect(&mut self) -> Result<Link, RunError> {
        if let Some(link) = self.device.link.take() {
            return Ok(link);
        }
        let client = Client {
            id: self.device.key.subject().to_string(),
            port: self.broker.port(),
            protocol: Protocol::V5,
            session: Session::Clean,
            account: None,
        };
        let mut link = Link::connect(&client).await?;
        for kind in ["verdict", "receipt"] {
            link.subscribe(&self.device.topic(kind), |_| {}).await?;
        }
        Ok(link)
    }

    /// The id of a frame that a message says was stored.
    fn stored(&self, payload: &[u8]) -> Result<Option<u64>, RunError> {
        let foreign = |what: &str| RunError::Refused { reason: what.to_owned() };
        let signed: SignedVerdict =
            contract().decode(payload).map_err(|_fault| foreign("not a signed verdict"))?;
        let key = self.collector_key.as_ref().ok_or_else(|| foreign("no collector key"))?;
        if !key.verifies(Domain::Verdict, &signed.verdict, &signed.signature) {
            return Err(foreign("the signature is not the collector's"));
        }
        let verdict: Verdict =
            contract().decode(&signed.verdict).map_err(|_fault| foreign("not a verdict"))?;
        if verdict.outcome() != Outcome::Stored {
            return Err(foreign(verdict.reason().as_str_name()));
        }
        Ok(self.device.ids.get(&verdict.frame_hash).copied())
    }

    /// Offers a window of frames and reads verdicts, as the goal says.
    async fn exchange(
        &mut self,
        link: &mut Link,
        book: &mut Book,
        goal: Goal,
    ) -> Result<(), RunError> {
        let topic = self.device.topic("batch");
        let before = book.obligations.acknowledged();
        let mut under_way = BTreeSet::new();
        let mut silences = 0;
        loop {
            if matches!(goal, Goal::Acknowledged(n) if book.obligations.acknowledged() >= before + n)
            {
                return Ok(());
            }
            while under_way.len() < WINDOW {
                let new = goal != Goal::Settled;
                let Some(id) = book.waiting().or_else(|| new.then(|| self.device.claim(book)))
                else {
                    break;
                };
                link.publish(id, &topic, self.device.frame(id)?)?;
                under_way.insert(id);
            }
            if under_way.is_empty() {
                return Ok(());
            }
            match tokio::time::timeout(ANSWER, link.next()).await {
                Ok(Ok(Heard::Message { topic, payload })) if topic.ends_with("/verdict") => {
                    silences = 0;
                    if let Some(id) = self.stored(&payload)? {
                        book.obligations.acknowledge(id);
                        under_way.remove(&id);
                    }
                }
                Ok(heard) => drop(heard?),
                Err(_elapsed) if silences < PATIENCE => {
                    silences += 1;
                    for id in &under_way {
                        link.publish(*id, &topic, self.device.frame(*id)?)?;
                    }
                }
                Err(_elapsed) => return Err(RunError::failed("offer", "no verdict comes")),
            }
        }
    }

    /// A frame behind all others is stored, and what is published holds it; all rows but such ones.
    async fn published(&mut self) -> Result<Vec<(u64, String)>, RunError> {
        self.device.fences -= 1;
        let fence = self.device.fences;
        self.device.make(fence)?;
        let mut aside = Book::default();
        aside.obligations.issue(fence, [0; 32]);
        aside.offer_again();
        let mut link = self.connect().await?;
        self.exchange(&mut link, &mut aside, Goal::Settled).await?;
        self.device.link = Some(link);
        let lake = self.data.join("lake");
        let rows = wait::until(PUBLISHED, "the fence in the lake", async || {
            let rows = rows(&lake)?;
            let last = rows.iter().any(|(id, _)| *id == fence);
            if last { Ok(rows) } else { Err(format!("{} rows", rows.len())) }
        });
        let mut rows = rows.await.map_err(|waited| RunError::late(waited, ""))?;
        rows.retain(|(id, _)| *id < self.device.fences);
        Ok(rows)
    }

    fn parts(&self) -> impl Iterator<Item = &Guarded> {
        self.collector.iter().chain(&self.bridge)
    }
}

/// Every print that the catalogue names: its id and all it says.
fn rows(lake: &Path) -> Result<Vec<(u64, String)>, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let catalogue = Catalogue::load(lake).map_err(|error| text(&error))?;
    let lake = Lake::open(lake.to_owned()).map_err(|error| text(&error))?;
    let mut rows = Vec::new();
    for file in catalogue.files.iter().filter(|file| file.table == RecordKind::Print) {
        let read = lake.read(file).map_err(|error| text(&error))?;
        rows.extend(read.iter().map(prints::read));
    }
    Ok(rows)
}

impl Device {
    fn topic(&self, kind: &str) -> String {
        format!("imprimatur/v1/{}/{kind}", self.key.subject())
    }

    /// Claims the next id and seals its frame.
    fn claim(&mut self, book: &mut Book) -> u64 {
        let today = SystemClock.today().0;
        let id = book.claim(|id| content(prints::expected(id, today).as_bytes()));
        self.seal(id, today);
        id
    }

    fn make(&mut self, id: u64) -> Result<(), RunError> {
        self.seal(id, SystemClock.today().0);
        self.frame(id).map(drop)
    }

    fn frame(&self, id: u64) -> Result<&Vec<u8>, RunError> {
        let missing = || RunError::failed("spool", format!("frame {id} could not be sealed"));
        self.frames.get(&id).ok_or_else(missing)
    }

    /// A batch of one print; the id is its number, too.
    fn seal(&mut self, id: u64, today: u32) {
        let header = BatchHeader {
            subject: self.key.subject().0.to_vec(),
            sequence: id,
            policy_hash: self.policy.hash.0.to_vec(),
            contract_hash: contract().hash().to_vec(),
            ..BatchHeader::default()
        };
        let prints = vec![prints::print(id, today)];
        let batch = canonical::encode(&Batch { header: Some(header), prints, days: Vec::new() });
        let signature = self.key.sign(Domain::Batch, &batch);
        if let Ok(frame) = frame::seal(batch, signature) {
            self.ids.insert(Digest::of(&frame).0.to_vec(), id);
            self.frames.insert(id, frame);
        }
    }

    /// The signed grant of everything that is sent here.
    fn grant(&self) -> Vec<u8> {
        let event = canonical::encode(&ConsentEvent {
            public_key: self.key.public().to_vec(),
            principal: self.key.subject().0.to_vec(),
            sequence: 1,
            decision: Decision::Granted.into(),
            categories: [Category::PrintTime, Category::Temperature].map(Category::number).to_vec(),
            policy_hash: self.policy.hash.0.to_vec(),
            date: SystemClock.today().0,
            notice_language: b"en".to_vec(),
            method: Method::Command.into(),
            affirmation: Affirmation::AgeAndAuthority.into(),
            ..ConsentEvent::default()
        });
        let signature = self.key.sign(Domain::Consent, &event);
        canonical::encode(&SignedConsentEvent { event, signature })
    }
}

impl Peer for Imprimatur {
    fn move_to(&mut self, store: &Path) {
        store.clone_into(&mut self.data);
    }

    async fn start(&mut self) -> Result<(), RunError> {
        self.starts += 1;
        self.broker.restart().await?;
        self.start_collector().await?;
        self.start_bridge().await
    }

    async fn prepare(&mut self) -> Result<(), RunError> {
        let mut link = self.connect().await?;
        link.publish(0, &self.device.topic("consent"), &self.device.grant())?;
        loop {
            let Heard::Message { payload, .. } = link.next().await? else { continue };
            let refused = || RunError::Refused { reason: String::from("the grant") };
            let signed: SignedReceipt = contract().decode(&payload).map_err(|_fault| refused())?;
            let receipt: Receipt =
                contract().decode(&signed.receipt).map_err(|_fault| refused())?;
            if receipt.status() != ReceiptStatus::Recorded {
                return Err(refused());
            }
            self.device.granted = true;
            self.device.link = Some(link);
            return Ok(());
        }
    }

    async fn offer(&mut self, book: &mut Book, goal: Goal) -> Result<(), RunError> {
        let mut link = self.connect().await?;
        let offered = self.exchange(&mut link, book, goal).await;
        self.device.link = Some(link);
        offered
    }

    /// The consumer is the bridge. Mosquitto acknowledges what nobody reads; to a device that is
    /// nothing, so it offers all of it again.
    async fn offer_to_nobody(&mut self, book: &mut Book, count: usize) -> Result<(), RunError> {
        if let Some(bridge) = self.bridge.take() {
            let ended = bridge.terminate().await;
            ended.map_err(|source| RunError::file("the bridge", source))?;
        }
        let topic = self.device.topic("batch");
        let mut link = self.connect().await?;
        for _ in 0..count {
            while link.in_flight() >= WINDOW {
                link.next().await?;
            }
            let id = self.device.claim(book);
            link.publish(id, &topic, self.device.frame(id)?)?;
        }
        while link.in_flight() > 0 {
            link.next().await?;
        }
        self.device.link = Some(link);
        self.starts += 1;
        self.start_bridge().await?;
        book.offer_again();
        self.offer(book, Goal::Settled).await
    }

    fn freeze(&self) -> Result<(), RunError> {
        for part in self.parts() {
            part.signal(Signal::STOP).map_err(|source| RunError::file("SIGSTOP", source))?;
        }
        Ok(())
    }

    async fn kill(&mut self) -> Result<(), RunError> {
        // All at once, before any of them is waited for.
        for part in self.parts() {
            part.signal(Signal::KILL).map_err(|source| RunError::file("SIGKILL", source))?;
        }
        self.broker.kill().await?;
        for part in [self.collector.take(), self.bridge.take()].into_iter().flatten() {
            part.kill().await.map_err(|source| RunError::file("SIGKILL", source))?;
        }
        self.device.link = None;
        Ok(())
    }

    /// Whatever is stored stays readable: the lake is read once, at the end.
    async fn drain(&mut self, _book: &mut Book) -> Result<(), RunError> {
        Ok(())
    }

    async fn finish(&mut self, book: &mut Book) -> Result<(), RunError> {
        self.kill().await?;
        self.start().await?;
        for (id, text) in self.published().await? {
            book.obligations.deliver(id, content(text.as_bytes()));
        }
        Ok(())
    }
}
