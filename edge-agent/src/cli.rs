//! The commands that people type: arguments, what they do, exit codes.
//!
//! A command reaches the running agent through its socket; when none runs, it opens the store
//! itself. `--printer` names one of several printers; `choice` says what is asked of all. 0 done, 1 the answer is no, 2 usage, 64 unusable configuration, 69 not reachable.

mod check;
mod choice;
mod consent;
mod find;
mod print;
mod reach;
mod rights;
mod slicer_report;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use imprimatur_runtime::{SystemClock, lifecycle, logs};

use self::choice::Choice;
use self::consent::Consent;
use self::reach::{failure, unheld, unopened};
use self::rights::Rights;
use self::slicer_report::SlicerReport;
use crate::app::{self, AppError};
use crate::config::Config;
use crate::control::{self, ControlError, Reply, Request};
use crate::core::Agent;
use crate::printer::Name;
use crate::sources::settings::Address;
use crate::store;
use crate::told::chain;

/// Threads for what blocks: names to resolve and small files to read. More wait their turn.
const BLOCKING_THREADS_MAX: usize = 4;

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
    /// One of the printers, where the settings have several.
    #[arg(long, global = true, value_name = "NAME")]
    printer: Option<Name>,
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
    /// Shows the printers that are read and how that goes; with `--find`, what could be read.
    #[command(after_help = "Example: imprimatur-agent sources --find octopi.local")]
    Sources(Sources),
    /// Checks the settings and shows in a line for each printer where it is read and what was granted.
    #[command(after_help = "Example: imprimatur-agent check --config farm.toml")]
    Check(Output),
    /// Tells the running agent what a sliced file says of itself; a slicer calls it after each file.
    ///
    /// It reads comments at the file's head and tail, never moves, pictures or names, and ignores its
    /// environment. Without a running agent nothing is stored, and nothing is made up for later. It ends
    /// within a second, always with 0, and never changes the file: a slice cannot fail by it.
    #[command(after_help = "Example: imprimatur-agent slicer-report bracket.gcode")]
    SlicerReport(SlicerReport),
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

#[derive(Debug, Args)]
struct Sources {
    /// Looks for printer programs on this host, or at these addresses alone, and shows what to write
    /// into the settings for each.
    ///
    /// Asks only what needs no key, on the loopback or where you say, and never searches a network.
    /// Needs no settings.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=find::ADDRESSES_MAX, value_parser = find::address)]
    find: Option<Vec<Address>>,
    #[command(flatten)]
    output: Output,
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

impl Failure {
    fn text(&self) -> &str {
        match self {
            Self::No(text)
            | Self::Usage(text)
            | Self::Configuration(text)
            | Self::Unreachable(text) => text,
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::No(_) => 1,
            Self::Usage(_) => 2,
            Self::Configuration(_) => 64,
            Self::Unreachable(_) => 69,
        }
    }

    /// The same failure in other words.
    fn with(self, text: String) -> Self {
        match self {
            Self::No(_) => Self::No(text),
            Self::Usage(_) => Self::Usage(text),
            Self::Configuration(_) => Self::Configuration(text),
            Self::Unreachable(_) => Self::Unreachable(text),
        }
    }
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    if let Err(error) = imprimatur_runtime::lifecycle::leave_no_dump() {
        drop(writeln!(io::stderr(), "imprimatur-agent: a crash might leave a dump: {error}"));
    }
    match Arguments::try_parse() {
        Ok(arguments) => arguments.execute(),
        Err(error) if error.use_stderr() && slicer_report::is_called() => {
            slicer_report::complain("the command line is not understood, try `--help`");
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Nobody is left to tell when the output is closed; the code tells.
            drop(error.print());
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

impl Arguments {
    /// Does what was typed.
    pub fn execute(self) -> ExitCode {
        // Before the settings are read: they may be wrong, and a slice must not fail by it.
        if let Command::SlicerReport(report) = self.command {
            report.run(self.config, self.printer);
            return ExitCode::SUCCESS;
        }
        let Err(failure) = self.done() else { return ExitCode::SUCCESS };
        // Nobody is left to tell when standard error is closed; the code tells.
        drop(writeln!(io::stderr(), "imprimatur-agent: {}", failure.text()));
        ExitCode::from(failure.code())
    }

    fn done(self) -> Result<(), Failure> {
        // Before the settings are read: who looks for a printer has none yet.
        if let Command::Sources(Sources { find: Some(addresses), output }) = &self.command {
            return match self.printer {
                Some(_) => {
                    Err(Failure::Usage("--find is of this host: leave out --printer".to_owned()))
                }
                None => find::run(addresses, *output),
            };
        }
        let config = Config::read(&self.config).map_err(|error| {
            Failure::Configuration(format!("{}: {}", self.config.display(), chain(&error)))
        })?;
        let choice = Choice::of(config, self.printer.as_ref())?;
        match self.command {
            // Done before.
            Command::SlicerReport(_) => Ok(()),
            Command::Run => run(choice),
            Command::Wipe { force } => wipe(&choice, force),
            Command::Consent(consent) => consent.run(&choice),
            Command::Rights(rights) => rights.run(&choice),
            Command::Preview(output) => choice.each(output, |to| to.ask(Request::Preview {})),
            Command::Log(output) => choice.each(output, |to| to.ask(Request::Log {})),
            Command::Sources(Sources { output, .. }) => {
                choice.each(output, |to| to.ask(Request::Sources {}))
            }
            Command::Check(output) => check::run(&choice, output),
        }
    }
}

/// Prints an answer.
fn show(reply: &Reply, output: Output) -> Result<(), Failure> {
    let mut to = io::stdout().lock();
    let told = if output.json {
        json(reply).map_err(io::Error::from).and_then(|text| writeln!(to, "{text}"))
    } else {
        print::reply(&mut to, reply)
    };
    printed(told.and_then(|()| to.flush()))
}

/// What printing came to.
fn printed(told: io::Result<()>) -> Result<(), Failure> {
    match told {
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        told => told.map_err(|error| unprinted(&error)),
    }
}

fn unprinted(error: &io::Error) -> Failure {
    Failure::Unreachable(format!("cannot print: {error}"))
}

fn run(choice: Choice) -> Result<(), Failure> {
    let Some(config) = choice.whole() else {
        let text = "one agent runs for all printers of the settings: leave out --printer";
        return Err(Failure::Usage(text.to_owned()));
    };
    // Libraries are not heard: they might name topics, and with them the subject.
    logs::start(config.log_format, "imprimatur_agent=info,imprimatur_runtime=info");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build();
    let runtime = runtime.map_err(|error| Failure::Unreachable(error.to_string()))?;
    let stopped = runtime.block_on(async {
        let stop = lifecycle::stop_on_signals();
        let stop = stop.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let run = Box::pin(app::run(config, stop));
        run.await.map_err(|error| match error {
            AppError::Host(error) => unheld(&error),
            AppError::Agent { printer, cause } => failure(&cause, printer.as_ref()),
            AppError::Control(error) => Failure::Unreachable(chain(&error)),
        })
    })?;
    tracing::info!(?stopped, "stopped");
    Ok(())
}

/// Removes the store of a printer, unless something would be lost that ends something.
fn wipe(choice: &Choice, force: bool) -> Result<(), Failure> {
    let (config, printer) = (choice.config(), choice.one()?);
    let (name, folder) = (printer.name.as_ref(), &printer.agent.data_dir);
    let socket = config.data_dir.join(control::SOCKET);
    match control::ask(&socket, name, &Request::Sources {}) {
        // A printer that stands still among others has its store open nowhere.
        Err(ControlError::NobodyListens) | Ok(Reply::Unusable(_)) => {}
        _ => return Err(Failure::Unreachable("an agent runs: stop it first".to_owned())),
    }
    if !force && folder.exists() {
        let agent = Agent::open(printer.agent.clone(), SystemClock::shared());
        let agent = agent.map_err(|error| failure(&error, name))?;
        let waiting = agent.undelivered().map_err(|error| failure(&error, name))?;
        if waiting > 0 {
            return Err(Failure::No(format!(
                "{waiting} withdrawals or erasures were not delivered yet: run the agent until they \
                 are, or lose them with --force"
            )));
        }
    }
    store::wipe(folder).map_err(|error| unopened(&error, name))?;
    writeln!(io::stdout(), "Everything that the agent kept is gone.").map_err(|e| unprinted(&e))
}

/// An answer as JSON.
fn json(reply: &Reply) -> serde_json::Result<String> {
    match reply {
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
        Reply::No(value) | Reply::Failed(value) | Reply::Unusable(value) => {
            serde_json::to_string_pretty(value)
        }
    }
}
