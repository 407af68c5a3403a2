//! A real Klipper printer with a laser: its set-points are stored when, and only when, laser is granted.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_lake::Row;
use imprimatur_proto::telemetry::v1::MaterialFamily;
use imprimatur_proto::{contract, field};
use imprimatur_testkit::peers::{Laser, Moonraker, Profile, PrusaSlicer};
use imprimatur_testkit::stl;

use crate::agent::Host;
use crate::rig::{BOOK_HELD, Rig, sections, values};

const PRINT: Duration = Duration::from_mins(4);

const NOZZLE_CELSIUS: f64 = 190.0;
const BED_CELSIUS: f64 = 40.0;
const POWDER_CELSIUS: f64 = 60.0;
/// 128 of 255.
const LASER_PERCENT: f64 = 50.2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn laser_set_points_are_stored_when_and_only_when_laser_is_granted() {
    let rig = Rig::start("info").await;
    let moonraker = Moonraker::start(rig.folder(), Laser::Pin).await.unwrap();
    moonraker.wait_ready().await.unwrap();
    let mut host = Host::of(&rig, "agent", &source(&moonraker));
    host.run().await;
    host.connected().await;
    host.grant(&["print_time", "temperature", "material"]).await;
    host.shows("/confirmed", &true.into()).await;

    let dark = sliced(rig.folder()).await;
    let rows = printed(&rig, &moonraker, &dark, 1).await;
    extruded(&rows[0]);

    let lit = sintered(rig.folder());
    let rows = printed(&rig, &moonraker, &lit, 2).await;
    let told = values(&rows[1]);
    assert_eq!(sections(&rows[1]), ["print_time", "temperature"], "{told:?}");
    assert!(!told.contains_key("laser_nominal_set_point"), "no grant, no row: {told:?}");
    powder_bed(&rows[1]);

    host.grant(&["laser"]).await;
    host.shows("/events_waiting", &0.into()).await;
    let rows = printed(&rig, &moonraker, &lit, 3).await;
    assert_eq!(sections(&rows[2]), ["print_time", "temperature", "laser"]);
    let bin = contract().quantise(field::PRINT_LASER_NOMINAL_SET_POINT, LASER_PERCENT);
    assert_eq!(values(&rows[2])["laser_nominal_set_point"], bin);
    powder_bed(&rows[2]);
    let with_laser = rows.iter().filter(|row| sections(row).contains(&"laser")).count();
    assert_eq!(with_laser, 1, "what was printed before the grant stays untold");
    rig.ask(&["compliance", "verify"]).await.exits(BOOK_HELD);
    assert_eq!(host.end().await, Some(0));
}

fn source(moonraker: &Moonraker) -> String {
    let (url, key) = (moonraker.url(), moonraker.api_key());
    format!(
        "[[source]]\nkind = \"moonraker\"\nurl = \"{url}\"\napi_key = \"{key}\"\n\
         poll_seconds = 1\nlaser_pin = \"laser\"\nprocess_heater = \"powder\"\n"
    )
}

/// Prints a file to its end; gives all prints of the lake, in order.
async fn printed(rig: &Rig, moonraker: &Moonraker, gcode: &Path, count: usize) -> Vec<Row> {
    moonraker.upload_and_print(gcode, "").await.unwrap();
    moonraker.wait_print_state("printing", PRINT).await.unwrap();
    moonraker.wait_print_state("complete", PRINT).await.unwrap();
    let mut rows = rig.prints(count).await;
    rows.sort_by_key(|row| (row.commit, row.ordinal));
    assert_eq!(rows.len(), count, "{rows:?}");
    rows
}

/// A slicer's file for the extruder; it says how much of which material it takes.
async fn sliced(folder: &Path) -> PathBuf {
    let (model, gcode) = (folder.join("part.stl"), folder.join("part.gcode"));
    stl::cube(&model, 3.0).unwrap();
    let (nozzle, bed) = (NOZZLE_CELSIUS.to_string(), BED_CELSIUS.to_string());
    let settings = [
        ("temperature", nozzle.as_str()),
        ("first_layer_temperature", &nozzle),
        ("bed_temperature", &bed),
        ("first_layer_bed_temperature", &bed),
        ("filament_type", "PETG"),
        ("fill_density", "0%"),
        ("perimeters", "1"),
        // Long enough to be seen printing at the targets.
        ("end_gcode", "G4 P4000\\nM104 S0\\nM140 S0"),
    ];
    PrusaSlicer::slice(&model, &gcode, Profile::Klipper, &settings).await.unwrap();
    gcode
}

/// A file that works with light and a heated powder bed.
fn sintered(folder: &Path) -> PathBuf {
    let path = folder.join("sintered.gcode");
    let heat = |celsius| format!("SET_HEATER_TEMPERATURE HEATER=powder TARGET={celsius}\n");
    let mut text = format!("{}G28\nG90\n", heat(POWDER_CELSIUS));
    for layer in 1..=4 {
        let layer = f64::from(layer) * 0.1;
        let scan = "SET_PIN PIN=laser VALUE=128\nG1 X40 F3000\nG4 P1500\nG1 X10";
        writeln!(text, "G1 Z{layer} F600\n{scan}\nSET_PIN PIN=laser VALUE=0\nG4 P200").unwrap();
    }
    text.push_str(&heat(0.0));
    std::fs::write(&path, text).unwrap();
    path
}

fn extruded(row: &Row) {
    assert_eq!(sections(row), ["print_time", "material", "temperature"]);
    let (told, bin) = (values(row), |field, value| contract().quantise(field, value));
    assert!(told["print_time_completed_duration"] > 0, "{told:?}");
    let family = u32::try_from(i32::from(MaterialFamily::Petg)).unwrap();
    assert_eq!(told["material_family"], family, "{told:?}");
    assert!(told["material_amount"] > 0, "{told:?}");
    let nozzle = bin(field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, NOZZLE_CELSIUS);
    let bed = bin(field::PRINT_TEMPERATURE_BED_SET_POINT, BED_CELSIUS);
    assert_eq!(told["temperature_nozzle_set_point"], nozzle, "{told:?}");
    assert_eq!(told["temperature_bed_set_point"], bed, "{told:?}");
}

fn powder_bed(row: &Row) {
    let bin = contract().quantise(field::PRINT_TEMPERATURE_PROCESS_SET_POINT, POWDER_CELSIUS);
    let told = values(row);
    assert_eq!(told["temperature_process_set_point"], bin, "{told:?}");
    assert!(!told.contains_key("temperature_nozzle_set_point"), "{told:?}");
}
