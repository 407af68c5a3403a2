//! The owner's socket: one JSON request a line, one JSON answer a line, 0600 in the agent's folder.
//!
//! The store has one owner, so commands reach a running agent here and open the store themselves
//! only when nobody runs. Bounded: 4 KiB a request, 8 connections, 10 s a request.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_consent::recovery::NotACode;
use imprimatur_consent::{Category, Digest};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::core::{
    Agent, AgentError, Exercise, Granted, Line, Overview, Preview, RequestLine, Withdrawn,
};
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

/// Something typed that is never shown again.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Typed(pub String);

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed(..)")
    }
}

/// What an owner asks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Flags, purposes and what is stored.
    Show {},
    /// The questions about these were shown.
    Asked {
        /// Which.
        categories: Vec<Category>,
    },
    /// Say yes.
    Grant {
        /// To what.
        categories: Vec<Category>,
        /// One-time token of the operator.
        token: Option<Digest>,
        /// SHA-256 of the policy that the owner read; another is not granted.
        policy: Digest,
    },
    /// Say yes again, to all that is granted when none is named.
    Renew {
        /// To what.
        categories: Option<Vec<Category>>,
        /// SHA-256 of the policy that the owner read; another is not granted.
        policy: Digest,
    },
    /// The printer changes hands.
    Handover {},
    /// Ask for a right.
    Exercise {
        /// Which, and what it needs.
        exercise: Exercise,
    },
    /// Take the key of a recovery code.
    Recover {
        /// The code.
        code: Typed,
    },
    /// All rights requests.
    Requests {},
    /// A page of an answer.
    Page {
        /// Number of the request.
        request: u64,
        /// Number of the page, from 0.
        page: u32,
    },
    /// What this device itself holds.
    Device {},
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
    pub kind: SourceKind,
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
    Overview(Box<Overview>),
    /// To [`Request::Grant`].
    Granted {
        /// What is granted that was not.
        granted: Vec<Category>,
        /// The recovery code, with the first grant only; it is nowhere else.
        recovery_code: Option<Typed>,
    },
    /// To [`Request::Renew`].
    Renewed(Vec<Category>),
    /// To [`Request::Handover`]: whether anything had been granted.
    HandedOver(bool),
    /// To [`Request::Exercise`] and [`Request::Requests`].
    Requests(Vec<RequestLine>),
    /// To [`Request::Page`]: its bytes as hex, because a page may end within a letter; `None` when
    /// there is no such page.
    Page(Option<String>),
    /// To [`Request::Device`]: JSON lines.
    Device(Vec<serde_json::Value>),
    /// To [`Request::Asked`] and [`Request::Recover`].
    Done {},
    /// To [`Request::Refuse`] and [`Request::Withdraw`]: what was granted and is not any more.
    Withdrawn(Vec<Category>),
    /// To [`Request::Preview`].
    Preview(Preview),
    /// To [`Request::Log`].
    Log(Vec<Line>),
    /// To [`Request::Sources`].
    Sources(Vec<SourceLine>),
    /// The answer is no; why.
    No(String),
    /// It could not be done; why.
    Failed(String),
}

impl Request {
    /// Does what is asked.
    pub fn perform(self, agent: &Agent, sources: &[SourceLine]) -> Reply {
        if let Self::Grant { policy, .. } | Self::Renew { policy, .. } = &self
            && *policy != agent.policy().hash
        {
            return Reply::Failed(
                "the policy file changed since the agent started: restart the agent".to_owned(),
            );
        }
        self.done(agent, sources).unwrap_or_else(|error| {
            let text = chain(&error);
            if error.refuses() { Reply::No(text) } else { Reply::Failed(text) }
        })
    }

    fn done(self, agent: &Agent, sources: &[SourceLine]) -> Result<Reply, AgentError> {
        Ok(match self {
            Self::Show {} => Reply::Overview(Box::new(agent.show()?)),
            Self::Asked { categories } => {
                agent.asked(&categories)?;
                Reply::Done {}
            }
            Self::Grant { categories, token, .. } => {
                match agent.grant(&categories, token.map(|token| token.0))? {
                    Granted::Already => Reply::Granted { granted: Vec::new(), recovery_code: None },
                    Granted::New { categories: granted, recovery } => {
                        let recovery_code = recovery.map(|code| Typed(code.to_string()));
                        Reply::Granted { granted, recovery_code }
                    }
                }
            }
            Self::Renew { categories, .. } => Reply::Renewed(agent.renew(categories.as_deref())?),
            Self::Refuse { categories } => withdrawn(agent.refuse(&categories)?),
            Self::Withdraw { categories } => {
                let gone = agent.withdraw(categories.as_deref())?;
                // The same for the key of a recovery code, if one was typed in.
                let exercise = Exercise::Withdraw { categories: categories.unwrap_or_default() };
                match agent.exercise(&exercise) {
                    Ok(_) | Err(AgentError::NothingHeld) => withdrawn(gone),
                    Err(error) => return Err(error),
                }
            }
            Self::Handover {} => Reply::HandedOver(agent.handover()?),
            Self::Exercise { exercise } => Reply::Requests(agent.exercise(&exercise)?),
            Self::Recover { code: Typed(code) } => match code.parse() {
                Err(error) => Reply::No(NotACode::to_string(&error)),
                Ok(code) => {
                    agent.recover(&code)?;
                    Reply::Done {}
                }
            },
            Self::Requests {} => Reply::Requests(agent.requests()?),
            Self::Page { request, page } => {
                let page = agent.page(request, page)?;
                Reply::Page(page.map(hex::encode))
            }
            Self::Device {} => Reply::Device(agent.export_local()?),
            Self::Preview {} => Reply::Preview(agent.preview()?),
            Self::Log {} => Reply::Log(agent.log()?),
            Self::Sources {} => Reply::Sources(sources.to_vec()),
        })
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
    let state = match &status.state {
        SourceState::Starting => "starting".to_owned(),
        SourceState::Connected => "connected".to_owned(),
        SourceState::Retrying { error, next_seconds } => {
            format!("retrying in {next_seconds} s: {error}")
        }
        SourceState::Stopped => "stopped".to_owned(),
    };
    SourceLine { kind: status.kind, address: status.address.clone(), state }
}
