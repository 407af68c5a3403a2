//! The collector's own door for its operator: a Unix socket that only the owner may open.
//!
//! The book belongs to one process. While a collector runs, other commands ask it here: one JSON
//! object a line in ([`Ask`]), one out ([`Told`]); what cannot be done gives `{"refused":".."}`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_consent::SubjectId;
use imprimatur_ledger::Backup;
use imprimatur_ledger::register::Entry;
use imprimatur_runtime::UtcDate;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::error::CollectorError;
use crate::operator::{Act, Acted, Operator, Published};

/// Longest line, bytes; 1,000 tokens or a policy fit. The register of requests comes in one line, so
/// the command takes more.
const LINE_BYTES_MAX: u64 = 128 << 10;

/// Longest line that a command takes from its own collector, bytes.
const TOLD_BYTES_MAX: u64 = 64 << 20;

/// Longest wait for a request; a command that says nothing must not keep others waiting.
const TALK_WITHIN: Duration = Duration::from_secs(10);

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Draw this many one-time enrolment tokens.
    Enrol(u32),
    /// Answers given so far.
    Counts {},
    /// Act on a subject.
    Subject {
        /// Which.
        subject: SubjectId,
        /// How.
        act: Act,
    },
    /// The register of requests.
    Requests {
        /// Only those that should have been finished.
        overdue: bool,
    },
    /// Close the complaint of this number, which was answered.
    Answer(u64),
    /// Publish a policy.
    Publish {
        /// Its text.
        text: String,
    },
    /// Make a backup.
    BackUp {
        /// In this new folder.
        to: PathBuf,
    },
    /// The inventory of backups.
    Backups {},
}

/// What the collector says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// Tokens, in hex; shown once.
    Tokens(Vec<String>),
    /// Answers by outcome and reason.
    Counts(BTreeMap<String, u64>),
    /// What became of an act.
    Acted(Acted),
    /// The register of requests.
    Requests {
        /// Its entries, by number.
        requests: Vec<Entry>,
        /// The collector's date.
        today: UtcDate,
    },
    /// The complaint that was closed.
    Answered(Entry),
    /// The policy that was published.
    Published(Published),
    /// The backup that was made.
    BackedUp(Backup),
    /// Backups by id: when each was made, and when it must be gone.
    Backups(BTreeMap<String, (UtcDate, UtcDate)>),
    /// It could not be done, and why.
    Refused(String),
}

/// The socket's path.
pub fn socket(data: &Path) -> PathBuf {
    data.join("collector.sock")
}

/// Listens on the socket; a stale one of a process that ended is replaced.
///
/// # Errors
/// [`CollectorError::Path`].
pub fn listen(data: &Path) -> Result<UnixListener, CollectorError> {
    let path = socket(data);
    let unusable = |source| CollectorError::Path { path: path.clone(), source };
    if path.exists() {
        std::fs::remove_file(&path).map_err(unusable)?;
    }
    let listener = UnixListener::bind(&path).map_err(unusable)?;
    let owner_only = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, owner_only).map_err(unusable)?;
    Ok(listener)
}

/// Serves until `stop`, one request at a time; then removes the socket.
pub async fn serve(
    data: PathBuf,
    listener: UnixListener,
    operator: Operator,
    stop: CancellationToken,
) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "the operator's socket failed");
                    return;
                }
            },
            () = stop.cancelled() => break,
        };
        tokio::select! {
            talked = converse(stream, operator.clone()) => {
                if talked.is_err() {
                    tracing::debug!("the operator's command went away");
                }
            }
            () = stop.cancelled() => break,
        }
    }
    if let Err(error) = std::fs::remove_file(socket(&data)) {
        tracing::debug!(%error, "the operator's socket was gone already");
    }
}

async fn converse(stream: UnixStream, operator: Operator) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(LINE_BYTES_MAX));
    tokio::time::timeout(TALK_WITHIN, reader.read_line(&mut line)).await??;
    let told = match serde_json::from_str::<Ask>(&line) {
        Ok(ask) => tokio::task::spawn_blocking(move || operator.answer(&ask))
            .await
            .unwrap_or_else(|_panicked| Told::Refused("the collector failed".to_owned())),
        Err(error) => Told::Refused(format!("not a request: {error}")),
    };
    let mut line = serde_json::to_vec(&told)?;
    line.push(b'\n');
    tokio::time::timeout(TALK_WITHIN, writer.write_all(&line)).await?
}

/// Asks the collector of this data folder; `None` when none runs.
///
/// # Errors
/// The I/O error of a conversation that broke off.
pub async fn ask(data: &Path, ask: &Ask) -> std::io::Result<Option<Told>> {
    let Ok(stream) = UnixStream::connect(socket(data)).await else { return Ok(None) };
    let (reader, mut writer) = stream.into_split();
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    let mut told = String::new();
    BufReader::new(reader.take(TOLD_BYTES_MAX)).read_line(&mut told).await?;
    Ok(Some(serde_json::from_str(&told)?))
}
