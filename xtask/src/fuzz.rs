//! Fuzzing: builds the targets with libFuzzer's coverage, runs them side by side, and tells what they did.
//!
//! The stable compiler does it: coverage is added to this workspace's own crates only, so that everything
//! else is what the tests built already.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::TaskError;
use crate::run;

/// The targets; `fuzz/src/lib.rs` says what each takes.
const TARGETS: [&str; 7] = ["batch", "canonical", "policy", "gcode", "topic", "journal", "ledger"];

/// Longest input: a frame has at most 2,048 bytes, a policy some 16 KB.
const BYTES_MAX: &str = "16384";

/// What can be said about a run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seconds: u32,
    pub(crate) jobs: usize,
    pub(crate) only: Vec<String>,
    pub(crate) keep: bool,
}

/// What one target did.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ran {
    target: &'static str,
    executions: u64,
    /// Places of the code that were reached, as libFuzzer counts them.
    coverage: u64,
    failed: bool,
}

/// Where things of a run are.
struct Folders {
    programs: PathBuf,
    work: PathBuf,
}

/// Builds, runs, prints the table; fails with the input that made a target fail.
pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let known = |name: &&String| !TARGETS.contains(&name.as_str());
    if let Some(unknown) = options.only.iter().find(known) {
        let what =
            format!("there is no target `{unknown}`; the targets are {}", TARGETS.join(", "));
        return Err(TaskError::Fuzz { what });
    }
    let folders = build()?;
    let wanted =
        |target: &&str| options.only.is_empty() || options.only.iter().any(|o| o == target);
    let queue = Mutex::new(TARGETS.into_iter().filter(wanted).collect::<VecDeque<_>>());
    let ran = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(target) = next() {
                    println!("fuzz: {target}, {} s", options.seconds);
                    let one = fuzz(&folders, target, options.seconds);
                    ran.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                }
            });
        }
    });
    let ran = ran.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ran = ran.into_iter().collect::<Result<Vec<_>, _>>()?;
    println!("\n{}", Table(&ran));
    if let Some(bad) = ran.iter().find(|ran| ran.failed) {
        let folder = folders.work.join("failed").join(bad.target);
        let log = folders.work.join(format!("{}.log", bad.target));
        let what = format!(
            "target `{}` failed; its input is in `{}`, what it said in `{}`",
            bad.target,
            folder.display(),
            log.display()
        );
        return Err(TaskError::Fuzz { what });
    }
    if options.keep {
        ran.iter().try_for_each(|ran| keep(&folders, ran.target))?;
    }
    Ok(())
}

/// The targets with coverage, and the seeds that they begin with.
fn build() -> Result<Folders, TaskError> {
    let work = run::target().join("fuzz");
    fs::create_dir_all(&work).map_err(|source| TaskError::File { path: work.clone(), source })?;
    let mut seeds = run::cargo();
    seeds.args(["run", "--quiet", "-p", "imprimatur-fuzz", "--bin", "fuzz-seeds", "--"]);
    run::check(seeds.arg(work.join("seeds")))?;
    let mut cargo = run::cargo();
    cargo.args(["build", "-p", "imprimatur-fuzz"]);
    cargo.args(TARGETS.iter().flat_map(|target| ["--bin".to_owned(), format!("fuzz-{target}")]));
    cargo.env("RUSTC_WORKSPACE_WRAPPER", run::root().join("fuzz/instrument"));
    run::check(&mut cargo)?;
    let folders = Folders { programs: run::target().join("debug"), work };
    Ok(folders)
}

/// What a target keeps from one day to the next.
fn corpus(target: &str) -> PathBuf {
    run::root().join("fuzz/corpus").join(target)
}

fn fuzz(folders: &Folders, target: &'static str, seconds: u32) -> Result<Ran, TaskError> {
    let made = |folder: &Path| -> Result<PathBuf, TaskError> {
        let path = folders.work.join(folder).join(target);
        fs::create_dir_all(&path)
            .map_err(|source| TaskError::File { path: path.clone(), source })?;
        Ok(path)
    };
    let (found, failed) = (made(Path::new("found"))?, made(Path::new("failed"))?);
    let mut command = Command::new(folders.programs.join(format!("fuzz-{target}")));
    command.arg(&found).arg(corpus(target)).arg(folders.work.join("seeds").join(target));
    command.args([
        &format!("-max_total_time={seconds}"),
        &format!("-artifact_prefix={}/", failed.display()),
        &format!("-max_len={BYTES_MAX}"),
        "-timeout=20",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
    ]);
    let text = run::text(&command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| TaskError::Start { command: text, source })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let log = folders.work.join(format!("{target}.log"));
    fs::write(&log, said.as_bytes()).map_err(|source| TaskError::File { path: log, source })?;
    let (executions, coverage) = figures(&said);
    // A target that ran nothing has shown nothing.
    let failed = !output.status.success() || executions == 0;
    Ok(Ran { target, executions, coverage, failed })
}

/// Executions and coverage in what libFuzzer said.
fn figures(said: &str) -> (u64, u64) {
    let executions = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok());
    let coverage = said.lines().rev().find_map(|line| {
        line.split_once(" cov: ")?.1.split_ascii_whitespace().next()?.parse().ok()
    });
    (executions.unwrap_or(0), coverage.unwrap_or(0))
}

/// Puts what reached new code into the kept inputs, each only if no other reaches the same.
fn keep(folders: &Folders, target: &str) -> Result<(), TaskError> {
    let mut command = Command::new(folders.programs.join(format!("fuzz-{target}")));
    command.args(["-set_cover_merge=1", &format!("-max_len={BYTES_MAX}")]).arg(corpus(target));
    command.arg(folders.work.join("found").join(target));
    run::output(&mut command).map(drop)
}

/// What all targets did.
struct Table<'a>(&'a [Ran]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12}{:>14}{:>12}  outcome", "target", "executions", "coverage")?;
        for ran in self.0 {
            let outcome = if ran.failed { "FAILED" } else { "held" };
            writeln!(f, "{:<12}{:>14}{:>12}  {outcome}", ran.target, ran.executions, ran.coverage)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_libfuzzer_says() {
        let said = "#2\tINITED cov: 31 ft: 40 corp: 1/1b\n#9\tNEW    cov: 57 ft: 80 corp: 2/9b\n\
                    stat::number_of_executed_units: 1234\nstat::peak_rss_mb: 30\n";
        assert_eq!(figures(said), (1234, 57));
        assert_eq!(figures("nothing"), (0, 0));
    }

    #[test]
    fn targets_are_those_of_the_package() {
        let library = fs::read_to_string(run::root().join("fuzz/src/lib.rs")).unwrap();
        let named: Vec<_> = library
            .split("Target { name: \"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert_eq!(named, TARGETS);
    }

    #[test]
    fn a_table_names_what_failed() {
        let ran = |target, failed| Ran { target, executions: 7, coverage: 9, failed };
        let text = Table(&[ran("batch", false), ran("topic", true)]).to_string();
        assert!(text.contains("held") && text.contains("FAILED") && text.lines().count() == 3);
    }
}
