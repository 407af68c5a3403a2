//! Runs the experiment: `cargo run --release -p imprimatur-geometry -- --plot docs/geometry.svg`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that people read")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use imprimatur_geometry::{Plan, page, plot, positions, run};

/// Simulates prints of made-up models and counts how often a print's model can be named by what is held of it.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example: imprimatur-geometry --plot docs/geometry.svg\n\
    Ten times the models: imprimatur-geometry --models 100000 --training 1 --stored-only"
)]
struct Arguments {
    /// Models that the attacker has.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    models: u32,
    /// Prints that are attacked.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    probes: u32,
    /// Prints that the attacker makes of each model, for what Imprimatur would store of them.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    training: u32,
    /// The same seed gives the same figures.
    #[arg(long, default_value_t = 20_261_122)]
    seed: u64,
    /// Ask only for what Imprimatur stores.
    #[arg(long)]
    stored_only: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Write a picture (SVG) to this file.
    #[arg(long)]
    plot: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let plan = Plan {
        models: size(arguments.models),
        probes: size(arguments.probes),
        training: size(arguments.training),
        seed: arguments.seed,
        stored_only: arguments.stored_only,
    };
    let rows = run(plan);
    if let Some(file) = &arguments.plot {
        let title = format!("Prints whose model was named, of {} models", plan.models);
        if let Err(error) = std::fs::write(file, plot::svg(&title, &rows)) {
            eprintln!(
                "cannot write {}: {error}; name a file in a folder that exists",
                file.display()
            );
            return ExitCode::FAILURE;
        }
    }
    let rebuilt = if plan.stored_only { Vec::new() } else { positions::rebuild(plan.seed) };
    if arguments.json {
        let all = serde_json::json!({ "plan": plan, "observers": rows, "positions": rebuilt });
        println!("{all}");
    } else {
        print!("{}", page::table(plan, &rows));
        if !rebuilt.is_empty() {
            print!("\n{}", page::rebuilt(&rebuilt));
        }
    }
    ExitCode::SUCCESS
}
