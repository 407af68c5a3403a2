//! Runs seeds: `cargo run -p imprimatur-sim -- --seeds 200`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that people read")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use imprimatur_sim::{Plan, run};

/// Runs the whole path under faults, a seed a run, and says what was violated.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example: imprimatur-sim --seeds 100000 --jobs 2\n\
    One run with its trace: imprimatur-sim --first 4711 --seeds 1 --trace"
)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// Print what happened, line by line.
    #[arg(long)]
    trace: bool,
    /// Print the sums as JSON.
    #[arg(long)]
    json: bool,
}

/// What all runs were together.
#[derive(Debug, Default, serde::Serialize)]
struct Sums {
    seeds: u64,
    issued: u64,
    acknowledged: u64,
    crashes: u64,
    doubled: u64,
    repeated: u64,
    withdrawn_in_flight: u64,
    violations: u64,
    /// XOR of the runs' hashes: the same seeds give the same, in whatever order.
    traces: String,
    failed_seeds: Vec<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (next, sums) = (AtomicU64::new(0), Mutex::new(Sums::default()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| work(&arguments, &next, &sums));
        }
    });
    let sums = sums.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if arguments.json {
        match serde_json::to_string_pretty(&sums) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("cannot be written as JSON: {error}"),
        }
    } else {
        println!(
            "{} seeds: {} prints issued, {} batches acknowledged, {} crashes, {} messages doubled, {} \
             batches seen again, {} withdrawals in flight; {} violations; traces {}",
            sums.seeds,
            sums.issued,
            sums.acknowledged,
            sums.crashes,
            sums.doubled,
            sums.repeated,
            sums.withdrawn_in_flight,
            sums.violations,
            sums.traces
        );
    }
    if sums.failed_seeds.is_empty() && sums.seeds == arguments.seeds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn work(arguments: &Arguments, next: &AtomicU64, sums: &Mutex<Sums>) {
    let plan = Plan { keep_trace: arguments.trace, ..Plan::default() };
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        if place >= arguments.seeds {
            return;
        }
        let seed = arguments.first.wrapping_add(place);
        let done = run(seed, &plan);
        let mut sums = sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match done {
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                eprintln!("seed {seed}: {error}: {}", cause.unwrap_or_default());
                sums.failed_seeds.push(seed);
            }
            Ok(run) => {
                for line in &run.lines {
                    println!("{line}");
                }
                for violation in &run.violations {
                    eprintln!("seed {seed}: {violation:?}");
                }
                if !run.violations.is_empty() {
                    sums.failed_seeds.push(seed);
                }
                sums.seeds += 1;
                sums.issued += run.issued;
                sums.acknowledged += run.acknowledged;
                sums.crashes += run.crashes;
                sums.doubled += run.doubled;
                sums.repeated += run.repeated;
                sums.withdrawn_in_flight += run.withdrawn_in_flight;
                sums.traces = folded(&sums.traces, &run.trace);
                sums.violations += u64::try_from(run.violations.len()).unwrap_or(u64::MAX);
            }
        }
        if sums.seeds > 0 && sums.seeds.is_multiple_of(1000) {
            eprintln!("{} of {} seeds", sums.seeds, arguments.seeds);
        }
    }
}

/// The hashes so far, and one more.
fn folded(so_far: &str, trace: &[u8; 32]) -> String {
    let so_far = u64::from_str_radix(so_far, 16).unwrap_or(0);
    let first = trace.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    format!("{:016x}", so_far ^ first)
}
