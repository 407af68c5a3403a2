//! The programs under test, found beside the tests, and what they say.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::wait;
use serde_json::Value;

/// Any command that answers and ends.
const ANSWER: Duration = Duration::from_mins(1);

/// A program of this workspace, built beside the tests.
pub(crate) fn program(name: &str) -> Command {
    let own = std::env::current_exe().unwrap();
    let built = own.parent().and_then(|deps| deps.parent()).map(|folder| folder.join(name));
    let built: PathBuf = built.unwrap();
    assert!(built.exists(), "`{name}` is not built; build it and test: cargo xtask test");
    Command::new(built)
}

/// The server.
pub(crate) fn imprimatur(arguments: &[&str]) -> Command {
    let mut command = program("imprimatur");
    command.args(arguments);
    command
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    /// Runs a command to its end.
    pub(crate) async fn of(command: Command) -> Self {
        Self::within(ANSWER, command).await
    }

    /// The same for one that may take as long as this.
    pub(crate) async fn within(limit: Duration, command: Command) -> Self {
        let mut command = tokio::process::Command::from(command);
        command.stdin(std::process::Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(limit, command.output()).await;
        let output = output.unwrap_or_else(|_elapsed| panic!("{command:?} did not end")).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The same with this exit code, or the test fails with all that was said.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Waits until what a process has logged holds `text`, `times` times.
pub(crate) async fn said(process: &Guarded, text: &str, times: usize, limit: Duration) {
    wait::until(limit, &format!("{}: `{text}`", process.name()), async || {
        let log = process.log_text();
        if log.matches(text).count() >= times { Ok(()) } else { Err(log) }
    })
    .await
    .unwrap();
}

/// Processor time that a process has used, in hundredths of a second.
pub(crate) fn processor_time(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name may hold spaces; behind its closing bracket the fields are numbers.
    let (_, fields) = text.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
