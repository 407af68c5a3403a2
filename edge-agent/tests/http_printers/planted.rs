//! The opposite of reading: what is planted in every free field of every answer does not come out.

use std::fmt::Debug;

use imprimatur_agent::reading::{Said, Sliced};
use imprimatur_agent::sources::formlabs::dashboard::wire as dashboard;
use imprimatur_agent::sources::formlabs::wire::Device;
use imprimatur_agent::sources::mark::Mark;
use imprimatur_agent::sources::prusalink::wire::{Job, Status};
use imprimatur_agent::sources::snapshot::{Snapshot, Watch};
use imprimatur_agent::sources::ultimaker::wire::{Past, PrintJob, Printer};
use serde_json::{Value, json};

use crate::rig::fixture;

/// Stand in every field that is not read.
const TEXT: &str = "planted-jane-doe";
const NUMBER: f64 = 987_654.25;

/// What stands in the fixtures, and what is planted.
const SECRETS: [&str; 16] = [
    "Acme", "bracket", "Jane", "Doe", "gcode", "/home", "CZPX", "b2a309ce", "ac3e00d1", "SECRET",
    "Gecko", "0d1e5ee0", "10.20.30", "265.3", TEXT, "987654",
];

const DASHBOARD: [&str; 3] =
    ["dashboard-form4-printing", "dashboard-fuse1-printing", "dashboard-form4-idle"];

/// Replaces every leaf whose key is not read, and adds one field to each object.
fn plant(value: &mut Value, key: &str, read: &[&str]) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                plant(field, key, read);
            }
            fields.insert("a field of tomorrow".to_owned(), json!({ TEXT: [TEXT, NUMBER] }));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| plant(item, key, read)),
        Value::String(text) if !read.contains(&key) => TEXT.clone_into(text),
        Value::Number(number) if !read.contains(&key) => {
            *number = serde_json::Number::from_f64(NUMBER).unwrap();
        }
        _ => {}
    }
}

/// As it was recorded, then planted.
fn twice(path: &str, read: &[&str]) -> [Vec<u8>; 2] {
    let recorded = fixture(path);
    let mut value: Value = serde_json::from_slice(&recorded).unwrap();
    plant(&mut value, "", read);
    [recorded, value.to_string().into_bytes()]
}

fn secret_in(what: &dyn Debug) -> Option<&'static str> {
    let text = format!("{what:?}");
    SECRETS.into_iter().find(|secret| text.contains(secret))
}

#[track_caller]
fn clean(what: &dyn Debug) {
    assert_eq!(secret_in(what), None, "{what:?}");
}

/// All that a source may say of what is shown, from an idle printer on.
fn said(shown: &Snapshot) -> Vec<Said> {
    let mut watch = Watch::new(None);
    let idle = Snapshot {
        activity: imprimatur_agent::sources::snapshot::Activity::Idle,
        ..Snapshot::default()
    };
    let mut said = watch.see(&idle);
    said.extend(watch.see(shown));
    said.extend(watch.see(&idle));
    said
}

const PRUSALINK_STATUS: [&str; 6] =
    ["state", "temp_nozzle", "target_nozzle", "temp_bed", "target_bed", "time_printing"];
const PRUSALINK_META: [&str; 9] = [
    "filament used [g]",
    "filament used [cm3]",
    "filament_type",
    "estimated_print_time",
    "layer_height",
    "fill_density",
    "nozzle_diameter",
    "brim_width",
    "support_material",
];

#[test]
fn prusalink_readings_hold_no_name_serial_path_or_position() {
    for state in ["idle", "heating", "printing", "paused", "stopped"] {
        for body in twice(&format!("prusalink/status-{state}.json"), &PRUSALINK_STATUS) {
            let status = Status::parse(&body).unwrap();
            clean(&status);
            clean(&said(&status.snapshot(None)));
        }
    }
    for state in ["heating", "printing", "paused"] {
        for body in twice(&format!("prusalink/job-{state}.json"), &PRUSALINK_META) {
            let plan = Job::parse(&body).unwrap().plan();
            assert!(plan.is_some());
            let printing = Status::parse(&fixture("prusalink/status-printing.json")).unwrap();
            clean(&said(&printing.snapshot(plan)));
        }
    }
    // Answers that are never asked for hold the key and the owner's name: they are no status.
    for name in ["settings", "info", "files", "storage", "connection", "version"] {
        assert!(Status::parse(&fixture(&format!("prusalink/{name}.json"))).is_none(), "{name}");
    }
}

#[test]
fn a_material_that_is_an_owners_text_becomes_a_family() {
    for body in twice("prusalink/job-printing.json", &["estimated_print_time"]) {
        let plan = Job::parse(&body).unwrap().plan();
        clean(&plan);
        assert!(plan.is_none_or(|plan: Sliced| plan.family.is_some()));
    }
}

#[test]
fn ultimaker_readings_hold_no_person_uuid_serial_network_or_position() {
    let printer_read = ["status", "current", "target", "GUID", "id"];
    let job_read = ["state", "result", "time_elapsed", "time_total", "pause_source"];
    let printers = ["idle", "heating", "printing", "error"];
    let jobs = ["pre-print", "printing", "paused", "post-print", "wait-cleanup-aborted"];
    for printer in printers {
        for body in twice(&format!("ultimaker/SYNTHETIC-printer-{printer}.json"), &printer_read) {
            let printer = Printer::parse(&body).unwrap();
            clean(&printer);
            for job in jobs {
                for body in twice(&format!("ultimaker/SYNTHETIC-job-{job}.json"), &job_read) {
                    let job = PrintJob::parse(&body).unwrap();
                    clean(&job);
                    clean(&said(&printer.snapshot(Some(&job), None)));
                }
            }
        }
    }
    let idle = Printer::parse(&fixture("ultimaker/SYNTHETIC-printer-idle.json")).unwrap();
    for (body, uuid) in twice("ultimaker/SYNTHETIC-history.json", &["result", "time_elapsed"])
        .into_iter()
        .zip(["b2a309ce-692d-4bea-ad14-85aceacacf24", TEXT])
    {
        let past = Past::find(&body, Mark::of(uuid)).unwrap();
        clean(&past);
        clean(&said(&idle.snapshot(None, Some(&past))));
    }
}

#[test]
fn planted_names_in_fields_that_are_read_become_unknown() {
    let body = twice("ultimaker/SYNTHETIC-printer-printing.json", &["status", "current", "target"]);
    for body in body {
        let printer = Printer::parse(&body).unwrap();
        let job = PrintJob::parse(&fixture("ultimaker/SYNTHETIC-job-printing.json")).unwrap();
        clean(&said(&printer.snapshot(Some(&job), None)));
    }
}

#[test]
fn formlabs_readings_hold_no_id_address_tank_or_cartridge() {
    let read = ["status", "estimated_print_time_remaining_ms"];
    let names = ["form4-idle", "form4-printing", "form4-paused", "form4-finished"];
    for name in names.into_iter().chain(["fuse1-printing", "fuse1-error"]) {
        for body in twice(&format!("formlabs/SYNTHETIC-{name}.json"), &read) {
            let device = Device::parse(&body).unwrap();
            clean(&device);
            clean(&said(&device.snapshot()));
        }
    }
}

#[test]
fn dashboard_readings_hold_no_name_person_picture_serial_or_layer() {
    let read = [
        "status",
        "elapsed_duration_ms",
        "estimated_duration_ms",
        "volume_ml",
        "layer_thickness_mm",
    ];
    for name in DASHBOARD {
        for body in twice(&format!("formlabs/SYNTHETIC-{name}.json"), &read) {
            let printer = dashboard::Printer::parse(&body).unwrap();
            clean(&printer);
            let shown = printer.run().map_or_else(dashboard::idle, dashboard::Run::snapshot);
            clean(&said(&shown));
        }
    }
}

/// The control: a parser that keeps all it gets is found out on the same bytes, each time.
#[test]
fn a_parser_that_leaks_is_found_out() {
    for path in [
        "prusalink/status-printing.json",
        "prusalink/job-printing.json",
        "ultimaker/SYNTHETIC-printer-printing.json",
        "ultimaker/SYNTHETIC-job-printing.json",
        "ultimaker/SYNTHETIC-history.json",
        "formlabs/SYNTHETIC-form4-printing.json",
        "formlabs/SYNTHETIC-fuse1-printing.json",
        "formlabs/SYNTHETIC-dashboard-form4-printing.json",
        "formlabs/SYNTHETIC-dashboard-fuse1-printing.json",
    ] {
        for body in twice(path, &[]) {
            let leaks: Value = serde_json::from_slice(&body).unwrap();
            assert!(secret_in(&leaks).is_some(), "{path}");
        }
    }
}
