//! What an answer costs: a lake of made-up printers, the ten commonest questions, and the program that asks them.
//!
//! `cargo xtask bench-answers` runs it beside `DuckDB` and `chDB`. Everything in the lake is made up from a seed;
//! it is written by the lake's own writer, in files of the sizes that the collector leaves.

mod ask;
mod asked;
mod draw;
mod fleet;
mod lake;
#[cfg(test)]
mod tests;
mod told;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What can go wrong; printed, and the exit code is 1.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A file or a stream cannot be used.
    #[error("cannot use `{what}`")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
    /// The lake refused a row or a folder.
    #[error("cannot make the lake")]
    Lake(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A line or a file is not what it should be.
    #[error("cannot read `{what}`")]
    Json {
        what: String,
        #[source]
        source: serde_json::Error,
    },
    /// The engine failed other than by saying no.
    #[error("cannot ask")]
    Query(#[source] Box<imprimatur_query::QueryError>),
    /// Something that the text names.
    #[error("{0}")]
    Wrong(String),
}

/// Makes a lake and asks it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write a lake of made-up printers, unless the folder holds the same one already.
    Lake {
        /// Where it is made; about 40 bytes a row.
        #[arg(long, value_name = "DIR")]
        folder: PathBuf,
        /// Rows of both tables together, about, 1000 to 1000000000.
        #[arg(long, value_name = "N", default_value = "100000000",
              value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000))]
        rows: u64,
        /// Days from 2026-08-01, 1 to 366.
        #[arg(long, value_name = "N", default_value = "90",
              value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
        /// Rows of a file, 1 and more; a date's last file has fewer.
        #[arg(long, value_name = "N", default_value_t = lake::FILE_ROWS,
              value_parser = clap::value_parser!(u64).range(1..))]
        file_rows: u64,
        /// Another seed makes another lake.
        #[arg(long, value_name = "N", default_value = "1")]
        seed: u64,
    },
    /// Print the ten questions of a lake as JSON, with all that a peer needs to ask them in SQL.
    Questions {
        /// The lake.
        #[arg(long, value_name = "DIR")]
        folder: PathBuf,
    },
    /// Answer questions: one as JSON a line on standard input, one answer a line.
    Ask {
        /// The lake.
        #[arg(long, value_name = "DIR")]
        folder: PathBuf,
        /// Threads, 1 to 64.
        #[arg(long, value_name = "N", default_value = "2",
              value_parser = clap::value_parser!(u16).range(1..=64))]
        threads: u16,
        /// Memory for all questions together; the engine's own default without it.
        #[arg(long, value_name = "MIB")]
        memory_mib: Option<usize>,
        /// Whether an answer is kept for who asks the same again.
        #[arg(long, value_name = "WHAT", value_enum, default_value = "nothing")]
        kept: ask::Kept,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Lake { folder, rows, days, file_rows, seed } => {
            lake::make(&folder, lake::Made { rows, days, file_rows, seed })
        }
        Task::Questions { folder } => asked::print(&folder),
        Task::Ask { folder, threads, memory_mib, kept } => {
            ask::answer_all(&folder, usize::from(threads), memory_mib, kept)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("the benchmark failed: {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Says something to who watches; nobody is left to tell when standard error is closed.
pub(crate) fn tell(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// The error and its sources on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
