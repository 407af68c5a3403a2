//! A small HTTP server that answers by a function, misbehaves when told, and counts.
//!
//! HTTP/1.1 with kept connections, or one answer a connection as old servers do; over TLS where the
//! real one uses it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::ports;

/// A head that is longer is no request of a reader.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// So is a longer body.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method and target, such as `GET /api/v1/status`.
    pub line: String,
    /// The header `X-Api-Key`.
    pub key: Option<String>,
    /// The token of the header `Authorization`.
    pub bearer: Option<String>,
    /// What was sent along.
    pub body: String,
    /// When it was read.
    pub at: Instant,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// How the server treats requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As the function says.
    #[default]
    Answers,
    /// Reads and never answers.
    Hangs,
    /// Ends each connection in the middle of the body.
    Cuts,
    /// Bytes that are no HTTP.
    Babbles,
}

type Answer = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// Whether a connection is kept after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    Connection,
    Nothing,
}

#[derive(Debug, Default)]
struct Seen {
    behaviour: Behaviour,
    requests: Vec<Request>,
    connections: usize,
    open: usize,
    open_max: usize,
}

/// A running server; it ends when dropped.
pub struct HttpPrinter {
    port: u16,
    keeps: Keeps,
    answer: Answer,
    tls: Option<TlsAcceptor>,
    seen: Arc<Mutex<Seen>>,
    task: Option<JoinHandle<()>>,
}

impl Reply {
    /// Status 200 with JSON.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::status(200, value.to_string())
    }

    /// Any status with any body.
    pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn head(&self, keeps: Keeps) -> String {
        let version = if keeps == Keeps::Connection { "1.1" } else { "1.0" };
        let mut head = format!("HTTP/{version} {} Played\r\n", self.status);
        for (name, value) in &self.headers {
            head += &[name, ": ", value, "\r\n"].concat();
        }
        if self.status != 204 {
            head += &["Content-Length: ", &self.body.len().to_string(), "\r\n"].concat();
        }
        head + "\r\n"
    }
}

impl HttpPrinter {
    /// Starts any web server, one that is no printer.
    ///
    /// # Errors
    /// When no port is left.
    pub async fn web(
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start(Keeps::Connection, answer).await
    }

    pub(super) async fn start(
        keeps: Keeps,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_over(keeps, Arc::new(answer), None).await
    }

    pub(super) async fn start_tls(
        keeps: Keeps,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        tls: TlsAcceptor,
    ) -> io::Result<Self> {
        Self::start_over(keeps, Arc::new(answer), Some(tls)).await
    }

    async fn start_over(
        keeps: Keeps,
        answer: Answer,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut server = Self { port: 0, keeps, answer, tls, seen, task: None };
        server.listen(ports::loopback(0)).await?;
        Ok(server)
    }

    /// The base address, without a slash at the end.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Behaves so from the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.with(|seen| seen.behaviour = behaviour);
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.with(|seen| seen.requests.clone())
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.with(|seen| seen.connections)
    }

    /// How many connections were open at once.
    pub fn connections_at_once(&self) -> usize {
        self.with(|seen| seen.open_max)
    }

    /// Goes away with all its connections, as a program that ends.
    pub async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // It ends as cancelled, which is what was asked for.
            drop(task.await);
        }
        self.with(|seen| seen.open = 0);
    }

    /// Comes back at the same address.
    ///
    /// # Errors
    /// When the port was taken meanwhile.
    pub async fn start_again(&mut self) -> io::Result<()> {
        self.stop().await;
        self.listen(ports::loopback(self.port)).await
    }

    async fn listen(&mut self, at: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(at).await?;
        self.port = listener.local_addr()?.port();
        let (keeps, answer, seen) = (self.keeps, Arc::clone(&self.answer), Arc::clone(&self.seen));
        let tls = self.tls.clone();
        self.task = Some(tokio::spawn(async move {
            // Dropped with the task, and the connections with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen, tls) = (Arc::clone(&answer), Arc::clone(&seen), tls.clone());
                connections.spawn(async move {
                    count(&seen, |seen| {
                        seen.connections += 1;
                        seen.open += 1;
                        seen.open_max = seen.open_max.max(seen.open);
                    });
                    // A peer that goes away is no failure of the server.
                    drop(match tls {
                        None => serve(stream, keeps, &answer, &seen).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, keeps, &answer, &seen).await,
                            Err(refused) => Err(refused),
                        },
                    });
                    count(&seen, |seen| seen.open = seen.open.saturating_sub(1));
                });
            }
        }));
        Ok(())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        count(&self.seen, look)
    }
}

impl Drop for HttpPrinter {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn count<T>(seen: &Mutex<Seen>, look: impl FnOnce(&mut Seen) -> T) -> T {
    look(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    keeps: Keeps,
    answer: &Answer,
    seen: &Mutex<Seen>,
) -> io::Result<()> {
    while let Some(head) = read_head(&mut stream).await? {
        let mut body = vec![0; content_length(&head)];
        stream.read_exact(&mut body).await?;
        let request = Request {
            line: head.lines().next().unwrap_or_default().replace(" HTTP/1.1", ""),
            key: header(&head, "x-api-key"),
            bearer: header(&head, "authorization")
                .and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)),
            body: String::from_utf8_lossy(&body).into_owned(),
            at: Instant::now(),
        };
        let behaviour = count(seen, |seen| {
            seen.requests.push(request.clone());
            seen.behaviour
        });
        let reply = answer(&request);
        match behaviour {
            Behaviour::Answers => {
                stream.write_all(reply.head(keeps).as_bytes()).await?;
                stream.write_all(&reply.body).await?;
            }
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Cuts => {
                stream.write_all(reply.head(keeps).as_bytes()).await?;
                let half = reply.body.get(..reply.body.len() / 2).unwrap_or_default();
                return stream.write_all(half).await;
            }
            Behaviour::Babbles => return stream.write_all(b"\x00\xffno HTTP at all\r\n\r\n").await,
        }
        if keeps == Keeps::Nothing {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// Up to the empty line; `None` when the peer ended the connection.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

fn content_length(head: &str) -> usize {
    let length = header(head, "content-length").and_then(|length| length.parse().ok());
    length.unwrap_or(0).min(BODY_BYTES_MAX)
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(server: &HttpPrinter, path: &str) -> Option<(u16, String)> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("{}{path}", server.url())).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    #[tokio::test]
    async fn requests_and_connections_are_counted_and_a_restart_keeps_the_address() {
        let answer = |request: &Request| match request.line.as_str() {
            "GET /here" => Reply::json(&serde_json::json!({ "a": 1 })),
            _ => Reply::status(204, ""),
        };
        for (keeps, connections) in [(Keeps::Connection, 1), (Keeps::Nothing, 2)] {
            let mut server = HttpPrinter::start(keeps, answer).await.unwrap();
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            for _ in 0..2 {
                let url = format!("{}/here", server.url());
                let answer = client.get(url).header("X-Api-Key", "k").send().await.unwrap();
                assert_eq!(answer.text().await.unwrap(), "{\"a\":1}");
            }
            assert_eq!((server.requests().len(), server.connections()), (2, connections));
            assert_eq!(server.connections_at_once(), 1);
            assert_eq!(server.requests()[0].key.as_deref(), Some("k"));
            server.stop().await;
            assert_eq!(ask(&server, "/here").await, None);
            server.start_again().await.unwrap();
            assert_eq!(ask(&server, "/").await, Some((204, String::new())));
        }
    }

    #[tokio::test]
    async fn misbehaviour_is_seen_by_who_asks() {
        let server = HttpPrinter::start(Keeps::Connection, |_| Reply::status(200, "12345678"));
        let server = server.await.unwrap();
        for behaviour in [Behaviour::Cuts, Behaviour::Babbles] {
            server.behave(behaviour);
            assert_eq!(ask(&server, "/").await, None, "{behaviour:?}");
        }
        server.behave(Behaviour::Answers);
        assert_eq!(ask(&server, "/").await, Some((200, "12345678".to_owned())));
    }
}
