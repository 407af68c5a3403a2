//! The collector's own door for its operator: a Unix socket that only the owner may open.
//!
//! The book belongs to one process. While a collector runs, other commands ask it here: one JSON
//! object a line in, one out. Requests: `{"enrol":N}` gives `{"tokens":[..]}`, `{"counts":{}}`
//! gives `{"counts":{..}}`; what cannot be done gives `{"refused":".."}`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use imprimatur_ledger::Book;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::error::CollectorError;

/// Longest line, bytes; 1,000 tokens fit.
const LINE_BYTES_MAX: u64 = 128 << 10;

/// Longest conversation; a command that says nothing must not keep others waiting.
const TALK_WITHIN: Duration = Duration::from_secs(10);

/// Most tokens drawn at once.
pub const TOKENS_MAX: u32 = 1000;

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Draw this many one-time enrolment tokens.
    Enrol(u32),
    /// Answers given so far.
    Counts {},
}

/// What the collector says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// Tokens, in hex; shown once.
    Tokens(Vec<String>),
    /// Answers by outcome and reason.
    Counts(BTreeMap<String, u64>),
    /// It could not be done, and why.
    Refused(String),
}

/// The socket's path.
pub fn socket(data: &Path) -> PathBuf {
    data.join("collector.sock")
}

/// Answers a request from the book.
pub fn answer(book: &Book, ask: &Ask) -> Told {
    let told = match ask {
        Ask::Enrol(count) if *count == 0 || *count > TOKENS_MAX => {
            return Told::Refused(format!("1 to {TOKENS_MAX} tokens can be drawn at once"));
        }
        Ask::Enrol(count) => book
            .issue_tokens(*count)
            .map(|tokens| Told::Tokens(tokens.iter().map(ToString::to_string).collect())),
        Ask::Counts {} => book.counts().map(Told::Counts),
    };
    told.unwrap_or_else(|error| Told::Refused(error.to_string()))
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
    book: Arc<Book>,
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
        let conversation = tokio::time::timeout(TALK_WITHIN, converse(stream, Arc::clone(&book)));
        tokio::select! {
            talked = conversation => {
                if !matches!(talked, Ok(Ok(()))) {
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

async fn converse(stream: UnixStream, book: Arc<Book>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    let told = match serde_json::from_str::<Ask>(&line) {
        Ok(ask) => tokio::task::spawn_blocking(move || answer(&book, &ask))
            .await
            .unwrap_or_else(|_panicked| Told::Refused("the collector failed".to_owned())),
        Err(error) => Told::Refused(format!("not a request: {error}")),
    };
    let mut line = serde_json::to_vec(&told)?;
    line.push(b'\n');
    writer.write_all(&line).await
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
    BufReader::new(reader.take(LINE_BYTES_MAX)).read_line(&mut told).await?;
    Ok(Some(serde_json::from_str(&told)?))
}
