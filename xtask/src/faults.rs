//! The fault runs with their own sizes, and one table of what they saw.
//!
//! The same tests that continuous integration runs small; `--nightly` makes them long. Each run
//! leaves a JSON object in `target/faults`; `report.json` there holds them all.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::TaskError;
use crate::{peers, run};

/// Which runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// Processes killed under load.
    Kills,
    /// Power that goes.
    Power,
    /// System calls that fail, disks without room.
    Io,
    /// Wires that are cut, stall, crawl or lag.
    Network,
    /// Ten times what comes otherwise.
    Overload,
    /// Withdrawals while others flood.
    Revocation,
    /// Bridges and collector restarted in turn.
    Restart,
}

/// What can be said about a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) nightly: bool,
    pub(crate) only: Option<Only>,
    pub(crate) seed: Option<u64>,
}

/// Sizes of the long runs; the short ones are the tests' own.
const NIGHTLY: [(&str, &str); 7] = [
    ("IMPRIMATUR_KILLS", "500"),
    ("IMPRIMATUR_NETWORK_FAULTS", "100"),
    ("IMPRIMATUR_IO_PLACES", "0"),
    ("IMPRIMATUR_POWER_CUTS", "200"),
    ("IMPRIMATUR_WITHDRAWALS", "1000"),
    ("IMPRIMATUR_OVERLOAD_SECONDS", "600"),
    ("IMPRIMATUR_RESTARTS", "20"),
];

/// Seeds of the simulation by night; the tests run 200.
const NIGHTLY_SEEDS: &str = "100000";

/// What one run left.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Ran {
    name: String,
    acknowledged: u64,
    lost: u64,
    doubled: u64,
    forged: u64,
    unconsented: u64,
    crashes: u64,
    repeated: u64,
    withdrawals_in_flight: u64,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

/// All runs together.
#[derive(Debug, Serialize)]
struct Report {
    nightly: bool,
    seed: Option<u64>,
    runs: Vec<Ran>,
}

/// Runs them, prints the table, writes `target/faults/report.json`.
pub(crate) fn all(options: Options) -> Result<(), TaskError> {
    peers::install()?;
    run::check(run::cargo().args(["build", "-p", "imprimatur", "-p", "imprimatur-agent"]))?;
    let folder = run::root().join("target/faults");
    let failed = |source| TaskError::File { path: folder.clone(), source };
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    let mut tests = run::cargo();
    tests.args(["test", "-p", "imprimatur-tests", "--test", "it", "--"]);
    tests.args(filters(options.only)).args(["--nocapture", "--test-threads=1"]);
    tests.env("IMPRIMATUR_FAULTS_REPORT", &folder);
    if options.nightly {
        tests.envs(NIGHTLY);
    }
    if let Some(seed) = options.seed {
        tests.env("IMPRIMATUR_SEED", seed.to_string());
    }
    // What was seen is told also when a run failed.
    let mut outcome = run::check(&mut tests);
    let report = Report { nightly: options.nightly, seed: options.seed, runs: gathered(&folder)? };
    println!("\n{report}");
    let path = folder.join("report.json");
    let text = serde_json::to_string_pretty(&report)
        .map_err(|source| TaskError::Json { command: "faults".to_owned(), source })?;
    fs::write(&path, text).map_err(|source| TaskError::File { path: path.clone(), source })?;
    println!("written to {}", path.display());
    if options.nightly && options.only.is_none() {
        println!("\nthe simulation, {NIGHTLY_SEEDS} seeds:");
        outcome = outcome.and(run::check(&mut simulation(options.seed)));
    }
    outcome
}

/// The simulation of the whole path; its first seed is the one that was asked for.
fn simulation(first: Option<u64>) -> Command {
    let mut command = run::cargo();
    command.args(["run", "--release", "-p", "imprimatur-sim", "--"]);
    command.args(["--seeds", NIGHTLY_SEEDS, "--jobs", "2"]);
    if let Some(first) = first {
        command.args(["--first", &first.to_string()]);
    }
    command
}

fn filters(only: Option<Only>) -> &'static [&'static str] {
    match only {
        None => &["faults::"],
        Some(Only::Kills) => &["faults::kills::"],
        Some(Only::Power) => &["faults::power::"],
        Some(Only::Io) => &["faults::io::", "faults::disk::"],
        Some(Only::Network) => &["faults::network::"],
        Some(Only::Overload) => &["faults::overload::"],
        Some(Only::Revocation) => &["faults::revocation::"],
        Some(Only::Restart) => &["faults::restart::"],
    }
}

/// What the runs left, by name.
fn gathered(folder: &Path) -> Result<Vec<Ran>, TaskError> {
    let failed = |path: &Path, source| TaskError::File { path: path.to_owned(), source };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| failed(folder, source))? {
        paths.push(entry.map_err(|source| failed(folder, source))?.path());
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
        serde_json::from_str(&text)
            .map_err(|source| TaskError::Json { command: path.display().to_string(), source })
    };
    paths.into_iter().map(read).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12}{:>14}{:>6}{:>9}{:>8}{:>13}{:>9}{:>10}{:>13}",
            "run",
            "acknowledged",
            "lost",
            "doubled",
            "forged",
            "unconsented",
            "crashes",
            "repeated",
            "withdrawals"
        )?;
        for ran in &self.runs {
            writeln!(
                f,
                "{:<12}{:>14}{:>6}{:>9}{:>8}{:>13}{:>9}{:>10}{:>13}",
                ran.name,
                ran.acknowledged,
                ran.lost,
                ran.doubled,
                ran.forged,
                ran.unconsented,
                ran.crashes,
                ran.repeated,
                ran.withdrawals_in_flight
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_left_is_gathered_by_name_and_told_in_a_table() {
        let folder = tempfile::tempdir().unwrap();
        for (name, lost) in [("power", 0), ("kills", 2)] {
            let ran = Ran { name: name.to_owned(), acknowledged: 31, lost, ..Ran::default() };
            let text = serde_json::to_string(&ran).unwrap();
            fs::write(folder.path().join(format!("{name}.json")), text).unwrap();
        }
        let runs = gathered(folder.path()).unwrap();
        assert_eq!((runs.len(), runs[0].name.as_str(), runs[0].lost), (2, "kills", 2));
        let text = Report { nightly: false, seed: None, runs }.to_string();
        assert!(text.lines().count() == 3 && text.contains("power") && text.contains("31"));
        fs::write(folder.path().join("broken.json"), "{").unwrap();
        assert!(gathered(folder.path()).is_err());
    }

    #[test]
    fn every_kind_of_run_names_tests() {
        for only in Only::value_variants() {
            assert!(filters(Some(*only)).iter().all(|filter| filter.starts_with("faults::")));
        }
    }
}
