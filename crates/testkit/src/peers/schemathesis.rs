//! Schemathesis, which asks a server all that its `OpenAPI` description allows and much that it does not.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{PeerError, SCHEMATHESIS_PINS, environment, run_error, spawn};

/// Some thousand requests on a machine that also compiles.
const LIMIT: Duration = Duration::from_mins(3);

/// The program.
#[derive(Clone, Copy, Debug)]
pub struct Schemathesis;

impl Schemathesis {
    /// Runs it against a description, with arguments of its own; its report when it found nothing.
    ///
    /// # Errors
    /// [`PeerError::Failed`] with the report when it found something.
    pub async fn run(
        description: &str,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<String, PeerError> {
        let mut command =
            Command::new(environment("schemathesis", "schemathesis", SCHEMATHESIS_PINS)?);
        // It keeps what it found in the folder where it runs.
        command.current_dir(folder);
        command.args(["run", description, "--no-color"]).args(arguments);
        let mut process = spawn("schemathesis", command, folder)?;
        let status = process.wait(LIMIT).await;
        let status = status.map_err(|source| run_error("schemathesis", source))?;
        let log = process.log_text();
        if status.success() {
            return Ok(log);
        }
        Err(PeerError::Failed { what: "schemathesis".to_owned(), log })
    }
}
