//! The commands: each asks a library and says what it answered.

mod ask;
mod attack;
mod backup;
mod ledger;
pub mod policy;
mod proof;
mod release;
mod schema;
mod subject;
mod token;

use imprimatur_collector::control::{Ask, Told};
use imprimatur_collector::operator::TOKENS_MAX;
use imprimatur_proto::record::RecordKind;
use imprimatur_query::{EDITION_LENGTH, Engine, EngineSettings, Request};

use self::ask::{ask, unexpected};
use crate::cli::{Command, Compliance, Enrol, Metrics, Query};
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
        Command::Release(command) => Box::pin(release::run(command)).await,
        Command::QueryServer(args) => Box::pin(roles::query_server(args)).await,
        Command::Token(command) => token::run(&command),
        Command::Metrics(args) => metrics(&args),
        Command::Compliance(Compliance::Verify(args)) => proof::run(&args),
        Command::Compliance(Compliance::Schema(asked)) => {
            schema::run(&asked);
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
    let engine = Engine::open(&args.data.join("lake"), EngineSettings::default())?
        .with_editions(&args.data.join("query"), EDITION_LENGTH)?;
    let answer = engine.answer(&request).await?;
    say::line(&match (args.json, args.csv) {
        (true, _) => json(&answer),
        (_, true) => String::from_utf8_lossy(&answer.to_csv()?).trim_end().to_owned(),
        _ => answer.to_string().trim_end().to_owned(),
    });
    Ok(())
}

fn metrics(args: &Metrics) -> Result<(), CommandError> {
    let metrics = imprimatur_query::metrics().map_err(imprimatur_query::QueryError::from)?;
    if args.json {
        say::line(&json(&metrics));
        return Ok(());
    }
    if args.page {
        let questions = imprimatur_query::questions(&metrics);
        let questions = questions.map_err(imprimatur_query::QueryError::from)?;
        say::line(imprimatur_query::metrics_page(&metrics, &questions).trim_end());
        return Ok(());
    }
    for metric in &metrics {
        say::line(&format!("{:<22} {}", metric.name, metric.title));
        say::line(&format!("{:<22} question: {}", "", metric.question));
    }
    for table in RecordKind::ALL {
        let of_table = metrics.iter().filter(|metric| metric.table == table);
        let names: Vec<&str> = of_table.clone().map(|metric| metric.name.as_str()).collect();
        let dimensions = of_table.flat_map(|metric| &metric.dimensions);
        let mut by: Vec<&str> = dimensions.map(|one| one.name()).collect();
        by.sort_unstable();
        by.dedup();
        let (table, names, by) = (table.table(), names.join(", "), by.join(", "));
        say::line(&format!("\nof a {table}: {names}\n  by: {by}"));
    }
    Ok(())
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}
