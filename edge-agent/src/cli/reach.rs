//! How a command reaches the agent: the running one through its socket, or the store itself.
//!
//! Without a running agent a command that needs the collector runs the uplink itself, for as long as
//! it waits.

use std::path::PathBuf;
use std::time::Duration;

use imprimatur_runtime::SystemClock;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::config::Config;
use crate::control::{self, ControlError, Reply, Request, SourceLine};
use crate::core::{Agent, AgentError};
use crate::sources::{self, Source, SourceSettings};
use crate::store::StoreError;
use crate::told::chain;
use crate::uplink::{self, UplinkSettings};

/// How long a command waits for the collector.
const WAIT: Duration = Duration::from_mins(1);

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The way to the agent.
pub(super) enum Reach {
    /// An agent runs.
    Running(PathBuf),
    /// None runs: this process has the store.
    Alone(Box<Agent>, Option<UplinkSettings>, Vec<SourceSettings>),
}

impl Reach {
    pub(super) fn of(config: Config) -> Result<Self, Failure> {
        let socket = config.agent.data_dir.join(control::SOCKET);
        match control::ask(&socket, &Request::Sources {}) {
            Ok(_) => return Ok(Self::Running(socket)),
            Err(ControlError::NobodyListens) => {}
            Err(error) => return Err(Failure::Unreachable(chain(&error))),
        }
        let agent = Agent::open(config.agent, SystemClock::shared()).map_err(|e| failure(&e))?;
        Ok(Self::Alone(Box::new(agent), config.uplink, config.sources))
    }

    /// Whether an agent runs, so that things go on after the command.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    pub(super) fn ask(&self, request: Request) -> Result<Reply, Failure> {
        let reply = match self {
            Self::Running(socket) => {
                control::ask(socket, &request).map_err(|e| Failure::Unreachable(chain(&e)))?
            }
            Self::Alone(_, _, sources) if request == (Request::Sources {}) => {
                Reply::Sources(sources.iter().map(idle).collect())
            }
            Self::Alone(agent, ..) => request.perform(agent, &[]),
        };
        match reply {
            Reply::No(text) => Err(Failure::No(text)),
            Reply::Failed(text) => Err(Failure::Unreachable(text)),
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
            let uplink = match self {
                Self::Alone(agent, Some(settings), _) => {
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

/// The exit code and text of an agent that does not open.
pub(super) fn failure(error: &AgentError) -> Failure {
    match error {
        AgentError::Store(StoreError::InUse) => {
            Failure::Unreachable("the store is in use by a running agent: try again".to_owned())
        }
        AgentError::Store(cause) if cause.unusable() => Failure::Configuration(repair(cause)),
        other => Failure::Unreachable(chain(other)),
    }
}

/// What an unusable store means, and which command repairs it.
fn repair(cause: &StoreError) -> String {
    let place = cause.place().map_or_else(String::new, |place| format!(" (`{}`)", place.display()));
    let what = format!("{}{place}: nothing is collected or sent", chain(cause));
    let how = match cause {
        StoreError::Distrusted { place, .. } => {
            let place = place.display();
            format!(
                "if nobody else wrote it, make it yours again (`chown`, `chmod go-w {place}`, no \
                 links) and run this as its owner; if somebody may have, `imprimatur-agent wipe \
                 --force` starts anew"
            )
        }
        StoreError::Folder { .. } => "make `data_dir` a folder that this user may write".to_owned(),
        StoreError::Version(_) => {
            "run the version that wrote it, or start anew with `imprimatur-agent wipe --force`"
                .to_owned()
        }
        _ => "restore nothing older; `imprimatur-agent wipe --force` starts anew".to_owned(),
    };
    format!(
        "{what}; to repair: {how}. A wipe loses your answers, the key, what waits to be sent and an \
         undelivered withdrawal; with the recovery code `imprimatur-agent recover CODE` then \
         `imprimatur-agent erase` still ends what the collector holds"
    )
}

fn idle(settings: &SourceSettings) -> SourceLine {
    let now: sources::NowFn = std::sync::Arc::new(imprimatur_runtime::UnixSeconds::default);
    let line = control::source_line(&Source::new(settings.clone(), now).status().borrow());
    SourceLine { state: "not read: no agent runs".to_owned(), ..line }
}
