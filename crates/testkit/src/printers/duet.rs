//! A Duet's HTTP server with its sessions and an object model, from its documented requests.
//!
//! Keeps true: without a session a question is answered 401, sessions are few, and what was asked
//! is kept, so that a test can count. It is no `RepRapFirmware`: the model is what the test sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::peers::PeerError;

/// Longest head of a request that is read, bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Length of an answer that no client needs, bytes.
const OVERSIZE: usize = 2 * 1024 * 1024;

/// How it answers `rr_model`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuetMood {
    /// As documented.
    #[default]
    Well,
    /// Never.
    Slow,
    /// With something that is not of the documented form.
    Malformed,
    /// With more than anybody needs.
    Oversize,
}

/// What it has and what it was asked.
#[derive(Debug, Default)]
struct Shared {
    password: Option<String>,
    model: BTreeMap<String, Value>,
    sessions: BTreeSet<u64>,
    sessions_max: usize,
    sessions_peak: usize,
    last: u64,
    mood: DuetMood,
    asked: Vec<String>,
}

/// A board that runs; ends when dropped.
#[derive(Debug)]
pub struct PlayedDuet {
    port: u16,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl Drop for PlayedDuet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PlayedDuet {
    /// Starts a board on a loopback port, with its password and eight sessions.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(password: Option<&str>) -> Result<Self, PeerError> {
        let shared =
            Shared { password: password.map(str::to_owned), sessions_max: 8, ..Shared::default() };
        let shared = Arc::new(Mutex::new(shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(listening)?;
        let port = listener.local_addr().map_err(listening)?.port();
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, task })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sets what a key of the model shows.
    pub fn show(&self, key: &str, value: Value) {
        self.shared().model.insert(key.to_owned(), value);
    }

    /// Sets how it answers from now on.
    pub fn mood(&self, mood: DuetMood) {
        self.shared().mood = mood;
    }

    /// Sets how many sessions it has.
    pub fn sessions_max(&self, count: usize) {
        self.shared().sessions_max = count;
    }

    /// Forgets all sessions, as a restart does.
    pub fn forget_sessions(&self) {
        self.shared().sessions.clear();
    }

    /// How many sessions are open, and how many were at most.
    pub fn sessions(&self) -> (usize, usize) {
        let shared = self.shared();
        (shared.sessions.len(), shared.sessions_peak)
    }

    /// Paths and queries that were asked, in order.
    pub fn asked(&self) -> Vec<String> {
        self.shared().asked.clone()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listening(source: std::io::Error) -> PeerError {
    PeerError::run("a Duet's server", source)
}

async fn serve(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A client that goes away is its own affair.
            answer(stream, &shared).await.unwrap_or_default();
        });
    }
}

async fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let session = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("x-session-key").then(|| value.trim().parse().ok())?
    });
    let (status, body) = lock(shared).answer(path, session);
    let Some(body) = body else {
        // Silent until the client goes.
        return stream.read_u8().await.map(drop);
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await
}

impl Shared {
    /// Status and body; no body is no answer.
    fn answer(&mut self, path: &str, session: Option<u64>) -> (u16, Option<String>) {
        self.asked.push(path.to_owned());
        let Ok(url) = Url::parse("http://duet").and_then(|url| url.join(path)) else {
            return (400, Some(String::new()));
        };
        let parameter = |name: &str| {
            url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        match url.path() {
            "/rr_connect" => {
                (200, Some(self.connect(parameter("password").as_deref()).to_string()))
            }
            _ if session.is_none_or(|key| !self.sessions.contains(&key)) => {
                (401, Some(String::from("<html>planted-jane-doe</html>")))
            }
            "/rr_disconnect" => {
                let known = session.is_some_and(|key| self.sessions.remove(&key));
                (200, Some(json!({ "err": u32::from(!known) }).to_string()))
            }
            "/rr_model" => self.model(&parameter("key").unwrap_or_default()),
            _ => (404, Some(String::from("planted-jane-doe"))),
        }
    }

    fn connect(&mut self, password: Option<&str>) -> Value {
        // What a client does not say is the firmware's own default.
        let expected = self.password.as_deref().unwrap_or("reprap");
        if password.unwrap_or("reprap") != expected {
            return json!({ "err": 1 });
        }
        if self.sessions.len() >= self.sessions_max {
            return json!({ "err": 2 });
        }
        self.last += 1;
        self.sessions.insert(self.last);
        self.sessions_peak = self.sessions_peak.max(self.sessions.len());
        json!({ "err": 0, "sessionTimeout": 8000, "boardType": "duet3mini5plus_wifi",
            "apiLevel": 2, "sessionKey": self.last })
    }

    fn model(&self, key: &str) -> (u16, Option<String>) {
        match self.mood {
            DuetMood::Slow => (200, None),
            DuetMood::Malformed => (200, Some(String::from("{\"key\": planted-jane-doe"))),
            DuetMood::Oversize => (200, Some("x".repeat(OVERSIZE))),
            DuetMood::Well => {
                let result = self.model.get(key).cloned().unwrap_or_default();
                let body = json!({ "key": key, "flags": "d99vn", "result": result });
                (200, Some(body.to_string()))
            }
        }
    }
}
