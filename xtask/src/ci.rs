//! Every check in one command, cheap ones first; a failed one does not hide the next.

use std::process::Command;

use crate::error::TaskError;
use crate::{console as page, fuzz, peers, promises, run, test, tidy};

/// A name for the report, and what to do.
type Step = (&'static str, fn() -> Result<(), TaskError>);

/// Tests come last, but for what reads their report.
const STEPS: [Step; 10] = [
    ("format", format),
    ("tidy", tidy::check),
    ("buf", buf_lint),
    ("deny", deny),
    ("console", console),
    ("clippy", clippy),
    ("doc", doc),
    ("test", test::all),
    ("fuzz", fuzzed),
    ("promises", promises),
];

/// Runs every step and names those that failed.
pub(crate) fn all() -> Result<(), TaskError> {
    let mut steps = Vec::new();
    for (name, step) in STEPS {
        if let Err(error) = step() {
            eprintln!("xtask: {name}: {}", crate::error::chain(&error));
            steps.push(name);
        }
    }
    if steps.is_empty() { Ok(()) } else { Err(TaskError::Steps { steps }) }
}

/// Lints the contracts as `proto/buf.yaml` says.
pub(crate) fn buf_lint() -> Result<(), TaskError> {
    let buf = peers::buf()?;
    run::check(Command::new(buf).args(["lint", "proto"]).current_dir(run::root()))
}

fn format() -> Result<(), TaskError> {
    run::check(run::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), TaskError> {
    let strict = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run::check(run::cargo().args(strict))
}

fn doc() -> Result<(), TaskError> {
    let mut command = run::cargo();
    command.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    run::check(&mut command)
}

/// What the console took from npm is what its lock file names.
fn console() -> Result<(), TaskError> {
    page::vendor(true)
}

/// A minute for each target.
fn fuzzed() -> Result<(), TaskError> {
    fuzz::run(&fuzz::Options { seconds: 60, jobs: 4, only: Vec::new(), keep: false })
}

/// Every row and case names tests, and each of them passed just now.
fn promises() -> Result<(), TaskError> {
    promises::run(true, Some(&test::report()))
}

/// The list of advisories needs a download and is checked before a release, not here.
pub(crate) fn deny() -> Result<(), TaskError> {
    let mut command = Command::new(peers::deny()?);
    command.args(["check", "bans", "licenses", "sources"]).current_dir(run::root());
    run::check(&mut command)
}
