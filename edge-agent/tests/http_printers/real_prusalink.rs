//! A real `PrusaLink`: what the agent says agrees with what `PrusaLink` itself reports.

use std::fmt::Write as _;
use std::time::Duration;

use imprimatur_agent::reading::{Heater, Said, Sliced};
use imprimatur_agent::sources::SourceKind;
use imprimatur_proto::telemetry::v1::{MaterialFamily, Outcome, ReadingSource};
use imprimatur_testkit::peers::PrusaLink;
use imprimatur_testkit::wait;
use serde_json::Value;
use tokio::time::Instant;

use crate::find::found;
use crate::rig::Running;

/// A print of this file takes half a minute; the server starts within one, on a busy machine two.
const LONG: Duration = Duration::from_mins(4);

/// Moves of a print that ends by itself, and of one that does not get that far: `PrusaLink` shows no set-points
/// in its first minute.
const SHORT_MOVES: u32 = 2_000;
const LONG_MOVES: u32 = 40_000;

const NOZZLE_CELSIUS: f64 = 205.0;
const BED_CELSIUS: f64 = 50.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prints_of_a_real_prusalink_are_told_as_it_tells_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut peer = PrusaLink::start(folder.path()).await.unwrap();
    peer.wait_ready(LONG).await.unwrap();
    found(peer.url(), SourceKind::PrusaLink).await;
    let key = folder.path().join("key");
    std::fs::write(&key, peer.api_key()).unwrap();
    let mut running = Running::start(&format!(
        "kind = \"prusalink\"\nurl = \"{}\"\napi_key_file = \"{}\"\npoll_seconds = 1",
        peer.url(),
        key.display()
    ));
    let online = Said::Online(ReadingSource::Prusalink);
    running.says_within(LONG, "online", |said| *said == online).await;

    finished(&peer, &mut running).await;
    peer.wait_ready(LONG).await.unwrap();
    stopped(&peer, &mut running).await;
    peer.wait_ready(LONG).await.unwrap();
    lost(&mut peer, &mut running).await;

    let said = running.stop().await;
    let starts = said.iter().filter(|said| **said == Said::Started).count();
    let ends = said.iter().filter(|said| matches!(said, Said::Ended(_))).count();
    assert_eq!((starts, ends), (3, 3), "{said:?}");
    for name in ["Acme", "bracket", "Jane", "CZPX"] {
        assert!(!format!("{said:?}").contains(name), "{name}");
    }
    peer.stop().await.unwrap();
}

/// Printed to its end, with a pause: plan, heaters and time are those of `PrusaLink`.
async fn finished(peer: &PrusaLink, running: &mut Running) {
    let plan = begun(peer, running, "finished", SHORT_MOVES).await;
    let reported = peer.job().await.unwrap();
    let meta = |key: &str| reported["file"]["meta"][key].clone();
    assert_eq!(plan.amount, meta("filament used [g]").as_f64(), "{reported}");
    assert_eq!(plan.seconds, meta("estimated_print_time").as_f64(), "{reported}");
    assert_eq!(plan.layer_height, meta("layer_height").as_f64(), "{reported}");
    assert_eq!(plan.nozzle, meta("nozzle_diameter").as_f64(), "{reported}");
    assert_eq!((plan.family, plan.infill), (Some(MaterialFamily::Pla), Some(20.0)), "{reported}");
    assert_eq!(meta("filament_type"), "PLA", "{reported}");

    under_way(peer).await;
    peer.pause().await.unwrap();
    let paused = Said::Paused { by_run_out: false };
    running.says_within(LONG, "a pause", |said| *said == paused).await;
    let at_pause = seconds(&peer.wait_state("PAUSED", LONG).await.unwrap()).unwrap();
    peer.resume().await.unwrap();
    running.says_within(LONG, "it goes on", |said| *said == Said::Resumed).await;

    let mut last = (at_pause, Instant::now());
    wait::until(LONG, "the end of the print", async || {
        let status = peer.status().await.map_err(|error| error.to_string())?;
        last = seconds(&status).map_or(last, |counted| (counted, Instant::now()));
        if status["printer"]["state"] == "FINISHED" { Ok(()) } else { Err(status.to_string()) }
    })
    .await
    .unwrap();
    // What it may have counted after the last look here.
    let most = last.0 + last.1.elapsed().as_secs_f64() + 1.0;
    let end = running.says_within(LONG, "an end", |said| matches!(said, Said::Ended(_))).await;
    let Said::Ended(end) = end else { panic!("{end:?}") };
    assert_eq!(end.outcome, Outcome::Done);
    let told = end.seconds.unwrap();
    assert!((at_pause..=most).contains(&told), "{told}, not {at_pause} to {most}");
}

/// Stopped by a person, with the heaters that the printer reports by then.
async fn stopped(peer: &PrusaLink, running: &mut Running) {
    begun(peer, running, "stopped", LONG_MOVES).await;
    under_way(peer).await;
    let set = |heater: Option<Heater>| heater.map(|heater| heater.target);
    let heated = running.says_within(LONG, "heaters at their targets", |said| match said {
        Said::Heaters(all) => {
            set(all.nozzle) == Some(NOZZLE_CELSIUS) && set(all.bed) == Some(BED_CELSIUS)
        }
        _ => false,
    });
    let heated = heated.await;
    let status = peer.status().await.unwrap();
    assert_eq!(status["printer"]["target_nozzle"].as_f64(), Some(NOZZLE_CELSIUS), "{status}");
    let Said::Heaters(heaters) = heated else { panic!("{heated:?}") };
    let actual = heaters.nozzle.unwrap().actual;
    assert!((20.0..=NOZZLE_CELSIUS + 1.0).contains(&actual), "{actual} and {status}");
    peer.cancel().await.unwrap();
    peer.wait_state("STOPPED", LONG).await.unwrap();
    let end = running.says_within(LONG, "an end", |said| matches!(said, Said::Ended(_))).await;
    let Said::Ended(end) = end else { panic!("{end:?}") };
    assert_eq!((end.outcome, end.seconds), (Outcome::StoppedByUser, None));
}

/// `PrusaLink` ends in mid-print and comes back without it: that is told, and no cause is made up.
async fn lost(peer: &mut PrusaLink, running: &mut Running) {
    begun(peer, running, "lost", LONG_MOVES).await;
    under_way(peer).await;
    peer.kill_server().await.unwrap();
    running.says_within(LONG, "offline", |said| *said == Said::Offline).await;
    peer.start_server().await.unwrap();
    running.says_within(LONG, "online", |said| matches!(said, Said::Online(_))).await;
    let end = running.says_within(LONG, "an end", |said| matches!(said, Said::Ended(_))).await;
    let Said::Ended(end) = end else { panic!("{end:?}") };
    assert_eq!((end.outcome, end.seconds), (Outcome::Unspecified, None));
    let status = peer.status().await.unwrap();
    assert!(status.get("job").is_none(), "PrusaLink itself knows of no print: {status}");
}

/// Starts a print and waits until it is told; gives its plan.
async fn begun(peer: &PrusaLink, running: &mut Running, name: &str, moves: u32) -> Sliced {
    let name = format!("AcmeCorp_secret-bracket_{name}.gcode");
    peer.upload_and_print(&name, &file(moves)).await.unwrap();
    running.says_within(LONG, "a start", |said| *said == Said::Started).await;
    let plan = running.says_within(LONG, "a plan", |said| matches!(said, Said::Sliced(_))).await;
    let Said::Sliced(plan) = plan else { panic!("{plan:?}") };
    plan
}

/// Waits until `PrusaLink` counts the time of the print.
async fn under_way(peer: &PrusaLink) {
    wait::until(LONG, "a print under way", async || {
        let status = peer.status().await.map_err(|error| error.to_string())?;
        if seconds(&status) >= Some(3.0) { Ok(()) } else { Err(status.to_string()) }
    })
    .await
    .unwrap();
}

fn seconds(status: &Value) -> Option<f64> {
    status["job"]["time_printing"].as_f64()
}

/// Heats, makes moves of 15 ms, and says of itself what `PrusaSlicer` writes.
fn file(moves: u32) -> String {
    let mut text = format!(
        "; generated by PrusaSlicer 2.5.0 on 2026-11-21\nM140 S{BED_CELSIUS}\nM109 S{NOZZLE_CELSIUS}\nG28\n"
    );
    for step in 0..moves {
        writeln!(text, "G1 X{} Y{} E{}.0 F1500", step % 100, step % 90, step).unwrap();
    }
    text.push_str(
        "M104 S0\nM140 S0\n; filament used [mm] = 426.28\n; filament used [cm3] = 1.03\n\
         ; filament used [g] = 1.27\n; estimated printing time (normal mode) = 12m 24s\n\
         ; prusaslicer_config = begin\n; brim_width = 0\n; fill_density = 20%\n\
         ; filament_type = PLA\n; layer_height = 0.2\n; nozzle_diameter = 0.4\n\
         ; support_material = 0\n; prusaslicer_config = end\n",
    );
    text
}
