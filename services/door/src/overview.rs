//! The overview and the compliance page: what the collector and the verifier left beside the lake, as it may be told.
//!
//! Principals are told in steps of five, and not at all when they are fewer than k or all but fewer than k, so that
//! nobody is counted by being missing. Answers are counts of batches by day; requests have no names.

use std::path::PathBuf;

use imprimatur_lake::{CatalogueError, Overview, Report};
use imprimatur_proto::capacity::{DAY_BITS, PRINT_BITS, PRINT_GEOMETRY_BITS};
use imprimatur_proto::contract;
use imprimatur_query::Threshold;
use imprimatur_runtime::UnixSeconds;
use serde_json::{Value, json};

use crate::problem::{Code, Problem};

/// Steps in which principals are told.
const STEP: u64 = 5;

/// What a lake's folder holds beside the catalogue.
async fn read<T: Send + 'static>(
    folder: PathBuf,
    load: fn(&std::path::Path) -> Result<T, CatalogueError>,
) -> Result<Option<T>, Problem> {
    let loaded = tokio::task::spawn_blocking(move || load(&folder)).await;
    match loaded.map_err(|failed| Problem::internal(&failed))? {
        Ok(read) => Ok(Some(read)),
        Err(CatalogueError::Absent { .. }) => Ok(None),
        Err(error) => Err(Problem::internal(&error)),
    }
}

async fn published(folder: PathBuf) -> Result<Overview, Problem> {
    let wait = "the collector has published no overview yet; come again later";
    let read = read(folder, Overview::load).await?;
    read.ok_or_else(|| Problem::new(Code::NotPublished, wait))
}

/// The fleet under consent, and what the collector answered.
pub(crate) async fn overview(folder: PathBuf, k: Threshold) -> Result<Value, Problem> {
    Ok(told(&published(folder).await?, k))
}

fn told(overview: &Overview, k: Threshold) -> Value {
    let all = overview.principals;
    let coverage = overview.coverage.iter().map(|one| {
        json!({
            "category": one.category,
            "policy": one.policy.to_string().chars().take(8).collect::<String>(),
            "operator_policy_version": one.version.to_string(),
            "principals": principals(one.principals, all, k),
        })
    });
    let answers = overview.answers.iter().map(|one| {
        json!({
            "date": one.date.to_string(),
            "outcome": one.outcome.as_str(),
            "reason": one.reason.as_str(),
            "count": one.count,
        })
    });
    json!({
        "published": written(overview.published),
        "synthetic": overview.synthetic,
        "principals": principals(all, all, k),
        "coverage": coverage.collect::<Vec<_>>(),
        "answers": answers.collect::<Vec<_>>(),
        "batches_waiting": overview.batches_waiting,
    })
}

/// How many of all, if it may be told.
fn principals(some: u64, all: u64, k: Threshold) -> Option<u64> {
    let (k, rest) = (u64::from(k.get().get()), all.saturating_sub(some));
    if k == 1 {
        return Some(some);
    }
    let is_told = some >= k && (rest == 0 || rest >= k);
    is_told.then(|| (some + STEP / 2) / STEP * STEP)
}

/// The last report, requests with their dates, the log, and what the contract can tell.
pub(crate) async fn compliance(folder: PathBuf) -> Result<Value, Problem> {
    let overview = published(folder.clone()).await?;
    let report = read(folder, Report::load).await?;
    let requests = overview.requests.iter().map(|one| {
        json!({
            "kind": one.kind.as_str(),
            "received": one.received.to_string(),
            "due": one.due.to_string(),
            "done": one.done.map(|date| date.to_string()),
            "held": one.held,
        })
    });
    let capacity = contract().capacity();
    Ok(json!({
        "report": report.as_ref().map(brief),
        "requests": requests.collect::<Vec<_>>(),
        "log": {
            "size": overview.log.size,
            "root": overview.log.root,
            "checkpoint": overview.log.checkpoint,
        },
        "capacity": {
            "print_bits": capacity.print_bits,
            "print_budget_bits": PRINT_BITS,
            "geometry_bits": capacity.print_geometry_bits,
            "geometry_budget_bits": PRINT_GEOMETRY_BITS,
            "day_bits": capacity.device_day_bits,
            "day_budget_bits": DAY_BITS,
        },
    }))
}

fn brief(report: &Report) -> Value {
    let checks = report.checks.iter().map(|one| {
        json!({
            "invariant": one.invariant,
            "sentence": one.name(),
            "holds": one.holds,
            "checked": one.checked,
            "failed": one.failed,
        })
    });
    json!({
        "published": written(report.made),
        "verdict": report.verdict,
        "synthetic": report.synthetic,
        "rows": report.rows,
        "log_size": report.log_size,
        "checks": checks.collect::<Vec<_>>(),
    })
}

/// An instant as people and browsers read it (RFC 3339).
fn written(instant: UnixSeconds) -> String {
    let (date, second) = (instant.date(), instant.0 % 86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_not_told_neither_by_being_there_nor_by_being_missing() {
        let told = |some, all| principals(some, all, Threshold::INSIDE);
        assert_eq!((told(19, 19), told(20, 20), told(23, 23)), (None, Some(20), Some(25)));
        assert_eq!((told(20, 39), told(20, 40), told(0, 100)), (None, Some(20), None));
        assert_eq!((told(81, 100), told(99, 100), told(80, 100)), (None, None, Some(80)));
        assert_eq!((told(100, 100), told(102, 200)), (Some(100), Some(100)));
        assert_eq!(principals(1, 2, Threshold::ALONE), Some(1));
    }

    #[test]
    fn an_instant_is_written_as_browsers_read_it() {
        assert_eq!(written(UnixSeconds(1_800_000_000)), "2027-01-15T08:00:00Z");
        assert_eq!(written(UnixSeconds(86_399)), "1970-01-01T23:59:59Z");
    }
}
