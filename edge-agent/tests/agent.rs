//! The agent as a process: commands, exit codes, the socket, SIGTERM.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use imprimatur_agent::control::{self, Reply, Request};

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

    fn run(&self) -> Running {
        let child = self.command(&["run"]).stderr(Stdio::piped()).spawn().unwrap();
        let running = Running(child);
        let socket = self.data().join(control::SOCKET);
        let deadline = now() + Duration::from_secs(20);
        while control::ask(&socket, &Request::Show {}).is_err() {
            assert!(now() < deadline, "the agent does not answer");
            std::thread::yield_now();
        }
        running
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
    Instant::now()
}

fn told(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

struct Running(Child);

impl Running {
    /// Ends it with SIGTERM; gives its exit code and what it logged.
    fn end(mut self) -> (i32, String) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut log = String::new();
        std::io::Read::read_to_string(&mut self.0.stderr.take().unwrap(), &mut log).unwrap();
        (self.0.wait().unwrap().code().unwrap(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended when the test went well.
        drop(self.0.kill());
    }
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
    for command in ["run", "preview", "log", "sources"] {
        let (code, text) = host.says(&[command, "--help"]);
        assert!(code == 0 && text.contains("Example:"), "{text}");
    }
    for command in ["show", "grant", "refuse", "withdraw"] {
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
    let Reply::Overview(overview) = control::ask(&socket, &Request::Show {}).unwrap() else {
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
        ("{\"command\":\"show\"}", "overview"),
        ("{\"command\":\"sing\"}", "not a request"),
        ("{\"command\":\"log\"}", "\"log\""),
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
