//! Tests of several printers in one process: what each has for itself, against a small broker.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use imprimatur_consent::{Category, Flag, SubjectId};
use imprimatur_runtime::UnixSeconds;
use imprimatur_runtime::clock::ManualClock;

use super::*;
use crate::control::{Reply, Request};
use crate::core::tests::{Collector, print};
use crate::core::{Overview, Preview, PreviewKind};
use crate::store::StoreError;
use crate::uplink::tests::{Wire, until};

/// A host with printers `a`, `b` and `c`, each with a folder that its slicer writes to.
struct Farm {
    folder: tempfile::TempDir,
    collector: Collector,
    config: Config,
}

impl Farm {
    fn new(port: u16, lines: &str) -> Self {
        let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::new());
        let root = folder.path().display();
        let key = collector.key();
        let mut text = format!(
            "data_dir = \"{root}/data\"\ndeny = [\"identity\"]\n[collector]\nkey = \"{key}\"\n\
             broker = \"mqtt://127.0.0.1:{port}\"\n"
        );
        for name in ["a", "b", "c"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            let more = if name == "b" { lines } else { "" };
            write!(
                text,
                "[[printer]]\nname = \"{name}\"\n{more}\n[[printer.source]]\nkind = \"gcode\"\n\
                 folder = \"{root}/{name}\"\npoll_seconds = 1\n"
            )
            .unwrap();
        }
        let config = Config::from_toml(&text).unwrap();
        Self { folder, collector, config }
    }

    fn printer(&self, name: &str) -> PrinterSettings {
        let named = |p: &&PrinterSettings| p.name.as_ref().unwrap().to_string() == name;
        self.config.printers.iter().find(named).unwrap().clone()
    }

    fn store(&self, name: &str) -> Agent {
        open(&self.printer(name)).unwrap()
    }

    /// Asks the running agent; `None` when nobody listens yet.
    async fn try_ask(&self, name: &str, request: Request) -> Option<Reply> {
        let (socket, name) = (self.config.data_dir.join(control::SOCKET), name.parse().unwrap());
        let asked = move || control::ask(&socket, Some(&name), &request);
        tokio::task::spawn_blocking(asked).await.unwrap().ok()
    }

    async fn ask(&self, name: &str, request: Request) -> Reply {
        self.try_ask(name, request).await.unwrap()
    }

    async fn overview(&self, name: &str) -> Overview {
        let Reply::Overview(overview) = self.ask(name, Request::Show {}).await else { panic!() };
        *overview
    }

    async fn grant(&self, name: &str, categories: &[Category]) -> Reply {
        let (categories, policy) = (categories.to_vec(), self.config.policy.hash);
        self.ask(name, Request::Grant { categories, token: None, policy }).await
    }

    /// Slices so many files for a printer.
    fn slice(&self, name: &str, files: usize, like: &str) {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/slicers");
        for number in 0..files {
            let file = self.folder.path().join(name).join(format!("{number}.gcode"));
            fs::copy(format!("{fixtures}/{like}"), file).unwrap();
        }
    }

    /// Waits until a printer's preview has this; gives it.
    async fn preview(&self, name: &str, what: &str, has: impl Fn(&Preview) -> bool) -> Preview {
        for _ in 0..4000 {
            let Reply::Preview(preview) = self.ask(name, Request::Preview {}).await else {
                panic!()
            };
            if has(&preview) {
                return preview;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{what}")
    }
}

/// The value of a field, as it is on the wire.
fn value(preview: &Preview, field: &str) -> Option<String> {
    preview.rows.iter().find(|row| row.field == field).map(|row| row.value.clone())
}

fn granted(overview: &Overview) -> Vec<Category> {
    let granted = overview.categories.iter().filter(|state| state.flag == Flag::Granted);
    granted.map(|state| state.category).collect()
}

/// Makes a store with a yes in it and damages it.
fn damage(farm: &Farm, name: &str) {
    farm.store(name).grant(&[Category::Slicing], None).unwrap();
    let file = farm.printer(name).agent.data_dir.join("store/db");
    // sled gives its file up a little later than the store is closed.
    for _ in 0..1000 {
        if fs::File::open(&file).unwrap().try_lock().is_ok() {
            break;
        }
        std::thread::yield_now();
    }
    fs::write(&file, "garbage").unwrap();
}

fn events(wire: &Wire, subject: SubjectId) -> usize {
    let topic = format!("imprimatur/v1/{subject}/consent");
    wire.look(|seen| seen.published.iter().filter(|one| one.topic == topic.as_bytes()).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn printers_share_a_process_and_nothing_else() {
    let collector = Collector::new();
    let wire = Wire::start(&collector).await;
    let farm = Farm::new(wire.port, "deny = [\"laser\"]");
    assert_eq!(farm.collector.key(), collector.key(), "of the same seed");
    damage(&farm, "c");
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(farm.config.clone(), stop.clone()));
    while farm.try_ask("a", Request::Show {}).await.is_none() {
        assert!(!task.is_finished(), "the agent does not start");
    }

    let Reply::Unusable(why) = farm.ask("c", Request::Show {}).await else { panic!() };
    assert!(why.contains("wipe --force --printer c") && why.contains("to repair"), "{why}");
    assert_eq!(farm.ask("c", Request::Sources {}).await, Reply::Unusable(why));
    let both = [Category::Slicing, Category::Status];
    assert!(matches!(farm.grant("a", &both).await, Reply::Granted { .. }));
    assert!(matches!(farm.grant("b", &both[..1]).await, Reply::Granted { .. }));
    assert!(
        matches!(farm.grant("a", &[Category::Identity]).await, Reply::No(_)),
        "the host denies"
    );
    assert!(matches!(farm.grant("b", &[Category::Laser]).await, Reply::No(_)), "denied there");
    assert!(matches!(farm.grant("c", &both).await, Reply::Unusable(_)));
    until("a consent event of each", || wire.look(|seen| seen.published.len() == 2)).await;
    while !(farm.overview("a").await.confirmed && farm.overview("b").await.confirmed) {}
    let (a, b) = (farm.overview("a").await, farm.overview("b").await);
    assert_eq!((granted(&a), granted(&b)), (both.to_vec(), both[..1].to_vec()));
    let (sa, sb) = (a.subject.unwrap(), b.subject.unwrap());
    assert!(sa != sb && a.principal != b.principal, "a subject and a key for each");
    let mut clients: Vec<_> =
        wire.look(|s| s.connects.iter().map(|c| c.client_id.clone()).collect());
    clients.sort();
    let mut expected = vec![sa.to_string(), sb.to_string()];
    expected.sort();
    assert_eq!(clients, expected, "a connection for each that has something to say");
    assert_eq!((events(&wire, sa), events(&wire, sb)), (1, 1));

    farm.slice("a", 1, "prusaslicer-2.5.0-full-config.header.gcode");
    farm.slice("b", 5, "curaengine-4.13.0-cli-ultimaker2.header.gcode");
    let told = farm.preview("a", "one slice", |p| value(p, "slices").is_some()).await;
    assert_eq!(value(&told, "slices").as_deref(), Some("1"));
    let slicer = value(&told, "slicer");
    let several = |p: &Preview| value(p, "slices").is_some_and(|slices| slices != "1");
    let told = farm.preview("b", "five slices", several).await;
    assert!(value(&told, "slicer") != slicer, "{told:?}");
    let again = farm.preview("a", "as before", |p| value(p, "slices").is_some()).await;
    assert_eq!((value(&again, "slices").as_deref(), value(&again, "slicer")), (Some("1"), slicer));

    let gone = farm.ask("b", Request::Withdraw { categories: None }).await;
    assert_eq!(gone, Reply::Withdrawn(both[..1].to_vec()));
    until("b's withdrawal is said", || events(&wire, sb) == 2).await;
    assert_eq!((events(&wire, sa), granted(&farm.overview("a").await)), (1, both.to_vec()));
    assert_eq!(farm.overview("a").await.subject, Some(sa));
    stop.cancel();
    assert_eq!(task.await.unwrap().unwrap(), Stopped::Drained);

    // A conversation that is being ended may hold the stores a little longer.
    until("the stores are given up", || {
        ["a", "b"].iter().all(|name| open(&farm.printer(name)).is_ok())
    })
    .await;
    let store = |name: &str| farm.store(name).show().unwrap();
    assert_eq!((store("a").reports_pending, store("b").reports_pending), (1, 0));
    assert!(open(&farm.printer("c")).is_err(), "nothing was begun where nothing can be read");
    let mine = farm.store("a").preview().unwrap();
    assert_eq!((mine.kind, value(&mine, "slices").as_deref()), (PreviewKind::NotSealed, Some("1")));
}

#[tokio::test]
async fn an_agent_none_of_whose_printers_can_be_used_does_not_start() {
    let farm = Farm::new(1, "");
    for name in ["a", "b", "c"] {
        damage(&farm, name);
    }
    let stop = CancellationToken::new();
    let error = run(farm.config.clone(), stop).await.unwrap_err();
    let AppError::Agent { printer: Some(name), .. } = error else { panic!("{error:?}") };
    assert_eq!(name.to_string(), "a");
    assert!(!farm.config.data_dir.join(control::SOCKET).exists());
}

#[tokio::test]
async fn a_printer_that_was_repaired_runs_again_without_a_restart() {
    let farm = Farm::new(1, "");
    damage(&farm, "b");
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let shared = Shared {
        uplink: None,
        seal_after: SealAfter::Day,
        retry_every: Duration::from_millis(5),
        tasks: tasks.clone(),
        stop: stop.clone(),
    };
    let (seats, up) = seats(&shared, farm.config.printers.clone()).unwrap();
    assert_eq!((seats.len(), up), (3, 2));
    let mut standing = seats[1].standing.clone();
    assert!(matches!(&*standing.borrow(), Standing::Down(why) if why.contains("--printer b")));
    crate::store::wipe(&farm.printer("b").agent.data_dir).unwrap();
    let up = standing.wait_for(|standing| matches!(standing, Standing::Up(_))).await.unwrap();
    let Standing::Up(Up { agent, .. }) = &*up else { panic!() };
    assert!(granted(&agent.show().unwrap()).is_empty(), "a new store, a new question");
    drop(up);
    assert_eq!(stop_within(&stop, &tasks, GRACE).await, Stopped::Drained);
}

#[test]
fn one_printers_full_spool_takes_nothing_from_another() {
    let farm = Farm::new(1, "spool_bytes_max = 2048");
    let clock = ManualClock::at(UnixSeconds(1_795_300_000));
    let opened = |name: &str| {
        let clock: Arc<dyn imprimatur_runtime::Clock> = Arc::<ManualClock>::clone(&clock);
        let agent = Agent::open(farm.printer(name).agent, clock).unwrap();
        agent.grant(&[Category::Status], None).unwrap();
        agent
    };
    let (a, b) = (opened("a"), opened("b"));
    for _ in 0..6 {
        clock.advance(Duration::from_mins(1));
        let now = imprimatur_runtime::Clock::now(&*clock);
        for agent in [&a, &b] {
            agent.record_print(&print(now.date()), now).unwrap();
            agent.seal_all().unwrap();
        }
    }
    let (a, b) = (a.show().unwrap(), b.show().unwrap());
    assert_eq!((b.counts.sealed, b.counts.dropped, b.spool_bytes), (6, 2, 2048));
    assert_eq!((a.counts.sealed, a.counts.dropped, a.batches_waiting), (6, 0, 6));
}

#[test]
fn the_folder_of_several_is_held_by_one_process_and_is_not_that_of_one() {
    let farm = Farm::new(1, "");
    let held = Host::hold(&farm.config).unwrap();
    let again = Host::hold(&farm.config);
    assert!(matches!(again, Err(HostError::Store(StoreError::InUse))), "{again:?}");
    drop(held);
    farm.store("a").grant(&[Category::Status], None).unwrap();
    let mode = |place: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(place).unwrap().permissions().mode() & 0o777
    };
    let data = &farm.config.data_dir;
    assert_eq!((mode(data), mode(&data.join("printers"))), (0o700, 0o700));
    assert_eq!(mode(&farm.printer("a").agent.data_dir), 0o700);
    assert!(host::strays(&farm.config).is_empty());
    let alone = Config { printers: vec![farm.printer("b")], ..farm.config.clone() };
    assert_eq!(host::strays(&alone).into_iter().map(String::from).collect::<Vec<_>>(), ["a"]);

    let one = Config::from_toml(&format!("data_dir = \"{}\"", data.display())).unwrap();
    let agent = open(&one.printers[0]).unwrap();
    agent.grant(&[Category::Faults], None).unwrap();
    let subject = agent.show().unwrap().subject;
    drop(agent);
    assert!(matches!(Host::hold(&farm.config), Err(HostError::OfOne)));
    let place = farm.printer("c").agent.data_dir;
    fs::create_dir(&place).unwrap();
    for name in ["store", "tally"] {
        fs::rename(data.join(name), place.join(name)).unwrap();
    }
    Host::hold(&farm.config).unwrap();
    assert_eq!(farm.store("c").show().unwrap().subject, subject, "moved as the error says");
}

#[test]
fn a_file_with_every_key_grants_nothing_at_any_printer() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let text = include_str!("../../config/farm.toml").replace("/var/lib/imprimatur-agent", &data);
    let every = text
        .replace("# [farm]", "[farm]")
        .replace("# mandate =", "mandate =")
        .replace("# key =", "key =")
        .replace("# farm.printer", "farm.printer")
        .replace("# active_file", "active_file")
        .replace("deny = [\"identity\"]", "deny = []\nname = \"anna\"")
        .replace("deny = [\"faults\"]", "deny = []");
    for text in [text, every] {
        let config = Config::from_toml(&text).unwrap();
        for printer in &config.printers {
            let agent = open(printer).unwrap();
            agent.heed_mandate().unwrap();
            let overview = agent.show().unwrap();
            assert!(overview.categories.iter().all(|state| state.flag == Flag::Unasked));
            assert_eq!((overview.subject, agent.errand().unwrap()), (None, None));
        }
    }
}
