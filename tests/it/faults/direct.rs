//! A collector alone, and owners who speak to it without a broker: every answer is known to be given or not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use imprimatur_consent::Category;
use imprimatur_proto::consent::v1::Decision;
use imprimatur_proto::ingest::v1::collector_service_client::CollectorServiceClient;
use imprimatur_proto::ingest::v1::{RecordConsentRequest, SubmitRequest};
use imprimatur_testkit::oracle::History;
use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::{ports, wait};
use rustix::process::Signal;
use tonic::transport::Channel;

use super::history;
use crate::agent::print;
use crate::program::imprimatur;
use crate::rig::SOON;
use crate::wire::Voice;

/// Something an owner says.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// A signed consent event.
    Consent(Vec<u8>),
    /// A frame.
    Batch(Vec<u8>),
}

const BOTH: [Category; 2] = [Category::PrintTime, Category::Temperature];

/// Two owners: grants, batches, a withdrawal in part and one of everything.
pub(super) fn script() -> Vec<Word> {
    let (one, two) = (Voice::of(1), Voice::of(2));
    let batch = |voice: &Voice, number: u32, whole: bool| {
        let mut print = print(number);
        print.temperature = print.temperature.filter(|_| whole);
        Word::Batch(voice.sealed(&voice.batch(u64::from(number), vec![print])))
    };
    let says = |voice: &Voice, number, decision, what: &[Category]| {
        Word::Consent(voice.event(number, decision, what))
    };
    vec![
        says(&one, 1, Decision::Granted, &BOTH),
        batch(&one, 1, true),
        batch(&one, 2, true),
        says(&two, 1, Decision::Granted, &BOTH),
        batch(&two, 1, true),
        says(&one, 2, Decision::Withdrawn, &BOTH[1..]),
        batch(&one, 3, false),
        batch(&two, 2, true),
        says(&two, 2, Decision::Withdrawn, &BOTH),
        batch(&one, 4, false),
    ]
}

/// One owner's grant and batches, for a load without end; `first` is the number of the first batch.
pub(super) fn grant(voice: &Voice) -> Word {
    Word::Consent(voice.event(1, Decision::Granted, &BOTH))
}

/// A batch of a print that tells its number.
pub(super) fn batch(voice: &Voice, sequence: u64) -> Word {
    let told = u32::try_from(sequence % 20).unwrap() + 1;
    Word::Batch(voice.sealed(&voice.batch(sequence, vec![print(told)])))
}

/// A collector as a process.
pub(super) struct Alone {
    process: Guarded,
    pub(super) port: u16,
}

impl Alone {
    /// Starts `runner` with the collector's command line behind its own; `name` names its logs.
    pub(super) fn spawn(name: &str, runner: Option<Command>, data: &Path, logs: &Path) -> Self {
        let port = ports::free().unwrap();
        let listen = ports::loopback(port).to_string();
        let mut collector =
            imprimatur(&["collector", "--load-test", "--listen", &listen, "--data"]);
        collector.arg(data);
        let mut command = match runner {
            None => collector,
            Some(mut runner) => {
                runner.arg(collector.get_program()).args(collector.get_args());
                runner
            }
        };
        command.env("IMPRIMATUR_LOG", "info").current_dir(logs);
        Self { process: Guarded::spawn(name, command, logs).unwrap(), port }
    }

    /// Waits until it listens, and connects; `None` when it ended instead.
    pub(super) async fn connect(&mut self) -> Option<Wire> {
        let endpoint = Channel::from_shared(format!("http://127.0.0.1:{}", self.port)).unwrap();
        wait::until(SOON, "a collector that listens or ends", async || {
            if matches!(self.process.try_status(), Ok(Some(_))) {
                return Ok(None);
            }
            let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>(Some(Wire(CollectorServiceClient::new(channel))))
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", self.process.log_text()))
    }

    /// Ends it with SIGTERM, unless it ended by itself. Gives its exit code and whether it ended
    /// by itself.
    pub(super) async fn end(&mut self) -> (Option<i32>, bool) {
        let alone = matches!(self.process.try_status(), Ok(Some(_)));
        self.process.signal(Signal::TERM).unwrap();
        let status = self.process.wait(SOON).await;
        let status = status.unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        (status.code(), alone)
    }

    pub(super) fn log(&self) -> String {
        self.process.log_text()
    }
}

/// A connection.
#[derive(Clone)]
pub(super) struct Wire(CollectorServiceClient<Channel>);

/// The longest that a word waits for its answer.
const ANSWER: Duration = Duration::from_secs(15);

impl Wire {
    /// Says a word, and notes in the history what is said and what is answered. Tells whether it
    /// was answered; a collector that is busy or gone is not.
    pub(super) async fn say(&mut self, history: &mut History, word: &Word) -> bool {
        match word {
            Word::Batch(frame) => {
                history.issued.extend(history::issued(frame));
                let request = SubmitRequest { request: 1, frame: frame.clone() };
                let answer = tokio::time::timeout(ANSWER, self.0.submit_one(request)).await;
                let Ok(answer) = answer.expect("neither an answer nor an error") else {
                    return false;
                };
                let verdict = answer.into_inner().verdict;
                if !verdict.is_empty() {
                    history::add_verdict(history, &verdict);
                }
                !verdict.is_empty()
            }
            Word::Consent(event) => {
                let request = RecordConsentRequest { event: event.clone() };
                let answer = tokio::time::timeout(ANSWER, self.0.record_consent(request)).await;
                let Ok(answer) = answer.expect("neither an answer nor an error") else {
                    return false;
                };
                history::add_receipt(history, &answer.into_inner().receipt);
                true
            }
        }
    }

    /// Says all words, each until it is answered.
    pub(super) async fn insist(&mut self, history: &mut History, words: &[Word]) {
        for word in words {
            for _ in 0..100 {
                if self.say(history, word).await {
                    break;
                }
            }
        }
    }
}

/// Starts a collector on what a fault has left, has everything said again and something fresh, ends
/// it, and reads what it kept.
pub(super) async fn recovered(
    mut history: History,
    words: &[Word],
    data: &Path,
    logs: &Path,
) -> History {
    let mut collector = Alone::spawn("recovered", None, data, logs);
    let connected = collector.connect().await;
    let mut wire =
        connected.unwrap_or_else(|| panic!("it does not start again:\n{}", collector.log()));
    wire.insist(&mut history, words).await;
    let stored = history.answered.iter().filter(|answer| answer.refused.is_none()).count();
    let fresh = Voice::of(99);
    wire.insist(&mut history, &[grant(&fresh), batch(&fresh, 1)]).await;
    let after = history.answered.iter().filter(|answer| answer.refused.is_none()).count();
    history.fresh = after > stored;
    drop(wire);
    let (code, alone) = collector.end().await;
    assert!(code == Some(0) && !alone, "{code:?}\n{}", collector.log());
    history::verified(&mut history, data).await;
    history::add_disk(&mut history, data);
    history
}

/// A new empty folder below another.
pub(super) fn folder(below: &Path, name: &str) -> PathBuf {
    let folder = below.join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}
