//! Several printers of one host, as commands: which printer is meant, and that only a no is for all.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod running;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use imprimatur_agent::control;
use serde_json::Value;

use self::running::{Running, until};

/// A host with printers `a`, `b` and `c`.
struct Host {
    folder: tempfile::TempDir,
}

/// A collector that nobody can reach.
const NOBODY: &str = "[collector]\nbroker = \"mqtt://127.0.0.1:1\"\n\
                      key = \"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"\n";

impl Host {
    fn new(top: &str) -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        let names = ["a", "b", "c"].map(|name| {
            let folder = host.folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            let source = format!("kind = \"gcode\"\nfolder = \"{}\"", folder.display());
            format!("[[printer]]\nname = \"{name}\"\n[[printer.source]]\n{source}\n")
        });
        host.write(&format!("{top}\n{}", names.concat()));
        host
    }

    fn write(&self, settings: &str) {
        let text = format!("data_dir = \"{}\"\n{settings}", self.data().display());
        fs::write(self.config(), text).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imprimatur-agent"));
        command.args(words.split(' ')).arg("--config").arg(self.config()).stdin(Stdio::null());
        command
    }

    /// Exit code, standard output and standard error.
    fn says(&self, words: &str) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        let [out, errors] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        (status.code().unwrap(), out, errors)
    }

    #[track_caller]
    fn does(&self, words: &str) -> String {
        let (code, out, errors) = self.says(words);
        assert_eq!(code, 0, "{words}: {out}{errors}");
        out
    }

    fn json(&self, words: &str) -> Value {
        serde_json::from_str(&self.does(words)).unwrap()
    }

    /// What is granted at `a`, `b` and `c`.
    fn granted(&self) -> [Vec<String>; 3] {
        let shown = self.json("check --json");
        ["a", "b", "c"].map(|name| {
            let granted = shown.pointer(&format!("/{name}/granted")).unwrap();
            serde_json::from_value(granted.clone()).unwrap()
        })
    }

    fn run(&self) -> Running {
        let (socket, name) = (self.data().join(control::SOCKET), "a".parse().unwrap());
        Running::start(self.command("run"), &socket, Some(&name))
    }

    fn damage(&self, name: &str) {
        let file = self.data().join("printers").join(name).join("store/db");
        fs::write(file, "garbage").unwrap();
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn what_shows_shows_all_and_what_changes_is_for_one() {
    let host = Host::new("");
    for show in ["consent show", "sources", "log", "preview", "requests"] {
        let text = host.does(show);
        for name in ["a", "b", "c"] {
            assert_eq!(text.matches(&format!("== {name} ==\n")).count(), 1, "{show}: {text}");
        }
        let all = host.json(&format!("{show} --json"));
        let keys: Vec<_> = all.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["a", "b", "c"], "{show}");
        let one = host.does(&format!("{show} --printer b"));
        assert!(!one.contains("=="), "{show}: {one}");
    }
    let ask = host.does("consent show --ask");
    assert!(ask.contains(" identity --printer c\n"), "{ask}");
    for change in [
        "consent grant status --yes",
        "consent renew --yes",
        "consent refuse status",
        "consent withdraw",
        "explain",
        "export",
        "erase",
        "restrict",
        "release",
        "object",
        "complain other",
        "rectify --since 2026-11-01 --model prusa-mk4",
        "recover ABCD",
        "handover --yes",
        "wipe --force",
    ] {
        let (code, out, errors) = host.says(change);
        assert_eq!((code, out.as_str()), (2, ""), "{change}: {errors}");
        assert!(errors.contains("--printer NAME") && errors.contains("a, b, c"), "{errors}");
        let no = ["consent refuse", "consent withdraw", "erase"];
        let all = no.iter().any(|no| change.starts_with(no));
        assert_eq!(errors.contains("--all-printers"), all, "{change}: {errors}");
    }
    let (code, _, errors) = host.says("sources --printer d");
    assert!(code == 2 && errors.contains("no printer `d`: name one of a, b, c"), "{errors}");
    assert_eq!(host.says("sources --printer A").0, 2);
    let (code, _, errors) = host.says("run --printer a");
    assert!(code == 2 && errors.contains("leave out --printer"), "{errors}");
}

#[test]
fn a_yes_is_for_one_printer_and_a_no_may_be_for_all() {
    let host = Host::new("");
    for all in ["grant status --yes", "renew --yes"] {
        let (code, _, errors) = host.says(&format!("consent {all} --all-printers"));
        assert!(code == 2 && errors.contains("unexpected argument '--all-printers'"), "{errors}");
    }
    host.does("consent grant status faults --yes --printer a");
    host.does("consent grant status --yes --printer b");
    assert_eq!(host.granted(), [words(&["status", "faults"]), words(&["status"]), words(&[])]);
    host.does("consent refuse faults --all-printers");
    assert_eq!(host.granted(), [words(&["status"]), words(&["status"]), words(&[])]);
    let flag = |name: &str| host.json("consent show --json")[name]["categories"][8]["flag"].clone();
    assert_eq!(["a", "b", "c"].map(flag), ["refused"; 3], "also where it was never granted");
    host.does("consent withdraw --printer a");
    assert_eq!(host.granted(), [words(&[]), words(&["status"]), words(&[])]);
    host.does("consent grant laser --yes --printer c");
    let gone = host.json("consent withdraw --all-printers --json");
    assert_eq!(gone, serde_json::json!({ "a": [], "b": ["status"], "c": ["laser"] }));
    assert_eq!(host.granted(), [words(&[]), words(&[]), words(&[])]);
    host.does("consent grant laser --yes --printer c");
    let text = host.does("erase --all-printers");
    assert_eq!(text.matches("Erased here").count(), 3, "{text}");
    assert_eq!(host.granted(), [words(&[]), words(&[]), words(&[])]);
    assert_eq!(host.says("erase --all-printers --printer a").0, 2);
}

#[test]
fn a_running_agent_answers_for_each_printer() {
    let host = Host::new("deny = [\"laser\"]");
    let running = host.run();
    host.does("consent grant status --yes --printer b");
    assert_eq!(host.granted(), [words(&[]), words(&["status"]), words(&[])]);
    let (code, _, errors) = host.says("consent grant laser --yes --printer c");
    assert!(code == 1 && errors.contains("`laser` is denied"), "{errors}");
    let text = host.does("sources");
    let folder = host.folder.path().join("c").display().to_string();
    assert!(text.contains(&format!("== c ==\ngcode      {folder}")), "{text}");
    assert!(!text.contains("no agent runs"), "{text}");
    let (code, _, errors) = host.says("run");
    assert!(code == 69 && errors.contains("in use by a running agent"), "{errors}");
    let (code, _, errors) = host.says("wipe --printer b --force");
    assert!(code == 69 && errors.contains("stop it first"), "{errors}");
    assert_eq!(host.says("consent show --printer d").0, 2);
    host.does("consent withdraw --all-printers");
    let (code, log) = running.end();
    assert!(code == 0 && log.contains("printers=3") && log.contains("Drained"), "{log}");
    assert_eq!(host.granted(), [words(&[]), words(&[]), words(&[])]);
}

#[test]
fn a_damaged_store_stops_its_own_printer_and_says_how_to_repair_it() {
    let host = Host::new("");
    for name in ["a", "b"] {
        host.does(&format!("consent grant status --yes --printer {name}"));
    }
    host.damage("b");
    let looks = |running: &str| {
        for show in ["consent show", "sources", "check"] {
            let (code, out, errors) = host.says(show);
            assert_eq!(code, 64, "{running} {show}: {out}{errors}");
            let repair = out.contains("`imprimatur-agent wipe --force --printer b`");
            assert!(repair && out.contains("nothing is collected or sent"), "{show}: {out}");
            assert!(errors.contains("printer `b`") || errors.contains("printer b"), "{errors}");
            let (code, _, errors) = host.says(&format!("{show} --printer b"));
            assert!(code == 64 && !errors.is_empty(), "{show}: {errors}");
            host.does(&format!("{show} --printer a"));
        }
        let (_, out, _) = host.says("check --json");
        let shown: Value = serde_json::from_str(&out).unwrap();
        assert!(shown["a"]["problem"].is_null() && shown["b"]["problem"].is_string(), "{shown}");
        assert_eq!(shown["a"]["granted"][0], "status");
    };
    looks("stopped");
    let running = host.run();
    looks("running");
    let (code, out, _) = host.says("consent withdraw --all-printers --json");
    let gone: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &gone["a"][0], &gone["c"]), (64, &"status".into(), &Value::Array(vec![])));
    assert!(gone["b"]["error"].as_str().unwrap().contains("to repair"), "{gone}");
    assert_eq!(host.says("wipe --printer b").0, 64, "what waits there cannot be known");
    host.does("wipe --printer b --force");
    let (code, log) = running.end();
    assert!(code == 0 && log.contains("printer=b") && log.contains("up=2"), "{log}");
    let data = host.data().display().to_string();
    assert!(!log.contains(&data), "no place in the log: {log}");
    assert_eq!(host.granted(), [words(&[]), words(&[]), words(&[])]);
    for name in ["a", "b", "c"] {
        host.does(&format!("consent show --printer {name}"));
        host.damage(name);
    }
    let (code, _, errors) = host.says("run");
    assert!(code == 64 && errors.contains("wipe --force --printer a"), "{errors}");
}

#[test]
fn a_farm_is_looked_at_before_anything_is_made() {
    let host = Host::new("deny = [\"identity\"]");
    let text = host.does("check");
    assert_eq!(text.lines().count(), 3, "{text}");
    for (line, name) in text.lines().zip(["a", "b", "c"]) {
        assert!(line.starts_with(name) && line.contains("not asked yet"), "{line}");
        assert!(line.contains("gcode /") && line.ends_with("denied: identity"), "{line}");
    }
    assert!(!host.data().exists(), "it only looks");
    host.does("consent grant status --yes --printer a");
    let text = host.does("check");
    assert!(text.contains("; granted: status (not confirmed yet); denied"), "{text}");
    assert!(text.lines().nth(1).unwrap().contains("not asked yet"), "{text}");

    let broken = "[[printer]]\nname = \"hall-1\"\n[[printer]]\nname = \"hall-2\"\ncolour = 1\n";
    host.write(broken);
    let (code, _, errors) = host.says("check");
    assert!(code == 64 && errors.contains("printer `hall-2` cannot be used"), "{errors}");
    host.write("[[printer]]\nname = \"hall-1\"\n");
    let (code, out, errors) = host.says("check");
    assert!(code == 0 && out.contains("no source") && errors.starts_with("a: "), "{errors}");

    let one = Host::new("");
    one.write("[machine]\nmodel = \"prusa-mk4\"\n");
    assert_eq!(one.does("check"), "no source; not asked yet\n");
    one.does("consent grant status --yes");
    let (code, _, errors) = one.says("consent show --printer a");
    assert!(code == 2 && errors.contains("no `[[printer]]`"), "{errors}");
    one.does("consent withdraw --all-printers");
    one.write("[[printer]]\nname = \"a\"\n");
    for command in ["run", "consent show", "check"] {
        let (code, out, errors) = one.says(command);
        let told = out + &errors;
        assert!(code == 64 && told.contains("holds the store of one printer"), "{told}");
    }
}

#[test]
fn one_printer_of_a_farm_needs_no_name() {
    let host = Host::new("");
    host.write("[[printer]]\nname = \"a\"\n");
    host.does("consent grant status --yes");
    let text = host.does("consent show");
    assert!(!text.contains("== a =="), "{text}");
    host.does("consent withdraw --printer a");
    host.does("wipe");
    assert!(!host.data().join("printers/a").exists());
}

#[test]
fn an_erasure_for_all_binds_everywhere_before_the_collector_is_asked() {
    let host = Host::new(NOBODY);
    for name in ["a", "b", "c"] {
        host.does(&format!("consent grant status --yes --printer {name}"));
    }
    let config = imprimatur_agent::config::Config::read(&host.config()).unwrap();
    for printer in config.printers {
        // The wire has seen the grant, so the collector has to hear of the erasure.
        let clock = imprimatur_runtime::SystemClock::shared();
        let agent = imprimatur_agent::Agent::open(printer.agent, clock).unwrap();
        let errand = agent.errand().unwrap().unwrap();
        agent.offer_event(&errand, |_| true).unwrap();
    }
    let running = host.run();
    let mut erase = host.command("erase --all-printers");
    let mut waits = erase.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let nothing = [words(&[]), words(&[]), words(&[])];
    until("the withdrawal of all", || host.granted() == nothing);
    let all = host.json("requests --json");
    for name in ["a", "b", "c"] {
        assert_eq!(
            (&all[name][0]["right"], all[name].as_array().unwrap().len()),
            (&"erase".into(), 1)
        );
    }
    // It would wait a minute for the collector.
    waits.kill().unwrap();
    waits.wait().unwrap();
    assert_eq!(running.end().0, 0);
}
