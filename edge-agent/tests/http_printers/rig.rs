//! What these tests share: fixtures, a running source, and waiting for what it says.

use std::sync::Arc;
use std::time::Duration;

use imprimatur_agent::reading::{Ended, Reading, Said, UnixSeconds};
use imprimatur_agent::sources::{Source, SourceSettings, SourceState, SourceStatus};
use imprimatur_proto::telemetry::v1::Outcome;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// For a reader that asks each second, on a machine that also compiles.
const SOON: Duration = Duration::from_mins(1);

/// The first JSON value of a fixture; the recorder's status line after it is no part of the body.
pub(crate) fn fixture(path: &str) -> Vec<u8> {
    let path = format!("{}/../fixtures/{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("fixtures are in the repository");
    let body = text.split("{\"_http_status\"").next().unwrap_or_default();
    body.trim().as_bytes().to_vec()
}

pub(crate) fn settings(toml: &str) -> Result<SourceSettings, String> {
    toml::from_str(toml).map_err(|error| error.to_string())
}

pub(crate) fn ended(outcome: Outcome, seconds: Option<f64>) -> Said {
    Said::Ended(Ended { outcome, seconds, amount: None, phase: None })
}

/// A source that runs.
pub(crate) struct Running {
    status: watch::Receiver<SourceStatus>,
    readings: mpsc::Receiver<Reading>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    /// All that was said so far.
    pub(crate) said: Vec<Said>,
}

impl Running {
    pub(crate) fn start(toml: &str) -> Self {
        let (out, readings) = mpsc::channel(256);
        let stop = CancellationToken::new();
        let source = Source::new(settings(toml).unwrap(), Arc::new(|| UnixSeconds(1_795_293_300)));
        let status = source.status();
        let task = tokio::spawn(source.run(out, stop.clone()));
        Self { status, readings, stop, task, said: Vec::new() }
    }

    /// Waits for a reading that `is` takes.
    pub(crate) async fn says(&mut self, what: &str, is: impl Fn(&Said) -> bool) -> Said {
        self.says_within(SOON, what, is).await
    }

    pub(crate) async fn says_within(
        &mut self,
        limit: Duration,
        what: &str,
        is: impl Fn(&Said) -> bool,
    ) -> Said {
        let end = tokio::time::Instant::now() + limit;
        loop {
            match tokio::time::timeout_at(end, self.readings.recv()).await {
                Ok(Some(reading)) => {
                    self.said.push(reading.said.clone());
                    if is(&reading.said) {
                        return reading.said;
                    }
                }
                _ => panic!("{what} was not said; {:?}; {:?}", self.state(), self.said),
            }
        }
    }

    /// Waits until it retries, and gives why.
    pub(crate) async fn retries(&mut self) -> String {
        let retrying = |status: &SourceStatus| matches!(status.state, SourceState::Retrying { .. });
        let reached = tokio::time::timeout(SOON, self.status.wait_for(retrying)).await;
        match &reached.expect("it retries").unwrap().state {
            SourceState::Retrying { error, .. } => error.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn advice(&self) -> Option<&'static str> {
        self.status.borrow().advice
    }

    /// Waits until the owner is advised, and gives what is said.
    pub(crate) async fn is_advised(&mut self, limit: Duration) -> &'static str {
        let advised = self.status.wait_for(|status| status.advice.is_some());
        let status = tokio::time::timeout(limit, advised).await.expect("advice").unwrap();
        status.advice.unwrap()
    }

    pub(crate) fn state(&self) -> SourceState {
        self.status.borrow().state.clone()
    }

    /// Ends it; what it still said is in what is given.
    pub(crate) async fn stop(mut self) -> Vec<Said> {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap();
        assert_eq!(self.status.borrow().state, SourceState::Stopped);
        while let Ok(reading) = self.readings.try_recv() {
            self.said.push(reading.said);
        }
        self.said
    }
}
