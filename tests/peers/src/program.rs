//! Programs: where they are, which version they are, and whether they have come up.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use imprimatur_testkit::peers::INSTALL;
use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::{ports, wait};
use tokio::net::TcpStream;

use crate::error::RunError;

/// Anything here is up within a second; a busy machine is given more.
const START: Duration = Duration::from_secs(40);

/// A program that Debian has.
pub(crate) fn installed(name: &str) -> Result<PathBuf, RunError> {
    let folders = ["/usr/sbin", "/usr/bin"];
    let found =
        folders.map(|folder| Path::new(folder).join(name)).into_iter().find(|at| at.exists());
    found.ok_or_else(|| RunError::Missing { what: name.to_owned(), command: INSTALL })
}

/// The server, built beside this program.
pub(crate) fn imprimatur() -> Result<PathBuf, RunError> {
    let own = std::env::current_exe().map_err(|source| RunError::file("/proc/self/exe", source))?;
    // Tests are one folder deeper.
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join("imprimatur"));
    beside.into_iter().find(|path| path.is_file()).ok_or_else(|| RunError::Missing {
        what: String::from("imprimatur"),
        command: "cargo build -p imprimatur",
    })
}

/// What a command says on either stream.
pub(crate) fn said_by(program: &Path, arguments: &[&str]) -> Result<(bool, String), RunError> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|source| RunError::file(program, source))?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// The first word of a command's answer that begins with a digit, or with `v` and a digit.
pub(crate) fn version(program: &Path, argument: &str) -> Result<String, RunError> {
    let (_, text) = said_by(program, &[argument])?;
    Ok(version_in(&text).unwrap_or("unknown").to_owned())
}

fn version_in(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace().map(|word| word.trim_start_matches('v'));
    words.find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))
}

/// Runs a command to its end; its failure is an error.
pub(crate) fn run(program: &str, arguments: &[&Path]) -> Result<(), RunError> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|source| RunError::file(program, source))?;
    if output.status.success() {
        return Ok(());
    }
    Err(RunError::failed(program, String::from_utf8_lossy(&output.stderr).trim()))
}

/// Starts a process whose log is in `folder` under `name`.
pub(crate) fn spawn(name: &str, command: Command, folder: &Path) -> Result<Guarded, RunError> {
    Guarded::spawn(name, command, folder).map_err(|source| RunError::file(name, source))
}

/// Waits until somebody listens on the port.
pub(crate) async fn listens(process: &mut Guarded, port: u16) -> Result<(), RunError> {
    let waited = wait::until(START, "a listening broker", async || match process.try_status() {
        Ok(None) => {
            let connected = TcpStream::connect(ports::loopback(port)).await;
            connected.map(drop).map_err(|error| error.to_string())
        }
        ended => Err(format!("ended: {ended:?}")),
    });
    let waited = waited.await;
    waited.map_err(|waited| RunError::late(waited, &process.log_text()))
}

/// Waits until the process has logged `text`; gives the whole log.
pub(crate) async fn says(process: &Guarded, text: &str) -> Result<String, RunError> {
    let what = format!("{}: `{text}`", process.name());
    let waited = wait::until(START, &what, async || {
        let log = process.log_text();
        if log.contains(text) { Ok(log) } else { Err("not yet") }
    });
    waited.await.map_err(|waited| RunError::late(waited, &process.log_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_wherever_it_stands() {
        assert_eq!(version_in("nats-server: v2.9.10\n"), Some("2.9.10"));
        assert_eq!(version_in("mosquitto version 2.0.11\n\nmosquitto is"), Some("2.0.11"));
        assert_eq!(version_in("imprimatur 0.1.0\n"), Some("0.1.0"));
        assert_eq!(version_in("nothing"), None);
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_the_command_that_installs_it() {
        let error = installed("no-such-broker").unwrap_err().to_string();
        assert_eq!(error, format!("`no-such-broker` is missing; get it: {INSTALL}"));
    }
}
