//! What an owner asks of the agent, and what it answers; `socket` is how both travel.
//!
//! The store has one owner, so commands reach a running agent through its socket and open the store
//! themselves only when nobody runs.

mod intake;
mod socket;

use imprimatur_consent::recovery::NotACode;
use imprimatur_consent::{Category, Digest};

pub use self::intake::Intake;
pub use self::socket::{ControlError, SOCKET, ask, listen, serve};
use crate::core::{
    Agent, AgentError, Exercise, Granted, Line, Overview, Preview, RequestLine, Withdrawn,
};
use crate::printer::Name;
use crate::reading::Sliced;
use crate::sources::{SourceKind, SourceState, SourceStatus};
use crate::told::chain;

/// Something typed that is never shown again.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Typed(pub String);

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed(..)")
    }
}

/// A request and the printer that it is for.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The printer's name; absent where there is one printer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printer: Option<Name>,
    /// What is asked of it.
    pub request: Request,
}

/// What an owner asks.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Flags, purposes and what is stored.
    Show {},
    /// The questions about these were shown.
    Asked {
        /// Which.
        categories: Vec<Category>,
    },
    /// Say yes.
    Grant {
        /// To what.
        categories: Vec<Category>,
        /// One-time token of the operator.
        token: Option<Digest>,
        /// SHA-256 of the policy that the owner read; another is not granted.
        policy: Digest,
    },
    /// Say yes again, to all that is granted when none is named.
    Renew {
        /// To what.
        categories: Option<Vec<Category>>,
        /// SHA-256 of the policy that the owner read; another is not granted.
        policy: Digest,
    },
    /// The printer changes hands.
    Handover {},
    /// Ask for a right.
    Exercise {
        /// Which, and what it needs.
        exercise: Exercise,
    },
    /// Take the key of a recovery code.
    Recover {
        /// The code.
        code: Typed,
    },
    /// All rights requests.
    Requests {},
    /// A page of an answer.
    Page {
        /// Number of the request.
        request: u64,
        /// Number of the page, from 0.
        page: u32,
    },
    /// What this device itself holds.
    Device {},
    /// Say no.
    Refuse {
        /// To what.
        categories: Vec<Category>,
    },
    /// Take a yes back.
    Withdraw {
        /// Which; all when absent.
        categories: Option<Vec<Category>>,
    },
    /// What would leave next.
    Preview {},
    /// What was sent and what came back.
    Log {},
    /// How the sources do.
    Sources {},
    /// A slicer wrote a file.
    Sliced {
        /// What it says of itself.
        facts: Sliced,
    },
}

/// How a source does.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceLine {
    /// What it is.
    pub kind: SourceKind,
    /// Where it is.
    pub address: String,
    /// How it does.
    pub state: String,
    /// What its owner should change although it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "answer", content = "value", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Show`].
    Overview(Box<Overview>),
    /// To [`Request::Grant`].
    Granted {
        /// What is granted that was not.
        granted: Vec<Category>,
        /// The recovery code, with the first grant only; it is nowhere else.
        recovery_code: Option<Typed>,
    },
    /// To [`Request::Renew`].
    Renewed(Vec<Category>),
    /// To [`Request::Handover`]: whether anything had been granted.
    HandedOver(bool),
    /// To [`Request::Exercise`] and [`Request::Requests`].
    Requests(Vec<RequestLine>),
    /// To [`Request::Page`]: its bytes as hex, because a page may end within a letter; `None` when
    /// there is no such page.
    Page(Option<String>),
    /// To [`Request::Device`]: JSON lines.
    Device(Vec<serde_json::Value>),
    /// To [`Request::Asked`] and [`Request::Recover`].
    Done {},
    /// To [`Request::Refuse`] and [`Request::Withdraw`]: what was granted and is not any more.
    Withdrawn(Vec<Category>),
    /// To [`Request::Preview`].
    Preview(Preview),
    /// To [`Request::Log`].
    Log(Vec<Line>),
    /// To [`Request::Sources`].
    Sources(Vec<SourceLine>),
    /// The answer is no; why.
    No(String),
    /// It could not be done; why.
    Failed(String),
    /// The printer's store cannot be used; why, and how to repair it.
    Unusable(String),
}

impl Request {
    /// Does what is asked.
    pub fn perform(self, agent: &Agent, sources: &[SourceLine]) -> Reply {
        if let Self::Grant { policy, .. } | Self::Renew { policy, .. } = &self
            && *policy != agent.policy().hash
        {
            return Reply::Failed(
                "the policy file changed since the agent started: restart the agent".to_owned(),
            );
        }
        self.done(agent, sources).unwrap_or_else(|error| {
            let text = chain(&error);
            if error.refuses() { Reply::No(text) } else { Reply::Failed(text) }
        })
    }

    fn done(self, agent: &Agent, sources: &[SourceLine]) -> Result<Reply, AgentError> {
        Ok(match self {
            Self::Show {} => Reply::Overview(Box::new(agent.show()?)),
            Self::Asked { categories } => {
                agent.asked(&categories)?;
                Reply::Done {}
            }
            Self::Grant { categories, token, .. } => {
                match agent.grant(&categories, token.map(|token| token.0))? {
                    Granted::Already => Reply::Granted { granted: Vec::new(), recovery_code: None },
                    Granted::New { categories: granted, recovery } => {
                        let recovery_code = recovery.map(|code| Typed(code.to_string()));
                        Reply::Granted { granted, recovery_code }
                    }
                }
            }
            Self::Renew { categories, .. } => Reply::Renewed(agent.renew(categories.as_deref())?),
            Self::Refuse { categories } => withdrawn(agent.refuse(&categories)?),
            Self::Withdraw { categories } => {
                let gone = agent.withdraw(categories.as_deref())?;
                // The same for the key of a recovery code, if one was typed in.
                let exercise = Exercise::Withdraw { categories: categories.unwrap_or_default() };
                match agent.exercise(&exercise) {
                    Ok(_) | Err(AgentError::NothingHeld) => withdrawn(gone),
                    Err(error) => return Err(error),
                }
            }
            Self::Handover {} => Reply::HandedOver(agent.handover()?),
            Self::Exercise { exercise } => Reply::Requests(agent.exercise(&exercise)?),
            Self::Recover { code: Typed(code) } => match code.parse() {
                Err(error) => Reply::No(NotACode::to_string(&error)),
                Ok(code) => {
                    agent.recover(&code)?;
                    Reply::Done {}
                }
            },
            Self::Requests {} => Reply::Requests(agent.requests()?),
            Self::Page { request, page } => {
                let page = agent.page(request, page)?;
                Reply::Page(page.map(hex::encode))
            }
            Self::Device {} => Reply::Device(agent.export_local()?),
            Self::Preview {} => Reply::Preview(agent.preview()?),
            Self::Log {} => Reply::Log(agent.log()?),
            Self::Sources {} => Reply::Sources(sources.to_vec()),
            // Only a running agent measures.
            Self::Sliced { .. } => Reply::Failed("no agent runs".to_owned()),
        })
    }
}

fn withdrawn(what: Withdrawn) -> Reply {
    Reply::Withdrawn(match what {
        Withdrawn::Nothing => Vec::new(),
        Withdrawn::Part(gone) | Withdrawn::All(gone) => gone,
    })
}

/// A source's status in words.
pub fn source_line(status: &SourceStatus) -> SourceLine {
    let state = match &status.state {
        SourceState::Starting => "starting".to_owned(),
        SourceState::Connected => "connected".to_owned(),
        SourceState::Retrying { error, next_seconds } => {
            format!("retrying in {next_seconds} s: {error}")
        }
        SourceState::Stopped => "stopped".to_owned(),
    };
    let advice = status.advice.map(str::to_owned);
    SourceLine { kind: status.kind, address: status.address.clone(), state, advice }
}
