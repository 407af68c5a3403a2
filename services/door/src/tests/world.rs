//! A small lake, a door before it with a clock of its own, and a client that sends whatever bytes it is given.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use imprimatur_consent::{Category, Digest, Pseudonym};
use imprimatur_lake::{AnswerCount, Catalogue, Coverage, Lake, LogState, Overview, Row, Word};
use imprimatur_proto::contract;
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_query::{Engine, EngineSettings, ROWS_DEFAULT, ReleaseRequest, Released};
use imprimatur_runtime::clock::ManualClock;
use imprimatur_runtime::{Clock, UnixSeconds, UtcDate};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::{DoorSettings, Role, Running, tokens};

/// An hour of 15 January 2027.
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// What a peer was answered.
#[derive(Clone, Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Response {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }

    #[track_caller]
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its status and code.
    #[track_caller]
    pub(super) fn refusal(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!((&json["type"], &json["status"]), (&"about:blank".into(), &self.status.into()));
        (self.status, json["code"].as_str().unwrap().to_owned())
    }
}

/// A door before a lake, with a token of each role.
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) clock: Arc<ManualClock>,
    pub(super) address: SocketAddr,
    pub(super) grpc: SocketAddr,
    tokens: BTreeMap<Role, String>,
    running: Running,
    stop: CancellationToken,
}

impl World {
    /// With rates that no test reaches by accident.
    pub(super) async fn new() -> Self {
        Self::with(|settings| {
            settings.limits.with_token.burst = 1_000_000;
            settings.limits.without.burst = 1_000_000;
        })
        .await
    }

    pub(super) async fn with(change: impl FnOnce(&mut DoorSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        publish(&folder.path().join("lake"));
        let clock = ManualClock::at(NOW);
        let mut settings =
            DoorSettings::new(folder.path().to_owned(), SocketAddr::from(([127, 0, 0, 1], 0)));
        settings.grpc = Some(settings.listen);
        change(&mut settings);
        let stop = CancellationToken::new();
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let running = crate::start(settings, shared, stop.clone()).await.unwrap();
        let make = |role: Role| {
            (role, tokens::create(folder.path(), role.name(), role, 30, clock.today()).unwrap())
        };
        let tokens = Role::ALL.map(make).into();
        let grpc = running.grpc.unwrap();
        Self { address: running.address, grpc, folder, clock, tokens, running, stop }
    }

    pub(super) fn token(&self, role: Role) -> String {
        self.tokens[&role].clone()
    }

    /// The name of a release of November, made as the operator makes one on the host.
    pub(super) async fn release(&self) -> String {
        let (data, now) = (self.folder.path(), self.clock.now());
        let engine = Engine::open(&data.join("lake"), EngineSettings::default()).unwrap();
        let request = ReleaseRequest {
            metric: "print_count".to_owned(),
            month: "2026-11".to_owned(),
            by: None,
            filter: None,
            epsilon: None,
            rows: ROWS_DEFAULT,
        };
        let released = Released::new(&data.join("lake"), &data.join("query/released"));
        let made = Box::pin(released.make(&engine, &request, None, now)).await.unwrap();
        made.release.id.to_string()
    }

    /// Lets somebody withdraw a category, as the next publication tells it.
    pub(super) fn withdrawn(&self, category: Category) {
        let lake = self.folder.path().join("lake");
        let mut catalogue = Catalogue::load(&lake).unwrap();
        *catalogue.excluded_at.entry(category).or_default() += 1;
        catalogue.store(&lake).unwrap();
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.running.ended().await.unwrap();
    }

    /// A request with a token, or without any.
    pub(super) async fn get(&self, target: &str, token: &str) -> Response {
        let bearer = format!("authorization: Bearer {token}\r\n");
        self.send("GET", target.as_bytes(), if token.is_empty() { "" } else { &bearer }).await
    }

    /// Any request.
    pub(super) async fn send(&self, method: &str, target: &[u8], headers: &str) -> Response {
        let rest = format!(" HTTP/1.1\r\nhost: door\r\nconnection: close\r\n{headers}\r\n");
        let head = [method.as_bytes(), b" ", target, rest.as_bytes()].concat();
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(&head).await.unwrap();
        let mut answer = Vec::new();
        // What came before a reset counts.
        let read = socket.read_to_end(&mut answer).await;
        assert!(read.is_ok() || !answer.is_empty(), "{read:?}");
        Response::read(&answer)
    }
}

/// 40 prints of PLA and 25 failed ones, 35 of PETG, 3 of TPU; each of another principal.
fn publish(folder: &Path) {
    let mut rows = Vec::new();
    let mut prints = |count: u8, date: &str, values: &[(&str, u32)]| {
        rows.extend((1..=count).map(|number| row(RecordKind::Print, number, date, values)));
    };
    prints(40, "2026-11-21", &[("status_outcome", 1), ("material_family", 1)]);
    prints(35, "2026-11-22", &[("status_outcome", 1), ("material_family", 2)]);
    prints(3, "2026-11-22", &[("status_outcome", 3), ("material_family", 5)]);
    std::fs::create_dir_all(folder).unwrap();
    write(folder, rows);
    overview().store(folder).unwrap();
}

/// In place of them in a data folder prints and days of 60 extruding printers and 60 with a laser: outcomes, faults,
/// durations, temperatures and lasers.
pub(super) fn fill_all(folder: &Path) {
    let mut rows = Vec::new();
    for number in 1..=120 {
        let (machine, laser) = match number {
            ..=60 => (12, Vec::new()),
            _ => (131, vec![("laser_life_hours", 3), ("laser_calibration_ratio", 10)]),
        };
        for (date, duration) in [("2026-11-12", 4), ("2026-11-21", 6)] {
            let day = [vec![("machine_model", machine)], laser.clone()].concat();
            rows.push(row(RecordKind::Day, number, date, &day));
            let print = &[
                ("status_outcome", 1),
                ("print_time_completed_duration", duration),
                ("temperature_nozzle_excursion", 1),
            ];
            rows.push(row(RecordKind::Print, number, date, print));
            let fault = &[("status_outcome", 3), ("faults_family", 1)];
            rows.push(row(RecordKind::Print, number, date, fault));
        }
    }
    write(&folder.join("lake"), rows);
}

/// A lake of these rows, whose principals are all enrolled.
fn write(folder: &Path, mut rows: Vec<Row>) {
    let mut catalogue = Catalogue::empty(NOW);
    for (commit, row) in (0_u64..).zip(&mut rows) {
        row.commit = commit;
        catalogue.enrolled.insert(row.principal);
    }
    catalogue.files = Lake::open(folder).unwrap().write(&rows).unwrap();
    catalogue.store(folder).unwrap();
}

/// 60 principals, of whom 45 share one category and 22 another.
fn overview() -> Overview {
    let coverage = |category, principals| Coverage {
        category,
        policy: Digest([0xab; 32]),
        version: 3,
        principals,
    };
    let word = |text| Word::of(text).unwrap();
    let date = |text: &str| text.parse().unwrap();
    Overview {
        published: NOW,
        position: 9,
        synthetic: true,
        principals: 60,
        coverage: vec![coverage(Category::Status, 45), coverage(Category::Material, 22)],
        answers: vec![AnswerCount {
            date: date("2026-11-21"),
            outcome: word("refused"),
            reason: word("no_grant"),
            count: 3,
        }],
        batches_waiting: 1,
        requests: vec![imprimatur_lake::Request {
            received: date("2026-11-20"),
            kind: word("erase"),
            due: date("2026-12-20"),
            done: None,
            held: false,
        }],
        log: LogState { size: 9, root: Digest([0xcd; 32]), checkpoint: "a note".to_owned() },
    }
}

fn row(kind: RecordKind, number: u8, date: &str, values: &[(&str, u32)]) -> Row {
    let date: UtcDate = date.parse().unwrap();
    let mut sections: BTreeMap<Category, Section> = BTreeMap::new();
    for (column, index) in values {
        let field = contract().column(kind, column).unwrap();
        let category = contract().rule(field).category.unwrap();
        let section = sections.entry(category);
        let section = section.or_insert(Section { category, values: Vec::new() });
        section.values.push((field, *index));
    }
    let pseudonym =
        |what: u8| Pseudonym([what, number, 11, 0xab, 0xcd, 0xef, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
    Row {
        kind,
        date,
        epoch: date.month(),
        commit: 0,
        ordinal: 0,
        subject: pseudonym(1),
        principal: pseudonym(2),
        sections: sections.into_values().collect(),
    }
}
