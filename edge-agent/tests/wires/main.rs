//! Printers on their own wires: serial line, object model, printer's broker; from bytes to readings.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod bambu;
mod duet;
mod marlin;
#[cfg(feature = "opcua")]
mod opcua;

use std::sync::Arc;
use std::time::Duration;

use imprimatur_agent::reading::{Ended, Reading, Said, UnixSeconds};
use imprimatur_agent::sources::{Source, SourceSettings, SourceState, SourceStatus};
use imprimatur_proto::telemetry::v1::Outcome;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything; the machine may be busy with other things.
const LIMIT: Duration = Duration::from_mins(2);

fn fixture(path: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
    std::fs::read(format!("{folder}/{path}")).expect("fixtures are in the repository")
}

fn settings(toml: &str) -> Result<SourceSettings, String> {
    toml::from_str(toml).map_err(|error| error.to_string())
}

#[track_caller]
fn refuses(toml: &str, expected: &str) {
    let error = settings(toml).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

/// A source that runs, and all that it said.
struct Running {
    readings: mpsc::Receiver<Reading>,
    said: Vec<Said>,
    status: watch::Receiver<SourceStatus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(toml: &str) -> Self {
        let (out, readings) = mpsc::channel(256);
        let stop = CancellationToken::new();
        let now = Arc::new(|| UnixSeconds(1_795_293_300));
        let source = Source::new(settings(toml).unwrap(), now);
        let status = source.status();
        let task = tokio::spawn(source.run(out, stop.clone()));
        Self { readings, said: Vec::new(), status, stop, task }
    }

    /// Reads on until `wanted` was said since the last call; gives what was said since.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Said) -> bool) -> Vec<Said> {
        let from = self.said.len();
        loop {
            let next = tokio::time::timeout(LIMIT, self.readings.recv()).await;
            let Ok(Some(reading)) = next else {
                panic!("{what}: {:?} after {:?}", self.status.borrow(), &self.said[from..]);
            };
            let found = wanted(&reading.said);
            self.said.push(reading.said);
            if found {
                return self.said[from..].to_vec();
            }
        }
    }

    async fn until_ended(&mut self) -> Ended {
        let said = self.until("the end of a print", |said| matches!(said, Said::Ended(_))).await;
        match said.last() {
            Some(Said::Ended(ended)) => *ended,
            other => panic!("{other:?}"),
        }
    }

    /// The error that the owner is shown once the source retries.
    async fn retries_with(&mut self) -> String {
        let reached = self.status.wait_for(|s| matches!(s.state, SourceState::Retrying { .. }));
        let status = tokio::time::timeout(LIMIT, reached).await.unwrap().unwrap();
        match &status.state {
            SourceState::Retrying { error, .. } => error.clone(),
            other => panic!("{other:?}"),
        }
    }

    async fn stop(mut self) -> Vec<Said> {
        self.stop.cancel();
        while let Some(reading) = self.readings.recv().await {
            self.said.push(reading.said);
        }
        self.task.await.unwrap();
        assert_eq!(self.status.borrow().state, SourceState::Stopped);
        self.said
    }
}

fn outcomes(said: &[Said]) -> Vec<Outcome> {
    let ended = said.iter().filter_map(|said| match said {
        Said::Ended(ended) => Some(ended.outcome),
        _ => None,
    });
    ended.collect()
}

fn count(said: &[Said], wanted: &Said) -> usize {
    said.iter().filter(|said| *said == wanted).count()
}

/// Words that stand in every field of a peer that is not read.
const PLANTED: [&str; 8] = [
    "planted-jane-doe",
    "Jane",
    "Doe",
    "AcmeCorp",
    "bracket",
    "SN00M00A000000000",
    "JanesWifi",
    "987654",
];

/// The words of [`PLANTED`] that are in it: none of them may be.
fn planted_in(what: &dyn std::fmt::Debug) -> Vec<&'static str> {
    let text = format!("{what:?}");
    PLANTED.into_iter().filter(|word| text.contains(word)).collect()
}
