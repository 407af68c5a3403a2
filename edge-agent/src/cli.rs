//! The commands that people type: arguments, what they do, exit codes.
//!
//! A command reaches the running agent through its socket; when none runs, it opens the store
//! itself. 0 done, 1 the answer is no, 2 usage, 64 unusable configuration, 69 not reachable.

mod print;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use imprimatur_consent::{Category, Digest};
use imprimatur_runtime::{SystemClock, lifecycle, logs};

use crate::config::Config;
use crate::control::{self, ControlError, Reply, Request, SourceLine};
use crate::core::{Agent, AgentError};
use crate::sources::{Source, SourceSettings};
use crate::store::StoreError;
use crate::told::chain;
use crate::{app, sources};

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
    /// Shows, gives and takes back consent, category by category.
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
}

#[derive(Debug, Subcommand)]
enum Consent {
    /// Shows all categories with their purposes and your answers.
    #[command(after_help = "Example: imprimatur-agent consent show")]
    Show(Output),
    /// Says yes, after showing what to.
    #[command(after_help = "Example: imprimatur-agent consent grant status print_time")]
    Grant {
        /// Categories.
        #[arg(required = true, value_name = "CATEGORY")]
        categories: Vec<Category>,
        /// One-time token from the collector's operator, 64 hex digits.
        #[arg(long, value_name = "HEX")]
        token: Option<Digest>,
        /// Do not ask: you have read the notice.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Says no; of what was granted, this is a withdrawal.
    #[command(after_help = "Example: imprimatur-agent consent refuse identity")]
    Refuse {
        /// Categories.
        #[arg(required = true, value_name = "CATEGORY")]
        categories: Vec<Category>,
        #[command(flatten)]
        output: Output,
    },
    /// Takes a yes back, at once; without categories, all.
    #[command(after_help = "Example: imprimatur-agent consent withdraw temperature")]
    Withdraw {
        /// Categories; all when none is named.
        #[arg(value_name = "CATEGORY")]
        categories: Vec<Category>,
        #[command(flatten)]
        output: Output,
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
    /// 64: the configuration cannot be used.
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
        let (request, output) = match self.command {
            Command::Run => return run(config),
            Command::Consent(Consent::Grant { categories, token, yes, output }) => {
                confirm(&config, &categories, yes, output)?;
                let policy = config.agent.policy.hash;
                (Request::Grant { categories, token, policy }, output)
            }
            Command::Consent(Consent::Show(output)) => (Request::Show {}, output),
            Command::Consent(Consent::Refuse { categories, output }) => {
                (Request::Refuse { categories }, output)
            }
            Command::Consent(Consent::Withdraw { categories, output }) => {
                let categories = Some(categories).filter(|named| !named.is_empty());
                (Request::Withdraw { categories }, output)
            }
            Command::Preview(output) => (Request::Preview {}, output),
            Command::Log(output) => (Request::Log {}, output),
            Command::Sources(output) => (Request::Sources {}, output),
        };
        let reply = ask(config, request)?;
        if let Reply::Failed(text) = reply {
            return Err(Failure::Unreachable(text));
        }
        let mut to = io::stdout().lock();
        let printed =
            if output.json { json(&mut to, &reply) } else { print::reply(&mut to, &reply) };
        match printed.and_then(|()| to.flush()) {
            // The reader of a pipe has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => {
                printed.map_err(|error| Failure::Unreachable(format!("cannot print: {error}")))
            }
        }
    }
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
        run.await.map_err(|error| Failure::Unreachable(chain(&error)))
    })?;
    tracing::info!(?stopped, "stopped");
    Ok(())
}

/// Through the socket, or with the store when nobody runs.
fn ask(config: Config, request: Request) -> Result<Reply, Failure> {
    let socket = config.agent.data_dir.join(control::SOCKET);
    match control::ask(&socket, &request) {
        Ok(reply) => return Ok(reply),
        Err(ControlError::NobodyListens) => {}
        Err(error) => return Err(Failure::Unreachable(chain(&error))),
    }
    if matches!(request, Request::Sources {}) {
        return Ok(Reply::Sources(config.sources.into_iter().map(idle).collect()));
    }
    let agent = Agent::open(config.agent, SystemClock::shared()).map_err(|error| match error {
        AgentError::Store(StoreError::InUse) => {
            Failure::Unreachable("an agent is starting or ending: try again".to_owned())
        }
        AgentError::Store(cause @ StoreError::Folder { .. }) => {
            let place = cause.folder().unwrap_or_else(|| Path::new("")).display();
            Failure::Configuration(format!("{} (`{place}`)", chain(&cause)))
        }
        other => Failure::Unreachable(chain(&other)),
    })?;
    Ok(request.perform(&agent, &[]))
}

fn idle(settings: SourceSettings) -> SourceLine {
    let now: sources::NowFn = std::sync::Arc::new(imprimatur_runtime::UnixSeconds::default);
    let line = control::source_line(&Source::new(settings, now).status().borrow());
    SourceLine { state: "not read: no agent runs".to_owned(), ..line }
}

/// Shows what is asked and waits for a yes.
fn confirm(
    config: &Config,
    categories: &[Category],
    yes: bool,
    output: Output,
) -> Result<(), Failure> {
    if output.json && !yes {
        return Err(Failure::No(
            "with --json, --yes says that you have read the notice".to_owned(),
        ));
    }
    if output.json {
        return Ok(());
    }
    let told = |error: io::Error| Failure::Unreachable(format!("cannot print: {error}"));
    let mut to = io::stdout().lock();
    print::notice(&mut to, &config.agent.policy, categories).map_err(told)?;
    if yes {
        return Ok(());
    }
    write!(to, "Grant these categories? Type yes: ").and_then(|()| to.flush()).map_err(told)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(told)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::No("nothing was granted".to_owned())) }
}

fn json(to: &mut impl Write, reply: &Reply) -> io::Result<()> {
    let value = match reply {
        Reply::Overview(value) => serde_json::to_string_pretty(value),
        Reply::Granted(value) | Reply::Withdrawn(value) => serde_json::to_string_pretty(value),
        Reply::Preview(value) => serde_json::to_string_pretty(value),
        Reply::Log(value) => serde_json::to_string_pretty(value),
        Reply::Sources(value) => serde_json::to_string_pretty(value),
        Reply::Failed(value) => serde_json::to_string_pretty(value),
    };
    writeln!(to, "{}", value?)
}
