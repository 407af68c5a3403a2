//! The commands that people type: arguments, what they do, exit codes.
//!
//! A command reaches the running agent through its socket; when none runs, it opens the store
//! itself. 0 done, 1 the answer is no, 2 usage, 64 unusable configuration, 69 not reachable.

mod consent;
mod print;
mod reach;
mod rights;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use imprimatur_runtime::{SystemClock, lifecycle, logs};

use self::consent::{Consent, Terms};
use self::reach::{Reach, failure};
use self::rights::Rights;
use crate::app::{self, AppError};
use crate::config::Config;
use crate::control::{self, ControlError, Reply, Request};
use crate::core::{Agent, AgentSettings};
use crate::store;
use crate::told::chain;

/// Reads printers on this host and sends what you granted, and nothing else.
#[derive(Debug, Parser)]
#[command(
    name = "imprimatur-agent",
    version,
    after_help = "Example: imprimatur-agent consent show"
)]
pub struct Arguments {
    /// Settings.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/imprimatur/agent.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the agent until SIGTERM.
    #[command(after_help = "Example: imprimatur-agent run --config /etc/imprimatur/agent.toml")]
    Run,
    /// Shows, gives, renews and takes back consent, category by category.
    #[command(subcommand)]
    Consent(Consent),
    /// Shows what would leave next, decoded and byte for byte.
    #[command(after_help = "Example: imprimatur-agent preview --json")]
    Preview(Output),
    /// Shows what was sent and what came back.
    #[command(after_help = "Example: imprimatur-agent log")]
    Log(Output),
    /// Shows the printers that are read and how that goes.
    #[command(after_help = "Example: imprimatur-agent sources")]
    Sources(Output),
    #[command(flatten)]
    Rights(Rights),
    /// Removes all that the agent keeps here: answers, keys, queue, receipts. Settings stay.
    #[command(after_help = "Example: imprimatur-agent wipe")]
    Wipe {
        /// Also when a withdrawal or an erasure waits undelivered, or the store cannot be read.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Clone, Copy, Debug, Args)]
struct Output {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Why a command did not do what it was asked.
enum Failure {
    /// 1: the answer is no.
    No(String),
    /// 2: the command is not one.
    Usage(String),
    /// 64: the configuration or the store cannot be used.
    Configuration(String),
    /// 69: something cannot be reached.
    Unreachable(String),
}

impl Arguments {
    /// Does what was typed.
    pub fn execute(self) -> ExitCode {
        let (code, text) = match self.run() {
            Ok(()) => return ExitCode::SUCCESS,
            Err(Failure::No(text)) => (1, text),
            Err(Failure::Usage(text)) => (2, text),
            Err(Failure::Configuration(text)) => (64, text),
            Err(Failure::Unreachable(text)) => (69, text),
        };
        // Nobody is left to tell when standard error is closed; the code tells.
        drop(writeln!(io::stderr(), "imprimatur-agent: {text}"));
        ExitCode::from(code)
    }

    fn run(self) -> Result<(), Failure> {
        let config = Config::read(&self.config).map_err(|error| {
            Failure::Configuration(format!("{}: {}", self.config.display(), chain(&error)))
        })?;
        let AgentSettings { policy, language, .. } = config.agent.clone();
        match self.command {
            Command::Run => run(config),
            Command::Wipe { force } => wipe(config, force),
            Command::Consent(consent) => {
                consent.run(&Reach::of(config)?, &Terms { policy, language })
            }
            Command::Rights(rights) => rights.run(&Reach::of(config)?),
            Command::Preview(output) => show(&Reach::of(config)?.ask(Request::Preview {})?, output),
            Command::Log(output) => show(&Reach::of(config)?.ask(Request::Log {})?, output),
            Command::Sources(output) => show(&Reach::of(config)?.ask(Request::Sources {})?, output),
        }
    }
}

/// Prints an answer.
fn show(reply: &Reply, output: Output) -> Result<(), Failure> {
    let mut to = io::stdout().lock();
    let printed = if output.json { json(&mut to, reply) } else { print::reply(&mut to, reply) };
    match printed.and_then(|()| to.flush()) {
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| unprinted(&error)),
    }
}

fn unprinted(error: &io::Error) -> Failure {
    Failure::Unreachable(format!("cannot print: {error}"))
}

fn run(config: Config) -> Result<(), Failure> {
    // Libraries are not heard: they might name topics, and with them the subject.
    logs::start(config.log_format, "imprimatur_agent=info,imprimatur_runtime=info");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unreachable(error.to_string()))?;
    let stopped = runtime.block_on(async {
        let stop = lifecycle::stop_on_signals();
        let stop = stop.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let run = Box::pin(app::run(config, stop));
        run.await.map_err(|error| match error {
            AppError::Agent(error) => failure(&error),
            AppError::Control(error) => Failure::Unreachable(chain(&error)),
        })
    })?;
    tracing::info!(?stopped, "stopped");
    Ok(())
}

/// Removes the store, unless something would be lost that ends something.
fn wipe(config: Config, force: bool) -> Result<(), Failure> {
    let folder = config.agent.data_dir.clone();
    let socket = folder.join(control::SOCKET);
    match control::ask(&socket, &Request::Sources {}) {
        Err(ControlError::NobodyListens) => {}
        _ => return Err(Failure::Unreachable("an agent runs: stop it first".to_owned())),
    }
    if !force && folder.exists() {
        let agent = Agent::open(config.agent, SystemClock::shared()).map_err(|e| failure(&e))?;
        let waiting = agent.undelivered().map_err(|error| failure(&error))?;
        if waiting > 0 {
            return Err(Failure::No(format!(
                "{waiting} withdrawals or erasures were not delivered yet: run the agent until they \
                 are, or lose them with --force"
            )));
        }
    }
    store::wipe(&folder).map_err(|error| failure(&error.into()))?;
    writeln!(io::stdout(), "Everything that the agent kept is gone.").map_err(|e| unprinted(&e))
}

fn json(to: &mut impl Write, reply: &Reply) -> io::Result<()> {
    let value = match reply {
        Reply::Overview(value) => serde_json::to_string_pretty(value),
        Reply::Granted { granted, recovery_code } => serde_json::to_string_pretty(
            &serde_json::json!({ "granted": granted, "recovery_code": recovery_code }),
        ),
        Reply::Withdrawn(value) | Reply::Renewed(value) => serde_json::to_string_pretty(value),
        Reply::Preview(value) => serde_json::to_string_pretty(value),
        Reply::Log(value) => serde_json::to_string_pretty(value),
        Reply::Sources(value) => serde_json::to_string_pretty(value),
        Reply::Requests(value) => serde_json::to_string_pretty(value),
        Reply::HandedOver(value) => serde_json::to_string_pretty(value),
        Reply::Device(value) => serde_json::to_string_pretty(value),
        Reply::Page(value) => serde_json::to_string_pretty(value),
        Reply::Done {} => Ok("{}".to_owned()),
        Reply::No(value) | Reply::Failed(value) => serde_json::to_string_pretty(value),
    };
    writeln!(to, "{}", value?)
}
