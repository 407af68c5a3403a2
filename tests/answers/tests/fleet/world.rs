//! A collector with the whole fleet in it, and the program that engineers ask.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use imprimatur_collector::control::{self, Ask, Told};
use imprimatur_collector::{Collector, CollectorSettings, Running};
use imprimatur_lake::{Catalogue, Lake, ReadError};
use imprimatur_proto::consent::v1::{Receipt, ReceiptStatus, SignedReceipt};
use imprimatur_proto::contract;
use imprimatur_proto::ingest::v1::collector_service_client::CollectorServiceClient;
use imprimatur_proto::ingest::v1::{
    Outcome, RecordConsentRequest, SignedVerdict, SubmitRequest, Verdict,
};
use imprimatur_runtime::clock::ManualClock;
use imprimatur_runtime::{Clock as _, UnixSeconds, UtcDate};
use imprimatur_testkit::wait;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::owner::{Owner, Part, fleet};

/// When yes is said; prints are of the two dates after it, in two months, of which the first is long over: the program
/// has the clock of this machine.
const GRANTED: &str = "2026-08-21";
pub(crate) const DATES: [&str; 2] = ["2026-08-24", "2026-09-03"];

/// Calls at once.
const AT_ONCE: usize = 32;

pub(crate) struct World {
    pub(crate) owners: Vec<Owner>,
    pub(crate) clock: Arc<ManualClock>,
    collector: Option<Running>,
    client: CollectorServiceClient<Channel>,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

pub(crate) fn date(text: &str) -> UtcDate {
    text.parse().unwrap()
}

impl World {
    /// Everybody has said yes and told all, and it is published.
    pub(crate) async fn told() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(date(GRANTED).start());
        let time: Arc<ManualClock> = Arc::clone(&clock);
        // Few publications of many rows, as a real fleet's are.
        let publish_every = Duration::from_secs(5);
        let local = CollectorSettings::local(folder.path().to_owned());
        let settings = CollectorSettings { publish_every, ..local };
        let stop = CancellationToken::new();
        let collector = Collector::open(settings, time).unwrap().start(stop.clone()).await.unwrap();
        let address = format!("http://{}", collector.address);
        let client = CollectorServiceClient::connect(address).await.unwrap();
        let owners = fleet(&DATES.map(date));
        let world = Self { owners, clock, collector: Some(collector), client, stop, folder };
        world.grant().await;
        for (sequence, day) in (1..).zip(DATES) {
            world.clock.set(date(day).start());
            world.submit(sequence, date(day)).await;
        }
        world.is_published().await;
        world
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    async fn grant(&self) {
        let principals = self.owners.iter().filter(|owner| owner.is_enrolled());
        // One token for the farm, one for each other principal.
        let farm = principals.clone().filter(|owner| owner.part == Part::Farm).count();
        let mut tokens = Vec::new();
        let wanted = principals.count() - farm + 1;
        while tokens.len() < wanted {
            let count = u32::try_from((wanted - tokens.len()).min(1_000)).unwrap();
            let told = control::ask(&self.data(), &Ask::Enrol(count)).await.unwrap().unwrap();
            let Told::Tokens(more) = told else { panic!("{told:?}") };
            tokens.extend(more);
        }
        let mut farm = None;
        let mut events = Vec::new();
        for owner in &self.owners {
            let token = match owner.part {
                Part::Sybil => None,
                Part::Farm if farm.is_some() => None,
                _ => tokens.pop(),
            };
            if owner.part == Part::Farm {
                farm = token.clone().or(farm);
            }
            events.push(owner.says(1, date(GRANTED), token.as_deref()));
        }
        self.all(events, |mut client, event| async move { recorded(&mut client, event).await })
            .await;
    }

    async fn submit(&self, sequence: u64, day: UtcDate) {
        let frames = self.owners.iter().map(|owner| owner.batch(sequence, day)).collect();
        self.all(frames, |mut client, frame| async move { stored(&mut client, &frame).await })
            .await;
    }

    /// Says all of it, some at once.
    async fn all<Fut: Future<Output = ()>>(
        &self,
        words: Vec<Vec<u8>>,
        say: impl Fn(CollectorServiceClient<Channel>, Vec<u8>) -> Fut,
    ) {
        let words = futures::stream::iter(words);
        words.for_each_concurrent(AT_ONCE, |word| say(self.client.clone(), word)).await;
    }

    /// An owner takes everything back.
    pub(crate) async fn withdraw(&self, owner: &Owner) {
        let event = owner.says(2, date(DATES[1]), None);
        recorded(&mut self.client.clone(), event).await;
    }

    /// All that was told is in the lake: of each owner and date five prints and the day.
    async fn is_published(&self) {
        let all = self.owners.len() * DATES.len() * 6;
        self.until(|catalogue| {
            let rows: u64 = catalogue.files.iter().map(|file| file.rows).sum();
            rows == u64::try_from(all).unwrap()
        })
        .await;
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    /// Sets the collector's clock a day and an hour on.
    pub(crate) fn a_day_later(&self) {
        self.clock.advance(Duration::from_hours(25));
    }

    /// Waits for a publication with a property.
    pub(crate) async fn until(&self, has: impl Fn(&Catalogue) -> bool) {
        let look = async || match Catalogue::load(&self.lake()) {
            Ok(catalogue) if has(&catalogue) => Ok(()),
            Ok(catalogue) => Err(format!("{} files", catalogue.files.len())),
            Err(error) => Err(error.to_string()),
        };
        wait::until(Duration::from_mins(2), "what was said is published", look).await.unwrap();
    }

    /// Waits until the files of the lake hold a number of rows that is wanted; gives it.
    pub(crate) async fn rows_when(&self, wanted: impl Fn(usize) -> bool) -> usize {
        let look = async || match self.rows() {
            Ok(rows) if wanted(rows) => Ok(rows),
            Ok(rows) => Err(format!("{rows} rows")),
            Err(error) => Err(error.to_string()),
        };
        wait::until(Duration::from_mins(2), "the lake holds what is left", look).await.unwrap()
    }

    pub(crate) fn lake(&self) -> PathBuf {
        self.data().join("lake")
    }

    /// How many rows the files of the lake hold; an error where one was swept meanwhile.
    fn rows(&self) -> Result<usize, ReadError> {
        let lake = Lake::open(self.lake()).unwrap();
        let files = Catalogue::load(&self.lake()).unwrap().files;
        files.iter().map(|file| Ok(lake.read(file)?.len())).sum()
    }

    /// Ends the collector.
    pub(crate) async fn end(mut self) -> tempfile::TempDir {
        self.stop.cancel();
        self.collector.take().unwrap().ended().await.unwrap();
        self.folder
    }
}

async fn recorded(client: &mut CollectorServiceClient<Channel>, event: Vec<u8>) {
    let look = async || {
        let request = RecordConsentRequest { event: event.clone() };
        let answer = client.record_consent(request).await;
        // A full lane says so, and is asked again.
        answer.map(tonic::Response::into_inner).map_err(|busy| busy.to_string())
    };
    let answer = wait::until(Duration::from_mins(2), "a receipt", look).await.unwrap();
    let signed: SignedReceipt = contract().decode(&answer.receipt).unwrap();
    let receipt: Receipt = contract().decode(&signed.receipt).unwrap();
    assert_eq!(receipt.status(), ReceiptStatus::Recorded, "{receipt:?}");
}

async fn stored(client: &mut CollectorServiceClient<Channel>, frame: &[u8]) {
    let look = async || {
        let request = SubmitRequest { request: 1, frame: frame.to_vec() };
        let answer = client.submit_one(request).await.map_err(|busy| busy.to_string())?;
        let verdict = answer.into_inner().verdict;
        if verdict.is_empty() { Err("busy".to_owned()) } else { Ok(verdict) }
    };
    let bytes = wait::until(Duration::from_mins(2), "an answer to a batch", look).await.unwrap();
    let signed: SignedVerdict = contract().decode(&bytes).unwrap();
    let verdict: Verdict = contract().decode(&signed.verdict).unwrap();
    assert_eq!(verdict.outcome(), Outcome::Stored, "{verdict:?}");
}

/// The server's program, built beside the tests.
pub(crate) fn imprimatur(arguments: &[&str]) -> Output {
    let own = std::env::current_exe().unwrap();
    let built = own.parent().and_then(|deps| deps.parent()).unwrap().join("imprimatur");
    assert!(built.exists(), "`imprimatur` is not built; build it and test: cargo xtask test");
    Command::new(built).args(arguments).output().unwrap()
}
