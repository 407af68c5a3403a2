//! Runs all tests and says at the very end what the runner said.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io, thread};

use crate::error::TaskError;
use crate::{peers, run};

/// Where nextest leaves its report, as `.config/nextest.toml` says.
pub(crate) fn report() -> PathBuf {
    run::root().join("target/nextest/default/junit.xml")
}

/// Peers, the programs, all tests, documentation tests; the closing lines of the runner come last.
pub(crate) fn all() -> Result<(), TaskError> {
    peers::install()?;
    // The whole-system tests start the programs themselves. Tests are built along, so that nothing
    // is built twice with other features.
    run::check(run::cargo().args(["build", "--workspace", "--bins", "--tests"]))?;
    forget(&report())?;
    let mut runner = run::cargo();
    if run::has_cargo("nextest") {
        runner.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        println!("cargo-nextest is not installed: running `cargo test` instead");
        runner.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    let (tests, closing) = followed(&mut runner)?;
    let (docs, lines) = followed(run::cargo().args(["test", "--workspace", "--doc"]))?;
    let documented = lines.iter().filter_map(|line| passed(line)).sum::<u64>();
    // The documentation tests' count stands first: the runner's own summary is what comes last.
    // `.ci/run` knows this heading.
    println!("\nclosing lines:");
    println!("documentation tests: {documented} passed");
    for line in &closing {
        println!("{line}");
    }
    tests.and(docs)
}

/// The report of an earlier run tells nothing of this one.
fn forget(report: &Path) -> Result<(), TaskError> {
    match fs::remove_file(report) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(TaskError::File { path: report.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Whether it succeeded, and its closing lines; everything is also shown as it comes.
type Followed = (Result<(), TaskError>, Vec<String>);

fn followed(command: &mut Command) -> Result<Followed, TaskError> {
    let text = run::text(command);
    println!("$ {text}");
    let failed = |source| TaskError::Start { command: text.clone(), source };
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let errors = child.stderr.take();
    // The two streams are read side by side, as either may fill up.
    let beside = thread::spawn(move || errors.map_or_else(|| Ok(Vec::new()), pass_on));
    let mut lines = match child.stdout.take() {
        Some(output) => pass_on(output).map_err(failed)?,
        None => Vec::new(),
    };
    let beside = beside.join().unwrap_or_else(|_panic| Ok(Vec::new())).map_err(failed)?;
    lines.extend(beside);
    let status = child.wait().map_err(failed)?;
    let outcome = if status.success() {
        Ok(())
    } else {
        Err(TaskError::Failed { command: text, status: status.to_string() })
    };
    Ok((outcome, closing(&lines)))
}

/// Shows each line at once and keeps it.
fn pass_on(stream: impl Read) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in BufReader::new(stream).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(io::stdout(), "{line}")?;
        lines.push(line);
    }
    Ok(lines)
}

/// Of nextest all from its summary on; of `cargo test` each `test result:` line.
fn closing(lines: &[String]) -> Vec<String> {
    let summary = lines.iter().rposition(|line| plain(line).trim_start().starts_with("Summary ["));
    match summary {
        Some(at) => lines.iter().skip(at).cloned().collect(),
        None => {
            lines.iter().filter(|line| plain(line).starts_with("test result:")).cloned().collect()
        }
    }
}

/// The number in `test result: ok. N passed; ...`.
fn passed(line: &str) -> Option<u64> {
    let line = plain(line);
    let (before, _) = line.split_once(" passed")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// The line without colour.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut coloured = false;
    for letter in line.chars() {
        match (coloured, letter) {
            (false, '\u{1b}') => coloured = true,
            (false, _) => text.push(letter),
            (true, 'm') => coloured = false,
            (true, _) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_summary_of_nextest_is_kept_to_its_end() {
        for summary in
            ["     Summary [ 0.1s] 2 tests", "\u{1b}[32;1m     Summary\u{1b}[0m [ 0.1s] 2"]
        {
            let output = lines(&format!("PASS [ 0.1s] a b\n------\n{summary}\n        FAIL x y"));
            assert_eq!(closing(&output), output[2..]);
        }
    }

    #[test]
    fn every_result_of_cargo_test_is_kept() {
        let output =
            "running 1 test\ntest result: ok. 1 passed; 0 failed\nx\ntest result: ok. 20 passed";
        let kept = closing(&lines(output));
        assert_eq!(kept.len(), 2);
        assert_eq!(kept.iter().filter_map(|line| passed(line)).sum::<u64>(), 21);
    }

    #[test]
    fn an_old_report_is_forgotten_and_its_absence_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("junit.xml");
        fs::write(&report, "old").unwrap();
        forget(&report).unwrap();
        assert!(!report.exists());
        forget(&report).unwrap();
        assert!(forget(folder.path()).is_err(), "a folder is no report");
    }

    #[test]
    fn a_failing_command_is_told_with_its_lines() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo 'test result: FAILED. 0 passed; 1 failed' >&2; exit 101"]);
        let (outcome, kept) = followed(&mut command).unwrap();
        assert!(outcome.is_err());
        assert_eq!(kept.len(), 1);
    }
}
