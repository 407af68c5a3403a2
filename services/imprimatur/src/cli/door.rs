//! The command line of the doors: the query service, and who may ask it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use imprimatur_door::Role;

pub(super) const HELP: &str = "\
Example: imprimatur query-server --data /var/lib/imprimatur

Of the folder only `lake` and `tokens.json` are read, and `query` is written. Who asks needs a token: imprimatur token create.
GET /openapi.json tells what there is.";

/// `imprimatur query-server`.
#[derive(Debug, Args)]
pub struct QueryServer {
    /// The collector's folder, or one of its own with `lake` and `tokens.json` in it.
    #[arg(long)]
    pub data: PathBuf,
    /// Address to listen on: HTTP without TLS, which ends at a proxy.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Address of the same over gRPC (`imprimatur.query.v1`); nowhere unless given.
    #[arg(long, value_name = "ADDRESS")]
    pub grpc: Option<SocketAddr>,
}

/// `imprimatur token`.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it, once; only its SHA-256 is kept.
    #[command(
        after_help = "Example: imprimatur token create --data /var/lib/imprimatur --role engineer \
                      --name \"quality lab\" --days 90"
    )]
    Create(Create),
    /// The tokens: names, roles and last days.
    #[command(after_help = "Example: imprimatur token list --data /var/lib/imprimatur")]
    List(List),
    /// Take a token away; it is refused at once.
    #[command(
        after_help = "Example: imprimatur token revoke \"quality lab\" --data /var/lib/imprimatur"
    )]
    Revoke(Revoke),
}

/// `imprimatur token create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// What it is for: engineer (answers), compliance (what was promised) or operator (counts).
    #[arg(long)]
    pub role: Role,
    /// What you call it; it is shown to who uses it.
    #[arg(long)]
    pub name: String,
    /// For how many days, 1 to 366.
    #[arg(long, value_name = "N")]
    pub days: u32,
}

/// `imprimatur token list`.
#[derive(Debug, Args)]
pub struct List {
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `imprimatur token revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Its name.
    pub name: String,
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
}
