//! The hook: what it tells, what it never tells, and that no fault of anything fails a slice.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use crate::FIXTURES;
use crate::host::{AGENT, Host, done};

/// Names, notes, addresses, keys and shapes that the recordings hold.
const PLANTED: [&str; 14] = [
    "acme", "secret", "jane", "4711", "lab", "bracket", "apikey", "192.0.2", "ivbor", "maker",
    ".stl", "office", "quality", ".gcode",
];

/// Listens where the agent would, and gives what one caller said.
fn spy(host: &Host) -> JoinHandle<String> {
    fs::create_dir_all(host.data()).unwrap();
    let listener = UnixListener::bind(host.socket()).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        stream.write_all(&done()).unwrap();
        line
    })
}

/// What the hook says to the agent of this file, called as `PrusaSlicer` calls it.
fn said(file: &Path) -> String {
    let host = Host::new("");
    let spy = spy(&host);
    let mut command = host.command(&["slicer-report", "--tag", "Jane Doe", "Acme"]);
    command.arg(file).stdin(Stdio::null());
    let environment = fs::read_to_string(format!("{FIXTURES}/{ENVIRONMENT}")).unwrap();
    command.envs(environment.lines().filter_map(|line| line.split_once('=')));
    command.env("SLIC3R_PRINTHOST_APIKEY", "SECRETAPIKEY123");
    let output = command.output().unwrap();
    silent(&output, "");
    spy.join().unwrap()
}

/// The environment of a hook, as recorded.
const ENVIRONMENT: &str = "prusaslicer-2.5.0-postprocess-hook.env.txt";

/// What it says when it was given up; a busy machine may make it so, and what was told is counted then.
const LATE: &str = "not counted: it took longer than a second";

/// It ended well, said nothing on standard output and this, in one line or in none, on the other.
#[track_caller]
fn silent(output: &Output, why: &str) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{text}");
    let said = if why.is_empty() { text.is_empty() } else { text.contains(why) };
    assert!((said || text.contains(LATE)) && text.lines().count() <= 1, "{text}");
}

#[test]
fn nothing_but_numbers_reaches_the_agent() {
    let mut files = 0;
    for entry in fs::read_dir(FIXTURES).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // The heads of G-code alone; a slicer hands over no other recorded file.
        if path.extension().is_none_or(|end| end != "gcode") {
            continue;
        }
        let told = said(&path).to_lowercase();
        for planted in PLANTED {
            assert!(!told.contains(planted), "{name} told `{planted}`: {told}");
        }
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let facts = told["request"]["facts"].as_object().unwrap();
        assert!(facts.values().any(|fact| !fact.is_null()), "{name}");
        for (key, fact) in facts {
            let typed = fact.is_null() || fact.is_number() || fact.is_boolean();
            assert!(typed && key.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        }
        files += 1;
    }
    assert!(files >= 13, "{files}");
}

#[test]
fn what_prusaslicer_wrote_arrives_as_its_numbers() {
    let told = said(format!("{FIXTURES}/prusaslicer-2.5.0-full-config.header.gcode").as_ref());
    let expected = serde_json::json!({"request": {
        "command": "sliced",
        "facts": {
            "seconds": 744.0, "amount": 1.27, "family": 1, "layer_height": 0.2, "adhesion": 1,
            "infill": 20.0, "nozzle": 0.4, "supports": false, "slicer": 1, "model": 1,
        },
    }});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap(), expected);
}

#[test]
fn a_socket_takes_facts_and_no_names() {
    let host = Host::running("", &[]);
    for (facts, expected) in [
        ("{}", "done"),
        ("{\"layer_height\":0.2,\"family\":1}", "done"),
        ("{\"name\":\"bracket\"}", "not a request"),
        ("{\"family\":99}", "not a request"),
        ("{\"family\":\"PLA\"}", "not a request"),
    ] {
        let mut stream = std::os::unix::net::UnixStream::connect(host.socket()).unwrap();
        let request = format!("{{\"command\":\"sliced\",\"facts\":{facts}}}");
        writeln!(stream, "{{\"request\":{request}}}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(answer.contains(expected), "{facts}: {answer}");
    }
}

/// A day of three files, and one more, for an owner who granted these.
fn three_files(granted: &[&str]) -> Host {
    let host = Host::running("", granted);
    let file = format!("{FIXTURES}/prusaslicer-2.5.0-full-config.header.gcode");
    for _ in 0..3 {
        silent(&host.report(file.as_ref()), "");
    }
    host
}

#[test]
fn a_day_counts_the_files_and_tells_what_was_granted_of_them() {
    let mut host = three_files(&["slicing", "settings", "machine"]);
    host.until_slices(2);
    let day = host.day();
    let told = |key: &str| day.get(key).copied();
    // Model 1 is catalogue number 1, the second infill class is light, the second nozzle is 0.4 mm.
    assert_eq!((told("machine model"), told("machine nozzle")), (Some(1), Some(2)), "{day:?}");
    assert_eq!((told("settings infill"), told("slicing slicer")), (Some(2), Some(1)), "{day:?}");
    let file = format!("{FIXTURES}/prusaslicer-2.5.0-full-config.header.gcode");
    silent(&host.report(file.as_ref()), "");
    host.until_slices(3);
    host.end();
    assert_eq!(host.day().get("slicing slices"), Some(&3), "what was counted is kept");
}

#[test]
fn a_day_tells_nothing_of_the_files_when_their_category_was_not_granted() {
    let mut host = three_files(&["status"]);
    let nothing = |day: &std::collections::BTreeMap<String, u32>| {
        day.keys().all(|key| key.starts_with("status"))
    };
    assert!(nothing(&host.day()), "{:?}", host.day());
    host.end();
    assert!(nothing(&host.day()), "{:?}", host.day());

    let mut host = three_files(&["slicing"]);
    host.until_slices(2);
    host.end();
    let day = host.day();
    assert!(!day.is_empty() && day.keys().all(|key| key.starts_with("slicing")), "{day:?}");
}

#[test]
fn without_an_agent_nothing_is_stored_and_nothing_made_up_for_later() {
    let host = Host::new("");
    let file = format!("{FIXTURES}/slic3r-1.3.0.header.gcode");
    silent(&host.report(file.as_ref()), "not counted: no agent runs");
    assert!(!host.data().exists());
    // A socket of an agent that was killed.
    fs::create_dir_all(host.data()).unwrap();
    drop(UnixListener::bind(host.socket()).unwrap());
    silent(&host.report(file.as_ref()), "not counted: no agent runs");
    assert_eq!(fs::read_dir(host.data()).unwrap().count(), 1, "the socket alone");
}

#[test]
fn an_agent_that_hangs_or_babbles_fails_no_slice() {
    let file = format!("{FIXTURES}/slic3r-1.3.0.header.gcode");
    let host = Host::new("");
    fs::create_dir_all(host.data()).unwrap();
    let silence = UnixListener::bind(host.socket()).unwrap();
    silent(&host.report(file.as_ref()), LATE);
    drop(silence);
    for (answer, why) in [
        (&b""[..], "another version"),
        (b"\xff\xfe\n", "did not answer"),
        (b"{\"answer\":\"failed\",\"value\":\"first\\nsecond\"}\n", "not counted: first"),
    ] {
        fs::remove_file(host.socket()).unwrap();
        let listener = UnixListener::bind(host.socket()).unwrap();
        let babble = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            BufReader::new(&stream).read_line(&mut String::new()).unwrap();
            stream.write_all(answer).unwrap();
        });
        silent(&host.report(file.as_ref()), why);
        babble.join().unwrap();
    }
}

#[test]
fn no_file_fails_a_slice_and_none_is_changed() {
    let host = Host::running("", &["slicing"]);
    let folder = host.folder.path().join("out");
    fs::create_dir(&folder).unwrap();
    let long = "G".repeat(10 << 20).into_bytes();
    let garbage: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    for (name, bytes) in [
        ("empty.gcode", &b""[..]),
        ("garbage.gcode", &garbage),
        ("long.gcode", &long),
        ("archive.sl1", b"PK\x03\x04 and no more"),
        ("moves.gcode", b"G28\nG1 X1 Y1\n"),
    ] {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        silent(&host.report(&path), "says nothing that a slicer writes");
        assert!(fs::read(&path).unwrap() == bytes, "{name}");
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before, "{name}");
    }
    let pipe = folder.join("pipe.gcode");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let dangling = folder.join("link.gcode");
    std::os::unix::fs::symlink(folder.join("nowhere"), &dangling).unwrap();
    for (path, why) in [
        (pipe.as_path(), "it is not a file"),
        (folder.as_path(), "it is not a file"),
        (Path::new("/dev/zero"), "it is not a file"),
        (dangling.as_path(), "cannot be read"),
        (Path::new(""), "cannot be read"),
    ] {
        silent(&host.report(path), why);
    }
    assert_eq!(host.day().get("slicing slices"), None, "none of them is a sliced file");
}

#[test]
fn no_setting_and_no_command_line_fails_a_slice() {
    let host = Host::new("");
    let file = format!("{FIXTURES}/slic3r-1.3.0.header.gcode");
    let hook = |arguments: &[&str]| {
        let mut command = Command::new(AGENT);
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    };
    let at = |name: &str| host.folder.path().join(name).to_str().unwrap().to_owned();
    silent(&hook(&["slicer-report", "--config", &at("none.toml"), &file]), "settings cannot be");
    silent(&hook(&["slicer-report", "--config", &at(""), &file]), "settings cannot be read");
    fs::write(at("wrong.toml"), "data_dir = 3").unwrap();
    silent(&hook(&["slicer-report", "--config", &at("wrong.toml"), &file]), "no `data_dir`");
    silent(&hook(&["slicer-report"]), "no file was named");
    silent(&hook(&["--verbose", "slicer-report", &file]), "not understood");
    silent(&hook(&["slicer-report", &file, "--config"]), "cannot be read");
    let (help, others) = (hook(&["slicer-report", "--help"]), hook(&["--verbose", "preview"]));
    assert!(help.status.success() && !help.stdout.is_empty());
    assert_eq!(others.status.code(), Some(2), "any other command says that it is wrong");
}

#[test]
fn settings_that_another_command_refuses_are_no_matter_here() {
    let host = Host::new("sources = 3\npolicy = \"/nowhere\"");
    let spy = spy(&host);
    let file = format!("{FIXTURES}/slic3r-1.3.0.header.gcode");
    silent(&host.report(file.as_ref()), "");
    assert!(spy.join().unwrap().contains("\"layer_height\":0.2"));
}

#[test]
fn standard_input_that_never_ends_fails_no_slice() {
    let host = Host::new("");
    let mut command = host.command(&["slicer-report", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Held open until the child has ended.
    let input = child.stdin.take().unwrap();
    silent(&child.wait_with_output().unwrap(), LATE);
    drop(input);
}
