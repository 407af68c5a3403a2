//! Runs the faults against every peer and prints the table; exits with 1 when a run says nothing.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use imprimatur_peers::{Kind, Line, Plan, RunError, SUBJECTS, Subject, check, markdown};

/// What brokers, and Imprimatur, lose of what they have acknowledged.
///
/// The same messages, faults and oracle for each: SIGKILL at random moments with a restart on the same
/// store; power cuts, for which the store is on an ext4 image that is copied as it is on the disk
/// (needs root, to mount); and no fault at all while the consumer is away. Acknowledged means PUBACK for
/// a broker and a signed verdict for Imprimatur. Each cell is acknowledged / lost / doubled; a broker
/// may double (`QoS` 1), Imprimatur may not count twice.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Needs: cargo xtask peers; cargo build -p imprimatur\n\
    Example: cargo run -p imprimatur-peers -- --kills 20 --power-cuts 5"
)]
struct Arguments {
    /// SIGKILLs for each peer, all on one store.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Power cuts for each peer, and one more that is synced before, as a control; 0 needs no root.
    #[arg(long, default_value_t = 5)]
    power_cuts: usize,
    /// Messages while the consumer is away, at most 40000.
    #[arg(long, default_value_t = 20_000, value_parser = messages)]
    away: usize,
    /// Only these peers: mosquitto, mosquitto-on-changes, nats, nats-always, embedded, imprimatur.
    #[arg(long, value_delimiter = ',', value_parser = subject)]
    only: Vec<Subject>,
    /// Repeats the random moments of a run.
    #[arg(long)]
    seed: Option<u64>,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// A print has only so many values.
fn messages(text: &str) -> Result<usize, String> {
    let count = text.parse().map_err(|error| format!("{error}"))?;
    if count <= 40_000 { Ok(count) } else { Err(String::from("expected at most 40000")) }
}

fn subject(text: &str) -> Result<Subject, String> {
    match text {
        "mosquitto" => Ok(Subject::Broker(Kind::Mosquitto)),
        "mosquitto-on-changes" => Ok(Subject::Broker(Kind::MosquittoOnChanges)),
        "nats" => Ok(Subject::Broker(Kind::Nats)),
        "nats-always" => Ok(Subject::Broker(Kind::NatsAlways)),
        "embedded" => Ok(Subject::Broker(Kind::Embedded)),
        "imprimatur" => Ok(Subject::Imprimatur),
        _ => Err(String::from("no such peer")),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(text) => said(&std::io::stdout().write_all(text.as_bytes()), 0),
        Err(error) => {
            let mut text = format!("imprimatur-peers: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            said(&writeln!(std::io::stderr(), "{text}"), 1)
        }
    }
}

fn said(written: &std::io::Result<()>, code: u8) -> ExitCode {
    if written.is_ok() { ExitCode::from(code) } else { ExitCode::FAILURE }
}

async fn run(arguments: Arguments) -> Result<String, RunError> {
    let Arguments { kills, power_cuts, away, only, seed, json } = arguments;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| RunError::Failed {
        what: String::from("getrandom"),
        log: error.to_string(),
    })?;
    // Short enough to type.
    let seed = seed.unwrap_or(u64::from_be_bytes(random) >> 32);
    let plan = Plan { kills, power_cuts, away, seed };
    let subjects = if only.is_empty() { SUBJECTS.to_vec() } else { only };
    check(&subjects, &plan)?;
    let mut lines: Vec<Line> = Vec::new();
    for subject in subjects {
        let line = subject.line(&plan).await?;
        let said = writeln!(std::io::stderr(), "{} ({}): done", line.peer, line.setting);
        said.map_err(|source| RunError::File { path: "standard error".into(), source })?;
        lines.push(line);
    }
    if json {
        let report = serde_json::json!({ "seed": seed, "lines": lines });
        return Ok(format!("{report:#}\n"));
    }
    Ok(format!(
        "{}\nacknowledged / lost / doubled; --kills {kills} --power-cuts {power_cuts} \
         --away {away} --seed {seed}\n",
        markdown(&lines)
    ))
}
