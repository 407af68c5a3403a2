//! `imprimatur up --demo`: a synthetic fleet through the real parts, and what becomes of its data.
//!
//! Sixty agents of the real agent library, each with its own store, key and principal, speak MQTT
//! to the real broker. Everything is labelled synthetic: in the records (`machine.source`), in the
//! catalogue and in every answer. No printer is involved.

mod fleet;
mod prints;
mod rogue;
mod summary;

use std::path::Path;
use std::time::Duration;

use imprimatur_consent::Policy;
use imprimatur_ledger::Label;
use imprimatur_query::{Engine, EngineSettings, QueryError, Request};
use imprimatur_runtime::lifecycle;

use self::fleet::Fleet;
use self::summary::Summary;
use crate::cli;
use crate::commands::policy::text;
use crate::error::CommandError;
use crate::say;
use crate::up::{Server, UpSettings, loopback};

/// How often the summary is drawn.
const DRAW_EVERY: Duration = Duration::from_secs(1);

/// The sample question.
const QUESTION: &str = "print_duration";

/// Runs the demo until it is told to stop, or with `--once` until it has said everything.
///
/// # Errors
/// [`CommandError`]; [`CommandError::No`] when an invariant does not hold.
pub async fn run(args: cli::Up) -> Result<(), CommandError> {
    let stop = lifecycle::stop_on_signals().map_err(CommandError::System)?;
    let temporary = tempfile::tempdir().map_err(CommandError::System)?;
    let data = args.data.unwrap_or_else(|| temporary.path().join("data"));
    let settings = UpSettings {
        data: data.clone(),
        mqtt: args.mqtt.unwrap_or_else(|| loopback(0)),
        grpc: args.grpc.unwrap_or_else(|| loopback(0)),
        http: args.http,
        policy: text(args.policy.as_deref())?,
        region: args.region,
        label: Label::Synthetic,
    };
    let policy = Policy::read(&settings.policy).map_err(|error| CommandError::Policy {
        path: args.policy.unwrap_or_default(),
        problems: error.0,
    })?;
    let server = Server::start(settings, stop.clone()).await?;
    say::line(&format!(
        "Imprimatur demo: {} SYNTHETIC agents; no printer is involved.\n",
        fleet::AGENTS
    ));
    let fleet = Fleet::start(&server, &policy, temporary.path(), &stop)?;
    let said = tokio::select! {
        said = follow(&server, &fleet, &data, args.once) => said,
        () = stop.cancelled() => Ok(()),
    };
    stop.cancel();
    fleet.ended().await;
    server.ended().await?;
    said
}

/// Draws the summary; once there is enough, answers the sample question and verifies.
async fn follow(
    server: &Server,
    fleet: &Fleet,
    data: &Path,
    once: bool,
) -> Result<(), CommandError> {
    let mut screen = say::Screen::default();
    let mut draw = tokio::time::interval(DRAW_EVERY);
    let mut told: Option<String> = None;
    loop {
        draw.tick().await;
        let summary = Summary::now(server, fleet)?;
        let (block, whole) = (summary.to_string(), told.is_some());
        let block = format!("{block}{}", told.as_deref().unwrap_or("  asking ...\n"));
        screen.show(&block, whole);
        if whole && (once || fleet.is_done()) {
            if once {
                return Ok(());
            }
            say::line("The fleet has told its day. Ctrl-C ends the demo.");
            std::future::pending::<()>().await;
        }
        if told.is_none() && summary.stored() > 300 {
            told = sample(data).await?.map(|text| text + &next(server, data));
        }
    }
}

/// The sample answer and the compliance verdict; `None` when it is too early.
async fn sample(data: &Path) -> Result<Option<String>, CommandError> {
    let engine = Engine::open(&data.join("lake"), EngineSettings::default())?;
    let request = Request::parse(QUESTION, None, None, None)?;
    let answer = match Box::pin(engine.answer(&request)).await {
        Ok(answer) => answer,
        Err(QueryError::BelowThreshold { .. } | QueryError::TooFine | QueryError::Catalogue(_)) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let report = imprimatur_verifier::verify(data, &imprimatur_verifier::Trust::default())?;
    if !report.holds {
        return Err(CommandError::No(report.to_string()));
    }
    Ok(Some(format!(
        "\n$ imprimatur query {QUESTION}\n{answer}\n$ imprimatur compliance verify\n{report}\n"
    )))
}

/// What to try next.
fn next(server: &Server, data: &Path) -> String {
    let data = data.display();
    format!(
        "\nMQTT {}   gRPC {} (reflection on)\nWhile it runs, in another terminal:\n  \
         cargo run -- query failure_rate --data {data}\n  \
         cargo run -- query nozzle_set_point --by material_family --data {data}\n  \
         cargo run -- compliance verify --data {data}\n",
        server.mqtt, server.collector.address
    )
}
