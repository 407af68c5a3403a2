//! The agent as a process: commands, exit codes, the socket, SIGTERM.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod running;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use imprimatur_agent::control::{self, Reply, Request};

use self::running::Running;

struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new(settings: &str) -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        let text = format!("data_dir = \"{}\"\n{settings}", host.data().display());
        fs::write(host.config(), text).unwrap();
        host
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imprimatur-agent"));
        command.args(arguments).arg("--config").arg(self.config()).stdin(Stdio::null());
        command
    }

    fn says(&self, arguments: &[&str]) -> (i32, String) {
        told(&self.command(arguments).output().unwrap())
    }

    /// What a command says to somebody who types this.
    fn says_to(&self, arguments: &[&str], typed: &str) -> (i32, String) {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, typed.as_bytes()).unwrap();
        drop(input);
        told(&child.wait_with_output().unwrap())
    }

    fn flag(&self, category: &str) -> String {
        let (_, text) = self.says(&["consent", "show", "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
        let categories = shown.get("categories").unwrap().as_array().unwrap();
        let of = |state: &serde_json::Value, key: &str| {
            state.get(key).unwrap().as_str().unwrap().to_owned()
        };
        let found = categories.iter().find(|state| of(state, "category") == category).unwrap();
        format!("{} {}", of(found, "flag"), of(found, "state"))
    }

    fn run(&self) -> Running {
        Running::start(self.command(&["run"]), &self.data().join(control::SOCKET), None)
    }
}

fn told(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn consent_is_shown_given_and_taken_back_without_a_running_agent() {
    let host = Host::new("");
    let (code, text) = host.says(&["consent", "show"]);
    assert_eq!((code, text.matches("unasked").count()), (0, 11), "{text}");
    let (code, text) = host.says(&["consent", "grant", "status"]);
    assert_eq!(code, 1, "nobody said yes: {text}");
    assert!(text.contains("To know how many prints fail") && text.contains("no model"), "{text}");
    let (code, text) = host.says(&["consent", "grant", "status", "faults", "--yes"]);
    assert!(code == 0 && text.contains("Granted: status, faults"), "{text}");
    let (code, text) = host.says(&["consent", "show", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &shown["categories"][7]["flag"]), (0, &"granted".into()));
    let (code, text) = host.says(&["consent", "withdraw", "--json"]);
    assert_eq!((code, serde_json::from_str::<Vec<String>>(&text).unwrap().len()), (0, 2));
    let (code, text) = host.says(&["log"]);
    assert!(code == 0 && text.contains("you withdrew status, faults"), "{text}");
    let (code, text) = host.says(&["preview"]);
    assert!(code == 0 && text.contains("NOTHING TO SEND"), "{text}");
}

#[test]
fn wrong_words_and_settings_have_their_own_exit_codes() {
    let host = Host::new("sources = 3");
    let (code, text) = host.says(&["consent", "show"]);
    assert!(code == 64 && text.contains("unknown field `sources`"), "{text}");
    assert_eq!(host.says(&["consent", "grant", "geometry"]).0, 2);
    assert_eq!(host.says(&["consent", "grant"]).0, 2);
    let host = Host::new("");
    let token = ["consent", "grant", "status", "--yes", "--token", "12"];
    assert_eq!(host.says(&token).0, 2);
    fs::write(host.data(), "a file").unwrap();
    assert_eq!(host.says(&["consent", "show"]).0, 64);
}

#[test]
fn every_command_shows_an_example() {
    let host = Host::new("");
    let rights = [
        "explain", "export", "erase", "restrict", "release", "object", "complain", "rectify",
        "recover", "requests", "handover", "wipe",
    ];
    for command in
        ["run", "preview", "log", "sources", "check", "slicer-report"].into_iter().chain(rights)
    {
        let (code, text) = host.says(&[command, "--help"]);
        assert!(code == 0 && text.contains("Example:"), "{text}");
    }
    for command in ["show", "grant", "renew", "refuse", "withdraw"] {
        let (code, text) = host.says(&["consent", command, "--help"]);
        assert!(code == 0 && text.contains("Example:"), "{text}");
    }
}

#[test]
fn a_running_agent_answers_on_its_socket_and_ends_on_sigterm() {
    let gcode = tempfile::tempdir().unwrap();
    let source = format!("[[source]]\nkind = \"gcode\"\nfolder = \"{}\"", gcode.path().display());
    let host = Host::new(&source);
    let (_, text) = host.says(&["sources"]);
    assert!(text.contains("gcode") && text.contains("no agent runs"), "{text}");
    let running = host.run();
    let socket = host.data().join(control::SOCKET);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(&host.data())), (0o600, 0o700));
    let (code, text) = host.says(&["consent", "grant", "slicing", "--yes"]);
    assert!(code == 0 && text.contains("Granted: slicing"), "{text}");
    let Reply::Overview(overview) = control::ask(&socket, None, &Request::Show {}).unwrap() else {
        panic!("another answer")
    };
    assert_eq!(overview.events_waiting, 1);
    let (_, text) = host.says(&["sources", "--json"]);
    assert!(text.contains("gcode") && !text.contains("no agent runs"), "{text}");
    let (code, text) = host.says(&["run"]);
    assert!(code == 69 && text.contains("in use by a running agent"), "{text}");
    let (code, log) = running.end();
    assert!(code == 0 && log.contains("Drained"), "{log}");
    assert!(!socket.exists());
    let (_, text) = host.says(&["consent", "show"]);
    assert_eq!(text.matches(" granted ").count(), 1, "{text}");
}

#[test]
fn a_socket_takes_many_questions_and_refuses_nonsense() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let host = Host::new("");
    let running = host.run();
    let mut stream =
        std::os::unix::net::UnixStream::connect(host.data().join(control::SOCKET)).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for (question, expected) in [
        (r#"{"request":{"command":"show"}}"#, "overview"),
        (r#"{"request":{"command":"sing"}}"#, "not a request"),
        (r#"{"command":"show"}"#, "not a request"),
        (r#"{"request":{"command":"show"},"printer":"other"}"#, "other printers"),
        (r#"{"request":{"command":"log"}}"#, "\"log\""),
    ] {
        writeln!(stream, "{question}").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.contains(expected), "{answer}");
    }
    assert_eq!(running.end().0, 0);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let host = Host::new("");
    let mut show = host.command(&["consent", "show"]);
    let mut child = show.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(told(&output), (0, String::new()));
}

#[test]
fn a_yes_needs_age_and_authority_and_a_no_stays_on_the_device() {
    let host = Host::new("");
    assert_eq!(host.flag("laser"), "unasked requested", "`consent show` shows the question");
    let (code, text) = host.says_to(&["consent", "grant", "status"], "no\n");
    assert!(code == 1 && text.contains("entitled to decide for this printer?"), "{text}");
    assert!(text.contains("16 years") && !text.contains("Grant these"), "{text}");
    assert_eq!(host.flag("status"), "refused refused");
    let (code, _) = host.says_to(&["consent", "grant", "faults"], "yes\nno\n");
    assert_eq!((code, host.flag("faults").as_str()), (1, "refused refused"));
    let (code, text) = host.says_to(&["consent", "grant", "faults"], "yes\nyes\n");
    assert!(code == 0 && text.contains("Recovery code, shown this once"), "{text}");
    assert_eq!(host.flag("faults"), "granted given");
    let (code, text) = host.says(&["consent", "grant", "laser", "--yes", "--json"]);
    let granted: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &granted["recovery_code"]), (0, &serde_json::Value::Null), "once only");
    let (code, text) = host.says(&["consent", "renew", "--yes"]);
    assert!(code == 0 && text.contains("Renewed: laser, faults"), "{text}");
    let (code, text) = host.says(&["consent", "renew", "machine", "--yes"]);
    assert!(code == 1 && text.contains("`machine` is not granted"), "{text}");
    let (code, text) = host.says(&["consent", "show", "--ask"]);
    assert!(code == 0 && text.contains("consent grant machine print_time"), "{text}");
    assert!(!text.contains("consent grant machine print_time temperature material laser"));
}

#[test]
fn rights_without_anything_held_say_so_and_an_export_gives_what_is_here() {
    let host = Host::new("");
    let (code, text) = host.says(&["explain"]);
    assert!(code == 1 && text.contains("nothing was ever sent"), "{text}");
    let out = host.folder.path().join("mine.jsonl");
    let (code, text) = host.says(&["export", "--out", out.to_str().unwrap()]);
    assert_eq!((code, text.as_str()), (0, ""));
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let lines = fs::read_to_string(&out).unwrap();
    assert!(lines.lines().count() >= 12, "{lines}");
    for line in lines.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["part"], "device");
    }
    assert_eq!(host.says(&["export", "--out", out.to_str().unwrap()]).0, 1, "not overwritten");
    assert_eq!(host.says(&["erase"]).0, 0);
    let (code, text) = host.says(&["requests", "--json"]);
    assert_eq!((code, text.as_str()), (0, "[]\n"));
    assert_eq!(host.says(&["complain", "weather"]).0, 2);
    assert_eq!(host.says(&["rectify", "--since", "2026-11-01"]).0, 2);
    let rectify = ["rectify", "--since", "2026-11-01", "--model", "toaster"];
    assert_eq!(host.says(&rectify).0, 2);
}

#[test]
fn a_recovery_code_is_checked_before_it_is_taken() {
    let host = Host::new("");
    let (code, text) = host.says(&["recover", "ABCD"]);
    assert!(code == 1 && text.contains("36 letters"), "{text}");
    let (_, text) = host.says(&["consent", "grant", "status", "--yes", "--json"]);
    let granted: serde_json::Value = serde_json::from_str(&text).unwrap();
    let shown = granted["recovery_code"].as_str().unwrap();
    let other = Host::new("");
    assert_eq!(other.says_to(&["recover"], &format!("{shown}\n")).0, 0);
    let (code, text) = other.says(&["explain"]);
    assert!(code == 1 && text.contains("no collector is set"), "{text}");
    let wrong = shown.replace(char::is_numeric, "Z");
    assert_eq!(other.says(&["recover", &wrong]).0, i32::from(wrong != shown));
}

#[test]
fn an_unusable_store_stops_everything_with_64_and_says_how_to_repair_it() {
    let refused = |happens: &dyn Fn(&Path), expected: &str| {
        let host = Host::new("");
        assert_eq!(host.says(&["consent", "grant", "status", "--yes"]).0, 0);
        happens(&host.data());
        for command in [&["run"][..], &["consent", "show"], &["preview"], &["wipe"]] {
            let (code, text) = host.says(command);
            assert_eq!(code, 64, "{command:?}: {text}");
            assert!(text.contains(expected) && text.contains("to repair"), "{text}");
            assert!(text.contains("nothing is collected or sent"), "{text}");
        }
        let (code, text) = host.says(&["wipe", "--force"]);
        assert_eq!(code, 0, "{text}");
        assert_eq!(host.flag("status"), "unasked requested");
    };
    let db = |data: &Path| data.join("store/db");
    refused(&|data| fs::write(db(data), "garbage").unwrap(), "`imprimatur-agent wipe --force`");
    refused(&|data| fs::remove_dir_all(data.join("store")).unwrap(), "shortened, old or missing");
    let open = fs::Permissions::from_mode(0o666);
    refused(&|data| fs::set_permissions(db(data), open.clone()).unwrap(), "chmod go-w");
    let link = |data: &Path| {
        fs::rename(data.join("store"), data.join("away")).unwrap();
        std::os::unix::fs::symlink(data.join("away"), data.join("store")).unwrap();
    };
    refused(&link, "is a link");
}

#[test]
fn a_wipe_waits_for_what_ends_something_and_for_the_agent() {
    let nobody = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let host =
        Host::new(&format!("[collector]\nkey = \"{nobody}\"\nbroker = \"mqtt://127.0.0.1:1\"\n"));
    assert_eq!(host.says(&["consent", "grant", "status", "--yes"]).0, 0);
    let running = host.run();
    let (code, text) = host.says(&["wipe", "--force"]);
    assert!(code == 69 && text.contains("stop it first"), "{text}");
    assert_eq!(running.end().0, 0);
    let (code, text) = host.says(&["wipe"]);
    assert!(code == 0 && text.contains("is gone"), "{text}");
    assert!(!host.data().exists() && host.config().exists());
    assert_eq!(host.says(&["wipe"]).0, 0, "again is no failure");

    assert_eq!(host.says(&["consent", "grant", "status", "--yes"]).0, 0);
    {
        // The wire has seen the grant, so its withdrawal has to be said.
        let config = imprimatur_agent::config::Config::read(&host.config()).unwrap();
        let clock = imprimatur_runtime::SystemClock::shared();
        let settings = config.printers.into_iter().next().unwrap().agent;
        let agent = imprimatur_agent::Agent::open(settings, clock).unwrap();
        let errand = agent.errand().unwrap().unwrap();
        agent.offer_event(&errand, |_| true).unwrap();
    }
    assert_eq!(host.says(&["consent", "withdraw"]).0, 0);
    let (code, text) = host.says(&["wipe"]);
    assert!(code == 1 && text.contains("not delivered yet"), "{text}");
    assert_eq!(host.says(&["wipe", "--force"]).0, 0);
    assert!(!host.data().exists());
}

#[test]
fn a_handover_opens_the_answers_again() {
    let host = Host::new("");
    assert_eq!(host.says(&["consent", "grant", "status", "--yes"]).0, 0);
    assert_eq!(host.says(&["handover"]).0, 1, "nobody said yes");
    assert_eq!(host.flag("status"), "granted given");
    let (code, text) = host.says(&["handover", "--yes"]);
    assert!(code == 0 && text.contains("Consent has ended"), "{text}");
    assert_eq!(host.flag("status"), "unasked requested");
}

#[test]
fn what_the_administrator_denies_cannot_be_granted() {
    let host = Host::new("deny = [\"laser\"]");
    let (code, text) = host.says(&["consent", "grant", "laser", "--yes"]);
    assert!(code == 1 && text.contains("`laser` is denied"), "{text}");
    let (_, text) = host.says(&["consent", "show"]);
    assert!(text.contains("denied by the settings of this host"), "{text}");
    assert_eq!(host.says(&["consent", "grant", "status", "--yes"]).0, 0);
}

/// What the kernel tells of a process.
fn status(child: &Child, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The libraries' own defaults take 21 MB (sled's histograms) and 14 MB (rumqttc's places for what is
/// not acknowledged). Memory of its own hardly differs between builds, what is mapped from the file
/// does; `cargo xtask footprint` measures both.
#[test]
fn an_agent_with_an_open_store_and_connection_takes_little_memory_and_few_threads() {
    let broker = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let address = broker.local_addr().unwrap();
    let host = Host::new(&format!("[collector]\nbroker = \"mqtt://{address}\"\nkey = \"{key}\""));
    host.says(&["consent", "grant", "status", "--yes"]);
    let running = host.run();
    // It has something to say: the connection and all that it needs is there.
    let (_held, _) = broker.accept().unwrap();
    let kilobytes = status(&running.0, "RssAnon:");
    assert!(kilobytes < 8 * 1024, "{kilobytes} kB of its own");
    // The one that works, sled's seven, and at most four for names and files.
    let threads = status(&running.0, "Threads:");
    assert!(threads <= 12, "{threads} threads");
    running.end();
}
