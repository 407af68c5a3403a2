//! `OctoPrint`: temperatures and job by polling, events by the push socket, with the least account.
//!
//! The socket is told not to send states **before** it is told who listens: `OctoPrint` sends the
//! last 300 terminal lines, moves included, to an account that may only read the status, and
//! nothing but this order stops it. The parser drops those messages as well. `OctoPrint` (1.11.8) keeps each
//! terminal line for a socket that takes no states until that socket ends, so each socket ends after a while:
//! a day's print would fill a small host's memory.

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

/// How long a push socket stays before the next takes its place. At 100 lines a second, each kept there and back,
/// `OctoPrint` then holds some 7 MB for it; a new socket costs it a login and a greeting.
const SOCKET_LIFE: Duration = Duration::from_mins(5);

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
    socket_life: Duration,
}

/// One connection to it.
struct Connection {
    http: Http,
    socket: Option<Socket>,
    /// When the socket was opened.
    opened: Instant,
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
            opened: Instant::now(),
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
        Self { settings, session, socket_life: SOCKET_LIFE }
    }

    /// Polls; opens the socket when it is due, also in the place of an old one.
    async fn tick(
        &mut self,
        connection: &mut Connection,
        link: &mut Link,
    ) -> Result<(), SourceError> {
        let said = self.poll(connection).await?;
        link.connected(ReadingSource::Octoprint).await?;
        link.tell(said).await?;
        if connection.socket.is_some() && connection.opened.elapsed() >= self.socket_life {
            connection.socket = None;
            connection.socket_due = Instant::now();
            self.session.socket_closed();
        }
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
                connection.opened = connection.heard;
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, LazyLock};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::{mpsc, watch};

    use super::super::{SourceKind, SourceState, SourceStatus};
    use super::*;
    use crate::reading::UnixSeconds;

    /// What a played `OctoPrint` saw: looks, push sockets, and those of them that ended.
    #[derive(Default)]
    struct Seen {
        looks: AtomicUsize,
        opened: AtomicUsize,
        ended: AtomicUsize,
    }

    /// An `OctoPrint` that has no printer and says nothing on its push sockets.
    async fn play(listener: TcpListener, seen: &'static Seen) {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while matches!(stream.peek(&mut bytes).await, Ok(1..8)) {
                    tokio::task::yield_now().await;
                }
                if bytes.starts_with(b"GET /soc") {
                    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                    seen.opened.fetch_add(1, Ordering::SeqCst);
                    while let Some(Ok(_)) = socket.next().await {}
                    seen.ended.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                    let request = String::from_utf8_lossy(&bytes[..length]);
                    let (status, body) = match request.split(' ').nth(1) {
                        Some("/api/login") => ("200 OK", r#"{"name":"n","session":"s"}"#),
                        Some("/api/job") => ("200 OK", "{}"),
                        Some(_) if request.contains("\r\n\r\n") => ("409 Conflict", ""),
                        // The rest of a request.
                        _ => continue,
                    };
                    seen.looks.fetch_add(usize::from(status == "409 Conflict"), Ordering::SeqCst);
                    let length = body.len();
                    let text =
                        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    }

    /// Reads a played `OctoPrint` with sockets of this life until `enough`.
    async fn read(life: Duration, seen: &'static Seen, enough: impl Fn() -> bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(play(listener, seen));
        let settings = format!("url = \"{url}\"\napi_key = \"k\"\npoll_seconds = 1");
        let mut reader = Reader::new(toml::from_str(&settings).unwrap());
        reader.socket_life = life;
        let (out, _readings) = mpsc::channel(256);
        let kind = SourceKind::OctoPrint;
        let state = SourceState::Starting;
        let status = SourceStatus { kind, address: url, state, advice: None };
        let (status, _) = watch::channel(status);
        let mut link = Link::new(out, Arc::new(|| UnixSeconds(0)), status);
        let until = async {
            while !enough() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            failed = reader.read(&mut link) => panic!("{failed:?}"),
            done = tokio::time::timeout(Duration::from_mins(1), until) => done.unwrap(),
        }
    }

    #[tokio::test]
    async fn an_old_socket_ends_and_another_takes_its_place_and_a_young_one_stays() {
        static OLD: LazyLock<Seen> = LazyLock::new(Seen::default);
        static YOUNG: LazyLock<Seen> = LazyLock::new(Seen::default);
        read(Duration::ZERO, &OLD, || OLD.ended.load(Ordering::SeqCst) >= 2).await;
        assert!(OLD.opened.load(Ordering::SeqCst) >= 3);
        read(SOCKET_LIFE, &YOUNG, || YOUNG.looks.load(Ordering::SeqCst) >= 4).await;
        assert_eq!(YOUNG.opened.load(Ordering::SeqCst), 1);
    }

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
            opened: Instant::now(),
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
