//! Answers questions as the query service does, one a line, and says how long each took and what memory it needed.

use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use imprimatur_query::{Answer, Engine, EngineSettings, QueryError, Request};

use crate::BenchError;

/// One line of standard input.
#[derive(Debug, serde::Deserialize)]
struct Asked {
    metric: String,
    by: Option<String>,
    #[serde(rename = "where")]
    filters: Option<String>,
    since: Option<String>,
}

/// One line of standard output.
#[derive(Debug, serde::Serialize)]
struct Answered {
    seconds: f64,
    /// Most resident memory of the process while it answered, bytes.
    peak: u64,
    answer: Option<Answer>,
    /// Why nothing is told.
    refused: Option<String>,
}

/// Whether an answer is kept for who asks the same again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kept {
    /// Each answer is computed.
    #[default]
    Nothing,
    /// As by default.
    Answers,
}

/// Answers until standard input ends.
pub(crate) fn answer_all(
    folder: &Path,
    threads: usize,
    memory_mib: Option<usize>,
    kept: Kept,
) -> Result<(), BenchError> {
    let failed = |source| BenchError::Io { what: "standard input or output".to_owned(), source };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .build()
        .map_err(failed)?;
    let mut settings = EngineSettings::default();
    if kept == Kept::Nothing {
        settings.answers_kept = 0;
    }
    if let Some(mib) = memory_mib {
        settings.memory_bytes = mib << 20;
    }
    let refused = |error| BenchError::Query(Box::new(error));
    let engine = Engine::open(folder, settings).map_err(refused)?;
    for line in io::stdin().lock().lines() {
        let line = line.map_err(failed)?;
        let asked: Asked = serde_json::from_str(&line)
            .map_err(|source| BenchError::Json { what: line.clone(), source })?;
        let answered = runtime.block_on(answer(&engine, &asked)).map_err(refused)?;
        let text = serde_json::to_string(&answered)
            .map_err(|source| BenchError::Json { what: "an answer".to_owned(), source })?;
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(failed)?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "what is measured is the time that passes")]
async fn answer(engine: &Engine, asked: &Asked) -> Result<Answered, QueryError> {
    let (by, filters) = (asked.by.as_deref(), asked.filters.as_deref());
    let request = Request::parse(&asked.metric, by, filters, asked.since.as_deref())?;
    forget_peak();
    let begun = Instant::now();
    let answer = Box::pin(engine.answer(&request)).await;
    let seconds = begun.elapsed().as_secs_f64();
    let (answer, refused) = match answer {
        Ok(answer) => (Some(answer), None),
        Err(no @ (QueryError::BelowThreshold { .. } | QueryError::TooLarge { .. })) => {
            (None, Some(no.to_string()))
        }
        Err(error) => return Err(error),
    };
    Ok(Answered { seconds, peak: peak(), answer, refused })
}

/// Lets the kernel count the most of resident memory anew; where it does not, the most since the start is told.
fn forget_peak() {
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}

/// Most resident memory since then, bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
