//! The command line of releases: what may leave the operator's team.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use imprimatur_consent::Digest;
use imprimatur_query::ROWS_DEFAULT;

/// `imprimatur release`.
#[derive(Debug, Subcommand)]
pub enum Release {
    /// Make a release of a month that is over, paid for from the privacy budget, and print it.
    #[command(after_help = MAKE_HELP)]
    Make(Make),
    /// The releases, the oldest first, with those that were withdrawn.
    #[command(after_help = "Example: imprimatur release list --data /var/lib/imprimatur")]
    List(Of),
    /// A release as it was first told.
    #[command(
        after_help = "Example: imprimatur release show ID --data /var/lib/imprimatur --json\n\
                            Exit code 1: it was withdrawn, or there is none."
    )]
    Show(Show),
    /// Withdraw a release at once and for good.
    #[command(after_help = "Example: imprimatur release withdraw ID --reason mistaken --data \
                      /var/lib/imprimatur\nWhat it cost stays spent.")]
    Withdraw(Withdraw),
    /// What was spent of the privacy budget, and of what.
    #[command(after_help = "Example: imprimatur release budget --data /var/lib/imprimatur")]
    Budget(Of),
}

const MAKE_HELP: &str = "\
Example: imprimatur release make failure_rate --month 2026-10 --by outcome --data /var/lib/imprimatur

The same question over the same edition is the same release and costs nothing. Exit code 1: the budget is spent, \
or the release was withdrawn.";

/// `imprimatur release make`.
#[derive(Debug, Args)]
pub struct Make {
    /// A registered metric; `imprimatur metrics` lists them.
    pub metric: String,
    /// The calendar month, in UTC; it must be over.
    #[arg(long, value_name = "YYYY-MM")]
    pub month: String,
    /// Group by this dimension, whose values the contract lists.
    #[arg(long, value_name = "DIM")]
    pub by: Option<String>,
    /// Only these groups of that dimension: fewer groups have less noise.
    #[arg(long = "where", value_name = "DIM=VALUE,..")]
    pub filter: Option<String>,
    /// What it costs, 0.001 to 0.1; the default is the most that the policies allow.
    #[arg(long, value_name = "EPSILON")]
    pub epsilon: Option<String>,
    /// Rows of one principal that count in a month, at most: fewer have less noise.
    #[arg(long, value_name = "ROWS", default_value_t = ROWS_DEFAULT)]
    pub rows: NonZeroU32,
    /// The withdrawn release that it replaces: of the same question, over an earlier edition.
    #[arg(long, value_name = "ID")]
    pub replaces: Option<Digest>,
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// Print JSON: the bytes of the release.
    #[arg(long)]
    pub json: bool,
}

/// `imprimatur release list` and `budget`.
#[derive(Debug, Args)]
pub struct Of {
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `imprimatur release show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The release, 64 hex digits.
    pub id: Digest,
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// Print JSON: the bytes of the release.
    #[arg(long)]
    pub json: bool,
}

/// `imprimatur release withdraw`.
#[derive(Debug, Args)]
pub struct Withdraw {
    /// The release, 64 hex digits.
    pub id: Digest,
    /// Why. That somebody was excluded is found without this command.
    #[arg(long)]
    pub reason: Why,
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why an operator withdraws a release.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Why {
    /// Its metric, question or data were wrong.
    Mistaken,
    /// It is told no more.
    Retired,
}
