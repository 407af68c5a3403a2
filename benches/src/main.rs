//! Benchmarks: `cargo bench-ledger` prints what the ledger costs, beside named peers, in one run.

mod ledger;
mod measure;

use std::process::ExitCode;

use clap::Parser;

/// Measures what the documentation quotes. Absolute times are this machine's; compare the ratios.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example: cargo bench-ledger --subjects 1000000,10000000")]
struct Arguments {
    /// Numbers of subjects, one run for each.
    #[arg(long, value_delimiter = ',', default_value = "1000000")]
    subjects: Vec<u32>,
    /// Where the books are made; needs about 3 KB a subject.
    #[arg(long, value_name = "DIR")]
    folder: Option<std::path::PathBuf>,
    /// Measures one way to hold standings in memory; the benchmark runs itself so.
    #[arg(long, hide = true)]
    held: Option<ledger::Held>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (arguments.held, arguments.subjects.first()) {
        (Some(held), Some(&count)) => ledger::hold(held, count),
        _ => ledger::run(&arguments.subjects, arguments.folder.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            measure::say(&format!("the benchmark failed: {error}"));
            ExitCode::FAILURE
        }
    }
}
