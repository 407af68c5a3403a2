//! The command line.

pub mod door;
mod proof;
pub mod records;
pub mod release;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use imprimatur_collector::region::Region;
use imprimatur_consent::Digest;
use imprimatur_log::Witness;
use imprimatur_runtime::logs;

pub use proof::Proof;

/// Telemetry of 3D printers that exists only where somebody said yes: the server.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = "Try it: imprimatur up --demo")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Write logs as JSON, one object a line, to standard error.
    #[arg(long, global = true)]
    log_json: bool,
}

impl Cli {
    /// Starts logging; `IMPRIMATUR_LOG` sets the level.
    pub fn start_logs(&self) {
        let format = if self.log_json { logs::Format::Json } else { logs::Format::Text };
        let fallback = match &self.command {
            Command::Broker(_)
            | Command::Bridge(_)
            | Command::Collector(_)
            | Command::QueryServer(_) => "info",
            Command::Up(up) if !up.demo => "info",
            _ => "warn",
        };
        logs::start(format, fallback);
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything in one process, on loopback: broker, bridge, collector, query service.
    #[command(after_help = "Example: imprimatur up --data /var/lib/imprimatur")]
    Up(Up),
    /// The embedded MQTT broker alone. It is trusted with nothing.
    #[command(after_help = "Example: imprimatur broker --password-file bridge.password")]
    Broker(Broker),
    /// The bridge alone: MQTT to gRPC, and the answers back.
    #[command(after_help = BRIDGE_HELP)]
    Bridge(Bridge),
    /// The collector alone: gate, book, lake.
    #[command(after_help = "Example: imprimatur collector --data /var/lib/imprimatur")]
    Collector(Collector),
    /// One-time tokens; a principal that spends one counts toward k.
    #[command(after_help = "Example: imprimatur enrol --data /var/lib/imprimatur --principals 5")]
    Enrol(Enrol),
    /// Ask a registered metric; only groups of at least k enrolled principals are answered about.
    #[command(
        after_help = "Example: imprimatur query print_duration --by material_family --since \
                      2026-11-01\nExit code 1: every group is below k."
    )]
    Query(Query),
    /// Releases: numbers with noise, which may leave your team.
    #[command(subcommand)]
    Release(release::Release),
    /// The query service alone: the same questions over HTTP, for who has a token.
    #[command(after_help = door::HELP)]
    QueryServer(door::QueryServer),
    /// Tokens for the query service.
    #[command(subcommand)]
    Token(door::Token),
    /// The registered metrics and their dimensions.
    #[command(after_help = "Example: imprimatur metrics --json")]
    Metrics(Metrics),
    /// Prove from stored bytes what was promised.
    #[command(subcommand)]
    Compliance(Compliance),
    /// Policies: what an operator promises.
    #[command(subcommand)]
    Policy(records::Policy),
    /// Subjects: what is held, and every right over it.
    #[command(subcommand)]
    Subject(records::Subject),
    /// The ledger's public log.
    #[command(subcommand)]
    Ledger(records::Ledger),
    /// Backups, in which an erased subject stays erased.
    #[command(subcommand)]
    Backup(records::Backup),
}

/// `imprimatur up`.
#[derive(Debug, Args)]
pub struct Up {
    /// Folder of everything that is stored; made when it is not there. The demo's default is a
    /// temporary one.
    #[arg(long, required_unless_present = "demo")]
    pub data: Option<PathBuf>,
    /// Address of the MQTT broker. The demo's default is a free loopback port.
    #[arg(long, value_name = "ADDRESS")]
    pub mqtt: Option<SocketAddr>,
    /// Address of the collector's gRPC. The demo's default is a free loopback port.
    #[arg(long, value_name = "ADDRESS")]
    pub grpc: Option<SocketAddr>,
    /// Address of the query service's HTTP; the default is 127.0.0.1:8080. The demo has none unless it is given.
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// Policy to which consent is taken; the default is the shipped one, `strictest`.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Where this server and its disk stand: `EEA`, or the two letters of a country. A policy that
    /// promises other regions is not offered.
    #[arg(long, value_name = "REGION", default_value = "EEA")]
    pub region: Region,
    /// Run a synthetic fleet of 60 agents under mixed consent and show what becomes of its data.
    #[arg(long)]
    pub demo: bool,
    /// With --demo: stop after the first answer and the compliance verdict.
    #[arg(long, requires = "demo")]
    pub once: bool,
}

/// `imprimatur broker`.
#[derive(Debug, Args)]
pub struct Broker {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1883")]
    pub listen: SocketAddr,
    /// Name of the bridge's account.
    #[arg(long, default_value = "bridge")]
    pub user: String,
    /// File that holds the bridge's password, at least 16 characters.
    #[arg(long, value_name = "FILE")]
    pub password_file: PathBuf,
}

/// What the bridge needs of a broker, and what it says of one that is not fit.
const BRIDGE_HELP: &str = "\
Example: imprimatur bridge --broker 127.0.0.1:1883 --password-file bridge.password \
--collector http://127.0.0.1:50051

The broker must speak MQTT 5, with quality of service 1, shared subscriptions, wildcards, packets of \
16.5 kB, and room for two windows of messages that wait for one client; the bridge looks at the start, \
and a broker that would drop messages without a word is refused. In Mosquitto's names: max_qos 1, \
max_packet_size 32768, max_queued_messages and max_queued_bytes 0 or at least two windows, \
max_inflight_messages at least one window, retain_available false, and `topic readwrite \
imprimatur/v1/probe/+` for the account.

SIGTERM: it asks for no more messages, answers what is under way within 3 s, and ends; other bridges of \
the same share take over.";

/// `imprimatur bridge`.
#[derive(Debug, Args)]
pub struct Bridge {
    /// Address of the MQTT broker, `HOST:PORT`.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883")]
    pub broker: String,
    /// Name of the bridge's account with the broker.
    #[arg(long, default_value = "bridge")]
    pub user: String,
    /// File that holds the account's password.
    #[arg(long, value_name = "FILE")]
    pub password_file: PathBuf,
    /// Address of the collector.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50051")]
    pub collector: String,
    /// Name of the shared subscription, the same for all bridges of one collector. On a broker
    /// that checks no access to shared names (Mosquitto) keep it secret: who joins it by name
    /// swallows part of the batches.
    #[arg(long, default_value = "bridge")]
    pub share: String,
    /// Batches under way at once, 1 to 1024. The broker may bring twice as many messages; agents whose
    /// batch comes beyond are told to come again later.
    #[arg(long, value_name = "BATCHES", default_value_t = 64)]
    pub window: u16,
}

/// `imprimatur collector`.
#[derive(Debug, Args)]
pub struct Collector {
    /// Folder of everything that is stored; made when it is not there.
    #[arg(long)]
    pub data: PathBuf,
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
    /// Address where `/metrics` tells counts for Prometheus; nowhere unless given. It asks for no account.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Policy to which consent is taken; the default is the shipped one, `strictest`.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Where this collector and its disk stand: `EEA`, or the two letters of a country. A policy that
    /// promises other regions is not offered.
    #[arg(long, value_name = "REGION", default_value = "EEA")]
    pub region: Region,
    /// For load tests: any number of reports is taken of a date. All that comes is labelled synthetic
    /// for the life of the folder, and a folder that holds anything else is refused.
    #[arg(long)]
    pub load_test: bool,
}

/// `imprimatur enrol`.
#[derive(Debug, Args)]
pub struct Enrol {
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// How many tokens, 1 to 1000: one for each person or organisation.
    #[arg(long, value_name = "N")]
    pub principals: u32,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `imprimatur query`.
#[derive(Debug, Args)]
pub struct Query {
    /// A registered metric; `imprimatur metrics` lists them.
    pub metric: String,
    /// Group by these dimensions; of two groups of one dimension the difference is told, too.
    #[arg(long, value_name = "DIM,..")]
    pub by: Option<String>,
    /// Only groups with these values: one of a dimension, or several of one that is grouped by.
    #[arg(long = "where", value_name = "DIM=VALUE,..")]
    pub filter: Option<String>,
    /// Only rows of this UTC date and later, the first of a month.
    #[arg(long, value_name = "DATE")]
    pub since: Option<String>,
    /// The collector's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// Print JSON.
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV.
    #[arg(long)]
    pub csv: bool,
}

/// `imprimatur compliance schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print the data dictionary, in Markdown.
    #[arg(long, conflicts_with = "json")]
    pub page: bool,
}

/// `imprimatur metrics`.
#[derive(Debug, Args)]
pub struct Metrics {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print the catalogue of metrics, in Markdown.
    #[arg(long, conflicts_with = "json")]
    pub page: bool,
}

/// Output of a command without other options.
#[derive(Debug, Args)]
pub struct Output {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `imprimatur compliance`.
#[derive(Debug, Subcommand)]
pub enum Compliance {
    /// Read every stored byte and every recorded event: prove INV-1, 5, 7, 9 and 10, search for
    /// geometry, and say of the others what bytes cannot show.
    #[command(after_help = proof::HELP)]
    Verify(Box<Proof>),
    /// Capacity and field table, from the contract alone.
    #[command(after_help = "Example: imprimatur compliance schema --json")]
    Schema(Schema),
    /// Try at a collector's door what must be refused, as a modified agent would; erase what was said.
    #[command(
        after_help = "Example: imprimatur compliance attack --target http://127.0.0.1:50051\n\
                      Exit code 0 only if everything was refused with its documented reason and no \
                      more came through than is declared; 69 when nothing is proven: nobody answers, \
                      an honest batch was not taken, or it was stopped."
    )]
    Attack(Attack),
}

/// `imprimatur compliance attack`.
#[derive(Debug, Args)]
pub struct Attack {
    /// Address of the collector's gRPC. Use one of your own: it sees thousands of bad frames.
    #[arg(long, value_name = "URL")]
    pub target: String,
    /// Address of the same server's MQTT broker: topics, retained messages and the road through the
    /// bridge are tried, too.
    #[arg(long, value_name = "HOST:PORT")]
    pub broker: Option<String>,
    /// A policy to which the collector takes consent; the default is the shipped one, `strictest`.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `imprimatur ledger verify`, and the first options of `imprimatur compliance verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The collector's folder, or a copy of its `lake`, `evidence`, `log` and `keys`.
    #[arg(long)]
    pub data: PathBuf,
    /// The public key that signs the log, as its operator published it: 64 hex digits. Without it a
    /// log that was replaced whole passes.
    #[arg(long, value_name = "HEX")]
    pub log_key: Option<Digest>,
    /// A checkpoint that was kept elsewhere; the log must continue it.
    #[arg(long, value_name = "FILE", requires = "log_key")]
    pub checkpoint: Option<PathBuf>,
    /// The verifier key of a witness, `NAME+ID+KEY`: that checkpoint must bear its cosignature. May be
    /// given again.
    #[arg(long, value_name = "VKEY", requires = "checkpoint")]
    pub witness: Vec<Witness>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
