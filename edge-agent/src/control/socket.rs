//! The owner's socket: one JSON question a line, one JSON answer a line, 0600 in the agent's folder.
//!
//! There is one for all printers; a question names its printer where there are several. Bounded: 4 KiB
//! a question, 8 connections, 10 s a question.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Question, Reply, Request, source_line};
use crate::printer::{Name, Seat, Standing, Up};

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

/// Makes the socket. The caller holds the folder, so a socket that is there is left over.
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

/// Answers for these printers until `stop` is cancelled.
pub async fn serve(seats: Arc<[Seat]>, listener: UnixListener, stop: CancellationToken) {
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
                connections.spawn(converse(Arc::clone(&seats), stream));
            }
        }
    }
}

async fn converse(seats: Arc<[Seat]>, mut stream: UnixStream) {
    loop {
        let one = answer(&seats, &mut stream);
        match tokio::time::timeout(REQUEST_WITHIN, one).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false) | Err(_)) | Err(_) => return,
        }
    }
}

/// Answers one request; false at the end of them.
async fn answer(seats: &[Seat], stream: &mut UnixStream) -> io::Result<bool> {
    let (from, mut to) = stream.split();
    let mut line = Vec::new();
    let read = tokio::io::BufReader::with_capacity(1, from.take(REQUEST_MAX))
        .read_until(b'\n', &mut line)
        .await?;
    if read == 0 {
        return Ok(false);
    }
    let reply = match serde_json::from_slice::<Question>(&line) {
        Ok(Question { printer, request }) => match (found(seats, printer.as_ref()), request) {
            (Ok(Up { intake, .. }), Request::Sliced { facts }) => intake.take(facts).await,
            (Ok(Up { agent, sources, .. }), request) => {
                let lines = sources.iter().map(|status| source_line(&status.borrow()));
                request.perform(&agent, &lines.collect::<Vec<_>>())
            }
            (Err(reply), _) => reply,
        },
        Err(error) => Reply::Failed(format!("not a request: {error}")),
    };
    let mut bytes = serde_json::to_vec(&reply)?;
    bytes.push(b'\n');
    to.write_all(&bytes).await?;
    Ok(line.ends_with(b"\n"))
}

/// The printer that is meant, or the answer of one that cannot be asked.
fn found(seats: &[Seat], printer: Option<&Name>) -> Result<Up, Reply> {
    let Some(seat) = seats.iter().find(|seat| seat.name.as_ref() == printer) else {
        return Err(Reply::Failed(
            "the running agent has other printers than the settings name: restart it".to_owned(),
        ));
    };
    match &*seat.standing.borrow() {
        Standing::Up(up) => Ok(up.clone()),
        Standing::Down(why) => Err(Reply::Unusable(why.clone())),
    }
}

/// Asks the running agent; `printer` is the name of one of several.
///
/// # Errors
/// [`ControlError::NobodyListens`] when no agent runs; [`ControlError::NoAnswer`].
pub fn ask(
    socket: &Path,
    printer: Option<&Name>,
    request: &Request,
) -> Result<Reply, ControlError> {
    let question = Question { printer: printer.cloned(), request: request.clone() };
    let Ok(mut stream) = BlockingStream::connect(socket) else {
        return Err(ControlError::NobodyListens);
    };
    let converse = |stream: &mut BlockingStream| {
        stream.set_read_timeout(Some(REQUEST_WITHIN))?;
        let mut bytes = serde_json::to_vec(&question)?;
        bytes.push(b'\n');
        stream.write_all(&bytes)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    let line = converse(&mut stream).map_err(ControlError::NoAnswer)?;
    serde_json::from_str(&line).map_err(ControlError::OtherVersion)
}
