//! `OctoPrint`: temperatures and job by polling, events by the push socket, with the least account.
//!
//! The socket is told not to send states **before** it is told who listens: `OctoPrint` sends the
//! last 300 terminal lines, moves included, to an account that may only read the status, and
//! nothing but this order stops it. The parser drops those messages as well.

pub mod session;
pub mod settings;
pub mod wire;

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use imprimatur_proto::telemetry::v1::ReadingSource;
use imprimatur_runtime::entropy::Backoff;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use self::session::Session;
use self::settings::OctoPrintSettings;
use self::wire::{EVENTS, JobAnswer, Login, Printer, Push};
use super::error::SourceError;
use super::http::{self, Answer, Http};
use super::link::{Link, Read, WAIT_MAX, WAIT_MIN};
use crate::reading::Said;

/// Name in messages.
const PEER: &str = "OctoPrint";

/// `OctoPrint` sends a heartbeat by itself; a socket that is silent for so long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// What to do about a refused key.
const REMEDY: &str = "make a key of an account with the single permission STATUS";

/// What to do about a key that is taken and could do harm in other hands.
const ADVICE: &str = "its key can do more than read: \
    make a key of an account with the single permission STATUS";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Reads one `OctoPrint`.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: OctoPrintSettings,
    session: Session,
}

/// One connection to it.
struct Connection {
    http: Http,
    socket: Option<Socket>,
    /// When the socket said something last.
    heard: Instant,
    socket_due: Instant,
    socket_backoff: Backoff,
}

impl Read for Reader {
    fn address(&self) -> String {
        self.settings.address.to_string()
    }

    async fn read(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let mut connection = Connection {
            http: Http::new(PEER, REMEDY, Some(self.settings.key.read().await?))?,
            socket: None,
            heard: Instant::now(),
            socket_due: Instant::now(),
            socket_backoff: Backoff::new(WAIT_MIN, WAIT_MAX),
        };
        self.session.socket_closed();
        let mut ticks = interval(self.settings.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                _ = ticks.tick() => None,
                event = connection.next_push() => Some(event),
            };
            match event {
                None => self.tick(&mut connection, link).await?,
                Some(Some(Push::Reauthenticate) | None) => {
                    connection.drop_socket();
                    self.session.socket_closed();
                }
                Some(Some(push)) => link.tell(self.session.on_push(push)).await?,
            }
        }
    }
}

impl Reader {
    pub(crate) fn new(settings: OctoPrintSettings) -> Self {
        let session = Session::new(settings.material);
        Self { settings, session }
    }

    /// Polls; opens the socket when it is due.
    async fn tick(
        &mut self,
        connection: &mut Connection,
        link: &mut Link,
    ) -> Result<(), SourceError> {
        let said = self.poll(connection).await?;
        link.connected(ReadingSource::Octoprint).await?;
        link.tell(said).await?;
        if connection.socket.is_none() && Instant::now() >= connection.socket_due {
            self.open(connection, link).await?;
        }
        Ok(())
    }

    async fn poll(&mut self, connection: &Connection) -> Result<Vec<Said>, SourceError> {
        let (http, address) = (&connection.http, &self.settings.address);
        let printer = match http.get(address.http("api/printer?exclude=sd")).await? {
            Answer::Body(body) => {
                Some(Printer::parse(&body).ok_or(SourceError::Malformed { peer: PEER })?)
            }
            // Not operational: a normal answer.
            Answer::Conflict => None,
        };
        let job = match http.get(address.http("api/job")).await? {
            Answer::Body(body) => {
                JobAnswer::parse(&body).ok_or(SourceError::Malformed { peer: PEER })?
            }
            Answer::Conflict => JobAnswer::default(),
        };
        Ok(self.session.on_poll(printer.as_ref(), &job))
    }

    /// Opens the push socket; without it the polled state has to do, so that only a refusal of the
    /// key is an error here.
    async fn open(&mut self, connection: &mut Connection, link: &Link) -> Result<(), SourceError> {
        match self.try_open(connection, link).await {
            Ok(socket) => {
                connection.socket = Some(socket);
                connection.heard = Instant::now();
                connection.socket_backoff.reset();
                self.session.socket_opened();
                Ok(())
            }
            Err(error @ SourceError::Refused { .. }) => Err(error),
            Err(error) => {
                tracing::debug!(reason = %error, "push socket is not available, polling alone");
                connection.drop_socket();
                Ok(())
            }
        }
    }

    async fn try_open(&self, connection: &Connection, link: &Link) -> Result<Socket, SourceError> {
        let address = &self.settings.address;
        let passive = serde_json::json!({ "passive": true });
        let login = match connection.http.post(address.http("api/login"), &passive).await? {
            Answer::Body(body) => {
                Login::parse(&body).ok_or(SourceError::Malformed { peer: PEER })?
            }
            Answer::Conflict => return Err(SourceError::Malformed { peer: PEER }),
        };
        link.advise(login.may_do_more().then_some(ADVICE));
        let mut socket = http::socket(&address.socket("sockjs/websocket")).await?;
        for text in greeting(&login) {
            socket.send(Message::text(text)).await.map_err(|_closed| SourceError::Closed)?;
        }
        Ok(socket)
    }
}

impl Connection {
    /// The next event; `None` when the socket ended; never when there is no socket.
    async fn next_push(&mut self) -> Option<Push> {
        let Some(open) = &mut self.socket else { return std::future::pending().await };
        // Polls interrupt the wait, so that it must not count from its own start.
        let next = timeout_at(self.heard + SILENCE_MAX, open.next()).await;
        self.heard = Instant::now();
        match next {
            Ok(Some(Ok(Message::Text(text)))) => Some(wire::push(text.as_bytes())),
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => None,
            Ok(Some(Ok(_))) => Some(Push::Nothing),
        }
    }

    fn drop_socket(&mut self) {
        self.socket = None;
        self.socket_due = Instant::now() + self.socket_backoff.wait();
    }
}

/// What the agent says on the push socket, in this order: first what it does not want, then who
/// it is. `state: false` is what keeps the terminal's lines away.
pub fn greeting(login: &Login) -> [String; 2] {
    let subscribe = serde_json::json!({
        "subscribe": { "state": false, "events": EVENTS, "plugins": false }
    });
    let auth = serde_json::json!({ "auth": format!("{}:{}", login.name, login.session) });
    [subscribe.to_string(), auth.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_socket_ends_however_often_a_poll_interrupts_the_wait() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("ws://{}/", listener.local_addr().unwrap());
        let silent = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let open = tokio_tungstenite::accept_async(stream).await.unwrap();
            std::future::pending::<()>().await;
            drop(open);
        });
        let (socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
        let nearly = SILENCE_MAX.checked_sub(Duration::from_millis(60)).unwrap();
        let mut connection = Connection {
            http: Http::new(PEER, REMEDY, None).unwrap(),
            socket: Some(socket),
            // The silence is nearly long enough already.
            heard: Instant::now().checked_sub(nearly).unwrap(),
            socket_due: Instant::now(),
            socket_backoff: Backoff::new(WAIT_MIN, WAIT_MAX),
        };
        let mut polls = 0;
        while polls < 200 {
            match tokio::time::timeout(Duration::from_millis(20), connection.next_push()).await {
                Ok(event) => {
                    assert_eq!(event, None);
                    break;
                }
                Err(_poll) => polls += 1,
            }
        }
        assert!((1..200).contains(&polls), "{polls}");
        silent.abort();
    }
}
