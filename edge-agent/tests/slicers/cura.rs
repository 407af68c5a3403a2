//! Cura's script, run by Python beside a stand-in for Cura's own base class.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::{AGENT, Host};
use crate::{DEPLOY, FIXTURES};

/// What Cura gives a script: settings by key, a list of texts, and the same list expected back.
const BASE: &str = "
import json

class Script:
    def getSettingValueByKey(self, key):
        settings = json.loads(self.getSettingDataString())
        assert settings['version'] == 2 and settings['key'] == type(self).__name__
        return self.given.get(key, settings['settings'][key]['default_value'])
";

/// Calls the script as Cura does: layers in a list, of which the first two are head and start.
const CALL: &str = "
import json, sys
from PostProcessingPlugin.scripts.ImprimaturReport import ImprimaturReport, comments

text = open(sys.argv[1]).read()
data = [part + ';LAYER:' for part in text.split(';LAYER:')]
before = list(data)
script = ImprimaturReport()
script.given = json.loads(sys.argv[2])
assert script.execute(data) is data and data == before
for odd in ([], [''], ['G1 X1'] * 3):
    assert script.execute(odd) is odd
print(comments(data).decode(), end='')
";

/// Runs the script over a recorded file; gives the comments that it hands over.
fn call(host: &Host, agent: &str) -> String {
    let plugin = host.folder.path().join("PostProcessingPlugin");
    fs::create_dir_all(plugin.join("scripts")).unwrap();
    fs::write(plugin.join("Script.py"), BASE).unwrap();
    let script = format!("{DEPLOY}/cura/ImprimaturReport.py");
    fs::copy(script, plugin.join("scripts/ImprimaturReport.py")).unwrap();
    let given = serde_json::json!({"agent": agent, "config": host.config()});
    let output = Command::new("python3")
        .current_dir(host.folder.path())
        .args(["-c", CALL, &format!("{FIXTURES}/SYNTHETIC-cura-5.header.gcode")])
        .arg(given.to_string())
        .output()
        .expect("python3 is missing: apt-get install python3");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// A program in the place of the agent.
fn planted(host: &Host, text: &str) -> String {
    let path: PathBuf = host.folder.path().join("planted");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn curas_script_has_its_files_counted_and_hands_over_no_move_and_no_name() {
    let host = Host::running("", &["slicing", "machine"]);
    let told = call(&host, AGENT);
    host.until_slices(1);
    let day = host.day();
    // Model 6 is the Ender 3, slicer 22 is Cura 5.8.
    assert_eq!((day.get("machine model"), day.get("slicing slicer")), (Some(&6), Some(&22)));
    assert!(told.contains(";TIME:1375") && told.contains(";TIME_ELAPSED:1375.0"), "{told}");
    for line in told.lines() {
        let listed = ["TIME", "Layer height", "TARGET_MACHINE", "Generated with"];
        assert!(listed.iter().any(|key| line.trim_start_matches(';').starts_with(key)), "{line}");
    }
}

#[test]
fn no_agent_costs_cura_a_print() {
    let host = Host::new("");
    let ends = planted(&host, "echo noise; echo noise >&2; exit 3");
    call(&host, &ends);
    let missing = host.folder.path().join("missing").to_str().unwrap().to_owned();
    call(&host, &missing);
    call(&host, "");
    call(&host, host.folder.path().to_str().unwrap());
    let hangs = planted(&host, "exec sleep 3600");
    call(&host, &hangs);
    let hangs_and_forks = planted(&host, "trap '' TERM\nsleep 3 &\nexec sleep 3600");
    call(&host, &hangs_and_forks);
    call(&host, AGENT);
    assert!(!host.data().exists(), "no agent ran, so nothing is stored");
}

#[test]
fn the_environment_of_cura_is_not_the_agents() {
    let host = Host::new("");
    let seen: &Path = &host.folder.path().join("environment");
    let looks = planted(&host, &format!("env > {}", seen.display()));
    call(&host, &looks);
    let seen = fs::read_to_string(seen).unwrap();
    let names = seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
    // The shell's own.
    let others: Vec<_> =
        names.filter(|name| !["PATH", "PWD", "SHLVL", "_"].contains(name)).collect();
    assert!(others.is_empty(), "{others:?}");
}
