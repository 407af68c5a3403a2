//! `imprimatur compliance attack`: what a modified agent gets through, said as a table.

use imprimatur_attacker::{Attempt, Settings, attack};
use imprimatur_consent::Policy;
use imprimatur_runtime::{Clock as _, SystemClock, lifecycle};

use super::{json, policy};
use crate::cli::Attack;
use crate::error::CommandError;
use crate::say;

pub(super) async fn run(args: Attack) -> Result<(), CommandError> {
    let stop = lifecycle::stop_on_signals().map_err(CommandError::System)?;
    let text = policy::text(args.policy.as_deref())?;
    let policy = Policy::read(&text).map_err(|error| CommandError::Policy {
        path: args.policy.clone().unwrap_or_default(),
        problems: error.0,
    })?;
    let settings = Settings {
        target: args.target,
        broker: args.broker,
        policy: policy.hash,
        today: SystemClock.today(),
    };
    let log = |attempt: &Attempt| tracing::info!(case = attempt.case, "tried");
    let report = attack(&settings, stop, log).await?;
    if args.json {
        say::line(&json(&report));
    } else {
        say::line(&report.to_string());
    }
    if report.holds {
        return Ok(());
    }
    Err(CommandError::No("not everything was refused as documented".to_owned()))
}
