//! Running other programs, and where things are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

use crate::error::TaskError;

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    variable("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |own| root().join(own))
}

/// The cargo that runs this program, else the one on the path.
pub(crate) fn cargo() -> Command {
    in_root(variable("CARGO").as_deref().unwrap_or("cargo"))
}

/// `program`, to be run in the root.
pub(crate) fn in_root(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Runs to the end with the terminal's own output.
pub(crate) fn check(command: &mut Command) -> Result<(), TaskError> {
    let text = text(command);
    println!("$ {text}");
    let status =
        command.status().map_err(|source| TaskError::Start { command: text.clone(), source })?;
    if status.success() {
        Ok(())
    } else {
        Err(TaskError::Failed { command: text, status: status.to_string() })
    }
}

/// Runs to the end and gives what it printed; its errors go to the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String, TaskError> {
    let text = text(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| TaskError::Start { command: text.clone(), source })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(TaskError::Failed { command: text, status: output.status.to_string() })
    }
}

/// What `command` prints, read as JSON.
pub(crate) fn json<T: DeserializeOwned>(command: &mut Command) -> Result<T, TaskError> {
    let answer = output(command)?;
    serde_json::from_str(&answer)
        .map_err(|source| TaskError::Json { command: text(command), source })
}

/// Whether it runs and succeeds, without a word.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether cargo has the subcommand `name`.
pub(crate) fn has_cargo(name: &str) -> bool {
    succeeds(cargo().args([name, "--version"]))
}

/// The command as one would type it.
pub(crate) fn text(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// A variable of the environment that is set and not empty.
#[expect(clippy::disallowed_methods, reason = "the one look at the environment in this program")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where the tests look for peers: `$IMPRIMATUR_PEERS`, else `$XDG_CACHE_HOME/imprimatur/peers`,
/// else `~/.cache/imprimatur/peers`. `testkit::peers::cache` says the same.
pub(crate) fn peers_cache() -> PathBuf {
    if let Some(own) = variable("IMPRIMATUR_PEERS") {
        return PathBuf::from(own);
    }
    let cache = variable("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(variable("HOME").unwrap_or_else(|| String::from("/root"))).join(".cache"),
        PathBuf::from,
    );
    cache.join("imprimatur/peers")
}
