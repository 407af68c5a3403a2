//! What an answer takes: makes the lake, then hands it and the program that asks it to `benches/answers.py`.

use std::path::PathBuf;
use std::process::Command;

use crate::error::TaskError;
use crate::{peers, run};

const PACKAGE: &str = "imprimatur-bench-answers";

/// What is asked for.
pub(crate) struct Options {
    pub(crate) rows: u64,
    pub(crate) days: u32,
    /// Where the lake is, or is made; in the target folder without it.
    pub(crate) folder: Option<PathBuf>,
    /// Rows of a file; as compaction leaves it without it.
    pub(crate) file_rows: Option<u64>,
    /// Rounds that count; 21, or 5 for a large lake, without it.
    pub(crate) rounds: Option<u32>,
    pub(crate) memory_mib: u32,
    pub(crate) json: bool,
}

/// Rows from which a lake is large: a round takes minutes, and the peers' guarded questions most of them.
const LARGE: u64 = 30_000_000;

/// Asks the ten commonest questions of Imprimatur, `DuckDB` and chDB in turn.
pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let python = peers::answers()?;
    run::check(run::cargo().args(["build", "--locked", "--release", "--package", PACKAGE]))?;
    let program = run::target().join("release").join(PACKAGE);
    let (rows, days) = (options.rows.to_string(), options.days.to_string());
    let own = || run::target().join("answers").join(format!("{rows}-{days}"));
    let folder = options.folder.clone().unwrap_or_else(own);
    let mut make = Command::new(&program);
    make.args(["lake", "--rows", &rows, "--days", &days, "--folder"]).arg(&folder);
    if let Some(file_rows) = options.file_rows {
        make.args(["--file-rows", &file_rows.to_string()]);
    }
    run::check(&mut make)?;
    let rounds = options.rounds.unwrap_or(if options.rows < LARGE { 21 } else { 5 });
    let mut command = Command::new(python);
    command.arg(run::root().join("benches/answers.py")).arg(program).arg(folder);
    command.args(["--rounds", &rounds.to_string()]);
    command.args(["--memory-mib", &options.memory_mib.to_string()]);
    command.args((options.rows >= LARGE).then_some("--guarded-once"));
    command.args(options.json.then_some("--json"));
    run::check(&mut command)
}
