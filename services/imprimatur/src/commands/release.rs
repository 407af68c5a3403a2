//! `imprimatur release`: numbers with noise, made, read and withdrawn by the operator on the host.

use std::path::Path;

use imprimatur_query::{
    EDITION_LENGTH, Engine, EngineSettings, ReleaseRequest, Released, readable,
};
use imprimatur_release::{Listed, MicroEpsilon, Reason, Standing};
use imprimatur_runtime::{Clock as _, SystemClock};

use super::json;
use crate::cli::release::{Make, Of, Release, Why, Withdraw};
use crate::error::CommandError;
use crate::say;

/// Runs one of the commands.
///
/// # Errors
/// [`CommandError`].
pub(super) async fn run(command: Release) -> Result<(), CommandError> {
    let now = SystemClock.now();
    match command {
        Release::Make(args) => Box::pin(make(&args)).await,
        Release::List(args) => list(&args).await,
        Release::Show(args) => {
            let standing = of(&args.data).show(args.id, now).await?;
            tell(&standing, args.json);
            Ok(())
        }
        Release::Withdraw(args) => withdraw(&args).await,
        Release::Budget(args) => budget(&args).await,
    }
}

/// Below the only folder that the query service writes.
fn of(data: &Path) -> Released {
    Released::new(&data.join("lake"), &data.join("query").join("released"))
}

async fn make(args: &Make) -> Result<(), CommandError> {
    let request = ReleaseRequest {
        metric: args.metric.clone(),
        month: args.month.clone(),
        by: args.by.clone(),
        filter: args.filter.clone(),
        epsilon: args.epsilon.as_deref().map(epsilon).transpose()?,
        rows: args.rows,
    };
    let engine = Engine::open(&args.data.join("lake"), EngineSettings::default())?
        .with_editions(&args.data.join("query"), EDITION_LENGTH)?;
    let now = SystemClock.now();
    let made = Box::pin(of(&args.data).make(&engine, &request, args.replaces, now)).await?;
    tell(&made, args.json);
    Ok(())
}

fn tell(standing: &Standing, as_json: bool) {
    let bytes = || String::from_utf8_lossy(&standing.bytes).into_owned();
    let text = if as_json { bytes() } else { readable(&standing.release) };
    say::line(text.trim_end());
}

async fn list(args: &Of) -> Result<(), CommandError> {
    let listed = of(&args.data).list(SystemClock.now()).await?;
    if args.json {
        say::line(&json(&listed));
        return Ok(());
    }
    for Listed { id, metric, released, epsilon_micro, withdrawn } in listed {
        let gone = withdrawn.map(|gone| format!("  withdrawn {}: {}", gone.withdrawn, gone.reason));
        let gone = gone.unwrap_or_default();
        say::line(&format!("{released}  {id}  {epsilon_micro:<8}  {metric}{gone}"));
    }
    Ok(())
}

async fn withdraw(args: &Withdraw) -> Result<(), CommandError> {
    let reason = match args.reason {
        Why::Mistaken => Reason::Mistaken,
        Why::Retired => Reason::Retired,
    };
    let gone = of(&args.data).withdraw(args.id, reason, SystemClock.now()).await?;
    say::line(&if args.json {
        json(&gone)
    } else {
        format!("{} is withdrawn since {}: {}", gone.release, gone.withdrawn, gone.reason)
    });
    Ok(())
}

async fn budget(args: &Of) -> Result<(), CommandError> {
    let budget = of(&args.data).budget(SystemClock.now()).await?;
    if args.json {
        say::line(&json(&budget));
        return Ok(());
    }
    let line = |days, spent: MicroEpsilon, limit: MicroEpsilon| {
        let left = MicroEpsilon(limit.0.saturating_sub(spent.0));
        say::line(&format!("in {days} days: {spent} of {limit} spent, {left} left"));
    };
    line(30, budget.month_spent, budget.month_limit);
    line(365, budget.year_spent, budget.year_limit);
    if budget.torn_bytes > 0 {
        say::line("its last line is torn, and counts as spent");
    }
    Ok(())
}

/// A number of at most six decimals, exactly.
fn epsilon(text: &str) -> Result<MicroEpsilon, CommandError> {
    let refused = || {
        CommandError::Usage(format!("`{text}` is no epsilon; write 0.001 to 0.1, for example 0.05"))
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|one| one.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 6 || !is_number(whole) || !is_number(decimals) {
        return Err(refused());
    }
    let micro: u64 = format!("{whole}{decimals:0<6}").parse().map_err(|_too_long| refused())?;
    let most = MicroEpsilon::RELEASE;
    let fits = (MicroEpsilon::LEAST..=most).contains(&MicroEpsilon(micro));
    if fits { Ok(MicroEpsilon(micro)) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epsilon_is_read_exactly() {
        for (text, micro) in
            [("0.1", 100_000), ("0.05", 50_000), ("0.001", 1_000), ("0.033333", 33_333)]
        {
            assert_eq!(epsilon(text).unwrap().0, micro, "{text}");
        }
        for text in ["", ".1", "0.0009", "0.1000001", "0.2", "1", "-0.1", "0,1", "1e-2", "0.1 "] {
            assert!(epsilon(text).is_err(), "{text}");
        }
    }
}
