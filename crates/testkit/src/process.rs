//! Child processes that cannot outlive their handle.
//!
//! Keeps true: each child leads a process group of its own and the whole group is signalled, so that
//! helpers a peer starts end with it; output goes to files, never to a pipe that can fill up.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::wait;

/// How long a peer may take after SIGTERM. `OctoPrint` needs up to 3 s, everything else under 1 s.
const GRACE: Duration = Duration::from_secs(10);

/// A running child; dropping it ends its process group (SIGTERM, then SIGKILL after 10 s).
#[derive(Debug)]
pub struct Guarded {
    name: String,
    child: Child,
    group: Option<Pid>,
    logs: [PathBuf; 2],
}

impl Guarded {
    /// Starts `command` with its output appended to `NAME.stdout.log` and `NAME.stderr.log` in
    /// `folder`, which is made when missing. Standard input is empty.
    ///
    /// # Errors
    /// When a log cannot be opened or the program cannot be started.
    pub fn spawn(name: &str, mut command: Command, folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let logs = ["stdout", "stderr"].map(|stream| folder.join(format!("{name}.{stream}.log")));
        let [out, err] = &logs;
        let open = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
        command.stdin(Stdio::null()).stdout(open(out)?).stderr(open(err)?).process_group(0);
        let child = command.spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Self { name: name.to_owned(), child, group, logs })
    }

    /// The process id, which is also the id of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The name that the child was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The exit status, once the child has ended.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn try_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends SIGTERM and waits; after 10 s SIGKILL. Helpers of the child that are left are killed.
    ///
    /// # Errors
    /// When a signal cannot be sent or the kernel does not tell the status.
    pub async fn terminate(mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        match self.wait(GRACE).await {
            Ok(status) => {
                self.signal(Signal::KILL)?;
                Ok(status)
            }
            Err(_late) => self.kill().await,
        }
    }

    /// Sends SIGKILL to the group, as a power cut would, and waits.
    ///
    /// # Errors
    /// When the signal cannot be sent or the kernel does not tell the status.
    pub async fn kill(mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        self.wait(GRACE).await
    }

    /// Waits until the child ends by itself, at most for `limit`.
    ///
    /// # Errors
    /// `TimedOut` when it still runs at the limit.
    pub async fn wait(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let what = format!("end of {}", self.name);
        wait::until(limit, &what, async || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(String::from("still running")),
            Err(error) => Err(error.to_string()),
        })
        .await
        .map_err(|error| io::Error::new(io::ErrorKind::TimedOut, error))
    }

    /// Sends `signal` to the group; a group that is gone is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.group.map(|group| kill_process_group(group, signal)) {
            None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(errno)) => Err(errno.into()),
        }
    }

    /// All that the child has written so far: standard output, then standard error.
    pub fn log_text(&self) -> String {
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        self.logs.iter().map(read).collect()
    }

    /// Ends the group without an async runtime, for `drop`.
    fn end(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        let rounds = GRACE.as_millis() / ROUND.as_millis();
        for _ in 0..rounds {
            if self.child.try_wait()?.is_some() {
                break;
            }
            pause();
        }
        self.signal(Signal::KILL)?;
        self.child.wait().map(drop)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // A status that is already known means that the child was waited for: its id may be another
        // process's by now, and nothing is left to do.
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Err(error) = self.end() {
            complain(&self.name, &error);
        }
    }
}

/// Between two looks at a child that was told to end.
const ROUND: Duration = Duration::from_millis(10);

#[expect(clippy::disallowed_methods, reason = "`drop` cannot await; it polls with a limit")]
fn pause() {
    std::thread::sleep(ROUND);
}

#[expect(clippy::print_stderr, reason = "`drop` has no other way to report")]
fn complain(name: &str, error: &io::Error) {
    eprintln!("testkit: {name} could not be ended: {error}");
}

/// The ids of all processes whose command line holds `text`: to prove that a folder's peers are gone.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn running_with(text: &str) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end between the listing and the look.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if id != std::process::id() && line.contains(text) {
            found.push(id);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    async fn gone(marker: &str) {
        wait::until(Duration::from_secs(5), "no process left", async || {
            match running_with(marker).unwrap() {
                left if left.is_empty() => Ok(()),
                left => Err(format!("{left:?}")),
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn terminate_gives_the_exit_status_and_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let child = Guarded::spawn(
            "sh",
            shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"),
            folder.path(),
        )
        .unwrap();
        wait::until(Duration::from_secs(5), "output", async || {
            let text = child.log_text();
            if text == "up\n" { Ok(()) } else { Err(text) }
        })
        .await
        .unwrap();
        assert_eq!(child.terminate().await.unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn drop_ends_grandchildren_too() {
        let folder = tempfile::tempdir().unwrap();
        let marker = "3601.25";
        let child = Guarded::spawn(
            "sh",
            shell(&format!("sleep {marker} & sleep {marker} & wait")),
            folder.path(),
        )
        .unwrap();
        wait::until(Duration::from_secs(5), "the sleepers", async || {
            match running_with(marker).unwrap().len() {
                3 => Ok(()),
                other => Err(other),
            }
        })
        .await
        .unwrap();
        drop(child);
        gone(marker).await;
    }

    #[tokio::test]
    async fn a_child_that_ends_by_itself_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Guarded::spawn("sh", shell("exit 3"), folder.path()).unwrap();
        assert_eq!(child.wait(Duration::from_secs(5)).await.unwrap().code(), Some(3));
    }
}
