//! Real slicers: what they say of a file in its own words is what the agent counts.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use imprimatur_agent::catalogue;
use imprimatur_agent::reading::Sliced;
use imprimatur_agent::sources::gcode;
use imprimatur_proto::telemetry::v1::MaterialFamily;
use imprimatur_testkit::peers::{CuraEngine, Profile, PrusaSlicer, Slic3r};
use imprimatur_testkit::stl;

use crate::DEPLOY;
use crate::host::Host;

/// A model with a name that must not be told.
fn model(host: &Host) -> PathBuf {
    let path = host.folder.path().join("AcmeCorp_secret-bracket_v3.stl");
    stl::cube(&path, 4.0).unwrap();
    path
}

/// What a file says behind this word, up to the end of the line; the last time it says it.
fn says<'a>(text: &'a str, word: &str) -> &'a str {
    let line = text.lines().rev().find(|line| line.starts_with(word)).unwrap();
    line.strip_prefix(word).unwrap().trim()
}

fn read(path: &Path) -> Sliced {
    gcode::read(path).unwrap().unwrap()
}

#[track_caller]
fn close(told: Option<f64>, expected: f64) {
    assert!(told.is_some_and(|told| (told - expected).abs() < 1e-6), "{told:?}, not {expected}");
}

/// `1h 2m 3s` in seconds.
fn seconds(span: &str) -> f64 {
    let part = |word: &str| {
        let (count, unit) = word.split_at(word.len() - 1);
        let count: f64 = count.parse().unwrap();
        count
            * if unit == "h" {
                3600.0
            } else if unit == "m" {
                60.0
            } else {
                1.0
            }
    };
    span.split(' ').map(part).sum()
}

#[tokio::test]
async fn prusaslicer_calls_the_hook_and_the_day_counts_what_it_sliced() {
    let host = Host::running("", &["slicing", "settings", "machine"]);
    let (model, hook) = (model(&host), host.hook());
    let output = host.folder.path().join("out.gcode");
    let settings = [("post_process", hook.as_str())];
    for _ in 0..3 {
        PrusaSlicer::slice(&model, &output, Profile::Full, &settings).await.unwrap();
    }
    host.until_slices(2);
    PrusaSlicer::slice(&model, &output, Profile::Full, &settings).await.unwrap();
    host.until_slices(3);
    let (told, text) = (read(&output), fs::read_to_string(&output).unwrap());
    close(told.seconds, seconds(says(&text, "; estimated printing time (normal mode) =")));
    close(told.amount, says(&text, "; total filament used [g] =").parse().unwrap());
    assert_eq!(told.family, Some(MaterialFamily::Pla));
    let day = host.day();
    assert_eq!((day.get("machine model"), day.get("slicing slicer")), (Some(&1), Some(&1)));
    assert_eq!((day.get("settings infill"), day.get("slicing supports")), (Some(&2), Some(&1)));
}

#[tokio::test]
async fn a_slice_succeeds_without_an_agent() {
    let host = Host::new("");
    let (model, hook) = (model(&host), host.hook());
    let (output, kept) =
        (host.folder.path().join("out.gcode"), host.folder.path().join("kept.gcode"));
    // Scripts run one after another on one file: this one keeps it as it was before the hook.
    let keep = host.program("keep", &format!("cp \"$1\" {}", kept.display()));
    let scripts = format!("\"{}\";\"{hook}\"", keep.display());
    let settings = [("post_process", scripts.as_str())];
    PrusaSlicer::slice(&model, &output, Profile::Defaults, &settings).await.unwrap();
    let sliced = fs::read(&output).unwrap();
    assert!(
        sliced.len() > 1_000 && sliced == fs::read(&kept).unwrap(),
        "the hook changed the file"
    );
    assert!(!host.data().exists());
}

#[tokio::test]
async fn slic3r_calls_the_wrapper_and_the_day_counts_what_it_sliced() {
    let host = Host::running("", &["slicing", "settings"]);
    let (model, output) = (model(&host), host.folder.path().join("out.gcode"));
    let wrapper = format!("{DEPLOY}/slic3r/imprimatur-report");
    let options = ["--layer-height", "0.2", "--post-process", &wrapper].map(OsStr::new);
    Slic3r::slice(&model, &output, &options, &host.programs()).await.unwrap();
    host.until_slices(1);
    Slic3r::slice(&model, &output, &options, &host.programs()).await.unwrap();
    host.until_slices(2);
    let told = read(&output);
    close(told.layer_height, 0.2);
    assert_eq!((told.seconds, told.slicer), (None, Some(catalogue::slicer("Slic3r", "1.3.0"))));
    let day = host.day();
    assert_eq!((day.get("slicing slicer"), day.get("settings infill")), (Some(&17), Some(&2)));
}

#[tokio::test]
async fn the_wrapper_ends_well_where_no_agent_is_installed() {
    let host = Host::new("");
    let (model, output) = (model(&host), host.folder.path().join("out.gcode"));
    let hook = format!("{DEPLOY}/slic3r/imprimatur-report");
    let settings = [("post_process", hook.as_str())];
    PrusaSlicer::slice(&model, &output, Profile::Defaults, &settings).await.unwrap();
}

#[tokio::test]
async fn archives_and_files_of_an_output_folder_are_counted() {
    let out = tempfile::tempdir().unwrap();
    let source = format!(
        "[[source]]\nkind = \"gcode\"\nfolder = \"{}\"\npoll_seconds = 1",
        out.path().display()
    );
    let host = Host::running(&source, &["slicing", "machine"]);
    let model = model(&host);
    // Made beside the folder, so that the agent has looked into it before they are there.
    let (archive, file) = (host.folder.path().join("a.sl1"), host.folder.path().join("b.gcode"));
    PrusaSlicer::slice(&model, &archive, Profile::Sla, &[]).await.unwrap();
    let engine = CuraEngine::slice(&model, &file, "creality_ender3").await.unwrap();
    host.until("the folder is read", || {
        let output = host.command(&["sources"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains("connected").then_some(())
    });
    fs::copy(&archive, out.path().join("a.sl1")).unwrap();
    host.until_slices(1);
    // The resin printer alone was sliced for so far.
    assert_eq!(host.day().get("machine model"), Some(&128));
    fs::copy(&file, out.path().join("b.gcode")).unwrap();
    host.until_slices(2);
    assert!(host.report(&archive).status.success() && host.report(&file).status.success());
    host.until_slices(3);

    let told = read(&archive);
    assert!(told.seconds.is_some_and(|seconds| seconds > 0.0), "{told:?}");
    // A cube of 4 mm: 64 cubic millimetres are 0.064 ml.
    assert!(told.amount.is_some_and(|amount| (0.05..0.08).contains(&amount)), "{told:?}");
    close(told.layer_height, 0.05);
    let told = read(&file);
    // The engine says whole seconds; the file says them with all decimals.
    let whole: f64 = says(&engine, "Print time (s):").parse().unwrap();
    assert!(told.seconds.is_some_and(|seconds| (seconds - whole).abs() <= 1.0), "{told:?}");
    assert_eq!(told.slicer, Some(catalogue::slicer("Cura", "4.13.0")));
    assert_eq!(told.amount, None, "Cura's engine says no amount in its files");
}
