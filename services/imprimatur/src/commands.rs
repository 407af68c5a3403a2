//! The commands: each asks a library and says what it answered.

mod ask;
mod attack;
mod backup;
mod ledger;
pub mod policy;
mod proof;
mod subject;

use imprimatur_collector::control::{Ask, Told};
use imprimatur_collector::operator::TOKENS_MAX;
use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_query::{Engine, EngineSettings, Request};

use self::ask::{ask, unexpected};
use crate::cli::{Command, Compliance, Enrol, Output, Query};
use crate::error::CommandError;
use crate::{demo, roles, say, up};

/// Runs one command to its end.
///
/// # Errors
/// [`CommandError`] with its exit code.
pub async fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Up(args) if args.demo => Box::pin(demo::run(args)).await,
        Command::Up(args) => up::run(args).await,
        Command::Broker(args) => roles::broker(args).await,
        Command::Bridge(args) => roles::bridge(args).await,
        Command::Collector(args) => roles::collector(args).await,
        Command::Enrol(args) => enrol(&args).await,
        Command::Query(args) => Box::pin(query(&args)).await,
        Command::Metrics(output) => metrics(&output),
        Command::Compliance(Compliance::Verify(args)) => proof::run(&args),
        Command::Compliance(Compliance::Schema(output)) => {
            schema(&output);
            Ok(())
        }
        Command::Compliance(Compliance::Attack(args)) => attack::run(args).await,
        Command::Policy(command) => policy::run(command).await,
        Command::Subject(command) => subject::run(command).await,
        Command::Ledger(command) => ledger::run(&command),
        Command::Backup(command) => backup::run(command).await,
    }
}

async fn enrol(args: &Enrol) -> Result<(), CommandError> {
    if args.principals == 0 || args.principals > TOKENS_MAX {
        let why = format!("1 to {TOKENS_MAX} tokens can be drawn at once");
        return Err(CommandError::Usage(why));
    }
    let Told::Tokens(tokens) = ask(&args.data, Ask::Enrol(args.principals)).await? else {
        return Err(unexpected());
    };
    if args.json {
        say::line(&json(&tokens));
    } else {
        for token in &tokens {
            say::line(token);
        }
    }
    Ok(())
}

async fn query(args: &Query) -> Result<(), CommandError> {
    let request = Request::parse(
        &args.metric,
        args.by.as_deref(),
        args.filter.as_deref(),
        args.since.as_deref(),
    )?;
    let engine = Engine::open(&args.data.join("lake"), EngineSettings::default())?;
    let answer = engine.answer(&request).await?;
    say::line(&match (args.json, args.csv) {
        (true, _) => json(&answer),
        (_, true) => answer.to_csv().trim_end().to_owned(),
        _ => answer.to_string().trim_end().to_owned(),
    });
    Ok(())
}

fn metrics(output: &Output) -> Result<(), CommandError> {
    let metrics = imprimatur_query::metrics().map_err(imprimatur_query::QueryError::from)?;
    if output.json {
        say::line(&json(&metrics));
        return Ok(());
    }
    for metric in &metrics {
        let dimensions: Vec<String> = metric.dimensions.iter().map(ToString::to_string).collect();
        say::line(&format!("{:<18} {}", metric.name, metric.title));
        say::line(&format!("{:<18} question: {}", "", metric.question));
        say::line(&format!("{:<18} by: {}", "", dimensions.join(", ")));
    }
    Ok(())
}

fn schema(output: &Output) {
    let (contract, capacity) = (contract(), contract().capacity());
    if output.json {
        let fields: Vec<_> = RecordKind::ALL
            .into_iter()
            .flat_map(|kind| contract.columns(kind).into_iter().map(move |field| (kind, field)))
            .map(|(kind, field)| {
                let rule = contract.rule(field);
                serde_json::json!({
                    "table": kind.table(),
                    "column": rule.column,
                    "category": rule.category,
                    "purpose": rule.purpose,
                    "unit": rule.unit,
                    "domain": rule.domain(),
                    "bits": f64::from(rule.domain()).log2(),
                    "correlation": rule.correlation,
                    "necessity": rule.necessity,
                })
            })
            .collect();
        say::line(&json(&serde_json::json!({ "capacity": capacity, "fields": fields })));
        return;
    }
    for kind in RecordKind::ALL {
        say::line(&format!("table `{}`", kind.table()));
        for field in contract.columns(kind) {
            let rule = contract.rule(field);
            let geometry = match rule.correlation {
                Some(imprimatur_proto::rules::Correlation::Geometry) => "geometry",
                _ => "",
            };
            say::line(&format!(
                "  {:<32} {:>4} states {:>5.2} bits  {:<8}  {}",
                rule.column,
                rule.domain(),
                f64::from(rule.domain()).log2(),
                geometry,
                rule.necessity
            ));
        }
    }
    say::line(&format!(
        "a print tells {:.2} bits of 40, {:.2} of 9 correlated with geometry; a device's day {:.2} \
         of 512",
        capacity.print_bits, capacity.print_geometry_bits, capacity.device_day_bits
    ));
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}
