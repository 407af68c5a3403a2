//! What the agent costs beside vmagent, watched in one run: memory, processor, wakes, disk.
//!
//! All programs run at once, so that what else the machine does falls on each of them. Printers are
//! stand-ins that answer as `OctoPrint` does at rest; vmagent reads as many targets of the same
//! servers at the same rate. The broker is a real Mosquitto without a collector behind it, so
//! the agent's first consent stays unanswered and is said again at growing waits: more than rest, not
//! less. Never decides a test: figures are this machine's.

mod peers;
mod printer;
mod seen;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use self::peers::{Stage, Started};
use self::seen::{Seen, Spent};
use crate::error::TaskError;
use crate::{agent, run};

/// Between the start of all and the first look: stores are made, first questions are asked.
const WARM_UP: Duration = Duration::from_secs(20);

/// Longest wait for a simulated print to be sealed: two polls, and a tick of the agent.
const SEALED_WITHIN: Duration = Duration::from_mins(2);

/// What can be said about a run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How long everything is watched at rest.
    pub(crate) seconds: u32,
    /// Numbers of printers, one run of each program for each.
    pub(crate) printers: Vec<u32>,
    /// An agent that was built before.
    pub(crate) agent: Option<PathBuf>,
    /// Print JSON instead of a table.
    pub(crate) json: bool,
}

/// What one program was seen to cost.
#[derive(Clone, Debug, Serialize)]
struct Row {
    program: String,
    printers: u32,
    binary_bytes: u64,
    resident_bytes: u64,
    /// Of these: memory of its own, which is not part of a file.
    anonymous_bytes: u64,
    threads: u64,
    /// Of one core.
    processor_percent: f64,
    /// Extrapolated from the seconds watched.
    processor_seconds_an_hour: f64,
    /// Times that a thread went to wait, over all threads.
    wakes_a_minute: f64,
    /// Handed to the disk, extrapolated from the seconds watched.
    disk_bytes_a_rest_hour: f64,
    /// For one print, recorded and sealed alone; the agent only.
    disk_bytes_a_print: Option<f64>,
}

/// All rows, and how they came about.
#[derive(Debug, Serialize)]
struct Report {
    seconds: u32,
    poll_seconds: u32,
    rows: Vec<Row>,
}

/// Runs everything and prints the table.
pub(crate) fn run(options: &Options) -> Result<(), TaskError> {
    let agent = options.agent.clone().map_or_else(|| agent::build(agent::Hosts::Printers), Ok)?;
    let most = options.printers.iter().copied().max().unwrap_or(1);
    let stage = Stage::set(run::target().join("footprint"), most)?;
    let mut started = Vec::new();
    for &printers in &options.printers {
        started.push(stage.agent(&agent, printers)?);
    }
    for &printers in &options.printers {
        started.push(stage.vmagent(printers)?);
    }
    peers::pause(WARM_UP);
    let before = looks(&mut started)?;
    peers::pause(Duration::from_secs(u64::from(options.seconds)));
    let after = looks(&mut started)?;
    let mut rows = Vec::new();
    for ((one, before), after) in started.iter().zip(&before).zip(after) {
        rows.push(row(one, &after, after.since(before)));
    }
    stage.print(true);
    // Three polls, so that a print was surely seen.
    peers::pause(Duration::from_secs(u64::from(3 * peers::POLL_SECONDS)));
    stage.print(false);
    for (one, row) in started.iter_mut().zip(&mut rows).filter(|(one, _)| one.is_agent()) {
        one.wait_until_sealed(SEALED_WITHIN)?;
        row.disk_bytes_a_print = Some(0.0);
    }
    let end = looks(&mut started)?;
    for ((row, last), first) in rows.iter_mut().zip(&end).zip(&before) {
        let spent = last.since(first);
        let prints = f64::from(row.printers);
        let rest = row.disk_bytes_a_rest_hour / 3600.0 * spent.seconds;
        if let Some(bytes) = &mut row.disk_bytes_a_print {
            *bytes = (float(spent.written) - rest).max(0.0) / prints;
        }
    }
    let report = Report { seconds: options.seconds, poll_seconds: peers::POLL_SECONDS, rows };
    if options.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|source| TaskError::Json { command: "footprint".to_owned(), source })?;
        println!("{text}");
    } else {
        println!("{report}");
    }
    Ok(())
}

fn looks(started: &mut [Started]) -> Result<Vec<Seen>, TaskError> {
    started.iter_mut().map(Started::look).collect()
}

fn row(one: &Started, now: &Seen, spent: Spent) -> Row {
    let share = spent.processor.as_secs_f64() / spent.seconds;
    Row {
        program: one.name.clone(),
        printers: one.printers,
        binary_bytes: one.binary_bytes,
        resident_bytes: now.resident,
        anonymous_bytes: now.anonymous,
        threads: now.threads,
        processor_percent: share * 100.0,
        processor_seconds_an_hour: share * 3600.0,
        wakes_a_minute: float(spent.wakes) / spent.seconds * 60.0,
        disk_bytes_a_rest_hour: float(spent.written) / spent.seconds * 3600.0,
        disk_bytes_a_print: None,
    }
}

/// A count for arithmetic; saturates far above anything that is counted here.
fn float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// Bytes in MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    float(bytes / 1024) / 1024.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10}{:>9}{:>12}{:>13}{:>12}{:>9}{:>9}{:>10}{:>11}{:>12}{:>11}",
            "program",
            "printers",
            "binary MiB",
            "resident MiB",
            "its own",
            "threads",
            "CPU %",
            "CPU s/h",
            "wakes/min",
            "disk KiB/h",
            "KiB/print"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<10}{:>9}{:>12.1}{:>13.1}{:>12.1}{:>9}{:>9.3}{:>10.2}{:>11.0}{:>12.0}{:>11}",
                row.program,
                row.printers,
                mebibytes(row.binary_bytes),
                mebibytes(row.resident_bytes),
                mebibytes(row.anonymous_bytes),
                row.threads,
                row.processor_percent,
                row.processor_seconds_an_hour,
                row.wakes_a_minute,
                row.disk_bytes_a_rest_hour / 1024.0,
                row.disk_bytes_a_print
                    .map_or_else(|| "-".to_owned(), |bytes| format!("{:.0}", bytes / 1024.0)),
            )?;
        }
        // The agents come first, then as many of the other.
        let (own, other) = self.rows.split_at(self.rows.len() / 2);
        let times = |of: fn(&Row) -> f64| {
            let pairs = own.iter().zip(other);
            let told: Vec<_> =
                pairs.map(|(own, other)| format!("{:.1}", of(other) / of(own))).collect();
            told.join(" and ")
        };
        write!(
            f,
            "vmagent / agent, row by row: resident {}, own memory {}, CPU {}, wakes {}\n\
             Watched {} s at rest, each printer and target read every {} s; hours are extrapolated.",
            times(|row| float(row.resident_bytes)),
            times(|row| float(row.anonymous_bytes)),
            times(|row| row.processor_percent),
            times(|row| row.wakes_a_minute),
            self.seconds,
            self.poll_seconds,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_the_other_program_over_the_agent() {
        let row = |program: &str, printers, resident_bytes, wakes_a_minute| Row {
            program: program.to_owned(),
            printers,
            binary_bytes: 5 << 20,
            resident_bytes,
            anonymous_bytes: resident_bytes / 2,
            threads: 8,
            processor_percent: 0.1,
            processor_seconds_an_hour: 3.6,
            wakes_a_minute,
            disk_bytes_a_rest_hour: 2048.0,
            disk_bytes_a_print: (program == "agent").then_some(40_960.0),
        };
        let rows = vec![
            row("agent", 1, 6 << 20, 400.0),
            row("agent", 10, 10 << 20, 500.0),
            row("vmagent", 1, 30 << 20, 1200.0),
            row("vmagent", 10, 35 << 20, 3000.0),
        ];
        let text = Report { seconds: 120, poll_seconds: 2, rows }.to_string();
        assert!(text.contains("resident 5.0 and 3.5"), "{text}");
        assert!(text.contains("wakes 3.0 and 6.0") && text.contains("Watched 120 s"), "{text}");
        assert_eq!(text.lines().count(), 7, "{text}");
    }
}
