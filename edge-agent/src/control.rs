//! The owner's socket: one JSON request a line, one JSON answer a line, 0600 in the agent's folder.
//!
//! The store has one owner, so commands reach a running agent here and open the store themselves
//! only when nobody runs. Bounded: 4 KiB a request, 8 connections, 10 s a request.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_consent::{Category, Digest};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::core::{Agent, AgentError, Granted, Line, Overview, Preview, Withdrawn};
use crate::sources::{SourceKind, SourceState, SourceStatus};
use crate::told::chain;

/// Name of the socket in the agent's folder.
pub const SOCKET: &str = "agent.sock";

/// Longest request, bytes.
const REQUEST_MAX: u64 = 4096;

/// Connections at once; more wait.
const CONNECTIONS_MAX: usize = 8;

/// How long one request may take.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// A socket that does not work.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket cannot be made. Report it and stop.
    #[error("cannot make the socket `{socket}`")]
    Listen {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Nobody listens. Open the store instead.
    #[error("no agent runs")]
    NobodyListens,
    /// The agent did not answer. Try again.
    #[error("the running agent did not answer")]
    NoAnswer(#[source] io::Error),
    /// The answer is of another version. Restart the agent.
    #[error("the running agent is of another version; restart it")]
    OtherVersion(#[source] serde_json::Error),
}

/// What an owner asks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Flags, purposes and what is stored.
    Show {},
    /// Say yes.
    Grant {
        /// To what.
        categories: Vec<Category>,
        /// One-time token of the operator.
        token: Option<Digest>,
        /// SHA-256 of the policy that the owner read; another is not granted.
        policy: Digest,
    },
    /// Say no.
    Refuse {
        /// To what.
        categories: Vec<Category>,
    },
    /// Take a yes back.
    Withdraw {
        /// Which; all when absent.
        categories: Option<Vec<Category>>,
    },
    /// What would leave next.
    Preview {},
    /// What was sent and what came back.
    Log {},
    /// How the sources do.
    Sources {},
}

/// How a source does.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceLine {
    /// What it is.
    pub kind: String,
    /// Where it is.
    pub address: String,
    /// How it does.
    pub state: String,
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "answer", content = "value", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Show`].
    Overview(Overview),
    /// To [`Request::Grant`]: what is granted that was not.
    Granted(Vec<Category>),
    /// To [`Request::Refuse`] and [`Request::Withdraw`]: what was granted and is not any more.
    Withdrawn(Vec<Category>),
    /// To [`Request::Preview`].
    Preview(Preview),
    /// To [`Request::Log`].
    Log(Vec<Line>),
    /// To [`Request::Sources`].
    Sources(Vec<SourceLine>),
    /// It could not be done; why.
    Failed(String),
}

impl Request {
    /// Does what is asked.
    pub fn perform(self, agent: &Agent, sources: &[SourceLine]) -> Reply {
        let done = match self {
            Self::Show {} => agent.show().map(Reply::Overview),
            Self::Grant { policy, .. } if policy != agent.policy().hash => {
                return Reply::Failed(
                    "the policy file changed since the agent started: restart the agent".to_owned(),
                );
            }
            Self::Grant { categories, token, .. } => {
                agent.grant(&categories, token.map(|token| token.0)).map(|granted| match granted {
                    Granted::New(new) => Reply::Granted(new),
                    Granted::Already => Reply::Granted(Vec::new()),
                })
            }
            Self::Refuse { categories } => agent.refuse(&categories).map(withdrawn),
            Self::Withdraw { categories } => agent.withdraw(categories.as_deref()).map(withdrawn),
            Self::Preview {} => agent.preview().map(Reply::Preview),
            Self::Log {} => agent.log().map(Reply::Log),
            Self::Sources {} => Ok(Reply::Sources(sources.to_vec())),
        };
        done.unwrap_or_else(|error: AgentError| Reply::Failed(chain(&error)))
    }
}

fn withdrawn(what: Withdrawn) -> Reply {
    Reply::Withdrawn(match what {
        Withdrawn::Nothing => Vec::new(),
        Withdrawn::Part(gone) | Withdrawn::All(gone) => gone,
    })
}

/// Makes the socket. The caller holds the store, so a socket that is there is left over.
///
/// # Errors
/// [`ControlError::Listen`].
pub fn listen(socket: &Path) -> Result<UnixListener, ControlError> {
    let refuse = |cause| ControlError::Listen { socket: socket.to_owned(), cause };
    match std::fs::remove_file(socket) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(refuse(cause)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(refuse)?;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(socket, mode).map_err(refuse)?;
    Ok(listener)
}

/// Answers until `stop` is cancelled.
pub async fn serve(
    agent: Agent,
    sources: Vec<watch::Receiver<SourceStatus>>,
    listener: UnixListener,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                connections.spawn(converse(agent.clone(), sources.clone(), stream));
            }
        }
    }
}

async fn converse(
    agent: Agent,
    sources: Vec<watch::Receiver<SourceStatus>>,
    mut stream: UnixStream,
) {
    loop {
        let one = answer(&agent, &sources, &mut stream);
        match tokio::time::timeout(REQUEST_WITHIN, one).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false) | Err(_)) | Err(_) => return,
        }
    }
}

/// Answers one request; false at the end of them.
async fn answer(
    agent: &Agent,
    sources: &[watch::Receiver<SourceStatus>],
    stream: &mut UnixStream,
) -> io::Result<bool> {
    let (from, mut to) = stream.split();
    let mut line = Vec::new();
    let read = tokio::io::BufReader::with_capacity(1, from.take(REQUEST_MAX))
        .read_until(b'\n', &mut line)
        .await?;
    if read == 0 {
        return Ok(false);
    }
    let reply = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => {
            let lines: Vec<_> =
                sources.iter().map(|status| source_line(&status.borrow())).collect();
            request.perform(agent, &lines)
        }
        Err(error) => Reply::Failed(format!("not a request: {error}")),
    };
    let mut bytes = serde_json::to_vec(&reply)?;
    bytes.push(b'\n');
    to.write_all(&bytes).await?;
    Ok(line.ends_with(b"\n"))
}

/// Asks the running agent.
///
/// # Errors
/// [`ControlError::NobodyListens`] when no agent runs; [`ControlError::NoAnswer`].
pub fn ask(socket: &Path, request: &Request) -> Result<Reply, ControlError> {
    let Ok(mut stream) = BlockingStream::connect(socket) else {
        return Err(ControlError::NobodyListens);
    };
    let converse = |stream: &mut BlockingStream| {
        stream.set_read_timeout(Some(REQUEST_WITHIN))?;
        let mut bytes = serde_json::to_vec(request)?;
        bytes.push(b'\n');
        stream.write_all(&bytes)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    let line = converse(&mut stream).map_err(ControlError::NoAnswer)?;
    serde_json::from_str(&line).map_err(ControlError::OtherVersion)
}

/// A source's status in words.
pub fn source_line(status: &SourceStatus) -> SourceLine {
    let kind = match status.kind {
        SourceKind::OctoPrint => "octoprint",
        SourceKind::Moonraker => "moonraker",
        SourceKind::Gcode => "gcode",
    };
    let state = match &status.state {
        SourceState::Starting => "starting".to_owned(),
        SourceState::Connected => "connected".to_owned(),
        SourceState::Retrying { error, next_seconds } => {
            format!("retrying in {next_seconds} s: {error}")
        }
        SourceState::Stopped => "stopped".to_owned(),
    };
    SourceLine { kind: kind.to_owned(), address: status.address.clone(), state }
}
