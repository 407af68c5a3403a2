//! How a command can fail, and the exit code that tells it.

use std::path::{Path, PathBuf};

use imprimatur_attacker::AttackError;
use imprimatur_bridge::{BridgeError, SettingsError};
use imprimatur_collector::CollectorError;
use imprimatur_consent::policy::Problem;
use imprimatur_door::DoorError;
use imprimatur_door::tokens::TokenError;
use imprimatur_query::{MakeError, QueryError};
use imprimatur_release::ReleaseError;
use imprimatur_verifier::SnapshotError;

use crate::broker::BrokerError;

/// A command that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The answer is no: a group below k, an invariant that does not hold. Exit 1.
    #[error("{0}")]
    No(String),
    /// What was looked at is as it should be, and not everything was. Exit 3.
    #[error("{0}")]
    NotAll(String),
    /// The question itself is wrong. Exit 2.
    #[error("{0}")]
    Usage(String),
    /// A file that was named cannot be used. Exit 64.
    #[error("cannot use `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The policy cannot be used, with every reason. Exit 64.
    #[error("`{}` cannot be used as a policy{}", path.display(), listed(path, problems))]
    Policy {
        /// Its file.
        path: PathBuf,
        /// All its problems.
        problems: Vec<Problem>,
    },
    /// A setting of the bridge is out of range. Exit 64.
    #[error("the bridge cannot be set up")]
    BridgeSettings(#[from] SettingsError),
    /// The broker cannot run. Exit 64 for a setting that is out of range, else 69.
    #[error("the broker cannot run")]
    Broker(#[from] BrokerError),
    /// The bridge ended. Exit 69.
    #[error("the bridge ended")]
    Bridge(#[from] BridgeError),
    /// The collector cannot run. Exit 69.
    #[error("the collector cannot run")]
    Collector(#[from] CollectorError),
    /// A question was not answered. Exit 1 for a group below k, 2 for a wrong question, else 69.
    #[error("the question was not answered")]
    Query(#[from] QueryError),
    /// A release was not made, shown or withdrawn. Exit 1 for one that is withdrawn or unknown and for a spent
    /// budget, 2 for a wrong question, 64 for limits that cannot be used, 70 where the disk failed, else 69.
    #[error("nothing is told")]
    Release(#[from] MakeError),
    /// The query service cannot run. Exit 69.
    #[error("the query service cannot run")]
    Door(#[from] DoorError),
    /// A token could not be made, listed or revoked. Exit 1 for a name that is taken or not there, 2 for a wrong
    /// option, 64 for an unusable file.
    #[error("nothing was changed")]
    Token(#[from] TokenError),
    /// What is stored cannot be verified. Exit 1.
    #[error("nothing is proven")]
    Snapshot(#[from] SnapshotError),
    /// The report in brief was not put beside the catalogue. Exit 64.
    #[error("the report was not published; run this as the user that owns the folder")]
    Beside(#[source] imprimatur_lake::CatalogueError),
    /// The attack proves nothing. Exit 2 for an address that is none, else 69.
    #[error("the attack proves nothing")]
    Attack(#[from] AttackError),
    /// The synthetic fleet failed. Exit 70.
    #[error("the synthetic fleet failed")]
    Fleet(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system failed. Exit 70.
    #[error("the system failed")]
    System(#[source] std::io::Error),
}

impl CommandError {
    /// The exit code: 1 the answer is no, 2 usage, 3 not everything was checked, 64 unusable configuration, 69 something is not
    /// reachable, 70 a failure inside.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::No(_) | Self::Snapshot(_) => 1,
            Self::Usage(_) | Self::Attack(AttackError::Target(_) | AttackError::Broker(_)) => 2,
            Self::NotAll(_) => 3,
            Self::File { .. }
            | Self::Policy { .. }
            | Self::Beside(_)
            | Self::BridgeSettings(_)
            | Self::Collector(CollectorError::Policy { .. } | CollectorError::Region { .. })
            | Self::Broker(BrokerError::OutOfRange { .. }) => 64,
            Self::Release(error) => release_exit(error),
            Self::Query(error) | Self::Door(DoorError::Engine(error)) => query_exit(error),
            Self::Broker(_)
            | Self::Bridge(_)
            | Self::Collector(_)
            | Self::Door(_)
            | Self::Attack(_) => 69,
            Self::Token(error) => match error {
                TokenError::Taken(_) | TokenError::Unknown(_) | TokenError::Full => 1,
                TokenError::Name | TokenError::Days => 2,
                TokenError::File { .. } | TokenError::Garbled { .. } => 64,
                TokenError::Entropy(_) => 70,
            },
            Self::Fleet(_) | Self::System(_) => 70,
        }
    }
}

/// Each problem on a line of its own that editors can follow.
fn listed(path: &Path, problems: &[Problem]) -> String {
    let line = |one: &Problem| {
        let key = if one.key.is_empty() { String::new() } else { format!("`{}` ", one.key) };
        format!("\n{}:{}: {key}{}; {}", path.display(), one.line, one.problem, one.advice)
    };
    problems.iter().map(line).collect()
}

fn release_exit(error: &MakeError) -> u8 {
    match error {
        MakeError::Query(error) => query_exit(error),
        MakeError::Release(error) => match error {
            ReleaseError::Spent(_)
            | ReleaseError::TooMuch { .. }
            | ReleaseError::Withdrawn { .. }
            | ReleaseError::Unknown { .. }
            | ReleaseError::NotReplaceable { .. } => 1,
            ReleaseError::Question(_) => 2,
            ReleaseError::Damaged { .. }
            | ReleaseError::CutShort { .. }
            | ReleaseError::NotARelease { .. } => 69,
            ReleaseError::Noise(_) | ReleaseError::File { .. } => 70,
        },
        MakeError::NotAMonth { .. }
        | MakeError::NotOver { .. }
        | MakeError::SeveralDimensions
        | MakeError::Open { .. }
        | MakeError::Filter { .. }
        | MakeError::NoGroup => 2,
        MakeError::Limits(_) => 64,
        MakeError::Unbounded { .. } | MakeError::Sums | MakeError::Catalogue(_) => 69,
    }
}

fn query_exit(error: &QueryError) -> u8 {
    match error {
        QueryError::BelowThreshold { .. } | QueryError::TooFine => 1,
        QueryError::UnknownMetric { .. }
        | QueryError::UnknownDimension { .. }
        | QueryError::DimensionNotAllowed { .. }
        | QueryError::UnknownValue { .. }
        | QueryError::NotAFilter { .. }
        | QueryError::SeveralValues { .. }
        | QueryError::SinceMidMonth { .. }
        | QueryError::Since(_) => 2,
        QueryError::Metrics(_) => 64,
        _ => 69,
    }
}
