//! How a command reaches the agent: the running one through its socket, or the store itself.
//!
//! Without a running agent a command that needs the collector runs the uplink itself, for as long as
//! it waits.

use std::path::PathBuf;
use std::time::Duration;

use imprimatur_runtime::SystemClock;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::config::{Config, PrinterSettings};
use crate::control::{self, ControlError, Reply, Request, SourceLine};
use crate::core::{Agent, AgentError};
use crate::host::{Host, HostError};
use crate::printer::Name;
use crate::repair::repair;
use crate::sources::{self, Source, SourceSettings};
use crate::store::StoreError;
use crate::told::chain;
use crate::uplink::{self, UplinkSettings};

/// How long a command waits for the collector.
const WAIT: Duration = Duration::from_mins(1);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The way to the agent of one printer.
pub(super) struct Reach {
    /// Its name among several.
    pub(super) printer: Option<Name>,
    way: Way,
}

enum Way {
    /// An agent runs.
    Running(PathBuf),
    /// None runs: this process has the store.
    Alone {
        agent: Box<Agent>,
        uplink: Option<UplinkSettings>,
        sources: Vec<SourceSettings>,
        _host: Host,
    },
}

impl Reach {
    pub(super) fn of(config: &Config, printer: &PrinterSettings) -> Result<Self, Failure> {
        let name = printer.name.clone();
        let socket = config.data_dir.join(control::SOCKET);
        let way = match control::ask(&socket, name.as_ref(), &Request::Sources {}) {
            Ok(Reply::Sources(_)) => Way::Running(socket),
            Err(ControlError::NobodyListens) => {
                let host = Host::hold(config).map_err(|error| unheld(&error))?;
                let agent = Agent::open(printer.agent.clone(), SystemClock::shared());
                let agent = Box::new(agent.map_err(|error| failure(&error, name.as_ref()))?);
                let (uplink, sources) = (config.uplink.clone(), printer.sources.clone());
                Way::Alone { agent, uplink, sources, _host: host }
            }
            Ok(other) => return Err(refused(other)),
            Err(error) => return Err(Failure::Unreachable(chain(&error))),
        };
        Ok(Self { printer: name, way })
    }

    /// Whether an agent runs, so that things go on after the command.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.way, Way::Running(_))
    }

    pub(super) fn ask(&self, request: Request) -> Result<Reply, Failure> {
        let reply = match &self.way {
            Way::Running(socket) => control::ask(socket, self.printer.as_ref(), &request)
                .map_err(|e| Failure::Unreachable(chain(&e)))?,
            Way::Alone { sources, .. } if request == (Request::Sources {}) => {
                Reply::Sources(idle(sources))
            }
            Way::Alone { agent, .. } => request.perform(agent, &[]),
        };
        match reply {
            no @ (Reply::No(_) | Reply::Failed(_) | Reply::Unusable(_)) => Err(refused(no)),
            reply => Ok(reply),
        }
    }

    /// Looks until `done` gives something, for a minute at most; speaks to the collector meanwhile.
    pub(super) fn wait<T>(
        &self,
        mut done: impl FnMut(&Self) -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Unreachable(error.to_string()))?;
        runtime.block_on(async {
            let stop = CancellationToken::new();
            let uplink = match &self.way {
                Way::Alone { agent, uplink: Some(settings), .. } => {
                    let settings =
                        UplinkSettings { wait_last: Duration::from_secs(5), ..settings.clone() };
                    Some(tokio::spawn(uplink::run(Agent::clone(agent), settings, stop.clone())))
                }
                _ => None,
            };
            let until = tokio::time::Instant::now() + WAIT;
            let found = loop {
                match done(self) {
                    Ok(None) if tokio::time::Instant::now() < until => {}
                    found => break found,
                }
                tokio::time::sleep(LOOK_EVERY).await;
            };
            stop.cancel();
            if let Some(uplink) = uplink
                && uplink.await.is_err()
            {
                return Err(Failure::Unreachable("the uplink failed".to_owned()));
            }
            found
        })
    }
}

/// The exit code and text of an answer that is none.
fn refused(reply: Reply) -> Failure {
    match reply {
        Reply::No(text) => Failure::No(text),
        Reply::Failed(text) => Failure::Unreachable(text),
        Reply::Unusable(text) => Failure::Configuration(text),
        _ => Failure::Unreachable("the running agent is of another version".to_owned()),
    }
}

/// The exit code and text of an agent that does not open; `printer` is its name among several.
pub(super) fn failure(error: &AgentError, printer: Option<&Name>) -> Failure {
    match error {
        AgentError::Store(cause) => unopened(cause, printer),
        other => Failure::Unreachable(chain(other)),
    }
}

/// The same of the folder of several printers.
pub(super) fn unheld(error: &HostError) -> Failure {
    match error {
        HostError::Store(cause) => unopened(cause, None),
        HostError::OfOne => Failure::Configuration(chain(error)),
    }
}

/// The same of a store.
pub(super) fn unopened(cause: &StoreError, printer: Option<&Name>) -> Failure {
    match cause {
        StoreError::InUse => {
            Failure::Unreachable("the store is in use by a running agent: try again".to_owned())
        }
        cause if cause.unusable() => Failure::Configuration(repair(cause, printer)),
        other => Failure::Unreachable(chain(other)),
    }
}

/// Sources that nobody reads.
pub(super) fn idle(sources: &[SourceSettings]) -> Vec<SourceLine> {
    let line = |settings: &SourceSettings| {
        let now: sources::NowFn = std::sync::Arc::new(imprimatur_runtime::UnixSeconds::default);
        let line = control::source_line(&Source::new(settings.clone(), now).status().borrow());
        SourceLine { state: "not read: no agent runs".to_owned(), ..line }
    };
    sources.iter().map(line).collect()
}
