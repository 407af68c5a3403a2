//! What the agent costs a print: builds the agent and hands it to `benches/disturb.py`.

use std::path::PathBuf;
use std::process::Command;

use crate::error::TaskError;
use crate::{agent, run};

/// Watches pairs of windows of one print, with the agent and without, on a real `OctoPrint`.
pub(crate) fn run(
    pairs: u32,
    pace: Option<u32>,
    agent: Option<PathBuf>,
    json: bool,
) -> Result<(), TaskError> {
    let agent = agent.map_or_else(|| agent::build(agent::Hosts::Printers), Ok)?;
    let mut command = Command::new("python3");
    command.arg(run::root().join("benches/disturb.py")).arg(agent);
    command.args(["--pairs", &pairs.to_string()]).args(json.then_some("--json"));
    if let Some(pace) = pace {
        // The number of sent bytes is told twice a second: a longer window makes less of that.
        command.args(["--pace", &pace.to_string(), "--seconds", "30"]);
    }
    print!("{}", run::output(&mut command)?);
    Ok(())
}
