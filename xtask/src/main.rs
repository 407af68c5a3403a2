//! The project's own commands: `cargo xtask peers|test|faults|fuzz|agent|footprint|disturb|bench-answers|console|promises|tidy|buf|deny|ci`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that people read")]

mod agent;
mod answers;
mod ci;
mod console;
mod disturb;
mod error;
mod faults;
mod footprint;
mod fuzz;
mod peers;
mod promises;
mod run;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, checks and tests Imprimatur.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

/// What can be asked for.
#[derive(Clone, Debug, Subcommand)]
enum Task {
    /// Install the programs that tests run against; does nothing where all are there.
    Peers,
    /// Install peers, run all tests, and repeat the runner's closing lines at the end.
    Test,
    /// Run the fault tests with sizes of their own, and tell in one table what they saw.
    Faults {
        /// Long runs: hours, not minutes.
        #[arg(long)]
        nightly: bool,
        /// One kind of fault alone.
        #[arg(long, value_name = "KIND")]
        only: Option<faults::Only>,
        /// The seed that an earlier run printed.
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
    /// Give arbitrary bytes to everything that reads bytes from outside.
    Fuzz {
        /// How long each target runs, 1 to 86400 seconds.
        #[arg(long, value_name = "N", default_value = "60",
              value_parser = clap::value_parser!(u32).range(1..=86400))]
        seconds: u32,
        /// How many targets run at once.
        #[arg(long, value_name = "N", default_value = "2")]
        jobs: usize,
        /// Keep inputs that reach new code in `fuzz/corpus`.
        #[arg(long)]
        keep: bool,
        /// Targets; all without any.
        #[arg(value_name = "TARGET")]
        only: Vec<String>,
    },
    /// Build the agent as it is shipped, and check it: static, stripped, at most 8 MiB, and it runs.
    ///
    /// Takes minutes, so continuous integration does not; a release does.
    Agent {
        /// With OPC UA, for a PC beside an industrial machine: at most 20 MiB.
        #[arg(long)]
        opcua: bool,
    },
    /// Measure what the agent costs beside vmagent, at rest and through a simulated print of an hour.
    Footprint {
        /// How long everything is watched at rest, 10 to 86400 seconds.
        #[arg(long, value_name = "N", default_value = "120",
              value_parser = clap::value_parser!(u32).range(10..=86400))]
        seconds: u32,
        /// Numbers of printers, 1 to 64: one agent and one vmagent for each.
        #[arg(long, value_name = "N,..", default_value = "1,10", value_delimiter = ',',
              value_parser = clap::value_parser!(u32).range(1..=64))]
        printers: Vec<u32>,
        /// An agent that was built before, instead of `cargo xtask agent`.
        #[arg(long, value_name = "FILE")]
        agent: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure what the agent costs a print: `OctoPrint`'s answers and lines a second, in pairs.
    Disturb {
        /// How many prints with the agent and without, 5 to 1000.
        #[arg(long, value_name = "N", default_value = "10",
              value_parser = clap::value_parser!(u32).range(5..=1000))]
        pairs: u32,
        /// Lines a second, as a real print has 20 to 100, 20 to 500; without it as fast as can be.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(20..=500))]
        pace: Option<u32>,
        /// An agent that was built before, instead of `cargo xtask agent`.
        #[arg(long, value_name = "FILE")]
        agent: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure what answers take and need beside `DuckDB` and chDB over the same files; their numbers must agree.
    ///
    /// The lake is made once, 2 GB in some minutes at 100 million rows; the engine is built as it is shipped.
    BenchAnswers {
        /// Rows of the lake, about, 1000 to 1000000000.
        #[arg(long, value_name = "N", default_value = "100000000",
              value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000))]
        rows: u64,
        /// Days that it covers, 1 to 366.
        #[arg(long, value_name = "N", default_value = "90",
              value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
        /// Where it is, or is made; in the target folder without it.
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Rows of a file; without it 8500, as compaction leaves it.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        file_rows: Option<u64>,
        /// Rounds that count, 0 to 10000; without it 21, or 5 from 30 million rows on.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
        rounds: Option<u32>,
        /// Memory that each engine may take.
        #[arg(long, value_name = "MIB", default_value = "4096",
              value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
        memory_mib: u32,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Copy the console's chart library from npm, as its lock file names it.
    Console {
        /// Copy nothing; fail where a file is not the locked package's.
        #[arg(long)]
        check: bool,
    },
    /// Write `docs/promises.md` and `docs/cases.md` from their registries and the tests that exist.
    Promises {
        /// Write nothing; fail where a page is stale or a promise or case is open.
        #[arg(long)]
        check: bool,
        /// What nextest reported: fail where a named test did not run and pass.
        #[arg(long, value_name = "FILE")]
        passed: Option<PathBuf>,
    },
    /// Check what rustfmt and clippy do not: headers, file lengths, leftovers.
    Tidy,
    /// Lint the contracts in `proto` with buf.
    Buf,
    /// Check licences and sources of dependencies with cargo-deny.
    Deny,
    /// Everything that continuous integration asks for.
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Peers => peers::install(),
        Task::Test => test::all(),
        Task::Faults { nightly, only, seed } => {
            faults::all(faults::Options { nightly, only, seed })
        }
        Task::Fuzz { seconds, jobs, keep, only } => {
            fuzz::run(&fuzz::Options { seconds, jobs, only, keep })
        }
        Task::Agent { opcua } => {
            let hosts = if opcua { agent::Hosts::Machines } else { agent::Hosts::Printers };
            agent::build(hosts).map(drop)
        }
        Task::Footprint { seconds, printers, agent, json } => {
            footprint::run(&footprint::Options { seconds, printers, agent, json })
        }
        Task::Disturb { pairs, pace, agent, json } => disturb::run(pairs, pace, agent, json),
        Task::BenchAnswers { rows, days, folder, file_rows, rounds, memory_mib, json } => {
            answers::run(&answers::Options {
                rows,
                days,
                folder,
                file_rows,
                rounds,
                memory_mib,
                json,
            })
        }
        Task::Console { check } => console::vendor(check),
        Task::Promises { check, passed } => promises::run(check, passed.as_deref()),
        Task::Tidy => tidy::check(),
        Task::Buf => ci::buf_lint(),
        Task::Deny => ci::deny(),
        Task::Ci => ci::all(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {}", error::chain(&error));
            ExitCode::FAILURE
        }
    }
}
