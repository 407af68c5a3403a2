//! One real print, from slicer and printer to an answer about groups, and what must not be found on the way.

mod planted;

use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_agent::uplink::{self, Broker, UplinkSettings};
use imprimatur_agent::{Agent, AgentSettings};
use imprimatur_consent::{Category, Digest};
use imprimatur_lake::Row;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::{contract, field};
use imprimatur_runtime::{Clock as _, SystemClock};
use imprimatur_testkit::peers::{OctoPrint, Profile, PrusaSlicer};
use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::{stl, wait};
use rustix::process::Signal;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::planted::Planted;
use crate::agent::{self, Host};
use crate::rig::{BOOK_HELD, Rig, SOON, sections, values};
use crate::wire::policy;

/// The print takes half a minute, on a loaded machine more.
const PRINT: Duration = Duration::from_mins(4);

/// What the slicer is told; above the virtual printer's ambient, below what takes long to reach.
const NOZZLE_CELSIUS: f64 = 185.0;
const BED_CELSIUS: f64 = 45.0;

/// Further principals: with the real one more than k = 20.
const OTHERS: u32 = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_print_travels_the_whole_road_and_nothing_else_does() {
    let rig = Rig::start("trace").await;
    let planted = Planted::default();
    planted::allow_dumps();
    let octoprint = OctoPrint::start(rig.folder()).await.unwrap();
    let gcode = sliced(rig.folder(), &planted).await;
    let source = Planted::octoprint(&octoprint);
    let mut host = planted.environment(Host::of(&rig, "agent", &source));
    host.run().await;
    octoprint.wait_operational().await.unwrap();
    host.connected().await;
    let token = rig.tokens(1).await.remove(0);
    host.grant(&["print_time", "temperature", "--token", &token]).await;
    host.shows("/confirmed", &true.into()).await;

    octoprint.upload_and_print(&gcode, &planted.folder).await.unwrap();
    let job = octoprint.wait_job_done(PRINT).await.unwrap();
    let rows = rig.prints(1).await;
    the_row_tells_what_was_granted(&rows, &job);
    // A day is told when it is over: only a run over midnight tells one.
    let days = rig.rows(RecordKind::Day);
    assert!(days.iter().all(|day| day.date < SystemClock.today()), "{days:?}");

    let query = ["query", "print_duration"];
    let answer = rig.ask(&query).await.exits(1);
    assert!(answer.err.contains("20") && answer.out.is_empty(), "{answer:?}");
    let others = Others::start(&rig).await;
    rig.ask(&query).await.exits(1);
    others.enrol(&rig).await;
    let answer = rig.ask(&[&query[..], &["--json"]].concat()).await.exits(0).json();
    assert_eq!(answer["cells"][0]["principals"], 25, "one real and 25 others, rounded: {answer}");
    invariants_hold(&rig).await;

    assert_eq!(rig.rows(RecordKind::Print).len(), 26);
    a_crash_dumps_nothing(&rig, &mut host).await;
    planted.are_nowhere(&rig, &host).await;
    the_verifier_searches_for_them_as_well(&rig, &planted).await;
}

/// `compliance verify` with all that it can be given; and it finds what was planted.
async fn the_verifier_searches_for_them_as_well(rig: &Rig, planted: &Planted) {
    let path = |name: &str| rig.folder().join(name).display().to_string();
    let (logs, canaries) = (path("logs"), path("canaries.txt"));
    std::fs::create_dir(&logs).unwrap();
    for log in ["collector", "bridge"] {
        let name = format!("{log}.stderr.log");
        std::fs::copy(path(&name), Path::new(&logs).join(&name)).unwrap();
    }
    std::fs::write(&canaries, planted.secrets().join("\n")).unwrap();
    let (page, record) = (path("report.html"), path("record.json"));
    let given = ["--logs", &logs, "--canary-file", &canaries, "--html", &page, "--record", &record];
    let all = [&["compliance", "verify"], &given[..]].concat();
    rig.ask(&all).await.exits(BOOK_HELD);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.starts_with("<!DOCTYPE html>") && html.contains("INV-7") && !html.contains("<script")
    );
    let told = std::fs::read_to_string(&record).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told.as_object().is_some_and(|record| record.len() > 4), "{told}");

    let leak = Path::new(&logs).join("leak.log");
    std::fs::write(&leak, format!("printing {}", planted.file.to_uppercase())).unwrap();
    let answer = rig.ask(&all).await.exits(1);
    assert!(answer.out.contains("leak.log") && !answer.out.contains(&planted.file), "{answer:?}");
    std::fs::remove_file(leak).unwrap();
    let stray = rig.data().join("model.bin");
    std::fs::write(&stray, "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\n").unwrap();
    let answer = rig.ask(&["compliance", "verify"]).await.exits(1);
    assert!(answer.out.contains("model.bin") && answer.out.contains("STEP"), "{answer:?}");
    std::fs::remove_file(stray).unwrap();
    rig.ask(&all).await.exits(BOOK_HELD);
}

/// The agent crashes and may not be dumped; another program may, and is where this system writes dumps beside it.
async fn a_crash_dumps_nothing(rig: &Rig, host: &mut Host) {
    assert_eq!(planted::dump_limit(host.process().id()), "0");
    assert_eq!(host.crash().await, None);
    assert_eq!(planted::dumps(rig.folder()), Vec::<PathBuf>::new(), "a crash left its memory");
    let mut other = std::process::Command::new("/bin/sleep");
    other.arg("60").current_dir(rig.folder());
    let mut other = Guarded::spawn("other", other, rig.folder()).unwrap();
    assert_eq!(planted::dump_limit(other.id()), "unlimited");
    other.signal(Signal::ABORT).unwrap();
    other.wait(SOON).await.unwrap();
    let dumps = planted::dumps(rig.folder());
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    assert_eq!(dumps.len(), usize::from(pattern.starts_with("core")), "{pattern}");
    for dump in &dumps {
        std::fs::remove_file(dump).unwrap();
    }
}

/// A real file of a real slicer, with everything in it that a slicer can tell of its user.
async fn sliced(folder: &Path, planted: &Planted) -> PathBuf {
    let model = folder.join(format!("{}.stl", planted.solid));
    stl::cube(&model, 4.0).unwrap();
    let gcode = folder.join(&planted.file);
    let (nozzle, bed) = (NOZZLE_CELSIUS.to_string(), BED_CELSIUS.to_string());
    let settings = [
        ("temperature", nozzle.as_str()),
        ("first_layer_temperature", &nozzle),
        ("bed_temperature", &bed),
        ("first_layer_bed_temperature", &bed),
        ("layer_height", "0.3"),
        ("first_layer_height", "0.3"),
        ("fill_density", "0%"),
        ("perimeters", "1"),
        ("skirts", "0"),
    ];
    PrusaSlicer::slice(&model, &gcode, Profile::Full, &settings).await.unwrap();
    let text = std::fs::read_to_string(&gcode).unwrap();
    assert!(text.contains("M109 S185") && text.contains("S45"), "the slicer chose other targets");
    std::fs::write(&gcode, planted.plant(&text)).unwrap();
    gcode
}

fn the_row_tells_what_was_granted(rows: &[Row], job: &Value) {
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(sections(&rows[0]), ["print_time", "temperature"]);
    let told = values(&rows[0]);
    let only = told
        .keys()
        .all(|column| column.starts_with("print_time_") || column.starts_with("temperature_"));
    assert!(only, "{told:?}");
    let seconds = job["job"]["lastPrintTime"].as_f64().unwrap();
    let bin = |field, value| contract().quantise(field, value);
    let duration = bin(field::PRINT_TIME_COMPLETED_DURATION, seconds);
    assert_eq!(told["print_time_completed_duration"], duration, "{told:?} {seconds}");
    let nozzle = bin(field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, NOZZLE_CELSIUS);
    assert_eq!(told["temperature_nozzle_set_point"], nozzle, "{told:?}");
    let bed = bin(field::PRINT_TEMPERATURE_BED_SET_POINT, BED_CELSIUS);
    assert_eq!(told["temperature_bed_set_point"], bed, "{told:?}");
}

/// Agents with one print each, through the same broker.
struct Others {
    agents: Vec<Agent>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Others {
    /// Principals that nobody vouches for; their prints are stored.
    async fn start(rig: &Rig) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let mut agents = Vec::new();
        for number in 0..OTHERS {
            let data = rig.folder().join("others").join(number.to_string());
            let settings = AgentSettings::new(data, policy(), rig.verifying_key());
            let agent = Agent::open(settings, SystemClock::shared()).unwrap();
            agent.grant(&[Category::PrintTime], None).unwrap();
            // The bin of the real print: a bin with fewer than k principals is not told.
            agent::record(&agent, 1);
            let at = rig.agents.address();
            let broker = Broker { host: at.ip().to_string(), port: at.port() };
            tasks.spawn(uplink::run(agent.clone(), UplinkSettings::new(broker), stop.clone()));
            agents.push(agent);
        }
        rig.prints(26).await;
        Self { agents, tasks, stop }
    }

    /// Each spends a token of the operator, with a further grant.
    async fn enrol(self, rig: &Rig) {
        for (agent, token) in self.agents.iter().zip(rig.tokens(OTHERS).await) {
            let token: Digest = token.parse().unwrap();
            agent.grant(&[Category::Status], Some(token.0)).unwrap();
        }
        wait::until(SOON, "enrolled principals", async || {
            let enrolled = rig.catalogue().unwrap().enrolled.len();
            if enrolled == 26 { Ok(()) } else { Err(enrolled) }
        })
        .await
        .unwrap();
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn invariants_hold(rig: &Rig) {
    let report = rig.ask(&["compliance", "verify", "--json"]).await.exits(BOOK_HELD).json();
    assert_eq!(report["verdict"], "not_all_checked");
    assert!(report["holds"] == true && report["rows"].as_u64() >= Some(26), "{report}");
    let checks = report["checks"].as_array().unwrap();
    for number in ["INV-1", "INV-5", "INV-7", "INV-9", "INV-10"] {
        let check = checks.iter().find(|check| check["invariant"] == number);
        let check = check.unwrap_or_else(|| panic!("no {number}: {report}"));
        assert_eq!(check["holds"], true, "{report}");
        assert!(check["checked"].as_u64() > Some(0), "{number} checked nothing");
    }
}
