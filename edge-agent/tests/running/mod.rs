//! The real agent as a process, which a test starts and ends.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use imprimatur_agent::control::{self, Request};
use imprimatur_agent::printer::Name;

pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Starts this command, which runs the agent, and waits until it answers for this printer.
    pub(crate) fn start(mut run: Command, socket: &Path, printer: Option<&Name>) -> Self {
        let running = Self(run.stderr(Stdio::piped()).spawn().unwrap());
        until("an answer of the agent", || {
            control::ask(socket, printer, &Request::Show {}).is_ok()
        });
        running
    }

    /// Ends it with SIGTERM; gives its exit code and what it logged.
    pub(crate) fn end(mut self) -> (i32, String) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.0.wait().unwrap().code().unwrap(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended when the test went well.
        drop(self.0.kill());
    }
}

/// Waits for what another process does.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
